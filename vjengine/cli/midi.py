"""``vjengine midi``: what controllers are here, what they send, what it does, and teaching them something else."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vjengine.config import scan_macros
from vjengine.errors import InputError, UsageError
from vjengine.resources import resource_dir
from vjengine.strict_yaml import suggest

if TYPE_CHECKING:
    from vjengine.inputs.midi_profile import Profile
    from vjengine.inputs.midi_rig import MidiRig

ACTIONS = ("list", "monitor", "learn", "profiles")
DESCRIPTION = """\
MIDI controllers: what is here, what they send, and teaching them.

  vjengine midi list                        inputs and outputs, and which profile each gets
  vjengine midi monitor                     every message, and what it does; Ctrl-C ends
  vjengine midi learn DROP                  then hit a pad: it plays DROP from now on
  vjengine midi learn feedback.mix --port nano
  vjengine midi learn tempo:tap             also look:next, trigger:clear, bank:next
  vjengine midi profiles                    controllers that are known
  vjengine midi profiles korg-nanokontrol2  what its controls are called and do

What is learnt is kept in a file that is named when it is written; a running show takes it over within a second.
"""
ASK_EVERY = 0.1


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "midi",
        help="list, watch and teach MIDI controllers",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=ACTIONS, help="what to do")
    parser.add_argument("name", nargs="?", metavar="NAME", help="learn: macro or parameter; profiles: which one")
    parser.add_argument(
        "--port", metavar="NAME", default="", help="controllers whose name contains this (default: all)"
    )
    parser.add_argument("--midi-map", type=Path, metavar="FILE", help="mapping file on top of the bundled ones")
    parser.add_argument("--macros", type=Path, metavar="DIR", help="folder of macros (default: the bundled ones)")
    parser.add_argument("--timeout", type=float, metavar="S", help="learn: give up after so many seconds")
    parser.add_argument("--json", action="store_true", help="list, monitor: one JSON object (a line)")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Do one action.

    Raises:
        UsageError: an argument is wrong.
        ConfigError: the mapping file or the macros are wrong.
        InputError: there is no MIDI system, or nothing was moved in time.
    """
    if args.name is not None and args.action in ("list", "monitor"):
        raise UsageError(f"{args.action} takes no name (got {args.name!r}); --port NAME chooses controllers")
    if args.action == "learn" and args.name is None:
        raise UsageError("learn what? For example: vjengine midi learn DROP")
    if args.timeout is not None and not args.timeout > 0.0:
        raise UsageError(f"--timeout {args.timeout:g}: expected a number of seconds above 0")
    rig = _rig(args)
    if args.action == "profiles":
        return _profiles(rig, args.name)
    if args.action == "list":
        return _list(rig, as_json=args.json)
    if args.action == "learn":
        return _learn(rig, args.name, args.port, args.timeout)
    return _monitor(rig, args.port, as_json=args.json)


def _rig(args: argparse.Namespace) -> MidiRig:
    from vjengine.config import load_looks
    from vjengine.inputs.midi_learn import learnt_file
    from vjengine.inputs.midi_rig import MidiRig

    folder = args.macros or resource_dir("macros")
    if not folder.is_dir():
        raise UsageError(f"--macros {folder}: there is no such folder")
    macros, faults = scan_macros(folder)
    looks, _ = load_looks(resource_dir("presets"), macros)
    wrong = list(faults)
    rig = MidiRig.load(macros, tuple(looks), map_file=args.midi_map, learnt=learnt_file(), faults=wrong)
    for fault in wrong:
        print(f"vjengine: left out: {fault}", file=sys.stderr)
    return rig


def _profiles(rig: MidiRig, name: str | None) -> int:
    if name is None:
        width = max((len(key) for key in rig.profiles), default=4)
        for key, profile in rig.profiles.items():
            lights = ", lights" if profile.lit else ""
            known = f"ports like {', '.join(profile.ports)}" if profile.ports else "any other port"
            print(f"{key:{width}}  {profile.name}: {len(profile.parts)} controls{lights}; {known}")
        return 0
    if name not in rig.profiles:
        raise UsageError(f"there is no profile {name!r}; {suggest(name, rig.profiles)}")
    _show(rig.profiles[name])
    return 0


def _show(profile: Profile) -> None:
    print(f"{profile.name}\n{profile.source}\n")
    width = max((len(name) for name in profile.parts), default=4)
    for name, part in profile.parts.items():
        row = profile.layer.rows.get(part.control)
        does = [str(row.target)] if row is not None else []
        for bank, rows in profile.layer.banks.items():
            banked = rows.get(part.control)
            if banked is not None:
                does.append(f"bank {bank}: {banked.target}")
        marks = [part.encoder or "", f"14 bits with {part.fine}" if part.fine is not None else ""]
        marks.append("light" if part.light is not None else "")
        print(f"{name:{width}}  {part.control!s:16}  {', '.join(filter(None, marks)):18}  {'; '.join(does)}")


def _list(rig: MidiRig, *, as_json: bool) -> int:
    from vjengine.inputs.midi_names import partner
    from vjengine.inputs.midi_process import list_midi_ports

    inputs, outputs = list_midi_ports()
    rows = []
    for port in inputs:
        setup = rig.for_port(port)
        profile = setup.profile
        patterns = (*profile.outputs, *profile.ports) if profile is not None else ()
        lights = partner(port, outputs, patterns) if profile is not None and profile.lit else None
        rows.append({"input": port, "profile": profile.file if profile is not None else "", "lights": lights or ""})
    if as_json:
        print(json.dumps({"inputs": rows, "outputs": list(outputs), "learnt": str(rig.learnt_path)}, indent=2))
        return 0
    for row in rows:
        lights = f", lights by {row['lights']}" if row["lights"] else ""
        print(f"{row['input']}: {row['profile'] or 'no profile: macros and default.yaml'}{lights}")
    if not rows:
        print("no MIDI input is connected")
    there = "" if rig.learnt_path is not None and rig.learnt_path.exists() else " (nothing yet)"
    print(f"learnt: {rig.learnt_path}{there}")
    return 0


def _monitor(rig: MidiRig, port: str, *, as_json: bool) -> int:
    """Print every message until Ctrl-C, or until the reader of a pipe went away."""
    from vjengine.core.clock import LiveClock
    from vjengine.core.events import StatusChanged
    from vjengine.core.exchange import EventQueue
    from vjengine.inputs.midi import MidiInput

    lines: list[tuple[str, Sequence[int], float]] = []
    arrived = threading.Event()

    def tap(name: str, data: Sequence[int], time: float) -> None:
        if len(lines) < 10_000:
            lines.append((name, data, time))
        arrived.set()

    events = EventQueue()
    midi = MidiInput(rig, LiveClock(), events, ports=[port] if port else (), tap=tap)
    midi.start()
    try:
        while True:
            arrived.wait(ASK_EVERY)
            arrived.clear()
            for event in events.drain():
                if isinstance(event, StatusChanged):
                    print(event.message, file=sys.stderr, flush=True)
            waiting, lines[:] = lines[:], []
            for name, data, time in waiting:
                print(_line(midi, name, data, time, as_json=as_json), flush=True)
    except KeyboardInterrupt:
        return 0
    finally:
        midi.stop(0.2)


def _line(midi: object, name: str, data: Sequence[int], time: float, *, as_json: bool) -> str:
    from vjengine.inputs.midi import MidiInput
    from vjengine.inputs.midi_message import decode, described
    from vjengine.inputs.midi_names import short

    assert isinstance(midi, MidiInput)
    control, does = "", ""
    try:
        message = decode(data)
    except ValueError:
        message = None
    if message is not None:
        setup = midi.setup(name)
        part = setup.profile.part_of(message.control) if setup.profile is not None else None
        control = part.name if part is not None else ""
        does = midi.target_of(name, message.control)
    if as_json:
        row = {"time": round(time, 4), "port": name, "bytes": list(data), "message": described(data)}
        return json.dumps({**row, "control": control, "target": does})
    named = f" [{control}]" if control else ""
    return f"{time:9.3f}  {short(name)}  {described(data)}{named}  -> {does or 'nothing'}"


def _learn(rig: MidiRig, target: str, port: str, timeout: float | None) -> int:
    """Wait for a control to be moved, and map it."""
    from vjengine.core.clock import LiveClock
    from vjengine.core.events import StatusChanged
    from vjengine.core.exchange import EventQueue
    from vjengine.inputs.midi import MidiInput

    clock, events = LiveClock(), EventQueue()
    midi = MidiInput(rig, clock, events, ports=[port] if port else ())
    midi.learner.arm(target, port)
    midi.start()
    pause = threading.Event()
    try:
        while timeout is None or clock.now() < timeout:
            failed = ""
            for event in events.drain():
                if not isinstance(event, StatusChanged):
                    continue
                if event.component == "midi learn" and event.level == "error":
                    failed = event.message
                elif event.message:
                    print(event.message, file=sys.stderr, flush=True)
            if failed:
                raise InputError(failed)
            if midi.learner.result is not None:
                print(f"{midi.learner.result}\nkept in {rig.learnt_path}")
                return 0
            pause.wait(0.03)
        raise InputError(f"nothing was moved within {timeout:g} s; `vjengine midi monitor` shows what arrives")
    finally:
        midi.stop(0.2)
