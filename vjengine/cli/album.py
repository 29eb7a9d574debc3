"""``vjengine album``: many tracks, one gapless film."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vjengine.cli.arguments import number
from vjengine.errors import UsageError

if TYPE_CHECKING:
    from vjengine.offline.album.album import AlbumAsk
    from vjengine.offline.album.job import Job
    from vjengine.offline.album.setlist import Setlist
    from vjengine.offline.album.work import News, Pool
    from vjengine.offline.pieces import Piece

DESCRIPTION = """\
Render many tracks to one film: the sound gapless to the sample, a chapter a track, each track with its own look and
seed. Finished tracks are kept beside the film, so that a run that was stopped, or a setlist that was edited, renders
only what is missing. SETLIST is a YAML file, a playlist (.m3u, .m3u8) or a folder of tracks.
"""

EPILOG = """\
a setlist:
  title: Doors at Ten
  artist: Somebody
  defaults: {size: 1920x1080, fps: 60, look: default, seed: 7, crossfade: 2}   # s, 1 if not given
  tracks:
    - 01 arrival.flac
    - {file: 02 undertow.flac, look: deepsea, gap: 1.5}
    - {file: 03 ignition.flac, title: Ignition, look: magma, seed: 99, start: 12, duration: 240}
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "album",
        help="render many tracks to one gapless film",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("setlist", type=Path, help="setlist (.yaml), playlist (.m3u) or folder of tracks")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="film to write, .mp4")
    parser.add_argument("--workers", metavar="N", help="tracks rendered at a time (default: 1; on Ray all it has)")
    parser.add_argument("--threads", metavar="N", help="processors for each worker (default: a fair share)")
    parser.add_argument("--ray", metavar="ADDRESS", help="render on a Ray cluster: HOST:PORT, auto, or local")
    parser.add_argument(
        "--retries", default="2", metavar="N", help="how often a track is begun anew whose worker was lost (default: 2)"
    )
    parser.add_argument("--run-folder", type=Path, metavar="DIR", help="where tracks are kept (default: NAME.album)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where what was heard in tracks is kept")
    parser.add_argument("--fresh", action="store_true", help="throw away what was rendered before")
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be rendered and what it takes: time, memory, disk"
    )
    parser.add_argument("--sound", choices=("aac", "flac", "pcm"), default="aac", help="sound's codec (default: aac)")
    group = parser.add_argument_group("instead of what the setlist says")
    group.add_argument("--size", metavar="WxH", help="size of the film")
    group.add_argument("--fps", metavar="N", help="frames a second")
    group.add_argument("--seed", type=int, metavar="N", help="seed from which the tracks' own are derived")
    group.add_argument("--look", "--preset", dest="look", metavar="NAME", help="look of every track")
    group.add_argument("--generator", metavar="NAME", help="generator of every track")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Render the album, with its progress."""
    if args.output.suffix.lower() not in (".mp4", ".mkv", ".mov"):
        raise UsageError(f"-o {args.output}: the name must end in .mp4, .mov or .mkv")
    workers = _count("--workers", args.workers, 1, 256)
    threads = _count("--threads", args.threads, 1, 1024)
    retries = int(number("--retries", args.retries, 0, 100))
    from rich.console import Console

    from vjengine.offline.album.album import AlbumAsk, Teller, make_album
    from vjengine.offline.album.setlist import read_setlist, with_tags
    from vjengine.offline.progress import Interrupt

    setlist = with_tags(_with_arguments(read_setlist(args.setlist), args))
    console = Console(stderr=True)
    for warning in setlist.warnings:
        console.print(f"vjengine: {warning}", markup=False, highlight=False, soft_wrap=True)
    if args.ray is not None:
        from vjengine.offline.album.ray_pool import load_ray

        load_ray()
    ask = AlbumAsk(args.output, args.run_folder, args.cache, retries, args.fresh, args.sound)
    if args.dry_run:
        return _plan(setlist, ask, min(workers or 1, len(setlist.tracks)))

    def make_pool(jobs: int) -> Pool:
        if args.ray is not None:
            from vjengine.offline.album.ray_pool import RayPool

            return RayPool(args.ray, jobs=jobs, workers=workers, threads=threads, retries=retries)
        from vjengine.offline.album.local import LocalPool

        return LocalPool(min(jobs, workers or 1), threads)

    def say(line: str) -> None:
        console.print(f"vjengine: {line}", markup=False, highlight=False, soft_wrap=True)

    go_on = shlex.join(["vjengine", *[a for a in sys.argv[1:] if a != "--fresh"]])
    with _Show(console, setlist) as show, Interrupt(go_on, say) as interrupt:

        def doing(words: str, share: float) -> None:
            interrupt.check()
            show.doing(words, share)

        teller = Teller(show.planned, show.news, doing, lambda: interrupt.asked, say)
        try:
            album = make_album(setlist, ask, make_pool, teller)
        except KeyboardInterrupt:
            say(f"interrupted; finished tracks are in {ask.run_folder}")
            return 130
    print(f"{album.frames} frames, {album.samples / 48000:.2f} s, {len(setlist.tracks)} tracks: {album.film}")
    print(f"rendered {album.made}, kept {album.reused}; report: {album.page}")
    if album.unused:
        print(f"{album.unused / 1e6:.0f} MB in {ask.run_folder} belong to tracks no longer in the setlist")
    return 0


def _count(option: str, text: str | None, low: int, high: int) -> int | None:
    if text is None:
        return None
    value = number(option, text, low, high)
    if value != int(value):
        raise UsageError(f"{option} {text!r}: expected a whole number")
    return int(value)


def _with_arguments(setlist: Setlist, args: argparse.Namespace) -> Setlist:
    from vjengine.engine.options import parse_size

    changes: dict[str, Any] = {}
    if args.size:
        changes["size"] = parse_size(args.size)
    if args.fps:
        changes["fps"] = number("--fps", args.fps, 1, 240)
    if args.seed is not None:
        changes["seed"] = args.seed
    named = {name: getattr(args, name) for name in ("look", "generator") if getattr(args, name)}
    return replace(setlist, tracks=tuple(replace(entry, **named) for entry in setlist.tracks), **changes)


def _plan(setlist: Setlist, ask: AlbumAsk, workers: int) -> int:
    """Show what would be rendered, and what it takes."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from vjengine.audio.files import probe
    from vjengine.offline.album.job import plan_jobs
    from vjengine.offline.album.rehearsal import Planned, rehearse_album
    from vjengine.offline.album.report import clock

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "at", "title", "length", "frames", "look", "seed", "gap", "crossfade", ""):
        table.add_column(name, justify="left" if name in ("title", "look") else "right")
    at = 0.0
    seen: set[str] = set()
    tracks: list[Planned] = []
    cache = ask.cache or ask.run_folder / "heard"
    jobs = plan_jobs(setlist, cache if cache.is_dir() else None)  # nothing is to be written
    for job, entry in zip(jobs, setlist.tracks, strict=True):
        length = entry.duration if entry.duration is not None else probe(entry.file).duration - entry.start
        there = (ask.run_folder / f"track-{job.key[:20]}" / "000000" / "piece.json").is_file() and not ask.fresh
        count = round((length + entry.gap) * setlist.fps)
        look = f"{entry.look}, {entry.score.name}" if entry.score is not None else entry.look
        row = (
            str(job.index + 1), clock(at), job.title, clock(length), str(count), look,
            str(job.options.picture.seed), f"{entry.gap:g} s", f"{entry.crossfade or 0:g} s",
            "is there" if there else "",
        )  # fmt: skip
        table.add_row(*(Text(cell) for cell in row))
        tracks.append(Planned(job, count, there or job.key in seen))
        seen.add(job.key)
        at += length + entry.gap
    console = Console(stderr=True, highlight=False)
    with console.status("trying a few frames") as status:
        estimate = rehearse_album(tracks, lambda words: status.update(Text(words)))
    Console().print(table)
    width, height = setlist.size
    print(
        f"{len(setlist.tracks)} tracks, {clock(at)}, about {sum(track.frames for track in tracks)} frames of "
        f"{width}x{height} at {setlist.fps:g} fps"
    )
    print("\n".join(estimate.lines(ask.output, workers)))
    return 0


class _Show:
    """The progress of an album on a terminal: the whole, and a line for each track in the making."""

    def __init__(self, console: Any, setlist: Setlist) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=console, transient=True)
        self._console = console
        self._setlist = setlist
        self._whole = self._bar.add_task("getting ready", total=None)
        self._lines: dict[int, Any] = {}
        self._totals: dict[int, int] = {}
        self._done: dict[int, int] = {}

    def __enter__(self) -> _Show:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def doing(self, words: str, share: float) -> None:
        """Show a step beside rendering."""
        total, done = (1000, round(share * 1000)) if share >= 0 else (None, 0)
        self._bar.update(self._whole, description=words, total=total, completed=done)

    def planned(self, jobs: Sequence[Job], there: Mapping[str, Piece]) -> None:
        """Learn what is to be done; lengths are the files' own words until they are heard."""
        from vjengine.audio.files import probe

        seen: set[str] = set(there)
        for job in jobs:
            if job.key in seen:
                continue
            seen.add(job.key)
            options = job.options
            seconds = options.duration or max(0.0, probe(options.track).duration - options.start)
            self._totals[job.index] = round(seconds * job.fps) + job.tail + round(job.gap * job.fps / job.rate)
        self._bar.update(self._whole, description="rendering", total=sum(self._totals.values()), completed=0)

    def news(self, news: News) -> None:
        """Show what the pool says."""
        from vjengine.offline.album.work import Broken, Lost, Step

        job = news.job
        name = f"{job.index + 1}. {job.title}"
        if isinstance(news, Step):
            if job.index not in self._lines:
                self._lines[job.index] = self._bar.add_task(name, total=None)
            if news.total:
                self._totals[job.index] = news.total
            self._done[job.index] = news.done
            self._bar.update(
                self._lines[job.index], description=f"{name[:40]}: {news.doing[:40]}",
                total=news.total or None, completed=news.done,
            )  # fmt: skip
        else:
            line = self._lines.pop(job.index, None)
            if line is not None:
                self._bar.remove_task(line)
            if isinstance(news, Lost):
                self._say(f"{name}: {news.why}")
            elif isinstance(news, Broken):
                self._say(f"{name}: {news.error}" + ("; once more" if news.again else ""))
            else:
                self._done[job.index] = self._totals[job.index]
        self._bar.update(self._whole, total=sum(self._totals.values()), completed=sum(self._done.values()))

    def _say(self, line: str) -> None:
        self._console.print(f"vjengine: {line}", markup=False, highlight=False, soft_wrap=True)
