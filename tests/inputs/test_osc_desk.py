"""Questions, subscriptions and time tags over real sockets; python-osc plays and reads."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pythonosc.osc_message import OscMessage as Read
from pythonosc.osc_message_builder import OscMessageBuilder

from vjengine.core import events as ev
from vjengine.core.clock import LiveClock
from vjengine.core.control import ControlState
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.looks import Look
from vjengine.core.macros import MacroDef, MacroState
from vjengine.core.osc_packet import OscMessage
from vjengine.core.osc_subscribers import LEASE, MAX_SUBSCRIBERS, Subscribers
from vjengine.core.osc_tree import osc_tree
from vjengine.core.params import PARAMS
from vjengine.errors import InputError
from vjengine.inputs.osc import OscInput
from vjengine.inputs.osc_desk import Desk, Refused
from vjengine.outputs.osc_feed import OscFeed

MACROS = {"DROP": MacroDef("DROP"), "ENERGY": MacroDef("ENERGY", kind="level")}
STATE = ControlState(
    look=Look("neon"),
    macros={"DROP": MacroState(1.0), "ENERGY": MacroState(0.25)},
    targets={"feedback.mix": 0.75, "gen.palette": 3.0, "gen.seed": 42.0},
    prompt=("neon räin", 1.0),
)


@pytest.fixture
def control() -> Latest[ControlState]:
    slot = Latest(ControlState())
    slot.publish(STATE)
    return slot


@pytest.fixture
def subscribers() -> Subscribers:
    return Subscribers()


@pytest.fixture
def osc(
    clock: LiveClock, events: EventQueue, control: Latest[ControlState], subscribers: Subscribers
) -> Iterator[OscInput]:
    one = OscInput("127.0.0.1", 0, MACROS, clock, events, control=control, subscribers=subscribers)
    one.start()
    yield one
    one.stop()


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.settimeout(20.0)
        yield one


def packed(address: str, *arguments: Any) -> bytes:
    builder = OscMessageBuilder(address)
    for argument in arguments:
        builder.add_arg(argument)
    return builder.build().dgram


def ask(osc: OscInput, sock: socket.socket, address: str, *arguments: Any) -> tuple[str, list[Any]]:
    sock.sendto(packed(address, *arguments), osc.address)
    answer = Read(sock.recv(4096))
    return answer.address, answer.params


VALUES = {
    "/param/feedback/mix": 0.75,
    "/param/feedback/mix/value": 0.75,
    "/param/gen/palette": pytest.approx(3 / 7),
    "/param/gen/palette/value": "ice",
    "/param/gen/seed/value": 42,
    "/param/out/level": 1.0,
    "/macro/DROP": 1.0,
    "/macro/energy": 0.25,
    "/look": "neon",
    "/prompt": "neon räin",
    "/crowd/prompt": "",
}


def test_a_question_is_answered_with_the_present_value(osc: OscInput, sock: socket.socket) -> None:
    for address, value in VALUES.items():
        for form in ((address, "?"), (f"{address}/?",)):
            answered, params = ask(osc, sock, *form)
            assert answered.lower() == address.lower()
            assert params == [value]
    assert (osc.answered, osc.malformed) == (2 * len(VALUES), 0)


def test_every_value_that_can_be_asked_for_has_its_type(osc: OscInput, sock: socket.socket) -> None:
    types = {"f": float, "i": int, "s": str}
    for row in osc_tree(MACROS):
        if row.readable:
            _, (value,) = ask(osc, sock, row.address, "?")
            assert isinstance(value, types[row.tags]), row.address


def test_what_has_no_value_is_not_answered(osc: OscInput, sock: socket.socket) -> None:
    for address in ("/tempo/tap", "/trigger/panic", "/macro/DROP/toggle"):
        sock.sendto(packed(address, "?"), osc.address)
    sock.sendto(packed("/no/such/thing", "?"), osc.address)
    ask(osc, sock, "/look", "?")
    assert (osc.answered, osc.malformed, osc.unknown) == (1, 3, 1)


def message(address: str, *arguments: Any) -> OscMessage:
    return OscMessage(address, arguments)


def test_only_this_machine_and_allowed_addresses_are_answered(control: Latest[ControlState]) -> None:
    desk = Desk(osc_tree(MACROS), control, Subscribers(), ["192.168.1.20"])
    question = message("/look", "?")
    for host in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "192.168.1.20", "::ffff:192.168.1.20"):
        assert desk.answer(question, (host, 5000), 0.0) is not None
    for host in ("192.168.1.21", "8.8.8.8", "2001:db8::1"):
        with pytest.raises(Refused, match="--osc-allow"):
            desk.answer(question, (host, 5000), 0.0)
    with pytest.raises(InputError, match="--osc-allow"):
        Desk([], control, None, ["my tablet"])


def test_another_machines_answer_is_hardly_longer_than_its_question(control: Latest[ControlState]) -> None:
    control.publish(dataclasses.replace(STATE, prompt=("ä" * 500, 1.0)))
    desk = Desk(osc_tree(MACROS), control, Subscribers(), ["192.168.1.20"])
    for row in osc_tree(MACROS):
        if row.readable:
            question = packed(row.address, "?")
            answer = desk.answer(message(row.address, "?"), ("192.168.1.20", 5000), 0.0)
            assert answer is not None
            assert len(answer) <= 4 * len(question)
            Read(answer)


def test_a_flood_of_questions_is_limited(osc: OscInput, sock: socket.socket) -> None:
    for _ in range(3000):
        sock.sendto(packed("/look", "?"), osc.address)
    deadline = time.monotonic() + 20.0
    while osc.answered + osc.dropped < 3000 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert osc.dropped > 500


# ---------------------------------------------------------------- subscriptions


@pytest.fixture
def feed(
    control: Latest[ControlState], clock: LiveClock, events: EventQueue, subscribers: Subscribers
) -> Iterator[OscFeed]:
    one = OscFeed([], control, clock, events, subscribers=subscribers)
    one.start()
    yield one
    one.stop()


def numbers(sock: socket.socket, until: str) -> dict[str, Any]:
    """Read bundles until an address has come."""
    from pythonosc.osc_bundle import OscBundle

    found: dict[str, Any] = {}
    while until not in found:
        packet = sock.recv(4096)
        read = list(OscBundle(packet)) if packet.startswith(b"#bundle") else [Read(packet)]
        found.update({one.address: one.params[0] if one.params else None for one in read if isinstance(one, Read)})
    return found


def test_a_subscriber_gets_faders_as_they_move_until_it_leaves(
    osc: OscInput, feed: OscFeed, sock: socket.socket, control: Latest[ControlState], subscribers: Subscribers
) -> None:
    assert ask(osc, sock, "/subscribe") == ("/subscribed", [sock.getsockname()[1], "faders", int(LEASE)])
    everything = numbers(sock, "/crowd/prompt")
    assert set(everything) == {row.address for row in osc_tree(MACROS) if row.readable}
    assert everything["/param/feedback/mix"] == 0.75
    control.publish(dataclasses.replace(STATE, targets={**STATE.targets, "bloom.amount": 1.0}))
    moved = numbers(sock, "/param/bloom/amount")
    assert moved["/param/bloom/amount"] == 0.5
    sock.sendto(packed("/unsubscribe"), osc.address)
    numbers(sock, "/unsubscribed")
    assert subscribers.present(0.0) == ()


def test_several_subscribers_and_both_kinds(osc: OscInput, feed: OscFeed, sock: socket.socket) -> None:
    others = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for other in others:
        other.bind(("127.0.0.1", 0))
        other.settimeout(20.0)
    ask(osc, sock, "/subscribe", others[0].getsockname()[1])
    ask(osc, sock, "/subscribe", "127.0.0.1", others[1].getsockname()[1], "feed")
    assert "/param/out/level/value" in numbers(others[0], "/param/out/level/value")
    assert numbers(others[1], "/vj/beat/phase")["/vj/beat/phase"] == 0.0
    for other in others:
        other.close()


def test_leases_end_and_the_list_is_bounded() -> None:
    one = Subscribers()
    for port in range(MAX_SUBSCRIBERS):
        assert one.add("127.0.0.1", 5000 + port, "faders", 0.0)
    assert not one.add("127.0.0.1", 4999, "faders", 1.0)
    assert one.add("127.0.0.1", 5000, "faders", 1.0), "renewing needs no place"
    assert [guest.port for guest in one.present(LEASE + 0.5)] == [5000]
    assert one.present(LEASE + 2.0) == ()


@pytest.mark.parametrize(
    ("sender", "arguments"),
    [
        ("192.168.1.21", ()),
        ("192.168.1.20", ("127.0.0.1", 5000)),
        ("192.168.1.20", ("192.168.1.21", 5000)),
        ("127.0.0.1", ("192.168.1.21", 5000)),
        ("127.0.0.1", (9000,)),
    ],
)
def test_feedback_goes_only_where_it_may(
    control: Latest[ControlState], sender: str, arguments: tuple[object, ...]
) -> None:
    desk = Desk(osc_tree(MACROS), control, Subscribers(), ["192.168.1.20"])
    desk.own_port = 9000
    with pytest.raises(Refused):
        desk.answer(message("/subscribe", *arguments), (sender, 6000), 0.0)


@pytest.mark.parametrize("arguments", [("x", 5000), (80,), (70000,), (float("nan"),), (True,), (1, 2, 3), (b"x",)])
def test_a_wrong_subscription_is_refused(osc: OscInput, sock: socket.socket, arguments: tuple[object, ...]) -> None:
    sock.sendto(packed("/subscribe", *arguments), osc.address)
    ask(osc, sock, "/look", "?")
    assert osc.malformed == 1


# ---------------------------------------------------------------- time tags

SENDER = """
import sys, time
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.udp_client import UDPClient
client = UDPClient("127.0.0.1", int(sys.argv[1]))
for value, ahead in ((0.75, 0.8), (0.5, 0.4), (0.25, -1.0), (0.9, 60.0)):
    bundle = OscBundleBuilder(time.time() + ahead)
    message = OscMessageBuilder("/macro/ENERGY")
    message.add_arg(value)
    bundle.add_content(message.build())
    client.send(bundle.build())
"""


def test_bundles_of_another_process_wait_for_their_time(osc: OscInput, clock: LiveClock, collector: Any) -> None:
    subprocess.run([sys.executable, "-c", SENDER, str(osc.address[1])], check=True, timeout=60)
    levels = lambda seen: [event for event in seen if isinstance(event, ev.MacroLevel)]  # noqa: E731
    found = levels(collector.until(lambda seen: len(levels(seen)) >= 3, timeout=30.0))
    assert [event.value for event in found] == [0.25, 0.5, 0.75]
    assert found[2].time - found[1].time == pytest.approx(0.4, abs=0.25), "the times of the tags, not of arrival"
    assert osc.dropped == 1, "a minute ahead is too far"


def test_nothing_of_the_tree_is_listed_twice_and_all_rows_belong_to_something() -> None:
    rows = osc_tree(MACROS, ("default",))
    assert len({row.address.lower() for row in rows}) == len(rows)
    assert all(row.name in PARAMS for row in rows if row.kind in ("param", "value"))
