"""What moves parameters by itself: audio followers, beat shapes, LFOs, random walks on the beat.

Every function here takes the time step as an argument, so the motion is the same at 24 and at 144 fps.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from vjengine.core.signals import BAND_NAMES, AudioFeatures

Shape = Literal["sine", "triangle", "saw", "square", "random", "wander"]
SHAPES: tuple[Shape, ...] = ("sine", "triangle", "saw", "square", "random", "wander")

AUDIO_SOURCES: tuple[str, ...] = (
    "rms",
    "peak",
    "centroid",
    "flatness",
    "flux",
    "onset",
    *(f"{band}.{kind}" for band in BAND_NAMES for kind in ("level", "slow", "hit")),
)
"""Sources that follow the sound; ``audio.amount`` scales them. ``onset`` jumps at an onset and decays."""

BEAT_SOURCES: tuple[str, ...] = ("beat.pulse", "beat.phase", "beat.swing", "bar.pulse", "bar.phase", "bar.swing")
"""Sources that follow the beat clock: ``pulse`` is 1 on the beat and decays, ``swing`` is a raised cosine."""


@dataclass(frozen=True, slots=True)
class Modulation:
    """One wire: a source moves a parameter.

    Attributes:
        param: name of the parameter row.
        source: one of :data:`AUDIO_SOURCES`, :data:`BEAT_SOURCES`, ``lfo`` or ``macro.NAME``.
        amount: offset in the parameter's unit when the source is at 1.
        curve: exponent on the source; above 1, only strong moments act.
        attack, release: s with which the source is followed up and down; 0 follows at once.
        shape: waveform of an ``lfo``.
        period: period of an ``lfo``, in beats if ``in_beats``, else in s.
        in_beats: see ``period``.
        phase: phase of an ``lfo``, turns.
    """

    param: str
    source: str
    amount: float
    curve: float = 1.0
    attack: float = 0.0
    release: float = 0.0
    shape: Shape = "sine"
    period: float = 8.0
    in_beats: bool = False
    phase: float = 0.0


def follow(value: float, target: float, delta: float, attack: float, release: float) -> float:
    """Return ``value`` moved towards ``target`` over ``delta`` s with separate time constants up and down (s).

    An exponential follower in closed form: two half steps land where one whole step does.
    """
    constant = attack if target > value else release
    if constant <= 0.0:
        return target
    return target + (value - target) * math.exp(-delta / constant)


def _hash_unit(index: int, salt: float) -> float:
    """Return a repeatable pseudo-random number 0–1 for a step index."""
    digest = hashlib.blake2b(f"{index}:{salt:.6f}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2.0**64


def waveform(shape: Shape, position: float, salt: float = 0.0) -> float:
    """Return an LFO's value, -1 to 1, at ``position`` (periods since the start).

    ``random`` holds a new value each period; ``wander`` glides between such values.
    """
    phase = position - math.floor(position)
    if shape == "sine":
        return math.sin(math.tau * phase)
    if shape == "triangle":
        return 4.0 * abs(((phase + 0.75) % 1.0) - 0.5) - 1.0
    if shape == "saw":
        return 2.0 * phase - 1.0
    if shape == "square":
        return 1.0 if phase < 0.5 else -1.0
    step = math.floor(position)
    here = 2.0 * _hash_unit(step, salt) - 1.0
    if shape == "random":
        return here
    there = 2.0 * _hash_unit(step + 1, salt) - 1.0
    return here + (there - here) * (0.5 - 0.5 * math.cos(math.pi * phase))


def audio_signals(features: AudioFeatures, onset: float) -> dict[str, float]:
    """Return the value, 0–1, of every audio source. ``onset`` is the decaying onset envelope."""
    signals = {
        "rms": features.rms,
        "peak": features.peak,
        "centroid": features.centroid,
        "flatness": features.flatness,
        "flux": features.flux,
        "onset": onset,
    }
    for i, band in enumerate(BAND_NAMES):
        signals[f"{band}.level"] = features.bands[i]
        signals[f"{band}.slow"] = features.bands_slow[i]
        signals[f"{band}.hit"] = features.hits[i]
    return signals


def beat_signals(beats: float, bar_phase: float, running: bool) -> dict[str, float]:
    """Return the value, 0–1, of every beat source; all 0 while no beat is running."""
    if not running:
        return dict.fromkeys(BEAT_SOURCES, 0.0)
    phase = beats - math.floor(beats)
    return {
        "beat.pulse": math.exp(-5.0 * phase),
        "beat.phase": phase,
        "beat.swing": 0.5 + 0.5 * math.cos(math.tau * phase),
        "bar.pulse": math.exp(-8.0 * bar_phase),
        "bar.phase": bar_phase,
        "bar.swing": 0.5 + 0.5 * math.cos(math.tau * bar_phase),
    }


def source_value(wire: Modulation, signals: Mapping[str, float], time: float, beats: float) -> float:
    """Return what ``wire``'s source reads now, after its curve: 0–1, or -1 to 1 for an LFO."""
    if wire.source == "lfo":
        position = (beats if wire.in_beats else time) / wire.period + wire.phase
        return waveform(wire.shape, position, wire.phase)
    value = signals.get(wire.source, 0.0)
    return value if wire.curve == 1.0 else max(0.0, value) ** wire.curve
