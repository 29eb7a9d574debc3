from fractions import Fraction

import pytest

from vjengine.core.clock import FrameClock, FrameLatch, LiveClock


def test_frame_clock_is_exact_after_an_hour_of_odd_frame_rates() -> None:
    clock = FrameClock(Fraction(60000, 1001))
    clock.index = 60 * 60 * 60
    assert clock.now() == float(Fraction(216000 * 1001, 60000))
    assert clock.advance().index == 216001


def test_frame_clock_refuses_a_rate_that_never_ends() -> None:
    with pytest.raises(ValueError, match="above 0"):
        FrameClock(0)


def test_two_live_clocks_with_one_epoch_agree() -> None:
    first = LiveClock()
    second = LiveClock(first.epoch)
    a, b, c = first.now(), second.now(), first.now()
    assert a <= b <= c


def test_sleep_until_never_returns_early() -> None:
    clock = LiveClock()
    moment = clock.now() + 0.01
    late = clock.sleep_until(moment)
    assert clock.now() >= moment
    assert late >= 0.0


def test_latched_time_never_runs_backwards() -> None:
    latch = FrameLatch()
    first, second, third = latch.latch(1.0), latch.latch(0.5), latch.latch(1.5)
    assert (first.delta, second.delta, third.delta) == (0.0, 0.0, 0.5)
    assert second.time == 1.0
    assert [first.index, second.index, third.index] == [0, 1, 2]
