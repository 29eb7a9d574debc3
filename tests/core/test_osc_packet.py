from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import IMMEDIATELY as NOW
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from vjengine.core.osc_packet import (
    MAX_PACKET,
    MalformedPacket,
    OscMessage,
    decode_packet,
    unix_time,
)


def build(address: str, *arguments: object) -> bytes:
    builder = OscMessageBuilder(address=address)
    for argument in arguments:
        builder.add_arg(argument)  # type: ignore[arg-type]
    return builder.build().dgram


def bundle(*elements: bytes, tag: int = 1, sizes: tuple[int, ...] | None = None) -> bytes:
    sizes = sizes or tuple(len(element) for element in elements)
    body = b"".join(struct.pack(">i", size) + element for size, element in zip(sizes, elements, strict=True))
    return b"#bundle\0" + struct.pack(">Q", tag) + body


def nested(depth: int) -> bytes:
    packet = build("/a", 1)
    for _ in range(depth):
        packet = bundle(packet)
    return packet


def test_decodes_what_another_library_encodes() -> None:
    packet = build("/a/b", 1, 0.5, "héllo", True, False, None, b"xyz")
    assert decode_packet(packet) == [OscMessage("/a/b", (1, 0.5, "héllo", True, False, None, b"xyz"))]


def test_bundles_keep_order_and_time_tags() -> None:
    builder = OscBundleBuilder(NOW)
    for value in range(3):
        message = OscMessageBuilder(address=f"/m{value}")
        message.add_arg(value)
        builder.add_content(message.build())
    inner = builder.build()
    packet = bundle(build("/first", 1), inner.dgram, tag=99 << 32)
    messages = decode_packet(packet)
    assert [message.address for message in messages] == ["/first", "/m0", "/m1", "/m2"]
    assert messages[0].timetag == 99 << 32
    assert messages[1].timetag <= 1


def test_messages_without_type_tags_have_no_arguments() -> None:
    assert decode_packet(b"/tap\0\0\0\0") == [OscMessage("/tap", ())]


def test_time_tags_are_ntp() -> None:
    assert unix_time((2_208_988_800 + 5) << 32 | 0x80000000) == 5.5


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (b"", "0 bytes"),
        (b"/a\0", "3 bytes"),
        (b"hello\0\0\0", "neither"),
        (b"#bundle\0", "time tag"),
        (bundle(build("/a", 1), sizes=(-4,)), "size -4"),
        (bundle(build("/a", 1), sizes=(0,)), "size 0"),
        (bundle(build("/a", 1), sizes=(-(2**31),)), "size -2147483648"),
        (bundle(build("/a", 1), sizes=(2**31 - 1,)), "size 2147483647"),
        (bundle(build("/a", 1), sizes=(10,)), "10 bytes"),
        (nested(5), "nested"),
        (bundle(*[b"/a\0\0"] * 1100), "messages"),
        (b"/" + b"a" * 300 + b"\0" * 3, "address"),
        (b"/\xc3\xa9\0,\0\0\0", "ASCII"),
        (b"/a b\0\0\0\0", "ASCII"),
        (b"/aaa", "without an end"),
        (b"/a\0\0f\0\0\0\0\0\0\0", "type tags"),
        (b"/a\0\0,f\0\0", "cut short"),
        (b"/a\0\0,d\0\0\0\0\0\0", "cut short"),
        (b"/a\0\0,\0\0\0\0\0\0\0", "after the last"),
        (b"/a\0\0,s\0\0\xff\xfe\0\0", "UTF-8"),
        (b"/a\0\0,b\0\0\xff\xff\xff\xfc", "blob of size -4"),
        (b"/a\0\0,b\0\0\0\0\0\x10abcd", "blob of size 16"),
        (b"/a\0\0,[i]\0\0\0\0\0\0\0\0", "unknown type tag"),
        (b"/a\0\0," + b"T" * 30 + b"\0", "type tags"),
        (b"/a\0\0" + b"\0" * MAX_PACKET, "bytes"),
    ],
)
def test_broken_packets_are_refused_with_a_reason(packet: bytes, why: str) -> None:
    with pytest.raises(MalformedPacket, match=why):
        decode_packet(packet)


def test_twenty_thousand_random_packets_end_in_messages_or_a_refusal() -> None:
    rng = random.Random(7)
    seeds = [build("/macro/DROP", 1.0), build("/prompt", "words"), nested(3), bundle(build("/a"), build("/b", 1, 2.0))]
    refused = 0
    for number in range(20_000):
        if number % 2:
            packet = rng.randbytes(rng.randrange(64))
        else:
            mutable = bytearray(rng.choice(seeds))
            for _ in range(rng.randrange(1, 5)):
                mutable[rng.randrange(len(mutable))] = rng.randrange(256)
            packet = bytes(mutable[: rng.randrange(len(mutable) + 1)] if rng.random() < 0.3 else mutable)
        try:
            decode_packet(packet)
        except MalformedPacket:
            refused += 1
    assert 10_000 < refused < 20_000


@given(st.binary(max_size=200).map(lambda tail: b"#bundle\0" + tail))
def test_any_bundle_ends(packet: bytes) -> None:
    try:
        messages = decode_packet(packet)
    except MalformedPacket:
        return
    assert len(messages) <= 200
