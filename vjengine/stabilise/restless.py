"""How much a scene changes by itself: a pulsing tunnel is not a drift."""

from __future__ import annotations

from collections import deque

import numpy as np

from vjengine.stabilise.palette import palette_distance
from vjengine.stabilise.statistics import Statistics

_APART = 15
"""Frames between two pictures that are compared: a collapse goes far in that time only while it happens."""
_MEMORY = 90
"""Frames that the scene is judged by; a collapse that takes less than half of it does not count as the scene's way."""


class Restlessness:
    """Compares pictures half a second apart, in the median of some seconds: slow for a drift, and fast for a pulse."""

    def __init__(self) -> None:
        self._seen: deque[Statistics] = deque(maxlen=_APART + 1)
        self._palette: deque[float] = deque(maxlen=_MEMORY)
        self._clipped: deque[float] = deque(maxlen=_MEMORY)

    def reset(self) -> None:
        """Forget: another scene."""
        self._seen.clear()
        self._palette.clear()
        self._clipped.clear()

    def step(self, found: Statistics) -> tuple[float, float]:
        """Take the next picture; return the usual change of its palette (CIELAB units) and of its clipped share."""
        self._seen.append(found)
        if len(self._seen) > _APART:
            then = self._seen[0]
            self._palette.append(palette_distance(found, then))
            self._clipped.append(abs(found.clipped - then.clipped))
        if not self._palette:
            return 0.0, 0.0
        return float(np.median(self._palette)), float(np.median(self._clipped))
