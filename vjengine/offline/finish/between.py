"""Pictures between two others, along the motion from one to the next.

Dense inverse search (T. Kroeger et al., ECCV 2016) finds the motion both ways at about half the size. Both fields are
carried to the moment that is wanted, each vector weighted by how well there and back and the pictures agree (after
S. Niklaus and F. Liu, "Softmax splatting for video frame interpolation", CVPR 2020); where nothing lands, the
neighbourhood fills in. Both pictures are then fetched along that one field and blended by nearness in time. A pixel
that is known to belong somewhere else, as what a passing thing is about to cover does, counts little, so edges do not
ghost. Between two shots nothing moves: the first is held.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels8 = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float32]

_AREA = 640 * 360  # px at which motion is looked for, about
_FEW = 400 * 225  # px that are enough for small pictures: a fifth of a dB for half of the time
_LEAST = 32  # px: shortest side there
_STEP = 2  # px there between vectors: what dense inverse search finds at its finest scale of 1
_GREY = 24.0  # steps of 255 by which a place and the one it moved to may differ
_STRAY = 2.25  # px² by which there and back may miss the start, and more for long ways
_FLOOR = 1e-3  # weight of vectors that nothing confirms
_FAR = 0.01  # weight of the wider neighbourhood, which fills holes
_FAINT = 0.02  # weight left to a pixel that belongs somewhere else

CUT_AGREED = 0.14
"""Share of the picture that must be found again in the next one; below it, and if colours moved, this is a cut."""

CUT_CHANGED = 0.06
"""Mean difference (0-1) of two small, blurred copies from which two pictures can be two shots."""


CUT_ALIKE = 0.8
"""Correlation of the same copies from which it is one shot in another light: a flash on the beat is no cut."""


@dataclass(frozen=True, slots=True)
class _View:
    """A picture as given, with a fourth channel, grey at the work size, and tiny ``(18, 32, 3)``."""

    given: Pixels8
    colours: Pixels8
    small: Pixels8
    tiny: Field


@dataclass(frozen=True, slots=True)
class _Motion:
    """Vectors from one picture to another, how sure each is, and ``(x, y, 1)`` from first to second times that."""

    way: Field
    sure: Field
    parts: npt.NDArray[np.float64]


class Between:
    """Makes pictures between two; not for several threads at once. The same pictures give the same bytes.

    Args:
        size: (width, height) of the pictures, px.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        width, height = size
        shrink = _shrink(width * height)
        work = (max(_LEAST, int(width / shrink)), max(_LEAST, int(height / shrink)))
        self._size, self._work = size, work
        self._scale = np.array([width / work[0], height / work[1]], np.float32)
        self._grid = np.ascontiguousarray(_places(work)[::_STEP, ::_STEP])
        rows, columns = self._grid.shape[:2]
        # One cell of border takes what leaves the picture; half a cell more rounds by cutting off.
        self._cells = np.mgrid[1 : rows + 1, 1 : columns + 1].astype(np.float32).reshape(2, -1) + np.float32(0.5)
        library: Any = cv2  # its stubs do not know this part
        self._search = library.DISOpticalFlow_create(library.DISOPTICAL_FLOW_PRESET_FAST)
        self._search.setFinestScale(1)
        self._search.setGradientDescentIterations(8)
        self._search.setVariationalRefinementIterations(0)
        nothing, nowhere = np.zeros((0, 0, 3), np.uint8), np.zeros((0, 0, 2), np.float32)
        self._first = self._second = _View(nothing, nothing, nothing, nowhere)
        self._forth = self._back = _Motion(nowhere, nowhere, np.zeros((3, 0)))
        # Kept from picture to picture: asking the system for fresh memory costs a tenth of the time.
        self._way = np.zeros((2, height, width), np.float32)
        self._fetched = np.zeros((2, height, width, 4), np.uint8)
        self._weights = np.zeros((2, height, width), np.float32)
        self._blended = np.zeros((height, width, 4), np.uint8)
        self.agreed = 0.0
        self.changed = 0.0
        self.alike = 0.0

    def look(self, first: Pixels8, second: Pixels8) -> bool:
        """Find the motion from ``first`` to ``second``, each ``(H, W, 3)`` uint8.

        Returns:
            False if this is a cut, or if nothing changes at all: then there is nothing in between.
        """
        # What was second is first as a rule.
        before = self._second if first is self._second.given else self._view(first)
        after = self._view(second)
        self._first, self._second = before, after
        self.changed = float(np.abs(before.tiny - after.tiny).mean() / 255.0)
        if self.changed == 0.0 and np.array_equal(first, second):
            self.agreed = 1.0
            return False
        forth = np.asarray(self._search.calc(before.small, after.small, None), np.float32)
        back = np.asarray(self._search.calc(after.small, before.small, None), np.float32)
        self._forth = self._motion(before.small, after.small, forth, back, 1.0)
        self._back = self._motion(after.small, before.small, back, forth, -1.0)
        self.agreed = 0.5 * float(self._forth.sure.mean() + self._back.sure.mean())
        self.alike = _alike(before.tiny, after.tiny)
        return not (self.agreed < CUT_AGREED and self.changed > CUT_CHANGED and self.alike < CUT_ALIKE)

    def at(self, share: float) -> Pixels8:
        """Return the picture ``share`` (0-1) of the way from the first to the second."""
        field = self._field(share)
        one, two = self._fetched
        self._along(self._first.colours, -share, field, one)
        self._along(self._second.colours, 1.0 - share, field, two)
        left = (1.0 - share) * self._fits(self._forth, self._grid - share * field, field)
        right = share * self._fits(self._back, self._grid + (1.0 - share) * field, -field)
        for part, weights in zip((left, right), self._weights, strict=True):
            cv2.resize(part, self._size, dst=weights, interpolation=cv2.INTER_LINEAR)
        cv2.blendLinear(one, two, self._weights[0], self._weights[1], dst=self._blended)
        return np.asarray(cv2.cvtColor(self._blended, cv2.COLOR_RGBA2RGB), np.uint8)

    def _along(self, picture: Pixels8, share: float, field: Field, target: Pixels8) -> None:
        """Fetch ``picture`` from ``share`` of the way along ``field`` away, into ``target``."""
        for axis, way in enumerate(self._way):
            short = field[..., axis] * np.float32(self._scale[axis] * share)
            cv2.resize(short, self._size, dst=way, interpolation=cv2.INTER_LINEAR)
        how = cv2.INTER_LINEAR | cv2.WARP_RELATIVE_MAP
        across, down = self._way
        cv2.remap(picture, across, down, dst=target, interpolation=how, borderMode=cv2.BORDER_REPLICATE)

    def _view(self, pixels: Pixels8) -> _View:
        # Four channels are fetched a third faster than three.
        colours = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA), np.uint8)
        small = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
        if self._work != self._size:
            small = np.asarray(cv2.resize(small, self._work, interpolation=cv2.INTER_AREA), np.uint8)
        tiny = np.asarray(cv2.resize(pixels, (32, 18), interpolation=cv2.INTER_AREA), np.float32)
        return _View(pixels, colours, small, tiny)

    def _motion(self, start: Pixels8, end: Pixels8, way: Field, other: Field, sign: float) -> _Motion:
        """Keep ``way``, and 0-1 for each vector: how alike both its ends are, and how near the way back ends."""
        coarse = np.ascontiguousarray(way[::_STEP, ::_STEP])
        there = self._grid + coarse
        unlike = cv2.absdiff(_fetch(end, there), np.ascontiguousarray(start[::_STEP, ::_STEP])) * np.float32(1 / _GREY)
        missed = _square(coarse + _fetch(other, there)) / (_STRAY + 0.05 * _square(coarse))
        sure = np.asarray(np.exp(-unlike - missed), np.float32) + np.float32(_FLOOR)
        parts = np.stack([sign * coarse[..., 0] * sure, sign * coarse[..., 1] * sure, sure]).astype(np.float64)
        return _Motion(coarse, sure, parts.reshape(3, -1))

    def _field(self, share: float) -> Field:
        """Return where what is seen at ``share`` comes from and goes to: the whole way, in px of the work size."""
        rows, columns = self._grid.shape[:2]
        wide = columns + 2
        sums = np.zeros((3, (rows + 2) * wide))
        for motion, passed in ((self._forth, share), (self._back, 1.0 - share)):
            x, y = (motion.way[..., axis].reshape(-1) * np.float32(passed / _STEP) for axis in (0, 1))
            x += self._cells[1]
            y += self._cells[0]
            np.clip(x, 0, columns + 1, out=x)
            np.clip(y, 0, rows + 1, out=y)
            cell = y.astype(np.intp) * wide + x.astype(np.intp)
            for total, values in zip(sums, motion.parts, strict=True):
                total += np.bincount(cell, values, total.size) * (1.0 - passed)
        inside = sums.reshape(3, rows + 2, wide)[:, 1:-1, 1:-1].astype(np.float32)
        gathered = np.asarray(cv2.merge([np.ascontiguousarray(plane) for plane in inside]), np.float32)
        near = cv2.GaussianBlur(gathered, (5, 5), 1.0, borderType=cv2.BORDER_REPLICATE)
        near += np.float32(_FAR) * cv2.blur(gathered, (31, 31), borderType=cv2.BORDER_REPLICATE)
        return np.ascontiguousarray(near[..., :2] / np.maximum(near[..., 2:], 1e-6))

    def _fits(self, motion: _Motion, place: Field, field: Field) -> Field:
        """Return how well what lies at ``place`` fits ``field``: little, if it surely goes another way."""
        cells = place * np.float32(1 / _STEP)
        strays = _square(_fetch(motion.way, cells) - field) / (_STRAY + 0.05 * _square(field))
        known = _fetch(motion.sure, cells)
        return np.asarray(np.exp(-strays * known * known), np.float32) + np.float32(_FAINT)


def _shrink(area: int) -> float:
    """Return by how much pictures of so many px are made smaller to find their motion: about 2, up to 1280x720."""
    large = round(math.sqrt(area / _AREA))
    return large if large >= 2 else max(1.0, min(2.0, math.sqrt(area / _FEW)))


def _places(size: tuple[int, int]) -> Field:
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    return np.ascontiguousarray(np.stack([x, y], axis=-1))


def _fetch(picture: Any, place: Field) -> Any:
    return cv2.remap(picture, place, None, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _square(vectors: Field) -> Field:
    return np.asarray(vectors[..., 0] * vectors[..., 0] + vectors[..., 1] * vectors[..., 1], np.float32)


def _alike(first: Field, second: Field) -> float:
    """Return the correlation of two small pictures, which does not mind how bright either is: -1 to 1."""
    one, two = (picture - picture.mean(axis=(0, 1)) for picture in (first, second))
    return float((one * two).sum() / max(1e-6, math.sqrt(float((one * one).sum()) * float((two * two).sum()))))
