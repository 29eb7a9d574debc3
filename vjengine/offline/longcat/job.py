"""A whole job of ``vjengine longcat``: from the music and the wishes to the film with its sound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from time import perf_counter

from vjengine.audio.features import AnalysisSettings
from vjengine.audio.files import probe, track_duration
from vjengine.engine.metrics_log import header
from vjengine.errors import OutOfMemory, RecordError, UnreadableAudio, UsageError
from vjengine.offline.clips import add_sound, join
from vjengine.offline.continuation import Continuation, Opening, Pixels16
from vjengine.offline.disk import file_hash
from vjengine.offline.finish.film import finish
from vjengine.offline.finish.options import FinishOptions
from vjengine.offline.longcat.film import Film, Tally, write_metrics
from vjengine.offline.longcat.gates import Limits
from vjengine.offline.longcat.music import Music, music_of, pictures_of
from vjengine.offline.longcat.pictures import read_end, read_image
from vjengine.offline.longcat.prompts import Prompts
from vjengine.offline.longcat.registry import Kind, kind_of, make_continuation
from vjengine.offline.longcat.settings import AnchorMode, Settings, code_digest
from vjengine.offline.manifest import RunFolder, derive_seed
from vjengine.offline.memory import fitting
from vjengine.offline.progress import Interrupt
from vjengine.offline.run_report import report

SUFFIXES = (".mp4", ".mkv", ".mov")


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked for.

    Attributes:
        output: film to write; its run folder stands beside it, with the ending ``.run``.
        size: (width, height), px.
        seconds, frames: length; None for both takes the track's.
        track: music to move by, and to lay under the film; None for none.
        prompts: what is to be seen, by time.
        image, video: what it begins with.
        continuation: by name, see :mod:`.registry`.
        options: of the continuation, by key.
        fps: pictures a second; None takes what the continuation is at its best with.
        motion: 0-1; None takes it from the music.
        stabilise: None leaves it to the continuation: one that holds itself is left alone.
        metrics: file for the stability log.
        finish: how the film is finished at the end; None leaves it as it was made.
        fresh: throw away what was made before.
        seed, chunk, best_of, anchor, guidance, noise, seam, retries, gates, limits: as in :class:`.Settings`.
    """

    output: Path
    size: tuple[int, int]
    seconds: float | None = None
    frames: int | None = None
    track: Path | None = None
    prompts: Prompts = field(default_factory=Prompts)
    image: Path | None = None
    video: Path | None = None
    continuation: str = "builtin"
    options: Mapping[str, object] = field(default_factory=dict)
    fps: Fraction | None = None
    seed: int = 1
    chunk: int = 0
    best_of: int = 1
    anchor: AnchorMode = "fixed"
    guidance: tuple[float, float] = (1.0, 2.0)
    motion: float | None = None
    noise: float = 0.02
    seam: int = 4
    retries: int = 3
    gates: bool = True
    limits: Limits = field(default_factory=Limits)
    stabilise: bool | None = None
    metrics: Path | None = None
    finish: FinishOptions | None = None
    fresh: bool = False

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.output.with_suffix(".run")


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a job.

    Attributes:
        film: the file.
        frames: its pictures.
        seconds: its length, s.
        spent: s of wall time now.
        tally: what happened on the way.
    """

    film: Path
    frames: int
    seconds: float
    spent: float
    tally: Tally


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a job will be: for ``--dry-run``.

    Attributes:
        settings: of the film.
        chunks: about how many.
        host, device: MiB.
        chunk: pictures at a time.
        words: what is to be known about memory.
        pace: pictures a second of the film that a trial made; 0 if none was made.
    """

    settings: Settings
    chunks: int
    chunk: int
    host: float
    device: float
    words: str
    pace: float = 0.0


def run_job(
    job: Job,
    keeper: Interrupt,
    *,
    say: Callable[[str], None] = lambda words: None,
    tell: Callable[[int, int, int], None] = lambda done, total, reused: None,
) -> Made:
    """Make the film, or go on with it.

    Args:
        job: what is asked for.
        keeper: asked often whether to go on; told what is being done.
        say: told what is worth knowing, one line at a time.
        tell: told pictures done, pictures in all, and how many of those done are of an earlier run.

    Raises:
        UsageError: if it asks for something that cannot be.
        VJError: whatever else goes wrong; what is finished stays.
        KeyboardInterrupt: if it was left.
    """
    began = perf_counter()
    kind = checked(job)
    with closing(make_continuation(kind.name, job.options)) as continuation:
        settings, music, pictures = prepared(job, kind, continuation, keeper)
        chunk = _chunk(settings, continuation, say)
        opening = Opening(pictures=pictures, seed=derive_seed(settings.seed, "opening"))
        plan, versions = settings.plan(continuation, pictures), {"longcat": code_digest()}
        with RunFolder.open(job.folder, plan, versions=versions, fresh=job.fresh, say=say) as run:
            film = Film(
                settings,
                continuation,
                run,
                opening,
                keeper,
                music=music,
                chunk=chunk,
                say=say,
                tell=lambda done, reused: tell(done, settings.frames, reused),
            )
            pieces = film.make()
            if job.metrics is not None:
                write_metrics(pieces, job.metrics, header(kind.name, settings.seed, settings.size))
            keeper.alive("putting the film together")
            _assemble([piece.clip for piece in pieces], job, settings, run, keeper)
            report(
                run,
                job.output,
                seeds=[piece.meta.get("seed", settings.seed) for piece in pieces],
                retried=film.tally.retried,
                kept=film.tally.kept,
            )
    return Made(job.output, settings.frames, settings.seconds, perf_counter() - began, film.tally)


def checked(job: Job) -> Kind:
    """Return the kind of continuation, after a look at what can be told without any work.

    Raises:
        UsageError: if something cannot be.
    """
    if job.output.suffix.lower() not in SUFFIXES:
        raise UsageError(f"-o {job.output}: the name must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    if job.image is not None and job.video is not None:
        raise UsageError("--image and --video: a film begins with one of them")
    if job.motion is None and job.track is None:
        raise UsageError("--motion music needs a track: give one with --match-audio, or --motion 0.5")
    if job.seconds is None and job.frames is None and job.track is None:
        raise UsageError("how long? Give --seconds, --frames, or --match-audio TRACK")
    return kind_of(job.continuation)


def prepared(
    job: Job, kind: Kind, continuation: Continuation, keeper: Interrupt, *, listening: bool = True
) -> tuple[Settings, Music | None, Pixels16 | None]:
    """Return the settings, the music as heard, and the first pictures.

    Without ``listening`` there is no music, the length is what the track's header says, and no folder is made.

    Raises:
        UsageError, UnreadableAudio: if something of it cannot be.
    """
    fps = job.fps or kind.fps
    stabilise = (not kind.steady) if job.stabilise is None else job.stabilise
    settings = Settings(
        size=job.size,
        fps=fps,
        frames=max(1, round(Fraction(job.seconds).limit_denominator(10**6) * fps)) if job.seconds else job.frames or 1,
        seed=job.seed,
        prompts=job.prompts,
        chunk=job.chunk,
        best_of=job.best_of,
        anchor=job.anchor,
        guidance=job.guidance,
        motion=job.motion,
        noise=job.noise,
        seam=job.seam,
        retries=job.retries,
        gates=job.gates,
        limits=job.limits,
        drift=not kind.steady,
        stabilise=stabilise,
        watch=stabilise or job.metrics is not None,
    )
    pictures: Pixels16 | None = None
    if job.image is not None:
        pictures = read_image(job.image, job.size)
    elif job.video is not None:
        keeper.alive(f"reading the end of {job.video.name}")
        pictures = read_end(job.video, job.size, max(1, continuation.tail))
    if job.track is None:
        return settings, None, pictures
    name = job.track.name
    follows = job.seconds is None and job.frames is None
    if not listening:
        keeper.alive(f"measuring {name}")
        rate = AnalysisSettings().sample_rate
        frames = pictures_of(round(track_duration(job.track) * rate), rate, fps) if follows else settings.frames
        return replace(settings, frames=frames), None, pictures
    keeper.alive(f"listening to {name}")
    probe(job.track)  # what is no sound leaves no folder behind
    _make_folder(job.folder)
    digest = file_hash(job.track) if job.track.is_file() else ""
    keep = job.folder / "music.npz"
    try:
        music = music_of(job.track, fps, keep, digest, lambda share: keeper.alive(f"listening to {name}", share))
    except UnreadableAudio:
        with suppress(OSError):  # there may be a film in it
            job.folder.rmdir()
        raise
    if follows:
        settings = replace(settings, frames=pictures_of(music.samples, music.rate, fps))
    return replace(settings, track=digest), music, pictures


def forecast(job: Job, keeper: Interrupt, *, trial: bool = True) -> Forecast:
    """Say what a job will be, and for a continuation that loads nothing also how long it will take.

    Raises:
        VJError: as :func:`run_job`.
    """
    kind = checked(job)
    with closing(make_continuation(kind.name, job.options)) as continuation:
        settings, _, pictures = prepared(job, kind, continuation, keeper, listening=False)
        chunk, words = fitting(continuation, settings.size)
        chunk = min(settings.chunk or max(chunk, 1), settings.frames)
        need = continuation.need(settings.size, chunk)
        pace = _trial(continuation, settings, pictures, keeper) if trial and kind.name == "builtin" else 0.0
        return Forecast(settings, -(-settings.frames // chunk), chunk, need.host, need.device, words, pace)


def _trial(continuation: Continuation, settings: Settings, pictures: Pixels16 | None, keeper: Interrupt) -> float:
    from vjengine.offline.continuation import Ask

    _, wish = settings.prompts.at(0, settings.fps)
    carried = continuation.open(Opening(wish.prompt, pictures=pictures, seed=1), settings.size, keeper)
    ask = Ask(0, 6, seed=1, fps=settings.fps, prompt=wish.prompt)
    began = perf_counter()
    continuation.extend(carried, ask, keeper)
    return ask.frames / max(perf_counter() - began, 1e-6)


def _chunk(settings: Settings, continuation: Continuation, say: Callable[[str], None]) -> int:
    """Return how many pictures at a time fit into memory, 0 for as many as are wanted anyway; or refuse in numbers."""
    if settings.chunk:
        return 0
    frames, words = fitting(continuation, settings.size)
    if not frames:
        raise OutOfMemory(words)
    if frames == continuation.chunk:
        return 0
    say(words)
    return frames


def _assemble(clips: list[Path], job: Job, settings: Settings, run: RunFolder, keeper: Interrupt) -> None:
    """Join the clips; then the sound, or all that finishing does."""

    def joined(done: int) -> None:
        keeper.alive("putting the film together", done / len(clips))

    if job.track is None and job.finish is None:
        join(clips, job.output, settings.fps, joined)
        return
    base = run.path / "base.mkv"
    try:
        join(clips, base, settings.fps, joined)
        if job.finish is not None:
            finish(
                base,
                job.output,
                job.finish,
                audio=job.track,
                run=run,
                progress=lambda state: keeper.alive(state.words or "finishing", state.fraction),
            )
        elif job.track is not None:
            add_sound(
                base,
                job.track,
                job.output,
                metadata={"title": job.output.stem},
                tell=lambda share: keeper.alive("laying the music under it", share),
            )
    finally:
        base.unlink(missing_ok=True)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"cannot make the folder {path}: {error.strerror}; choose another output") from error
