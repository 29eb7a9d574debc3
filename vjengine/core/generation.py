"""What a generator is told: one frozen value a frame, the same live and offline."""

from __future__ import annotations

from dataclasses import dataclass, field

from vjengine.core.correction import NO_CORRECTION, Correction
from vjengine.core.params import PARAMS, ParamValues
from vjengine.core.signals import NO_BANDS, Bands


@dataclass(frozen=True, slots=True)
class GeneratorParams:
    """Everything that decides the next picture.

    Generators are driven at their own pace and see only the latest of these, so edges travel as *counters*
    (``reseed``, ``cue``, ``cut``): a skipped value loses none. Motion travels as positions (``travel``,
    ``turn``), integrated by the control step: a worker that starts anew goes on where the old one stood.

    Attributes:
        sequence: number of this value, from 1.
        time: session time (s) the picture is for.
        values: all parameter values.
        travel: motion so far, in s of pace 1: the integral of ``gen.speed``.
        turn: rotation so far in turns: the integral of ``gen.rotate``.
        reseed: counts reseed edges.
        cue: counts look and prompt changes.
        cut: counts cuts: what changes together with one changes at once, without a dissolve.
        prompts: ``(text, weight)`` pairs; empty for none.
        negative: negative prompt.
        bands: fast band levels 0–1, already scaled by how much the picture follows the music; 0 with AUDIO off.
        hits: band transients 0–1, scaled likewise.
        rms: loudness 0–1, scaled likewise.
        beats: musical position in beats; the whole part is the beat's number.
        bar_phase: position in the bar, 0–1.
        beat_running: False while no beat is known.
        correction: what to do to the picture that is fed back; for generators that feed on their own pictures.
    """

    sequence: int = 0
    time: float = 0.0
    values: ParamValues = field(default_factory=PARAMS.defaults)
    travel: float = 0.0
    turn: float = 0.0
    reseed: int = 0
    cue: int = 0
    cut: int = 0
    prompts: tuple[tuple[str, float], ...] = ()
    negative: str = ""
    bands: Bands = NO_BANDS
    hits: Bands = NO_BANDS
    rms: float = 0.0
    beats: float = 0.0
    bar_phase: float = 0.0
    beat_running: bool = False
    correction: Correction = NO_CORRECTION
