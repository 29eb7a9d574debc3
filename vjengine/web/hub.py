"""The middle of the web process: what the show said last, and the way back to it. Everything runs on one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

Object = dict[str, Any]


class Hub:
    """Keeps the latest of the show; slow readers skip, nothing queues up for them.

    Args:
        send: hands an order or another message of :mod:`vjengine.web.wire` to the show; never blocks.

    Attributes:
        schema: macros, parameters and looks; empty until the show has said hello.
        state: the latest snapshot; empty until there is one. Replaced as a whole, never changed.
        picture: the latest JPEG of the programme; empty until there is one.
    """

    def __init__(self, send: Callable[[Object], None]) -> None:
        self._send = send
        self.schema: Object = {}
        self.state: Object = {}
        self.picture = b""
        self._versions = {"state": 0, "picture": 0}
        self._news = {"state": asyncio.Event(), "picture": asyncio.Event()}
        self._watching = 0
        self._following = 0

    def receive(self, message: Object | bytes) -> None:
        """Take a message of the show; call it on the event loop."""
        if isinstance(message, bytes):
            self.picture = message
            self._tell("picture")
        elif message.get("kind") == "hello":
            self.schema = message["schema"]
        elif message.get("kind") == "state":
            self.state = message
            self._tell("state")

    def order(self, order: Object) -> None:
        """Send an order (:mod:`vjengine.web.orders`), or a status, to the show."""
        self._send(order)

    async def states(self) -> AsyncIterator[Object]:
        """Yield the present state and then each new one; states that come while the reader is busy are skipped.

        The show sends many a second only while somebody reads them here; to :attr:`state` alone it sends a few.
        """
        self._following += 1
        if self._following == 1:
            self._send({"kind": "followed", "value": True})
        try:
            async for _ in self._news_of("state"):
                yield self.state
        finally:
            self._following -= 1
            if self._following == 0:
                self._send({"kind": "followed", "value": False})

    async def pictures(self) -> AsyncIterator[bytes]:
        """Yield the present picture and then each new one, likewise; use it inside :meth:`watching`."""
        async for _ in self._news_of("picture"):
            yield self.picture

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Somebody looks at the picture: the show makes one only while this is so."""
        self._watching += 1
        if self._watching == 1:
            self._send({"kind": "watched", "value": True})
        try:
            yield
        finally:
            self._watching -= 1
            if self._watching == 0:
                self._send({"kind": "watched", "value": False})
                # Whoever looks next must not see an old picture first.
                self.picture = b""

    def _tell(self, what: str) -> None:
        self._versions[what] += 1
        self._news[what].set()
        self._news[what] = asyncio.Event()

    async def _news_of(self, what: str) -> AsyncIterator[None]:
        seen = 0
        while True:
            # Taken before the version is read: news between the two must not be slept through.
            news = self._news[what]
            if self._versions[what] == seen:
                await news.wait()
                continue
            seen = self._versions[what]
            yield
