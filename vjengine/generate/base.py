"""The contract of a generator: parameters in, one picture out, the same live and offline.

A generator is synchronous and knows no clock: whatever moves in its picture moves because the parameters moved
(:attr:`~vjengine.core.generation.GeneratorParams.travel`, ``turn``, ``beats`` …). The same spec and the same sequence
of parameters give the same bytes. Live it runs in a process of its own (:mod:`vjengine.generate.supervisor`);
offline it is called in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from vjengine.core.frame import Pixels
from vjengine.core.generation import GeneratorParams
from vjengine.errors import GeneratorError

Option = float | str

MAX_SIDE = 16384
"""Largest width or height in px that a generator may be asked for."""


@dataclass(frozen=True, slots=True)
class GeneratorSpec:
    """What is needed to make a generator, in this process or another: it pickles.

    Attributes:
        name: name in the registry.
        size: (width, height) of its pictures in px.
        seed: everything random in the generator derives from this and from ``gen.seed``.
        options: the generator's own options, as written after its name (``still:delay=1``).

    Raises:
        GeneratorError: if the size is not two whole numbers from 1 to :data:`MAX_SIDE`.
    """

    name: str
    size: tuple[int, int]
    seed: int = 1
    options: Mapping[str, Option] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not all(isinstance(side, int) and 1 <= side <= MAX_SIDE for side in self.size):
            raise GeneratorError(
                f"a generator cannot draw at size {self.size!r}; give width and height from 1 to {MAX_SIDE} px"
            )


DETAIL = "detail"
"""Component under which a generator says how it draws, in a few words: always ``ok``, never a trouble."""


class Host(Protocol):
    """Whoever runs a generator, as the generator sees it: somebody to talk to. Callable from any thread.

    Attributes:
        live: True if pictures are shown as they come, so that how long something takes may decide what is seen. False
            offline: the same calls must give the same bytes, however long they take.
    """

    live: bool

    def alive(self, doing: str = "", fraction: float = -1.0) -> None:
        """Say that slow work (loading, building) goes on, so that silence is not taken for a hang.

        While a generator is being made, any thread may say so. Later only the thread that draws is believed: work in
        the background tells nothing about the picture, and reports itself with :meth:`say`.

        Args:
            doing: what is being done, in a few words for the HUD; empty leaves the last words.
            fraction: how far it is, 0-1; negative if nobody knows.
        """
        ...

    def say(self, component: str, level: Literal["ok", "warn", "error"], message: str = "") -> None:
        """Report a change of state to the performer, as :class:`~vjengine.core.events.StatusChanged` does.

        Args:
            component: short stable name: ``"engine"`` (the acceleration), ``"memory"``, ``"prompt"``, ``"init"`` ...
                ``"generator"`` and ``"loading"`` belong to whoever watches the generator; :data:`DETAIL` is shown
                beside the generator's name.
            level: ``"ok"`` takes the component's line off the HUD.
            message: one line.
        """
        ...


class _Nobody:
    """A host that listens to nothing: a generator called in place, offline and in tests."""

    live = False

    def alive(self, doing: str = "", fraction: float = -1.0) -> None:
        """Ignore it."""

    def say(self, component: str, level: Literal["ok", "warn", "error"], message: str = "") -> None:
        """Ignore it."""


NOBODY: Host = _Nobody()
"""The host of a generator that nobody watches."""


class Generator(Protocol):
    """Draws one picture for each value of the parameters."""

    name: str

    def generate(self, params: GeneratorParams) -> Pixels:
        """Return the picture for ``params``.

        Returns:
            ``(H, W, 4)`` uint8, top row first, sRGB, RGBA. The array may be written over by the next call: copy it
            to keep it.

        Raises:
            GeneratorError: if the picture cannot be made.
        """
        ...

    def close(self) -> None:
        """Give back all resources; a second call does nothing."""
        ...


@runtime_checkable
class Resumable(Protocol):
    """A generator whose next picture grows out of the last: after a restart it is given that one back."""

    def resume(self, pixels: Pixels) -> None:
        """Go on from ``pixels``, ``(H, W, 4)`` uint8, read-only, as if this generator had drawn them last.

        Called at most once, before the first picture. The array stays as it is: it may be kept.
        """
        ...


def feeds_back(generator: object) -> bool:
    """True if every picture of ``generator`` is made of its own last one.

    Whatever such a loop does to a picture a little, it does to it for ever: its colours and its detail drift. So it
    carries out :attr:`~vjengine.core.generation.GeneratorParams.correction` on what it feeds back. A generator says so
    with a class attribute ``feeds_back = True``; :func:`vjengine.generate.registry.feeds_back` knows it by name.

    (Another such word is ``flowing``: the motion from picture to picture can be measured and shown in between.)
    """
    return getattr(generator, "feeds_back", False) is True


class Ticket(Protocol):
    """A picture on its way into shared memory."""

    def ready(self) -> bool:
        """True once the picture is there whole; never waits."""
        ...

    def wait(self) -> None:
        """Wait until the picture is there whole.

        Raises:
            GeneratorError: if it will never be.
        """
        ...


@runtime_checkable
class Direct(Protocol):
    """A generator that hands its picture over by itself: the next is begun while the last one still travels.

    It also keeps :class:`Generator`, for whoever calls it in place. At most two tickets are open at a time, and they
    are waited for in the order in which they were given.
    """

    def begin(self, params: GeneratorParams, into: Pixels) -> Ticket:
        """Begin the picture for ``params`` and return at once if the device allows it.

        Args:
            params: what to draw.
            into: ``(H, W, 4)`` uint8, where the whole picture goes, written until the ticket is ready and not after.

        Raises:
            GeneratorError: if the picture cannot be made.
        """
        ...


def checked_pixels(pixels: Pixels, spec: GeneratorSpec) -> Pixels:
    """Return ``pixels`` if they keep the contract of ``spec``.

    Raises:
        GeneratorError: naming what was returned and what was expected.
    """
    width, height = spec.size
    if not isinstance(pixels, np.ndarray):
        raise GeneratorError(f"generator {spec.name!r} returned {type(pixels).__name__}, not an array of pixels")
    if pixels.shape != (height, width, 4) or pixels.dtype != np.uint8:
        raise GeneratorError(
            f"generator {spec.name!r} returned pixels {pixels.shape} {pixels.dtype}; "
            f"expected ({height}, {width}, 4) uint8"
        )
    return pixels
