"""``vjengine run``: makes a project's film, cycle by cycle, or goes on with it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from vjengine.cli.arguments import number
from vjengine.cli.projects import add_name_argument, add_project_argument, open_project, shown, told

if TYPE_CHECKING:
    from vjengine.offline.project.bundle import Project
    from vjengine.offline.project.runner import Wanted

DESCRIPTION = """\
Make a project's film cycle by cycle, or go on with it: what a run has made stays, and more cycles are added to it. When
a backend fails for good, the run stops (or the built-in one goes on, as settings.yaml says), and the film so far is
finished.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("run", help="make a project's film, or go on with it", description=DESCRIPTION)
    add_project_argument(parser)
    add_name_argument(parser)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--cycles", metavar="N", help="so many cycles in all (default: settings.yaml, or the track)")
    length.add_argument("--hours", metavar="H", help="so many hours of film in all")
    parser.add_argument("--fresh", action="store_true", help="throw away what the run has made, and begin anew")
    parser.add_argument(
        "--as-begun", action="store_true", help="with prompt.md and settings.yaml as the run began with"
    )
    parser.add_argument("--base-only", action="store_true", help="leave the final film for later (`vjengine assemble`)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be made, and what it takes")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Make the film, with a progress bar."""
    project = open_project(args.project, args.name, as_begun=args.as_begun)
    from vjengine.offline.project.assemble import assemble
    from vjengine.offline.project.runner import Wanted, Ways, run_project

    wanted = Wanted(
        cycles=int(number("--cycles", args.cycles, 1, 1e6)) if args.cycles is not None else 0,
        hours=number("--hours", args.hours, 0.0001, 24) if args.hours is not None else 0.0,
        fresh=args.fresh,
    )
    if args.dry_run:
        return _show(project, args.name, wanted)
    with shown() as bar:
        state = run_project(project, args.name, wanted, bar.keeper, Ways(bar.say, bar.cycles))
        if state.frames:
            state = assemble(project, args.name, say=bar.say, tell=bar.finishing, final=not args.base_only)
    return told(state, project.run_path(args.name))


def _show(project: Project, name: str, wanted: Wanted) -> int:
    from vjengine.offline.progress import span
    from vjengine.offline.project.forecast import forecast

    found = forecast(project, name, wanted)
    new = max(0, found.cycles - found.there)
    print(f"run       {project.run_path(name)}, {project.prompt.backend}, mode {project.prompt.mode}")
    print(f"film      {found.cycles} cycles, {found.frames} pictures, {found.frames / found.fps:.2f} s of "
          f"{found.size[0]}x{found.size[1]} at {found.fps:g} a second")  # fmt: skip
    print(f"there     {found.there} cycles" + (f"; {new} to make" if found.there else ""))
    device = f", {found.device:.0f} MiB on the device" if found.device else ""
    print(f"memory    {found.host:.0f} MiB{device}")
    print(
        f"disk      about {found.disk / 2**20:,.0f} MiB before the final film; {found.free / 2**20:,.0f} MiB are free"
    )
    time = f"about {span(new * found.each)}, as the last cycles took" if found.each else "known after the first cycles"
    print(f"time      {time}")
    if found.cost >= 0:
        print(f"cost      about {found.cost:.2f}, by the price in settings.yaml")
    elif project.prompt.backend == "replicate":
        print("cost      not known: see the model's page, and set replicate: price: in settings.yaml")
    for words in found.words:
        print(f"note      {words}")
    return 0
