"""The alarm, the responses, and the way back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from vjengine.stabilise.guard import CLEAR, HOLD, RESPONSES, TOP, Guard
from vjengine.stabilise.verdict import Verdict

WELL = Verdict(anchored=True, difference=3.0)
FPS = 30.0


class Show:
    """A guard and the frames it has seen."""

    def __init__(self) -> None:
        self.guard = Guard()
        self.frames = 0

    def play(self, count: int, *, moving: bool = True, **numbers: Any) -> Show:
        for _ in range(count):
            self.frames += 1
            self.guard.step(replace(WELL, **numbers), self.frames / FPS, moving)
        return self


@pytest.mark.parametrize(
    ("alarm", "numbers"),
    [
        ("colour", {"w1": 9.0}),
        ("grey", {"chroma": 0.2}),
        ("dark", {"exposure": -30.0}),
        ("burn", {"clipped": 0.2}),
        ("blur", {"detail": -2.5}),
        ("texture", {"detail": 2.5}),
    ],
)
def test_each_trouble_is_seen_after_eight_frames_and_not_before(alarm: str, numbers: dict[str, Any]) -> None:
    show = Show().play(50)
    assert show.play(HOLD - 1, **numbers).guard.alarms == ()
    assert show.play(1, **numbers).guard.alarms == (alarm,)
    assert show.guard.level == 1


def test_a_flash_is_no_alarm() -> None:
    show = Show()
    for _ in range(40):
        show.play(4, w1=40.0, exposure=60.0, clipped=0.9).play(4)
    assert show.guard.alarms == ()


def test_between_the_two_limits_an_alarm_stays_as_it_is() -> None:
    assert Show().play(300, w1=6.5).guard.alarms == ()
    show = Show().play(HOLD, w1=9.0).play(CLEAR * 2, w1=6.5)
    assert show.guard.alarms == ("colour",)
    show.play(CLEAR, w1=4.0)
    assert show.guard.alarms == ()


def test_the_response_grows_step_by_step_up_to_a_fresh_start_and_comes_back_down() -> None:
    show = Show()
    levels = [show.play(1, w1=20.0).guard.level for _ in range(round(10 * FPS))]
    assert sorted(set(levels)) == list(range(TOP + 1))
    assert levels == sorted(levels)
    assert show.guard.reseeds == 1
    assert show.guard.restarts >= 1
    levels = [show.play(1).guard.level for _ in range(round(10 * FPS))]
    assert levels[-1] == 0
    assert levels == sorted(levels, reverse=True)


def test_the_worst_may_happen_again_and_is_answered_again() -> None:
    show = Show().play(round(20 * FPS), w1=20.0)
    assert show.guard.restarts >= 3


def test_a_freeze_sets_the_seeds_moving_for_the_rest_of_the_scene_and_only_if_it_moved() -> None:
    assert Show().play(400, moving=False, difference=0.0).guard.alarms == ()
    show = Show().play(100, difference=0.0)
    assert show.guard.alarms == ("freeze",)
    assert show.guard.stuck
    assert show.guard.reseeds == 0, "no jump where gliding on will do"
    assert show.play(200).guard.level == 0
    assert show.guard.stuck, "what froze once will freeze again"
    assert show.play(200, difference=0.0).guard.reseeds == 1, "but if it will not"
    show.guard.forget()
    assert not show.guard.stuck


def test_a_flicker_is_seen_if_it_stays() -> None:
    show = Show().play(20, flicker=0.9, difference=20.0)
    assert show.guard.alarms == ()
    assert show.play(20, flicker=0.9, difference=20.0).guard.alarms == ("flicker",)


def test_without_an_anchor_nothing_is_wrong() -> None:
    show = Show()
    show.play(100, anchored=False, w1=99.0)
    assert show.guard.alarms == ()


def test_a_clock_that_jumps_does_no_harm() -> None:
    show = Show().play(HOLD, w1=20.0)
    for time in (1e9, -5.0, float("nan"), 3.0):
        show.guard.step(replace(WELL, w1=20.0), time, True)
    assert 1 <= show.guard.level <= TOP
    assert len(RESPONSES) == TOP + 1
