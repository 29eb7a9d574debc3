"""Session time. The clock is an argument everywhere, so offline work replaces it and branches on nothing.

All timestamps of the engine are seconds on the session clock, starting near 0.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol


class Clock(Protocol):
    """Anything that tells session time."""

    def now(self) -> float:
        """Return the session time in seconds."""
        ...


@dataclass(frozen=True, slots=True)
class FrameTime:
    """Time as latched once a frame: every pass of that frame reads this and nothing else.

    Attributes:
        index: frame number, from 0; below 0 while a film's show warms up.
        time: session time in s at which the frame is made.
        delta: s since the previous frame; 0 on the first.
    """

    index: int
    time: float
    delta: float


class LiveClock:
    """Wall time that only moves forward, in seconds since ``epoch``.

    ``epoch`` is a reading of the system's monotonic counter. That counter is shared by all processes of a machine
    (CLOCK_MONOTONIC, QueryPerformanceCounter, mach_absolute_time), so a worker that is handed ``epoch`` tells the
    same session time.
    """

    def __init__(self, epoch: float | None = None) -> None:
        self.epoch = time.perf_counter() if epoch is None else epoch

    def now(self) -> float:
        """Return s since the epoch."""
        return time.perf_counter() - self.epoch

    def sleep_until(self, moment: float, spin: float = 0.0005) -> float:
        """Wait for session time ``moment`` (s); return how late (s, >= 0) the return is.

        Sleeps for most of the wait and spins through the last ``spin`` seconds, because an operating system wakes
        sleepers up to a millisecond late.
        """
        while True:
            left = moment - self.now()
            if left <= 0.0:
                return -left
            if left > spin:
                time.sleep(left - spin)


class FrameClock:
    """A virtual clock that stands at frame ``index`` of ``fps``, ``start`` to begin with, and moves by :meth:`advance`.

    Times are ``index / fps`` computed exactly, so an hour-long film does not drift.
    """

    def __init__(self, fps: Fraction | int | float, start: int = 0) -> None:
        self.fps = Fraction(fps).limit_denominator(100_000)
        if self.fps <= 0:
            raise ValueError(f"fps must be above 0, not {fps}")
        self.index = self._first = start

    def now(self) -> float:
        """Return the time of the current frame in s."""
        return float(self.index / self.fps)

    def frame(self) -> FrameTime:
        """Return the current frame's latched time."""
        delta = 0.0 if self.index == self._first else float(1 / self.fps)
        return FrameTime(self.index, self.now(), delta)

    def advance(self) -> FrameTime:
        """Step to the next frame and return its time."""
        self.index += 1
        return self.frame()


class FrameLatch:
    """Turns readings of a running clock into :class:`FrameTime` values."""

    def __init__(self) -> None:
        self._index = 0
        self._last: float | None = None

    def latch(self, now: float) -> FrameTime:
        """Return the frame time for ``now`` (s); time never runs backwards."""
        last = now if self._last is None else self._last
        now = max(now, last)
        frame = FrameTime(self._index, now, now - last)
        self._index += 1
        self._last = now
        return frame
