"""The control step: one pure function from (state, events, features, time) to the next state.

Live and offline call it the same way; it reads no clock, touches no device and keeps nothing between calls.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from vjengine.core import crowd as cro
from vjengine.core import events as ev
from vjengine.core import macros as mac
from vjengine.core.clock import FrameTime
from vjengine.core.control import ControlState
from vjengine.core.crowd import SILENT, CrowdVoice
from vjengine.core.generation import GeneratorParams
from vjengine.core.looks import Look
from vjengine.core.mixing import GLIDE_SECONDS, modulate, music_amount, scaled_bands, smooth
from vjengine.core.modulation import audio_signals, beat_signals
from vjengine.core.musical_time import fresh, musical_time
from vjengine.core.params import PARAMS, ParamValues
from vjengine.core.prompts import Pieces, parse_prompt, shares
from vjengine.core.show import Show
from vjengine.core.signals import AudioFeatures

QUANTISE_GRACE = 0.12
"""A start asked for this little (in beats) after its beat counts as on it."""
ONSET_DECAY = 0.12
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
    crowd: CrowdVoice
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
        state.crowd,
    )  # fmt: skip
    for event in events:
        _apply(draft, event, show, time.time)

    features = fresh(features, time.time)
    offset = state.smoothed["beat.offset"] / 1000.0
    beats, bar_phase, running, beat, bar = musical_time(state, features, time.time - offset)
    _step_macros(draft, show, time.delta, beats, bar_phase, running, beat=beat, bar=bar)
    for name in draft.fire:
        for action in show.macros[name].triggers:
            _trigger(draft, action, show)

    onset = state.onset * math.exp(-time.delta / ONSET_DECAY)
    if features.onset_count > state.features.onset_count:
        onset = max(onset, features.onset_strength)
    look = draft.look
    base = show.bases[look.name] if look.name in show.bases else ParamValues.of(look.values)
    gliding = draft.look_since >= 0.0 and time.time - draft.look_since < GLIDE_SECONDS
    smoothed = smooth(state.smoothed, base, draft.targets, time.delta, gliding=gliding)
    signals = audio_signals(features, onset) | beat_signals(beats, bar_phase, running)
    signals.update((f"macro.{name}", macro.envelope) for name, macro in draft.macros.items())
    followers = state.followers if draft.look is state.look else (0.0,) * len(draft.look.modulations)
    values, followers = modulate(smoothed, look, draft.macros, show, signals, followers, time, beats)
    crowd = _step_crowd(draft, values, time.delta, bar=bar or not running)
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
        crowd=crowd,
        status=MappingProxyType(draft.status),
        quit=draft.quit,
        unknown=draft.unknown,
    )


def generator_params(state: ControlState, sequence: int, show: Show) -> GeneratorParams:
    """Return what the generator is told for ``state``; ``sequence`` numbers the value, from 1."""
    music = music_amount(state.values)
    return GeneratorParams(
        sequence=sequence,
        time=state.time.time,
        values=state.values,
        travel=state.travel,
        turn=state.turn,
        reseed=state.reseed,
        cue=state.cue,
        cut=state.cut,
        prompts=_prompts(state, show),
        negative=state.look.negative,
        bands=scaled_bands(state.features.bands, music),
        hits=scaled_bands(state.features.hits, music),
        rms=min(1.0, music * state.features.rms),
        beats=state.beats,
        bar_phase=state.bar_phase,
        beat_running=state.beat_running,
    )


def _prompts(state: ControlState, show: Show) -> Pieces:
    """Return the texts in force: the prompt submitted by hand, else the look's, with the crowd's, then what macros add.

    The prompt weighs 1 in all, or what it was submitted with; a macro's words weigh as much as its envelope is open.
    """
    prompts = shares(parse_prompt(state.prompt[0]), state.prompt[1]) or shares(parse_prompt(state.look.prompt))
    prompts = cro.mixed(prompts, state.crowd, state.values["crowd.share"])
    words: Pieces = ()
    for name, macro in state.macros.items():
        if show.macros[name].prompt:
            words += shares(parse_prompt(show.macros[name].prompt), macro.envelope)
    # Words fade in from something, be it from no prompt at all: alone, even a light one would be the whole picture.
    return (prompts or (("", 1.0),)) + words if words else prompts


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
        case ev.PromptSubmitted(text=text, weight=weight, cue=cue):
            draft.prompt = (text, weight)
            draft.cue += cue
        case ev.CrowdPrompt(text=text, author=author):
            draft.crowd = cro.submit(draft.crowd, text, author)
        case ev.Trigger(action=action):
            _trigger(draft, action, show)
        case ev.StatusChanged(component=component, level=level):
            draft.status.pop(component, None)
            if level != "ok":
                draft.status[component] = event
        case ev.Quit():
            draft.quit = True
        case ev.TempoEvent() | ev.LearnMidi():
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
        draft.look_since = -1.0  # nor does what came with the look glide
    elif action == "clear":
        draft.clear += 1
    else:
        # Panic: the look as it is written, every button up, every fader home, the trail wiped.
        draft.targets = {key: value for key, value in draft.targets.items() if PARAMS[key].kept}
        draft.prompt = ("", 1.0)
        draft.crowd = replace(SILENT, taken=draft.crowd.taken)
        draft.macros = {
            name: mac.MacroState(show.macros[name].initial, envelope=show.macros[name].initial, starts=old.starts)
            for name, old in draft.macros.items()
        }
        draft.cut += 1
        draft.clear += 1


def _step_crowd(draft: _Draft, values: ParamValues, delta: float, *, bar: bool) -> CrowdVoice:
    """Move the crowd's texts on; one that comes in is a cue."""
    locked, at_bar = values["crowd.lock"] >= 0.5, values.choice("crowd.entry") == "bar"
    crowd = cro.step(draft.crowd, delta, values["crowd.blend"], enter=bar or not at_bar, locked=locked)
    draft.cue += crowd.taken - draft.crowd.taken
    return crowd


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
