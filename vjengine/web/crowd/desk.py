"""The queue as pages handle it, in the web process and on its event loop."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

from vjengine.resources import resource_dir
from vjengine.web.crowd.filter import Filter
from vjengine.web.crowd.queue import CrowdQueue, Wish
from vjengine.web.crowd.refusal import Refused
from vjengine.web.crowd.store import Store
from vjengine.web.crowd.turns import Turns
from vjengine.web.crowd.words import WordList
from vjengine.web.guard import Guard
from vjengine.web.hub import Hub
from vjengine.web.settings import WebSettings

log = logging.getLogger(__name__)

Mode = Literal["auto", "ask", "vote"]
"""auto: what comes in plays; ask: the performer lets in; vote: what a second guest wants plays. The most wanted goes
next, of these the oldest."""

STEP = 0.25
"""s between two looks at whose turn it is."""
SAVE_EVERY = 1.0
"""s between two writes of the queue, at least."""
SHOWN = 30
"""Prompts of the queue that guests are shown."""

Object = dict[str, Any]


class CrowdDesk:
    """Lets in, sends away and puts in order. Every method is quick and called on the event loop.

    Args:
        hub: the show.
        settings: where the queue is kept.
        guard: counts the guests.
    """

    def __init__(self, hub: Hub, settings: WebSettings, guard: Guard) -> None:
        self._hub, self._guard = hub, guard
        self._queue, self._turns = CrowdQueue(), Turns()
        self._store = Store(settings.folder)
        self._now: Callable[[], float] = asyncio.get_running_loop().time
        self._news = asyncio.Event()
        self._version = 1
        self._saved = 0
        self._shown: tuple[int, str, dict[int, int]] = (0, "", {})
        self._told: Object = {}
        self._resumed = False
        self._restore()
        try:
            self._filter = Filter(WordList.load(resource_dir("presets") / "crowd" / "words.txt"))
        except OSError as error:
            # Without the list nobody has read along: then the performer does.
            self._filter = Filter(WordList(()))
            self._queue.mode = "ask"
            self._say("warn", f"the list of words cannot be read ({error}): the crowd's prompts wait for your leave")

    # ------------------------------------------------------------ the performer's side

    @property
    def mode(self) -> Mode:
        """How prompts get in."""
        return self._queue.mode

    def waiting(self) -> list[Object]:
        """Return the queue in the order it will play, JSON-ready.

        Each is ``{"id": int, "text": str, "author": str, "votes": int, "age": s, "state": …}``, the state one of
        "asked", "ready" and "pinned"; "asked" waits for the performer, "ready" and "pinned" for their turn. No
        addresses, no cookies.
        """
        now = self._now()
        return [
            {**_public(wish), "age": round(now - wish.born, 1), "state": wish.state} for wish in self._queue.order()
        ]

    def view(self) -> Object:
        """Return everything a performer's page shows, JSON-ready.

        ``{"mode": …, "waiting": waiting(), "playing": {"text", "author", "left": s} | None, "held": bool,
        "guests": int, "banned": [name…]}``; held: the turn stands still (locked scene, BLACKOUT or PANIC).
        """
        return {
            "mode": self.mode,
            "waiting": self.waiting(),
            "playing": self._playing(),
            "held": self._turns.held,
            "guests": self._guard.seated(),
            "banned": self._queue.banned,
        }

    def approve(self, number: int) -> bool:
        """Let the prompt of this id into the queue; return False if it is gone."""
        return self._try(self._queue.approve, number)

    def reject(self, number: int) -> bool:
        """Take the prompt out; return False if it is gone."""
        return self._try(self._queue.reject, number)

    def pin(self, number: int) -> bool:
        """Let the prompt in and play it next; return False if it is gone."""
        return self._try(self._queue.pin, number)

    def ban(self, number: int) -> bool:
        """Take out the prompt and all others of whoever sent it, and take none of theirs tonight; False if gone."""
        return self._try(lambda gone: self._queue.ban(self._queue.get(gone)), number)

    def unban(self, name: str) -> bool:
        """Take the ban of the guest with this name back; return False if there is none."""
        found = self._queue.unban(name)
        self._changed()
        return found

    def set_mode(self, mode: Mode) -> None:
        """Choose how prompts get in."""
        self._queue.mode = mode
        self._changed()

    def skip(self) -> None:
        """End the turn of what plays; the next one comes in, or the scene is the performer's again."""
        if self._turns.playing is not None:
            self._end()

    def clear(self) -> None:
        """Empty the queue and take back what plays."""
        self._queue.clear()
        self._end()

    async def subscribe(self) -> AsyncIterator[Object]:
        """Yield :meth:`view` now and after each change; what changes while the reader is busy is skipped."""
        async for _ in self.news():
            yield self.view()

    # ------------------------------------------------------------ the guests' side

    def say(self, text: object, author: object, guest: str, address: str) -> tuple[Wish, bool]:
        """Take a guest's prompt; return it, and True if it is new rather than one more vote.

        Args:
            text, author: as sent, of any type.
            guest: what tells this guest from others.
            address: where from, as :meth:`vjengine.web.guard.Guard.client` says.

        Raises:
            Refused: saying why.
        """
        wanted, name = self._filter.wish(text), self._filter.name(author)
        playing = self._turns.playing
        if playing is not None and playing.text.casefold() == wanted.casefold():
            raise Refused("plays", "That is playing right now. Try something new.", 409)
        found = self._queue.submit(wanted, name, self._alias(guest), self._alias(address), self._now())
        self._changed()
        return found

    def vote(self, number: object, guest: str, address: str, *, wanted: bool) -> Wish:
        """Give or take back a guest's vote (:class:`Refused` if that cannot be)."""
        if not isinstance(number, int) or isinstance(number, bool):
            raise Refused("type", "Choose an idea of the queue.")
        wish = self._queue.vote(number, self._alias(guest), self._alias(address), wanted=wanted)
        self._changed()
        return wish

    def withdraw(self, guest: str) -> None:
        """Take a guest's own prompt back (:class:`Refused` if there is none)."""
        self._queue.withdraw(self._alias(guest))
        self._changed()

    def guest_view(self, guest: str | None) -> str:
        """Return what one guest is shown, as JSON; made so that hundreds of guests cost one queue.

        ``{"queue": [{"id", "text", "author", "votes", "plays"}…], "waiting": n, "mode": …, "you": {"id", "place",
        "about": s, "state"} | None, "voted": [id…], "playing": {…, "yours": bool} | None, "held": bool}``
        """
        common, places = self._common()
        mine, voted = None, []
        playing, now = self._playing(), self._turns.playing
        if guest is not None:
            alias = self._alias(guest)
            mine = self._queue.of(alias)
            voted = [number for number in places if alias in self._queue.get(number).votes]
            if playing is not None and now is not None:
                # Said by the desk: a prompt that plays at once is never seen waiting, and a page forgets when reloaded.
                playing["yours"] = alias == now.guest
        own = {
            "you": self._place(mine, places) if mine is not None else None,
            "voted": voted,
            "playing": playing,
            "held": self._turns.held,
        }
        return f"{common[:-1]},{json.dumps(own, ensure_ascii=False)[1:]}"

    async def news(self) -> AsyncIterator[int]:
        """Yield a version now and after each change; changes while the reader is busy count as one."""
        seen = 0
        while True:
            # Taken before the version is read: news between the two must not be slept through.
            news = self._news
            if self._version == seen:
                await news.wait()
                continue
            seen = self._version
            yield seen

    # ------------------------------------------------------------ the desk's own work

    async def run(self) -> None:
        """Give prompts their turns until cancelled."""
        then, saved_at = self._now(), 0.0
        while True:
            await asyncio.sleep(STEP)
            now = self._now()
            self._step(now, now - then)
            then = now
            if self._saved != self._version and now - saved_at >= SAVE_EVERY:
                saved_at, self._saved = now, self._version
                # A slow disk is waited for elsewhere.
                await asyncio.to_thread(self._store.save, self._to_json())

    def save(self) -> None:
        """Write the queue now."""
        self._store.save(self._to_json())

    def _step(self, now: float, delta: float) -> None:
        if self._resumed and self._hub.state:
            self._resume()
        if self._queue.expire(now):
            self._changed()
        first = next(iter(self._queue.order()), None)
        held, playing = self._turns.held, self._turns.playing
        what = self._turns.step(self._hub.state, delta, wanted=first is not None and self._queue.plays(first))
        if what == "next" and (wish := self._queue.take_next()) is not None:
            self._turns.begin(wish.text, wish.author, wish.guest)
            self._hub.order({"kind": "crowd", "text": wish.text, "author": wish.author})
            self._changed()
        elif what == "end":
            self._end()
        elif held != self._turns.held or playing is not self._turns.playing:
            self._changed()

    def _resume(self) -> None:
        """After a restart, let what played before play on: a show that never stopped still has it."""
        self._resumed = False
        playing, crowd = self._turns.playing, self._hub.state["crowd"]
        if playing is not None and crowd["text"] != playing.text and not crowd["waiting"]:
            self._hub.order({"kind": "crowd", "text": playing.text, "author": playing.author})

    def _end(self) -> None:
        if self._turns.playing is not None or self._hub.state.get("crowd", {}).get("text"):
            self._hub.order({"kind": "crowd", "text": "", "author": ""})
        self._turns.end()
        self._changed()

    def _try(self, what: Callable[[int], object], number: int) -> bool:
        try:
            what(number)
        except Refused:
            return False
        self._changed()
        return True

    def _changed(self) -> None:
        self._version += 1
        self._news.set()
        self._news = asyncio.Event()
        playing = self._turns.playing
        told = {
            "kind": "queue",
            "waiting": len(self._queue),
            "text": playing.text if playing is not None else "",
            "author": playing.author if playing is not None else "",
        }
        if told != self._told:
            self._told = told
            self._hub.order(told)

    def _common(self) -> tuple[str, dict[int, int]]:
        """Return the part of a guest's view that all share, and the place of each prompt."""
        if self._shown[0] != self._version:
            order = self._queue.order()
            rows = [{**_public(wish), "plays": self._queue.plays(wish)} for wish in order if wish.state != "asked"]
            common = {"queue": rows[:SHOWN], "waiting": len(order), "mode": self.mode}
            places = {wish.number: place for place, wish in enumerate(order, 1)}
            self._shown = (self._version, json.dumps(common, ensure_ascii=False), places)
        return self._shown[1], self._shown[2]

    def _place(self, wish: Wish, places: dict[int, int]) -> Object:
        place = places[wish.number]
        plays = self._queue.plays(wish)
        state = "plays" if plays else "asked" if wish.state == "asked" else "voices"
        about = round(self._turns.left + (place - 1) * self._turns.turn) if plays else 0
        return {"id": wish.number, "text": wish.text, "place": place, "about": about, "state": state}

    def _playing(self) -> Object | None:
        playing = self._turns.playing
        if playing is None:
            return None
        return {
            "text": playing.text,
            "author": playing.author,
            "left": round(self._turns.left, 1),
            "turn": self._turns.turn,
        }

    def _alias(self, who: str) -> str:
        return self._store.alias(who)

    def _to_json(self) -> Object:
        playing = self._turns.playing
        return {
            "queue": self._queue.to_json(self._now()),
            "playing": [playing.text, playing.author, round(playing.played, 1), playing.guest] if playing else None,
        }

    def _restore(self) -> None:
        loaded = self._store.load()
        if loaded is None:
            return
        given, elapsed = loaded
        try:
            self._queue.restore(given["queue"], self._now(), elapsed)
            if given["playing"] is not None:
                # Files of earlier versions do not say whose it was.
                text, author, played, *guest = given["playing"]
                self._turns.begin(str(text), str(author), str(guest[0]) if guest else "")
                assert self._turns.playing is not None
                self._turns.playing.played = float(played)
                self._resumed = True
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("the crowd's queue was not as it should be (%s); it begins empty", error)
            self._queue = CrowdQueue()
        self._changed()

    def _say(self, level: str, message: str) -> None:
        self._hub.order({"kind": "status", "component": "crowd", "level": level, "message": message})


def _public(wish: Wish) -> Object:
    return {"id": wish.number, "text": wish.text, "author": wish.author, "votes": len(wish.votes)}
