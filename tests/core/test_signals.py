import itertools

import pytest

from vjengine.core.signals import BAND_EDGES, BeatClock


def test_bands_touch_and_cover_what_is_promised() -> None:
    assert BAND_EDGES[0][0] == 20.0
    assert BAND_EDGES[-1][1] == 16000.0
    assert all(a[1] == b[0] for a, b in itertools.pairwise(BAND_EDGES))


def test_beat_clock_can_be_read_ahead() -> None:
    clock = BeatClock(anchor=10.0, period=0.5, count=20, downbeat=16, running=True)
    assert clock.tempo == 120.0
    assert clock.beats_at(11.25) == 22.5
    assert clock.time_of(22.5) == 11.25
    assert clock.phase_at(9.9) == pytest.approx(0.8)
    assert clock.bar_phase_at(10.0) == 0.0
    assert clock.bar_phase_at(10.5) == 0.25


def test_a_clock_that_does_not_run_has_no_tempo() -> None:
    assert BeatClock().tempo == 0.0
