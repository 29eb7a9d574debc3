"""How far a picture is from another: its palette, its detail."""

from __future__ import annotations

import numpy as np

from vjengine.stabilise.colours import Floats, hue_entropy
from vjengine.stabilise.statistics import Statistics

__all__ = ["band_change", "detail_change", "hue_entropy", "palette_distance"]

DETAIL_FLOOR = 1.0
"""Laplacian variance below which there is none: the rounding of 8-bit grey alone comes to 20/12."""
BAND_FLOOR = 1e-6
"""Variance of a band below which there is none: a quarter of a code value."""


def palette_distance(a: Statistics, b: Statistics) -> float:
    """Return the distance of two palettes, CIELAB units.

    For each of L*, a*, b* the Wasserstein-1 distance of the two distributions, which in one dimension is the mean
    distance of their quantiles (Villani 2003, eq. 2.48); of the three, the Euclidean norm.
    """
    apart = np.abs(a.quantiles - b.quantiles).mean(axis=0, dtype=np.float64)
    return float(np.sqrt(apart @ apart))


def detail_change(a: Statistics, anchor: Statistics) -> float:
    """Return R, log2 of the Laplacian variance over the anchor's: -1 is half of it. Flat pictures give 0, not -inf.

    The variance of the Laplacian as a measure of focus: Pech-Pacheco et al. 2000.
    """
    return float(np.log2(max(a.detail, DETAIL_FLOOR) / max(anchor.detail, DETAIL_FLOOR)))


def band_change(a: Statistics, anchor: Statistics) -> Floats:
    """Return ``(3,)`` log2 of the variances of the fine, middle and coarse band over the anchor's."""
    change: Floats = np.log2(np.maximum(a.bands, BAND_FLOOR) / np.maximum(anchor.bands, BAND_FLOOR)).astype(np.float32)
    return change
