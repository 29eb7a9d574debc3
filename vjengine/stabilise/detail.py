"""The detail of a correction: what multiplies is damped, what is lost is given back as noise in the anchor's colours.

A gain above 1 would seem to be the cure for a blurred picture. In a loop it breeds: whatever stands out most grows
until it is all there is, most of all around the point that a zoom keeps in place. So gains only damp, or make up
for colours that shrink in the same correction. Noise of
the right size and colour at each scale is what a generator makes new picture of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vjengine.core.correction import GAIN_RANGE, Three
from vjengine.stabilise.colours import Floats

_REACH = np.array((4.0, 0.8, 0.8))
"""A steady error is answered by asking for up to so much more than the anchor has, log2."""
_MOST_NOISE = np.array((0.12, 0.05, 0.03))
"""Most noise a picture: large soft shapes that come and go every frame are flicker."""
_LEARN = 0.03
"""Share of an error that is remembered a picture."""
_AT_ONCE = 0.5
"""Part of an error of single px, as the Laplacian sees it, that is aimed against at once, before it is learnt: a loop
that moves a little differently loses or breeds them within a second."""
_CEILING, _LOOSE = 3.0, 9.0
"""Fine detail above so many times the anchor's RMS is bent down: where there is too much of it, and hardly too much."""
_TOO_MUCH = 0.6
"""Too much of it, log2."""
_FLOOR = 1e-6
"""Variance below which a band is empty: half a code value."""
_QUIET = 0.15
"""Deviations within this are left alone, log2."""


@dataclass(frozen=True, slots=True)
class Detail:
    """The detail of one correction: see :class:`~vjengine.core.correction.Correction`."""

    gains: Three = (1.0, 1.0, 1.0)
    noise: Three = (0.0, 0.0, 0.0)
    ceiling: float = 0.0


class DetailKeeper:
    """Holds the bands to the anchor's; remembers what a steady loss takes to be made good."""

    def __init__(self) -> None:
        self._aim = np.zeros(3)

    def reset(self) -> None:
        """Forget: another anchor."""
        self._aim[:] = 0.0

    def step(
        self, now: Floats, anchor: Floats, laplacian: float, damp: float, give: float, spread: float = 1.0
    ) -> Detail:
        """Return what to do about a picture.

        Args:
            now: ``(3,)`` variances of the bands.
            anchor: the same of the anchor.
            laplacian: log2 of the Laplacian variance over the anchor's.
            damp: share of what is too much taken away a picture, 0-1.
            give: share of what is lost given back a picture, 0-1.
            spread: what the colours' spread is multiplied by in the same correction. A band that is short is kept
                from shrinking with the rest: only what is larger than all bands does.
        """
        wanted = np.maximum(anchor.astype(np.float64), _FLOOR)
        error = np.log2(np.maximum(now.astype(np.float64), _FLOOR) / wanted)
        aim = self._aim
        if damp > 0.0 or give > 0.0:
            # Single pixels are judged by the Laplacian.
            seen = np.array((laplacian, error[1], error[2]))
            learnt = np.clip(np.where(np.abs(seen) > _QUIET, seen, 0.0), -1.0, 1.0)
            self._aim = np.clip(self._aim - _LEARN * learnt, -_REACH, _REACH)
            aim = self._aim - (_AT_ONCE * learnt[0], 0.0, 0.0)
        aimed = wanted * 2.0**aim
        over = error - aim
        gains = np.where(over > _QUIET, 2.0 ** (-0.5 * damp * (over - _QUIET)), 1.0)
        gains = np.where(over < 0.0, gains / min(max(spread, GAIN_RANGE[0]), 1.0), gains)
        lost = np.clip(1.0 - 2.0 ** np.minimum(over + _QUIET, 0.0), 0.0, 1.0)
        noise = np.sqrt(give * lost * aimed)
        # A band the anchor does not have is not given to it either.
        noise[anchor < 2.0 * _FLOOR] = 0.0
        ceiling = 0.0
        if damp > 0.0 and over[0] > 0.0:
            loose = _LOOSE + (_CEILING - _LOOSE) * min(float(over[0]) / _TOO_MUCH, 1.0)
            ceiling = loose * float(np.sqrt(wanted[0] / 3.0))
        return Detail(
            gains=_three(np.clip(gains, *GAIN_RANGE)),
            noise=_three(np.minimum(noise, _MOST_NOISE)),
            ceiling=ceiling,
        )


def _three(values: np.ndarray) -> Three:
    fine, middle, coarse = (float(value) for value in values)
    return fine, middle, coarse
