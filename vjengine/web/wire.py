"""What goes between the show and the web process: messages with a length before them, on two pipes.

Each message is four bytes of length (big endian, of what follows), one byte of kind, and its content: ``J``, a JSON
object with a ``kind`` of its own, or ``P``, a JPEG of the programme.

From the show::

    {"kind": "hello", "schema": …}      once, first: vjengine.web.view.schema
    {"kind": "state", …}                30 times a second while "followed", else a few: vjengine.web.view.snapshot
    JPEG                                the picture, a few times a second, only while "watched" says someone looks

From the web process::

    {"kind": "listening", "urls": {"stage": …, "crowd": …, "oscquery": …}, "ports": {…}}    when a server listens
    {"kind": "status", "component": "web" | "crowd" | "oscquery", "level": "ok" | "warn" | "error", "message": …}
    {"kind": "alive"}                   once a second
    {"kind": "watched", "value": true}  when the first page that shows the picture opens; false when the last one closes
    {"kind": "followed", "value": true}     likewise for the state
    {"kind": "missing" | "fault", "message": …}     it cannot run, or met a fault; it ends
    {"kind": "queue", "waiting": n, "text": …, "author": …}     the crowd's queue, for the HUD, when it changes
    anything that vjengine.web.orders knows
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

MAX_MESSAGE = 4 << 20
"""Longest message, bytes; a longer one is a fault and ends the connection."""
JSON, PICTURE = b"J", b"P"
_HEAD = struct.Struct(">I")

Object = dict[str, Any]


def packed(message: Object | bytes) -> bytes:
    """Return a message ready for the pipe: an object as JSON, bytes as a JPEG.

    Raises:
        ValueError: it is longer than :data:`MAX_MESSAGE`, or has numbers that JSON does not have.
    """
    if isinstance(message, bytes):
        body = PICTURE + message
    else:
        body = JSON + json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if len(body) > MAX_MESSAGE:
        raise ValueError(f"a message of {len(body)} bytes; the most is {MAX_MESSAGE}")
    return _HEAD.pack(len(body)) + body


def read_message(pipe: IO[bytes], longest: int = MAX_MESSAGE) -> Object | bytes | None:
    """Return the next message; None at the pipe's end, be it in the middle of one.

    Args:
        pipe: what it is read from.
        longest: bytes that a message may have.

    Raises:
        ValueError: what came is no message.
    """
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    (length,) = _HEAD.unpack(head)
    if not 1 <= length <= longest:
        raise ValueError(f"a message of {length} bytes")
    body = pipe.read(length)
    if len(body) < length:
        return None
    if body[:1] == PICTURE:
        return body[1:]
    if body[:1] != JSON:
        raise ValueError(f"a message of kind {body[:1]!r}")
    found = json.loads(body[1:])
    if not isinstance(found, dict):
        raise ValueError("a message that is no object")
    return found
