"""What a frame of the turbo loop reads from the control state: plain numbers, checked, no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, cast

from vjengine.core.correction import NO_CORRECTION, Correction
from vjengine.core.generation import GeneratorParams
from vjengine.core.params import LORAS, NOISES, PARAMS

NoiseKind = Literal["white", "pink", "carried"]

MAX_FEEDBACK = 0.4
"""More of the last latents destroys the picture within seconds, whoever asks for it."""
KICK = 1.5
"""e-folds/s of zoom that a full ``gen.pulse`` adds while it lasts."""


@dataclass(frozen=True, slots=True)
class Controls:
    """One frame's wishes.

    Attributes:
        time: session time (s) the picture is for.
        strength: how much of the picture is dreamt anew, 0.05-1.
        steps: denoising steps, 1-4.
        guidance: pull of the prompt, 1-4; 1 for a model that takes none.
        feedback: share of the last latents that stays, 0-:data:`MAX_FEEDBACK`.
        init: share of the init picture, 0-1.
        zoom: e-folds/s, positive towards the viewer, kick and speed included.
        spin: turns/s clockwise, speed included.
        x: widths/s to the right, speed included.
        y: heights/s upwards, speed included.
        noise: kind of noise.
        seed_travel: seeds/s.
        seed: the performer's variation number, ``gen.seed``.
        reseed: counts reseed edges, the performer's and the correction's.
        loras: weights, one for each LoRA of the model.
        correction: of the picture that is fed back. What it asks for beside the picture, ``strength``, ``feedback``
            and ``reseed``, is in the others already.
    """

    time: float
    strength: float
    steps: int
    guidance: float
    feedback: float
    init: float
    zoom: float
    spin: float
    x: float
    y: float
    noise: NoiseKind
    seed_travel: float
    seed: int
    reseed: int
    loras: tuple[float, ...] = ()
    correction: Correction = NO_CORRECTION

    @property
    def guided(self) -> bool:
        """True if the frame needs the negative text too."""
        return self.guidance > 1.0


def read_controls(params: GeneratorParams, *, wants_guidance: bool = False, loras: int = 0) -> Controls:
    """Return what ``params`` wish for.

    Every value is brought into its row's range, a NaN to its default: a picture fed back for hours must not
    depend on the good manners of whoever filled in the parameters. Speed 0 holds everything but a kick.

    Args:
        params: the control state's message.
        wants_guidance: True if the model makes something of guidance.
        loras: number of LoRAs of the model; those beyond the faders play at full weight.
    """
    values = params.values

    def value(name: str) -> float:
        return PARAMS[name].clamp(values[name])

    speed, correction = value("gen.speed"), params.correction
    more_dream = _share(correction.strength, 0.0)
    return Controls(
        time=params.time if math.isfinite(params.time) else 0.0,
        strength=PARAMS["turbo.strength"].clamp(value("turbo.strength") + more_dream),
        steps=int(value("turbo.steps")),
        guidance=value("turbo.guidance") if wants_guidance else 1.0,
        feedback=min(value("turbo.feedback"), MAX_FEEDBACK) * _share(correction.feedback, 1.0),
        init=value("turbo.init"),
        zoom=speed * value("gen.drift") + KICK * value("gen.pulse"),
        spin=speed * value("gen.rotate"),
        x=speed * value("turbo.x"),
        y=speed * value("turbo.y"),
        noise=cast(NoiseKind, NOISES[int(value("turbo.noise"))]),
        seed_travel=PARAMS["turbo.seed_travel"].clamp(value("turbo.seed_travel") + _share(correction.travel, 0.0)),
        seed=int(value("gen.seed")),
        reseed=params.reseed + correction.reseed,
        loras=tuple(value(f"turbo.lora{n}") if n <= LORAS else 1.0 for n in range(1, loras + 1)),
        correction=correction,
    )


def _share(value: float, otherwise: float) -> float:
    return min(max(value, 0.0), 1.0) if math.isfinite(value) else otherwise
