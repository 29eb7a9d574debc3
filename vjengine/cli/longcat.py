"""``vjengine longcat``: a film carried on from its own last pictures, for as long as it is asked to be."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vjengine.cli.arguments import number
from vjengine.errors import UsageError

if TYPE_CHECKING:
    from vjengine.offline.longcat.job import Forecast, Job

DESCRIPTION = """\
Make a film that carries itself on: each chunk of pictures is made from the last ones, judged, held to its scene, and
written; so it can be as long as a night. It can be left at any moment (Ctrl-C, a crash, a power cut), and the same
command goes on where it was.

  vjengine longcat "an ocean of silk" -o film.mp4 --seconds 60
  vjengine longcat "neon city, rain" -o film.mp4 --match-audio track.flac          moves by the music, ends with it
  vjengine longcat -o film.mp4 --image photo.jpg --seconds 90                      begins with a picture of yours
  vjengine longcat "coral reef" -o film.mp4 --seconds 120 --continuation svd --finish-fps 60 --finish-size 1080p
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "longcat",
        help="a film that carries itself on, for minutes to hours",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("text", nargs="?", default="", metavar="PROMPT", help="what is to be seen")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="film to write, .mp4")
    _add_length(parser.add_argument_group("length (one of these)"))
    _add_scene(parser.add_argument_group("what is to be seen"))
    _add_making(parser.add_argument_group("how it is made"))
    _add_keeping(parser.add_argument_group("how it is kept together"))
    _add_finish(parser.add_argument_group("at the end, and beside it"))
    parser.set_defaults(func=run)


def _add_length(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--seconds", metavar="S", help="so many seconds")
    group.add_argument("--frames", metavar="N", help="so many pictures")
    group.add_argument("--match-audio", type=Path, metavar="TRACK", help="as long as the track, and with its sound")


def _add_scene(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--prompt", metavar="TEXT", help="the same as PROMPT")
    group.add_argument("--negative", default="", metavar="TEXT", help="what is not to be seen")
    group.add_argument("--prompts", type=Path, metavar="FILE", help="YAML: from when on what is to be seen")
    group.add_argument("--image", type=Path, metavar="FILE", help="begin with this picture")
    group.add_argument("--video", type=Path, metavar="FILE", help="begin with the end of this video")
    group.add_argument("--size", default="1024x576", metavar="WxH", help="size (default: 1024x576)")
    group.add_argument("--fps", metavar="N", help="pictures a second (default: what the continuation does best)")
    group.add_argument("--seed", type=int, default=1, metavar="N", help="seed of everything random (default: 1)")
    group.add_argument(
        "--motion", default="", metavar="X", help="how much moves: 0-1, or music (default: music with a track, or 0.5)"
    )


def _add_making(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--continuation",
        metavar="NAME",
        help="what makes the pictures: builtin (needs nothing), svd, turbo, comfyui, replicate (default: builtin, or "
        "svd with its --model)",
    )
    group.add_argument("--model", metavar="NAME", help="model of the continuation: a name, a folder, owner/name")
    group.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="an option of the continuation; repeatable"
    )
    group.add_argument("--chunk", type=int, default=0, metavar="N", help="pictures at a time (default: as it likes)")
    group.add_argument("--guidance", default="1:2", metavar="A:B", help="guidance of a chunk, from:to (default: 1:2)")
    group.add_argument(
        "--noise", default="0.02", metavar="X", help="noise on the conditioning picture, 0-0.1 (default: 0.02)"
    )
    group.add_argument(
        "--handover", choices=("16bit", "latent"), help="what one chunk hands to the next (continuations with latents)"
    )


def _add_keeping(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--tail", default="last", metavar="T", help="a chunk ends with its last picture, or best:N of its last N"
    )
    group.add_argument(
        "--anchor", choices=("fixed", "glide", "none"), default="fixed", help="what later pictures belong to"
    )
    group.add_argument("--seam", type=int, default=4, metavar="N", help="pictures a seam is blended over (default: 4)")
    group.add_argument("--retries", type=int, default=3, metavar="N", help="times a bad chunk is redone (default: 3)")
    group.add_argument("--no-gates", dest="gates", action="store_false", help="take every chunk that is a new one")
    group.add_argument(
        "--stabilise",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="hold colours and detail to the scene's first pictures (default: where the continuation needs it)",
    )


def _add_finish(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--finish-fps", metavar="N", help="interpolate to so many pictures a second")
    group.add_argument("--finish-size", metavar="WxH", help="enlarge: 1920x1080, 1080p, 4k")
    group.add_argument("--metrics", type=Path, metavar="FILE", help="stability log (see `vjengine stability`)")
    group.add_argument("--fresh", action="store_true", help="throw away what an earlier run made, and begin anew")
    group.add_argument("--dry-run", action="store_true", help="say what would be made, how long it takes, what memory")


def job_of(args: argparse.Namespace) -> Job:
    """Return the job that ``args`` ask for.

    Raises:
        UsageError, ConfigError: if a value makes no sense.
    """
    from vjengine.engine.options import parse_size
    from vjengine.offline.longcat.job import Job
    from vjengine.offline.longcat.prompts import Prompts, Wish, read_prompts
    from vjengine.offline.longcat.registry import implied

    if args.text and args.prompt:
        raise UsageError("PROMPT and --prompt: give one of them")
    text = " ".join((args.prompt or args.text).split())
    prompts = Prompts((Wish(0.0, text, args.negative),))
    if args.prompts is not None:
        prompts = read_prompts(args.prompts, text, args.negative)
    if args.seconds is not None and args.frames is not None:
        raise UsageError("--seconds and --frames: give one of them")
    motion = args.motion or ("music" if args.match_audio else "0.5")
    return Job(
        output=args.output,
        size=parse_size(args.size),
        seconds=number("--seconds", args.seconds, 0.01, 24 * 3600) if args.seconds is not None else None,
        frames=int(number("--frames", args.frames, 1, 1e8)) if args.frames is not None else None,
        track=args.match_audio,
        prompts=prompts,
        image=args.image,
        video=args.video,
        continuation=args.continuation or implied(args.model or ""),
        options=_options(args),
        fps=_rate("--fps", args.fps) if args.fps else None,
        seed=args.seed,
        chunk=args.chunk,
        best_of=_tail(args.tail),
        anchor=args.anchor,
        guidance=_pair("--guidance", args.guidance),
        motion=None if motion == "music" else number("--motion", motion, 0, 1),
        noise=number("--noise", args.noise, 0, 0.1),
        seam=args.seam,
        retries=args.retries,
        gates=args.gates,
        stabilise=args.stabilise,
        metrics=args.metrics,
        fresh=args.fresh,
    )


def _finishing(args: argparse.Namespace, job: Job) -> Job:
    if not (args.finish_fps or args.finish_size):
        return job
    from vjengine.offline.finish.options import FinishOptions, named_size

    options = FinishOptions(
        fps=_rate("--finish-fps", args.finish_fps) if args.finish_fps else None,
        size=named_size(args.finish_size) if args.finish_size else None,
        title=args.output.stem,
    )
    options.check()
    return replace(job, finish=options)


def _options(args: argparse.Namespace) -> dict[str, object]:
    options: dict[str, object] = {}
    for text in args.option:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--option {text!r}: expected KEY=VALUE, such as steps=20")
        options[key.strip()] = value.strip()
    if args.model:
        options["model"] = args.model
    if args.handover:
        options["handover"] = {"16bit": "picture", "latent": "latent"}[args.handover]
    return options


def _rate(option: str, text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 1 <= rate <= 240:
        raise UsageError(f"{option} {text!r}: expected 1 to 240, such as 30 or 30000/1001")
    return rate


def _pair(option: str, text: str) -> tuple[float, float]:
    first, colon, last = text.partition(":")
    return number(option, first, 0, 20), number(option, last if colon else first, 0, 20)


def _tail(text: str) -> int:
    if text == "last":
        return 1
    kind, _, count = text.partition(":")
    if kind != "best":
        raise UsageError(f"--tail {text!r}: expected last, or best:N such as best:6")
    return int(number("--tail", count or "6", 1, 64))


def run(args: argparse.Namespace) -> int:
    """Make the film, with a progress bar."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    from vjengine.offline.longcat.job import forecast, run_job
    from vjengine.offline.progress import Interrupt, Meter, span

    job = _finishing(args, job_of(args))
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Bar(*columns, console=console, transient=not console.is_terminal) as bar:
        task = bar.add_task("getting ready", total=None, left="")
        meter: list[Meter] = []

        def say(words: str) -> None:
            bar.console.print(words, markup=False)

        def doing(words: str, fraction: float) -> None:
            bar.update(task, description=f"{words} {fraction:4.0%}" if fraction >= 0 else words)

        def tell(done: int, total: int, reused: int) -> None:
            if not meter:
                meter.append(Meter(total, reused))
            left = meter[0].at(done).remaining
            bar.update(task, completed=done, total=total, left=f"{span(left)} left" if left is not None else "")

        command = shlex.join(["vjengine", *[word for word in sys.argv[1:] if word != "--fresh"]])
        with Interrupt(command, say, doing) as keeper:
            if args.dry_run:
                found = forecast(job, keeper)
            else:
                made = run_job(job, keeper, say=say, tell=tell)
    if args.dry_run:
        _show(found, job)
        return 0
    tally = made.tally
    before = f", {tally.reused} chunks of them from an earlier run" if tally.reused else ""
    again = f"; {tally.retried} takes refused, {tally.kept} kept for want of a better one" if tally.retried else ""
    print(f"{made.frames} pictures, {made.seconds:.2f} s, made in {span(made.spent)}{before}{again}: {made.film}")
    return 0


def _show(found: Forecast, job: Job) -> None:
    from vjengine.offline.progress import span

    settings = found.settings
    width, height = settings.size
    print(f"film      {job.output}: {settings.seconds:.2f} s, {settings.frames} pictures of {width}x{height} "
          f"at {float(settings.fps):g} a second")  # fmt: skip
    print(f"made by   {job.continuation}, about {found.chunks} chunks of {found.chunk} pictures; seed {settings.seed}")
    for wish in settings.prompts.wishes:
        print(f"{wish.time:8.1f}  {wish.prompt or '(left to the continuation)'}")
    print(f"memory    {found.host:.0f} MiB" + (f", {found.device:.0f} MiB on the device" if found.device else ""))
    if found.words:
        print(f"          {found.words}")
    if found.pace:
        spent = span(settings.frames / found.pace)
        print(f"time      about {spent}, by a short trial ({found.pace:.1f} pictures a second), and for encoding")
    else:
        print("time      not known before the first chunk; it is shown while it runs")
    print(f"run in    {job.folder}")
