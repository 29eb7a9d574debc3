"""The crowd's page: HTML, a JSON API, a WebSocket that says when something changed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import math
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from vjengine.resources import resource_dir
from vjengine.web.crowd.desk import CrowdDesk
from vjengine.web.crowd.filter import Filter
from vjengine.web.crowd.refusal import Refused
from vjengine.web.crowd.words import WordList
from vjengine.web.guard import Guard
from vjengine.web.hub import Hub
from vjengine.web.settings import WebSettings

PUSH_EVERY = 1.0
"""s between two messages to one guest: what changes in between waits, so that a busy queue costs no more."""
HEARTBEAT = 15.0
"""s between two messages where nothing changes: the page sees that the line is alive, and how long is left."""
MOST_SAID = 20
"""Messages that a guest's WebSocket may send; the page sends none."""
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_MOST_IDEAS = 40

Object = dict[str, Any]


class _Pages:
    """Everything the crowd is served, in memory: no path that is sent ever reaches the disk."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[bytes, str, str]] = {}
        for entry in (resources.files("vjengine.web.crowd") / "static").iterdir():
            kind = _TYPES.get(entry.name[entry.name.rfind(".") :])
            if kind is not None:
                content = entry.read_bytes()
                mark = f'"{hashlib.sha256(content).hexdigest()[:24]}"'
                self._files[entry.name] = (content, f"{kind}; charset=utf-8", mark)

    def html(self, name: str) -> str:
        return self._files[name][0].decode()

    def answer(self, name: str, request: Request) -> Response:
        found = self._files.get(name)
        if found is None or name.endswith(".html"):
            raise HTTPException(404, "There is nothing here.")
        content, kind, mark = found
        # Asked for again each time, answered in a few bytes: a page of an older engine never stays in a phone.
        headers = {"etag": mark, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == mark:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)


def routes(hub: Hub, settings: WebSettings, guard: Guard, desk: CrowdDesk) -> list[BaseRoute]:
    """Return the routes of the crowd's page."""
    pages, ideas = _Pages(), _ideas()

    async def page(request: Request) -> Response:
        given = request.query_params.get("t")
        if given is not None:
            return _enter(request, given)
        if not guard.is_guest(request):
            return HTMLResponse(pages.html("closed.html"), 403)
        answer = HTMLResponse(pages.html("crowd.html"))
        if guard.keys.guest_id(request) is None:
            guard.keys.name_guest(answer, request)
        return answer

    def _enter(request: Request, given: str) -> Response:
        who = guard.client(request)
        # The token leaves the address line at once: it is not to be photographed over a shoulder.
        answer = RedirectResponse("/", 303)
        if guard.is_guest(request):
            return answer
        if not guard.allow("login", who):
            raise HTTPException(429, "Too many tries.", {"retry-after": str(guard.retry_after("login", who))})
        if not guard.enter_crowd(request, given, answer):
            return HTMLResponse(pages.html("closed.html"), 403)
        guard.keys.name_guest(answer, request)
        return answer

    async def state(request: Request) -> Response:
        return Response(desk.guest_view(_id(guard, request)), media_type="application/json")

    async def ideas_list(request: Request) -> Response:
        return JSONResponse(ideas)

    async def say(request: Request) -> Response:
        given = await _json(request)
        wish, new = desk.say(given.get("text"), given.get("author", ""), _who(guard, request), guard.client(request))
        return JSONResponse({"id": wish.number, "new": new}, 201 if new else 200)

    async def vote(request: Request) -> Response:
        given = await _json(request)
        wanted = given.get("wanted", True)
        if not isinstance(wanted, bool):
            raise Refused("type", "A vote is given or taken back.")
        wish = desk.vote(given.get("id"), _who(guard, request), guard.client(request), wanted=wanted)
        return JSONResponse({"id": wish.number, "votes": len(wish.votes)})

    async def withdraw(request: Request) -> Response:
        await _json(request)
        desk.withdraw(_who(guard, request))
        return JSONResponse({})

    async def plain(request: Request) -> Response:
        """The form without JavaScript: the answer is one of our own lines, never what was sent."""
        if not guard.is_guest(request):
            return HTMLResponse(pages.html("closed.html"), 403)
        try:
            _count(guard, request, "submit")
            given = await _form(request)
            _, new = desk.say(given.get("text"), given.get("author", ""), _who(guard, request), guard.client(request))
        except Refused as refusal:
            return HTMLResponse(
                pages.html("said.html").replace("%SAID%", refusal.words), refusal.status, _wait(refusal)
            )
        words = "Your idea is in the queue." if new else "That idea was there already: it has one more vote."
        return HTMLResponse(pages.html("said.html").replace("%SAID%", words))

    async def socket(websocket: WebSocket) -> None:
        with guard.seat(websocket) as seated:
            if not seated or not guard.is_guest(websocket):
                await websocket.close(1013 if not seated else 1008)
                return
            await websocket.accept()
            await _push(websocket, desk, _id(guard, websocket))

    def api(kind: str, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Return ``answer`` for guests only, counted, with refusals as JSON."""

        async def checked(request: Request) -> Response:
            try:
                if not guard.is_guest(request):
                    raise Refused("token", "Scan the QR code on the screen again.", 403)
                if kind:
                    _count(guard, request, kind)
                return await answer(request)
            except Refused as refusal:
                body = {"error": refusal.code, "words": refusal.words, "wait": math.ceil(refusal.wait)}
                return JSONResponse(body, refusal.status, _wait(refusal))

        return checked

    async def static(request: Request) -> Response:
        return pages.answer(request.path_params["name"], request)

    return [
        Route("/", page),
        Route("/crowd/say", plain, methods=["POST"]),
        Route("/crowd/api/state", api("", state)),
        Route("/crowd/api/ideas", api("", ideas_list)),
        Route("/crowd/api/say", api("submit", say), methods=["POST"]),
        Route("/crowd/api/vote", api("vote", vote), methods=["POST"]),
        Route("/crowd/api/withdraw", api("vote", withdraw), methods=["POST"]),
        WebSocketRoute("/crowd/ws", socket),
        Route("/crowd/static/{name}", static),
    ]


async def _push(websocket: WebSocket, desk: CrowdDesk, guest: str | None) -> None:
    """Send a guest's view whenever something changed, until the guest leaves."""
    listening = asyncio.create_task(_listen(websocket))
    news = desk.news()
    fresh: asyncio.Future[int] = asyncio.ensure_future(anext(news))
    try:
        while not listening.done():
            waits: tuple[asyncio.Future[Any], ...] = (fresh, listening)
            await asyncio.wait(waits, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                break
            if fresh.done():
                fresh = asyncio.ensure_future(anext(news))
            await websocket.send_text(desk.guest_view(guest))
            await asyncio.wait({listening}, timeout=PUSH_EVERY)
    except (WebSocketDisconnect, RuntimeError):
        # Gone while we wrote.
        pass
    finally:
        for task in (fresh, listening):
            task.cancel()
        await asyncio.gather(fresh, listening, return_exceptions=True)


async def _listen(websocket: WebSocket) -> None:
    """Wait until the guest leaves, or says more than a page does."""
    for _ in range(MOST_SAID):
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
    with contextlib.suppress(RuntimeError):
        await websocket.close(1008)


async def _json(request: Request) -> Object:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # Anything else could be sent by a form of another site without the browser asking first.
    if kind != "application/json":
        raise HTTPException(415, "This takes application/json.")
    try:
        given = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise Refused("json", "That was not understood.", 400) from None
    if not isinstance(given, dict):
        raise Refused("json", "That was not understood.", 400)
    return given


async def _form(request: Request) -> dict[str, str]:
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return {name: values[0] for name, values in parse_qs(body, max_num_fields=8).items()}
    except ValueError:
        raise Refused("form", "That was not understood.", 400) from None


def _count(guard: Guard, request: Request, kind: str) -> None:
    who = guard.client(request)
    if not guard.allow(kind, who):
        raise Refused("often", "Too much from your network. Wait a moment.", 429, float(guard.retry_after(kind, who)))


def _wait(refusal: Refused) -> dict[str, str]:
    return {"retry-after": str(max(1, math.ceil(refusal.wait)))} if refusal.status == 429 else {}


def _id(guard: Guard, connection: HTTPConnection) -> str | None:
    return guard.keys.guest_id(connection)


def _who(guard: Guard, connection: HTTPConnection) -> str:
    """Return what tells this guest from others: their cookie, or their address if they keep none."""
    return _id(guard, connection) or f"address {guard.client(connection)}"


def _ideas() -> list[str]:
    """Return the ideas that the page offers; those that the filter would refuse are left out."""
    try:
        lines = (resource_dir("presets") / "crowd" / "ideas.txt").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    check, kept = Filter(WordList(())), []
    for line in lines.splitlines():
        with contextlib.suppress(Refused):
            kept.append(check.wish(line.partition("#")[0]))
    return kept[:_MOST_IDEAS]
