"""Colour as 3×3 matrices on linear light, column by column as OpenGL takes them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from vjengine.compose.geometry import Matrix

LUMA = np.array([0.2126, 0.7152, 0.0722])
"""Weights of linear Rec. 709 light in luminance."""

Square = npt.NDArray[np.float64]


def flat(matrix: Square) -> Matrix:
    """Return ``matrix`` as nine floats, column by column."""
    a, b, c, d, e, f, g, h, i = (float(x) for x in matrix.T.ravel())
    return a, b, c, d, e, f, g, h, i


def hue_rotation(turns: float) -> Square:
    """Return the rotation about the grey axis: a third of a turn makes red green, green blue and blue red.

    Being a rotation it keeps the length of every colour, so it can be applied for ever without drift.
    """
    cos, sin = math.cos(math.tau * turns), math.sin(math.tau * turns)
    base = (1.0 - cos) / 3.0
    skew = sin / math.sqrt(3.0)
    return np.array(
        [
            [cos + base, base - skew, base + skew],
            [base + skew, cos + base, base - skew],
            [base - skew, base + skew, cos + base],
        ]
    )


def saturation(amount: float) -> Square:
    """Return the matrix that moves colours away from grey of the same luminance: 0 grey, 1 unchanged."""
    return amount * np.eye(3) + (1.0 - amount) * np.tile(LUMA, (3, 1))


def temperature(warmth: float) -> npt.NDArray[np.float64]:
    """Return the gains of red, green and blue from cold (-1) to warm (1); white keeps its luminance."""
    gains = np.array([2.0 ** (0.5 * warmth), 1.0, 2.0 ** (-0.6 * warmth)])
    scaled: npt.NDArray[np.float64] = gains / float(LUMA @ gains)
    return scaled


def grade(values: Mapping[str, float], stops: float = 0.0) -> tuple[Matrix, float]:
    """Return the grade's colour matrix and the light its shoulder must keep room for.

    Args:
        values: parameter values.
        stops: exposure on top of ``grade.exposure``.
    """
    gains = temperature(values["grade.temperature"]) * 2.0 ** (values["grade.exposure"] + stops)
    matrix = saturation(values["grade.saturation"]) @ hue_rotation(values["grade.hue"]) @ np.diag(gains)
    return flat(matrix), max(1.0, float(gains.max())) + 0.5 * values["bloom.amount"]
