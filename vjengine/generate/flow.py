"""Motion from one picture to the next, so that a slow generator can be shown moving at the display's rate.

Dense inverse search (T. Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016) finds it both ways
at a small size. What both ways and the pictures themselves agree on is carried to the moment half way between the two
and gathered there, weighted by how well it agrees (after S. Niklaus and F. Liu, "Softmax splatting for video frame
interpolation", CVPR 2020): a field that lies half way serves the whole time between two pictures best, and where
nothing agrees its vectors shrink to nothing, which means a plain cross-fade.
"""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from vjengine.core.frame import Flow, Pixels, flow_shape

log = logging.getLogger(__name__)

LEAST_AGREED = 0.25
"""Share of the picture that must be found again in the other one; below it this is a cut, and nothing moved."""

_AREA = 104 * 104  # px at which motion is looked for: what a picture in 2-3 ms allows
_SIDES = (32, 448)  # px: bounds of a side there, for long and narrow pictures
_STEP = 2  # px there between vectors: what dense inverse search finds at its finest scale of 1
_GREY = 24.0  # steps of 255 by which a place and the one it moved to may differ
_STRAY = 1.5  # px there by which there and back may miss the start, and more for long ways
_LONGEST = 0.4  # widths or heights: what seems to go further was not found again, it is another thing
_DOUBT, _TRUST = 0.2, 0.5  # agreement below the one moves nothing, above the other everything

Field = npt.NDArray[np.float32]


class FlowMeter:
    """Measures the motion from each picture to the next. Not for several threads at once.

    The same pictures in the same order give the same bytes. About 2.5 ms a picture of 512x512 px on one core.

    Args:
        size: (width, height) in px of the pictures.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        scale = min(1.0, math.sqrt(_AREA / (size[0] * size[1])))
        width, height = (min(max(round(side * scale), _SIDES[0]), _SIDES[1]) for side in size)
        self._work = (width, height)
        self._grid = (-(-width // _STEP), -(-height // _STEP))
        x, y = np.meshgrid(np.arange(0, width, _STEP), np.arange(0, height, _STEP))
        self._at = np.stack([x, y], axis=-1).astype(np.float32)
        self._longest = _LONGEST * np.array(self._work, np.float32)
        self._last: Pixels | None = None
        self._search: Any = None
        self._cv2 = _opencv()
        if self._cv2 is not None:
            self._search = self._cv2.DISOpticalFlow_create(self._cv2.DISOPTICAL_FLOW_PRESET_FAST)
            self._search.setFinestScale(1)
            self._search.setVariationalRefinementIterations(0)

    def measure(self, pixels: Pixels) -> Flow | None:
        """Return the motion from the picture measured before to ``pixels``.

        Args:
            pixels: ``(H, W, 4)`` uint8 of the meter's size; not kept.

        Returns:
            ``flow_shape(size)`` float16, read-only, as :attr:`~vjengine.core.frame.Frame.flow` wants it, seen half
            way between the two; None for the first picture, after a cut, and without OpenCV.

        Raises:
            ValueError: if ``pixels`` are of another size or kind.
        """
        width, height = self._size
        if pixels.shape != (height, width, 4) or pixels.dtype != np.uint8:
            raise ValueError(f"a picture to measure is ({height}, {width}, 4) uint8, not {pixels.shape} {pixels.dtype}")
        if self._cv2 is None:
            return None
        last, self._last = self._last, self._small(self._cv2.cvtColor(pixels, self._cv2.COLOR_RGBA2GRAY))
        return None if last is None else self._between(last, self._last)

    def _small(self, grey: Pixels) -> Pixels:
        """Return ``grey`` at the size at which motion is looked for."""
        width, height = self._size
        # Halving exactly costs a tenth of an odd ratio.
        while not (width % 2 or height % 2) and width >= 2 * self._work[0] and height >= 2 * self._work[1]:
            width, height = width // 2, height // 2
            grey = self._cv2.resize(grey, (width, height), interpolation=self._cv2.INTER_AREA)
        return np.asarray(self._cv2.resize(grey, self._work, interpolation=self._cv2.INTER_AREA), np.uint8)

    def _between(self, last: Pixels, new: Pixels) -> Flow | None:
        """Return the field half way from ``last`` to ``new``, or None after a cut."""
        forth = np.asarray(self._search.calc(last, new, None), np.float32)
        back = np.asarray(self._search.calc(new, last, None), np.float32)
        gathered = np.zeros((self._grid[1] * self._grid[0], 3))
        agreed = 0.0
        for start, end, way, other, sign in ((last, new, forth, back, 1.0), (new, last, back, forth, -1.0)):
            way = np.ascontiguousarray(way[::_STEP, ::_STEP])
            weight = self._agreement(start, end, way, other)
            agreed += 0.5 * float(weight.mean())
            self._gather(gathered, way, weight, sign)
        if agreed < LEAST_AGREED:
            return None
        columns, rows = self._grid
        field = gathered.reshape(rows, columns, 3).astype(np.float32)
        border = self._cv2.BORDER_REPLICATE
        field = np.asarray(self._cv2.GaussianBlur(field, (5, 5), 1.0, borderType=border), np.float32)
        weight = field[..., 2:]
        trust = np.clip((weight - _DOUBT) / (_TRUST - _DOUBT), 0.0, 1.0)
        trust *= trust * (3.0 - 2.0 * trust)
        vectors = field[..., :2] * (trust / np.maximum(weight, _DOUBT)) / np.array(self._work, np.float32)
        rows, columns, _ = flow_shape(self._size)
        shrinks = columns < self._grid[0] and rows < self._grid[1]
        how = self._cv2.INTER_AREA if shrinks else self._cv2.INTER_LINEAR
        flow = np.asarray(self._cv2.resize(vectors, (columns, rows), interpolation=how)).astype(np.float16)
        flow.flags.writeable = False
        return flow

    def _agreement(self, start: Pixels, end: Pixels, way: Field, other: Field) -> Field:
        """Return 0-1 for each vector of ``way``: how alike both its ends are, and how near the way back ends."""
        there = self._at + way
        options = {"interpolation": self._cv2.INTER_LINEAR, "borderMode": self._cv2.BORDER_REPLICATE}
        found = self._cv2.remap(end, there, None, **options).astype(np.float32)
        returned = way + self._cv2.remap(other, there, None, **options)
        missed = (returned * returned).sum(axis=-1) / (_STRAY * _STRAY + 0.05 * (way * way).sum(axis=-1))
        unlike = np.abs(found - start[::_STEP, ::_STEP]) / _GREY
        near = (np.abs(way) <= self._longest).all(axis=-1)
        return np.asarray(np.exp(-unlike - missed) * near, np.float32)

    def _gather(self, gathered: npt.NDArray[np.float64], way: Field, weight: Field, sign: float) -> None:
        """Add the vectors of ``way``, times ``sign`` and weighted, to the cells they pass half way; sum up weights."""
        columns, rows = self._grid
        cell = np.floor((self._at + 0.5 * way) * (1.0 / _STEP) + 0.5).astype(np.intp)
        inside = (cell[..., 0] >= 0) & (cell[..., 0] < columns) & (cell[..., 1] >= 0) & (cell[..., 1] < rows)
        index = (cell[..., 1] * columns + cell[..., 0])[inside]
        weights = weight[inside]
        vectors = way[inside] * (sign * weights)[:, None]
        for part, values in enumerate((vectors[:, 0], vectors[:, 1], weights)):
            gathered[:, part] += np.bincount(index, values, rows * columns)


def _opencv() -> Any:
    """Return the module, or None; what is missing is said, and how to get it."""
    try:
        import cv2
    except ImportError as error:
        log.info("pictures are cross-faded, without motion: %s. Install it with: pip install 'vjengine[turbo]'", error)
        return None
    return cv2
