"""``vjengine render``: the same show, offline."""

from __future__ import annotations

import argparse
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from vjengine.cli.arguments import add_metrics_argument, add_picture_arguments, number, picture_options
from vjengine.engine.options import WARM_UP, RenderOptions
from vjengine.errors import UsageError

if TYPE_CHECKING:
    from vjengine.audio.track import TrackAnalysis
    from vjengine.offline.score.model import Score
    from vjengine.offline.score.staging import Staged

DESCRIPTION = """\
Render a track to a film, frame by frame, as slowly as it takes. The same inputs and seed give the same bytes.

A score says what happens when: scenes, cues, prompts and parameters, at seconds, beats (32b), bars (16|) or sections
(drop 2). presets/scores/example.yaml is one to copy. See what it comes to before you render it:
    vjengine render track.flac --score score.yaml --dry-run --waveform plan.png
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "render",
        help="render a track to a film",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("track", type=Path, help="audio file")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="film to write, .mp4, .mov or .mkv")
    parser.add_argument("--score", type=Path, metavar="FILE", help="what happens when, as YAML")
    parser.add_argument("--start", default="0", metavar="S", help="start this many seconds into the track")
    parser.add_argument("--duration", metavar="S", help="render only so many seconds")
    parser.add_argument(
        "--warm-up",
        default=str(WARM_UP),
        metavar="S",
        help=f"how long the show has been running when the film begins (default: {WARM_UP:g}); 0: trails begin empty",
    )
    parser.add_argument("--perform", type=Path, metavar="FILE", help="play back a recorded performance")
    parser.add_argument("--stats", type=Path, metavar="FILE", help="write figures of the run as JSON")
    parser.add_argument(
        "--dry-run", action="store_true", help="show the plan and what it will take; try a few frames, render nothing"
    )
    add_metrics_argument(parser)
    look = parser.add_argument_group("previews")
    look.add_argument(
        "--preview", type=Path, metavar="DIR", help="all of these into a folder: sheet, snippet, waveform"
    )
    look.add_argument("--sheet", type=Path, metavar="FILE", help="contact sheet of the film, .png or .jpg")
    look.add_argument("--snippet", type=Path, metavar="FILE", help="some seconds of the film, .gif or .webm")
    look.add_argument("--at", default="0", metavar="S", help="where in the film the snippet begins (default: 0)")
    look.add_argument("--for", dest="length", default="4", metavar="S", help="how long it is (default: 4)")
    look.add_argument(
        "--waveform", type=Path, metavar="FILE", help="the track with its sections, scenes and cues; needs no film"
    )
    add_picture_arguments(parser, size="1280x720", fps="60", generator_fps="as many as the film has")
    parser.set_defaults(func=run, seed=None)


def render_options(args: argparse.Namespace, score: Score | None = None) -> RenderOptions:
    """Return the options that ``args`` ask for; where they name no seed, ``score`` does.

    Raises:
        UsageError: if a value makes no sense.
    """
    output = args.output
    if output is None:
        if not (args.dry_run or args.waveform is not None) or args.sheet or args.snippet or args.preview:
            raise UsageError("-o is missing: name the film to write, as in -o film.mp4")
        output = Path(f"{args.track.stem}.mp4")
    if output.suffix.lower() not in (".mp4", ".mkv", ".mov"):
        raise UsageError(f"-o {output}: the name must end in .mp4, .mov or .mkv")
    seed = args.seed
    if seed is None:
        seed = score.seed if score is not None and score.seed is not None else 1
    return RenderOptions(
        track=args.track,
        output=output,
        picture=picture_options(argparse.Namespace(**{**vars(args), "seed": seed})),
        start=number("--start", args.start, 0, 1e6),
        duration=number("--duration", args.duration, 0.05, 1e7) if args.duration is not None else None,
        warm_up=number("--warm-up", args.warm_up, 0, 60),
        perform=args.perform,
        stats=args.stats,
        metrics=args.metrics,
    )


@dataclass(frozen=True, slots=True)
class Previews:
    """Which previews are wanted, and where; checked before anything is rendered."""

    sheet: Path | None
    snippet: Path | None
    waveform: Path | None
    at: float
    length: float


def wanted_previews(args: argparse.Namespace) -> Previews:
    """Return what ``args`` ask for.

    Raises:
        UsageError: if a value makes no sense.
        RecordError: if something cannot be written where it is wanted.
    """
    at, length = number("--at", args.at, 0, 1e7), number("--for", args.length, 0.05, 600)
    sheet, moving, wave = args.sheet, args.snippet, args.waveform
    if args.preview is not None:
        try:
            args.preview.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--preview {args.preview}: {error.strerror or error}") from error
        sheet, moving = sheet or args.preview / "sheet.jpg", moving or args.preview / "snippet.webm"
        wave = wave or args.preview / "waveform.png"
    if sheet or moving or wave:
        from vjengine.offline.preview.drawing import check_picture
        from vjengine.offline.preview.snippet import check_snippet

        for picture in (sheet, wave):
            if picture is not None:
                check_picture(picture)
        if moving is not None:
            check_snippet(moving, length)
    return Previews(sheet, moving, wave, at, length)


def run(args: argparse.Namespace) -> int:
    """Render the film, with a progress bar; before it the plan, after it the previews."""
    score = _score(args.score)
    options, previews = render_options(args, score), wanted_previews(args)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from vjengine.offline.score.staging import stage

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=args.dry_run) as bar:
        task = bar.add_task("getting ready", total=None)
        listens = previews.waveform is not None or (score is not None and score.listens)
        staged = stage(options, score, _listen(options, bar, task) if listens else None)
        if previews.waveform is not None:
            _draw(staged, previews.waveform)
        if args.dry_run:
            from vjengine.offline.score.rehearsal import plan_lines, rehearse

            lines = list(plan_lines(staged))
            bar.update(task, description="trying a few frames", total=None)
            lines += rehearse(staged, lambda text: bar.update(task, description=text)).lines(options.output)
        elif args.output is not None:
            _warn(staged, bar.console)
            return _render(staged, previews, bar, task)
    if args.dry_run:
        print("\n".join(lines))
    return 0


def _score(path: Path | None) -> Score | None:
    if path is None:
        return None
    from vjengine.offline.score.reader import load_score

    return load_score(path)


def _listen(options: RenderOptions, bar: Any, task: Any) -> TrackAnalysis:
    from vjengine.offline.score.staging import kept_folder, listen

    def show(share: float) -> None:
        bar.update(task, description="listening", total=100, completed=round(100 * share))

    analysis = listen(options.track, show, cache=kept_folder())
    bar.reset(task, total=None, description="getting ready")
    return analysis


def _draw(staged: Staged, path: Path) -> None:
    from vjengine.offline.preview import waveform
    from vjengine.offline.score.staging import lanes_and_marks

    if staged.analysis is None:
        return
    lanes, marks = lanes_and_marks(staged.timeline) if staged.timeline is not None else ({}, [])
    waveform(staged.analysis, path, lanes=lanes, marks=marks, title=staged.options.track.name)


def _warn(staged: Staged, console: Any) -> None:
    for warning in staged.timeline.warnings if staged.timeline is not None else ():
        console.print(f"warning: {warning}", markup=False, highlight=False, soft_wrap=True)


def _render(staged: Staged, previews: Previews, bar: Any, task: Any) -> int:
    from vjengine.engine.offline import Progress

    def show(progress: Progress) -> None:
        bar.update(task, description="rendering", completed=progress.done, total=progress.total)

    engine = staged.engine(progress=show, say=lambda text: bar.update(task, description=text))

    def interrupt(number: int, frame: FrameType | None) -> None:
        engine.interrupted = True

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        report = engine.run()
    finally:
        signal.signal(signal.SIGINT, before)
    if engine.interrupted and not report.frames:
        bar.stop()
        print("vjengine: interrupted before the first picture: there is no film", file=sys.stderr)
        return 130
    if report.error:
        bar.stop()
        there = f"; what there is: {report.path}" if report.path.is_file() else ""
        print(f"vjengine: {report.error}{there}", file=sys.stderr)
        return 1
    try:
        if not engine.interrupted:
            _preview(report.path, previews, bar, task)
    finally:
        bar.stop()
        print(f"{report.frames} frames, {report.seconds:.2f} s: {report.path}")
    return 130 if engine.interrupted else 0


def _preview(film: Path, previews: Previews, bar: Any, task: Any) -> None:
    from vjengine.offline.preview import contact_sheet, snippet

    if previews.sheet is None and previews.snippet is None:
        return
    bar.update(task, description="previews", total=None)
    if previews.sheet is not None:
        contact_sheet(film, previews.sheet, title=film.name)
    if previews.snippet is not None:
        snippet(film, previews.snippet, previews.at, previews.length)
