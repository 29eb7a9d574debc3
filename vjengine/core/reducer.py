"""The control step: one pure function from (state, events, features, time) to the next state.

Live and offline call it the same way; it reads no clock, touches no device and keeps nothing between calls.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from vjengine.core import events as ev
from vjengine.core import macros as mac
from vjengine.core.clock import FrameTime
from vjengine.core.control import ControlState
from vjengine.core.generation import GeneratorParams
from vjengine.core.looks import Look
from vjengine.core.modulation import (
    AUDIO_SOURCES,
    BEAT_SOURCES,
    audio_signals,
    beat_signals,
    follow,
    source_value,
)
from vjengine.core.params import PARAMS, ParamValues
from vjengine.core.show import SMOOTHING, Show, clamp_all
from vjengine.core.signals import NO_AUDIO, AudioFeatures, Bands

GLIDE_SECONDS = 1.0
"""After a change of look, parameters glide instead of jumping for this long."""
GLIDE_CONSTANT = 0.25
QUANTISE_GRACE = 0.12
"""A start asked for this little (in beats) after its beat counts as on it."""
STALE_AFTER = 0.6
"""Features older than this (s) are not listened to any more: the audio thread has stopped."""
COAST_FOR = 4.0
"""With stale features, the beat clock coasts this long (s) before beats stop."""
ONSET_DECAY = 0.12
_MUSIC_SOURCES = frozenset((*AUDIO_SOURCES, *BEAT_SOURCES))
_OFFSET_ROW, _FOLLOW_ROW, _AMOUNT_ROW = (PARAMS.index[n] for n in ("beat.offset", "audio.follow", "audio.amount"))
_SPEED_ROW, _ROTATE_ROW = PARAMS.index["gen.speed"], PARAMS.index["gen.rotate"]


def initial_state(show: Show, look: str = "default") -> ControlState:
    """Return the state a show starts in.

    Raises:
        KeyError: if the show has no look of that name.
    """
    macros = {name: mac.MacroState(macro.initial, envelope=macro.initial) for name, macro in show.macros.items()}
    chosen = show.looks[look]
    base = show.bases[look]
    return ControlState(
        look=chosen,
        values=base,
        smoothed=base,
        macros=MappingProxyType(macros),
        followers=(0.0,) * len(chosen.modulations),
    )


@dataclass(slots=True)
class _Draft:
    """What the events of one frame change; lives for one call of :func:`control_step`."""

    look: Look
    targets: dict[str, float]
    macros: dict[str, mac.MacroState]
    status: dict[str, ev.StatusChanged]
    prompt: tuple[str, float]
    look_since: float
    reseed: int
    cue: int
    cut: int
    clear: int
    unknown: int
    quit: bool
    fire: list[str] = field(default_factory=list)


def control_step(
    state: ControlState,
    events: Iterable[ev.Event],
    features: AudioFeatures,
    time: FrameTime,
    show: Show,
) -> ControlState:
    """Return the control state for the frame at ``time``.

    Args:
        state: the state of the previous frame.
        events: what happened since, oldest first. Tempo events are the analyser's business and are ignored here.
        features: the newest audio features.
        time: the frame's latched time.
        show: the macros and looks in force.
    """
    draft = _Draft(
        state.look, dict(state.targets), dict(state.macros), dict(state.status), state.prompt, state.look_since,
        state.reseed, state.cue, state.cut, state.clear, state.unknown, state.quit,
    )  # fmt: skip
    for event in events:
        _apply(draft, event, show, time.time)

    features = _fresh(features, time.time)
    offset = state.smoothed["beat.offset"] / 1000.0
    beats, bar_phase, running, beat, bar = _musical_time(state, features, time.time - offset)
    _step_macros(draft, show, time.delta, beats, bar_phase, running, beat=beat, bar=bar)
    for name in draft.fire:
        for action in show.macros[name].triggers:
            _trigger(draft, action, show)

    onset = state.onset * math.exp(-time.delta / ONSET_DECAY)
    if features.onset_count > state.features.onset_count:
        onset = max(onset, features.onset_strength)
    smoothed = _smooth(state, draft, time, show)
    signals = audio_signals(features, onset) | beat_signals(beats, bar_phase, running)
    signals.update((f"macro.{name}", macro.envelope) for name, macro in draft.macros.items())
    followers = state.followers if draft.look is state.look else (0.0,) * len(draft.look.modulations)
    values, followers = _modulate(smoothed, draft, show, signals, followers, time, beats)
    return ControlState(
        time=time,
        look=draft.look,
        look_since=draft.look_since,
        values=values,
        targets=MappingProxyType(draft.targets),
        smoothed=smoothed,
        macros=MappingProxyType(draft.macros),
        followers=followers,
        features=features,
        beats=beats,
        bar_phase=bar_phase,
        beat_running=running,
        beat_count=state.beat_count + beat,
        beat=beat,
        bar=bar,
        onset=onset,
        travel=state.travel + float(values.array[_SPEED_ROW]) * time.delta,
        turn=state.turn + float(values.array[_ROTATE_ROW]) * time.delta,
        reseed=draft.reseed,
        cue=draft.cue,
        cut=draft.cut,
        clear=draft.clear,
        prompt=draft.prompt,
        status=MappingProxyType(draft.status),
        quit=draft.quit,
        unknown=draft.unknown,
    )


def generator_params(state: ControlState, sequence: int, show: Show) -> GeneratorParams:
    """Return what the generator is told for ``state``; ``sequence`` numbers the value, from 1."""
    prompts: list[tuple[str, float]] = []
    if state.prompt[0]:
        prompts.append(state.prompt)
    elif state.look.prompt:
        prompts.append((state.look.prompt, 1.0))
    for name, macro in state.macros.items():
        words = show.macros[name].prompt
        if words and macro.envelope > 0.0:
            prompts.append((words, macro.envelope))
    music = _music(state.values)
    return GeneratorParams(
        sequence=sequence,
        time=state.time.time,
        values=state.values,
        travel=state.travel,
        turn=state.turn,
        reseed=state.reseed,
        cue=state.cue,
        prompts=tuple(prompts),
        negative=state.look.negative,
        bands=_scaled(state.features.bands, music),
        hits=_scaled(state.features.hits, music),
        rms=min(1.0, music * state.features.rms),
        beats=state.beats,
        bar_phase=state.bar_phase,
        beat_running=state.beat_running,
    )


def _music(values: ParamValues) -> float:
    """How strongly the picture follows the music: 0 with AUDIO off, 1 as the look is written."""
    return float(values.array[_FOLLOW_ROW] * values.array[_AMOUNT_ROW])


def _scaled(bands: Bands, factor: float) -> Bands:
    first, second, third, fourth, fifth, sixth = (min(1.0, factor * level) for level in bands)
    return first, second, third, fourth, fifth, sixth


def _fresh(features: AudioFeatures, now: float) -> AudioFeatures:
    """Return ``features``, or silence with a coasting beat clock if they are stale."""
    age = now - features.time
    if features.hop < 0 or age < STALE_AFTER:
        return features
    coasting = replace(features.beat, running=features.beat.running and age < COAST_FOR)
    return replace(
        NO_AUDIO,
        time=features.time,
        hop=features.hop,
        onset_count=features.onset_count,
        hit_counts=features.hit_counts,
        last_onset=features.last_onset,
        beat=coasting,
    )


def _musical_time(state: ControlState, features: AudioFeatures, time: float) -> tuple[float, float, bool, bool, bool]:
    """Return (beats, bar phase, running, beat fell, bar began) at session time ``time``.

    Small corrections of the clock never run the position backwards and never fire a beat twice; a jump of more than a
    beat is a new alignment and is taken over in silence.
    """
    clock = features.beat
    if not clock.running:
        return state.beats, state.bar_phase, False, False, False
    beats = clock.beats_at(time)
    behind = state.beats - beats
    if state.beat_running and 0.0 < behind < 1.0:
        beats = state.beats
    bar_position = (beats - clock.downbeat) / clock.beats_per_bar
    bar_phase = bar_position - math.floor(bar_position)
    jumped = not state.beat_running or behind >= 1.0 or behind < -4.0
    beat = not jumped and math.floor(beats) > math.floor(state.beats)
    bar = beat and (math.floor(beats) - clock.downbeat) % clock.beats_per_bar == 0
    return beats, bar_phase, True, beat, bar


def _apply(draft: _Draft, event: ev.Event, show: Show, now: float) -> None:
    """Work one event into the draft."""
    match event:
        case ev.MacroSet(macro=name, value=value) | ev.MacroLevel(macro=name, value=value):
            _request(draft, show, name, value)
        case ev.MacroToggle(macro=name):
            on = name in draft.macros and draft.macros[name].on
            _request(draft, show, name, 0.0 if on else 1.0)
        case ev.ParamSet(param=name, value=value, normalised=normalised):
            if name in PARAMS and math.isfinite(value):
                row = PARAMS[name]
                draft.targets[name] = row.from_unit(value) if normalised else row.clamp(value)
            else:
                draft.unknown += 1
        case ev.LookSelected(look=name, step=step):
            chosen = show.neighbour(draft.look.name, step) if step and not name else show.looks.get(name)
            if chosen is None:
                draft.unknown += 1
            elif chosen is not draft.look:
                draft.look, draft.look_since = chosen, now
                draft.targets = {key: value for key, value in draft.targets.items() if PARAMS[key].kept}
                draft.prompt = ("", 1.0)
                draft.cue += 1
        case ev.PromptSubmitted(text=text, weight=weight):
            draft.prompt = (text, weight)
            draft.cue += 1
        case ev.Trigger(action=action):
            _trigger(draft, action, show)
        case ev.StatusChanged(component=component, level=level):
            draft.status.pop(component, None)
            if level != "ok":
                draft.status[component] = event
        case ev.Quit():
            draft.quit = True
        case ev.TempoEvent():
            pass
        case _:
            draft.unknown += 1


def _request(draft: _Draft, show: Show, name: str, value: float) -> None:
    macro = show.macros.get(name)
    if macro is None or not math.isfinite(value):
        draft.unknown += 1
        return
    before = draft.macros[name]
    after = mac.request(macro, before, value)
    draft.macros[name] = after
    if after.starts > before.starts and not after.armed:
        draft.fire.append(name)


def _trigger(draft: _Draft, action: mac.TriggerName, show: Show) -> None:
    if action == "reseed":
        draft.reseed += 1
    elif action == "cut":
        draft.cut += 1
    elif action == "clear":
        draft.clear += 1
    else:
        # Panic: the look as it is written, every button up, every fader home, the trail wiped.
        draft.targets = {key: value for key, value in draft.targets.items() if PARAMS[key].kept}
        draft.prompt = ("", 1.0)
        draft.macros = {
            name: mac.MacroState(show.macros[name].initial, envelope=show.macros[name].initial, starts=old.starts)
            for name, old in draft.macros.items()
        }
        draft.cut += 1
        draft.clear += 1


def _step_macros(
    draft: _Draft,
    show: Show,
    delta: float,
    beats: float,
    bar_phase: float,
    running: bool,
    *,
    beat: bool,
    bar: bool,
) -> None:
    """Move all envelopes on; collect the macros whose quantised start came."""
    # With no beat to wait for, or only just after it, a start is now.
    on_beat = beat or not running or beats - math.floor(beats) < QUANTISE_GRACE
    on_bar = bar or not running or bar_phase * 4.0 < QUANTISE_GRACE
    for name, state in draft.macros.items():
        macro = show.macros[name]
        if state.armed and (on_bar if macro.quantise == "bar" else on_beat):
            draft.macros[name] = replace(state, armed=False)
            draft.fire.append(name)
    down = mac.suppressed(show.macros, draft.macros)
    for name, state in draft.macros.items():
        draft.macros[name] = mac.step(show.macros[name], state, delta, held_down=name in down)
    draft.fire = [name for name in draft.fire if name not in down]


def _smooth(state: ControlState, draft: _Draft, time: FrameTime, show: Show) -> ParamValues:
    """Return performer and look values after each row's smoothing."""
    base = show.bases.get(draft.look.name)
    aim = (base if base is not None else ParamValues.of(draft.look.values)).array
    if draft.targets:
        aim = np.array(aim)
        for name, value in draft.targets.items():
            aim[PARAMS.index[name]] = value
    constants = SMOOTHING
    if draft.look_since >= 0.0 and time.time - draft.look_since < GLIDE_SECONDS:
        constants = np.where(SMOOTHING > 0.0, np.maximum(SMOOTHING, GLIDE_CONSTANT), 0.0)
    with np.errstate(divide="ignore"):
        keep = np.where(constants > 0.0, np.exp(-time.delta / np.maximum(constants, 1e-9)), 0.0)
    return ParamValues(aim + (state.smoothed.array - aim) * keep)


def _modulate(
    smoothed: ParamValues,
    draft: _Draft,
    show: Show,
    signals: Mapping[str, float],
    followers: tuple[float, ...],
    time: FrameTime,
    beats: float,
) -> tuple[ParamValues, tuple[float, ...]]:
    """Return the values in force after modulation and macros, and the followers' new states."""
    values: npt.NDArray[np.float64] = np.array(smoothed.array)
    rows = dict(show.effects)
    # How much the music acts must be known before the music acts.
    for row in (_FOLLOW_ROW, _AMOUNT_ROW):
        values[row] = _with_effects(float(values[row]), rows.get(row, ()), draft.macros)
    values = clamp_modulated(values)
    music = _music(ParamValues(values))
    moved = []
    for wire, before in zip(draft.look.modulations, followers, strict=True):
        reading = source_value(wire, signals, time.time, beats)
        now = follow(before, reading, time.delta, wire.attack, wire.release)
        moved.append(now)
        scale = music if wire.source in _MUSIC_SOURCES else 1.0
        values[PARAMS.index[wire.param]] += wire.amount * scale * now
    # Clamp before macros too, so that an overdriven modulation cannot outweigh a macro that sets a value.
    values = clamp_modulated(values)
    for row, effects in show.effects:
        if row not in (_FOLLOW_ROW, _AMOUNT_ROW):
            values[row] = _with_effects(float(values[row]), effects, draft.macros)
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
