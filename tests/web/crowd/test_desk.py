"""The desk between guests, performer and show: the real control step plays what it sends."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from vjengine.config import load_macros
from vjengine.core import events as ev
from vjengine.core.clock import FrameTime
from vjengine.core.reducer import control_step, initial_state
from vjengine.core.show import Show
from vjengine.core.signals import NO_AUDIO
from vjengine.resources import resource_dir
from vjengine.web.crowd import desk as desk_module
from vjengine.web.crowd.desk import CrowdDesk
from vjengine.web.crowd.refusal import Refused
from vjengine.web.crowd.words import WordList
from vjengine.web.guard import Guard
from vjengine.web.hub import Hub
from vjengine.web.orders import event_of
from vjengine.web.settings import WebSettings
from vjengine.web.view import Engine, snapshot

SHOW = Show(load_macros(resource_dir("macros")), {})


class Room:
    """A show whose time is moved by hand, and a desk that knows no other."""

    def __init__(self, folder: Path | None = None) -> None:
        self.state = initial_state(SHOW)
        self.orders: list[dict[str, Any]] = []
        self.hub = Hub(self.orders.append)
        settings = WebSettings(crowd=True, folder=folder)
        self.desk = CrowdDesk(self.hub, settings, Guard(settings))
        self._done = 0

    def pass_time(self, seconds: float, *events: ev.Event) -> None:
        """Let the show and the desk go on, a quarter of a second at a time."""
        for _ in range(round(seconds * 4)):
            orders = [order for order in self.orders[self._done :] if order["kind"] == "crowd"]
            self._done = len(self.orders)
            now = self.state.time
            frame = FrameTime(now.index + 1, now.time + 0.25, 0.25)
            asked = [*events, *(event_of(order, SHOW, frame.time) for order in orders)]
            self.state = control_step(self.state, asked, NO_AUDIO, frame, SHOW)
            events = ()
            self.hub.receive(snapshot(self.state, Engine()))
            self.desk._step(self.desk._now(), 0.25)

    def say(self, text: str, guest: str) -> int:
        return self.desk.say(text, "", guest, f"address of {guest}")[0].number

    @property
    def plays(self) -> str:
        return self.state.crowd.text


def in_room(test: Callable[[Room], Awaitable[None]], folder: Path | None = None) -> None:
    async def run() -> None:
        await test(Room(folder))

    asyncio.run(run())


def test_prompts_get_their_turns_in_the_show() -> None:
    async def test(room: Room) -> None:
        room.say("sea", "ann")
        room.say("fire", "ben")
        room.pass_time(1.0)
        assert room.plays == "sea"
        assert json.loads(room.desk.guest_view("ben"))["you"]["place"] == 1
        room.pass_time(18.0)
        assert room.plays == "sea"
        room.pass_time(3.0)
        assert room.plays == "fire"
        assert room.orders[-1] == {"kind": "queue", "waiting": 0, "text": "fire", "author": ""}
        room.pass_time(70.0)
        assert room.plays == ""

    in_room(test)


@pytest.mark.parametrize("keep", [ev.ParamSet(param="crowd.lock", value=1.0), ev.MacroToggle(macro="BLACKOUT")])
def test_a_locked_or_black_scene_is_left_alone(keep: ev.Event) -> None:
    async def test(room: Room) -> None:
        room.pass_time(1.0, keep)
        room.say("sea", "ann")
        room.pass_time(60.0)
        assert (room.plays, room.state.crowd.waiting) == ("", None)
        assert room.desk.view()["held"]
        assert [order for order in room.orders if order["kind"] == "crowd"] == []

    in_room(test)


def test_panic_takes_the_crowd_out_and_keeps_it_out_for_a_turn() -> None:
    async def test(room: Room) -> None:
        room.say("sea", "ann")
        room.say("fire", "ben")
        room.pass_time(5.0)
        assert room.plays == "sea"
        room.pass_time(0.25, ev.Trigger(action="panic"))
        assert room.plays == ""
        room.pass_time(18.0)
        assert room.plays == ""
        room.pass_time(4.0)
        assert room.plays == "fire"

    in_room(test)


def test_the_performer_moderates() -> None:
    async def test(room: Room) -> None:
        desk = room.desk
        desk.set_mode("ask")
        first, second, third = (room.say(text, text) for text in ("sea", "fire", "ice"))
        room.pass_time(2.0)
        assert room.plays == ""
        assert json.loads(desk.guest_view("sea"))["queue"] == []
        assert json.loads(desk.guest_view("sea"))["you"]["state"] == "asked"
        assert [row["state"] for row in desk.waiting()] == ["asked"] * 3
        assert desk.approve(first)
        assert desk.pin(third)
        assert desk.ban(second)
        assert not desk.reject(second)
        with pytest.raises(Refused):
            room.say("again", "fire")
        room.pass_time(1.0)
        assert room.plays == "ice"
        desk.skip()
        room.pass_time(1.0)
        assert room.plays == "sea"
        desk.clear()
        room.pass_time(1.0)
        assert (room.plays, desk.waiting(), desk.view()["playing"]) == ("", [], None)
        assert "address" not in json.dumps(desk.view())

    in_room(test)


def test_pages_hear_of_every_change() -> None:
    async def test(room: Room) -> None:
        views = room.desk.subscribe()
        assert (await anext(views))["waiting"] == []
        soon = asyncio.ensure_future(anext(views))
        await asyncio.sleep(0)
        room.say("sea", "ann")
        assert [row["text"] for row in (await asyncio.wait_for(soon, 20.0))["waiting"]] == ["sea"]

    in_room(test)


def test_a_guest_is_told_that_theirs_plays_though_it_never_waited() -> None:
    async def test(room: Room) -> None:
        room.say("sea", "ann")
        room.pass_time(1.0)
        assert json.loads(room.desk.guest_view("ann"))["playing"]["yours"] is True
        assert json.loads(room.desk.guest_view("ben"))["playing"]["yours"] is False

    in_room(test)


def test_what_played_plays_on_after_a_restart(tmp_path: Path) -> None:
    async def before(room: Room) -> None:
        room.say("sea", "ann")
        room.say("fire", "ben")
        room.pass_time(5.0)
        room.desk.save()

    async def after(room: Room) -> None:
        assert json.loads(room.desk.guest_view("sea"))["playing"]["yours"] is False
        room.pass_time(1.0)
        assert room.plays == "sea"
        assert json.loads(room.desk.guest_view("ann"))["playing"]["yours"] is True
        room.pass_time(17.0)
        assert room.plays == "fire"

    in_room(before, tmp_path)
    in_room(after, tmp_path)


def test_without_a_word_list_everything_waits_for_the_performer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(desk_module, "resource_dir", lambda kind: tmp_path)

    async def test(room: Room) -> None:
        assert room.desk.mode == "ask"
        assert room.orders[0]["component"] == "crowd"

    in_room(test)


def test_a_word_list_that_is_binary_does_no_harm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    (tmp_path / "words.txt").write_bytes(bytes(range(256)) * 100)
    assert not WordList.load(tmp_path / "words.txt").finds("a quiet sea")
