"""How pictures move from one to the next: as a whole, at all, or back and forth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.stabilise.copies import Bytes, Copies, make_copies

_PX = 8.0
"""px of a 256 × 144 copy that one px stands for where flow is looked for. The fast preset never looks any closer; given
the copy it works on, it need not make and enlarge copies by itself."""
_STILL = 0.05
"""Mean difference, 8-bit values, below which nothing moves."""
_SEEN = 0.5
"""Mean difference, 8-bit values, below which there is no flicker to speak of."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How one picture differs from those before it.

    Attributes:
        motion: median length of the optical flow from the last picture, px of a 256 × 144 copy.
        difference: mean difference from the last picture, 8-bit values of a 256 × 144 copy.
        flicker: 1 - (difference from the last but one) / (mean of the last two differences), no less than 0: 1 where
            two pictures take turns, 0 where things move or change for good.
    """

    motion: float = 0.0
    difference: float = 0.0
    flicker: float = 0.0


class Movement:
    """Compares each picture with the two before it. The first of a size has nothing to compare with: zeros."""

    def __init__(self) -> None:
        # Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016.
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._flow.setFinestScale(0)
        self.reset()

    def reset(self) -> None:
        """Forget the pictures seen: the next one begins."""
        self._size: tuple[int, ...] = ()
        self._grey: Bytes | None = None
        self._last: Bytes | None = None
        self._before: Bytes | None = None
        self._difference = 0.0

    def step(self, pixels: npt.NDArray[Any] | Copies) -> Moved:
        """Compare the next picture.

        Args:
            pixels: what :func:`~vjengine.stabilise.copies.make_copies` takes, or what it made.
        """
        copies = pixels if isinstance(pixels, Copies) else make_copies(pixels)
        if copies.full.shape[:2] != self._size:
            self.reset()
            self._size = copies.full.shape[:2]
        small = copies.small
        grey = _quartered(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        moved = Moved()
        if self._last is not None and self._grey is not None:
            difference = _apart(small, self._last)
            moved = Moved(
                motion=self._motion(self._grey, grey) if difference > _STILL else 0.0,
                difference=difference,
                flicker=self._flicker(small, difference),
            )
        self._grey, self._before, self._last = grey, self._last, small
        self._difference = moved.difference
        return moved

    def _motion(self, last: Bytes, grey: Bytes) -> float:
        flow = self._flow.calc(last, grey, None)
        # The middle one of an even number: the mean of two is no truer.
        length = np.sort(cv2.magnitude(flow[..., 0], flow[..., 1]), axis=None)
        found = float(length[length.size // 2]) * _PX
        return found if math.isfinite(found) else 0.0

    def _flicker(self, small: Bytes, difference: float) -> float:
        beside = (difference + self._difference) / 2
        if self._before is None or beside < _SEEN:
            return 0.0
        return max(0.0, 1.0 - _apart(small, self._before) / beside)


def _quartered(grey: Bytes) -> Bytes:
    """Return means over 4 × 4 px, halved twice as the flow's own pyramid is."""
    for _ in range(2):
        grey = cv2.resize(grey, (grey.shape[1] // 2, grey.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return grey


def _apart(a: Bytes, b: Bytes) -> float:
    """Return the mean difference of two pictures of one size."""
    return float(cv2.norm(a, b, cv2.NORM_L1)) / a.size
