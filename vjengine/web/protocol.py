"""Uvicorn's HTTP and WebSocket protocols with what they lack against strangers: time limits and counted connections."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from vjengine.web.guard import Guard

REQUEST_TIME = 7.0
"""s from a request's first byte to its last; a connection that asks nothing has as long for its first."""
SOCKET_BYTES, SOCKET_BURST = 64 << 10, 256 << 10
"""What a WebSocket may send: bytes a second on average, and at once."""
SOCKET_UNREAD = 512 << 10
"""Bytes of answers that a WebSocket may leave unread."""


def http_protocol(guard: Guard) -> type[asyncio.Protocol]:
    """Return the HTTP protocol class that counts its connections with ``guard``."""
    return type("CountedHttp", (_Http,), {"guard": guard})


class _Http(H11Protocol):
    guard: Guard
    _counted = ""
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        host = self.client[0] if self.client else ""
        if not self.guard.connect(host):
            # Nothing is said: an answer would cost more than the connection.
            transport.abort()
            return
        self._counted = host or "?"
        self._time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._untime()
        self._uncount()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        # A slow client is one whose request is not complete, be it the headers or the body. To h11 the request of a
        # WebSocket never is: its body is what the other protocol now reads.
        if self.transport.get_protocol() is not self:
            self._untime()
        elif self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing():
            self._time()
        else:
            self._untime()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._untime()
        self._uncount()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431:
            self._answer(431, b"Request Header Fields Too Large", b"The headers are too long.\n")
        else:
            self._answer(400, b"Bad Request", b"This is no HTTP request.\n")

    def _answer(self, status: int, reason: bytes, words: bytes) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
            headers += [(b"content-length", str(len(words)).encode()), (b"x-content-type-options", b"nosniff")]
            for event in (
                h11.Response(status_code=status, headers=headers, reason=reason),
                h11.Data(data=words),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _time(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(REQUEST_TIME, self._late)

    def _untime(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._answer(408, b"Request Timeout", b"The request took too long to arrive.\n")
        self.transport.close()

    def _uncount(self) -> None:
        if self._counted:
            self.guard.disconnect(self._counted)
            self._counted = ""


class SocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket that is cut where it floods, or lets answers pile up."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._left, self._then = float(SOCKET_BURST), self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Take what came, if it is not too much."""
        now = self.loop.time()
        self._left = min(float(SOCKET_BURST), self._left + (now - self._then) * SOCKET_BYTES) - len(data)
        self._then = now
        if self._left < 0.0 or self.transport.get_write_buffer_size() > SOCKET_UNREAD:
            self.transport.abort()
            return
        super().data_received(data)
