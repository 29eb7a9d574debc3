"""The programme's picture for the performer: one on its way at a time, so that a slow phone sees fewer, not late.

A WebSocket rather than MJPEG: an HTTP stream fills every buffer on the way to a slow phone, and what is seen then lies
seconds back. Here the page asks for the next picture (with any message) once it has drawn the last.
"""

from __future__ import annotations

import asyncio

from starlette.websockets import WebSocket, WebSocketDisconnect

from vjengine.web.hub import Hub
from vjengine.web.stage.page import serve_until_first

MOST_ASKED = 1000
"""Requests a second above which the connection is closed."""


async def serve_preview(socket: WebSocket, hub: Hub) -> None:
    """Send pictures on an accepted WebSocket until it ends."""
    drawn = asyncio.Event()
    drawn.set()

    async def listen() -> None:
        loop = asyncio.get_running_loop()
        begun, asked = loop.time(), 0
        while (await socket.receive())["type"] != "websocket.disconnect":
            drawn.set()
            if loop.time() - begun >= 1.0:
                begun, asked = loop.time(), 0
            asked += 1
            if asked > MOST_ASKED:
                await socket.close(1008, "too many messages")
                return

    async def show() -> None:
        async for _ in hub.pictures():
            await drawn.wait()
            # The newest: others may have come while the last was being drawn.
            if hub.picture:
                drawn.clear()
                await socket.send_bytes(hub.picture)

    async with hub.watching():
        try:
            await serve_until_first([listen(), show()])
        except WebSocketDisconnect:
            return
