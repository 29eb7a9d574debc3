"""The ``vjengine`` command: finds the subcommand, turns errors into one line and an exit status."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Sequence

from vjengine import __version__
from vjengine.errors import UsageError, VJError

COMMANDS = (
    "demo",
    "live",
    "render",
    "longcat",
    "album",
    "finish",
    "new",
    "run",
    "single",
    "status",
    "assemble",
    "backends",
    "clean",
    "analyze",
    "stability",
    "macro",
    "midi",
    "osc",
    "models",
    "engine",
    "devices",
    "doctor",
)

EPILOG = """\
first steps:
  vjengine doctor                          what is here, what is missing, what to install
  vjengine demo                            half a minute of the bundled show, recorded to demo.mp4
  vjengine live --audio track.flac         play a track and its picture
  vjengine live --audio "Scarlett"         listen to an input device, by part of its name
  vjengine render track.flac -o film.mp4   the same picture, offline, frame by frame
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="vjengine",
        description="A real-time VJ performance engine: music, hands and macros in, moving pictures out.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"vjengine {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more about what goes on")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"vjengine.cli.{name}").add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv``; return its exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    try:
        try:
            return _run(argv)
        finally:
            # Python's own last flush would complain of a reader that went away.
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe went away (| head): nothing left to say to anyone, at exit neither.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(nowhere, stream.fileno())
        return 1


def _run(argv: Sequence[str] | None) -> int:
    args = build_parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO if args.verbose else logging.ERROR, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        return int(args.func(args))
    except UsageError as error:
        print(f"vjengine: {error}", file=sys.stderr)
        return 2
    except VJError as error:
        print(f"vjengine: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("vjengine: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
