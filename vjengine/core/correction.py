"""What a generator that feeds on its own pictures is to do to the one it feeds back: plain numbers, no pixels.

Whoever holds the pixels applies it: numpy, torch on the device, or GLSL. All of them mean the same by it:

    1. colour     rgb' = M·rgb + t on sRGB code values 0-1
    2. bands      picture = fine + middle + coarse + rest, each of the first three times its gain
    3. ceiling    fine' = fine / sqrt(1 + (fine / ceiling)²), where there is a ceiling
    4. noise      for each band, the amount asked for times ``tint`` times white noise of variance 1, in cells of
                  1, 3 and 8 px a side enlarged as below
    5. anchor     lerp towards the anchor picture that was kept last

The bands: *blur* is the picture under the 5 × 5 binomial ``[1 4 6 4 1] / 16``, *quarter* its mean over 4 × 4 px (width
and height rounded up, the last px repeated), *sixteenth* the quarter's mean over 4 × 4 again, both enlarged bilinearly
with pixel centres aligned (the edge repeated). fine = picture - blur; middle = blur - quarter; coarse = quarter -
sixteenth; rest = sixteenth.
"""

from __future__ import annotations

from dataclasses import dataclass

Three = tuple[float, float, float]
Matrix3 = tuple[float, float, float, float, float, float, float, float, float]
Colour = tuple[float, float, float, float, float, float, float, float, float, float, float, float]

UNCHANGED: Colour = (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
"""The 3 × 4 matrix that changes nothing, row by row."""
GREY_TINT: Matrix3 = (0.57735, 0, 0, 0.57735, 0, 0, 0.57735, 0, 0)
"""A tint whose noise has no colour: trace of its covariance 1."""

MAX_NOISE = 0.15
"""Largest amount of a band's noise; more is a picture of noise."""
GAIN_RANGE = (0.7, 1.25)
"""A band's gain for one frame stays in here."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One correction of the picture that is fed back.

    A generator may run faster than corrections are worked out: the picture is corrected once for each ``number``.

    Attributes:
        number: sequence number of the frame that this was worked out from; 0 for no correction.
        colour: the 3 × 4 matrix (M, t), row by row, on sRGB code values 0-1.
        gains: of the bands (fine, middle, coarse), within :data:`GAIN_RANGE`.
        ceiling: soft limit of the fine band's amplitude, code values; 0 for none.
        noise: root of the variance, summed over RGB, of the noise added to each band, code values,
            0-:data:`MAX_NOISE`.
        tint: 3 × 3 matrix, row by row, that colours white noise (three independent channels of variance 1); the
            covariance ``tint·tintᵀ`` has trace 1.
        anchor: share of the anchor picture, 0-1.
        latents: how far means and spreads of a new picture's latents go to the anchor's before it is decoded, 0-1; for
            generators that have latents. It holds for every picture, not once a number.
        keep: counts the anchor pictures: when it moves, the last picture finished becomes the anchor picture, and its
            latents the anchor latents.
        strength: how much more is dreamt anew than asked for, 0-1, added to ``turbo.strength``.
        feedback: share of the feedback asked for that is left, 0-1.
        travel: how much faster than asked for the seeds are travelled through, 0-1 seeds/s, added to
            ``turbo.seed_travel``.
        reseed: counts new seeds, beside the performer's own.
        restart: counts fresh starts: when it moves, the picture is forgotten and drawn from nothing.
    """

    number: int = 0
    colour: Colour = UNCHANGED
    gains: Three = (1.0, 1.0, 1.0)
    ceiling: float = 0.0
    noise: Three = (0.0, 0.0, 0.0)
    tint: Matrix3 = GREY_TINT
    anchor: float = 0.0
    latents: float = 0.0
    keep: int = 0
    strength: float = 0.0
    feedback: float = 1.0
    travel: float = 0.0
    reseed: int = 0
    restart: int = 0


NO_CORRECTION = Correction()
"""Leaves the picture as it is."""
