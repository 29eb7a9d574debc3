"""The detail of a picture: its Laplacian and its bands, in some rows of it at full resolution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.core.correction import GREY_TINT
from vjengine.stabilise.colours import Floats
from vjengine.stabilise.copies import Bytes, Copies
from vjengine.stabilise.scratch import Scratch

ROWS = 18
"""Detail is looked at in so many rows of the picture, spread evenly: enough for a variance, and a tenth of the work."""
_ACROSS = np.array((1, 4, 6, 4, 1), np.float32) / 256
"""Binomial, after a column of the same that was not divided yet."""
_ONE = np.ones(1, np.float32)
_BETWEEN = 0.2205
"""Linear interpolation at share x keeps 1 - 2x(1 - x)(1 - cos w) of the variance at frequency w: in the mean over the
four px of a cell, x = ±1/8 and ±3/8, as much as at this one."""
_ENOUGH = 1000
"""Samples that the colours of a band are taken from."""
_RIDGE = 1e-3
"""Share of every colour in a tint: where a picture has one colour only, its noise stays a matrix of full rank."""
_array = Scratch().get


def look_closely(copies: Copies) -> tuple[float, float, Floats, Floats]:
    """Return the share of clipped values, the variance of the Laplacian, the variances of the bands, and the tint.

    The mean of a band is nil but for the picture's edge: its variance is its mean square.
    """
    full = copies.full
    height, width, channels = full.shape
    plan = _plan(height)
    count = plan.count
    strips = np.take(
        full, plan.around, axis=0, out=_array("strips", (5 * count, width, channels), np.uint8), mode="clip"
    )
    if channels == 4:
        strips = cv2.cvtColor(strips, cv2.COLOR_RGBA2RGB, dst=_array("rgb", (5 * count, width, 3), np.uint8))
    grey = _array("grey", (3 * count, width), np.uint8)
    grey = cv2.cvtColor(strips[count : 4 * count], cv2.COLOR_RGB2GRAY, dst=grey).reshape(3, count, width)
    outer, inner, line, inner_too, outer_too = strips.reshape(5, count, width, 3)
    size = (count, width, 3)
    # Both ends at once: 255 + 1 is 0.
    ends = np.add(line[::2], np.uint8(1))
    clipped = np.count_nonzero(ends <= 1) / ends.size

    down = np.add(inner, inner_too, out=_array("down", size, np.int16), dtype=np.int16)
    down <<= 2
    part = np.add(outer, outer_too, out=_array("part", size, np.int16), dtype=np.int16)
    down += part
    down += np.multiply(line, np.int16(6), out=part, dtype=np.int16)
    blur = _array("blur", size, np.float32)
    blur = cv2.sepFilter2D(down, cv2.CV_32F, _ACROSS, _ONE, dst=blur, borderType=cv2.BORDER_REPLICATE).reshape(size)
    fine = np.subtract(line, blur, out=_array("fine", size, np.float32), dtype=np.float32)
    lines = _between(copies.quarter, plan.quarter)
    wide = (lines.shape[1] * 4, count)
    quarter = cv2.resize(lines, wide, dst=_array("quarter", (count, wide[0], 3), np.float32))
    middle = np.subtract(blur, quarter.reshape(count, -1, 3)[:, :width], out=blur)
    coarse = lines - _widened(_between(copies.sixteenth, plan.sixteenth), lines.shape[1])
    # Seen between the quarter's px as often and as far as the picture's px are.
    coarse[:, :-1] += np.float32(_BETWEEN) * (coarse[:, 1:] - coarse[:, :-1])
    bands = np.array([_mean_square(fine), _mean_square(middle), _mean_square(coarse)])
    colours = _moments(fine) + _moments(middle) + _moments(coarse)
    return clipped, _laplacian_variance(grey), (3.0 / 255.0**2 * bands).astype(np.float32), tint_of(colours)


Lines = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Floats]


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where to look in pictures of one height.

    Attributes:
        count: number of rows looked at.
        around: the rows two above each, one above, themselves, one below, two below.
        quarter, sixteenth: the two rows of the copy that each lies between, and the share of the second.
    """

    count: int
    around: npt.NDArray[np.intp]
    quarter: Lines
    sixteenth: Lines


@lru_cache(maxsize=8)
def _plan(height: int) -> _Plan:
    # An odd distance, so that no place within the bands' cells is preferred.
    step = max(1, height // ROWS) | 1
    rows = np.arange(min(step // 2, height - 1), height, step)
    around = np.clip(rows + np.arange(-2, 3)[:, None], 0, height - 1).ravel()
    return _Plan(len(rows), around, _lines(rows, 4, height), _lines(rows, 16, height))


def _lines(rows: npt.NDArray[np.intp], size: int, height: int) -> Lines:
    """Return which rows of a copy, means over ``size`` px, the rows lie between."""
    last = -(-height // size) - 1
    at = np.clip((rows + 0.5) / size - 0.5, 0.0, last)
    above = at.astype(np.intp)
    return above, np.minimum(above + 1, last), (at - above).astype(np.float32)[:, None, None]


def _between(cells: Bytes, lines: Lines) -> Floats:
    """Return what lies at the rows ``lines``, the copy enlarged linearly downwards, ``(n, w, 3)``."""
    above, below, share = lines
    found: Floats = cells[above].astype(np.float32)
    found += share * (cells[below] - found)
    return found


def _widened(lines: Floats, width: int) -> Floats:
    """Return rows of the sixteenth enlarged to the quarter's width."""
    wide: Floats = cv2.resize(lines, (lines.shape[1] * 4, len(lines)), interpolation=cv2.INTER_LINEAR)
    return wide.reshape(len(lines), -1, 3)[:, :width]


def _laplacian_variance(grey: Bytes) -> float:
    """Return the variance of the Laplacian [0 1 0; 1 -4 1; 0 1 0] at rows whose neighbours are given.

    Args:
        grey: ``(3, n, W)`` uint8: above, at and below the rows.
    """
    if grey.shape[2] < 3:
        grey = np.repeat(grey, 3, axis=2)
    above, row, below = grey.astype(np.float32)
    laplacian = above[:, 1:-1] + below[:, 1:-1]
    laplacian += row[:, 2:]
    laplacian += row[:, :-2]
    row *= 4.0
    laplacian -= row[:, 1:-1]
    mean = cv2.mean(laplacian)[0]
    return max(_mean_square(laplacian) - mean * mean, 0.0)


def _mean_square(values: Floats) -> float:
    flat = values.ravel()
    return float(np.dot(flat, flat)) / flat.size


def _moments(values: Floats) -> npt.NDArray[np.float64]:
    """Return ``(3, 3)`` mean products of RGB values ``(n, W, 3)``, of some of them."""
    some = values.reshape(-1, 3)
    some = np.ascontiguousarray(some[:: max(1, len(some) // _ENOUGH) | 1].T)
    return (some @ some.T).astype(np.float64) / some.shape[1]


def tint_of(covariance: npt.NDArray[np.float64]) -> Floats:
    """Return the lower triangle T with T·Tᵀ = ``covariance``, scaled to trace 1: grey where there is nothing."""
    total = float(np.trace(covariance))
    if not total > 1e-3:
        return np.array(GREY_TINT, np.float32).reshape(3, 3)
    colours = covariance / total * (1.0 - _RIDGE) + np.eye(3) * (_RIDGE / 3.0)
    triangle: Floats = np.linalg.cholesky(colours).astype(np.float32)
    return triangle
