"""MIDI over a real JACK server, played by a controller in a process of its own."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import MappingProxyType
from typing import Any

import pytest

from vjengine.core.clock import LiveClock
from vjengine.core.events import Event, MacroLevel, MacroSet, MacroToggle, ParamSet, StatusChanged, Tap
from vjengine.core.exchange import EventQueue
from vjengine.core.macros import MacroDef
from vjengine.errors import InputError
from vjengine.inputs.midi import MidiInput
from vjengine.inputs.midi_map import Control, MidiMap, ParamTarget, Row, TempoTarget
from vjengine.inputs.midi_ports import choose
from vjengine.inputs.midi_process import list_midi_inputs

MAPPING = MidiMap.from_macros(
    {
        "DROP": MacroDef("DROP", note=36),
        "AUDIO": MacroDef("AUDIO", kind="toggle", note=39),
        "INTENSITY": MacroDef("INTENSITY", kind="level", cc=10),
    }
)
TAPS = MidiMap(MappingProxyType({Control("note", 0, note): Row(TempoTarget("tap")) for note in range(128)}))

Start = Callable[..., MidiInput]


@pytest.fixture
def listen(clock: LiveClock, events: EventQueue) -> Iterator[Start]:
    """Start MIDI inputs on the test's clock and queue; they are stopped at the end."""
    started: list[MidiInput] = []

    def start(mapping: MidiMap = MAPPING, ports: Sequence[str] = ()) -> MidiInput:
        started.append(MidiInput(mapping, clock, events, ports=ports, poll_interval=0.05))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.stop()


def connected(midi: MidiInput, *names: str) -> Callable[[list[Event]], bool]:
    return lambda _: midi.connected == names


def of(kind: type[Event], count: int) -> Callable[[list[Event]], bool]:
    return lambda events: sum(isinstance(event, kind) for event in events) >= count


def said(*words: str, level: str) -> Callable[[list[Event]], bool]:
    return lambda events: any(
        isinstance(event, StatusChanged)
        and event.component == "midi"
        and event.level == level
        and all(word in event.message for word in words)
        for event in events
    )


def until_heard(collector: Any, send: Callable[[], None], seen: Callable[[list[Event]], object]) -> list[Event]:
    """Send until ``seen``: JACK may drop the first message of a new connection, and on a machine too busy for its
    cycle it throws a client out, which then needs seconds to connect again. What is said in between is forgotten."""
    for _ in range(4):
        collector.clear()
        send()
        try:
            return list(collector.until(seen, timeout=5.0))
        except AssertionError:
            continue
    collector.clear()
    send()
    return list(collector.until(seen))


def press(pads: Any, collector: Any) -> None:
    """Hold DROP down."""
    until_heard(collector, lambda: pads.send("90 24 64"), of(MacroSet, 1))


@pytest.mark.real
def test_keys_and_faders_arrive_as_events(
    controller: Callable[[str], Any], listen: Start, collector: Any, clock: LiveClock
) -> None:
    pads = controller("pads")
    midi = listen()
    collector.until(connected(midi, "pads:out"))
    before = clock.now()

    def play() -> None:
        for message in ("90 24 64", "90 24 00", "90 27 64", "80 27 00", "b0 0a 7f", "b0 0b 10", "f8"):
            pads.send(message)

    def whole(events: list[Event]) -> bool:
        return of(MacroLevel, 1)(events) and of(MacroSet, 2)(events) and of(MacroToggle, 1)(events)

    events = [event for event in until_heard(collector, play, whole) if not isinstance(event, StatusChanged)]
    assert [type(event) for event in events] == [MacroSet, MacroSet, MacroToggle, MacroLevel]
    assert [event.value for event in events[:2]] == [1.0, 0.0]
    assert events[3].value == 1.0
    assert {event.source for event in events} == {"midi:pads"}
    assert all(before <= event.time <= clock.now() for event in events)


@pytest.mark.real
def test_a_controller_that_dies_is_let_go_and_taken_up_again(
    controller: Callable[[str], Any], listen: Start, collector: Any
) -> None:
    pads = controller("pads")
    midi = listen()
    collector.until(connected(midi, "pads:out"))
    press(pads, collector)
    collector.clear()
    pads.kill()
    events = collector.until(lambda seen: of(MacroSet, 1)(seen) and said("pads is gone", level="warn")(seen))
    assert [event.value for event in events if isinstance(event, MacroSet)] == [0.0], "the held drop is let go"
    assert midi.connected == ()
    collector.clear()
    again = controller("pads")
    collector.until(said("pads", level="ok"))
    press(again, collector)
    assert midi.restarts == 0


@pytest.mark.real
def test_what_another_listener_hears_at_two_thousand_a_second_is_heard_and_kept(
    controller: Callable[[str], Any], listener: Callable[[str], Callable[[], int]], listen: Start, collector: Any
) -> None:
    """JACK without real-time rights skips cycles on a busy machine, for every listener: a bare one is the yardstick."""
    pads = controller("pads")
    count = listener("pads")
    midi = listen(TAPS)
    collector.until(connected(midi, "pads:out"))
    results = []
    for _ in range(5):
        collector.clear()
        before = midi.received
        pads.send("ramp 3000 2000")
        time.sleep(0.5)
        collector.until(lambda _: True)
        times = [event.time for event in collector.events if isinstance(event, Tap)]
        assert all(b >= a for a, b in itertools.pairwise(times))
        assert len(times) == midi.received - before, "each message heard became an event"
        results.append((len(times), count()))
        if len(times) == 3000:
            return
    ours, bare = (sum(column) for column in zip(*results, strict=True))
    assert ours >= 0.9 * bare, f"heard and another listener's count, run by run: {results}"


@pytest.mark.real
def test_a_flooding_fader_merges_and_ends_where_it_was_left(
    controller: Callable[[str], Any], listen: Start, collector: Any
) -> None:
    pads = controller("pads")
    fader = MidiMap(MappingProxyType({Control("control", 0, 20): Row(ParamTarget("feedback.mix"))}))
    midi = listen(fader)
    collector.until(connected(midi, "pads:out"))

    def sweep() -> None:
        for value in (*range(0, 128, 8), 127):
            pads.send(f"b0 14 {value:02x}")

    until_heard(collector, sweep, lambda events: any(isinstance(e, ParamSet) and e.value == 1.0 for e in events))
    collector.until(lambda _: True)
    assert [event.value for event in collector.events if isinstance(event, ParamSet)][-1] == 1.0


@pytest.mark.real
def test_only_named_ports_are_opened(controller: Callable[[str], Any], listen: Start, collector: Any) -> None:
    controller("pads")
    controller("keys")
    midi = listen(ports=["KEY", "faders"])
    collector.until(connected(midi, "keys:out"))
    collector.until(said("waiting for MIDI input faders", "pads:out", level="warn"))
    controller("faders")
    collector.until(connected(midi, "faders:out", "keys:out"))


@pytest.mark.real
def test_inputs_can_be_listed(controller: Callable[[str], Any]) -> None:
    controller("pads")
    assert "pads:out" in list_midi_inputs(timeout=20.0)


@pytest.mark.real
def test_the_server_dies_and_comes_back(own_jack: Any, listen: Start, collector: Any) -> None:
    """Killed, it takes the MIDI process with it at worst; the show's process lives and connects again."""
    midi = listen()
    collector.until(said("no controller yet", level="ok"))
    own_jack.kill()
    collector.until(said("JACK server is gone", level="warn"))
    collector.clear()
    collector.until(said("no MIDI here", level="warn"))
    own_jack.start()
    collector.until(said("no controller yet", level="ok"))
    assert midi.restarts >= 1


@pytest.mark.real
def test_the_server_dies_under_a_held_key(
    own_jack: Any, controller: Callable[..., Any], listen: Start, collector: Any
) -> None:
    pads = controller("pads", own_jack)
    midi = listen()
    collector.until(connected(midi, "pads:out"))
    press(pads, collector)
    own_jack.kill()
    events = collector.until(lambda seen: of(MacroSet, 2)(seen) and said("gone", level="warn")(seen))
    assert [event.value for event in events if isinstance(event, MacroSet)] == [1.0, 0.0]
    assert midi.connected == ()


@pytest.mark.real
@pytest.mark.skipif(not hasattr(os, "kill") or sys.platform == "win32", reason="needs POSIX signals")
def test_a_frozen_server_costs_midi_only(own_jack: Any, listen: Start, collector: Any) -> None:
    """Opening a port on a frozen server never returns: the MIDI process is replaced, this one goes on."""
    import signal

    listen()
    collector.until(said("no controller yet", level="ok"))
    own_jack.process.send_signal(signal.SIGSTOP)
    collector.until(said("does not answer", level="warn"), timeout=30.0)
    own_jack.process.send_signal(signal.SIGCONT)
    collector.clear()
    collector.until(said("no controller yet", level="ok"), timeout=30.0)


@pytest.mark.real
def test_stopping_lets_go_and_leaves_no_process_and_no_thread(
    controller: Callable[[str], Any], clock: LiveClock, events: EventQueue, collector: Any
) -> None:
    threads = set(threading.enumerate())
    pads = controller("pads")
    midi = MidiInput(MAPPING, clock, events, poll_interval=0.05)
    midi.start()
    collector.until(connected(midi, "pads:out"))
    press(pads, collector)
    child = midi._child
    assert child is not None
    midi.stop()
    seen = collector.until(of(MacroSet, 2))
    assert [event.value for event in seen if isinstance(event, MacroSet)] == [1.0, 0.0]
    assert child.poll() is not None
    assert set(threading.enumerate()) <= threads
    assert midi.connected == ()


@pytest.mark.real
def test_the_midi_process_ends_with_its_parent(jack: Any) -> None:
    """A killed show leaves no orphan holding the controller."""
    code = (
        "import time; from vjengine.core.clock import LiveClock; from vjengine.core.exchange import EventQueue;"
        "from vjengine.inputs.midi import MidiInput; from vjengine.inputs.midi_map import MidiMap;"
        "midi = MidiInput(MidiMap(), LiveClock(), EventQueue()); midi.start()\n"
        "while midi._child is None: time.sleep(0.01)\n"
        "print(midi._child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 15.0
    while _runs(child):
        assert time.monotonic() < end, "the MIDI process outlived its parent"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    """True while ``pid`` is a live process; a zombie waiting for the system's reaper is not."""
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_ports_are_chosen_by_name_and_never_our_own_or_through_ports() -> None:
    names = ["Midi Through:Midi Through Port-0 14:0", "nanoKONTROL2:CTRL 24:0", "vjengine:in", "Pad", "Pad"]
    assert choose(names, []) == {("nanoKONTROL2:CTRL 24:0", 0): 1, ("Pad", 0): 3, ("Pad", 1): 4}
    assert choose(names, ["kontrol"]) == {("nanoKONTROL2:CTRL 24:0", 0): 1}
    assert choose(names, ["through"]) == {("Midi Through:Midi Through Port-0 14:0", 0): 0}
    assert choose(names, ["faders"]) == {}


def test_without_a_midi_system_one_word_is_said_and_the_show_goes_on(
    listen: Start, collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rtmidi", reason="python-rtmidi is not installed")
    monkeypatch.setenv("MIDO_BACKEND", "mido.backends.rtmidi/UNIX_JACK")
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "vj-no-such-server")
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    midi = listen()
    collector.until(said("no MIDI here", level="warn"))
    end = time.monotonic() + 3.0
    while time.monotonic() < end:
        collector.until(lambda _: True)
        time.sleep(0.1)
    assert sum(isinstance(event, StatusChanged) for event in collector.events) == 1
    assert midi.restarts == 0
    with pytest.raises(InputError, match="cannot be listed"):
        list_midi_inputs(timeout=20.0)


def test_an_unknown_midi_system_names_the_known_ones(clock: LiveClock, events: EventQueue, collector: Any) -> None:
    pytest.importorskip("rtmidi", reason="python-rtmidi is not installed")
    midi = MidiInput(MAPPING, clock, events, api="theremin")
    midi.start()
    try:
        collector.until(said("theremin", "it knows", level="warn"))
    finally:
        midi.stop()


def test_without_rtmidi_an_error_says_what_to_install(
    clock: LiveClock, events: EventQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    midi = MidiInput(MAPPING, clock, events)
    midi.start()
    midi.stop()
    (status,) = events.drain()
    assert isinstance(status, StatusChanged)
    assert status.level == "error"
    assert "pip install" in status.message
    assert "python-rtmidi" in status.message


@pytest.mark.real
def test_a_flood_of_sysex_clock_and_junk_reaches_nobody(
    surface: Callable[[str], Any], listen: Start, collector: Any
) -> None:
    pads = surface("pads")
    midi = listen()
    collector.until(connected(midi, "pads:out"))
    press(pads, collector)
    before = midi.received
    long = "f0 " + "01 " * 200 + "f7"
    for _ in range(100):
        for message in (long, "f8", "fe", "f0 7e f7", "f1 12"):
            pads.send(message)
    press(pads, collector)
    assert midi.received - before < 250, "clock, active sensing and SysEx do not even reach our process"
    assert midi.malformed == 0
    assert midi.restarts == 0
