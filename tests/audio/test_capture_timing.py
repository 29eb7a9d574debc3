"""Sample counts to session time."""

from __future__ import annotations

import numpy as np
import pytest

from vjengine.audio.timing import DeviceClock, SampleTimer

RATE, HOP = 48000, 256


def run(timer: SampleTimer, reported: np.ndarray, counts: np.ndarray) -> np.ndarray:
    stamps = []
    for count, time in zip(counts, reported, strict=True):
        timer.observe(int(count), float(time))
        stamps.append(timer.stamp(int(count)))
    return np.array(stamps)


def test_bursts_of_callbacks_do_not_shake_the_stamps() -> None:
    counts = np.arange(1, 4000) * HOP
    true = 3.0 + counts / RATE
    # Callbacks come in bursts: late by 0 to 24 ms, four at a time.
    late = (4 - np.arange(len(counts)) % 5) * 0.006
    stamps = run(SampleTimer(RATE), true + late, counts)
    steps = np.diff(stamps)[500:]
    assert np.abs(steps - HOP / RATE).max() < 0.001
    assert np.abs((stamps - true)[500:] - late.mean()).max() < 0.003


def test_a_card_with_a_wrong_crystal_is_followed() -> None:
    counts = np.arange(1, 20000) * HOP
    true = counts / (RATE * 1.0003)
    stamps = run(SampleTimer(RATE), true, counts)
    assert np.abs(stamps - true)[-1000:].max() < 0.0005


def test_a_bad_first_report_is_outvoted() -> None:
    counts = np.arange(1, 50) * HOP
    reported = counts / RATE
    reported[0] -= 0.011
    stamps = run(SampleTimer(RATE), reported, counts)
    assert np.abs(stamps - counts / RATE)[10:].max() < 0.0005


def test_lost_samples_move_the_map_and_time_never_runs_backwards() -> None:
    counts = np.arange(1, 1000) * HOP
    reported = counts / RATE
    reported[400:] += 0.5  # half a second was lost
    reported[800:] -= 0.2  # and a clock was set back
    timer = SampleTimer(RATE)
    stamps = run(timer, reported, counts)
    assert timer.jumps == 2
    assert abs(stamps[500] - reported[500]) < 0.001
    assert (np.diff(stamps) > 0).all()
    assert abs(stamps[-1] - reported[-1]) < 0.001


def test_one_stray_report_is_ignored() -> None:
    counts = np.arange(1, 400) * HOP
    reported = counts / RATE
    reported[200] += 3.0
    stamps = run(SampleTimer(RATE), reported, counts)
    assert np.abs(stamps - counts / RATE).max() < 0.0005


def test_count_at_undoes_time_of() -> None:
    timer = SampleTimer(RATE)
    timer.anchor(1000, 2.0)
    assert timer.time_of(1000 + RATE) == pytest.approx(3.0)
    assert timer.count_at(timer.time_of(77777)) == pytest.approx(77777)


def test_stream_time_is_mapped_by_the_least_late_reading() -> None:
    clock = DeviceClock()
    rng = np.random.default_rng(1)
    mapped = []
    for index in range(500):
        current = 1.7e9 + index * 0.005
        now = 40.0 + index * 0.005 + rng.exponential(0.003)
        mapped.append(clock.to_session(current - 0.02, current, now))
    ideal = 40.0 + np.arange(500) * 0.005 - 0.02
    assert np.abs(np.array(mapped, dtype=float)[100:] - ideal[100:]).max() < 0.001


def test_drivers_that_tell_no_time_are_recognised() -> None:
    clock = DeviceClock()
    assert clock.to_session(0.0, 5.0, 1.0) is None
    assert clock.to_session(5.0, 0.0, 1.0) is None
    assert clock.to_session(5.0, 500.0, 1.0) is None
