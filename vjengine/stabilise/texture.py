"""The detail of a picture: its Laplacian and its bands, in pieces of some rows of it at full resolution.

What is looked at is a list of pieces of rows, with their two neighbours above and below, so what it costs hardly grows
with the picture. Filters run over whole pieces and are exact; what is coarser than single px is looked at in some px.
Calls are what most of the time goes into, so the px of all bands lie side by side in one array.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

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
_BINOMIAL = np.array((1, 4, 6, 4, 1), np.float32) / 256
"""Along a row; down the rows it is counted in sixteenths."""
_HERE = np.ones(1, np.float32)
_RIDGE = 1e-3
"""Share of every colour in a tint: where a picture has one colour only, its noise stays a matrix of full rank."""
_array = Scratch().get


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
    quarter, sixteenth = _enlarged(copies.quarter, plan.quarter), _enlarged(copies.sixteenth, plan.sixteenth)
    here, some = (
        _array(name, (len(blur), len(at), 3), np.float32) for name, at in (("here", plan.looked), ("some", plan.some))
    )
    blur.take(plan.looked, axis=1, out=here, mode="clip")
    fine.take(plan.some, axis=1, out=some, mode="clip")
    few, middle = some.size, some.size + here.size
    # The products of four px at once are found faster than those of one; what is missing of the last four is nil.
    count = few + quarter.size
    seen = _array("seen", (-(-count // 12) * 12,), np.float32)
    seen[count:] = 0.0
    first, second, third = seen[:few], seen[few:middle], seen[middle:count]
    np.multiply(some.ravel(), math.sqrt(3.0 / few), out=first)
    np.subtract(here.ravel(), quarter[: here.size], out=second)
    second *= math.sqrt(3.0 / second.size)
    np.subtract(quarter[here.size :], sixteenth, out=third)
    third *= math.sqrt(3.0 / third.size)
    four = seen.reshape(-1, 12)
    products = (four.T @ four).astype(np.float64)
    colours = products[:3, :3] + products[3:6, 3:6] + products[6:9, 6:9] + products[9:, 9:]
    # Single px are looked at in all px of the pieces: they tell most of all.
    fine = fine[:, 2:-2].reshape(len(fine), -1)
    single = cv2.norm(fine, cv2.NORM_L2SQR) * 3.0 / fine.size
    bands = np.array((single, np.dot(second, second), np.dot(third, third)), np.float32)
    bands /= 255.0**2
    return clipped, _laplacian_variance(strips[1:4]), bands, tint_of(colours)


Cells = tuple[npt.NDArray[np.intp], Floats, Floats]
"""The rows of a copy that px lie between, and where among these: across and down, as ``cv2.remap`` takes them."""


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """Where to look in pictures of one size.

    Attributes:
        margin: px to be repeated at the left and right edge before.
        width: of a piece, px; with two px more at either end that only the filters see.
        around: ``(5, n)``: the rows two above each, one above, themselves, one below, two below.
        pieces: ``(n,)``: which piece of each row.
        looked, some: columns of a piece that the middle band and the colours of the fine band are looked at in.
        quarter: where the px of the middle band, then those of the coarse band, lie in the quarter.
        sixteenth: where the px of the coarse band lie in the sixteenth.
    """

    margin: int
    width: int
    around: npt.NDArray[np.intp]
    pieces: npt.NDArray[np.intp]
    looked: npt.NDArray[np.intp]
    some: npt.NDArray[np.intp]
    quarter: Cells
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
    looked = np.arange(2, piece - 2, STEP)
    columns = pieces[:, None] * piece - margin + looked
    around = np.clip(rows + np.arange(-2, 3)[:, None], 0, height - 1)
    down, across = (max(1, length // many) | 1 for length, many in zip((height, width), LATTICE, strict=True))
    points = np.arange(min(down // 2, height - 1), height, down)
    along = np.arange(min(across // 2, width - 1), width, across)[None].repeat(len(points), axis=0)
    middle, coarse = (rows, columns), (points, along)
    quarter, sixteenth = _cells((middle, coarse), 4, height), _cells((coarse,), 16, height)
    return _Plan(margin, piece, around, pieces, looked, looked[::4], quarter, sixteenth)


def _cells(grids: Sequence[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]], size: int, height: int) -> Cells:
    """Return where px lie in a copy of means over ``size`` px, whose edge is repeated.

    Args:
        grids: each with rows of the picture, ``(n,)``, and the columns of each row, ``(n, m)``.
        size: of the copy's cells.
        height: of the picture.
    """
    last = -(-height // size) - 1
    down = np.clip((np.concatenate([rows for rows, _ in grids]) + 0.5) / size - 0.5, 0.0, last)
    above = down.astype(np.intp)
    pairs = np.stack((above, np.minimum(above + 1, last)), axis=1).ravel()
    # Places are odd eighths and odd 32nds of a cell: exact, whether they are taken as floats or rounded to 32nds.
    x = np.concatenate([(columns.ravel() + 0.5) / size - 0.5 for _, columns in grids])
    y = np.repeat(down - above + 2 * np.arange(len(down)), np.concatenate([[c.shape[1]] * len(c) for _, c in grids]))
    return pairs, x.astype(np.float32)[None], y.astype(np.float32)[None]


def _enlarged(copy: Bytes, cells: Cells) -> Floats:
    """Return a copy enlarged linearly, at the px looked at, all in a row: ``(3n,)``, code values."""
    pairs, across, down = cells
    lines = np.take(copy, pairs, axis=0).astype(np.float32)
    found: Floats = cv2.remap(lines, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.ravel()


def _strips(full: Bytes, plan: _Plan) -> Bytes:
    """Return ``(5, n, w, 3)``: the pieces two rows above, one above, themselves, one below and two below."""
    height, width, channels = full.shape
    whole = full[:, : width // plan.width * plan.width].reshape(height, -1, plan.width, channels)
    strips: Bytes = whole[plan.around, plan.pieces]
    if channels == 4:
        lines = strips.reshape(-1, plan.width, 4)
        strips = cv2.cvtColor(lines, cv2.COLOR_RGBA2RGB, dst=_array("rgb", (*lines.shape[:2], 3), np.uint8))
    return strips.reshape(5, -1, plan.width, 3)


def _blur_and_fine(strips: Bytes) -> tuple[Floats, Floats]:
    """Return the pieces under the binomial, and what it takes away, ``(n, w, 3)`` each, code values.

    Two px at either end are wrong: what lies beside them is not known.
    """
    _, count, width, _ = strips.shape
    lines = _array("lines", (5, count, width, 3), np.int16)
    np.copyto(lines, strips)
    above, over, here, under, below = lines
    # Sixteenths of a code value: 255 · 16 fits with room to spare.
    down = np.add(over, under, out=_array("down", here.shape, np.int16))
    down <<= 2
    down += above
    down += below
    down += np.multiply(here, np.int16(6), out=above)
    blur = _array("blur", here.shape, np.float32)
    cv2.sepFilter2D(down, cv2.CV_32F, _BINOMIAL, _HERE, dst=blur)
    fine = _array("fine", here.shape, np.float32)
    np.copyto(fine, here)
    fine -= blur
    return blur, fine


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
    mean = cv2.sumElems(laplacian)[0] / laplacian.size
    square = cv2.norm(laplacian, cv2.NORM_L2SQR) / laplacian.size
    return max(float(square - mean * mean), 0.0)


def tint_of(covariance: npt.NDArray[np.float64]) -> Floats:
    """Return the lower triangle T with T·Tᵀ = ``covariance``, scaled to trace 1: grey where there is nothing."""
    # Cholesky's, written out: of three by three it is a matter of a few numbers.
    a, _, _, b, c, _, d, e, f = covariance.ravel().tolist()
    total = a + c + f
    if not total > 1e-3:
        return np.array(GREY_TINT, np.float32).reshape(3, 3)
    share, ridge = (1.0 - _RIDGE) / total, _RIDGE / 3.0
    first = math.sqrt(a * share + ridge)
    b, d = b * share / first, d * share / first
    second = math.sqrt(c * share + ridge - b * b)
    e = (e * share - d * b) / second
    last = math.sqrt(f * share + ridge - d * d - e * e)
    return np.array(((first, 0, 0), (b, second, 0), (d, e, last)), np.float32)
