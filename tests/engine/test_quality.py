"""The governor against machines of different speed: work is what a frame of that scale would really take."""

from collections.abc import Callable

from vjengine.engine.quality import SCALES, Governor, Lead

PERIOD = 1 / 60


def play(governor: Governor, frames: int, cost: Callable[[float, int], float]) -> list[float]:
    scales = []
    for index in range(frames):
        governor.observe(cost(governor.scale, index))
        scales.append(governor.scale)
    return scales


def test_a_fast_machine_keeps_the_whole_picture() -> None:
    assert set(play(Governor(PERIOD), 5000, lambda scale, i: 0.004 * scale**2)) == {1.0}


def test_a_slow_machine_finds_a_size_it_can_draw_within_seconds_and_stays() -> None:
    scales = play(Governor(PERIOD), 20_000, lambda scale, i: 0.002 + 0.03 * scale**2)
    settled = scales[400:]
    assert 0.002 + 0.03 * settled[0] ** 2 < PERIOD
    assert len(set(settled)) == 1


def test_a_single_hiccup_changes_nothing() -> None:
    scales = play(Governor(PERIOD), 2000, lambda scale, i: 0.2 if i % 200 == 0 else 0.006)
    assert set(scales) == {1.0}


def test_it_comes_back_when_the_load_has_gone() -> None:
    scales = play(Governor(PERIOD), 8000, lambda scale, i: (0.04 if i < 600 else 0.004) * scale**2)
    assert min(scales) < 0.75
    assert scales[-1] == 1.0


def test_a_machine_on_the_edge_is_tried_ever_less_often() -> None:
    # At full size it is just too slow, below it looks fast enough: the trap for an eager governor.
    scales = play(Governor(PERIOD), 60_000, lambda scale, i: 0.014 if scale == 1.0 else 0.005)
    changes = [i for i in range(1, len(scales)) if scales[i] != scales[i - 1]]
    assert len(changes) < 40
    assert changes[-1] - changes[-3] > 4 * (changes[2] - changes[0])


def test_a_hopeless_machine_ends_at_the_smallest_size_and_does_not_raise() -> None:
    assert play(Governor(PERIOD), 1000, lambda scale, i: scale)[-1] == SCALES[-1]


def test_a_smaller_picture_that_saves_nothing_is_given_back() -> None:
    scales = play(Governor(PERIOD), 3000, lambda scale, i: 0.0155)
    assert min(scales) == SCALES[1]
    assert scales.count(1.0) > 2500


def test_a_slow_start_of_the_worker_costs_no_sharpness() -> None:
    assert set(play(Governor(PERIOD), 3000, lambda scale, i: 0.05 if i < 80 else 0.006)) == {1.0}


def test_a_start_between_two_sizes_takes_the_nearest() -> None:
    assert Governor(PERIOD, 0.59).scale == 0.6


def test_the_lead_settles_just_above_the_work_and_moves_in_small_steps() -> None:
    lead = Lead(PERIOD)
    steps, last = [], lead.seconds
    for index in range(2000):
        lead.observe(0.006 + 0.002 * (index % 7 == 0))
        steps.append(abs(lead.seconds - last))
        last = lead.seconds
    assert 0.008 < lead.seconds < 0.0105
    assert max(steps) <= 0.0003 + 1e-12


def test_the_lead_stays_within_the_frame() -> None:
    slow, fast = Lead(PERIOD), Lead(PERIOD)
    for _ in range(2000):
        slow.observe(0.1)
        fast.observe(0.0001)
    assert slow.seconds < PERIOD
    assert fast.seconds >= 0.19 * PERIOD
