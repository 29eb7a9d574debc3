"""From a hand's move to the first presented frame that shows it, with the generator at one second a frame.

``file``: BLACKOUT's file is created or removed. ``osc``, ``midi``: BLACKOUT by message. ``key``: a key in a window
under a virtual display. A frame shows it when its middle pixel turned dark or light again, read after drawing.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.common import Report, arguments
from benchmarks.harness import Eye, jack, play, quiet_options, scratch, with_midi
from vjengine.engine.live import LiveEngine
from vjengine.engine.options import LiveOptions

SLOW = "still:delay=1.0"
GOAL = "p99 <= 40 ms"
Switch = Callable[[bool], object]


def measure(options: LiveOptions, n: int, prepare: Callable[[LiveEngine], Switch]) -> list[float]:
    """Return ``n`` latencies in ms of switching BLACKOUT on and off by what ``prepare`` returns."""
    latencies: list[float] = []

    def act(engine: LiveEngine, eye: Eye) -> None:
        switch = prepare(engine)
        dice = random.Random(1)
        eye.wait(False)
        for i in range(n):
            # Any phase against the frames, and slow enough not to call up the flash limiter.
            time.sleep(0.3 + dice.random() * 0.2)
            on = i % 2 == 0
            begun = engine.clock.now()
            switch(on)
            latencies.append((eye.wait(on, 1.0) - begun) * 1e3)

    play(options, act)
    return latencies


def by_file(folder: Path, n: int) -> list[float]:
    """Measure the macro file."""
    file = folder / "active" / "BLACKOUT"

    def switch(on: bool) -> None:
        if on:
            file.touch()
        else:
            file.unlink()

    return measure(quiet_options(folder, generator=SLOW), n, lambda engine: switch)


def by_osc(folder: Path, n: int) -> list[float]:
    """Measure an OSC message."""

    def prepare(engine: LiveEngine) -> Switch:
        assert engine.hands.osc is not None
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # OSC 1.0: address and type tags, each filled up with zeros to a multiple of four bytes, then the float.
        packets = {on: b"/macro/BLACKOUT\0,f\0\0" + struct.pack(">f", on) for on in (True, False)}
        address = engine.hands.osc.address
        return lambda on: sender.sendto(packets[on], address)

    options = replace(quiet_options(folder, generator=SLOW), osc_in=("127.0.0.1", 0))
    return measure(options, n, prepare)


def by_midi(folder: Path, n: int) -> list[float]:
    """Measure a MIDI note through a real JACK server."""
    with jack(f"vjbench{os.getpid()}"):
        import rtmidi

        sender = rtmidi.MidiOut(rtapi=rtmidi.API_UNIX_JACK, name="bench-controller")
        sender.open_virtual_port("out")

        def prepare(engine: LiveEngine) -> Switch:
            note = engine.show.macros["BLACKOUT"].note
            deadline = time.monotonic() + 5.0
            while not engine.hands.midi_names:
                if time.monotonic() > deadline:
                    raise RuntimeError("the engine did not find the controller")
                time.sleep(0.05)

            def switch(on: bool) -> None:
                # BLACKOUT is a toggle: each note on flips it. After a lost message it may be there already.
                if engine.session.state.macros["BLACKOUT"].on != on:
                    sender.send_message([0x90, note, 100])
                    sender.send_message([0x80, note, 0])

            return switch

        try:
            return measure(with_midi(quiet_options(folder, generator=SLOW)), n, prepare)
        finally:
            sender.close_port()
            sender.delete()


def by_key(folder: Path, n: int) -> list[float]:
    """Measure a key hit by xdotool in a window; needs a display."""
    options = replace(quiet_options(folder, generator=SLOW), headless=False, hud=False)
    with subprocess.Popen(["xdotool", "-"], stdin=subprocess.PIPE, bufsize=0) as hand:
        assert hand.stdin is not None
        stdin = hand.stdin

        def prepare(engine: LiveEngine) -> Switch:
            key = engine.show.macros["BLACKOUT"].key
            stdin.write(b"search --sync --name ^vjengine$ windowfocus\n")
            time.sleep(0.5)
            return lambda on: stdin.write(f"key {key}\n".encode())

        latencies = measure(options, n, prepare)
        stdin.close()
    return latencies


def main() -> int:
    """Run the benchmark."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--only", choices=("file", "osc", "midi", "key"), help="measure one way only")
    args = parser.parse_args()
    n = 400 if args.full else 40
    report = Report("macro_latency", as_json=args.json)
    ways = {"file": by_file, "osc": by_osc, "midi": by_midi, "key": by_key}
    for name, way in ways.items():
        if args.only not in (None, name):
            continue
        if name == "key" and not os.environ.get("DISPLAY"):
            _under_xvfb(args.json, args.full, report)
            continue
        with scratch() as folder:
            try:
                latencies = way(folder, n)
                seen = [latency for latency in latencies if latency == latency]
                report.add(name, "ms", seen, goal=GOAL)
                if len(seen) < n:
                    report.note(f"{name}: {n - len(seen)} of {n} were never seen")
            except RuntimeError as error:
                report.note(f"{name}: not measured: {error}")
    return 0


def _under_xvfb(as_json: bool, full: bool, report: Report) -> None:
    """Measure the key in a child process with a virtual display of its own."""
    if shutil.which("xvfb-run") is None or shutil.which("xdotool") is None:
        report.note("key: not measured: apt-get install xvfb xauth xdotool")
        return
    command = ["xvfb-run", "-a", "-s", "-screen 0 1280x720x24", sys.executable, "-m", "benchmarks.macro_latency"]
    command += ["--only", "key", *(["--json"] if as_json else []), *(["--full"] if full else [])]
    subprocess.run(command, check=False)


if __name__ == "__main__":
    sys.exit(main())
