"""``vjengine stability``: how stable a run's pictures were."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from vjengine.errors import RecordError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from vjengine.engine.metrics_file import Run

DESCRIPTION = """\
Show how stable a run's pictures were: how far their colours, detail, light and motion drifted from how each scene
began, which alarms that raised, and what the stabiliser did about it.

  vjengine live --generator turbo --metrics run.json     keep the log of a show; `render` takes --metrics too
  vjengine stability plot run.json                       draw it to run.png
  vjengine stability summary run.json                    the figures, against the goals
"""
SUFFIXES = (".png", ".svg", ".pdf")
PATIENCE = 1.0
"""s of reading after which it is told how far it has come."""
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
    if sys.stderr.isatty():
        print(f"drawing {output.name}", end="", file=sys.stderr, flush=True)
    try:
        save_plot(run, output)
    except OSError as error:
        raise RecordError(f"{output} cannot be written: {error.strerror or error}") from error
    finally:
        _wipe()
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

    with _progress(path) as progress:
        run = read_metrics(path, progress)
    if run.bad:
        print(f"vjengine: {path}: {run.bad} lines cannot be read and are left out", file=sys.stderr)
    if run.cut:
        print(f"vjengine: {path}: the last line was cut short and is left out", file=sys.stderr)
    if run.lost:
        print(f"vjengine: {path}: {run.lost} lines were lost to a slow disk", file=sys.stderr)
    if run.frames == 0 and run.trail is None:
        raise UsageError(f"{path} holds no frames: the run ended before its first picture")
    return run


@contextmanager
def _progress(path: Path) -> Iterator[Callable[[float], None]]:
    """Show on a terminal how far the log is read, once that takes longer than a moment."""
    began, shown = perf_counter(), False

    def show(share: float) -> None:
        nonlocal shown
        if sys.stderr.isatty() and perf_counter() - began > PATIENCE:
            shown = True
            print(f"\rreading {path.name}: {share:4.0%}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        if shown:
            _wipe()


def _wipe() -> None:
    """Take back the line that told of progress."""
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _print(run: Run, found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from vjengine.engine.metrics_plot import clock

    console = Console(highlight=False, soft_wrap=True)
    if run.frames:
        console.print(
            f"{run.generator}, seed {run.seed}, {run.size[0]}x{run.size[1]}: {run.frames} frames in "
            f"{clock(run.duration)}, {run.anchored} of them held against their scene's first"
        )
        _print_told(console, found)
        console.print()
    if run.trail is not None:
        trail = run.trail
        console.print(
            f"the trail: {trail.frames} looks in {clock(trail.duration)}, {trail.anchored} of them held against "
            "its first"
        )
        _print_told(console, found["trail"])
        console.print()
    goals = Table("goal", "met", "", box=None)
    for goal in found["goals"]:
        goals.add_row(goal["goal"], {True: "yes", False: "NO", None: "-"}[goal["met"]], goal["words"])
    console.print(goals)


def _print_told(console: Console, found: dict[str, Any]) -> None:
    from rich.table import Table

    from vjengine.engine.metrics_plot import clock

    table = Table("", "last", "lowest", "at", "highest", "at", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in found["columns"]:
        low_at, high_at = (clock(row[key]) if math.isfinite(row[key]) else "-" for key in ("low_at", "high_at"))
        table.add_row(row["what"], _short(row["last"]), _short(row["low"]), low_at, _short(row["high"]), high_at)
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


def _more(console: Console, count: int) -> None:
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
