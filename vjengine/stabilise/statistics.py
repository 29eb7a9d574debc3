"""What a picture looks like in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.core.correction import GREY_TINT
from vjengine.stabilise.colours import Floats, hue_entropy, hue_shares, lab_quantiles, to_lab
from vjengine.stabilise.copies import Bytes, Copies, make_copies

ROWS = 24
"""Detail is looked at in so many rows of the picture, spread evenly: enough for a variance, and a tenth of the work."""
_BINOMIAL = np.array((1, 4, 6, 4, 1), np.float32) / 16
_BETWEEN = 0.2205
"""Linear interpolation at share x keeps 1 - 2x(1 - x)(1 - cos w) of the variance at frequency w: in the mean over the
four px of a cell, x = ±1/8 and ±3/8, as much as at this one."""
_ENOUGH = 2000
"""Samples that the colours of a band are taken from."""
_RIDGE = 1e-3
"""Share of every colour in a tint: where a picture has one colour only, its noise stays a matrix of full rank."""


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Statistics of one picture, or pooled over several.

    Attributes:
        quantiles: ``(33, 3)`` float32: CIELAB at the shares .02-.98, on a copy of 256 × 144 px.
        hues: ``(36,)`` float32: share of all chroma by hue; zeros if there is none.
        entropy: of ``hues``, bits.
        chroma: mean CIELAB chroma.
        lightness: mean L*, 0-100.
        clipped: share of channel values at 0 or 255.
        detail: variance of the Laplacian of grey, full resolution, 8-bit values squared.
        bands: ``(3,)`` float32: variance of the fine, middle and coarse band of
            :class:`~vjengine.core.correction.Correction`, summed over RGB, code values squared.
        tint: ``(3, 3)`` float32: lower triangle that gives white noise the colours of the bands; trace of its
            covariance 1.
        sample: ``(n, 3)`` float32: RGB code values 0-1 of some 2000 px spread evenly over the picture.
    """

    quantiles: Floats
    hues: Floats
    entropy: float
    chroma: float
    lightness: float
    clipped: float
    detail: float
    bands: Floats
    tint: Floats
    sample: Floats


def measure(pixels: npt.NDArray[Any] | Copies) -> Statistics:
    """Return the statistics of a picture; see :class:`Statistics` for what they are.

    Colours come from every second px each way of the small copy. Detail comes from :data:`ROWS` rows of the full
    picture; what is said about those rows is exact.

    Args:
        pixels: ``(H, W, 3 or 4)`` uint8, or floats 0-1 which are clipped; NaN and infinity count as mid-grey, alpha
            does not count. Or the copies, where they are there already.

    Raises:
        ValueError: it has no pixels, or another shape.
    """
    copies = pixels if isinstance(pixels, Copies) else make_copies(pixels)
    lab = to_lab(np.ascontiguousarray(copies.small[::2, ::2]))
    quantiles, lightness = lab_quantiles(lab)
    hues, chroma = hue_shares(lab)
    clipped, detail, bands, tint = _detail(copies)
    return Statistics(
        quantiles=quantiles,
        hues=hues,
        entropy=hue_entropy(hues),
        chroma=chroma,
        lightness=lightness,
        clipped=clipped,
        detail=detail,
        bands=bands,
        tint=tint,
        sample=copies.small[2::4, 2::4].reshape(-1, 3).astype(np.float32) / np.float32(255),
    )


def pool(several: Sequence[Statistics]) -> Statistics:
    """Return what several pictures have in common: the mean of each figure; of the samples, some of each.

    Raises:
        ValueError: there is none.
    """
    if not several:
        raise ValueError("statistics are pooled over at least one picture: measure one first")
    hues = _mean([one.hues for one in several])
    if hues.any():
        hues /= hues.sum()
    count = len(several)
    return Statistics(
        quantiles=_mean([one.quantiles for one in several]),
        hues=hues,
        entropy=hue_entropy(hues),
        chroma=float(np.mean([one.chroma for one in several])),
        lightness=float(np.mean([one.lightness for one in several])),
        clipped=float(np.mean([one.clipped for one in several])),
        detail=float(np.mean([one.detail for one in several])),
        bands=_mean([one.bands for one in several]),
        tint=_tint(np.sum([one.tint.astype(np.float64) @ one.tint.T for one in several], axis=0)),
        # Each picture gives the places that the others leave out: together they still cover the picture.
        sample=np.concatenate([one.sample[k::count] for k, one in enumerate(several)]),
    )


def _mean(arrays: list[Floats]) -> Floats:
    mean: Floats = np.stack(arrays).mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def _detail(copies: Copies) -> tuple[float, float, Floats, Floats]:
    """Return the share of clipped values, the variance of the Laplacian, the variances of the bands, and the tint.

    The mean of a band is nil but for the picture's edge: its variance is its mean square.
    """
    height, width = copies.full.shape[:2]
    rows = _rows(height)
    count = len(rows)
    around = np.clip(rows + np.arange(-2, 3)[:, None], 0, height - 1)
    strips = copies.full[around.ravel()]
    if strips.shape[2] == 4:
        strips = cv2.cvtColor(strips, cv2.COLOR_RGBA2RGB)
    grey = cv2.cvtColor(strips[count : 4 * count], cv2.COLOR_RGB2GRAY).reshape(3, count, width)
    five = strips.reshape(5, count, width, 3)
    middle_row = five[2]
    clipped = np.count_nonzero(middle_row + np.uint8(1) <= 1) / middle_row.size

    down = np.add(five[0], five[4], dtype=np.int16)
    inner = np.add(five[1], five[3], dtype=np.int16)
    inner <<= 2
    down += inner
    down += np.multiply(middle_row, 6, dtype=np.int16)
    blur = cv2.sepFilter2D(down, cv2.CV_32F, _BINOMIAL / 16, np.ones(1, np.float32), borderType=cv2.BORDER_REPLICATE)
    picture = middle_row.astype(np.float32)
    lines = _between(copies.quarter, 4, rows)
    quarter = cv2.resize(lines, (lines.shape[1] * 4, count), interpolation=cv2.INTER_LINEAR)[:, :width]
    coarse = lines - _between(copies.sixteenth, 16, rows, lines.shape[1])
    # Seen between the quarter's px as often and as far as the picture's px are.
    coarse[:, :-1] += np.float32(_BETWEEN) * (coarse[:, 1:] - coarse[:, :-1])
    fine, middle = picture - blur.reshape(picture.shape), blur.reshape(picture.shape) - quarter
    bands = np.array([_mean_square(fine), _mean_square(middle), _mean_square(coarse)])
    colours = _moments(fine) + _moments(middle) + _moments(coarse)
    return clipped, _laplacian_variance(grey), (3.0 / 255.0**2 * bands).astype(np.float32), _tint(colours)


def _rows(height: int) -> npt.NDArray[np.intp]:
    """Return the rows to look at. Their distance is odd, so that no place within the bands' cells is preferred."""
    step = max(1, height // ROWS) | 1
    return np.arange(min(step // 2, height - 1), height, step)


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
    values = laplacian.ravel()
    mean = float(values.mean())
    return max(_mean_square(laplacian) - mean * mean, 0.0)


def _between(cells: Bytes, size: int, rows: npt.NDArray[np.intp], width: int = 0) -> Floats:
    """Return what lies at px rows ``rows`` of a picture of means over ``size`` × ``size`` px, enlarged bilinearly.

    Args:
        width: 0, or the number of columns to enlarge to, the means over 4 × 4 px.
    """
    at = np.clip((rows + 0.5) / size - 0.5, 0.0, cells.shape[0] - 1.0)
    above = at.astype(np.intp)
    below = np.minimum(above + 1, cells.shape[0] - 1)
    share = (at - above).astype(np.float32)[:, None, None]
    lines: Floats = cells[above] * (1 - share) + cells[below] * share
    if width:
        wide = cv2.resize(lines, (cells.shape[1] * size // 4, len(rows)), interpolation=cv2.INTER_LINEAR)
        lines = wide.reshape(len(rows), -1, 3)[:, :width]
    return lines


def _mean_square(values: Floats) -> float:
    flat = values.ravel()
    return float(np.dot(flat, flat)) / flat.size


def _moments(values: Floats) -> npt.NDArray[np.float64]:
    """Return ``(3, 3)`` mean products of RGB values ``(n, W, 3)``, of some of them."""
    some = values.reshape(-1, 3)
    some = some[:: max(1, len(some) // _ENOUGH) | 1]
    return (some.T @ some).astype(np.float64) / len(some)


def _tint(covariance: npt.NDArray[np.float64]) -> Floats:
    """Return the lower triangle T with T·Tᵀ = ``covariance``, scaled to trace 1: grey where there is nothing."""
    total = float(np.trace(covariance))
    if not total > 1e-3:
        return np.array(GREY_TINT, np.float32).reshape(3, 3)
    colours = covariance / total * (1.0 - _RIDGE) + np.eye(3) * (_RIDGE / 3.0)
    triangle: Floats = np.linalg.cholesky(colours).astype(np.float32)
    return triangle
