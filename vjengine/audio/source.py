"""What a source of sound is, and the one that is always there: silence."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vjengine.core.clock import Clock

Samples = npt.NDArray[np.float32]

HOP = 256
"""Default hop, in samples."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A fixed number of samples and when they sounded.

    Attributes:
        samples: ``(hop, channels)`` float32, read-only, 1 or 2 channels, full scale ±1.
        time: session time (s) of the last sample.
        index: number of the hop from the source's start; a gap means hops were lost.
    """

    samples: Samples
    time: float
    index: int


class AudioSource(Protocol):
    """Gives hops in real time. One thread reads; any thread may close.

    Attributes:
        name: what it is, for the HUD.
        sample_rate: Hz, known before :meth:`start` and constant.
        channels: 1 or 2.
        ended: True once no more hops will ever come.
    """

    name: str
    sample_rate: int
    channels: int

    @property
    def ended(self) -> bool:
        """True once no more hops will ever come."""
        ...

    def start(self) -> None:
        """Begin. Raises AudioError where there is nothing to begin with; later losses never raise."""
        ...

    def read(self, timeout: float) -> Hop | None:
        """Return the next hop once it has sounded, or None after ``timeout`` s or at the end."""
        ...

    def close(self) -> None:
        """Stop and let go of the device or file, within a second whatever the driver does."""
        ...


def frozen(samples: Samples) -> Samples:
    """Return ``samples``, made read-only."""
    samples.flags.writeable = False
    return samples


class SilentSource:
    """Hops of zeros at the pace of the session clock: the show runs without any sound.

    Args:
        clock: session clock.
        hop: samples a hop.
        sample_rate: Hz.
    """

    def __init__(self, clock: Clock, hop: int = HOP, sample_rate: int = 48000) -> None:
        self.name = "silence"
        self.sample_rate = sample_rate
        self.channels = 2
        self._clock = clock
        self._hop = hop
        self._zeros = frozen(np.zeros((hop, 2), dtype=np.float32))
        self._begun = 0.0
        self._index = 0
        self._closed = threading.Event()

    @property
    def ended(self) -> bool:
        """True once closed; silence has no other end."""
        return self._closed.is_set()

    def start(self) -> None:
        """Begin now."""
        self._begun = self._clock.now()
        self._index = 0

    def read(self, timeout: float) -> Hop | None:
        """Return a hop of zeros once its time has come."""
        due = self._begun + (self._index + 1) * self._hop / self.sample_rate
        wait = due - self._clock.now()
        if self._closed.wait(min(max(wait, 0.0), timeout)) or wait > timeout:
            return None
        if wait < -0.25:  # nobody read for a while: the past is as silent as the present
            self._index += int(-wait * self.sample_rate / self._hop)
            due = self._begun + (self._index + 1) * self._hop / self.sample_rate
        self._index += 1
        return Hop(self._zeros, due, self._index - 1)

    def close(self) -> None:
        """End the silence."""
        self._closed.set()
