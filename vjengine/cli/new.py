"""``vjengine new``: a project folder."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Make a project folder: what is wanted in prompt.md, how it is made in settings.yaml, a folder for what it begins with,
and one for its runs. Edit the two files, then: vjengine single NAME, and vjengine run NAME.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("new", help="begin a project folder", description=DESCRIPTION)
    parser.add_argument("folder", type=Path, metavar="NAME", help="the folder to make")
    parser.add_argument("--mode", default="text", metavar="M", help="begins with a text, an image or a video")
    parser.add_argument(
        "--backend",
        default="builtin",
        metavar="B",
        help="what makes the pictures: builtin, diffusers, turbo, comfyui, replicate (see `vjengine backends`)",
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Make the folder."""
    from vjengine.offline.project.new import new_project

    folder = new_project(args.folder, args.mode, args.backend)
    print(f"{folder}: edit prompt.md and settings.yaml" + ("" if args.mode == "text" else ", fill inputs/"))
    print(f"then: vjengine single {folder}")
    return 0
