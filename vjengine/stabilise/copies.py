"""Smaller copies of a picture, made once for everything that looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.stabilise.scratch import Scratch

Bytes = npt.NDArray[np.uint8]

SMALL = (256, 144)
"""Width and height that colours are looked at in, every second px each way of it."""
_UNKNOWN = 0.5
"""What stands for a value that is no number."""
_scratch = Scratch()


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """A picture and its smaller copies, 8-bit sRGB code.

    Attributes:
        full: ``(H, W, 3 or 4)`` uint8.
        quarter: ``(⌈H/4⌉, ⌈W/4⌉, 3)`` uint8, means over 4 × 4 px, the last px repeated.
        sixteenth: ``(⌈H/16⌉, ⌈W/16⌉, 3)`` uint8, means over 4 × 4 px of the quarter.
        small: ``(72, 128, 3)`` uint8, every second px each way of a copy of 256 × 144 px, whatever the sides' ratio.
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
    half = _halved(full, 4, "half")
    quarter = _halved(half, 2, "quarter")
    source, level = half, 0
    while source.shape[1] >= 2 * SMALL[0] and source.shape[0] >= 2 * SMALL[1]:
        source = quarter if level == 0 else _halved(source, 2, f"smaller {level}")
        level += 1
    across, down = source.shape[1] / SMALL[0], source.shape[0] / SMALL[1]
    # Only the px that are looked at, where they would lie in the copy.
    small: Bytes = cv2.warpAffine(
        source,
        np.array(((2 * across, 0, across / 2 - 0.5), (0, 2 * down, down / 2 - 0.5))),
        (SMALL[0] // 2, SMALL[1] // 2),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    sixteenth = _halved(_halved(quarter, 4, "eighth"), 2, "sixteenth")
    return Copies(full, _rgb(quarter), _rgb(sixteenth), _rgb(small))


def _rgb(picture: Bytes) -> Bytes:
    """Return a copy without alpha."""
    return cv2.cvtColor(picture, cv2.COLOR_RGBA2RGB) if picture.shape[2] == 4 else picture.copy()


def _halved(picture: Bytes, of: int, name: str) -> Bytes:
    """Return means over 2 × 2 px, after repeating the last px until the sides are multiples of ``of``: in scratch."""
    down, right = -picture.shape[0] % of, -picture.shape[1] % of
    if down or right:
        picture = cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_REPLICATE)
    height, width, channels = picture.shape
    means: Bytes = _scratch.get(name, (height // 2, width // 2, channels), np.uint8)
    cv2.resize(picture, (width // 2, height // 2), dst=means, interpolation=cv2.INTER_AREA)
    return means
