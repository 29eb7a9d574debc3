"""``vjengine status``: how a project's runs stand."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from vjengine.cli.projects import add_project_argument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vjengine.offline.project.state import State

DESCRIPTION = """\
Show a project's runs: how many cycles, how long, in which state, the last error or what is still to be made, the disk
they take. --verify reads every byte and says what is no longer as it was made; with it, the run folder of a film or an
album (film.run, film.album) does as well. Exit status 1 if anything is wrong.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("status", help="how a project's runs stand", description=DESCRIPTION)
    add_project_argument(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    parser.add_argument("--verify", action="store_true", help="check every byte of the runs and their films")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Show the table, and what is wrong."""
    import json
    from dataclasses import asdict

    from vjengine.offline.manifest import RUN
    from vjengine.offline.project.bundle import find_project
    from vjengine.offline.project.new import RUNS
    from vjengine.offline.project.state import disk_use, read_state, runs_of, to_be_made
    from vjengine.offline.project.verify import verify_run
    from vjengine.offline.run_report import verify

    if args.verify and (args.project / RUN).is_file():
        return _told(args.project, dict(_checked([args.project], verify)), as_json=args.json)
    runs = [(path, read_state(path), disk_use(path)) for path in runs_of(find_project(args.project) / RUNS)]
    found = dict(_checked([path for path, *_ in runs], verify_run)) if args.verify else {}
    wrong = any(found.values())
    if args.json:
        for path, state, size in runs:
            known = asdict(state) if state else {"state": "unknown"}
            checked = {"wrong": found[path]} if args.verify else {}
            told = {"seconds": state.seconds if state else 0.0, "to_do": to_be_made(path, state) if state else ""}
            print(json.dumps({"run": path.name, **known, **told, "bytes": size, **checked}))
        return int(wrong)
    if not runs:
        print("no run yet: vjengine single, or vjengine run")
        return 0
    _table(runs)
    return _told(args.project, found) if args.verify else 0


def _checked(
    paths: list[Path], verify: Callable[[Path, Callable[[str], None]], list[str]]
) -> Iterator[tuple[Path, list[str]]]:
    """Read each folder, saying what is read; yield what is wrong with it."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("reading") as status:
        for path in paths:
            yield path, verify(path, lambda words, path=path: status.update(f"reading {path.name}: {words}"))  # type: ignore[misc]


def _told(where: Path, found: dict[Path, list[str]], *, as_json: bool = False) -> int:
    import json

    wrong = [words for each in found.values() for words in each]
    if as_json:
        print(json.dumps({"run": where.name, "wrong": wrong}))
    elif wrong:
        print("\n".join(wrong))
    else:
        print(f"every byte is as it was made: {', '.join(path.name for path in found)}")
    return int(bool(wrong))


def _table(runs: list[tuple[Path, State | None, int]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from vjengine.offline.project.state import to_be_made

    table = Table(box=None, pad_edge=False)
    for title in ("run", "state", "cycles", "length", "backend", "disk", "film, or what went wrong"):
        table.add_column(title, justify="right" if title in ("cycles", "length", "disk") else "left")
    for path, state, size in runs:
        mib = f"{size / 2**20:,.0f} MiB"
        if state is None:
            table.add_row(path.name, "unknown", "", "", "", mib, "its state.json cannot be read; the run goes on")
            continue
        cycles = f"{state.cycles}/{state.wanted}" if state.wanted else str(state.cycles)
        wrong = state.error if state.state != "done" else ""
        words = "; ".join(part for part in (wrong, to_be_made(path, state)) if part) or state.film
        row = (path.name, state.state, cycles, f"{state.seconds:.1f} s", state.backend, mib, words)
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(table)
