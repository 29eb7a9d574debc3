"""Turns: as long as asked for, and never against the performer."""

from typing import Any

from vjengine.web.crowd.turns import LINGER, Turns


def state(text: str = "", *, waiting: bool = False, **over: float) -> dict[str, Any]:
    params = {
        "crowd.turn": [0.0, 10.0],
        "crowd.lock": [0.0, over.get("lock", 0.0)],
        "out.black": [0.0, over.get("black", 0.0)],
    }
    crowd = {"text": text, "author": "", "amount": 1.0, "waiting": waiting}
    return {"params": params, "crowd": crowd, "macros": {"PANIC": [over.get("panic", 0.0), 0.0, False, False]}}


def run(turns: Turns, seconds: float, snapshot: dict[str, Any], *, wanted: bool = True) -> list[str]:
    """Return what had to be done, each once it was said first."""
    return [what for _ in range(round(seconds * 4)) if (what := turns.step(snapshot, 0.25, wanted=wanted))]


def test_nothing_happens_before_the_show_speaks() -> None:
    turns = Turns()
    assert run(turns, 5.0, {}) == []
    assert turns.held


def test_a_turn_lasts_as_long_as_the_show_says_from_when_it_came_in() -> None:
    turns = Turns()
    assert turns.step(state(), 0.25, wanted=True) == "next"
    turns.begin("sea", "")
    assert run(turns, 8.0, state(waiting=True)) == []
    assert turns.left == 10.0
    assert run(turns, 9.75, state("sea")) == []
    assert turns.step(state("sea"), 0.25, wanted=True) == "next"


def test_alone_it_stays_for_a_while_and_then_leaves_the_scene() -> None:
    turns = Turns()
    turns.begin("sea", "")
    assert run(turns, 10.0 * LINGER - 0.25, state("sea"), wanted=False) == []
    assert turns.step(state("sea"), 0.25, wanted=False) == "end"


def test_time_stands_still_while_the_scene_is_locked_or_black() -> None:
    for over in ({"lock": 1.0}, {"black": 1.0}, {"panic": 1.0}):
        turns = Turns()
        assert run(turns, 60.0, state(**over)) == []
        assert turns.held
    turns = Turns()
    turns.begin("sea", "")
    run(turns, 4.0, state("sea"))
    assert run(turns, 60.0, state("sea", lock=1.0)) == []
    assert turns.left == 6.0


def test_after_panic_the_crowd_waits_a_whole_turn() -> None:
    turns = Turns()
    turns.begin("sea", "")
    run(turns, 2.0, state("sea"))
    # A button pressed and let go between two looks: the text is gone all the same.
    assert run(turns, 9.75, state("")) == []
    assert turns.playing is None
    assert "next" in run(turns, 1.0, state(""))


def test_a_show_that_never_takes_a_text_does_not_hold_up_the_queue() -> None:
    turns = Turns()
    turns.begin("sea", "")
    assert "next" in run(turns, 80.0, state(waiting=True))
