"""The detail of a picture: its Laplacian and its bands, in pieces of some rows of it at full resolution.

What is looked at is a list of pieces of rows, with their two neighbours above and below, so what it costs hardly grows
with the picture. Filters run over whole pieces in 16-bit integers, of 1/64 code value and exact but for the last
shift; what is coarser than single px is looked at in some px.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.core.correction import GREY_TINT
from vjengine.stabilise.colours import Floats
from vjengine.stabilise.copies import Bytes, Copies
from vjengine.stabilise.scratch import Scratch

ROWS = 27
"""Detail is looked at in so many rows of the picture, spread evenly."""
PIECE = 256
"""Of each of these rows in one piece about so wide, each time another: enough for a variance, and cheap. Of a picture
that is alike everywhere the variances of the bands come out within 2, 3 and 4 % (one standard error)."""
STEP = 3
"""Columns between two px of a piece that the middle band is looked at in. It is soft, so what lies between tells little
more; odd, so that no place within its cells is preferred."""
LATTICE = (36, 64)
"""Rows and columns of px, all over the picture, that the coarse band is looked at in: the small copies have it all."""
_NARROW = 64
"""Pictures narrower than this are looked at up to their edge, wider ones but for two px."""
_UNIT = 64
"""Parts of a code value that bands are counted in."""
_RIDGE = 1e-3
"""Share of every colour in a tint: where a picture has one colour only, its noise stays a matrix of full rank."""
_array = Scratch().get

Words = npt.NDArray[np.int16]


def look_closely(copies: Copies) -> tuple[float, float, Floats, Floats]:
    """Return the share of clipped values, the variance of the Laplacian, the variances of the bands, and the tint.

    The mean of a band is nil but for the picture's edge: its variance is its mean square.
    """
    full = copies.full
    height, width, _ = full.shape
    plan = _plan(height, width)
    if plan.margin:
        full = cv2.copyMakeBorder(full, 0, 0, plan.margin, plan.margin, cv2.BORDER_REPLICATE)
    strips = _strips(full, plan)
    line = strips[2].reshape(len(plan.pieces), -1)
    between = cv2.inRange(line, 1, 254, dst=_array("between", line.shape, np.uint8))
    clipped = 1.0 - cv2.countNonZero(between) / line.size

    blur, fine = _blur_and_fine(strips)
    middle = np.subtract(blur[:, ::STEP], _enlarged(copies.quarter, plan.middle), dtype=np.float32)
    coarse = _enlarged(copies.quarter, plan.coarse) - _enlarged(copies.sixteenth, plan.sixteenth)
    few = fine[:, :: 4 * STEP].astype(np.float32)
    moments = [_moments(band) for band in (few, middle, coarse)]
    # Single px are looked at in all px of the pieces: they tell most of all.
    single = cv2.norm(fine.reshape(len(fine), -1), cv2.NORM_L2SQR) * 3.0 / (fine.size * (255.0 * _UNIT) ** 2)
    bands = np.array((single, *((rr + gg + bb) / 255.0**2 for rr, _, gg, _, _, bb in moments[1:])), np.float32)
    rr, rg, gg, rb, gb, bb = (sum(each) for each in zip(*moments, strict=True))
    colours = np.array(((rr, rg, rb), (rg, gg, gb), (rb, gb, bb)))
    return clipped, _laplacian_variance(strips[1:4]), bands, tint_of(colours)


Cells = tuple[npt.NDArray[np.intp], npt.NDArray[np.int16], npt.NDArray[np.uint16]]
"""The rows of a copy that px lie between, and where among these, in the two parts that ``cv2.remap`` takes."""


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """Where to look in pictures of one size.

    Attributes:
        margin: px to be repeated at the left and right edge before.
        width: of a piece, px; with two px more at either end that only the filters see.
        around: ``(5, n)``: the rows two above each, one above, themselves, one below, two below.
        pieces: ``(n,)``: which piece of each row.
        middle: where the px of the middle band lie in the quarter.
        coarse, sixteenth: where the px of the coarse band lie in the quarter and in the sixteenth.
    """

    margin: int
    width: int
    around: npt.NDArray[np.intp]
    pieces: npt.NDArray[np.intp]
    middle: Cells
    coarse: Cells
    sixteenth: Cells


@lru_cache(maxsize=8)
def _plan(height: int, width: int) -> _Plan:
    # An odd distance, so that no place within the bands' cells is preferred.
    step = max(1, height // ROWS) | 1
    rows = np.arange(min(step // 2, height - 1), height, step)
    margin = 2 if width < _NARROW else 0
    count = max(1, round(width / PIECE))
    piece = (width + 2 * margin) // count
    # In the order of the golden section all pieces have their turn, and none keeps to one place in the cells.
    pieces = ((np.arange(len(rows)) * 0.618034) % 1.0 * count).astype(np.intp)
    columns = pieces[:, None] * piece + np.arange(2 - margin, piece - 2 - margin, STEP)
    around = np.clip(rows + np.arange(-2, 3)[:, None], 0, height - 1)
    down, across = (max(1, length // many) | 1 for length, many in zip((height, width), LATTICE, strict=True))
    points = np.arange(min(down // 2, height - 1), height, down)
    along = np.arange(min(across // 2, width - 1), width, across)[None].repeat(len(points), axis=0)
    return _Plan(
        margin,
        piece,
        around,
        pieces,
        middle=_cells(rows, columns, 4, height),
        coarse=_cells(points, along, 4, height),
        sixteenth=_cells(points, along, 16, height),
    )


def _cells(rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], size: int, height: int) -> Cells:
    """Return where px lie in a copy of means over ``size`` px, whose edge is repeated.

    Args:
        rows: ``(n,)``, of the picture.
        columns: ``(n, m)``, of each row.
        size: of the copy's cells.
        height: of the picture.
    """
    last = -(-height // size) - 1
    down = np.clip((rows + 0.5) / size - 0.5, 0.0, last)
    above = down.astype(np.intp)
    pairs = np.stack((above, np.minimum(above + 1, last)), axis=1).ravel()
    x = (columns + 0.5) / size - 0.5
    y = np.broadcast_to((down - above + 2 * np.arange(len(rows)))[:, None], x.shape)
    # Places in 32nds of a cell are exact: they are odd eighths and odd 32nds.
    whole, parts = cv2.convertMaps(x.astype(np.float32), y.astype(np.float32), cv2.CV_16SC2)
    return pairs, whole, parts


def _enlarged(copy: Bytes, cells: Cells) -> Floats:
    """Return a copy enlarged linearly, at the px looked at: ``(n, m, 3)``, parts of a code value."""
    pairs, whole, parts = cells
    lines = np.multiply(np.take(copy, pairs, axis=0), np.float32(_UNIT), dtype=np.float32)
    found: Floats = cv2.remap(lines, whole, parts, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.reshape(*parts.shape, 3)


def _strips(full: Bytes, plan: _Plan) -> Bytes:
    """Return ``(5, n, w, 3)``: the pieces two rows above, one above, themselves, one below and two below."""
    height, width, channels = full.shape
    whole = full[:, : width // plan.width * plan.width].reshape(height, -1, plan.width, channels)
    strips: Bytes = whole[plan.around, plan.pieces]
    if channels == 4:
        lines = strips.reshape(-1, plan.width, 4)
        strips = cv2.cvtColor(lines, cv2.COLOR_RGBA2RGB, dst=_array("rgb", (*lines.shape[:2], 3), np.uint8))
    return strips.reshape(5, -1, plan.width, 3)


def _blur_and_fine(strips: Bytes) -> tuple[Words, Words]:
    """Return the pieces under the binomial, and what it takes away, ``(n, w - 4, 3)`` each, parts of a code value."""
    _, count, width, _ = strips.shape
    end = width * 3
    lines = _array("lines", (5, count, end), np.int16)
    np.copyto(lines, strips.reshape(lines.shape))
    down, part = (_array(name, (count, end), np.int16) for name in ("down", "down part"))
    _binomial(list(lines), down, part)
    # 255 · 256 just fits.
    wide = down.view(np.uint16)
    blur, part = (_array(name, (count, end - 12), np.uint16) for name in ("blur", "blur part"))
    _binomial([wide[:, k : k + end - 12] for k in range(0, 15, 3)], blur, part)
    blur >>= 2
    fine = _array("fine", (count, end - 12), np.int16)
    np.left_shift(lines[2, :, 6:-6], 6, out=fine)
    fine -= blur.view(np.int16)
    return blur.view(np.int16).reshape(count, -1, 3), fine.reshape(count, -1, 3)


def _binomial(five: list[npt.NDArray[Any]], out: npt.NDArray[Any], part: npt.NDArray[Any]) -> None:
    """Write a + 4b + 6c + 4d + e of ``five`` to ``out``; ``part`` is overwritten."""
    a, b, c, d, e = five
    np.add(b, d, out=out)
    out <<= 2
    out += a
    out += e
    out += np.multiply(c, c.dtype.type(6), out=part)


def _laplacian_variance(strips: Bytes) -> float:
    """Return the variance of the Laplacian [0 1 0; 1 -4 1; 0 1 0] of grey at rows whose neighbours are given.

    Args:
        strips: ``(3, n, w, 3)``: above, at and below the rows.
    """
    _, count, width, _ = strips.shape
    lines = strips.reshape(3 * count, width, 3)
    grey = cv2.cvtColor(lines, cv2.COLOR_RGB2GRAY, dst=_array("grey", lines.shape[:2], np.uint8))
    above, row, below = grey.reshape(3, count, -1).astype(np.int16)
    laplacian = above[:, 1:-1] + below[:, 1:-1]
    laplacian += row[:, 2:]
    laplacian += row[:, :-2]
    row <<= 2
    laplacian -= row[:, 1:-1]
    return float(cv2.meanStdDev(laplacian)[1][0, 0]) ** 2


def _moments(band: Floats) -> list[float]:
    """Return the mean products RR, RG, GG, RB, GB, BB of values ``(n, m, 3)``, which are parts of a code value."""
    planes = [plane.ravel() for plane in cv2.split(band)]
    parts = planes[0].size * _UNIT**2
    return [float(np.dot(planes[i], planes[k])) / parts for i in range(3) for k in range(i + 1)]


def tint_of(covariance: npt.NDArray[np.float64]) -> Floats:
    """Return the lower triangle T with T·Tᵀ = ``covariance``, scaled to trace 1: grey where there is nothing."""
    total = float(np.trace(covariance))
    if not total > 1e-3:
        return np.array(GREY_TINT, np.float32).reshape(3, 3)
    (a, _, _), (b, c, _), (d, e, f) = (covariance / total * (1.0 - _RIDGE) + np.eye(3) * (_RIDGE / 3.0)).tolist()
    # Cholesky's, written out: of three by three it is a matter of a few numbers.
    first = math.sqrt(a)
    b, d = b / first, d / first
    second = math.sqrt(c - b * b)
    e = (e - d * b) / second
    return np.array(((first, 0, 0), (b, second, 0), (d, e, math.sqrt(f - d * d - e * e))), np.float32)
