"""How video models go from noise to pictures: noise levels and what a step does, as numbers. No torch here.

Stable Video Diffusion predicts "v" under the preconditioning of Karras et al., "Elucidating the design space of
diffusion-based generative models" (2022), with a data deviation of 1. With ``x`` the noisy latents at level ``s`` and
``y`` the network's output for ``x / sqrt(s*s + 1)``::

    x0 = x / (s*s + 1) - y * s / sqrt(s*s + 1)

``euler`` follows the line to the next level. ``consistency`` (Song et al., 2023) believes x0 and adds new noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vjengine.offline.diffusion.films import SamplerName

_RHO = 7.0
_DISTILLED_LEVELS = 40
"""Noise levels between which consistency models are distilled; few steps take every nth of them."""


@dataclass(frozen=True, slots=True)
class Levels:
    """The range of noise levels of a model (its scheduler's ``sigma_min`` and ``sigma_max``)."""

    low: float = 0.002
    high: float = 700.0


@dataclass(frozen=True, slots=True)
class Step:
    """What one step does.

    Attributes:
        scale: of ``x`` for the network.
        time: what the network is told of the level.
        keep, take: ``x0 = keep * x + take * y``.
        go_x, go_x0, go_noise: ``x = go_x * x + go_x0 * x0 + go_noise * new noise``.
    """

    scale: float
    time: float
    keep: float
    take: float
    go_x: float
    go_x0: float
    go_noise: float


def levels(sampler: SamplerName, steps: int, range_: Levels) -> list[float]:
    """Return ``steps`` falling noise levels, spaced as Karras et al. do (equation 5); the end, 0, is not among them."""
    if sampler == "euler":
        ramp = np.linspace(0.0, 1.0, steps)
    else:
        stride = _DISTILLED_LEVELS // steps if steps <= _DISTILLED_LEVELS else 0
        ramp = np.arange(steps) * stride / (_DISTILLED_LEVELS - 1) if stride else np.linspace(0.0, 1.0, steps)
    high, low = range_.high ** (1.0 / _RHO), range_.low ** (1.0 / _RHO)
    return [float(level) for level in (high + ramp * (low - high)) ** _RHO]


def first_spread(sampler: SamplerName, range_: Levels) -> float:
    """Return the deviation of what denoising begins with."""
    return math.hypot(range_.high, 1.0) if sampler == "euler" else range_.high


def schedule(sampler: SamplerName, steps: int, range_: Levels) -> list[Step]:
    """Return what each of ``steps`` steps does; the last one ends at x0."""
    found = levels(sampler, steps, range_)
    made = []
    for level, following in zip(found, [*found[1:], 0.0], strict=True):
        norm = math.hypot(level, 1.0)
        if following == 0.0:
            go = (0.0, 1.0, 0.0)
        elif sampler == "euler":
            # x + (x - x0) / level * (following - level)
            go = (following / level, 1.0 - following / level, 0.0)
        else:
            go = (0.0, 1.0, math.sqrt(max(following**2 - range_.low**2, 0.0)))
        made.append(Step(1.0 / norm, 0.25 * math.log(level), 1.0 / norm**2, -level / norm, *go))
    return made
