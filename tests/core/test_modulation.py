import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjengine.core.modulation import (
    AUDIO_SOURCES,
    BEAT_SOURCES,
    SHAPES,
    Modulation,
    audio_signals,
    beat_signals,
    follow,
    source_value,
    waveform,
)
from vjengine.core.signals import AudioFeatures


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 0.2), st.floats(0.01, 1))
def test_two_half_steps_land_where_a_whole_step_does(start: float, target: float, delta: float, tau: float) -> None:
    whole = follow(start, target, delta, tau, tau)
    halves = follow(follow(start, target, delta / 2, tau, tau), target, delta / 2, tau, tau)
    assert halves == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_waveforms_stay_in_range_and_repeat(shape: str) -> None:
    values = [waveform(shape, i / 37.0, 0.25) for i in range(400)]  # type: ignore[arg-type]
    assert all(-1.0 <= value <= 1.0 for value in values)
    assert max(values) > 0.5
    assert min(values) < -0.5
    assert values == [waveform(shape, i / 37.0, 0.25) for i in range(400)]  # type: ignore[arg-type]


def test_wander_has_no_jumps() -> None:
    values = [waveform("wander", i / 100.0) for i in range(2000)]
    assert max(abs(a - b) for a, b in itertools.pairwise(values)) < 0.05


def test_sources_named_in_the_tables_are_the_ones_that_exist() -> None:
    assert set(audio_signals(AudioFeatures(), 0.0)) == set(AUDIO_SOURCES)
    assert set(beat_signals(1.5, 0.3, True)) == set(BEAT_SOURCES)


def test_beat_sources_are_still_while_no_beat_runs() -> None:
    assert set(beat_signals(1.0, 0.0, False).values()) == {0.0}
    assert beat_signals(8.0, 0.0, True)["beat.pulse"] == 1.0


def test_an_lfo_in_beats_follows_the_music() -> None:
    wire = Modulation("gen.hue", "lfo", 1.0, shape="sine", period=4.0, in_beats=True)
    assert source_value(wire, {}, time=99.0, beats=1.0) == pytest.approx(math.sin(math.tau / 4))
