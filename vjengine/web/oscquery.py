"""OSCQuery: clients discover every address over HTTP and listen to values over a WebSocket.

It only tells. What clients set, they send by OSC to the port that ``HOST_INFO`` names. A page of another site gets
nothing: requests must name this machine, and WebSockets of other origins are refused.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import socket
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from vjengine.core.osc_tree import Value
from vjengine.core.osc_write import message
from vjengine.web.buckets import Buckets, Rate
from vjengine.web.hub import Hub, Object
from vjengine.web.oscquery_tree import ATTRIBUTES, EXTENSIONS, Tree
from vjengine.web.settings import WebSettings

log = logging.getLogger(__name__)

MOST_LISTENERS = 32
"""WebSockets in all."""
RATES = {"request": Rate(50.0, 200.0), "command": Rate(500.0, 2000.0)}
"""What one address may do: HTTP requests, words over a WebSocket."""
MAX_COMMAND = 2048
"""Longest word over a WebSocket, characters."""
SEND_TIME = 10.0
"""s after which a client that reads nothing is left."""
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class _Desk:
    """The one tree, and who listens."""

    def __init__(self, hub: Hub, settings: WebSettings) -> None:
        self.hub, self.settings = hub, settings
        self.limits = Buckets(RATES)
        self.listeners = 0
        self._schema: Object | None = None
        self._tree = Tree({}, obeyed=False)
        self._state: Object = {}
        self._values: dict[str, Value | None] = {}
        self._whole = b""

    @property
    def tree(self) -> Tree:
        """The tree of the show as it is now."""
        if self._schema is not self.hub.schema:
            self._schema = self.hub.schema
            self._tree = Tree(self._schema, obeyed=self.settings.osc is not None)
            self._values, self._whole = {}, b""
        return self._tree

    def value(self, path: str) -> Value | None:
        """Return the present value at ``path``; read once a state, however many listen."""
        tree = self.tree
        self._follow()
        if path not in self._values:
            node = tree.nodes.get(path)
            self._values[path] = node.value(self._state) if node is not None else None
        return self._values[path]

    def whole(self) -> bytes:
        """Return everything as JSON; made once a state, however many ask."""
        tree = self.tree
        self._follow()
        self._whole = self._whole or json.dumps(tree.described("/", self._state)).encode()
        return self._whole

    def _follow(self) -> None:
        if self._state is not self.hub.state:
            self._state, self._values, self._whole = self.hub.state, {}, b""

    def host_info(self) -> Object:
        """Return what ``?HOST_INFO`` answers."""
        info: Object = {"NAME": self.settings.name, "OSC_TRANSPORT": "UDP", "EXTENSIONS": dict(EXTENSIONS)}
        if self.settings.osc is not None:
            host, info["OSC_PORT"] = self.settings.osc
            # Without OSC_IP clients take the address that they asked: right wherever every address is listened on.
            with suppress(ValueError):
                if not ipaddress.ip_address(host).is_unspecified:
                    info["OSC_IP"] = host
        return info


def app(hub: Hub, settings: WebSettings) -> Starlette:
    """Return the OSCQuery server of a show.

    Args:
        hub: where schema and states come from.
        settings: ``osc`` is where OSC is listened for, ``name`` what the show is called.
    """
    desk = _Desk(hub, settings)

    async def answer(request: Request) -> Response:
        return _answer(desk, request)

    async def listen(ws: WebSocket) -> None:
        await _listen(desk, ws)

    made = Starlette(routes=[Route("/{path:path}", answer), WebSocketRoute("/{path:path}", listen)])
    made.router.redirect_slashes = False
    return made


def _answer(desk: _Desk, request: Request) -> Response:
    if not _is_this_machine(request):
        return _words(403, "This is not for pages of other sites.")
    if not desk.limits.allow("request", _client(request)):
        return _words(429, "Too many requests; wait a moment.", {"retry-after": "1"})
    wanted = unquote(request.url.query).removesuffix("=")
    if wanted == "HOST_INFO":
        return JSONResponse(desk.host_info(), headers=_HEADERS)
    path = "/" + request.path_params["path"].strip("/")
    tree = desk.tree
    if path not in tree.nodes:
        return _words(404, "There is no such address.")
    if wanted and wanted not in ATTRIBUTES:
        return _words(400, "There is no such attribute.")
    if path == "/" and not wanted:
        return Response(desk.whole(), headers=_HEADERS, media_type="application/json")
    found = tree.described(path, desk.hub.state)
    if not wanted:
        return JSONResponse(found, headers=_HEADERS)
    if wanted not in found:
        return Response(status_code=204, headers=_HEADERS)
    return JSONResponse({wanted: found[wanted]}, headers=_HEADERS)


def _words(status: int, words: str, headers: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(words + "\n", status, {**_HEADERS, **(headers or {})})


# ---------------------------------------------------------------- who asks


def _client(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client is not None else ""


def _is_this_machine(connection: HTTPConnection) -> bool:
    """Return False for what a page of another site had a browser ask: its name for us is not ours, or it says so."""
    host = connection.headers.get("host", "")
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if not _is_our_name(name):
        return False
    origin = connection.headers.get("origin")
    if origin is not None:
        with suppress(ValueError):
            return urlsplit(origin).netloc.lower() == host.lower()
        return False
    return connection.headers.get("sec-fetch-site", "none") in ("none", "same-origin")


def _is_our_name(name: str) -> bool:
    """Return True for addresses, ``localhost`` and this machine's name, which no stranger's DNS can point at us."""
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        ours = socket.gethostname().lower()
        return name in ("localhost", ours, ours.partition(".")[0], f"{ours.partition('.')[0]}.local")
    return True


# ---------------------------------------------------------------- listening


async def _listen(desk: _Desk, ws: WebSocket) -> None:
    """Serve one WebSocket: words in, values out."""
    if not _is_this_machine(ws) or desk.listeners >= MOST_LISTENERS:
        await ws.close(1008)
        return
    desk.listeners += 1
    listened: dict[str, Value | None] = {}
    try:
        await ws.accept()
        speaking = asyncio.create_task(_speak(desk, ws, listened))
        hearing = asyncio.create_task(_hear(desk, ws, listened))
        try:
            done, _ = await asyncio.wait((speaking, hearing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            speaking.cancel()
            hearing.cancel()
        for task in done:
            with suppress(WebSocketDisconnect, TimeoutError, RuntimeError, asyncio.CancelledError):
                task.result()
        await asyncio.gather(speaking, hearing, return_exceptions=True)
    finally:
        desk.listeners -= 1


async def _hear(desk: _Desk, ws: WebSocket, listened: dict[str, Value | None]) -> None:
    while True:
        got = await ws.receive()
        if got["type"] == "websocket.disconnect":
            return
        text = got.get("text")
        if not desk.limits.allow("command", _client(ws)) or (text is not None and len(text) > MAX_COMMAND):
            await ws.close(1008)
            return
        with suppress(ValueError, RecursionError):
            _obey(desk, json.loads(text or "null"), listened)


def _obey(desk: _Desk, word: object, listened: dict[str, Value | None]) -> None:
    """Take LISTEN and IGNORE; what is neither, and addresses that have no value, are passed over."""
    if not isinstance(word, dict) or not isinstance(path := word.get("DATA"), str):
        return
    if word.get("COMMAND") == "LISTEN":
        node = desk.tree.nodes.get(path)
        if node is not None and node.read is not None:
            # Nothing equals None, so that the present value goes out with the next state.
            listened[path] = None
    elif word.get("COMMAND") == "IGNORE":
        listened.pop(path, None)


async def _speak(desk: _Desk, ws: WebSocket, listened: dict[str, Value | None]) -> None:
    """Send what changes of what is listened to; a slow reader misses steps and gets the latest."""
    async for _ in desk.hub.states():
        for path in list(listened):
            value = desk.value(path)
            # While one is sent, IGNORE may come for the next.
            if value is not None and path in listened and listened[path] != value:
                listened[path] = value
                await asyncio.wait_for(ws.send_bytes(message(path, value)), SEND_TIME)
