"""Strict decoding of OSC 1.0 packets: bytes in, messages out, and an error for everything else.

Packets come from strangers, so every length is checked before it is used, and depth, counts and sizes have limits. The
decoder always moves forward: no packet can make it loop (a bundle element of negative size hangs other parsers).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

MAX_PACKET = 16_384
"""Largest datagram that is read, bytes."""
MAX_DEPTH = 4
"""Deepest nesting of bundles."""
MAX_MESSAGES = 1024
"""Most messages in one packet."""
MAX_ARGUMENTS = 16
"""Most arguments of one message."""
MAX_ADDRESS = 200
"""Longest address, characters."""

IMMEDIATELY = 1
"""The time tag that means at once (OSC 1.0, time tag semantics)."""
NTP_EPOCH = 2_208_988_800
"""s from 1900, where time tags count from, to 1970."""

Argument = float | int | bool | str | bytes | None

_NUMBERS = {"i": ">i", "f": ">f", "h": ">q", "d": ">d", "t": ">Q"}
_SIMPLE: dict[str, Argument] = {"T": True, "F": False, "I": True, "N": None}
_FOUR_BYTES = ("c", "r", "m")
_PLAIN = re.compile(rb"[!-~]*")


class MalformedPacket(ValueError):
    """The bytes are no OSC packet within the limits; the text says why."""


@dataclass(frozen=True, slots=True)
class OscMessage:
    """One message.

    Attributes:
        address: as it came.
        arguments: decoded.
        timetag: the enclosing bundle's, 64-bit NTP; :data:`IMMEDIATELY` outside of bundles.
        tags: OSC type tags as they came, without the comma.
    """

    address: str
    arguments: tuple[Argument, ...]
    timetag: int = IMMEDIATELY
    tags: str = field(default="", compare=False)


def unix_time(timetag: int) -> float:
    """Return a time tag in s since 1970."""
    return (timetag >> 32) - NTP_EPOCH + (timetag & 0xFFFFFFFF) / 2.0**32


def decode_packet(data: bytes) -> list[OscMessage]:
    """Return the messages of a datagram, in order.

    Raises:
        MalformedPacket: if any part of it is broken or over the limits; nothing of it is then to be acted on.
    """
    if len(data) > MAX_PACKET:
        raise MalformedPacket(f"over {MAX_PACKET} bytes")
    messages: list[OscMessage] = []
    _decode_element(data, 0, len(data), IMMEDIATELY, 0, messages)
    return messages


def _decode_element(data: bytes, start: int, end: int, timetag: int, depth: int, messages: list[OscMessage]) -> None:
    """Decode ``data[start:end]``, a message or a bundle."""
    if end - start < 4 or (end - start) % 4:
        raise MalformedPacket(f"a packet or bundle element of {end - start} bytes")
    if data[start] == 0x2F:
        if len(messages) >= MAX_MESSAGES:
            raise MalformedPacket(f"over {MAX_MESSAGES} messages in one packet")
        messages.append(_decode_message(data, start, end, timetag))
    elif data.startswith(b"#bundle\0", start, end):
        if depth >= MAX_DEPTH:
            raise MalformedPacket(f"bundles nested over {MAX_DEPTH} deep")
        _decode_bundle(data, start, end, depth, messages)
    else:
        raise MalformedPacket("neither a message nor a bundle")


def _decode_bundle(data: bytes, start: int, end: int, depth: int, messages: list[OscMessage]) -> None:
    if end - start < 16:
        raise MalformedPacket("a bundle without a time tag")
    (timetag,) = struct.unpack_from(">Q", data, start + 8)
    at = start + 16
    while at < end:
        # Sizes are multiples of four, so four bytes are left here for certain.
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        if size <= 0 or size > end - at:
            raise MalformedPacket(f"a bundle element of size {size} with {end - at} bytes left")
        _decode_element(data, at, at + size, timetag, depth + 1, messages)
        at += size


def _decode_message(data: bytes, start: int, end: int, timetag: int) -> OscMessage:
    raw, at = _string(data, start, end)
    if len(raw) > MAX_ADDRESS or _PLAIN.fullmatch(raw) is None:
        raise MalformedPacket("an address that is too long or not plain ASCII")
    address = raw.decode("ascii")
    if at == end:
        # Old senders leave the type tags out when there are no arguments.
        return OscMessage(address, (), timetag)
    tags, at = _string(data, at, end)
    if not tags.startswith(b",") or len(tags) > MAX_ARGUMENTS + 1:
        raise MalformedPacket(f"{address}: no type tags, or over {MAX_ARGUMENTS} of them")
    arguments: list[Argument] = []
    for tag in tags[1:].decode("latin-1"):
        value, at = _argument(data, at, end, tag, address)
        arguments.append(value)
    if at != end:
        raise MalformedPacket(f"{address}: {end - at} bytes after the last argument")
    return OscMessage(address, tuple(arguments), timetag, tags[1:].decode("latin-1"))


def _argument(data: bytes, at: int, end: int, tag: str, address: str) -> tuple[Argument, int]:
    """Decode one argument; return it and where the next one starts."""
    if tag in _SIMPLE:
        return _SIMPLE[tag], at
    if tag in _NUMBERS:
        form = _NUMBERS[tag]
        size = struct.calcsize(form)
        if size > end - at:
            raise MalformedPacket(f"{address}: cut short")
        value: Argument = struct.unpack_from(form, data, at)[0]
        return value, at + size
    if tag in ("s", "S"):
        raw, at = _string(data, at, end)
        try:
            return raw.decode("utf-8"), at
        except UnicodeDecodeError:
            raise MalformedPacket(f"{address}: text that is not UTF-8") from None
    if tag in _FOUR_BYTES:
        if end - at < 4:
            raise MalformedPacket(f"{address}: cut short")
        return data[at : at + 4], at + 4
    if tag == "b":
        if end - at < 4:
            raise MalformedPacket(f"{address}: cut short")
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        padded = size + (-size % 4)
        if size < 0 or padded > end - at:
            raise MalformedPacket(f"{address}: a blob of size {size} with {end - at} bytes left")
        return data[at : at + size], at + padded
    raise MalformedPacket(f"{address}: unknown type tag {tag!r}")


def _string(data: bytes, at: int, end: int) -> tuple[bytes, int]:
    """Return the OSC string at ``at`` and where what follows it starts."""
    stop = data.find(b"\0", at, end)
    if stop < 0:
        raise MalformedPacket("a string without an end")
    # Padded with zeros to the next multiple of four; ends are multiples of four, so that cannot pass ``end``.
    return data[at:stop], stop + 4 - (stop - at) % 4
