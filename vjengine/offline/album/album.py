"""A whole album: plan, render what is not there yet, put it together, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vjengine.errors import VJError
from vjengine.offline import disk
from vjengine.offline.album import assemble
from vjengine.offline.album.assemble import Part
from vjengine.offline.album.job import Job, TrackFilm, plan_jobs
from vjengine.offline.album.report import describe, draw_pictures, write_report
from vjengine.offline.album.setlist import Setlist
from vjengine.offline.album.timeline import Slot
from vjengine.offline.album.work import Failure, News, Pool, run_jobs
from vjengine.offline.clips import Chapter, Sound, add_sound, join
from vjengine.offline.manifest import RunFolder, plan_hash
from vjengine.offline.pieces import Piece, PieceStore, Work
from vjengine.offline.run_report import describe as describe_film

PLAN = {"kind": "album", "format": 1}
"""What decides whether a folder holds an album; each track's own key decides about the track."""

MakePool = Callable[[int], Pool]
"""Makes the pool for so many jobs; not called if everything is there already."""


@dataclass(frozen=True, slots=True)
class AlbumAsk:
    """What is asked of an album, beside its setlist.

    Attributes:
        output: the film, .mp4, .mov or .mkv.
        folder: its run folder; None puts it beside the film.
        cache: where what was heard in tracks is kept; None keeps it in the run folder.
        retries: how often a track whose worker was lost is begun anew.
        fresh: throw away what was made before.
        sound: codec of the film's sound.
    """

    output: Path
    folder: Path | None = None
    cache: Path | None = None
    retries: int = 2
    fresh: bool = False
    sound: Sound = "aac"

    @property
    def run_folder(self) -> Path:
        """The run folder: as asked, else ``NAME.album`` beside the film."""
        return self.folder or self.output.with_name(f"{self.output.stem}.album")


@dataclass(frozen=True, slots=True)
class Album:
    """A finished album.

    Attributes:
        film: the film.
        page, data: its report, for people and for programs.
        frames, samples: exactly how long it is.
        made, reused: how many tracks were rendered now, and how many were there before.
        unused: bytes in the run folder that belong to tracks no longer in the setlist.
    """

    film: Path
    page: Path
    data: Path
    frames: int
    samples: int
    made: int
    reused: int
    unused: int


class AlbumIncomplete(VJError):
    """Some tracks could not be made; the others are kept."""

    def __init__(self, failures: Sequence[Failure], kept: int) -> None:
        self.failures = tuple(failures)
        told = "; ".join(
            f"{f.job.index + 1}. {f.job.title}: {f.error}" + (f" ({f.attempts} attempts)" if f.attempts > 1 else "")
            for f in self.failures[:5]
        )
        more = f"; and {len(self.failures) - 5} more" if len(self.failures) > 5 else ""
        kept_words = f"; {kept} finished {'track is' if kept == 1 else 'tracks are'} kept for the next attempt"
        super().__init__(f"the album is not complete: {told}{more}{kept_words if kept else ''}")


@dataclass
class Teller:
    """Whom the album tells how it goes.

    Attributes:
        planned: called once with all jobs, and which of them are there already.
        news: told of everything the pool says.
        doing: told what is done beside rendering, and how far it is, 0-1, or -1; may raise KeyboardInterrupt.
        stopped: asked whether to leave.
        say: told what is worth a line.
    """

    planned: Callable[[Sequence[Job], Mapping[str, Piece]], None] = lambda jobs, there: None
    news: Callable[[News], None] = lambda news: None
    doing: Callable[[str, float], None] = lambda words, share: None
    stopped: Callable[[], bool] = lambda: False
    say: Callable[[str], None] = lambda line: None


class _Shelf:
    """Keeps each track as the one piece of a store of its own, so that order, gaps and neighbours do not matter."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._open: dict[str, tuple[ExitStack, Work]] = {}
        self.pieces: dict[str, Piece] = {}

    def store(self, job: Job) -> PieceStore:
        return self._run.pieces(f"track-{job.key[:20]}")

    def find(self, job: Job) -> None:
        if job.key not in self.pieces and (found := self.store(job).prefix(lambda index: job.key)):
            self.pieces[job.key] = found[0]

    def begin(self, job: Job) -> str:
        stack = ExitStack()
        work = stack.enter_context(self.store(job).begin(0, job.key))
        self._open[job.key] = (stack, work)
        return str(work.folder)

    def finish(self, job: Job, film: TrackFilm) -> None:
        stack, work = self._open.pop(job.key)
        with stack:
            meta = {
                "title": job.title,
                "samples": film.samples,
                "seconds": round(film.seconds, 3),
                "seed": job.options.picture.seed,
                "heard": dict(film.heard),
                **film.notes,
            }
            self.pieces[job.key] = work.commit(film.frames, meta)

    def drop(self, job: Job) -> None:
        stack, _ = self._open.pop(job.key, (None, None))
        if stack is not None:
            stack.close()

    def unused(self, jobs: Sequence[Job]) -> int:
        """Return the bytes of tracks that none of ``jobs`` asks for."""
        used = {self.store(job).folder.name for job in jobs}
        folders = [path for path in self._run.path.glob("track-*") if path.name not in used]
        return sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file())


def make_album(setlist: Setlist, ask: AlbumAsk, make_pool: MakePool, teller: Teller | None = None) -> Album:
    """Render ``setlist`` to a film, or go on where an earlier attempt was left.

    Args:
        setlist: with every track checked, see :func:`~vjengine.offline.album.setlist.with_tags`.
        ask: where to, and how.
        make_pool: who does the work.
        teller: told how it goes.

    Raises:
        AlbumIncomplete: some tracks cannot be made; all others are, and are kept.
        KeyboardInterrupt: ``teller`` said to stop; finished tracks are kept.
        VJError: as its subclasses say.
    """
    teller = teller or Teller()
    folder = ask.run_folder
    with RunFolder.open(folder, PLAN, fresh=ask.fresh, say=teller.say) as run:
        teller.doing("reading the tracks", -1.0)
        jobs = plan_jobs(setlist, ask.cache or folder / "heard")
        run.note("setlist", {"source": setlist.source, "title": setlist.title, "seed": setlist.seed})
        run.note("tracks", [{"file": j.options.track, "key": j.key, "seed": j.options.picture.seed} for j in jobs])
        shelf = _Shelf(run)
        for job in jobs:
            teller.doing(f"checking {job.title}", -1.0)
            shelf.find(job)
        reused = [job.key in shelf.pieces for job in jobs]
        teller.planned(jobs, dict(shelf.pieces))
        todo = list({job.key: job for job in reversed(jobs) if job.key not in shelf.pieces}.values())[::-1]
        if todo:
            failures = run_jobs(
                todo, make_pool(len(todo)), shelf, retries=ask.retries, tell=teller.news, stopped=teller.stopped
            )
            if teller.stopped():
                raise KeyboardInterrupt
            if failures:
                raise AlbumIncomplete(failures, len(shelf.pieces))
        parts = [
            Part(job, piece, int(piece.meta["samples"]), piece.frames)
            for job in jobs
            for piece in (shelf.pieces[job.key],)
        ]
        return _finish(setlist, ask, run, parts, reused, len(todo), shelf.unused(jobs), teller)


def _finish(
    setlist: Setlist, ask: AlbumAsk, run: RunFolder, parts: Sequence[Part], reused: Sequence[bool], made: int,
    unused: int, teller: Teller,
) -> Album:  # fmt: skip
    slots = assemble.place(parts)
    frames, samples = sum(slot.frames for slot in slots), sum(slot.samples for slot in slots)
    tags = {
        key: value
        for key, value in {"title": setlist.title, "artist": setlist.artist, "date": setlist.date}.items()
        if value
    }
    marks = assemble.chapters(parts, slots)
    key = plan_hash(
        {"tracks": [p.piece.digest for p in parts], "tags": tags, "chapters": marks, "sound": ask.sound,
         "suffix": ask.output.suffix}
    )  # fmt: skip
    if not _is_there(run, ask.output, key):
        _write_film(ask, run, parts, slots, marks, tags, teller)
        run.note("film", {**describe_film(ask.output, run.path), "key": key})
    film: Mapping[str, Any] = run.noted("film")
    teller.doing("writing the report", -1.0)
    facts = {"frames": frames, "samples": samples, "seconds": samples / parts[0].job.rate, "sha256": film["sha256"]}
    report = describe(setlist, parts, slots, reused, facts)
    stem = ask.output.with_name(f"{ask.output.stem}.report")
    data, page = write_report(report, stem, draw_pictures(parts, stem, lambda words: teller.doing(words, -1.0)))
    return Album(ask.output, page, data, frames, samples, made, len(parts) - sum(not old for old in reused), unused)


def _is_there(run: RunFolder, output: Path, key: str) -> bool:
    """True if ``output`` is the very film that this album would become."""
    known = run.noted("film") or {}
    try:
        return known.get("key") == key and output.is_file() and disk.file_hash(output) == known.get("sha256")
    except OSError:
        return False


def _write_film(
    ask: AlbumAsk,
    run: RunFolder,
    parts: Sequence[Part],
    slots: Sequence[Slot],
    marks: Sequence[Chapter],
    tags: Mapping[str, str],
    teller: Teller,
) -> None:
    pictures, sound = run.path / "pictures.mkv", run.path / "sound.wav"
    try:
        clips = assemble.clip_list(run, parts, slots, lambda words: teller.doing(words, -1.0))
        join(clips, pictures, parts[0].job.fps, lambda done: teller.doing("joining", done / len(clips)))
        assemble.write_sound(parts, sound, lambda share: teller.doing("gathering the sound", share))
        add_sound(
            pictures,
            sound,
            ask.output,
            sound=ask.sound,
            chapters=marks,
            metadata=tags,
            tell=lambda share: teller.doing("encoding the sound", share),
        )
    finally:
        pictures.unlink(missing_ok=True)
        sound.unlink(missing_ok=True)
