"""From hands, look, music and macros to the parameter values in force: smooth, modulate, then let macros act."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from vjengine.core import macros as mac
from vjengine.core.clock import FrameTime
from vjengine.core.looks import Look
from vjengine.core.modulation import AUDIO_SOURCES, BEAT_SOURCES, follow, source_value
from vjengine.core.params import PARAMS, ParamValues
from vjengine.core.show import SMOOTHING, Show, clamp_all
from vjengine.core.signals import Bands

GLIDE_SECONDS = 1.0
"""After a change of look, parameters glide instead of jumping for this long."""
GLIDE_CONSTANT = 0.25
_MUSIC_SOURCES = frozenset((*AUDIO_SOURCES, *BEAT_SOURCES))
_FOLLOW_ROW, _AMOUNT_ROW = PARAMS.index["audio.follow"], PARAMS.index["audio.amount"]


def music_amount(values: ParamValues) -> float:
    """How strongly the picture follows the music: 0 with AUDIO off, 1 as the look is written."""
    return float(values.array[_FOLLOW_ROW] * values.array[_AMOUNT_ROW])


def scaled_bands(bands: Bands, factor: float) -> Bands:
    """Return ``bands`` times ``factor``, at most 1."""
    first, second, third, fourth, fifth, sixth = (min(1.0, factor * level) for level in bands)
    return first, second, third, fourth, fifth, sixth


def smooth(
    before: ParamValues, base: ParamValues, targets: Mapping[str, float], delta: float, *, gliding: bool
) -> ParamValues:
    """Return look and performer values after each row's smoothing.

    Args:
        before: the smoothed values of the last frame.
        base: the look's values.
        targets: what the performer set by hand; it takes the look's place.
        delta: s since the last frame.
        gliding: True shortly after a change of look.
    """
    aim = base.array
    if targets:
        aim = np.array(aim)
        for name, value in targets.items():
            aim[PARAMS.index[name]] = value
    constants = SMOOTHING
    if gliding:
        constants = np.where(SMOOTHING > 0.0, np.maximum(SMOOTHING, GLIDE_CONSTANT), 0.0)
    with np.errstate(divide="ignore"):
        keep = np.where(constants > 0.0, np.exp(-delta / np.maximum(constants, 1e-9)), 0.0)
    return ParamValues(aim + (before.array - aim) * keep)


def modulate(
    smoothed: ParamValues,
    look: Look,
    macros: Mapping[str, mac.MacroState],
    show: Show,
    signals: Mapping[str, float],
    followers: tuple[float, ...],
    time: FrameTime,
    beats: float,
) -> tuple[ParamValues, tuple[float, ...]]:
    """Return the values in force after modulation and macros, and the followers' new states.

    Args:
        smoothed: look and performer values.
        look: whose modulations act; ``followers`` holds one state for each of them.
        macros: where the macros stand.
        show: which macro acts on what.
        signals: value of every source, by name.
        followers: states of the modulations in the last frame.
        time: the frame's time.
        beats: musical position, in beats.
    """
    values: npt.NDArray[np.float64] = np.array(smoothed.array)
    rows = dict(show.effects)
    # How much the music acts must be known before the music acts.
    for row in (_FOLLOW_ROW, _AMOUNT_ROW):
        values[row] = _with_effects(float(values[row]), rows.get(row, ()), macros)
    values = clamp_modulated(values)
    music = music_amount(ParamValues(values))
    moved = []
    for wire, before in zip(look.modulations, followers, strict=True):
        reading = source_value(wire, signals, time.time, beats)
        now = follow(before, reading, time.delta, wire.attack, wire.release)
        moved.append(now)
        scale = music if wire.source in _MUSIC_SOURCES else 1.0
        values[PARAMS.index[wire.param]] += wire.amount * scale * now
    # Clamp before macros too, so that an overdriven modulation cannot outweigh a macro that sets a value.
    values = clamp_modulated(values)
    for row, effects in show.effects:
        if row not in (_FOLLOW_ROW, _AMOUNT_ROW):
            values[row] = _with_effects(float(values[row]), effects, macros)
    return ParamValues(clamp_modulated(values)), tuple(moved)


def clamp_modulated(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Clamp, but let hue-like rows that are circular wrap instead of sticking at their ends."""
    wrapped = np.array(values)
    for row in _CIRCULAR:
        low, high = PARAMS.rows[row].low, PARAMS.rows[row].high
        wrapped[row] = low + (wrapped[row] - low) % (high - low)
    return np.where(_IS_CIRCULAR, wrapped, clamp_all(values))


_CIRCULAR = tuple(PARAMS.index[name] for name in ("gen.hue", "grade.hue", "camera.rotate"))
_IS_CIRCULAR = np.isin(np.arange(len(PARAMS)), _CIRCULAR)


def _with_effects(
    value: float, effects: Iterable[tuple[mac.MacroDef, mac.MacroEffect]], states: Mapping[str, mac.MacroState]
) -> float:
    for macro, effect in effects:
        amount = states[macro.name].envelope - macro.neutral
        if amount:
            value = effect.apply(value, amount)
    return value
