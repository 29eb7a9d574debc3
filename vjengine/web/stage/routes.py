"""Paths of the performer's page. ``/stage?k=SECRET`` gives the cookie; without it, only a page that says how."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from vjengine.web.crowd.desk import CrowdDesk
from vjengine.web.guard import Guard
from vjengine.web.hub import Hub
from vjengine.web.settings import WebSettings
from vjengine.web.stage.holds import Holds
from vjengine.web.stage.page import Page
from vjengine.web.stage.preview import serve_preview

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".webmanifest": "application/json"}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    tag: str


def routes(hub: Hub, settings: WebSettings, guard: Guard, desk: CrowdDesk | None) -> list[BaseRoute]:
    """Return the routes of the performer's page.

    Args:
        hub: the show.
        settings: not used beyond what ``guard`` knows of it.
        guard: who may come in, and how much.
        desk: the crowd's queue; None without a crowd.
    """
    pages = {name: _read(name).decode() for name in ("stage.html", "opening.html", "closed.html")}
    files = _static_files()
    holds = Holds(hub.order)

    async def stage(request: Request) -> Response:
        if guard.is_performer(request):
            return HTMLResponse(pages["opening.html" if "k" in request.query_params else "stage.html"])
        given, who = request.query_params.get("k"), guard.client(request)
        if given is None:
            return HTMLResponse(pages["closed.html"], 401)
        if not guard.allow("login", who):
            wait = {"retry-after": str(guard.retry_after("login", who))}
            return PlainTextResponse("Too many wrong links; wait a moment.\n", 429, wait)
        # A page in between, not a redirect: after one, a browser that came from another site (a chat, a mail) would
        # not send the cookie along.
        response = HTMLResponse(pages["opening.html"])
        return response if guard.enter_stage(request, given, response) else HTMLResponse(pages["closed.html"], 401)

    async def static(request: Request) -> Response:
        file = files.get(request.path_params["name"])
        if file is None:
            return PlainTextResponse("There is no such file.\n", 404)
        headers = {"etag": file.tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    async def talk(socket: WebSocket) -> None:
        if await _refused(socket, guard):
            return
        with guard.seat(socket, "performer") as seated:
            if not seated:
                await socket.send_denial_response(PlainTextResponse("Too many pages are open.\n", 503))
                return
            await socket.accept()
            who = guard.client(socket)
            await Page(socket, hub, holds, desk, lambda number: guard.allow("order", f"{who} {number}")).run()

    async def preview(socket: WebSocket) -> None:
        if await _refused(socket, guard):
            return
        with guard.seat(socket, "performer") as seated:
            if not seated:
                await socket.send_denial_response(PlainTextResponse("Too many pages are open.\n", 503))
                return
            await socket.accept()
            await serve_preview(socket, hub)

    return [
        Route("/stage", stage),
        Route("/stage/static/{name}", static),
        WebSocketRoute("/stage/ws", talk),
        WebSocketRoute("/stage/preview", preview),
    ]


async def _refused(socket: WebSocket, guard: Guard) -> bool:
    if not guard.same_origin(socket):
        await socket.send_denial_response(PlainTextResponse("This was opened by another site.\n", 403))
        return True
    if not guard.is_performer(socket):
        await socket.send_denial_response(PlainTextResponse("Open the performer's link first.\n", 401))
        return True
    return False


def _read(name: str) -> bytes:
    return (resources.files("vjengine.web.stage") / "static" / name).read_bytes()


def _static_files() -> dict[str, _File]:
    """Return the files that anybody may fetch, by name; nothing else can be named."""
    found = {}
    for entry in (resources.files("vjengine.web.stage") / "static").iterdir():
        media_type = _TYPES.get(entry.name[entry.name.rfind(".") :])
        if media_type is not None:
            content = entry.read_bytes()
            found[entry.name] = _File(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return found
