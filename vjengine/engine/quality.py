"""Holds the frame rate and its evenness, from nothing but the time that frames take. Pure; owns no clock.

:class:`Governor` draws smaller where a machine cannot draw the whole picture in time: softer rather than late.
:class:`Lead` says how long before its moment a frame must be begun, so that it can be shown *at* that moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

SCALES: tuple[float, ...] = (1.0, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3)
"""Shares of the programme's size that a picture is drawn at, best first."""

BY_CPU = 0.5
"""Where to start on a machine whose CPU draws."""

_JUDGED = 30  # frames before a step down
_TOO_LONG = 0.65  # share of the interval a frame may take; the rest is for the system
_LATE_SHARE = 0.15  # of the judged frames
_SETTLED = 600  # frames before a step up is thought of
_MARGIN = 0.55  # expected share of the interval after a step up
_STARTING = 90  # frames at the start that say nothing: the worker loads, caches are cold
_PROOF = _JUDGED  # frames after which a step down must have paid
_SAVING = 0.96  # of the work before; a step's area shrinks by a quarter or more


def _median(works: Iterable[float]) -> float:
    ordered = sorted(works)
    return ordered[len(ordered) // 2]


class Governor:
    """Chooses the scale from the time frames take.

    Down is quick (half a second), up is slow (ten seconds) and becomes slower each time it proves wrong, so that the
    picture does not pump between two sizes. A step down that saves nothing is taken back: then it is not the drawing
    that takes the time, and the picture would be given up for nothing.

    Args:
        period: s a frame.
        start: first scale; the nearest of :data:`SCALES` is taken.
    """

    def __init__(self, period: float, start: float = 1.0) -> None:
        self._period = period
        self._step = min(range(len(SCALES)), key=lambda i: abs(SCALES[i] - start))
        self._works: deque[float] = deque(maxlen=_SETTLED)
        self._patience = _SETTLED
        self._since_up: int | None = None
        self._calm = 0
        self._waiting = _STARTING
        self._before_down: float | None = None

    @property
    def scale(self) -> float:
        """The scale in force."""
        return SCALES[self._step]

    def observe(self, work: float) -> bool:
        """Take note that a frame took ``work`` s to make; return True if the scale changed."""
        if self._waiting > 0:
            self._waiting -= 1
            return False
        self._works.append(work)
        self._calm += 1
        if self._before_down is not None and len(self._works) >= _PROOF:
            before, self._before_down = self._before_down, None
            if _median(self._works) > _SAVING * before:
                self._move(-1)
                self._waiting = _SETTLED
                return True
        if self._since_up is not None:
            self._since_up += 1
        recent = list(self._works)[-_JUDGED:] if len(self._works) >= _JUDGED else []
        if recent and sum(each > _TOO_LONG * self._period for each in recent) > _LATE_SHARE * len(recent):
            return self._down()
        if self._calm >= self._patience and self._step > 0:
            return self._maybe_up()
        return False

    def _down(self) -> bool:
        if self._step == len(SCALES) - 1:
            self._works.clear()
            return False
        if self._since_up is not None and self._since_up < 2 * _SETTLED:
            self._patience = min(8 * _SETTLED, 2 * self._patience)
        before = _median(self._works)
        self._move(1)
        self._before_down = before
        self._since_up = None
        return True

    def _maybe_up(self) -> bool:
        ordered = sorted(self._works)
        usual = ordered[int(0.95 * (len(ordered) - 1))]
        # Work that grows with the picture's area is the worst case; some of it does not grow at all.
        growth = (SCALES[self._step - 1] / self.scale) ** 2
        if usual * growth > _MARGIN * self._period:
            self._calm = 0
            return False
        self._move(-1)
        self._since_up = 0
        return True

    def _move(self, steps: int) -> None:
        self._step += steps
        self._works.clear()
        self._calm = 0
        self._before_down = None


class Lead:
    """How long before it is shown a frame is begun.

    Shown as soon as it is drawn, a frame comes at an uneven pace, because drawing takes now less and now more. Begun a
    little earlier than it ever takes, and held until its moment, it is even, on the beat, and hardly older.

    Args:
        period: s a frame.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._works: deque[float] = deque(maxlen=300)
        self._count = 0
        self.seconds = 0.75 * period

    def observe(self, work: float) -> None:
        """Take note that a frame took ``work`` s; move the lead, in steps too small to be seen."""
        self._works.append(work)
        self._count += 1
        if self._count % 15 == 0:
            ordered = sorted(self._works)
            wanted = ordered[int(0.98 * (len(ordered) - 1))] + MARGIN
            wanted = min(0.96 * self._period, max(0.2 * self._period, wanted))
            self.seconds += max(-LEAD_STEP, min(LEAD_STEP, wanted - self.seconds))


MARGIN = 0.001
"""s kept free between the end of drawing and the moment of showing."""
LEAD_STEP = 0.0003
"""s by which the lead moves at most, four times a second."""
