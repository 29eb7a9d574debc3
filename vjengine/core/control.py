"""The control state: everything that decides a picture, latched once a frame.

:mod:`vjengine.core.reducer` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from vjengine.core.clock import FrameTime
from vjengine.core.crowd import SILENT, CrowdVoice
from vjengine.core.events import StatusChanged
from vjengine.core.looks import Look
from vjengine.core.macros import MacroState
from vjengine.core.params import PARAMS, ParamValues
from vjengine.core.signals import NO_AUDIO, AudioFeatures


@dataclass(frozen=True, slots=True)
class ControlState:
    """Everything that decides a picture, latched once a frame.

    Attributes:
        time: the frame's time.
        look: the look in force.
        look_since: session time (s) at which it was chosen; negative if it was there from the start or came with a cut.
        values: parameter values in force, after performer, modulation and macros.
        targets: values the performer set by hand, in the rows' units; the look supplies the rest.
        smoothed: performer and look values after smoothing, before modulation and macros.
        macros: every macro's state, by name.
        followers: state of the look's modulations, one number a wire.
        features: the audio features this frame reads.
        beats: musical position in beats, never running backwards; the whole part is the beat's number.
        bar_phase: position in the bar, 0–1.
        beat_running: False while no beat is known and in silence.
        beat_count: beats that fell so far; ``beat`` tells whether one fell into this frame.
        beat: True if a beat fell into this frame.
        bar: True if a bar began in this frame.
        onset: onset envelope, 0–1: jumps at an onset and decays.
        travel: integral of ``gen.speed`` in s.
        turn: integral of ``gen.rotate`` in turns.
        reseed: counts new generator seeds asked for.
        cue: counts look and prompt changes.
        cut: counts cuts: the next generator frame appears without cross-fade.
        clear: counts wipes of the compositor's feedback.
        prompt: prompt submitted by hand, ``(text, weight)``; empty text for none.
        crowd: what the audience says, and how far it has come in.
        status: the latest word of every component that is not simply well.
        quit: True once the performer has ended the show.
        unknown: events that named no macro, parameter or look, counted.
    """

    time: FrameTime = field(default_factory=lambda: FrameTime(0, 0.0, 0.0))
    look: Look = field(default_factory=Look)
    look_since: float = -1.0
    values: ParamValues = field(default_factory=PARAMS.defaults)
    targets: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    smoothed: ParamValues = field(default_factory=PARAMS.defaults)
    macros: Mapping[str, MacroState] = field(default_factory=lambda: MappingProxyType({}))
    followers: tuple[float, ...] = ()
    features: AudioFeatures = NO_AUDIO
    beats: float = 0.0
    bar_phase: float = 0.0
    beat_running: bool = False
    beat_count: int = 0
    beat: bool = False
    bar: bool = False
    onset: float = 0.0
    travel: float = 0.0
    turn: float = 0.0
    reseed: int = 0
    cue: int = 0
    cut: int = 0
    clear: int = 0
    prompt: tuple[str, float] = ("", 1.0)
    crowd: CrowdVoice = SILENT
    status: Mapping[str, StatusChanged] = field(default_factory=lambda: MappingProxyType({}))
    quit: bool = False
    unknown: int = 0
