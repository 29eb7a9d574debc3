"""A :class:`~vjengine.core.correction.Correction` carried out on the CPU: as it is written, and fast for 8 bit.

Corrections are small. A step of a tenth of an 8-bit value must not be rounded away a thousand times over: values are
rounded up or down by chance, so that what is asked for is met in the mean.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.core.correction import GAIN_RANGE, MAX_NOISE, UNCHANGED, Correction, Three
from vjengine.stabilise.colours import Floats
from vjengine.stabilise.copies import Bytes, to_bytes
from vjengine.stabilise.fast import FastApplier

CELLS = (1, 3, 8)
"""px a side of the noise of the bands fine, middle, coarse: where most of each goes into its own band."""
_KERNEL = np.array((1, 4, 6, 4, 1), np.float32) / 16


def checked(correction: Correction) -> Correction | None:
    """Return ``correction`` within its limits; None if it changes no pixel, or has numbers that are none."""
    numbers = (
        *correction.colour, *correction.gains, *correction.noise, *correction.tint, correction.ceiling,
        correction.anchor,
    )  # fmt: skip
    if correction.number == 0 or not np.isfinite(numbers).all():
        return None
    idle = correction.colour == UNCHANGED and correction.gains == (1.0, 1.0, 1.0) and not any(correction.noise)
    if idle and correction.ceiling <= 0.0 and correction.anchor <= 0.0:
        return None
    return replace(
        correction,
        gains=_limited(correction.gains, *GAIN_RANGE),
        noise=_limited(correction.noise, 0.0, MAX_NOISE),
        ceiling=max(correction.ceiling, 0.0),
        anchor=min(max(correction.anchor, 0.0), 1.0),
    )


def _limited(three: Three, low: float, high: float) -> Three:
    a, b, c = (min(max(value, low), high) for value in three)
    return a, b, c


def apply_exactly(
    pixels: Floats, correction: Correction, noise: np.random.Generator, anchor: Floats | None = None
) -> Floats:
    """Return a picture corrected, step by step as :mod:`vjengine.core.correction` says; the yardstick for the others.

    Args:
        pixels: ``(H, W, 3)`` float32, 0-1.
        correction: what to do.
        noise: where the noise comes from.
        anchor: ``(H, W, 3)`` float32, 0-1; without it step 5 is left out.
    """
    fix = checked(correction)
    if fix is None:
        return pixels
    height, width = pixels.shape[:2]
    colour = np.array(fix.colour, np.float32).reshape(3, 4)
    y: Floats = cv2.transform(pixels, colour).reshape(pixels.shape)
    blur = cv2.sepFilter2D(y, cv2.CV_32F, _KERNEL, _KERNEL, borderType=cv2.BORDER_REPLICATE).reshape(y.shape)
    quarter = means(y)
    sixteenth = means(quarter)
    rest, whole = enlarged(sixteenth, 16, height, width), enlarged(quarter, 4, height, width)
    fine, middle, coarse = fix.gains[0] * (y - blur), fix.gains[1] * (blur - whole), fix.gains[2] * (whole - rest)
    if fix.ceiling > 0.0:
        fine /= np.sqrt(1.0 + (fine / fix.ceiling) ** 2)
    y = fine + middle + coarse + rest
    tint = np.array(fix.tint, np.float32).reshape(3, 3)
    for cell, amount in zip(CELLS, fix.noise, strict=True):
        if amount > 0.0:
            white = noise.standard_normal((-(-height // cell), -(-width // cell), 3), np.float32) @ tint.T
            y += amount / kept(height, width, cell) * enlarged(white, cell, height, width)
    if anchor is not None and fix.anchor > 0.0:
        y += fix.anchor * (anchor - y)
    found: Floats = np.clip(y, 0.0, 1.0).astype(np.float32)
    return found


def means(picture: Floats) -> Floats:
    """Return means over 4 × 4 px, the last px repeated: ``(⌈H/4⌉, ⌈W/4⌉, 3)``."""
    down, right = -picture.shape[0] % 4, -picture.shape[1] % 4
    if down or right:
        picture = cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_REPLICATE)
    height, width = picture.shape[0] // 4, picture.shape[1] // 4
    found: Floats = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width, 3)
    return found


def enlarged(cells: Floats, size: int, height: int, width: int) -> Floats:
    """Return cells of ``size`` px enlarged bilinearly, cut to ``(height, width, 3)``."""
    if size == 1:
        return cells
    high, wide = cells.shape[0] * size, cells.shape[1] * size
    whole: Floats = cv2.resize(cells, (wide, high), interpolation=cv2.INTER_LINEAR).reshape(high, wide, 3)
    return whole[:height, :width]


@lru_cache(maxsize=32)
def kept(height: int, width: int, cell: int) -> float:
    """Return what is left of the RMS of white noise in cells of ``cell`` px that is enlarged bilinearly."""
    if cell == 1:
        return 1.0
    shares = 1.0
    for length in (height, width):
        count = -(-length // cell)
        each = cv2.resize(np.eye(count, dtype=np.float32), (count * cell, count), interpolation=cv2.INTER_LINEAR)
        shares *= float((each.reshape(count, -1)[:, :length] ** 2).sum(axis=0).mean())
    return float(np.sqrt(shares))


class Applier:
    """Corrects the pictures that one loop feeds back. The same pictures and corrections give the same bytes.

    Args:
        seed: of the noise; what noise a picture gets follows from it and from the number of the correction.
    """

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed & 0xFFFF_FFFF
        self._kept = 0
        self._anchor: Bytes | None = None
        self._fast = FastApplier(seed)

    def apply(self, pixels: npt.NDArray[Any], correction: Correction) -> npt.NDArray[Any]:
        """Return ``pixels`` corrected; the very same array where there is nothing to do.

        Args:
            pixels: the picture finished last: ``(H, W, 3 or 4)`` uint8 whose alpha stays, or ``(H, W, 3)`` float32 in
                0-1; where the correction's ``keep`` has moved, it becomes the anchor picture.
            correction: what to do; whoever calls sees to it that each ``number`` is done once.
        """
        if correction.keep != self._kept:
            self._kept = correction.keep
            self._anchor = np.array(to_bytes(pixels)[..., :3])
        fix = checked(correction)
        if fix is None:
            return pixels
        height, width = pixels.shape[:2]
        anchor = self._anchor if fix.anchor > 0.0 else None
        if anchor is not None and anchor.shape[:2] != (height, width):
            anchor = cv2.resize(anchor, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, 3)
        if pixels.dtype == np.uint8:
            return self._fast.apply(np.ascontiguousarray(pixels), fix, anchor)
        noise = np.random.Generator(np.random.Philox(key=(self._seed, fix.number & 0xFFFF_FFFF)))
        floats = _floats(pixels)
        return apply_exactly(floats, fix, noise, None if anchor is None else _floats(anchor))


def _floats(pixels: npt.NDArray[Any]) -> Floats:
    """Return ``(H, W, 3)`` float32, 0-1; mid-grey where there is no number."""
    if pixels.dtype == np.uint8:
        floats: Floats = pixels[..., :3].astype(np.float32) / np.float32(255)
    else:
        floats = np.nan_to_num(pixels[..., :3], nan=0.5, posinf=0.5, neginf=0.5).clip(0.0, 1.0).astype(np.float32)
    return floats
