"""The local pool: worker processes that may die without taking anything with them but the track in hand."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Iterable
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess

from vjengine.offline.album.job import Job
from vjengine.offline.album.work import Broken, Made, News, Step, WorkerLost
from vjengine.offline.album.worker import run_worker

PATIENCE = 900.0
"""s without a word after which a worker counts as hanging: longer than any model takes to load."""


class _Worker:
    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, far = context.Pipe(duplex=True)
        self.process: SpawnProcess = context.Process(target=run_worker, args=(far, threads), name="album", daemon=True)
        self.process.start()
        far.close()
        self.job: Job | None = None
        self.heard = time.monotonic()

    def end(self) -> None:
        self.process.kill()
        self.process.join(5.0)
        self.pipe.close()


class LocalPool:
    """``workers`` processes on this machine.

    Args:
        workers: how many tracks are made at a time.
        threads: processors for each; None shares them out.
        patience: s of silence after which a worker is taken for hanging, and replaced.
    """

    def __init__(self, workers: int, threads: int | None = None, patience: float = PATIENCE) -> None:
        self.size = workers
        self._threads = threads or max(1, (os.cpu_count() or 1) // workers)
        self._patience = patience
        self._workers: list[_Worker] = []

    def pids(self) -> dict[int, int]:
        """Return the process that makes each track now: index of the track -> process id."""
        return {w.job.index: w.process.pid or 0 for w in self._workers if w.job is not None}

    def idle(self) -> int:
        """Return how many more jobs can be started."""
        return self.size - sum(worker.job is not None for worker in self._workers)

    def start(self, job: Job, folder: str) -> None:
        """Give ``job`` to an idle worker, starting one if there is none."""
        while True:
            worker = next((w for w in self._workers if w.job is None), None)
            if worker is None:
                worker = _Worker(self._threads)
                self._workers.append(worker)
            try:
                worker.pipe.send((job, folder))
            except OSError:  # it died while it had nothing to do
                self._bury(worker)
                continue
            worker.job, worker.heard = job, time.monotonic()
            return

    def news(self, timeout: float) -> Iterable[News]:
        """Return what the workers said, and who died; waits at most ``timeout`` s."""
        busy: dict[object, _Worker] = {worker.pipe: worker for worker in self._workers if worker.job is not None}
        # A pipe whose far end is gone is readable too: a death needs no extra watch.
        said = wait([worker.pipe for worker in busy.values()], timeout) if busy else []
        found: list[News] = []
        for pipe in said:
            found += self._hear(busy[pipe])
        for worker in [w for w in self._workers if w.job is not None]:
            if time.monotonic() - worker.heard > self._patience:
                found.append(self._lost(worker, f"said nothing for {self._patience:.0f} s and was ended"))
        return found

    def close(self) -> None:
        """End all workers at once."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def _hear(self, worker: _Worker) -> list[News]:
        job = worker.job
        assert job is not None
        worker.heard = time.monotonic()
        try:
            kind, *rest = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(5.0)
            return [self._lost(worker, _how(worker.process.exitcode))]
        if kind == "step":
            return [Step(job, *rest)]
        worker.job = None
        if kind == "made":
            return [Made(job, rest[0])]
        return [rest[0].news(job)]

    def _lost(self, worker: _Worker, how: str) -> Broken:
        job = worker.job
        assert job is not None
        self._bury(worker)
        return Broken(job, WorkerLost(f"its worker {how}"), True)

    def _bury(self, worker: _Worker) -> None:
        with contextlib.suppress(ValueError):
            self._workers.remove(worker)
        worker.end()


def _how(code: int | None) -> str:
    """Say how a process ended."""
    if code is not None and code < 0:
        return f"was killed (signal {-code}{', out of memory perhaps' if code == -9 else ''})"
    return f"ended with status {code}"
