"""MIDI under fire, over a real JACK server, played by another process.

    python -m benchmarks.midi_flood [--json] [--full] [--only flood|late|replug|lights]

``flood``: how many of 2,000 messages a second are not heard (``--full``: for 60 s), beside a bare listener in another
process: without real-time rights JACK itself skips cycles on a busy machine, for everyone. ``late``: from the message
leaving the controller to the event in the show's queue. ``replug``: from a controller's return to its first message
played. ``lights``: from a change in the show to the controller hearing of it.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType

from benchmarks.common import Report, arguments
from benchmarks.harness import jack
from vjengine.core.clock import FrameTime, LiveClock
from vjengine.core.control import ControlState
from vjengine.core.events import StatusChanged, Tap
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.macros import MacroState
from vjengine.inputs.midi import MidiInput
from vjengine.inputs.midi_map import Control, Layer, MacroTarget, Row, TempoTarget
from vjengine.inputs.midi_profile import Light, Part, Profile
from vjengine.inputs.midi_rig import MidiRig

RATE = 2000.0
NAME = "bench-pads"

CONTROLLER = textwrap.dedent(
    """
    import sys, threading, time, rtmidi
    lock = threading.Lock()
    def say(*words):
        with lock:
            print(*words, flush=True)
    port = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name=sys.argv[1] + " lights", queue_size_limit=10000)
    port.open_virtual_port("in")
    out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=sys.argv[1])
    out.open_virtual_port("out")
    over = threading.Event()
    def hear():
        while not over.is_set():
            while (event := port.get_message()) is not None:
                say("heard", time.monotonic(), *event[0])
            time.sleep(0.0005)
    ears = threading.Thread(target=hear, daemon=True)
    ears.start()
    say("ready")
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "ramp":
            count, rate, start = int(rest[0]), float(rest[1]), time.perf_counter()
            for i in range(count):
                while time.perf_counter() < start + i / rate:
                    time.sleep(0.0002)
                out.send_message([0x90, i % 128, 1 + i % 127])
            say("sent")
        else:
            say("at", time.monotonic())
            out.send_message([0x90, 60, 100])
    over.set()
    ears.join()
    out.close_port(); port.close_port(); out.delete(); port.delete()
    """
)
LISTENER = textwrap.dedent(
    """
    import sys, rtmidi
    # Named like the engine, so that the engine leaves it alone. rtmidi itself keeps the messages.
    port = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name="vjengine-yardstick", queue_size_limit=1000000)
    port.open_port(next(i for i, name in enumerate(port.get_ports()) if name.startswith(sys.argv[1] + ":")))
    print("ready", flush=True)
    for line in sys.stdin:
        count = 0
        while port.get_message():
            count += 1
        print("count", count, flush=True)
    """
)


class Child:
    """A helper process that is told and answers line by line."""

    def __init__(self, code: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lines: list[list[str]] = []
        threading.Thread(target=self._read, daemon=True).start()
        self.answer("ready")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line.split())

    def tell(self, line: str) -> None:
        """Write one line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self, word: str, timeout: float = 30.0) -> list[str]:
        """Return the first line that starts with ``word``; forget those before. Raises RuntimeError."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            while self._lines:
                line = self._lines.pop(0)
                if line and line[0] == word:
                    return line[1:]
            time.sleep(0.0005)
        raise RuntimeError(f"the helper process did not say {word!r} within {timeout:g} s")

    def end(self) -> None:
        """Let the process end by itself: a server that had a client killed under it may not tidy up after itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.pull()

    def pull(self) -> None:
        """Kill it, as pulling a plug does."""
        self.process.kill()
        self.process.wait()


@contextmanager
def listening() -> Iterator[tuple[MidiInput, EventQueue, Latest[ControlState], LiveClock]]:
    """Run a MIDI input on which every note is a tap and one pad lights up."""
    note = Control("note", 1, 36)
    profile = Profile(
        "bench",
        "bench",
        ports=(NAME,),
        outputs=(f"{NAME} lights",),
        parts={"pad": Part("pad", note, light=Light(note))},
        layer=Layer(
            rows={Control("note", 0, i): Row(TempoTarget("tap")) for i in range(128)}
            | {note: Row(MacroTarget("DROP", "momentary"))}
        ),
    )
    clock, events = LiveClock(), EventQueue(1_000_000)
    control = Latest(ControlState(macros=MappingProxyType({"DROP": MacroState()})))
    midi = MidiInput(MidiRig(profiles={"bench": profile}), clock, events, control)
    midi.start()
    try:
        yield midi, events, control, clock
    finally:
        midi.stop()


def until(seen: Callable[[], bool], timeout: float = 20.0) -> None:
    """Wait until ``seen()``. Raises RuntimeError."""
    deadline = time.monotonic() + timeout
    while not seen():
        if time.monotonic() > deadline:
            raise RuntimeError("the engine did not find the controller")
        time.sleep(0.005)


def flood(report: Report, seconds: float) -> None:
    """Count what is lost of RATE messages a second, and what a bare listener loses."""
    pads = Child(CONTROLLER)
    try:
        with listening() as (midi, events, _, _):
            until(lambda: bool(midi.connected))
            bare = Child(LISTENER)
            time.sleep(0.5)
            before, count = midi.received, int(RATE * seconds)
            pads.tell(f"ramp {count} {RATE:g}")
            played = 0
            deadline = time.monotonic() + seconds * 3 + 10
            while time.monotonic() < deadline:
                played += sum(not isinstance(event, StatusChanged) for event in events.drain())
                try:
                    pads.answer("sent", 0.02)
                    break
                except RuntimeError:
                    continue
            time.sleep(1.0)
            played += sum(not isinstance(event, StatusChanged) for event in events.drain())
            bare.tell("count")
            theirs = int(bare.answer("count")[0])
            bare.end()
            ours = midi.received - before
            report.add("flood lost", "messages", float(count - ours), peer=float(count - theirs), goal="0")
            report.add("flood heard", "messages", float(ours), peer=float(theirs), goal=f"{count}")
            report.add("flood refused by the queue", "events", float(events.dropped), goal="0")
            report.note(f"flood: {played} events of {count} messages at {RATE:g} a second for {seconds:g} s")
    finally:
        pads.end()


def late(report: Report, n: int) -> None:
    """Measure from the controller's send to the event in the queue."""
    pads = Child(CONTROLLER)
    latencies: list[float] = []
    try:
        with listening() as (midi, events, _, _):
            until(lambda: bool(midi.connected))
            time.sleep(0.5)
            for _ in range(n):
                events.drain()
                pads.tell("note")
                sent = float(pads.answer("at")[0])
                deadline = time.monotonic() + 2.0
                while time.monotonic() < deadline and not any(isinstance(e, Tap) for e in events.drain()):
                    time.sleep(0.0003)
                latencies.append((time.monotonic() - sent) * 1e3)
                time.sleep(0.01)
        report.add("late", "ms", latencies, goal="p99 <= 20 ms")
    finally:
        pads.end()


def replug(report: Report, n: int) -> None:
    """Measure from a controller's return to the first message that is played, sending all the time."""
    seconds: list[float] = []
    with listening() as (midi, events, _, _):
        for _ in range(n + 1):
            pads = Child(CONTROLLER)
            began = time.monotonic()
            events.drain()
            deadline = began + 10.0
            while time.monotonic() < deadline:
                pads.tell("note")
                time.sleep(0.01)
                if any(isinstance(event, Tap) for event in events.drain()):
                    break
            seconds.append(time.monotonic() - began)
            pads.pull()
            until(lambda: not midi.connected)
            time.sleep(1.0)  # the server forgets a client that died after a moment
    report.add("replug", "s", seconds[1:], goal="p99 <= 1 s")


def lights(report: Report, n: int) -> None:
    """Measure from a macro going on to the controller hearing so."""
    pads = Child(CONTROLLER)
    latencies: list[float] = []
    try:
        with listening() as (midi, _, control, clock):
            until(lambda: bool(midi.connected))
            pads.answer("heard")
            for i in range(n):
                time.sleep(0.1)
                macro = MacroState(requested=float(i % 2 == 0))
                began = time.monotonic()
                state = replace(control.read(), time=FrameTime(i, clock.now(), 0.0))
                control.publish(replace(state, macros=MappingProxyType({"DROP": macro})))
                while int((line := pads.answer("heard", 5.0))[3]) != (127 if i % 2 == 0 else 0):
                    continue
                latencies.append((float(line[0]) - began) * 1e3)
        report.add("lights", "ms", latencies, goal="p99 <= 100 ms")
    finally:
        pads.end()


def main() -> int:
    """Run the benchmark."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--only", choices=("flood", "late", "replug", "lights"), help="measure this only")
    args = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    report = Report("midi_flood", as_json=args.json)
    ways: dict[str, Callable[[], None]] = {
        "flood": lambda: flood(report, 60.0 if args.full else 5.0),
        "late": lambda: late(report, 1000 if args.full else 100),
        "replug": lambda: replug(report, 20 if args.full else 4),
        "lights": lambda: lights(report, 200 if args.full else 30),
    }
    with jack(f"vjflood{os.getpid()}"):
        for name, way in ways.items():
            if args.only in (None, name):
                try:
                    way()
                except RuntimeError as error:
                    report.note(f"{name}: not measured: {error}")
        time.sleep(2.0)  # the server takes a moment to see that clients are gone, and tidies up after itself only then
    return 0


if __name__ == "__main__":
    sys.exit(main())
