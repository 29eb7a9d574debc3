"""``vjengine single``: one cycle of a project, to judge by."""

from __future__ import annotations

import argparse

from vjengine.cli.projects import add_project_argument, open_project, shown

DESCRIPTION = """\
Make one cycle of a project anew: its first picture, its clip, and a contact sheet of it. Look, edit prompt.md, repeat.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("single", help="make one cycle of a project, to judge by", description=DESCRIPTION)
    add_project_argument(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Make the cycle."""
    from vjengine.offline.preview.sheet import contact_sheet
    from vjengine.offline.project.runner import Wanted, Ways, run_project
    from vjengine.offline.project.state import SINGLE

    project = open_project(args.project, SINGLE)
    run_folder = project.run_path(SINGLE)
    clip, sheet = run_folder / "clips" / "0001.mkv", run_folder / "sheet.png"
    with shown() as bar:
        state = run_project(project, SINGLE, Wanted(cycles=1, fresh=True), bar.keeper, Ways(bar.say, bar.cycles))
        if state.cycles:
            contact_sheet(clip, sheet, 4, 3, title=project.prompt.title)
    if not state.cycles:
        from vjengine.errors import GeneratorError

        raise GeneratorError(state.error or "no cycle was made")
    for path in (run_folder / "images" / "0000-first.png", clip, sheet):
        print(path)
    return 0
