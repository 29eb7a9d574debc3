"""OSC in over real sockets, played by liblo's oscsend and by python-osc."""

from __future__ import annotations

import math
import random
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.udp_client import SimpleUDPClient

from vjengine.core import events as ev
from vjengine.core.clock import LiveClock
from vjengine.core.exchange import EventQueue
from vjengine.core.macros import MacroDef
from vjengine.core.params import PARAMS
from vjengine.errors import InputError
from vjengine.inputs.osc import OscInput
from vjengine.inputs.osc_addresses import osc_address_map
from vjengine.inputs.osc_gate import SenderBuckets

MACROS = {
    "DROP": MacroDef("DROP"),
    "AUDIO": MacroDef("AUDIO", kind="toggle"),
    "ENERGY": MacroDef("ENERGY", kind="level"),
}
LOOKS = ("default", "Neon")


@pytest.fixture
def osc(clock: LiveClock, events: EventQueue) -> Iterator[OscInput]:
    one = OscInput("127.0.0.1", 0, MACROS, clock, events, looks=LOOKS)
    one.start()
    yield one
    one.stop()


@pytest.fixture
def client(osc: OscInput) -> Iterator[SimpleUDPClient]:
    client = SimpleUDPClient(*osc.address)
    yield client
    client._sock.close()


Heard = Callable[[], list[ev.Event]]


@pytest.fixture
def heard(osc: OscInput, client: SimpleUDPClient, collector: Any) -> Heard:
    """Return all events so far, once a mark sent after them has come through."""

    def hear() -> list[ev.Event]:
        client.send_message("/tempo/nudge", 123.0)
        collector.until(lambda seen: any(isinstance(e, ev.TempoNudge) and e.milliseconds == 123.0 for e in seen))
        found = [e for e in collector.events if not isinstance(e, ev.StatusChanged | ev.TempoNudge)]
        collector.clear()
        return found

    return hear


def plain(event: ev.Event) -> tuple[object, ...]:
    """Return an event as its type and its own fields, without time and source."""
    names = [name for name in type(event).__slots__ if name not in ("time", "source")]
    return (type(event), *(getattr(event, name) for name in names))


@pytest.mark.parametrize(
    ("address", "arguments", "expected"),
    [
        ("/macro/DROP", [], (ev.MacroSet, "DROP", 1.0)),
        ("/macro/DROP", [1], (ev.MacroSet, "DROP", 1.0)),
        ("/macro/DROP", [0.3], (ev.MacroSet, "DROP", 1.0)),
        ("/macro/DROP", [0], (ev.MacroSet, "DROP", 0.0)),
        ("/macro/DROP", [False], (ev.MacroSet, "DROP", 0.0)),
        ("/macro/drop", [True], (ev.MacroSet, "DROP", 1.0)),
        ("/macro/AUDIO", [0.0], (ev.MacroSet, "AUDIO", 0.0)),
        ("/macro/AUDIO/toggle", [1.0], (ev.MacroToggle, "AUDIO")),
        ("/macro/AUDIO/toggle", [0.0], None),
        ("/macro/ENERGY", [0.25], (ev.MacroLevel, "ENERGY", 0.25)),
        ("/macro/ENERGY", [7], (ev.MacroLevel, "ENERGY", 1.0)),
        ("/param/feedback/mix", [0.5], (ev.ParamSet, "feedback.mix", 0.5, True)),
        ("/param/feedback/mix", [-3], (ev.ParamSet, "feedback.mix", 0.0, True)),
        ("/param/feedback/half_life/value", [2.0], (ev.ParamSet, "feedback.half_life", 2.0, False)),
        ("/param/feedback/half_life/value", [99], (ev.ParamSet, "feedback.half_life", 8.0, False)),
        ("/param/gen/palette/value", ["ice"], (ev.ParamSet, "gen.palette", 3.0, False)),
        ("/look", ["neon"], (ev.LookSelected, "Neon", 0)),
        ("/look/next", [], (ev.LookSelected, "", 1)),
        ("/look/next", [0], None),
        ("/look/prev", [1], (ev.LookSelected, "", -1)),
        ("/tempo/tap", [], (ev.Tap,)),
        ("/tempo/resync", [1.0], (ev.Resync,)),
        ("/tempo/scale", [2], (ev.TempoScale, 2.0)),
        ("/tempo/nudge", [-10.0], None),  # told apart from the mark below
        ("/tempo/range", [120, 180.0], (ev.TempoRange, 120.0, 180.0)),
        ("/trigger/reseed", [], (ev.Trigger, "reseed")),
        ("/trigger/cut", [1], (ev.Trigger, "cut")),
        ("/trigger/clear", [True], (ev.Trigger, "clear")),
        ("/trigger/panic", [], (ev.Trigger, "panic")),
        ("/prompt", ["neon  räin\n"], (ev.PromptSubmitted, "neon räin", 1.0, True)),
        ("/prompt", [""], (ev.PromptSubmitted, "", 1.0, True)),
        ("/crowd/prompt", ["more  cats"], (ev.CrowdPrompt, "more cats", "")),
        ("/crowd/clear", [1], (ev.CrowdPrompt, "", "")),
        ("/midi/learn", ["DROP"], (ev.LearnMidi, "DROP", False, "")),
        ("/midi/learn/undo", [None], (ev.LearnMidi, "", True, "")),
    ],
)
def test_addresses_do_what_they_say(
    osc: OscInput,
    client: SimpleUDPClient,
    heard: Heard,
    address: str,
    arguments: list[object],
    expected: tuple[object, ...] | None,
) -> None:
    client.send_message(address, arguments)  # type: ignore[arg-type]
    assert [plain(event) for event in heard()] == ([] if expected is None else [expected])
    assert (osc.malformed, osc.unknown, osc.dropped) == (0, 0, 0)


def test_events_carry_source_and_session_time(clock: LiveClock, client: SimpleUDPClient, heard: Heard) -> None:
    before = clock.now()
    client.send_message("/tempo/tap", [])
    (tap,) = heard()
    assert tap.source == "osc"
    assert before <= tap.time <= clock.now()


@pytest.mark.parametrize(
    ("address", "arguments"),
    [
        ("/macro/DROP", ["on"]),
        ("/macro/DROP", [1.0, 2.0]),
        ("/macro/DROP", [None]),
        ("/macro/ENERGY", [math.nan]),
        ("/macro/ENERGY", [math.inf]),
        ("/param/feedback/mix", []),
        ("/param/feedback/mix", ["0.5"]),
        ("/param/feedback/mix/value", [-math.inf]),
        ("/param/gen/palette/value", ["pink"]),
        ("/look", [3]),
        ("/look", ["nowhere"]),
        ("/look", [""]),
        ("/tempo/tap", ["now"]),
        ("/tempo/scale", [0.0]),
        ("/tempo/scale", [math.nan]),
        ("/tempo/nudge", [5000.0]),
        ("/tempo/range", [180.0, 120.0]),
        ("/tempo/range", [120.0]),
        ("/tempo/range", [1.0, 1000.0]),
        ("/prompt", ["x" * 501]),
        ("/prompt", ["bell \x07"]),
        ("/prompt", [5]),
    ],
)
def test_wrong_arguments_are_counted_and_change_nothing(
    osc: OscInput, client: SimpleUDPClient, heard: Heard, address: str, arguments: list[object]
) -> None:
    client.send_message(address, arguments)  # type: ignore[arg-type]
    assert heard() == []
    assert osc.malformed == 1


def test_unknown_addresses_are_counted(osc: OscInput, client: SimpleUDPClient, heard: Heard) -> None:
    for address in ("/macro/NOPE", "/composition/layers/1", "/macro/ENERGY/toggle", "/param/feedback/*"):
        client.send_message(address, 1.0)
    assert heard() == []
    assert osc.unknown == 4


@pytest.mark.real
@pytest.mark.skipif(shutil.which("oscsend") is None, reason="oscsend is not installed (apt-get install liblo-tools)")
def test_a_client_nobody_here_wrote(osc: OscInput, heard: Heard) -> None:
    for words in (
        ["/macro/DROP", "f", "1"],
        ["/macro/DROP", "i", "0"],
        ["/macro/DROP", "T"],
        ["/macro/ENERGY", "d", "0.5"],
        ["/look", "s", "Neon"],
        ["/tempo/tap"],
        ["/trigger/cut", "I"],
        ["/prompt", "S", "liquid gold"],
    ):
        subprocess.run(["oscsend", "127.0.0.1", str(osc.address[1]), *words], check=True, timeout=20)
    assert [plain(event) for event in heard()] == [
        (ev.MacroSet, "DROP", 1.0),
        (ev.MacroSet, "DROP", 0.0),
        (ev.MacroSet, "DROP", 1.0),
        (ev.MacroLevel, "ENERGY", 0.5),
        (ev.LookSelected, "Neon", 0),
        (ev.Tap,),
        (ev.Trigger, "cut"),
        (ev.PromptSubmitted, "liquid gold", 1.0, True),
    ]
    assert (osc.malformed, osc.unknown) == (0, 0)


def taps_at(seconds: float, count: int = 1) -> bytes:
    """Return a bundle of taps for ``seconds`` from now on the wall clock."""
    builder = OscBundleBuilder(datetime.now(UTC).timestamp() + seconds)  # type: ignore[arg-type]
    for _ in range(count):
        builder.add_content(OscMessageBuilder(address="/tempo/tap").build())
    return builder.build().dgram


def send(osc: OscInput, *packets: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for packet in packets:
            sock.sendto(packet, osc.address)


def test_future_bundles_wait_and_block_nobody(osc: OscInput, heard: Heard, collector: Any, clock: LiveClock) -> None:
    start = clock.now()
    send(osc, taps_at(0.6), taps_at(-3.0, 2))
    early = heard()
    assert len(early) == 2, "a past time tag runs at once, a future one waits"
    (late,) = [event for event in collector.until(lambda seen: len(seen) >= 1) if isinstance(event, ev.Tap)]
    assert 0.4 <= late.time - start < 5.0
    assert clock.now() >= late.time


def test_bundles_too_far_ahead_and_too_many_are_dropped(osc: OscInput, heard: Heard) -> None:
    send(osc, taps_at(60.0), *[taps_at(9.0, 100)] * 12)
    assert heard() == []
    assert osc.dropped == 1 + 1200 - 1024


def test_hostile_packets_are_counted_and_the_next_message_arrives(osc: OscInput, heard: Heard) -> None:
    message = OscMessageBuilder(address="/macro/DROP").build().dgram
    head = b"#bundle\0" + struct.pack(">Q", 1)
    deep = message
    for _ in range(100):
        deep = head + struct.pack(">i", len(deep)) + deep
    hostile = [
        head + struct.pack(">i", -4),
        head + struct.pack(">i", -4) * 100,
        head + struct.pack(">i", 2**31 - 1) + message,
        message[:-3],
        deep,
        b"",
        b"/" * 2000,
        b"/macro/D\xc3\x96P\0\0,\0\0\0",
        b"GET / HTTP/1.1\r\n\r\n\0\0",
    ]
    send(osc, *hostile)
    assert heard() == []
    assert osc.malformed == len(hostile)
    send(osc, b"/" * 20_000, message)
    assert [plain(event) for event in heard()] == [(ev.MacroSet, "DROP", 1.0)]
    assert osc.dropped == 1


def test_faults_are_said_once_a_second_at_most(
    osc: OscInput, heard: Heard, events: EventQueue, clock: LiveClock
) -> None:
    said: list[ev.StatusChanged] = []
    rng = random.Random(3)
    start = clock.now()
    for _ in range(30):
        send(osc, *[rng.randbytes(40) for _ in range(50)])
        time.sleep(0.02)
        said += [event for event in events.drain() if isinstance(event, ev.StatusChanged) and event.level == "warn"]
    assert 1 <= len(said) <= 2 + (clock.now() - start)
    assert all(event.component == "osc in" for event in said)
    assert osc.malformed == 1500


def test_ten_thousand_messages_in_a_second_arrive_and_faders_merge(
    osc: OscInput, client: SimpleUDPClient, events: EventQueue, collector: Any
) -> None:
    packets = []
    for number in range(10_000):
        builder = OscMessageBuilder(address="/param/feedback/mix" if number % 10 else "/tempo/tap")
        if number % 10:
            builder.add_arg(number / 10_000)
        packets.append(builder.build().dgram)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        start = time.monotonic()
        for number, packet in enumerate(packets):
            sock.sendto(packet, osc.address)
            if number % 100 == 0:
                time.sleep(max(0.0, start + number / 10_000 - time.monotonic()))
    collector.until(lambda _: osc.received == 10_000)
    seen = collector.until(lambda found: True)
    assert sum(isinstance(event, ev.Tap) for event in seen) == 1000
    faders = [event for event in seen if isinstance(event, ev.ParamSet)]
    assert faders[-1].value == pytest.approx(9_999 / 10_000)
    assert events.merged + len(faders) == 9_000
    assert (osc.malformed, osc.unknown, osc.dropped, events.dropped) == (0, 0, 0, 0)


def test_a_flood_of_prompts_is_limited(osc: OscInput, client: SimpleUDPClient, heard: Heard) -> None:
    for number in range(100):
        client.send_message("/prompt", f"spam {number}")
    assert len(heard()) < 20
    assert osc.dropped > 80


def test_a_port_in_use_says_so_and_how_to_find_out(osc: OscInput, clock: LiveClock, events: EventQueue) -> None:
    other = OscInput("127.0.0.1", osc.address[1], MACROS, clock, events)
    with pytest.raises(InputError) as caught:
        other.start()
    assert str(osc.address[1]) in str(caught.value)
    assert "--osc-in" in str(caught.value)


def test_a_host_that_is_not_ours_is_an_input_error(clock: LiveClock, events: EventQueue) -> None:
    for host in ("no-such-host.invalid", "192.0.2.1", "x" * 300):
        with pytest.raises(InputError, match="OSC in"):
            OscInput(host, 0, MACROS, clock, events).start()


def test_stopping_frees_port_and_thread(clock: LiveClock, events: EventQueue) -> None:
    threads = set(threading.enumerate())
    one = OscInput("127.0.0.1", 0, MACROS, clock, events)
    one.start()
    address = one.address
    one.stop()
    assert set(threading.enumerate()) <= threads
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(address)


def test_the_table_is_whole_and_without_doubles() -> None:
    rows = osc_address_map(MACROS, LOOKS)
    addresses = [row.address for row in rows]
    assert len({address.lower() for address in addresses}) == len(addresses)
    assert {f"/param/{row.name.replace('.', '/')}" for row in PARAMS} <= set(addresses)
    assert all(row.row.arguments and row.row.doc for row in rows)


def test_one_sender_that_floods_leaves_room_for_the_others() -> None:
    gate = SenderBuckets(100.0, most=2)
    assert sum(gate.take("a", 0.0) for _ in range(1000)) == 100
    assert gate.take("b", 0.0)
    assert not gate.take("a", 0.0)
    assert gate.take("a", 0.5)
    gate.take("c", 0.5)
    assert gate.take("b", 0.5), "forgotten, so it begins anew; memory is bounded"
