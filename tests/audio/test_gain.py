"""Gain over minutes: the gain control is fed minutes of levels directly, so that the test takes a moment."""

from __future__ import annotations

import numpy as np
import pytest

from vjengine.audio.gain import GainControl, SilenceGate

STEP = 0.1


def feed(control, seconds, level_db, bands_db=None):
    power = np.full(7, 10 ** (level_db / 10))
    if bands_db is not None:
        power[1:] = 10 ** (np.asarray(bands_db) / 10)
    for _ in range(round(seconds / STEP)):
        control.process(power)
    return control.gain_db


def test_a_quiet_mixer_is_brought_up_within_seconds():
    assert feed(GainControl(STEP), 3.0, -40.0) == pytest.approx(37.0, abs=2.0)


def test_a_breakdown_is_not_pumped_up():
    control = GainControl(STEP)
    drop = feed(control, 180.0, -12.0)
    assert feed(control, 60.0, -30.0) == pytest.approx(drop, abs=0.5)


def test_another_quieter_set_is_lifted_over_minutes():
    control = GainControl(STEP)
    drop = feed(control, 180.0, -12.0)
    assert feed(control, 600.0, -26.0) == pytest.approx(drop + 14.0, abs=1.5)


def test_a_drop_after_a_quiet_intro_makes_room_at_once():
    control = GainControl(STEP)
    intro = feed(control, 60.0, -30.0)
    after = feed(control, 20.0, -10.0)
    assert after == pytest.approx(intro - 20.0, abs=2.0)


def test_an_empty_band_stays_empty():
    control = GainControl(STEP)
    feed(control, 30.0, -12.0, [-15, -15, -20, -25, -30, -85])
    assert control.references[6] >= control.references[0] * 10 ** (-36.5 / 20)


def test_gain_has_a_limit():
    assert feed(GainControl(STEP), 10.0, -89.0) <= 50.0


def test_the_gate_opens_at_once_and_shuts_after_a_moment():
    gate = SilenceGate(0.005, -60.0)
    assert gate.process(0.0, -90.0)
    assert not gate.process(0.01, -90.0)
    states = [gate.process(0.0, -90.0) for _ in range(200)]
    assert not states[20]
    assert states[-1]


def test_the_gate_does_not_chatter_at_its_threshold():
    gate = SilenceGate(0.005, -60.0)
    rng = np.random.default_rng(0)
    states = [gate.process(10 ** ((-59.5 + rng.normal(0, 1.0)) / 10), -90.0) for _ in range(2000)]
    assert np.count_nonzero(np.diff(states[20:])) <= 2
