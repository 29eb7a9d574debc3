"""The contract of everything that can carry a film on: given its last pictures, make the next ones.

Stable Video Diffusion, the turbo loop, the built-in one and servers elsewhere all are a :class:`Continuation`. They
know nothing of chunks on a disk, seams, gates, retries or the length of the film: whoever drives them does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt

Pixels16 = npt.NDArray[np.uint16]
"""``(H, W, 3)`` or ``(n, H, W, 3)``, sRGB code over the whole range 0-65535, without holes in memory."""
Arrays = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Opening:
    """What a film, or a scene of it, begins with.

    Attributes:
        prompt: what is to be seen; empty leaves it to the continuation.
        negative: what is not.
        pictures: ``(n, H, W, 3)`` 16-bit pictures to begin with (an image: one; a video: its last ones), in the film's
            size; None asks the continuation to make the first one from the prompt.
        seed: of everything random in the first picture.
    """

    prompt: str = ""
    negative: str = ""
    pictures: Pixels16 | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Carried:
    """All that one chunk hands to the next; it is kept on the disk, so a film can go on from there.

    Attributes:
        frames: ``(n, H, W, 3)``, the last pictures, oldest first: 16 bits, never from a compressed film.
        anchor: ``(H, W, 3)``, the first picture of the scene, which every later one should still belong to.
        state: what the continuation itself carries (latents, positions): float32 or float16 arrays of its own naming.
    """

    frames: Pixels16
    anchor: Pixels16
    state: Arrays = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ask:
    """What one chunk is to be.

    Attributes:
        index: number of the chunk in the film, from 0.
        attempt: 0, or how often this chunk was refused before.
        frames: new pictures wanted. A continuation with a length of its own may return fewer or more, never none.
        seed: of everything random in this chunk; another one for each chunk and attempt.
        fps: pictures a second of the film.
        time: s into the film of the first new picture.
        prompt, negative: as in :class:`Opening`; they may change from chunk to chunk.
        motion: how much is to move, 0-1, from the music or fixed (for SVD the motion bucket).
        pulse: for each new picture, 0-1: the beat and the level under it.
        guidance: (first, last) guidance of the chunk's pictures, for those that know it.
        noise: noise added to the conditioning picture, 0-1; more when the film is about to freeze or collapse.
    """

    index: int
    frames: int
    seed: int
    attempt: int = 0
    fps: Fraction = Fraction(12)
    time: float = 0.0
    prompt: str = ""
    negative: str = ""
    motion: float = 0.5
    pulse: tuple[float, ...] = ()
    guidance: tuple[float, float] = (1.0, 2.0)
    noise: float = 0.02


@dataclass(frozen=True, slots=True)
class Clip:
    """One chunk as made: only new pictures, none of those it was made from.

    Attributes:
        frames: ``(n, H, W, 3)``, n at least 1.
        state: what :attr:`Carried.state` is to be after its last picture.
        notes: what is worth keeping in the run's record: seeds used, steps, s spent.
    """

    frames: Pixels16
    state: Arrays = field(default_factory=dict)
    notes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Need:
    """An estimate of memory.

    Attributes:
        device: MiB on the device; 0 if there is none.
        host: MiB of the computer's own.
        words: what takes it.
        on: which device, as torch calls it.
    """

    device: float
    host: float
    words: str = ""
    on: str = "cpu"


class Watcher(Protocol):
    """Whom a continuation tells how far it is, and who may stop it."""

    def alive(self, doing: str, fraction: float = -1.0) -> None:
        """Say what is being done and how far it is, 0-1; called often.

        Raises:
            KeyboardInterrupt: if the work is to be left; nothing of this chunk is kept.
        """
        ...


class Continuation(Protocol):
    """Makes pictures that follow on others.

    Attributes:
        name: as the command line calls it.
        version: of everything that decides its pictures (model, settings, code); part of the plan's hash.
        deterministic: the same :class:`Carried` and :class:`Ask` give the same bytes on this machine.
        chunk: new pictures that it makes best in one go.
        tail: pictures of the past that it wants to see.
    """

    name: str
    version: str
    deterministic: bool
    chunk: int
    tail: int

    def need(self, size: tuple[int, int], frames: int) -> Need:
        """Estimate the memory that a chunk takes, before anything is loaded.

        Args:
            size: (width, height), px.
            frames: new pictures.
        """
        ...

    def open(self, opening: Opening, size: tuple[int, int], watcher: Watcher) -> Carried:
        """Begin a film or a scene; the carried pictures are the film's first ones.

        Raises:
            GeneratorError: if it cannot; :class:`~vjengine.errors.OutOfMemory` if less might fit.
        """
        ...

    def extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
        """Make the pictures after ``carried``. Nothing is remembered from call to call but caches of loaded parts.

        Raises:
            GeneratorError: if it cannot; :class:`~vjengine.errors.OutOfMemory` if less might fit.
        """
        ...

    def lighten(self) -> str:
        """After :class:`~vjengine.errors.OutOfMemory`, take less memory next time.

        Returns:
            What was changed, in words; empty if nothing is left to be made lighter.
        """
        ...

    def close(self) -> None:
        """Let go of everything. May be called twice."""
        ...
