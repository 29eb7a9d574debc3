"""The ASGI side of the door: what is too big, too slow, too often or from elsewhere goes no further."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from vjengine.web.guard import Guard

MAX_BODY = 8 << 10
"""Longest body, bytes."""
MOST_HEADERS, MAX_HEADERS = 64, 8 << 10
"""Headers, and their bytes in all."""
BODY_TIME, SEND_TIME = 6.0, 20.0
"""s that a body may take to arrive, and that a client may leave one piece of an answer unread."""
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


class Refused(HTTPException):
    """Ends a request with a status and a few words, also from inside an app that waits for its body."""

    def __init__(self, status: int, words: str, wait: int = 0) -> None:
        headers = {"retry-after": str(wait)} if wait else {}
        if status in (400, 408, 413, 431):
            # Where the request ends is not known, or not worth waiting for.
            headers["connection"] = "close"
        super().__init__(status, words, headers)


class Door:
    """Wraps an app; see :meth:`vjengine.web.guard.Guard.protect`."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        performer = self._guard.is_performer(connection)
        # Closing before accepting is answered with 403.
        if not self._guard.same_origin(connection):
            await send({"type": "websocket.close", "code": 1008})
        elif not performer and not self._guard.allow("socket", self._guard.client(connection)):
            await send({"type": "websocket.close", "code": 1013})
        else:
            await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        outlet = _Outlet(send, connection)
        try:
            self._check(scope, connection)
            await self._app(scope, _bounded(receive), outlet)
        except Refused as refusal:
            if outlet.begun:
                raise
            answer = PlainTextResponse(f"{refusal.detail}\n", refusal.status_code, refusal.headers)
            await answer(scope, receive, outlet)
        except TimeoutError:
            # Nobody reads the answer: the server closes a connection whose answer is left unfinished.
            return

    def _check(self, scope: Scope, connection: HTTPConnection) -> None:
        headers = scope["headers"]
        if len(headers) > MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEADERS:
            raise Refused(431, "The headers are too long.")
        length = connection.headers.get("content-length", "0")
        if "content-length" in connection.headers and "transfer-encoding" in connection.headers:
            # Two opinions on where it ends: something in between may have the other one.
            raise Refused(400, "A length and pieces: one of them.")
        if not length.isascii() or not length.isdigit():
            raise Refused(400, "Content-Length is no number.")
        if len(length) > 9 or int(length) > MAX_BODY:
            raise Refused(413, f"More than {MAX_BODY} bytes.")
        # The performer is never shut out by what others behind the same address do.
        who = self._guard.client(connection)
        if not self._guard.is_performer(connection) and not self._guard.allow("request", who):
            raise Refused(429, "Too many requests; wait a moment.", self._guard.retry_after("request", who))
        if scope["method"] not in _SAFE and not self._guard.same_origin(connection):
            raise Refused(403, "This was sent by another site.")


def _bounded(receive: Receive) -> Receive:
    """Return ``receive`` with a limit on how much comes and how long it takes."""
    taken = 0
    deadline: float | None = asyncio.get_running_loop().time() + BODY_TIME

    async def bounded() -> Message:
        nonlocal taken, deadline
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise Refused(408, "The request took too long to arrive.") from None
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            if taken > MAX_BODY:
                raise Refused(413, f"More than {MAX_BODY} bytes.")
            if not message.get("more_body", False):
                # What follows is only the hang-up, for which a stream waits as long as it runs.
                deadline = None
        return message

    return bounded


class _Outlet:
    """A ``send`` that adds the headers and gives up on those who do not read."""

    def __init__(self, send: Send, connection: HTTPConnection) -> None:
        self._send = send
        self._connection = connection
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            _secure(MutableHeaders(scope=message), self._connection)
        async with asyncio.timeout(SEND_TIME):
            await self._send(message)


def _secure(headers: MutableHeaders, connection: HTTPConnection) -> None:
    host = connection.headers.get("host", "")
    # Older phones do not take 'self' to mean WebSockets of the same host.
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    headers["content-security-policy"] = (
        f"default-src 'self'; connect-src 'self'{sockets}; img-src 'self' blob: data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    headers["x-content-type-options"] = "nosniff"
    headers["x-frame-options"] = "DENY"
    # Not "no-referrer": with that a browser hides the origin of a plain form, which is then taken for a stranger's.
    headers["referrer-policy"] = "same-origin"
    headers["cross-origin-opener-policy"] = "same-origin"
    headers["cross-origin-resource-policy"] = "same-origin"
    headers["permissions-policy"] = "camera=(), microphone=(), geolocation=()"
    headers.setdefault("cache-control", "no-store")
