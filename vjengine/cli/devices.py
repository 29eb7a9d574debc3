"""``vjengine devices``: audio inputs and outputs, MIDI inputs and monitors, by the names other commands take."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from vjengine.cli.probes import Answer, ask

DESCRIPTION = """\
List what can be named to other commands: audio devices (live --audio, --audio-out), MIDI inputs (live --midi) and
monitors (live --display). Part of a name is enough. * marks the system's own choice.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("devices", help="audio devices, MIDI inputs and monitors", description=DESCRIPTION)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """List all devices; what cannot be listed says why."""
    answers = ask(("audio", "midi", "monitors"))
    if args.json:
        print(json.dumps({name: _json(answer) for name, answer in answers.items()}, indent=2))
        return 0
    print("\n\n".join((_audio(answers["audio"]), _midi(answers["midi"]), _monitors(answers["monitors"]))))
    return 0


def _json(answer: Answer) -> dict[str, Any]:
    return {"devices": answer.data or [], "problem": answer.problem}


def _audio(answer: Answer) -> str:
    sections = []
    for title, channels, default in (
        ("audio inputs", "inputs", "default_input"),
        ("audio outputs", "outputs", "default_output"),
    ):
        rows = [
            ("*" if device[default] else "", device["name"], f"{device[channels]} ch", f"{device['sample_rate']} Hz",
             device["host_api"])
            for device in answer.data or []
            if device[channels] > 0
        ]  # fmt: skip
        sections.append(_section(title, rows, answer.problem))
    return "\n\n".join(sections)


def _midi(answer: Answer) -> str:
    return _section("MIDI inputs", [("", name) for name in answer.data or []], answer.problem)


def _monitors(answer: Answer) -> str:
    rows = [
        ("*" if monitor["primary"] else "", str(number), monitor["name"], "{}x{}".format(*monitor["size"]),
         f"{monitor['refresh_hz']:g} Hz", "at {}, {}".format(*monitor["position"]))
        for number, monitor in enumerate(answer.data or [], 1)
    ]  # fmt: skip
    return _section("monitors", rows, answer.problem)


def _section(title: str, rows: Sequence[Sequence[str]], problem: str) -> str:
    """Return a titled plain table, or why there is none."""
    if problem or not rows:
        return f"{title}\n  {problem or 'none'}"
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([title, *(f"  {line}" for line in lines)])
