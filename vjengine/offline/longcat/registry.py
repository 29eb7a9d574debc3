"""All continuations by name; nothing of them is loaded before one is made."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

from vjengine.errors import MissingDependency, UsageError
from vjengine.offline.continuation import Continuation


@dataclass(frozen=True, slots=True)
class Kind:
    """A row of the table.

    Attributes:
        name: as ``--continuation`` says it.
        maker: ``module:function``; the function takes a mapping of options and returns the continuation.
        words: what it is.
        fps: pictures a second that it is at its best with.
        steady: it holds its colours and detail by itself, and changes them on purpose: it needs no stabiliser and no
            gate against drift.
    """

    name: str
    maker: str
    words: str
    fps: Fraction = Fraction(12)
    steady: bool = False


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "builtin",
            "vjengine.offline.longcat.builtin:make_builtin",
            "ink on currents; needs nothing",
            fps=Fraction(30),
            steady=True,
        ),
        Kind(
            "svd",
            "vjengine.offline.diffusion.registry:make_svd",
            "Stable Video Diffusion (SVD, SVD-XT, few-step variants)",
        ),
        Kind(
            "turbo", "vjengine.offline.diffusion.registry:make_turbo", "the turbo loop, carried along by its own motion"
        ),
        Kind("comfyui", "vjengine.offline.backends:make_comfyui", "a workflow on a ComfyUI server"),
        Kind("replicate", "vjengine.offline.backends:make_replicate", "a model at replicate.com (needs a token)"),
    )
}


def kind_of(name: str) -> Kind:
    """Return the row of ``name``.

    Raises:
        UsageError: if there is none.
    """
    if name not in KINDS:
        raise UsageError(f"there is no continuation {name!r}; there are {', '.join(KINDS)}")
    return KINDS[name]


def implied(model: str) -> str:
    """Return the continuation that a model's name asks for by itself; ``builtin`` if it asks for none."""
    from vjengine.offline.diffusion.films import FILMS

    return "svd" if model in FILMS else "builtin"


def make_continuation(name: str, options: Mapping[str, object] | None = None) -> Continuation:
    """Make the continuation ``name``; ``options`` are its own, by key.

    Raises:
        UsageError: if there is none of that name, or it does not know an option.
        MissingDependency: if it needs a library that is not installed.
    """
    kind = kind_of(name)
    module, _, function = kind.maker.partition(":")
    try:
        maker = cast(Callable[[Mapping[str, object]], Continuation], getattr(importlib.import_module(module), function))
    except ModuleNotFoundError as error:
        remedy = "pip install 'vjengine[turbo]'"
        raise MissingDependency(f"the continuation {name} ({error.name or module})", remedy) from error
    return maker(dict(options or {}))
