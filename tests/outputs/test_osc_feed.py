"""The OSC feed over real sockets, read by liblo's oscdump and by python-osc."""

from __future__ import annotations

import dataclasses
import math
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import pytest
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage

from vjengine.core.clock import FrameTime, LiveClock
from vjengine.core.control import ControlState
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.looks import Look
from vjengine.core.macros import MacroState
from vjengine.core.osc_said import feed_rows
from vjengine.core.osc_write import MAX_DATAGRAM
from vjengine.core.params import PARAMS, ParamValues
from vjengine.core.signals import AudioFeatures, BeatClock
from vjengine.errors import InputError
from vjengine.outputs.osc_feed import OscFeed
from vjengine.outputs.osc_feed_writer import FeedWriter, TextWriter

STATE = ControlState(
    time=FrameTime(600, 10.0, 1 / 60),
    look=Look("neon", prompt="neon rain"),
    values=ParamValues.of({"feedback.mix": 0.25, "feedback.half_life": 8.0}),
    macros=MappingProxyType({"DROP": MacroState(1.0, envelope=0.5, starts=3)}),
    features=AudioFeatures(
        rms=0.5,
        bands=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
        hits=(1.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        hit_counts=(7, 0, 0, 0, 0, 0),
        onset_count=12,
        silent=False,
        beat=BeatClock(period=0.5, confidence=0.9, running=True),
    ),
    beats=20.25,
    bar_phase=0.0625,
    beat_running=True,
    beat_count=20,
    onset=0.75,
    cut=2,
    status=MappingProxyType({"osc in": StatusChanged(component="osc in", level="warn", message="nöisy")}),
)


def numbers(packets: list[bytes]) -> dict[str, float]:
    """Decode datagrams with python-osc; every message must carry exactly one number."""
    found: dict[str, float] = {}
    for packet in packets:
        assert len(packet) <= MAX_DATAGRAM
        for message in OscBundle(packet):
            assert isinstance(message, OscMessage)
            (value,) = message.params
            assert isinstance(value, float)
            assert message.address not in found
            found[message.address] = value
    return found


def texts(packets: list[bytes]) -> dict[str, list[str]]:
    return {message.address: message.params for message in map(OscMessage, packets)}


def test_every_row_is_sent_once_as_one_float() -> None:
    sent = numbers(FeedWriter().write(STATE, 10.0))
    assert list(sent) == [row.address for row in feed_rows(STATE.macros)]
    expected = {
        "/vj/audio/rms": 0.5,
        "/vj/audio/onset": 0.75,
        "/vj/audio/onset_count": 12.0,
        "/vj/audio/silent": 0.0,
        "/vj/audio/sub/hit": 1.0,
        "/vj/audio/sub/count": 7.0,
        "/vj/audio/air/level": 0.6,
        "/vj/beat/tempo": 120.0,
        "/vj/beat/phase": 0.25,
        "/vj/beat/bar_phase": 0.0625,
        "/vj/beat/count": 20.0,
        "/vj/beat/running": 1.0,
        "/vj/macro/DROP": 0.5,
        "/vj/macro/DROP/starts": 3.0,
        "/vj/param/feedback/mix": 0.25,
        "/vj/param/feedback/half_life": 1.0,
        "/vj/engine/frame": 600.0,
        "/vj/engine/cut": 2.0,
    }
    assert {address: sent[address] for address in expected} == pytest.approx(expected)


def test_parameters_are_sent_on_change_and_all_every_second() -> None:
    writer = FeedWriter()
    writer.write(STATE, 10.0)
    params = lambda packets: {a: v for a, v in numbers(packets).items() if a.startswith("/vj/param/")}  # noqa: E731
    assert params(writer.write(STATE, 10.1)) == {}
    moved = dataclasses.replace(STATE, values=STATE.values.replaced({"feedback.mix": 0.5}))
    assert params(writer.write(moved, 10.2)) == {"/vj/param/feedback/mix": 0.5}
    assert params(writer.write(moved, 10.3)) == {}
    assert len(params(writer.write(moved, 11.1))) == len(PARAMS)


def test_edges_between_two_ticks_are_not_lost() -> None:
    writer = FeedWriter()
    first = numbers(writer.write(STATE, 10.0))
    assert (first["/vj/beat/pulse"], first["/vj/beat/bar"], first["/vj/audio/onset_pulse"]) == (0.0, 0.0, 0.0)
    late = dataclasses.replace(STATE, bar_phase=0.9)
    writer.write(late, 10.1)
    # Two beats, a bar and an onset fell, and the frame in which they fell was never read.
    later = dataclasses.replace(
        STATE, beat_count=22, bar_phase=0.05, features=dataclasses.replace(STATE.features, onset_count=13)
    )
    second = numbers(writer.write(later, 10.2))
    assert (second["/vj/beat/pulse"], second["/vj/beat/bar"], second["/vj/audio/onset_pulse"]) == (1.0, 1.0, 1.0)
    third = numbers(writer.write(later, 10.3))
    assert (third["/vj/beat/pulse"], third["/vj/beat/bar"], third["/vj/audio/onset_pulse"]) == (0.0, 0.0, 0.0)
    assert third["/vj/beat/count"] == 22.0


def test_frames_a_second_follow_the_engine_and_fall_when_it_stalls() -> None:
    writer = FeedWriter()
    fps = 0.0
    for tick in range(120):
        state = dataclasses.replace(STATE, time=FrameTime(tick // 2, tick / 60, 1 / 30))
        fps = numbers(writer.write(state, tick / 60))["/vj/engine/fps"]
    assert fps == pytest.approx(30.0, abs=1.0)
    for tick in range(120, 200):
        fps = numbers(writer.write(state, tick / 60))["/vj/engine/fps"]
    assert fps == 0.0


def test_a_number_no_receiver_can_read_is_sent_as_zero() -> None:
    for bad in (math.nan, math.inf, -math.inf, 1e300):
        state = dataclasses.replace(STATE, features=dataclasses.replace(STATE.features, rms=bad))
        assert numbers(FeedWriter().write(state, 0.0))["/vj/audio/rms"] == 0.0


def test_new_macros_join_in() -> None:
    writer = FeedWriter()
    writer.write(STATE, 10.0)
    more = dataclasses.replace(STATE, macros=MappingProxyType({**STATE.macros, "WILD": MacroState(envelope=1.0)}))
    assert numbers(writer.write(more, 10.1))["/vj/macro/WILD"] == 1.0


def test_texts_are_sent_on_change_and_every_second() -> None:
    writer = TextWriter()
    assert texts(writer.write(STATE, 10.0)) == {
        "/vj/text/look": ["neon"],
        "/vj/text/prompt": ["neon rain"],
        "/vj/text/status/osc_in": ["warn", "nöisy"],
    }
    assert writer.write(STATE, 10.5) == []
    well = dataclasses.replace(STATE, status=MappingProxyType({}), prompt=("gold", 1.0))
    assert texts(writer.write(well, 10.6)) == {"/vj/text/prompt": ["gold"], "/vj/text/status/osc_in": ["ok", ""]}
    assert len(writer.write(well, 11.7)) == 3


def test_long_and_odd_texts_are_cut_and_cleaned() -> None:
    state = dataclasses.replace(
        STATE,
        prompt=("ä" * 2000 + "\0", 1.0),
        status=MappingProxyType({"a/b c": StatusChanged(component="a/b c", level="error", message="\0x")}),
    )
    packets = TextWriter().write(state, 0.0)
    assert all(len(packet) <= MAX_DATAGRAM for packet in packets)
    found = texts(packets)
    assert found["/vj/text/prompt"] == ["ä" * 300]
    assert found["/vj/text/status/a_b_c"] == ["error", "x"]


# ---------------------------------------------------------------- over sockets


def free_ports() -> int:
    """Return a port that is free together with the next one."""
    for _ in range(50):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b,
        ):
            a.bind(("127.0.0.1", 0))
            port = int(a.getsockname()[1])
            try:
                b.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port
    pytest.fail("no two free ports in a row")


Start = Callable[..., OscFeed]


@pytest.fixture
def events() -> EventQueue:
    return EventQueue()


@pytest.fixture
def control() -> Latest[ControlState]:
    slot = Latest(ControlState())
    slot.publish(STATE)
    return slot


@pytest.fixture
def feed(control: Latest[ControlState], events: EventQueue) -> Iterator[Start]:
    """Start feeds; they are stopped at the end."""
    started: list[OscFeed] = []

    def start(*targets: tuple[str, int], **options: object) -> OscFeed:
        started.append(OscFeed(targets, control, LiveClock(), events, **options))  # type: ignore[arg-type]
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.stop()


def dump(port: int, enough: Callable[[list[str]], bool], play: Callable[[], object]) -> list[str]:
    """Return what oscdump prints on ``port`` until ``enough``; ``play`` is called once it listens."""
    tool = shutil.which("oscdump")
    if tool is None:
        pytest.skip("oscdump is not installed (apt-get install liblo-tools)")
    process = subprocess.Popen([tool, "-L", str(port)], stdout=subprocess.PIPE, text=True)
    lines: list[str] = []
    assert process.stdout is not None
    out = process.stdout
    reader = threading.Thread(target=lambda: lines.extend(out), daemon=True)
    reader.start()
    play()
    end = time.monotonic() + 20.0
    try:
        while not enough(lines):
            assert time.monotonic() < end, f"oscdump saw only {lines[-5:]}"
            time.sleep(0.02)
    finally:
        process.terminate()
        process.wait(10)
        reader.join(5)
        out.close()
    return [" ".join(line.split()[1:]) for line in list(lines)]


@pytest.mark.real
def test_a_receiver_nobody_here_wrote_reads_the_numbers(feed: Start) -> None:
    port = free_ports()
    lines = dump(port, lambda seen: len(seen) > 2000, lambda: feed(("127.0.0.1", port)))
    values: Mapping[str, str] = dict(line.split(" f ") for line in lines)
    assert set(values) == {row.address for row in feed_rows(STATE.macros)}
    assert float(values["/vj/audio/rms"]) == 0.5
    assert float(values["/vj/macro/DROP"]) == 0.5


@pytest.mark.real
def test_a_receiver_nobody_here_wrote_reads_the_texts(feed: Start) -> None:
    port = free_ports()
    lines = dump(port + 1, lambda seen: len(seen) >= 6, lambda: feed(("127.0.0.1", port)))
    assert '/vj/text/look s "neon"' in lines
    assert '/vj/text/prompt s "neon rain"' in lines
    assert any(line.startswith('/vj/text/status/osc_in ss "warn"') for line in lines)


def test_ticks_keep_the_pace_asked_for(feed: Start) -> None:
    one = feed(("127.0.0.1", free_ports()), rate=60.0)
    start = time.monotonic()
    while one.ticks < 60:
        assert time.monotonic() - start < 20.0
        time.sleep(0.005)
    assert time.monotonic() - start > 0.9, "it must not send faster than asked"


def test_several_receivers_get_the_same(feed: Start) -> None:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10.0)
    feed(*[sock.getsockname() for sock in sockets], text_targets=())
    assert {sock.recv(4096)[:8] for sock in sockets} == {b"#bundle\0"}
    for sock in sockets:
        sock.close()


def test_nobody_listening_is_no_fault(feed: Start, events: EventQueue) -> None:
    one = feed(("127.0.0.1", free_ports()))
    while one.ticks < 30:
        time.sleep(0.01)
    assert all(isinstance(event, StatusChanged) and event.level == "ok" for event in events.drain())


CUT_OFF = """
import socket, sys
from vjengine.core.clock import LiveClock
from vjengine.core.control import ControlState
from vjengine.core.exchange import EventQueue, Latest
from vjengine.outputs.osc_feed import OscFeed
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("127.0.0.1", 0))
listener.settimeout(20.0)
events = EventQueue(10_000)
feed = OscFeed([("192.0.2.1", 7000), listener.getsockname()], Latest(ControlState()), LiveClock(), events)
said = []
feed.start()
served = 0
while feed.failed < 100 or not served:
    served += len(listener.recv(4096))
    said += [(event.level, event.message) for event in events.drain()]
feed.stop()
said += [(event.level, event.message) for event in events.drain()]
warned = [message for level, message in said if level == "warn"]
assert warned and all("192.0.2.1" in message for message in warned), said
assert len(warned) <= 2, warned  # once for its numbers, once for its texts
"""


@pytest.mark.real
def test_an_unreachable_network_is_said_once_and_others_are_served() -> None:
    """In a network namespace with nothing but loopback."""
    isolated = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    try:
        allowed = subprocess.run([*isolated, "true"], capture_output=True, timeout=20).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("no network namespace can be made here (unshare -n and ip are needed)")
    done = subprocess.run([*isolated, sys.executable, "-c", CUT_OFF], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("target", [("no-such-host.invalid", 7000), ("127.0.0.1", 0), ("127.0.0.1", 70000)])
def test_a_receiver_that_cannot_be_is_an_input_error(
    target: tuple[str, int], control: Latest[ControlState], events: EventQueue
) -> None:
    with pytest.raises(InputError, match="OSC out"):
        OscFeed([target], control, LiveClock(), events).start()


def test_texts_must_not_land_on_a_port_of_numbers(control: Latest[ControlState], events: EventQueue) -> None:
    one = OscFeed([("127.0.0.1", 7000), ("127.0.0.1", 7001)], control, LiveClock(), events)
    with pytest.raises(InputError, match="7001"):
        one.start()


def test_stopping_leaves_no_thread(feed: Start) -> None:
    threads = set(threading.enumerate())
    one = feed(("127.0.0.1", free_ports()))
    one.stop()
    assert set(threading.enumerate()) <= threads
