"""``vjengine finish``: what comes out of a render becomes what is handed over."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path

from vjengine.errors import UsageError

DESCRIPTION = """\
Finish a film: more pictures a second along the motion, larger, graded, with the music under it, encoded once. It goes
on where it was if it is interrupted. --export makes shorts, a square loop, a thumbnail and YouTube's texts besides.
"""

EPILOG = """\
examples:
  vjengine finish base.mkv --audio track.wav -o film.mp4
  vjengine finish base.mkv -o film.mp4 --fps 59.94 --size 4k --grade exposure=0.2,saturation=1.1
  vjengine finish base.mkv --audio track.wav -o film.mov --encoder prores
  vjengine finish base.mkv --audio track.wav -o film.mp4 --export master,shorts,square,thumbnail,youtube --title "Night"
"""

EXPORTS = ("master", "shorts", "square", "thumbnail", "youtube")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "finish",
        help="finish a film: 60 pictures a second, size, grade, sound, exports",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("film", type=Path, help="film to finish")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="finished film, .mp4, .mov or .mkv (default: FILM-final.mp4)"
    )
    parser.add_argument("--audio", type=Path, metavar="FILE", help="the music (default: the film's own sound)")
    parser.add_argument("--audio-start", default="0", metavar="S", help="s into the music at which the film begins")
    parser.add_argument("--fps", default="60", metavar="N", help="60, 59.94, 30 ..., or `same` (default: 60)")
    parser.add_argument("--size", metavar="SIZE", help="720p, 1080p, 1440p, 4k or WxH (default: as it is)")
    parser.add_argument(
        "--fit", choices=("fill", "pad"), default="fill", help="other proportions: cut off (fill) or leave black (pad)"
    )
    parser.add_argument(
        "--interpolate",
        default="dis",
        metavar="HOW",
        help="pictures in between: dis (along the motion), minterpolate (FFmpeg), rife (if installed), hold (none)",
    )
    parser.add_argument("--upscale", default="lanczos", metavar="HOW", help="lanczos, or realesrgan (if installed)")
    parser.add_argument(
        "--grade", default="", metavar="WHAT", help="exposure=STOPS,contrast=1.1,saturation=1.1,lut=FILE.cube"
    )
    parser.add_argument(
        "--encoder",
        default="auto",
        metavar="NAME",
        help="auto (NVENC if it opens, or x264), x264, nvenc, prores, av1",
    )
    parser.add_argument("--crf", type=int, metavar="N", help="quality, lower is better (default: the encoder's usual)")
    parser.add_argument("--export", default="master", metavar="LIST", help=f"any of {','.join(EXPORTS)}")
    parser.add_argument("--title", default="", help="title of the film")
    parser.add_argument("--artist", default="", help="who made the music")
    parser.add_argument(
        "--chapters", type=Path, metavar="FILE", help="lines of `0:00 Title` (default: the music's sections)"
    )
    parser.add_argument("--tags", default="", metavar="A,B", help="tags for YouTube")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="segments at a time (default: 2)")
    parser.add_argument("--fresh", action="store_true", help="throw away what an interrupted run left")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Finish the film, with a progress bar."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar

    from vjengine.offline.clips import clip_info
    from vjengine.offline.finish.cadence import parse_rate
    from vjengine.offline.finish.exports import ExportSet, export
    from vjengine.offline.finish.film import finish, parts_of
    from vjengine.offline.finish.grade import parse_grade
    from vjengine.offline.finish.options import FinishOptions, named_size
    from vjengine.offline.finish.youtube import read_chapters
    from vjengine.offline.progress import Interrupt, Progress, span

    wanted = tuple(part.strip() for part in args.export.split(",") if part.strip())
    unknown = [part for part in wanted if part not in EXPORTS]
    if unknown or not wanted:
        raise UsageError(f"--export {args.export!r}: expected some of {','.join(EXPORTS)}")
    if not 1 <= args.jobs <= 64:
        raise UsageError(f"--jobs {args.jobs}: expected from 1 to 64")
    try:
        fps = None if args.fps == "same" else parse_rate(args.fps)
        start = float(args.audio_start)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if not 0 <= start < 1e6:
        raise UsageError(f"--audio-start {args.audio_start}: expected s, from 0")
    out = args.output or args.film.with_name(f"{args.film.stem}-final.mp4")
    chapters = read_chapters(args.chapters) if args.chapters is not None else ()
    options = FinishOptions(
        fps=fps,
        size=named_size(args.size) if args.size else None,
        interpolate=args.interpolate,
        upscale=args.upscale,
        fit=args.fit,
        grade=parse_grade(args.grade),
        encoder=args.encoder,
        crf=args.crf,
        processes=args.jobs,
        title=args.title,
        artist=args.artist,
        chapters=chapters,
        sound_start=start,
    )
    options.check()
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("getting ready", total=None, left="")
        again = "vjengine finish " + shlex.join(sys.argv[2:])
        with Interrupt(again, lambda text: console.print(text, soft_wrap=True, highlight=False)) as interrupt:

            def show(state: Progress) -> None:
                interrupt.check()
                left = state.remaining
                words = f"{state.done}/{state.total}" + ("" if left is None else f", {span(left)} left")
                bar.update(task, description=state.words, completed=state.done, total=state.total, left=words)

            more = set(wanted) != {"master"}
            done = finish(args.film, out, options, audio=args.audio, progress=show, fresh=args.fresh, keep=more)
            made = export(
                done.path,
                ExportSet(wanted, title=args.title or out.stem, artist=args.artist, tags=args.tags, chapters=chapters),
                audio=args.audio,
                audio_start=start,
                options=options,
                progress=show,
                folder=parts_of(out) if more else None,
            )
            if more:
                shutil.rmtree(parts_of(out), ignore_errors=True)
    info = clip_info(done.path)
    size = f"{done.size[0]}x{done.size[1]}"
    print(f"{done.frames} pictures, {float(info.duration):.2f} s, {size}, {done.encoder}: {done.path}")
    for path in made:
        print(path)
    return 0
