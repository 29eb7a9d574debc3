"""Smaller copies of a picture, made once for everything that looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

SMALL = (256, 144)
"""Width and height that colours are looked at in."""
_UNKNOWN = 0.5
"""What stands for a value that is no number."""


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """A picture and its smaller copies, 8-bit sRGB code.

    Attributes:
        full: ``(H, W, 3 or 4)`` uint8.
        quarter: ``(⌈H/4⌉, ⌈W/4⌉, 3)`` uint8, means over 4 × 4 px, the last px repeated.
        sixteenth: ``(⌈H/16⌉, ⌈W/16⌉, 3)`` uint8, means over 4 × 4 px of the quarter.
        small: ``(144, 256, 3)`` uint8; the sides need not keep their ratio.
    """

    full: Bytes
    quarter: Bytes
    sixteenth: Bytes
    small: Bytes


def to_bytes(pixels: npt.NDArray[Any]) -> Bytes:
    """Return a picture in 8 bit, as it is if it is that already.

    Args:
        pixels: ``(H, W, 3 or 4)``: uint8, or floats 0-1 that are clipped and rounded; what is no number, or is
            infinite, becomes mid-grey.

    Raises:
        ValueError: it has no pixels, or another shape.
    """
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or pixels.size == 0:
        raise ValueError(f"a picture has the shape (H, W, 3 or 4), not {pixels.shape}: give it whole, with its colours")
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    with np.errstate(over="ignore"):
        values: npt.NDArray[np.float32] = pixels.astype(np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        values[~finite] = _UNKNOWN
    np.clip(values, 0.0, 1.0, out=values)
    values *= 255.0
    np.rint(values, out=values)
    return values.astype(np.uint8)


def make_copies(pixels: npt.NDArray[Any]) -> Copies:
    """Return ``pixels``, see :func:`to_bytes`, and its smaller copies.

    Halving twice is what a mean over 4 × 4 px comes to, within the rounding, and by far faster.
    """
    full = to_bytes(pixels)
    half = halved(full, of=4)
    if half.shape[2] == 4:
        half = cv2.cvtColor(half, cv2.COLOR_RGBA2RGB)
    quarter = halved(half)
    source = half
    while source.shape[1] >= 2 * SMALL[0] and source.shape[0] >= 2 * SMALL[1]:
        source = quarter if source is half else halved(source)
    small = cv2.resize(source, SMALL, interpolation=cv2.INTER_LINEAR)
    return Copies(full, quarter, halved(halved(quarter, of=4)), small)


def halved(picture: Bytes, of: int = 2) -> Bytes:
    """Return means over 2 × 2 px, after repeating the last px until the sides are multiples of ``of``."""
    down, right = -picture.shape[0] % of, -picture.shape[1] % of
    if down or right:
        picture = cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_REPLICATE)
    height, width = picture.shape[:2]
    means: Bytes = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return means
