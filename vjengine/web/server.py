"""One Starlette app of the performer's and the crowd's pages, behind the door, and uvicorn to serve it."""

from __future__ import annotations

import contextlib
import importlib
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from vjengine.web.crowd.desk import CrowdDesk
from vjengine.web.crowd.routes import routes as crowd_routes
from vjengine.web.door import MAX_BODY, MAX_HEADERS
from vjengine.web.guard import MOST_CONNECTIONS, Guard
from vjengine.web.hub import Hub
from vjengine.web.protocol import SocketProtocol, http_protocol
from vjengine.web.settings import Address, WebSettings

STAGE = "vjengine.web.stage.routes"


def pages(hub: Hub, settings: WebSettings, guard: Guard, desk: CrowdDesk | None) -> ASGIApp:
    """Return the app of all pages that the settings ask for; a performer's page that cannot be loaded is left out."""
    routes: list[BaseRoute] = []
    if settings.stage_secret:
        try:
            make: Callable[..., list[BaseRoute]] = importlib.import_module(STAGE).routes
        except ImportError as error:
            words = f"the performer's page cannot be loaded ({error}); reinstall vjengine"
            hub.order({"kind": "status", "component": "stage", "level": "error", "message": words})
        else:
            routes += make(hub, settings, guard, desk)
    if desk is not None:
        routes += crowd_routes(hub, settings, guard, desk)
    elif settings.stage_secret:
        routes.append(Route("/", _to_stage))
    app = Starlette(routes=routes, exception_handlers={HTTPException: _words})
    # A redirect to the path with a slash would repeat the Host that the client made up.
    app.router.redirect_slashes = False
    return guard.protect(app)


async def _to_stage(request: Request) -> Response:
    return RedirectResponse("/stage", 303)


async def _words(request: Request, error: Exception) -> Response:
    """Say in a line what is wrong, without repeating anything that was sent."""
    assert isinstance(error, HTTPException)
    # Starlette's own words are the status's name; ours come from our own routes.
    return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)


class Server(uvicorn.Server):
    """Uvicorn, which leaves the process's signals alone: the show decides when the pages end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def server(app: ASGIApp, guard: Guard) -> Server:
    """Return a server of ``app`` with every limit that uvicorn has."""
    return Server(
        uvicorn.Config(
            app,
            http=http_protocol(guard),
            ws=SocketProtocol,
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            # Loopback is no more to be believed than others: anybody's request may have come through a tunnel.
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS + 500,
            backlog=512,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=MAX_HEADERS,
            ws_max_size=MAX_BODY,
            ws_max_queue=4,
            ws_ping_interval=20.0,
            ws_ping_timeout=20.0,
            # Each connection's dictionary would take more memory than it saves air.
            ws_per_message_deflate=False,
        )
    )


def listen(address: Address) -> socket.socket:
    """Return a socket bound to ``address``.

    Raises:
        OSError: the port is taken, or the host is none of this machine's.
    """
    host, port = address
    family, kind, protocol, _, where = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":
            # A port that a server has just left is free; on Windows the option means that two may share it.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(where)
        bound.listen(512)
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound
