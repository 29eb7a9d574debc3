"""Where in the music a frame is: the beat clock read at the frame's own time, never backwards, no beat twice."""

from __future__ import annotations

import math
from dataclasses import replace

from vjengine.core.control import ControlState
from vjengine.core.signals import NO_AUDIO, AudioFeatures

STALE_AFTER = 0.6
"""Features older than this (s) are not listened to any more: the audio thread has stopped."""
COAST_FOR = 4.0
"""With stale features, the beat clock coasts this long (s) before beats stop."""


def fresh(features: AudioFeatures, now: float) -> AudioFeatures:
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


def musical_time(state: ControlState, features: AudioFeatures, time: float) -> tuple[float, float, bool, bool, bool]:
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
