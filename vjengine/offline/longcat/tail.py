"""With which of its last pictures a chunk ends: the next one is made of it, so the best is none too good."""

from __future__ import annotations

import numpy as np

from vjengine.offline.continuation import Pixels16
from vjengine.stabilise.palette import detail_change, palette_distance
from vjengine.stabilise.statistics import Statistics, measure

_DETAIL = 4.0
"""CIELAB units that a halving of detail counts as much as."""
_EARLIER = 0.1
"""What each picture thrown away must gain: work is not wasted for nothing."""


def best_end(frames: Pixels16, count: int, anchor: Statistics | None) -> int:
    """Return how many pictures of a chunk are kept.

    Args:
        frames: ``(n, H, W, 3)``.
        count: last pictures among which the end is looked for; 1 keeps all.
        anchor: of the scene's first pictures; None takes the chunk's own first picture.
    """
    count = min(count, len(frames) - 1)
    if count <= 1:
        return len(frames)
    like = anchor or measure(_bytes(frames[0]))
    costs = []
    for back in range(count):
        found = measure(_bytes(frames[-1 - back]))
        costs.append(palette_distance(found, like) + _DETAIL * abs(detail_change(found, like)) + _EARLIER * back)
    return len(frames) - int(np.argmin(costs))


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.rint(picture / np.float32(257)).astype(np.uint8)
