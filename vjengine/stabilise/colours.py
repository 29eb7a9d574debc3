"""The colours of a picture as distributions: quantiles of CIELAB, chroma by hue."""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.stabilise.copies import Bytes

Floats = npt.NDArray[np.float32]

SHARES = np.linspace(0.02, 0.98, 33)
"""The shares that quantiles are taken at: the outermost 2 % may be a speck."""
_WANTED = (SHARES + np.arange(3.0)[:, None]).ravel()
_LEVELS = np.concatenate(
    [(np.arange(257) - 0.5) * scale - zero for scale, zero in ((100.0 / 255.0, 0), (1, 128), (1, 128))]
)
"""L*, a* and b* at the edges of the bins."""
HUES = 36
"""Hues are told apart to 10 degrees."""
_CELL, _CELLS = 3, 85
"""a* and b* are counted in cells of 3: the middle one is what rounding makes of grey."""


def to_lab(rgb: Bytes) -> Bytes:
    """Return 8-bit CIELAB (CIE 15, D65, sRGB primaries) as OpenCV packs it: L* · 2.55, a* + 128, b* + 128."""
    lab: Bytes = cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)
    return lab


def lab_quantiles(lab: Bytes) -> tuple[Floats, float]:
    """Return ``(33, 3)`` quantiles of L*, a*, b* at :data:`SHARES`, and the mean L*, of :func:`to_lab`.

    Counted, not sorted: 256 bins each; within a bin values are taken to be spread evenly.
    """
    count = lab.shape[0] * lab.shape[1]
    below = np.zeros((3, 257))
    for k in range(3):
        below[k, 1:] = cv2.calcHist((lab,), (k,), None, (256,), (0, 256)).ravel()
    # Counted on from channel to channel, all are looked up at once.
    np.cumsum(below, out=below.ravel())
    levels = np.interp(_WANTED * count, below.ravel(), _LEVELS).astype(np.float32)
    # The mean is the sum, over all values above 0, of the share that reaches them.
    lightness = (255.0 - float(below[0, 1:256].sum()) / count) / 2.55
    return np.ascontiguousarray(levels.reshape(3, -1).T), lightness


def hue_shares(lab: Bytes) -> tuple[Floats, float]:
    """Return ``(36,)`` shares of all chroma by hue angle, from -180 degrees up, and the mean chroma, of :func:`to_lab`.

    Weighted by chroma, as the hue of what is nearly grey means nothing. Chroma below 1.5 counts as none.
    """
    order, starts, chroma = _hue_cells()
    counts = cv2.calcHist((lab,), (1, 2), None, (_CELLS, _CELLS), (1, 256, 1, 256)).ravel().take(order)
    counts *= chroma
    by_hue = np.add.reduceat(counts, starts)
    total = float(by_hue.sum())
    mean = total / (lab.shape[0] * lab.shape[1])
    return (by_hue / total if total > 0.0 else np.zeros(HUES)).astype(np.float32), mean


@cache
def _hue_cells() -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Floats]:
    """Return the cells in the order of their hue, where each hue begins, and the chroma of each in that order."""
    middle = _CELLS // 2
    at = (np.arange(_CELLS) - middle).astype(np.float32) * _CELL
    chroma = np.hypot(at[:, None], at[None, :]).ravel()
    turn = (np.arctan2(at[None, :], at[:, None]).ravel() + np.pi) / (2 * np.pi)
    hue = np.minimum((turn * HUES).astype(np.intp), HUES - 1)
    order = np.argsort(hue, kind="stable")
    return order, np.searchsorted(hue[order], np.arange(HUES)), chroma[order]


def hue_entropy(hues: Floats) -> float:
    """Return the entropy (Shannon 1948) of ``(36,)`` shares in bits: 0 for one hue or none, log2(36) = 5.17 for all."""
    return -sum((float(share) * math.log2(share) for share in hues.tolist() if share > 0.0), 0.0)
