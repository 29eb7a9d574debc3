"""The pacer's arithmetic, on a clock that stands until told otherwise."""

from __future__ import annotations

import pytest

from vjengine.core.clock import LiveClock
from vjengine.outputs.pacing import FramePacer, FrameSlot


class HandClock:
    """A clock moved by hand: waiting jumps to the moment, working is an explicit step."""

    def __init__(self, time: float = 0.0) -> None:
        self.time = time
        self.waits: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep_until(self, moment: float) -> float:
        self.waits.append(max(0.0, moment - self.time))
        late = max(0.0, self.time - moment)
        self.time = max(self.time, moment)
        return late


def test_the_first_frame_starts_at_once_wherever_the_clock_stands():
    clock = HandClock(123.456)
    assert FramePacer(clock, 60).wait() == FrameSlot(0, 123.456, 0.0, 0)
    assert clock.waits == [0.0]


def test_an_hour_of_frames_does_not_drift():
    clock = HandClock()
    pacer = FramePacer(clock, 60)
    for index in range(60 * 3600 + 1):
        slot = pacer.wait()
        assert slot.index == index
    assert clock.time == 3600.0
    assert pacer.missed == 0


def test_film_rates_are_exact():
    clock = HandClock()
    pacer = FramePacer(clock, 30000 / 1001)
    for _ in range(30001):
        slot = pacer.wait()
    assert slot.due == pytest.approx(1001.0, abs=1e-9)


def test_work_inside_the_slot_moves_nothing():
    clock = HandClock()
    pacer = FramePacer(clock, 50)
    dues = []
    for work in (0.001, 0.019, 0.010, 0.0):
        dues.append(pacer.wait().due)
        clock.time += work
    assert dues == pytest.approx([0.0, 0.02, 0.04, 0.06])


def test_a_slightly_late_frame_starts_at_once_and_the_next_is_on_the_grid_again():
    clock = HandClock()
    pacer = FramePacer(clock, 50)
    pacer.wait()
    clock.time += 0.027
    late = pacer.wait()
    assert (late.index, late.skipped) == (1, 0)
    assert late.late == pytest.approx(0.007)
    clock.time += 0.001
    assert pacer.wait().due == pytest.approx(0.04)
    assert clock.time == pytest.approx(0.04)


def test_lost_slots_are_skipped_and_counted_not_hurried_through():
    clock = HandClock()
    pacer = FramePacer(clock, 50)
    pacer.wait()
    clock.time = 0.31  # in the middle of slot 15
    slot = pacer.wait()
    assert (slot.index, slot.skipped, pacer.missed) == (15, 14, 14)
    starts = []
    for _ in range(4):
        starts.append(pacer.wait().index)
        clock.time += 0.001
    assert starts == [16, 17, 18, 19]
    assert pacer.missed == 14


def test_exactly_on_a_boundary_the_new_slot_counts():
    for fps in (24, 30, 50, 59.94, 60, 144):
        clock = HandClock(7.3)
        pacer = FramePacer(clock, fps)
        pacer.wait()
        clock.time = pacer.due(1000)
        assert pacer.wait().index == 1000


def test_restart_begins_a_new_grid_and_keeps_the_count():
    clock = HandClock()
    pacer = FramePacer(clock, 10)
    pacer.wait()
    clock.time = 1.05
    pacer.wait()
    assert pacer.missed == 9
    clock.time = 5.55
    pacer.restart()
    assert pacer.wait() == FrameSlot(0, 5.55, 0.0, 0)
    assert pacer.missed == 9


@pytest.mark.parametrize("fps", [0, -25, 1e-9])
def test_impossible_rates_are_refused(fps):
    with pytest.raises(ValueError, match="above 0"):
        FramePacer(HandClock(), fps)


def test_on_the_real_clock_no_frame_starts_before_its_slot():
    clock = LiveClock()
    pacer = FramePacer(clock, 200)
    for _ in range(20):
        slot = pacer.wait()
        assert clock.now() >= slot.due
        assert slot.late >= 0.0
