"""The agreement between show and web process: messages, snapshots, orders."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from vjengine.config import load_macros
from vjengine.core import events as ev
from vjengine.core.params import PARAMS
from vjengine.core.reducer import initial_state
from vjengine.core.show import Show
from vjengine.resources import resource_dir
from vjengine.web.orders import WrongOrder, event_of
from vjengine.web.settings import WebSettings
from vjengine.web.view import Engine, schema, snapshot
from vjengine.web.wire import packed, read_message

SHOW = Show(load_macros(resource_dir("macros")), {})


def test_messages_come_out_as_they_went_in() -> None:
    pipe = io.BytesIO(packed({"kind": "alive"}) + packed(b"\xff\xd8jpeg") + packed({"text": "Ümlaut 🎉"}))
    assert [read_message(pipe) for _ in range(4)] == [{"kind": "alive"}, b"\xff\xd8jpeg", {"text": "Ümlaut 🎉"}, None]


@pytest.mark.parametrize("torn", [b"", b"\0\0", b"\0\0\0\x09J{}"])
def test_a_torn_message_is_the_end(torn: bytes) -> None:
    assert read_message(io.BytesIO(torn)) is None


@pytest.mark.parametrize(
    "wrong", [b"\xff\xff\xff\xff", b"\0\0\0\x03X{}", b"\0\0\0\x03J[]", b"\0\0\0\x03J{!", b"\0\0\0\0"]
)
def test_what_is_no_message_is_refused(wrong: bytes) -> None:
    with pytest.raises(ValueError):
        read_message(io.BytesIO(wrong))


def test_settings_survive_their_way() -> None:
    given = WebSettings(("0.0.0.0", 8600), ("127.0.0.1", 0), "s", True, "t", "http://x", Path("data"), ("::1", 9000))
    assert WebSettings.from_json(given.to_json()) == given


def test_schema_and_snapshot_are_plain_json() -> None:
    words = json.dumps([schema(SHOW), snapshot(initial_state(SHOW), Engine())], allow_nan=False)
    told, state = json.loads(words)
    assert [row["name"] for row in told["params"]] == list(state["params"]) == [row.name for row in PARAMS]
    assert {row["name"] for row in told["macros"]} == set(state["macros"])
    assert all(0.0 <= place <= 1.0 for place, _ in state["params"].values())


@pytest.mark.parametrize(
    ("order", "event"),
    [
        ({"kind": "macro", "name": "DROP", "value": 0.3}, ev.MacroSet(macro="DROP", value=1.0)),
        ({"kind": "macro", "name": "ENERGY", "value": 7}, ev.MacroLevel(macro="ENERGY", value=1.0)),
        ({"kind": "toggle", "name": "STROBE"}, ev.MacroToggle(macro="STROBE")),
        ({"kind": "param", "name": "bloom.amount", "position": -2}, ev.ParamSet(param="bloom.amount", value=0.0)),
        (
            {"kind": "param", "name": "gen.speed", "value": 99},
            ev.ParamSet(param="gen.speed", value=6.0, normalised=False),
        ),
        ({"kind": "look", "step": -1}, ev.LookSelected(step=-1)),
        ({"kind": "tempo", "function": "half"}, ev.TempoScale(factor=0.5)),
        ({"kind": "tempo", "function": "nudge", "ms": -10}, ev.TempoNudge(milliseconds=-10.0)),
        ({"kind": "trigger", "action": "cut"}, ev.Trigger(action="cut")),
        ({"kind": "prompt", "text": "sea"}, ev.PromptSubmitted(text="sea")),
        ({"kind": "crowd", "text": "sea", "author": "Ann"}, ev.CrowdPrompt(text="sea", author="Ann")),
        ({"kind": "learn", "target": "DROP"}, ev.LearnMidi(target="DROP")),
        ({"kind": "learn", "target": "tempo:tap"}, ev.LearnMidi(target="tempo:tap")),
        ({"kind": "learn", "target": "look:default"}, ev.LearnMidi(target="look:default")),
        ({"kind": "learn", "target": ""}, ev.LearnMidi()),
        ({"kind": "learn", "undo": True}, ev.LearnMidi(undo=True)),
    ],
)
def test_orders_become_events(order: dict[str, object], event: ev.Event) -> None:
    found = event_of(order, SHOW, 3.0)
    assert found.time == 3.0
    assert found.source in ("page", "crowd")
    assert replace(found, time=0.0, source="") == event


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"kind": None},
        {"kind": []},
        {"kind": "quit"},
        {"kind": "macro", "name": "DROP"},
        {"kind": "macro", "name": "drop; rm -rf", "value": 1},
        {"kind": "macro", "name": ["DROP"], "value": 1},
        {"kind": "macro", "name": "DROP", "value": float("nan")},
        {"kind": "macro", "name": "DROP", "value": "1"},
        {"kind": "macro", "name": "DROP", "value": 10**400},
        {"kind": "param", "name": "bloom.amount", "position": None},
        {"kind": "look", "name": "../../etc/passwd"},
        {"kind": "look", "step": 2},
        {"kind": "tempo", "function": "nudge", "ms": 1e9},
        {"kind": "tempo", "function": {}},
        {"kind": "trigger", "action": "explode"},
        {"kind": "prompt", "text": "x" * 501},
        {"kind": "crowd", "text": "x", "author": "y" * 41},
        {"kind": "learn"},
        {"kind": "learn", "target": "look:nowhere"},
        {"kind": "learn", "target": ["DROP"]},
    ],
)
def test_wrong_orders_are_refused(order: dict[str, object]) -> None:
    with pytest.raises(WrongOrder):
        event_of(order, SHOW, 0.0)
