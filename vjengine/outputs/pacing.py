"""Frame pacing: absolute deadlines, so that an hour of frames does not drift and a late one shifts no other."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from vjengine.core.clock import Clock


class SleepingClock(Clock, Protocol):
    """A clock one can wait on, such as :class:`~vjengine.core.clock.LiveClock`."""

    def sleep_until(self, moment: float) -> float:
        """Return at session time ``moment`` (s) or at once if that is past; the result is how late it is, s."""
        ...


@dataclass(frozen=True, slots=True)
class FrameSlot:
    """The time slot of one frame.

    Attributes:
        index: number of the slot since the pacer's start; skipped slots count.
        due: session time (s) at which it begins: start + index / fps.
        late: s by which the wait ended after ``due``.
        skipped: slots passed over just before this one.
    """

    index: int
    due: float
    late: float
    skipped: int


class FramePacer:
    """Hands out slots of ``1 / fps`` s.

    A frame that takes longer than its slot makes the next one start late but never moves the grid. Once whole slots
    have gone by they are skipped and counted: hurrying through them would show frames in a bunch.

    Args:
        clock: session time, and the waiting.
        fps: frames a second.

    Attributes:
        fps: exact frames a second.
        missed: slots skipped so far.
    """

    def __init__(self, clock: SleepingClock, fps: Fraction | int | float) -> None:
        self.fps = Fraction(fps).limit_denominator(100_000)
        if self.fps <= 0:
            raise ValueError(f"fps must be above 0, not {fps}")
        self.missed = 0
        self._clock = clock
        self._start: float | None = None
        self._next = 0

    def due(self, index: int) -> float:
        """Return the session time (s) at which slot ``index`` begins; 0 before the first wait counts from 0."""
        return (self._start or 0.0) + float(index / self.fps)

    def wait(self) -> FrameSlot:
        """Wait for the next slot. The first call begins slot 0 at once."""
        now = self._clock.now()
        if self._start is None:
            self._start = now
        index = max(self._next, self._slot_at(now))
        skipped = index - self._next
        self.missed += skipped
        self._next = index + 1
        due = self.due(index)
        return FrameSlot(index, due, self._clock.sleep_until(due), skipped)

    def restart(self) -> None:
        """Begin a new grid at the next wait, as after a change of session or a long pause; ``missed`` stays."""
        self._start = None
        self._next = 0

    def _slot_at(self, now: float) -> int:
        """Return the number of the slot that ``now`` lies in."""
        index = int((now - (self._start or 0.0)) * self.fps)
        # Dividing and multiplying by fps may round to either side of the boundary; the deadlines decide.
        if self.due(index) > now:
            index -= 1
        elif self.due(index + 1) <= now:
            index += 1
        return index
