"""``vjengine assemble``: the films of a run from what there is of it."""

from __future__ import annotations

import argparse

from vjengine.cli.projects import add_name_argument, add_project_argument, open_project, shown, told

DESCRIPTION = """\
Put the base film and the final film of a run together from the cycles that are finished, also of a run that was
stopped, failed or was killed. Settings under `finish:` may have been edited.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "assemble", help="make the films of a run from what there is", description=DESCRIPTION
    )
    add_project_argument(parser)
    add_name_argument(parser)
    parser.add_argument("--base-only", action="store_true", help="only the base film, as it was made")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Make the films, with a progress bar."""
    project = open_project(args.project, args.name)
    from vjengine.offline.project.assemble import assemble

    with shown() as bar:
        state = assemble(project, args.name, say=bar.say, tell=bar.finishing, final=not args.base_only)
    told(state, project.run_path(args.name))
    return 0
