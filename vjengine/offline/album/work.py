"""What pools and whoever runs them say to one another; the loop that hands out jobs and counts what went wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from vjengine.errors import GeneratorError, RecordError, VJError
from vjengine.offline.album.job import Job, TrackFilm


@dataclass(frozen=True, slots=True)
class Step:
    """How far a job is: what is done, and how many pictures of how many (0: not known yet)."""

    job: Job
    doing: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Made:
    """A job is done, and its clips are where :class:`Shelf` said."""

    job: Job
    film: TrackFilm


@dataclass(frozen=True, slots=True)
class Broken:
    """A job came to nothing.

    Attributes:
        job: which.
        error: why, fit to show.
        again: the same may work another time: a worker was lost, or memory ran out.
    """

    job: Job
    error: VJError
    again: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker was lost, and the pool itself begins its job anew elsewhere."""

    job: Job
    why: str


News = Step | Made | Broken | Lost


class WorkerLost(VJError):
    """A worker ended, or fell silent, in the middle of a job."""


def may_work_again(error: VJError) -> bool:
    """True for what another attempt may mend; a broken track or setting stays broken."""
    return isinstance(error, GeneratorError | WorkerLost) or bool(getattr(error, "retry", False))


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as it travels between processes: errors with arguments of their own do not survive that.

    Attributes:
        text: fit to show.
        again: another attempt may work.
        disk: the disk is to blame, and nothing else can be made either.
    """

    text: str
    again: bool
    disk: bool

    @classmethod
    def of(cls, error: VJError) -> Fault:
        """Return ``error`` ready to travel."""
        return cls(str(error), may_work_again(error), isinstance(error, RecordError))

    def news(self, job: Job) -> Broken:
        """Return what it means for ``job``."""
        return Broken(job, (RecordError if self.disk else VJError)(self.text), self.again)


class Pool(Protocol):
    """Workers that each take one job at a time."""

    size: int

    def idle(self) -> int:
        """Return how many workers wait for a job."""
        ...

    def start(self, job: Job, folder: str) -> None:
        """Give ``job`` to an idle worker, to make its clips in ``folder`` of this machine."""
        ...

    def news(self, timeout: float) -> Iterable[News]:
        """Return what happened, after at most ``timeout`` s."""
        ...

    def close(self) -> None:
        """End all workers at once. May be called twice."""
        ...


class Shelf(Protocol):
    """Where the clips of jobs are put."""

    def begin(self, job: Job) -> str:
        """Return an empty folder for ``job``."""
        ...

    def finish(self, job: Job, film: TrackFilm) -> None:
        """Keep what is in the job's folder."""
        ...

    def drop(self, job: Job) -> None:
        """Throw away what is in the job's folder."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that was given up."""

    job: Job
    error: VJError
    attempts: int


def run_jobs(
    jobs: Iterable[Job],
    pool: Pool,
    shelf: Shelf,
    *,
    retries: int,
    tell: Callable[[News], None],
    stopped: Callable[[], bool],
) -> list[Failure]:
    """Do all ``jobs``; return those that were given up. One that fails does not hold up the others.

    Args:
        jobs: in the order in which they are begun.
        pool: who does them.
        shelf: where their clips go.
        retries: how often a job whose worker was lost is begun anew.
        tell: told of everything.
        stopped: asked several times a second; True leaves everything as it is, finished jobs kept.

    Raises:
        RecordError: if the disk is full: no other job would fare better.
    """
    waiting = deque(jobs)
    attempts: dict[int, int] = {}
    running: dict[int, Job] = {}
    failures: list[Failure] = []
    try:
        while (waiting or running) and not stopped():
            while waiting and pool.idle():
                job = waiting.popleft()
                attempts[job.index] = attempts.get(job.index, 0) + 1
                folder = shelf.begin(job)
                running[job.index] = job
                pool.start(job, folder)
            for item in pool.news(0.25):
                if isinstance(item, Step | Lost):
                    tell(item)
                    continue
                job = running.pop(item.job.index)
                if isinstance(item, Made):
                    shelf.finish(job, item.film)
                    tell(item)
                    continue
                shelf.drop(job)
                if isinstance(item.error, RecordError):
                    raise item.error
                again = item.again and attempts[job.index] <= retries
                tell(Broken(job, item.error, again))
                if again:
                    waiting.appendleft(job)
                else:
                    failures.append(Failure(job, item.error, attempts[job.index]))
    finally:
        pool.close()
        for job in running.values():
            shelf.drop(job)
    return failures
