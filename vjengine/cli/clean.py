"""``vjengine clean``: deletes what a project's films can do without."""

from __future__ import annotations

import argparse
import sys

from vjengine.cli.projects import add_project_argument

DESCRIPTION = """\
Show what of a project's runs can be deleted and how much it is, then ask. Final films stay, unless --all is given; so
does the state of every run that has no final film yet.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "clean", help="delete what a project's films can do without", description=DESCRIPTION
    )
    add_project_argument(parser)
    parser.add_argument("-n", "--name", action="append", default=[], help="only this run; repeatable")
    parser.add_argument("--all", action="store_true", help="whole runs, with their final films")
    parser.add_argument("-y", "--yes", action="store_true", help="delete without asking")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Show, ask, delete."""
    from vjengine.offline.project.bundle import find_project
    from vjengine.offline.project.clean import delete, find_waste
    from vjengine.offline.project.new import RUNS

    runs = find_project(args.project) / RUNS
    waste = find_waste(runs, args.name, all_of_it=args.all)
    if not waste:
        print("nothing to delete")
        return 0
    for each in waste:
        print(f"{each.size / 2**20:10,.1f} MiB  {each.path.relative_to(runs)}: {each.words}")
    total = sum(each.size for each in waste) / 2**20
    if not args.yes:
        if not sys.stdin.isatty():
            print(f"{total:,.1f} MiB; delete it with --yes")
            return 0
        if input(f"delete {total:,.1f} MiB? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing deleted")
            return 0
    delete(waste)
    print(f"{total:,.1f} MiB deleted")
    return 0
