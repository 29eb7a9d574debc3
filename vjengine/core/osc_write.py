"""Encoding of OSC 1.0: numbers in bundles that fit a network packet, and messages of strings."""

from __future__ import annotations

import struct
from collections.abc import Iterable

MAX_DATAGRAM = 1400
"""Largest datagram, bytes: with its headers it fits an Ethernet frame, so that no network has to split it."""
MAX_TEXT = 600
"""Longest string, bytes in UTF-8."""
BUNDLE = b"#bundle\0" + struct.pack(">Q", 1)
"""Head of a bundle to be acted on at once."""


def pad(raw: bytes) -> bytes:
    """Return ``raw`` as an OSC string: ended by a zero and filled with zeros to a multiple of four bytes."""
    return raw + b"\0" * (4 - len(raw) % 4)


def float_head(address: str) -> bytes:
    """Return a bundle element of one float without its last four bytes, the number (big-endian float32)."""
    head = pad(address.encode("ascii")) + b",f\0\0"
    return struct.pack(">i", len(head) + 4) + head


def float_bytes(value: float) -> bytes:
    """Return ``value`` as big-endian float32; what that cannot hold, and NaN, becomes 0: receivers choke on it."""
    return struct.pack(">f", value if -3.4e38 < value < 3.4e38 else 0.0)


def clip_text(text: str) -> bytes:
    """Return ``text`` in UTF-8, without zeros and no longer than :data:`MAX_TEXT`, cut between characters."""
    raw = text.replace("\0", "").encode("utf-8", "replace")
    return raw if len(raw) <= MAX_TEXT else raw[:MAX_TEXT].decode("utf-8", "ignore").encode()


def text_message(address: str, *texts: str) -> bytes:
    """Return a message of strings."""
    tags = b"," + b"s" * len(texts)
    return pad(address.encode("ascii")) + pad(tags) + b"".join(pad(clip_text(text)) for text in texts)


def bundles(elements: Iterable[bytes]) -> list[bytes]:
    """Return datagrams of at most :data:`MAX_DATAGRAM` bytes holding ``elements`` (with their sizes), in order."""
    packets: list[bytes] = []
    parts, size = [BUNDLE], len(BUNDLE)
    for element in elements:
        if size + len(element) > MAX_DATAGRAM and len(parts) > 1:
            packets.append(b"".join(parts))
            parts, size = [BUNDLE], len(BUNDLE)
        parts.append(element)
        size += len(element)
    if len(parts) > 1:
        packets.append(b"".join(parts))
    return packets


def message(address: str, *arguments: float | int | str) -> bytes:
    """Return a message; strings are cut to :data:`MAX_TEXT`, whole numbers are 32 bits wide."""
    tags, body = b",", b""
    for argument in arguments:
        if isinstance(argument, str):
            tags, body = tags + b"s", body + pad(clip_text(argument))
        elif isinstance(argument, int):
            tags, body = tags + b"i", body + struct.pack(">i", min(2**31 - 1, max(-(2**31), argument)))
        else:
            tags, body = tags + b"f", body + float_bytes(argument)
    return pad(address.encode("ascii")) + pad(tags) + body


def element(packet: bytes) -> bytes:
    """Return a message as an element of a bundle: its size before it."""
    return struct.pack(">i", len(packet)) + packet
