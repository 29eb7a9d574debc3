"""``vjengine render``: the same show, offline."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from vjengine.cli.arguments import add_metrics_argument, add_picture_arguments, number, picture_options
from vjengine.engine.options import RenderOptions
from vjengine.errors import UsageError

DESCRIPTION = """\
Render a track to a film, frame by frame, as slowly as it takes. The same inputs and seed give the same bytes.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("render", help="render a track to a film", description=DESCRIPTION)
    parser.add_argument("track", type=Path, help="audio file")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="film to write, .mp4")
    parser.add_argument("--start", default="0", metavar="S", help="start this many seconds into the track")
    parser.add_argument("--duration", metavar="S", help="render only so many seconds")
    parser.add_argument("--perform", type=Path, metavar="FILE", help="play back a recorded performance")
    parser.add_argument("--stats", type=Path, metavar="FILE", help="write figures of the run as JSON")
    add_metrics_argument(parser)
    add_picture_arguments(parser, size="1280x720", fps="60", generator_fps="as many as the film has")
    parser.set_defaults(func=run)


def render_options(args: argparse.Namespace) -> RenderOptions:
    """Return the options that ``args`` ask for.

    Raises:
        UsageError: if a value makes no sense.
    """
    if args.output.suffix.lower() not in (".mp4", ".mkv", ".mov"):
        raise UsageError(f"-o {args.output}: the name must end in .mp4, .mov or .mkv")
    return RenderOptions(
        track=args.track,
        output=args.output,
        picture=picture_options(args),
        start=number("--start", args.start, 0, 1e6),
        duration=number("--duration", args.duration, 0.05, 1e7) if args.duration is not None else None,
        perform=args.perform,
        stats=args.stats,
        metrics=args.metrics,
    )


def run(args: argparse.Namespace) -> int:
    """Render the film, with a progress bar."""
    options = render_options(args)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from vjengine.engine.offline import OfflineEngine, Progress

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("getting ready", total=None)

        def show(progress: Progress) -> None:
            bar.update(task, description="rendering", completed=progress.done, total=progress.total)

        def prepare(text: str) -> None:
            bar.update(task, description=text)

        engine = OfflineEngine(options, progress=show, say=prepare)

        def interrupt(number: int, frame: FrameType | None) -> None:
            engine.interrupted = True

        before = signal.signal(signal.SIGINT, interrupt)
        try:
            report = engine.run()
        finally:
            signal.signal(signal.SIGINT, before)
    if report.error:
        print(f"vjengine: {report.error}; what there is: {report.path}", file=sys.stderr)
        return 1
    print(f"{report.frames} frames, {report.seconds:.2f} s: {report.path}")
    return 130 if engine.interrupted else 0
