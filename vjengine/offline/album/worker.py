"""A worker process of the local pool: takes jobs from a pipe, says how far it is, leaves when its parent is gone."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from vjengine.errors import OutOfMemory, VJError
from vjengine.offline.album.film import Tell, render_track
from vjengine.offline.album.job import Job, TrackFilm
from vjengine.offline.album.work import Fault

log = logging.getLogger(__name__)

_PACE = 0.2  # s between two words of progress


def share_processor(threads: int) -> None:
    """Make everything in this process that counts processors think there are ``threads``; changes no picture.

    To be called before the first OpenGL context.
    """
    for name in ("LP_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    import cv2

    cv2.setNumThreads(threads)


class Teller:
    """Passes progress on, at most a few times a second."""

    def __init__(self) -> None:
        self._last = 0.0
        self._doing = ""

    def due(self, doing: str) -> bool:
        """True if something new is done, or some time has passed."""
        now = time.monotonic()
        if doing == self._doing and now - self._last < _PACE:
            return False
        self._last, self._doing = now, doing
        return True


def run_worker(pipe: Connection, threads: int) -> None:
    """Do jobs until the pipe is closed.

    Answers are ``("step", doing, done, total)``, ``("made", film)`` and ``("broken", fault)``.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us decides when to stop
    share_processor(threads)
    jobs: list[tuple[Job, str]] = []
    there = threading.Condition()

    def listen() -> None:
        # On a thread of its own, so that a parent's death is noticed in the middle of a job.
        with contextlib.suppress(EOFError, OSError):
            while True:
                job = pipe.recv()
                with there:
                    jobs.append(job)
                    there.notify()
        os._exit(1)

    threading.Thread(target=listen, name="orders", daemon=True).start()
    while True:
        with there:
            there.wait_for(lambda: jobs)
            job, folder = jobs.pop(0)
        _do(job, Path(folder), pipe)


def attempt(job: Job, folder: Path, tell: Tell) -> tuple[str, TrackFilm | Fault]:
    """Do ``job``; return ``("made", film)``, or ``("broken", fault)`` whatever goes wrong."""
    try:
        return "made", render_track(job, folder, tell)
    except VJError as error:
        return "broken", Fault.of(error)
    except MemoryError:
        return "broken", Fault.of(OutOfMemory("the computer's memory ran out; fewer --workers need less"))
    except Exception as error:  # the worker's outermost guard: one track, not the album
        log.exception("track %d failed", job.index + 1)
        return "broken", Fault.of(VJError(f"{type(error).__name__}: {error}"))


def _do(job: Job, folder: Path, pipe: Connection) -> None:
    teller = Teller()

    def tell(doing: str, done: int, total: int) -> None:
        if teller.due(doing):
            pipe.send(("step", doing, done, total))

    answer = attempt(job, folder, tell)
    try:
        pipe.send(answer)
    except (OSError, ValueError):
        os._exit(1)  # nobody is there any more
