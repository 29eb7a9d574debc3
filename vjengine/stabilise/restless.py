"""How much a scene changes by itself: a pulsing tunnel is not a drift.

Two measures. The *pace* is how far the picture usually goes in half a second; what is done against a drift is eased by
it. The *surplus* decides what is an alarm. A collapse goes one way: the path of its palette over some seconds is as
long as the distance between its ends. What a path is longer than that, the scene has gone there and back again by
itself. So a collapse does not make its own excuse: while it runs it has a pace, but next to no surplus.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from vjengine.stabilise.palette import palette_distance
from vjengine.stabilise.statistics import Statistics

_APART = 15
"""Frames between two pictures that are compared, and of one leg of the path."""
_MEMORY = 90
"""Frames that the pace is the median of; a collapse that takes less than half of it does not count."""
_LEGS = 6
"""Legs of the whole path at most: three seconds; with fewer than two there is no surplus."""
_USUAL = 60
"""Frames whose surplus is averaged: a flash is not the scene's way."""
_MOST = 20.0
"""A surplus counts for no more, CIELAB units: flashes again."""
_MOST_FLASHING = 0.15
"""Nor does that of the clipped share: a scene may be black half the time, and burn all the same."""
_KEPT = 0.998
"""Share that is kept from frame to frame of what was once seen; half of it is gone after some ten seconds."""


@dataclass(frozen=True, slots=True)
class Restless:
    """How a scene changes by itself.

    Attributes:
        pace: how far the palette usually goes in half a second, CIELAB units.
        surplus: how much longer than straight the palette's path is, CIELAB units.
        flashing: how much longer than straight the path of the clipped share is.
    """

    pace: float = 0.0
    surplus: float = 0.0
    flashing: float = 0.0


class Restlessness:
    """Follows the palette and the clipped share of one scene."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget: another scene."""
        self._seen: deque[Statistics] = deque(maxlen=_APART * _LEGS + 1)
        self._legs: deque[tuple[float, float]] = deque(maxlen=_MEMORY)
        self._surplus: deque[tuple[float, float]] = deque(maxlen=_USUAL)
        self._found = Restless()

    def step(self, found: Statistics) -> Restless:
        """Take the next picture."""
        self._seen.append(found)
        count = len(self._seen)
        if count <= _APART:
            return self._found
        self._legs.append(_apart(found, self._seen[-1 - _APART]))
        pace = float(np.median([palette for palette, _ in self._legs]))
        surplus, flashing = _KEPT * self._found.surplus, _KEPT * self._found.flashing
        legs = min(_LEGS, (count - 1) // _APART)
        if legs > 1:
            path = [self._legs[-1 - _APART * leg] for leg in range(legs)]
            straight = _apart(found, self._seen[-1 - _APART * legs])
            palette, clipped = (sum(leg[each] for leg in path) - straight[each] for each in (0, 1))
            self._surplus.append((min(max(palette, 0.0), _MOST), min(max(clipped, 0.0), _MOST_FLASHING)))
            usual = np.mean(self._surplus, axis=0)
            surplus, flashing = max(surplus, float(usual[0])), max(flashing, float(usual[1]))
        self._found = Restless(pace, surplus, flashing)
        return self._found


def _apart(one: Statistics, other: Statistics) -> tuple[float, float]:
    return palette_distance(one, other), abs(one.clipped - other.clipped)
