"""How far a picture is from the first ones: written out plainly, apart from the code under test.

Definitions as everywhere in this project: palette distance W1 over 33 quantiles of CIELAB, detail R as log2 of a ratio
of Laplacian variances, share of clipped channel values. Colour difference is CIEDE2000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.collapse_scenes import Picture

Doubles = npt.NDArray[np.float64]

QUANTILES = np.linspace(0.02, 0.98, 33)
_TO_XYZ = np.array(
    ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
)
_WHITE = _TO_XYZ.sum(axis=1)
COLLAPSED_W1, COLLAPSED_DETAIL, COLLAPSED_CLIPPED = 8.0, 2.0, 0.15
HOLD = 8
"""Frames in a row for which one of these must be exceeded: then the loop has collapsed."""


def lab(picture: npt.ArrayLike) -> Doubles:
    """Return CIELAB (D65) of sRGB code values 0-1, ``(..., 3)`` (IEC 61966-2-1, CIE 15)."""
    code = np.clip(np.asarray(picture, np.float64), 0.0, 1.0)
    light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    share = light @ _TO_XYZ.T / _WHITE
    root = np.where(share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis=-1)


@dataclass(frozen=True, slots=True)
class Look:
    """What is measured of a picture, or of several pooled.

    Attributes:
        quantiles: ``(33, 3)`` of L*, a*, b*.
        detail: variance of the Laplacian of grey, 8-bit values squared.
        clipped: share of channel values at 0 or 255.
    """

    quantiles: Doubles
    detail: float
    clipped: float


def look(picture: Picture) -> Look:
    """Measure one picture as it is shown: in 8 bit."""
    shown = np.rint(np.clip(picture, 0.0, 1.0) * 255.0)
    # Palettes are compared at 256 x 144 px: what is finer is detail.
    small = cv2.resize(shown.astype(np.float32), (256, 144), interpolation=cv2.INTER_AREA)
    quantiles = np.quantile(lab(small / 255.0).reshape(-1, 3), QUANTILES, axis=0)
    grey = np.rint(shown @ np.array((0.299, 0.587, 0.114)))
    padded = np.pad(grey, 1, mode="reflect")
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4.0 * grey
    return Look(quantiles, float(laplacian.var()), float(((shown == 0) | (shown == 255)).mean()))


def pooled(looks: Sequence[Look]) -> Look:
    """Return the mean of several."""
    return Look(
        np.mean([each.quantiles for each in looks], axis=0),
        float(np.mean([each.detail for each in looks])),
        float(np.mean([each.clipped for each in looks])),
    )


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a picture is from the start: W1, R (log2) and clipped share above it."""

    w1: float
    detail: float
    clipped: float

    @property
    def collapsed(self) -> str:
        """What says that this is a collapse: ``colour``, ``detail``, ``clipped``, or nothing."""
        if self.w1 > COLLAPSED_W1:
            return "colour"
        if abs(self.detail) > COLLAPSED_DETAIL:
            return "detail"
        return "clipped" if self.clipped > COLLAPSED_CLIPPED else ""


def distance(now: Look, start: Look) -> Distance:
    """Hold ``now`` against ``start``."""
    apart = np.abs(now.quantiles - start.quantiles).mean(axis=0)
    ratio = (now.detail + 1e-3) / (start.detail + 1e-3)
    return Distance(float(np.sqrt((apart**2).sum())), float(np.log2(ratio)), now.clipped - start.clipped)


def movement(picture: Picture, last: Picture) -> float:
    """Return the mean difference of neighbours, 8-bit values, on means over 4 x 4 px: flickering grain is no motion."""
    size = (max(1, picture.shape[1] // 4), max(1, picture.shape[0] // 4))
    both = [cv2.resize(np.clip(each, 0.0, 1.0), size, interpolation=cv2.INTER_AREA) for each in (picture, last)]
    return float(np.abs(both[0] - both[1]).mean() * 255.0)


def carried(picture: Picture, moved: Picture) -> float:
    """Return the correlation of a picture with an earlier one moved as the loop moves it; NaN if one is flat.

    1 where all that happens is the move; 0 where each picture is new. Motion that is only noise put in has little
    of it. On means over 4 x 4 px, of RGB.
    """
    size = (max(1, picture.shape[1] // 4), max(1, picture.shape[0] // 4))
    both = [cv2.resize(np.clip(each, 0.0, 1.0), size, interpolation=cv2.INTER_AREA) for each in (picture, moved)]
    a, b = ((each - each.mean(axis=(0, 1))).ravel().astype(np.float64) for each in both)
    length = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / length if length > 1e-6 else float("nan")


def slope_error(minutes: npt.ArrayLike, values: npt.ArrayLike, blocks: int = 10) -> float:
    """Return the standard error of :func:`slope`: from means of ``blocks`` parts, since neighbours go together."""
    x, y = np.asarray(minutes, np.float64), np.asarray(values, np.float64)
    kept = slice(len(x) // 3, None)
    if len(x[kept]) < 2 * blocks:
        return float("nan")
    a, b = (np.array([part.mean() for part in np.array_split(each[kept], blocks)]) for each in (x, y))
    left = b - np.polyval(np.polyfit(a, b, 1), a)
    return float(np.sqrt((left @ left) / (blocks - 2) / ((a - a.mean()) ** 2).sum()))


def slope(minutes: npt.ArrayLike, values: npt.ArrayLike) -> float:
    """Return the least-squares slope over the last two thirds, a minute; NaN for fewer than 3 points."""
    x, y = np.asarray(minutes, np.float64), np.asarray(values, np.float64)
    kept = slice(len(x) // 3, None)
    return float(np.polyfit(x[kept], y[kept], 1)[0]) if len(x[kept]) >= 3 else float("nan")


def ciede2000(one: npt.ArrayLike, other: npt.ArrayLike) -> Doubles:
    """Return the colour difference of two arrays of CIELAB ``(..., 3)``.

    G. Sharma, W. Wu, E. N. Dalal, "The CIEDE2000 color-difference formula", 2005; k_L = k_C = k_H = 1.
    """
    l1, a1, b1 = np.moveaxis(np.asarray(one, np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(other, np.float64), -1, 0)
    mean7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2.0) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(mean7 / (mean7 + 25.0**7))
    c1, c2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, stretch * a)) % 360.0 for a, b in ((a1, b1), (a2, b2)))
    grey = c1 * c2 == 0.0
    turn = np.where(grey, 0.0, (h2 - h1 + 180.0) % 360.0 - 180.0)
    # Opposite hues: the published pairs want +180 and -180 kept apart.
    turn = np.where((turn == -180.0) & (h2 > h1), 180.0, turn)
    far = np.abs(h1 - h2) > 180.0
    h = np.where(grey, h1 + h2, (h1 + h2 + np.where(far, np.where(h1 + h2 < 360.0, 360.0, -360.0), 0.0)) / 2.0)
    lightness, chroma = (l1 + l2) / 2.0, (c1 + c2) / 2.0
    t = (
        1.0
        - 0.17 * np.cos(np.radians(h - 30.0))
        + 0.24 * np.cos(np.radians(2.0 * h))
        + 0.32 * np.cos(np.radians(3.0 * h + 6.0))
        - 0.20 * np.cos(np.radians(4.0 * h - 63.0))
    )
    dl = (l2 - l1) / (1.0 + 0.015 * (lightness - 50.0) ** 2 / np.sqrt(20.0 + (lightness - 50.0) ** 2))
    dc = (c2 - c1) / (1.0 + 0.045 * chroma)
    dh = 2.0 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2.0) / (1.0 + 0.015 * chroma * t)
    c7 = chroma**7
    blue = np.sin(np.radians(60.0 * np.exp(-(((h - 275.0) / 25.0) ** 2))))
    found: Doubles = np.sqrt(dl**2 + dc**2 + dh**2 - 2.0 * np.sqrt(c7 / (c7 + 25.0**7)) * blue * dc * dh)
    return found
