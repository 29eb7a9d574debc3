"""The queue: bounded, fair, in order, and the same after a restart."""

import json

import pytest

from vjengine.web.crowd.queue import COOL_DOWN, DEPTH, EACH_ADDRESS, EXPIRY, CrowdQueue, Mode
from vjengine.web.crowd.refusal import Refused


def add(queue: CrowdQueue, text: str, guest: str = "", now: float = 0.0, author: str = "", address: str = "") -> int:
    guest = guest or f"guest of {text}"
    return queue.submit(text, author, guest, address or f"address of {guest}", now)[0].number


def texts(queue: CrowdQueue) -> list[str]:
    return [wish.text for wish in queue.order()]


def code(*arguments: object, **named: object) -> str:
    with pytest.raises(Refused) as caught:
        add(*arguments, **named)  # type: ignore[arg-type]
    return caught.value.code


def test_votes_go_first_then_age_and_pins_before_all() -> None:
    queue = CrowdQueue()
    first, second, third = (add(queue, text, now=at) for at, text in enumerate(("sea", "fire", "ice")))
    assert texts(queue) == ["sea", "fire", "ice"]
    queue.vote(third, "x", "x")
    queue.vote(third, "x", "x")
    assert texts(queue) == ["ice", "sea", "fire"]
    assert len(queue.get(third).votes) == 2
    queue.pin(second)
    queue.pin(first)
    queue.pin(second)
    assert texts(queue) == ["fire", "sea", "ice"]
    taken = [queue.take_next() for _ in range(4)]
    assert [wish.text if wish else None for wish in taken] == ["fire", "sea", "ice", None]


def test_a_vote_can_be_taken_back_and_nobody_votes_for_themselves() -> None:
    queue = CrowdQueue()
    number = add(queue, "sea", "ann")
    queue.vote(number, "ben", "b")
    assert len(queue.vote(number, "ben", "b", wanted=False).votes) == 1
    with pytest.raises(Refused):
        queue.vote(number, "ann", "a")
    with pytest.raises(Refused) as caught:
        queue.vote(99, "ann", "a")
    assert caught.value.status == 404


def test_the_same_text_again_is_a_vote() -> None:
    queue = CrowdQueue()
    number = add(queue, "Deep sea", "ann")
    wish, new = queue.submit("  DEEP SÉA!", "", "ben", "b", 1.0)
    assert (wish.number, new, len(wish.votes), len(queue)) == (number, False, 2, 1)
    assert queue.submit("deep sea", "", "ben", "b", 1.0)[0].votes.keys() == {"ann", "ben"}


def test_one_waiting_prompt_a_guest_and_a_pause_between_two() -> None:
    queue = CrowdQueue()
    add(queue, "sea", "ann", now=0.0)
    assert code(queue, "fire", "ann", 100.0) == "one"
    queue.withdraw("ann")
    assert code(queue, "fire", "ann", COOL_DOWN / 2) == "soon"
    assert add(queue, "fire", "ann", COOL_DOWN + 0.1)


def test_names_are_limited_as_guests_are() -> None:
    queue = CrowdQueue()
    add(queue, "sea", "one", author="Ann")
    assert code(queue, "fire", "two", 100.0, "ANN") == "name"
    queue.withdraw("one")
    assert code(queue, "fire", "two", 1.0, "ånn") == "soon"
    assert add(queue, "fire", "two", 1.0, "Ben")


def test_an_address_fills_only_its_share_and_the_queue_has_an_end() -> None:
    queue = CrowdQueue()
    for k in range(EACH_ADDRESS):
        add(queue, f"wish {k}", address="hall")
    assert code(queue, "one more", address="hall") == "address"
    for k in range(DEPTH - EACH_ADDRESS):
        add(queue, f"other {k}")
    assert code(queue, "the last") == "full"
    assert len(queue) == DEPTH


def test_votes_of_one_address_are_bounded() -> None:
    queue = CrowdQueue()
    number = add(queue, "sea")
    for k in range(EACH_ADDRESS):
        queue.vote(number, f"cookie {k}", "one phone")
    with pytest.raises(Refused):
        queue.vote(number, "one more", "one phone")


@pytest.mark.parametrize(("mode", "plays"), [("auto", True), ("ask", False), ("vote", False)])
def test_modes(mode: Mode, plays: bool) -> None:
    queue = CrowdQueue(mode)
    number = add(queue, "sea")
    assert (queue.take_next() is not None) == plays
    if mode == "ask":
        queue.approve(number)
        assert queue.take_next() is not None
    if mode == "vote":
        queue.vote(number, "ben", "b")
        assert queue.take_next() is not None


def test_what_may_not_play_yet_holds_up_nobody() -> None:
    queue = CrowdQueue("ask")
    add(queue, "sea")
    second = add(queue, "fire")
    queue.approve(second)
    assert texts(queue) == ["fire", "sea"]


def test_a_ban_takes_everything_out_and_a_new_cookie_does_not_help() -> None:
    queue = CrowdQueue()
    number = add(queue, "sea", "troll", author="Troll", address="t")
    other = add(queue, "fire", "ann")
    queue.vote(other, "troll", "t")
    queue.ban(queue.get(number))
    assert (texts(queue), len(queue.get(other).votes), queue.banned) == (["fire"], 1, ["Troll"])
    assert code(queue, "ice", "troll", 100.0) == "banned"
    assert code(queue, "ice", "fresh cookie", 100.0, address="t") == "banned"
    assert queue.unban("Troll")
    assert add(queue, "ice", "troll", 100.0, address="t")


def test_a_ban_does_not_take_the_hall_along() -> None:
    queue = CrowdQueue()
    number = add(queue, "sea", "troll", address="hall")
    add(queue, "fire", "ann", address="hall")
    queue.ban(queue.get(number))
    assert add(queue, "ice", "ben", address="hall")


def test_what_waited_too_long_goes_unless_it_is_pinned() -> None:
    queue = CrowdQueue()
    add(queue, "sea")
    queue.pin(add(queue, "fire"))
    assert not queue.expire(EXPIRY - 1.0)
    assert queue.expire(EXPIRY + 1.0)
    assert texts(queue) == ["fire"]


def test_the_queue_is_the_same_after_a_restart() -> None:
    queue = CrowdQueue("vote")
    number = add(queue, "sea 🌊", "ann", 10.0, "Ann")
    queue.vote(number, "ben", "b")
    queue.pin(add(queue, "fire", "cid", 12.0))
    queue.ban(queue.get(add(queue, "bad", "troll", 13.0)))
    saved = json.loads(json.dumps(queue.to_json(20.0)))
    back = CrowdQueue()
    back.restore(saved, 1000.0, 5.0)
    assert [(w.number, w.text, w.author, w.votes, w.state, w.since) for w in back.order()] == [
        (w.number, w.text, w.author, w.votes, w.state, w.since) for w in queue.order()
    ]
    assert (back.mode, back.banned) == (queue.mode, queue.banned)
    assert 1000.0 - back.get(number).born == pytest.approx(15.0)
    assert add(back, "new") > 3
    assert back.expire(1000.0 + EXPIRY)


@pytest.mark.parametrize(
    "broken", [{}, {"mode": "x"}, {"mode": "auto", "next": 1, "wishes": [{}], "last": {}, "banned": {}}]
)
def test_a_broken_file_is_refused_whole(broken: dict[str, object]) -> None:
    queue = CrowdQueue()
    with pytest.raises((ValueError, KeyError, TypeError)):
        queue.restore(broken, 0.0, 0.0)
    assert len(queue) == 0
