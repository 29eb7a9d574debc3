"""``vjengine stability``: how stable a run's pictures were."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vjengine.errors import RecordError, UsageError

if TYPE_CHECKING:
    from vjengine.engine.metrics_file import Run

DESCRIPTION = """\
Show how stable a run's pictures were: how far their colours, detail, light and motion drifted from how each scene
began, which alarms that raised, and what the stabiliser did about it.

  vjengine live --generator turbo --metrics run.json     keep the log of a show; `render` takes --metrics too
  vjengine stability plot run.json                       draw it to run.png
  vjengine stability summary run.json                    the figures, against the goals
"""
SUFFIXES = (".png", ".svg", ".pdf")
_SHOWN = 40


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "stability",
        help="plot or sum up what --metrics logged",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    plot = actions.add_parser("plot", help="draw the log over time")
    plot.add_argument("log", type=Path, help="file that --metrics wrote")
    plot.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="picture to write: .png, .svg or .pdf (default: beside it)"
    )
    plot.set_defaults(func=run_plot)
    summary = actions.add_parser("summary", help="the figures as text, against the goals")
    summary.add_argument("log", type=Path, help="file that --metrics wrote")
    summary.add_argument("--json", action="store_true", help="as JSON")
    summary.set_defaults(func=run_summary)


def run_plot(args: argparse.Namespace) -> int:
    """Draw the log."""
    output: Path = args.output or args.log.with_suffix(".png")
    if output.suffix.lower() not in SUFFIXES:
        raise UsageError(f"-o {output}: the name must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    from vjengine.engine.metrics_plot import save_plot

    run = _read(args.log)
    try:
        save_plot(run, output)
    except OSError as error:
        raise RecordError(f"{output} cannot be written: {error.strerror or error}") from error
    print(output)
    return 0


def run_summary(args: argparse.Namespace) -> int:
    """Print the figures."""
    from vjengine.engine.stability import figures

    run = _read(args.log)
    found = figures(run)
    if args.json:
        print(json.dumps(_plain(found), indent=2))
        return 0
    _print(run, found)
    return 0


def _read(path: Path) -> Run:
    """Read the log, and say what of it could not be read."""
    from vjengine.engine.metrics_file import read_metrics

    run = read_metrics(path)
    if run.bad:
        print(f"vjengine: {path}: {run.bad} lines cannot be read and are left out", file=sys.stderr)
    if run.cut:
        print(f"vjengine: {path}: the last line was cut short and is left out", file=sys.stderr)
    if run.lost:
        print(f"vjengine: {path}: {run.lost} lines were lost to a slow disk", file=sys.stderr)
    if run.frames == 0:
        raise UsageError(f"{path} holds no frames: the run ended before its first picture")
    return run


def _print(run: Run, found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from vjengine.engine.metrics_plot import clock

    console = Console(highlight=False, soft_wrap=True)
    table = Table("", "last", "lowest", "at", "highest", "at", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in found["columns"]:
        low_at, high_at = (clock(row[key]) if math.isfinite(row[key]) else "-" for key in ("low_at", "high_at"))
        table.add_row(row["what"], _short(row["last"]), _short(row["low"]), low_at, _short(row["high"]), high_at)
    console.print(
        f"{run.generator}, seed {run.seed}, {run.size[0]}x{run.size[1]}: {run.frames} frames in {clock(run.duration)}, "
        f"{run.anchored} of them held against their scene's first"
    )
    console.print(table)
    console.print()
    alarms = found["alarms"]
    console.print(f"alarms: {len(alarms) or 'none'}")
    for alarm in alarms[:_SHOWN]:
        until = clock(alarm["end"]) if alarm["cleared"] else "the end"
        console.print(f"  {clock(alarm['start'])} to {until}  {alarm['alarm']}")
    _more(console, len(alarms))
    responses = found["responses"]
    console.print(f"responses: {sum(each['raised'] for each in responses) or 'none'}")
    for response in responses[:_SHOWN]:
        console.print(f"  {clock(response['time'])}  {response['level']}  {response['words'] or 'back to normal'}")
    _more(console, len(responses))
    console.print()
    goals = Table("goal", "met", "", box=None)
    for goal in found["goals"]:
        goals.add_row(goal["goal"], {True: "yes", False: "NO", None: "-"}[goal["met"]], goal["words"])
    console.print(goals)


def _more(console: Any, count: int) -> None:
    if count > _SHOWN:
        console.print(f"  ... and {count - _SHOWN} more; --json has them all")


def _short(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"


def _plain(value: Any) -> Any:
    """Return ``value`` with null for what is no number: JSON has no word for it."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
