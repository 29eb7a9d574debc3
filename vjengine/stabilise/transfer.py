"""The colour of a correction: mean and spread in OKLab, lightness included, brought towards the anchor's.

A change of mean and spread in OKLab is no matrix on RGB. For one picture it nearly is: the matrix that does to this
picture's own colours what the change would do is found by least squares. Whoever applies it needs twelve numbers.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from vjengine.core.correction import UNCHANGED, Colour
from vjengine.stabilise.colours import Floats

SPREAD = (0.9, 1.03)
"""One step multiplies a spread by no less and no more. Above, the largest shapes of a loop grow into blobs."""
_SHIFT = 0.05
"""One step moves a mean by no more, OKLab units (lightness is 0-1)."""
_LEARN = 0.25
"""Of an error that is being taken back, the part that is remembered a picture."""
_REACH = 0.2
"""A steady drift is answered by aiming so far beyond the anchor at most, OKLab units; twice that for log spreads."""
_RIDGE = 2e-3
"""Pull of the fit towards no change, in px² of RGB: decides where a picture has too few colours to tell."""
_DIAGONAL, _OFFSET = (0.8, 1.25), 0.12

# Björn Ottosson, "A perceptual color space for image processing", 2020.
_TO_CONES = np.array(
    (
        (0.4122214708, 0.5363325363, 0.0514459929),
        (0.2119034982, 0.6806995451, 0.1073969566),
        (0.0883024619, 0.2817188376, 0.6299787005),
    )
)
_TO_LAB = np.array(
    (
        (0.2104542553, 0.7936177850, -0.0040720468),
        (1.9779984951, -2.4285922050, 0.4505937099),
        (0.0259040371, 0.7827717662, -0.8086757660),
    )
)
_FROM_CONES, _FROM_LAB = np.linalg.inv(_TO_CONES), np.linalg.inv(_TO_LAB)

Doubles = npt.NDArray[np.float64]


def to_oklab(code: npt.ArrayLike) -> Doubles:
    """Return OKLab ``(n, 3)`` of sRGB code values 0-1 ``(n, 3)`` (IEC 61966-2-1 transfer)."""
    code = np.asarray(code, np.float64)
    light = np.where(code <= 0.04045, code / 12.92, ((np.maximum(code, 0.04045) + 0.055) / 1.055) ** 2.4)
    lab: Doubles = np.cbrt(light @ _TO_CONES.T) @ _TO_LAB.T
    return lab


def from_oklab(lab: npt.ArrayLike) -> Doubles:
    """Return sRGB code values ``(n, 3)`` of OKLab ``(n, 3)``, clipped to 0-1."""
    light = np.clip((np.asarray(lab, np.float64) @ _FROM_LAB.T) ** 3 @ _FROM_CONES.T, 0.0, 1.0)
    code: Doubles = np.where(
        light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    )
    return code


class ColourKeeper:
    """Holds mean and spread to the anchor's; remembers what a steady drift takes to be made good.

    Attributes:
        gain: what the last correction multiplied the spread by, all colours taken together.
    """

    def __init__(self) -> None:
        self.gain = 1.0
        self._mean = np.zeros(3)
        self._spread = np.zeros(3)

    def reset(self) -> None:
        """Forget: another anchor."""
        self._mean[:] = 0.0
        self._spread[:] = 0.0
        self.gain = 1.0

    def step(self, sample: Floats, mean: Doubles, spread: Doubles, share: float, faded: float = 1.0) -> Colour:
        """Return the matrix that takes a picture part of the way to the mean and spread wanted.

        Args:
            sample: ``(n, 3)`` sRGB code values 0-1 of the picture.
            mean: ``(3,)`` OKLab mean wanted.
            spread: ``(3,)`` OKLab standard deviation wanted.
            share: part of the way, 0-1.
            faded: what the spread is multiplied by besides, since what follows in the same correction takes it away.
        """
        self.gain = 1.0
        if share <= 0.0 or len(sample) == 0:
            return UNCHANGED
        lab = to_oklab(sample)
        here, now = lab.mean(axis=0), lab.std(axis=0)
        far = np.clip(np.log(np.maximum(spread, 1e-3) / np.maximum(now, 1e-3)), -0.5, 0.5)
        self._mean = np.clip(self._mean + _LEARN * share * (mean - here), -_REACH, _REACH)
        self._spread = np.clip(self._spread + _LEARN * share * far, -2.0 * _REACH, 2.0 * _REACH)
        aimed = np.maximum(spread, 1e-4) * np.exp(self._spread)
        self.gain = float(np.average(spread_gain(now, aimed, share), weights=np.maximum(now, 1e-6) ** 2))
        return colour_towards(sample, mean + self._mean, aimed, share, faded)


def colour_towards(sample: Floats, mean: Doubles, spread: Doubles, share: float, faded: float = 1.0) -> Colour:
    """Return the matrix that takes a picture part of the way to the mean and spread wanted.

    Args:
        sample: ``(n, 3)`` sRGB code values 0-1 of the picture.
        mean: ``(3,)`` OKLab mean wanted.
        spread: ``(3,)`` OKLab standard deviation wanted.
        share: part of the way, 0-1.
        faded: what the spread is multiplied by besides.
    """
    if share <= 0.0 or len(sample) == 0:
        return UNCHANGED
    lab = to_oklab(sample)
    here = lab.mean(axis=0)
    gain = spread_gain(lab.std(axis=0), spread, share) * faded
    shift = np.clip(share * (mean - here), -_SHIFT, _SHIFT)
    return fitted(sample, from_oklab((lab - here) * gain + here + shift))


def spread_gain(now: Doubles, wanted: Doubles, share: float) -> Doubles:
    """Return the gain of each spread for one step. Where there is next to no spread, there is noise: it stays."""
    known = now > 2e-3
    gain = np.where(known, (np.maximum(wanted, 1e-4) / np.maximum(now, 2e-3)) ** share, 1.0)
    clipped: Doubles = np.clip(gain, *SPREAD)
    return clipped


def faded_by(sample: Floats, kept: Floats | None, share: float) -> float:
    """Return what the spread is to be multiplied by so that a share of the anchor picture takes nothing of it.

    Two pictures mixed have less contrast than either, the less they have in common. Left alone, what is called in to
    hold the palette would move it, and call for more of itself until nothing but the anchor picture is left.

    Args:
        sample: ``(n, 3)`` code values 0-1 of the picture.
        kept: the same px of the anchor picture; None where there is none.
        share: of the anchor picture in the mix, 0-1.

    Returns:
        1 or more, and no more than makes good for a flat anchor picture: nothing grows.
    """
    if kept is None or not 0.0 < share < 1.0:
        return 1.0
    here, there = ((each - each.mean(axis=0)).ravel() for each in (sample, kept))
    mixed = (1.0 - share) * here + share * there
    left = float(mixed @ mixed)
    return min(max(math.sqrt(float(here @ here) / left), 1.0), 1.0 / (1.0 - share)) if left > 0.0 else 1.0


def fitted(sample: Floats, wanted: Doubles) -> Colour:
    """Return the 3 × 4 matrix that takes ``sample`` ``(n, 3)`` closest to ``wanted`` ``(n, 3)``."""
    count = len(sample)
    known = np.column_stack((sample, np.ones(count))).astype(np.float64)
    # The offset is asked for less often than the matrix: a cast is a cast in the shadows too.
    normal = known.T @ known / count + _RIDGE * np.diag((1.0, 1.0, 1.0, 0.25))
    change = np.linalg.solve(normal, known.T @ (wanted - known[:, :3]) / count).T
    change[:, :3] = np.clip(change[:, :3] + np.eye(3), -0.25, _DIAGONAL[1])
    change[range(3), range(3)] = np.maximum(change[range(3), range(3)], _DIAGONAL[0])
    change[:, 3] = np.clip(change[:, 3], -_OFFSET, _OFFSET)
    a, b, c = (tuple(float(value) for value in row) for row in change)
    return (*a, *b, *c)  # type: ignore[return-value]
