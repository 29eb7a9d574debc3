"""One open page of the performer: what it asks for goes to the show, what changes goes to it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from vjengine.web.crowd.desk import CrowdDesk
from vjengine.web.hub import Hub
from vjengine.web.stage.holds import Holds
from vjengine.web.stage.protocol import Vocabulary, WrongMessage, patch, read, written

RATE = 30.0
"""Most states a second."""
WINDOW = 4
"""Messages that may be on their way; a page that takes them in slowly gets fewer, and each brings it up to date."""
STILL = 0.5
"""s without news after which the page is told that the line is good."""
VANISHED = 2.0
"""s of silence after which a page no longer holds anything. A page answers each message, two a second at least."""
GONE = 20.0
"""s of silence after which the connection is closed."""
MOST_WRONG = 50
"""Wrong messages after which the connection is closed."""
_POLICY, _LATER = 1008, 1013

Object = dict[str, Any]
_numbers = itertools.count(1)


class Page:
    """Serves one WebSocket until it ends.

    Args:
        socket: accepted.
        hub: the show.
        holds: who holds which macro, of all pages.
        desk: the crowd's queue; None without a crowd.
        allowed: counts a message of this page, known by its number; False if that was too many.
    """

    def __init__(
        self,
        socket: WebSocket,
        hub: Hub,
        holds: Holds,
        desk: CrowdDesk | None,
        allowed: Callable[[int], bool] = lambda number: True,
    ) -> None:
        self.number = next(_numbers)
        self._socket = socket
        self._hub = hub
        self._holds = holds
        self._desk = desk
        self._allowed = allowed
        self._names = Vocabulary.of(hub.schema)
        self._schema: Object | None = None
        self._loop = asyncio.get_running_loop()
        self._heard = self._told = self._loop.time()
        self._sent = self._seen = 0
        self._room = asyncio.Event()
        self._room.set()
        self._speaking = asyncio.Lock()
        self._wrong = 0

    async def run(self) -> None:
        """Serve until either side ends it; whatever the page held is let go of."""
        duties: list[Awaitable[None]] = [self._listen(), self._tell(), self._pulse(), self._watch()]
        if self._desk is not None:
            duties.append(self._tell_queue(self._desk))
        await serve_until_first(duties, lambda: self._holds.leave(self.number))

    # ------------------------------------------------------------ from the page

    async def _listen(self) -> None:
        while True:
            packet = await self._socket.receive()
            if packet["type"] == "websocket.disconnect":
                return
            self._heard = self._loop.time()
            if not self._allowed(self.number):
                # Dropping some could drop a release: a page that floods is shut out, which lets go of everything.
                await self._socket.close(_POLICY, "too many messages")
                return
            try:
                self._take(read(packet.get("text") or packet.get("bytes") or "", self._vocabulary()))
            except WrongMessage as wrong:
                self._wrong += 1
                if self._wrong >= MOST_WRONG:
                    await self._socket.close(_POLICY, "too many wrong messages")
                    return
                await self._say({"kind": "wrong", "text": f"expected {wrong}"})

    def _vocabulary(self) -> Vocabulary:
        if self._schema is not self._hub.schema:
            self._schema, self._names = self._hub.schema, Vocabulary.of(self._hub.schema)
        return self._names

    def _take(self, message: Object) -> None:
        kind = message["kind"]
        if kind == "seen":
            # Only what was sent can have been seen: a page cannot talk itself into a longer window.
            self._seen = max(self._seen, min(message["n"], self._sent))
            if self._sent - self._seen < WINDOW:
                self._room.set()
        elif kind == "desk":
            self._manage(message)
        elif kind == "macro" and self._names.macros[message["name"]] == "momentary":
            (self._holds.hold if message["value"] > 0.0 else self._holds.let_go)(self.number, message["name"])
        else:
            self._hub.order(message)

    def _manage(self, message: Object) -> None:
        desk, action = self._desk, message["action"]
        if desk is None:
            raise WrongMessage("a show with a crowd; this one has none")
        if action == "mode":
            desk.set_mode(message["mode"])
        elif action == "unban":
            desk.unban(message["name"])
        elif action == "skip":
            desk.skip()
        elif action == "clear":
            desk.clear()
        else:
            {"approve": desk.approve, "reject": desk.reject, "pin": desk.pin, "ban": desk.ban}[action](message["id"])

    # ------------------------------------------------------------ to the page

    async def _tell(self) -> None:
        schema: Object | None = None
        shown: Object | None = None
        async for _ in self._hub.states():
            await self._room.wait()
            # The newest, not the one that woke us: there may have been others while there was no room.
            state = self._hub.state
            if schema is not self._hub.schema:
                schema, shown = self._hub.schema, None
                await self._post({"kind": "schema", "schema": schema, "crowd": self._desk is not None})
            if shown is None:
                await self._post({"kind": "whole", "state": state})
            elif change := patch(shown, state):
                await self._post({"kind": "change", "state": change})
            shown = state
            await asyncio.sleep(1.0 / RATE)

    async def _tell_queue(self, desk: CrowdDesk) -> None:
        async for view in desk.subscribe():
            await self._room.wait()
            await self._post({"kind": "desk", "desk": view})

    async def _pulse(self) -> None:
        while True:
            await asyncio.sleep(STILL / 2)
            if self._loop.time() - self._told >= STILL and self._room.is_set():
                await self._post({"kind": "still"})

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(STILL)
            silent = self._loop.time() - self._heard
            if silent > VANISHED:
                self._holds.leave(self.number)
            if silent > GONE:
                await self._socket.close(_LATER, "not heard of")
                return

    async def _post(self, message: Object) -> None:
        self._sent += 1
        if self._sent - self._seen >= WINDOW:
            self._room.clear()
        await self._say({**message, "n": self._sent})

    async def _say(self, message: Object) -> None:
        self._told = self._loop.time()
        async with self._speaking:
            await self._socket.send_text(written(message))


async def serve_until_first(duties: list[Awaitable[None]], leave: Callable[[], object] = lambda: None) -> None:
    """Run ``duties`` until the first is over, then end the others; ``leave`` is called in any case, first of all.

    That the other side hung up is no fault; any other exception of a duty is raised.
    """
    tasks = [asyncio.ensure_future(duty) for duty in duties]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leave()
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception) and not isinstance(end, WebSocketDisconnect):
            raise end
