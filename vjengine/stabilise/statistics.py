"""What a picture looks like in numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


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
