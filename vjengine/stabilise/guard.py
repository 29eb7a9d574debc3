"""The alarm and what follows from it: seen early, answered a little more each time, and taken back by itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vjengine.stabilise.verdict import ALARMS, Alarm, Verdict

HOLD = 8
"""Frames in a row that something must be wrong for."""
CLEAR = 15
"""Frames in a row that it must be well again."""
PATIENCE = 1.5
"""s that a response has before the next one."""
CALM = 1.0
"""s without an alarm after which the response goes back one level."""

RESPONSES = (
    "",
    "stronger correction",
    "more noise, a new seed",
    "less feedback",
    "the scene's first picture comes back",
    "drawn anew",
)
"""Level by level; each keeps what those below do."""
TOP = len(RESPONSES) - 1

Test = Callable[[Verdict], bool]


@dataclass(frozen=True, slots=True)
class Limits:
    """When an alarm is raised and when it is cleared; between the two it stays as it is."""

    raised: Test
    cleared: Test
    hold: int = HOLD


LIMITS: Mapping[Alarm, Limits] = {
    "colour": Limits(lambda v: v.w1 > 8.0 + 2.0 * v.wandering and not v.gliding, lambda v: v.w1 < 5.0 or v.gliding),
    "grey": Limits(lambda v: v.chroma < 0.35, lambda v: v.chroma > 0.55),
    "dark": Limits(lambda v: v.exposure < -20.0, lambda v: v.exposure > -10.0),
    "burn": Limits(lambda v: v.clipped > 0.15 + 2.0 * v.flashing, lambda v: v.clipped < 0.08 + v.flashing),
    "blur": Limits(lambda v: v.detail < -2.0 and not v.gliding, lambda v: v.detail > -1.3 or v.gliding),
    "texture": Limits(lambda v: v.detail > 2.0 and not v.gliding, lambda v: v.detail < 1.3 or v.gliding),
    "freeze": Limits(lambda v: v.difference < 0.25, lambda v: v.difference > 0.6, hold=90),
    "flicker": Limits(lambda v: v.flicker > 0.6 and v.difference > 6.0, lambda v: v.flicker < 0.3, hold=30),
}
"""W1, detail and clipping fired in 12 of 12 surrogate collapses at steps 4-18. A scene that goes to and fro by
itself is given that much more room; one that only goes away is not."""


class Guard:
    """Watches verdicts; tells which alarms stand and how far the response goes.

    Attributes:
        level: 0-``most``, see :data:`RESPONSES`.
        reseeds, restarts: how often a new seed and a fresh start were asked for.
        stuck: True from the first freeze to the end of the scene: what froze once will freeze again.
    """

    def __init__(self, most: int = TOP) -> None:
        """Watch; the response goes no further than ``most``."""
        self._most = most
        self.level = 0
        self.stuck = False
        self.reseeds = 0
        self.restarts = 0
        self._on: dict[Alarm, bool] = dict.fromkeys(ALARMS, False)
        self._count: dict[Alarm, int] = dict.fromkeys(ALARMS, 0)
        self._since: float | None = None
        self._last = 0.0

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """What is wrong now."""
        return tuple(name for name, on in self._on.items() if on)

    def forget(self) -> None:
        """There is nothing to compare with: no alarm stands. The response calms down as always."""
        self.stuck = False
        for name in ALARMS:
            self._on[name] = False
            self._count[name] = 0

    def step(self, verdict: Verdict, time: float, moving: bool) -> None:
        """Judge the next picture, made for session time ``time`` (s).

        Args:
            verdict: the numbers of it.
            time: s.
            moving: True if the scene moved when it began: only then can it freeze.
        """
        for name, limits in LIMITS.items():
            on = self._on[name]
            possible = verdict.anchored and (moving or name != "freeze")
            turned = limits.cleared(verdict) or not possible if on else possible and limits.raised(verdict)
            self._count[name] = self._count[name] + 1 if turned else 0
            if self._count[name] >= (CLEAR if on else limits.hold):
                self._on[name] = not on
                self._count[name] = 0
        self._respond(time)

    def _respond(self, time: float) -> None:
        elapsed = 0.0
        if math.isfinite(time):
            elapsed, self._last = min(max(time - self._last, 0.0), 1.0), time
        if self.alarms:
            first = self._since is None or self.level == 0
            self._since = PATIENCE if first or self._since is None else self._since - elapsed
            self.stuck = self.stuck or "freeze" in self.alarms
            if first:
                self._raise_to(1)
            elif self._since <= 0.0:
                self._since = PATIENCE
                self._raise_to(self.level + 1)
        elif self.level:
            self._since = CALM if self._since is None or self._since > CALM else self._since - elapsed
            if self._since <= 0.0:
                self._since = CALM
                self.level -= 1
        else:
            self._since = None

    def _raise_to(self, level: int) -> None:
        again = level > self._most
        old, self.level = self.level, min(level, self._most)
        if old < 2 <= self.level:
            self.reseeds += 1
        if self.level == TOP and (old < TOP or again):
            self.restarts += 1
