"""``vjengine backends``: what can make a project's pictures here."""

from __future__ import annotations

import argparse

from vjengine.cli.projects import add_project_argument

DESCRIPTION = """\
Show which backends are usable here, why the others are not, and what to install or set. Servers are really asked. In a
project folder, its settings count.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("backends", help="what can make a project's pictures here", description=DESCRIPTION)
    add_project_argument(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Ask, and show."""
    from vjengine.offline.project.new import SETTINGS
    from vjengine.offline.project.probe import probe_backends
    from vjengine.offline.project.settings import read_settings

    path = args.project / SETTINGS
    found = probe_backends(read_settings(path).backends if path.is_file() else None)
    for backend in found:
        print(f"{'yes' if backend.usable else 'no ':3} {backend.name:10} {backend.words}")
        if backend.remedy:
            print(f"{'':15}{backend.remedy}")
    return 0
