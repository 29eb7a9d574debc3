"""What a picture looks like in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vjengine.stabilise.colours import Floats, hue_entropy, hue_shares, lab_quantiles, to_lab
from vjengine.stabilise.copies import Copies, make_copies
from vjengine.stabilise.texture import look_closely, tint_of


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

    Colours come from the small copy; detail from some rows of the full picture, see
    :data:`~vjengine.stabilise.texture.ROWS`.

    Args:
        pixels: ``(H, W, 3 or 4)`` uint8, or floats 0-1 which are clipped; NaN and infinity count as mid-grey, alpha
            does not count. Or the copies, where they are there already.

    Raises:
        ValueError: it has no pixels, or another shape.
    """
    copies = pixels if isinstance(pixels, Copies) else make_copies(pixels)
    lab = to_lab(copies.small)
    quantiles, lightness = lab_quantiles(lab)
    hues, chroma = hue_shares(lab)
    clipped, detail, bands, tint = look_closely(copies)
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
        sample=copies.small[1::2, 1::2].reshape(-1, 3).astype(np.float32) / np.float32(255),
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
        tint=tint_of(np.sum([one.tint.astype(np.float64) @ one.tint.T for one in several], axis=0)),
        # Each picture gives the places that the others leave out: together they still cover the picture.
        sample=np.concatenate([one.sample[k::count] for k, one in enumerate(several)]),
    )


def _mean(arrays: list[Floats]) -> Floats:
    mean: Floats = np.stack(arrays).mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean
