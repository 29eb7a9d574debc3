"""Continuations by diffusion by name. Nothing heavy is imported before one is made."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vjengine.errors import GeneratorError, MissingDependency, UsageError
from vjengine.offline.continuation import Continuation
from vjengine.offline.diffusion.options import SvdOptions, TurboFilmOptions, read_options

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTINUATIONS: dict[str, str] = {
    "svd": "Stable Video Diffusion: films of anything, 13 or 24 pictures at a time",
    "turbo": "the turbo loop: each picture dreamt upon the last, moved on; follows the prompt and every beat",
}
"""What there is, with a line for ``--help``."""
INSTALL = "pip install 'vjengine[turbo]'"


def make_svd(options: Mapping[str, object]) -> Continuation:
    """Return Stable Video Diffusion; its model is loaded when it is first needed.

    Args:
        options: fields of :class:`~.options.SvdOptions`, as values or as text from a command line.

    Raises:
        UsageError: an option or a model that cannot be.
        MissingDependency: torch or a library is not installed: what to install.
        GeneratorError: the model is not on this machine, or broken: how to get it.
    """
    chosen = read_options(SvdOptions, "svd", options)
    with _libraries():
        from vjengine.offline.diffusion.svd import SvdContinuation

        return SvdContinuation(chosen)


def make_turbo(options: Mapping[str, object]) -> Continuation:
    """Return the turbo loop; its model is loaded when it is first needed.

    Args:
        options: fields of :class:`~.options.TurboFilmOptions`, as values or as text from a command line.

    Raises:
        UsageError, MissingDependency, GeneratorError: as :func:`make_svd`.
    """
    chosen = read_options(TurboFilmOptions, "turbo", options)
    with _libraries():
        from vjengine.offline.diffusion.turbo import TurboContinuation

        return TurboContinuation(chosen)


def make(name: str, options: Mapping[str, object]) -> Continuation:
    """Return the continuation ``name`` of :data:`CONTINUATIONS`.

    Raises:
        UsageError, MissingDependency, GeneratorError: as :func:`make_svd`.
    """
    makers = {"svd": make_svd, "turbo": make_turbo}
    if name not in makers:
        raise UsageError(f"there is no continuation {name!r} by diffusion; there are: {', '.join(CONTINUATIONS)}")
    return makers[name](options)


@contextmanager
def _libraries() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependency(str(error.name or "PyTorch"), INSTALL) from error
    except ImportError as error:
        raise GeneratorError(f"a library cannot be loaded: {error}; free memory, or install it again") from error
