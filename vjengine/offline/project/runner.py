"""Runs a project: cycle after cycle by longcat's run loop, and whatever happens there is a film at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from vjengine.errors import BackendError, GeneratorError, OutOfMemory, RecordError, ResumeError, UsageError, VJError
from vjengine.offline.continuation import Continuation, Opening
from vjengine.offline.longcat.film import Film
from vjengine.offline.longcat.job import Job, checked, prepared
from vjengine.offline.longcat.prompts import Prompts, Wish
from vjengine.offline.longcat.registry import kind_of, make_continuation
from vjengine.offline.longcat.settings import LONGEST, Settings, code_digest
from vjengine.offline.manifest import Piece, RunFolder, derive_seed, read_record
from vjengine.offline.memory import fitting
from vjengine.offline.progress import Interrupt
from vjengine.offline.project.bundle import Project, edited, snapshot
from vjengine.offline.project.keep import BASE, keep_cycle, throw_away
from vjengine.offline.project.settings import CONTINUATIONS
from vjengine.offline.project.standby import Standby
from vjengine.offline.project.state import DONE, FAILED, RUNNING, STOPPED, State, read_state

_PAUSE = 2.0
"""s before a failed cycle is begun again; doubled for each time after it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much a run is to make.

    Attributes:
        cycles: chunks in all, those of earlier runs among them; 0 takes the settings', or the whole track.
        hours: of film in all, instead.
        fresh: throw away what was made before.
    """

    cycles: int = 0
    hours: float = 0.0
    fresh: bool = False

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            UsageError: if it cannot.
        """
        if self.cycles < 0 or self.cycles > 1_000_000:
            raise UsageError(f"--cycles {self.cycles}: expected 1 to 1000000")
        if self.cycles and self.hours:
            raise UsageError("--cycles and --hours: give one of them")
        if not 0 <= self.hours <= LONGEST / 3600:
            raise UsageError(f"--hours {self.hours:g}: expected up to {LONGEST // 3600}")


@dataclass(slots=True)
class Ways:
    """How a run tells what happens.

    Attributes:
        say: told of what is worth knowing, in one line.
        tell: told cycles done, cycles wanted (0: not known) and cycles of earlier runs.
    """

    say: Callable[[str], None] = lambda words: None
    tell: Callable[[int, int, int], None] = lambda done, wanted, reused: None


def job_of(project: Project, run: Path) -> Job:
    """Return what the run loop is asked for: a film without an end, or as long as its track."""
    settings, prompt = project.settings, project.prompt
    name = CONTINUATIONS[prompt.backend]
    fps = settings.fps or kind_of(name).fps
    return Job(
        output=run / BASE,
        size=settings.size,
        # How many cycles are made is no part of the plan: a run that is told to make more goes on.
        frames=None if settings.audio else int(LONGEST * fps),
        track=settings.audio,
        prompts=Prompts((Wish(0.0, prompt.words, prompt.negative),)),
        image=settings.picture,
        video=settings.video,
        continuation=name,
        options=settings.backends.get(prompt.backend, {}),
        fps=fps,
        seed=settings.seed,
        chunk=settings.frames,
        anchor=settings.anchor,  # type: ignore[arg-type]
        guidance=settings.guidance,
        motion=settings.motion,
        noise=settings.noise,
        retries=settings.retries,
        stabilise=settings.stabilise,
    )


def run_project(project: Project, name: str, wanted: Wanted, keeper: Interrupt, ways: Ways) -> State:
    """Make the cycles that are missing; return how it stands. The film is put together by :func:`.finish.assemble`.

    A backend that fails costs the cycle in the making: it is begun again, then the run stops, or the built-in
    continuation goes on, as the settings say. What was made stays in any case.

    Raises:
        UsageError: if something cannot be.
        ResumeError: if the run was begun with other words or settings; names what was edited.
        RecordError: if the disk refuses.
        KeyboardInterrupt: if it was left.
    """
    wanted.check()
    run = project.run_path(name)
    job = job_of(project, run)
    kind = checked(job)
    with closing(make_continuation(kind.name, job.options)) as continuation:
        settings, music, pictures = prepared(job, kind, continuation, keeper)
        settings = _fitted(settings, continuation, job.folder, wanted.fresh, ways)
        try:
            folder = RunFolder.open(
                job.folder,
                settings.plan(continuation, pictures),
                versions={"longcat": code_digest()},
                fresh=wanted.fresh,
                say=ways.say,
            )
        except ResumeError as error:
            raise _told(error, project, run) from error
        with folder:
            if wanted.fresh:
                throw_away(run)
            snapshot(project, run)
            cycles = wanted.cycles or (0 if project.settings.audio and not wanted.hours else project.settings.cycles)
            frames = round(wanted.hours * 3600 * settings.fps) if wanted.hours else 0
            work = _Work(project, run, folder, settings, 0 if frames else cycles, frames, keeper, ways)
            opening = Opening(pictures=pictures, seed=derive_seed(settings.seed, "opening"))

            def film(by: Continuation) -> Film:
                # What holds a backend's colours would only disturb one that holds its own.
                steady = replace(settings, stabilise=False, drift=False)
                return Film(
                    steady if isinstance(by, Standby) else settings,
                    by,
                    folder,
                    opening,
                    keeper,
                    music=music,
                    say=ways.say,
                    tell=work.tell,
                    enough=work.enough,
                )

            return work.make(film, continuation)


class _Work:
    """One run at work."""

    def __init__(
        self,
        project: Project,
        run: Path,
        folder: RunFolder,
        settings: Settings,
        cycles: int,
        frames: int,
        keeper: Interrupt,
        ways: Ways,
    ) -> None:
        self.project, self.run, self.settings = project, run, settings
        self.cycles, self.frames, self.keeper, self.ways = cycles, frames, keeper, ways
        self.store = folder.pieces("chunks")
        self.reused = -1
        self.standby = False
        before = read_state(run) or State()
        prompt = project.prompt
        self.state = before.write(
            run, title=prompt.title, mode=prompt.mode, backend=prompt.backend, state=RUNNING,
            wanted=self._expected(), fps=float(settings.fps),
        )  # fmt: skip

    def make(self, film: Callable[[Continuation], Film], continuation: Continuation) -> State:
        """Make all that is missing; return how it stands."""
        tries = self.project.settings.tries
        failed, at = 0, -1
        by = continuation
        while True:
            try:
                film(by).make()
                return self._is(DONE)
            except KeyboardInterrupt:
                self._is(STOPPED)
                raise
            except GeneratorError as error:
                now = len(self.store.known())
                failed, at = (failed + 1, at) if now == at else (1, now)
                self._is(RUNNING, str(error))
                if _may_pass(error) and failed < tries:
                    wait = _PAUSE * 2 ** (failed - 1)
                    self.ways.say(f"cycle {now or 1}: {error}; begun again in {wait:.0f} s ({failed} of {tries})")
                    self.keeper.wait(wait)
                    continue
                if self.project.settings.on_failure == "builtin" and not self.standby and now:
                    self.standby = True
                    self.ways.say(f"cycle {now}: {error}; the built-in continuation goes on")
                    by = Standby(make_continuation("builtin"))
                    continue
                return self._is(FAILED, str(error))
            except VJError as error:
                with contextlib.suppress(RecordError):
                    self._is(FAILED, str(error))
                raise

    def tell(self, done: int, reused: int) -> None:
        """Keep the newest cycle's picture and clip; say how far it is."""
        pieces = self.store.known()
        for piece in pieces[self._kept(pieces) :]:
            keep_cycle(self.run, piece, self.settings.fps)
        cycles = max(0, len(pieces) - 1)
        if self.reused < 0:
            self.reused = cycles
        if cycles > self.state.cycles and self.standby:
            self.state = replace(self.state, standby=(*self.state.standby, cycles))
        if cycles > self.reused:
            # A film of fewer cycles is not the film any more.
            self.state = replace(self.state, error="" if not self.standby else self.state.error, finished="")
        self.state = self.state.write(self.run, cycles=cycles, frames=done)
        self.ways.tell(cycles, self._expected(), self.reused)

    def enough(self, pieces: int, frames: int) -> bool:
        """Tell whether so many pieces and pictures are all that is wanted now; the first picture is no cycle."""
        return bool((self.cycles and pieces > self.cycles) or (self.frames and frames >= self.frames))

    def _kept(self, pieces: list[Piece]) -> int:
        """Return the first piece whose picture is not there yet; on the way, only the newest one can be."""
        return 0 if self.reused < 0 else max(0, len(pieces) - 1)

    def _expected(self) -> int:
        if self.cycles:
            return self.cycles
        chunk = self.settings.chunk or max(1, self.project.settings.frames)
        total = self.frames or (self.settings.frames if self.project.settings.audio else 0)
        # The first picture is not of a cycle.
        return max(1, -(-(total - 1) // chunk)) if total and chunk > 1 else 0

    def _is(self, state: str, error: str | None = None) -> State:
        pieces = self.store.known()
        cycles = max(0, len(pieces) - 1)
        self.state = self.state.write(
            self.run,
            state=state,
            cycles=cycles,
            wanted=cycles if state == DONE else self.state.wanted,
            frames=sum(piece.frames for piece in pieces),
            error=self.state.error if error is None else error,
        )
        return self.state


def _may_pass(error: GeneratorError) -> bool:
    return isinstance(error, BackendError) and error.retry


def _fitted(settings: Settings, continuation: Continuation, folder: Path, fresh: bool, ways: Ways) -> Settings:
    """Return settings with a length of chunks that fits into memory, or the one that the run was begun with."""
    if settings.chunk:
        return settings
    with contextlib.suppress(ResumeError):
        before = None if fresh else read_record(folder)
        if before and isinstance(chunk := before["plan"].get("settings", {}).get("chunk"), int) and chunk > 0:
            return replace(settings, chunk=chunk)
    frames, words = fitting(continuation, settings.size)
    if not frames:
        raise OutOfMemory(words)
    if words:
        ways.say(words)
    return replace(settings, chunk=frames)


def _told(error: ResumeError, project: Project, run: Path) -> ResumeError:
    changes = [] if project.as_begun else edited(project.folder, run)
    if not changes:
        return error
    return ResumeError(
        f"edited since the run {run.name} began: {'; '.join(changes)}. Go on as it was begun with --as-begun, begin "
        "another one with -n NAME, or throw it away with --fresh"
    )
