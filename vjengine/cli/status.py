"""``vjengine status``: how a project's runs stand."""

from __future__ import annotations

import argparse

from vjengine.cli.projects import add_project_argument

DESCRIPTION = "Show a project's runs: how many cycles, how long, in which state, the last error, the disk they take."


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("status", help="how a project's runs stand", description=DESCRIPTION)
    add_project_argument(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Show the table."""
    import json
    from dataclasses import asdict

    from vjengine.offline.project.bundle import find_project
    from vjengine.offline.project.new import RUNS
    from vjengine.offline.project.state import disk_use, read_state, runs_of

    runs = [(path, read_state(path), disk_use(path)) for path in runs_of(find_project(args.project) / RUNS)]
    if args.json:
        for path, state, size in runs:
            known = asdict(state) if state else {"state": "unknown"}
            print(json.dumps({"run": path.name, **known, "seconds": state.seconds if state else 0.0, "bytes": size}))
        return 0
    if not runs:
        print("no run yet: vjengine single, or vjengine run")
        return 0
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("run", "state", "cycles", "length", "backend", "disk", "film, or what went wrong"):
        table.add_column(title, justify="right" if title in ("cycles", "length", "disk") else "left")
    for path, state, size in runs:
        mib = f"{size / 2**20:,.0f} MiB"
        if state is None:
            table.add_row(path.name, "unknown", "", "", "", mib, "its state.json cannot be read; the run goes on")
            continue
        cycles = f"{state.cycles}/{state.wanted}" if state.wanted else str(state.cycles)
        words = state.error if state.error and state.state != "done" else state.film
        row = (path.name, state.state, cycles, f"{state.seconds:.1f} s", state.backend, mib, words)
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(table)
    return 0
