"""What pages may say and what they are told, without any server."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vjengine.config import load_macros
from vjengine.core.show import Show
from vjengine.resources import resource_dir
from vjengine.web.orders import event_of
from vjengine.web.stage.holds import Holds
from vjengine.web.stage.protocol import MAX_TEXT_BYTES, Vocabulary, WrongMessage, patch, read, written
from vjengine.web.view import schema

SHOW = Show(load_macros(resource_dir("macros")), {})
NAMES = Vocabulary.of(schema(SHOW))
LEARNING = Vocabulary.of({**schema(SHOW), "learn": True})

values = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.text(max_size=2), values, max_size=5)


def merged(target: Any, change: Any) -> Any:
    """RFC 7396's own pseudo-code."""
    if not isinstance(change, dict):
        return change
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merged(target.get(name), value)
    return target


@settings(max_examples=50, deadline=None)
@given(objects, objects)
def test_a_patch_turns_the_one_into_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert merged(before, patch(before, after)) == after


@settings(max_examples=20, deadline=None)
@given(objects)
def test_no_change_is_no_patch(state: dict[str, Any]) -> None:
    assert patch(state, state) == {}


def test_a_patch_has_only_what_changed() -> None:
    before = {"params": {"a": [0.1, 1.0], "b": [0.2, 2.0]}, "look": "x", "status": [1]}
    after = {"params": {"a": [0.1, 1.0], "b": [0.3, 2.0]}, "look": "x", "status": [1]}
    assert patch(before, after) == {"params": {"b": [0.3, 2.0]}}


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "macro", "name": "DROP", "value": 1.0},
        {"kind": "toggle", "name": "KALEIDO"},
        {"kind": "param", "name": "bloom.amount", "position": 0.5},
        {"kind": "param", "name": "gen.speed", "value": 2.0},
        {"kind": "look", "name": "default"},
        {"kind": "look", "step": -1},
        {"kind": "tempo", "function": "tap"},
        {"kind": "tempo", "function": "nudge", "ms": -5.0},
        {"kind": "trigger", "action": "panic"},
        {"kind": "prompt", "text": "Ümlaut 🎉"},
    ],
)
def test_orders_pass_and_the_show_takes_them(message: dict[str, Any]) -> None:
    found = read(written({**message, "extra": "dropped"}), NAMES)
    assert found == message
    event_of(found, SHOW, 0.0)


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "seen", "n": 7},
        {"kind": "desk", "action": "approve", "id": 3},
        {"kind": "desk", "action": "mode", "mode": "vote"},
        {"kind": "desk", "action": "unban", "name": "Ann"},
        {"kind": "desk", "action": "clear"},
        {"kind": "learn", "target": "bloom.amount"},
        {"kind": "learn", "target": "look:default"},
        {"kind": "learn", "target": ""},
        {"kind": "learn", "undo": True},
    ],
)
def test_what_is_for_this_process_passes(message: dict[str, Any]) -> None:
    assert read(json.dumps({**message, "extra": 1}), LEARNING) == message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        '"macro"',
        "[" * 8000,
        '{"a":' * 1500,
        "1" * 6000,
        "x" * (MAX_TEXT_BYTES + 1),
        b"\xff\xfe\x00",
        "{}",
        '{"kind":["macro"]}',
        '{"kind":"quit"}',
        '{"kind":"watched","value":true}',
        '{"kind":"macro","name":"<img src=x onerror=alert(1)>","value":1}',
        '{"kind":"macro","name":"DROP","value":true}',
        '{"kind":"macro","name":"DROP","value":NaN}',
        '{"kind":"macro","name":"DROP","value":1e999}',
        f'{{"kind":"macro","name":"DROP","value":1{"0" * 400}}}',
        '{"kind":"toggle","name":"DROP"}',
        '{"kind":"param","name":"bloom.amount"}',
        '{"kind":"param","name":"../x","position":1}',
        '{"kind":"look","name":"../../etc/passwd"}',
        '{"kind":"look","step":2}',
        '{"kind":"look","step":true}',
        '{"kind":"tempo","function":"nudge","ms":251}',
        '{"kind":"tempo","function":{}}',
        '{"kind":"trigger","action":"quit"}',
        '{"kind":"prompt"}',
        '{"kind":"prompt","text":"\\ud800"}',
        json.dumps({"kind": "prompt", "text": "x" * 501}),
        '{"kind":"crowd","text":"let me in","author":""}',
        '{"kind":"desk","action":"approve","id":"1"}',
        '{"kind":"desk","action":"approve","id":1.5}',
        f'{{"kind":"desk","action":"ban","id":{1 << 60}}}',
        '{"kind":"desk","action":"mode","mode":"all"}',
        '{"kind":"desk","action":"format"}',
        '{"kind":"seen","n":null}',
        '{"kind":"learn","target":"bloom.amount"}',
    ],
)
def test_what_is_none_is_refused_and_not_repeated(text: str | bytes) -> None:
    with pytest.raises(WrongMessage) as refusal:
        read(text, NAMES)
    assert "onerror" not in str(refusal.value)
    assert "passwd" not in str(refusal.value)


@pytest.mark.parametrize("target", [{}, ["DROP"], None, "look:", "look:nowhere", "tempo:stop", 3])
def test_only_what_exists_is_learnt(target: object) -> None:
    with pytest.raises(WrongMessage):
        read(json.dumps({"kind": "learn", "target": target}), LEARNING)


def test_the_last_finger_lets_go() -> None:
    sent: list[tuple[str, float]] = []
    holds = Holds(lambda order: sent.append((order["name"], order["value"])))
    holds.hold(1, "DROP")
    holds.hold(2, "DROP")
    holds.hold(2, "BUILD")
    holds.let_go(1, "DROP")
    assert sent == [("DROP", 1.0), ("DROP", 1.0), ("BUILD", 1.0)]
    holds.leave(2)
    assert sorted(sent[3:]) == [("BUILD", 0.0), ("DROP", 0.0)]
    assert not holds.held_by(2)
    holds.leave(2)
    assert len(sent) == 5


def test_letting_go_always_reaches_the_show() -> None:
    sent: list[tuple[str, float]] = []
    Holds(lambda order: sent.append((order["name"], order["value"]))).let_go(1, "DROP")
    assert sent == [("DROP", 0.0)]
