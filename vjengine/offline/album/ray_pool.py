"""The same jobs on a Ray cluster: resident actors, restarted when they die, their jobs begun anew.

Ray's own defaults lose both: ``max_restarts=0``, and a task at most once.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vjengine.errors import BackendError, MissingDependency, RecordError, UsageError
from vjengine.offline import disk
from vjengine.offline.album.actor import TrackActor, versions
from vjengine.offline.album.job import Job, TrackFilm
from vjengine.offline.album.local import PATIENCE
from vjengine.offline.album.work import Broken, Fault, Lost, Made, News, Step, WorkerLost

INSTALL = "pip install 'vjengine[ray]'"
_START = 180.0  # s for a cluster to give us a worker: it may have to start a machine's Python first
_KNOCK = 10.0  # s for a cluster to answer at all
_BLOCK = 16 * 1024 * 1024  # bytes of a clip that travel at a time


def load_ray() -> Any:
    """Return the ``ray`` module.

    Raises:
        MissingDependency: if it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingDependency("Ray (albums on several machines)", INSTALL) from error
    return ray


@dataclass
class _Seat:
    """An actor, and what it is at."""

    actor: Any
    pid: int
    job: Job | None = None
    folder: str = ""
    token: str = ""
    result: Any = None
    asked: Any = None
    heard: float = 0.0
    silent: bool = False


class RayPool:
    """Actors on a cluster.

    Args:
        address: of the cluster (``HOST:PORT``, ``auto``, ``ray://HOST:PORT``), or ``local`` for one on this machine
            that ends with the album.
        jobs: how many there are: more actors are not asked for.
        workers: how many actors at most; None takes one a GPU or, without GPUs, one for every four processors.
        threads: processors for each; None a fair share.
        retries: how often Ray begins a job anew whose actor was lost.
        patience: s of silence after which an actor is given up for another.

    Raises:
        MissingDependency: if Ray is not installed.
        BackendError: if the cluster cannot be reached, has no room, or runs other versions.
    """

    def __init__(
        self,
        address: str,
        *,
        jobs: int,
        workers: int | None = None,
        threads: int | None = None,
        retries: int = 2,
        patience: float = PATIENCE,
    ) -> None:
        self._ray = load_ray()
        self._patience = patience
        self._retries = retries
        self._seats: list[_Seat] = []
        self._closed = False
        self._connect(address, workers)
        try:
            have = self._ray.cluster_resources()
            gpus, cpus = int(have.get("GPU", 0)), int(have.get("CPU", 1))
            count = max(1, min(jobs, workers or gpus or max(1, cpus // 4)))
            self.size = count
            if threads is None and not gpus:
                threads = max(1, cpus // count)
            self._threads = threads
            self._gpus = 1 if gpus else 0
            self._cpus = 1 if gpus else max(1, min(threads or 1, cpus // count))
            self._fill()
        except BaseException:
            self.close()
            raise

    def _connect(self, address: str, workers: int | None) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "ignore_reinit_error": False}
        if address == "local":
            options |= {"include_dashboard": False}
            if workers is not None:
                options["num_cpus"] = workers
        else:
            _reach(address)
        try:
            self._ray.init(address=address, **options)
        except ImportError as error:
            raise MissingDependency("Ray's client, for ray:// addresses", "pip install 'ray[client]'") from error
        except (ConnectionError, OSError, ValueError, RuntimeError, TimeoutError) as error:
            raise _nobody(address, error) from error

    def _fill(self) -> None:
        """Ask for actors, and hear from each, until there are as many as there should be."""
        fresh = [self._actor() for _ in range(self.size - len(self._seats))]
        greetings = [actor.hello.remote() for actor in fresh]
        ready, _ = self._ray.wait(greetings, num_returns=len(greetings), timeout=_START) if greetings else ([], [])
        for actor, greeting in zip(fresh, greetings, strict=True):
            if greeting not in ready:
                self._ray.kill(actor)
                continue
            try:
                hello = self._ray.get(greeting)
            except self._ray.exceptions.RayError as error:
                raise BackendError(f"a Ray worker did not start: {_words(error)}") from error
            other = [f"{k} {v} (here {versions()[k]})" for k, v in hello["versions"].items() if versions()[k] != v]
            if other:
                raise BackendError(
                    f"{hello['node']} runs {', '.join(other)}: its pictures would not match; install the same there"
                )
            self._seats.append(_Seat(actor, hello["pid"]))
        if not self._seats:
            raise BackendError(f"the Ray cluster gave no worker within {_START:.0f} s: is it busy? (`ray status`)")
        self.size = len(self._seats)

    def _actor(self) -> Any:
        remote = self._ray.remote(
            num_cpus=self._cpus,
            num_gpus=self._gpus,
            max_restarts=-1,
            max_task_retries=self._retries,
            concurrency_groups={"watch": 2},
            scheduling_strategy="SPREAD",
        )
        return remote(TrackActor).remote(self._threads)

    def pids(self) -> dict[int, int]:
        """Return the process that makes each track now: index of the track -> process id on its node."""
        return {seat.job.index: seat.pid for seat in self._seats if seat.job is not None}

    def idle(self) -> int:
        """Return how many actors wait for a job."""
        return sum(seat.job is None for seat in self._seats)

    def start(self, job: Job, folder: str) -> None:
        """Give ``job`` to an idle actor, with those of its files that are not on the actor's machine."""
        seat = next(seat for seat in self._seats if seat.job is None)
        seat.job, seat.folder, seat.token = job, folder, f"{job.key[:16]}-{secrets.token_hex(4)}"
        seat.heard, seat.silent, seat.asked = time.monotonic(), False, None
        sent: dict[str, bytes] = {}
        try:
            roles = self._ray.get(seat.actor.missing.remote(list(job.inputs)), timeout=_START)
            sent = {item.role: item.path.read_bytes() for item in job.inputs if item.role in roles}
        except (self._ray.exceptions.RayError, OSError) as error:
            seat.result = self._ray.put(
                ("broken", Fault(f"its files cannot be sent: {_words(error)}", True, False), {})
            )
            return
        seat.result = seat.actor.render.remote(job, self._ray.put(sent), seat.token)
        self._ask(seat)

    def news(self, timeout: float) -> Iterable[News]:
        """Return what happened on the cluster; waits at most ``timeout`` s."""
        busy = [seat for seat in self._seats if seat.job is not None]
        if not busy:
            return []
        done, _ = self._ray.wait([seat.result for seat in busy], num_returns=1, timeout=timeout)
        found: list[News] = []
        for seat in busy:
            if seat.result in done:
                found.append(self._collect(seat))
            else:
                found += self._watch(seat)
        return found

    def close(self) -> None:
        """Let go of the cluster; one that was started for us ends."""
        if self._closed:
            return
        self._closed = True
        for seat in self._seats:
            self._ray.kill(seat.actor)
        self._ray.shutdown()

    def _collect(self, seat: _Seat) -> News:
        job = seat.job
        assert job is not None
        seat.job = None
        try:
            kind, result, files = self._ray.get(seat.result)
            if kind == "made":
                self._fetch(seat, files)
            seat.actor.forget.remote(seat.token)
        except self._ray.exceptions.RayActorError as error:
            return Broken(job, WorkerLost(f"its worker was lost for good: {_words(error)}"), False)
        except self._ray.exceptions.RayError as error:
            return Broken(job, WorkerLost(f"the cluster failed: {_words(error)}"), True)
        except OSError as error:
            return Broken(job, disk.failure(Path(seat.folder), error), False)
        except RecordError as error:
            return Broken(job, error, False)
        if isinstance(result, TrackFilm):
            return Made(job, result)
        return result.news(job) if isinstance(result, Fault) else Broken(job, WorkerLost("it answered nothing"), True)

    def _fetch(self, seat: _Seat, files: dict[str, int]) -> None:
        for name, size in files.items():
            with (Path(seat.folder) / Path(name).name).open("wb") as target:
                for offset in range(0, size, _BLOCK):
                    target.write(self._ray.get(seat.actor.fetch.remote(seat.token, name, offset, _BLOCK)))
                if target.tell() != size:
                    raise RecordError(f"{name} came back with {target.tell()} of {size} bytes")

    def _ask(self, seat: _Seat) -> None:
        seat.asked = seat.actor.progress.options(concurrency_group="watch", max_task_retries=0).remote()

    def _watch(self, seat: _Seat) -> list[News]:
        """Ask how far an actor is, one question at a time; notice its death, and its silence."""
        job = seat.job
        assert job is not None
        now = time.monotonic()
        if seat.asked is None:
            self._ask(seat)
        ready, _ = self._ray.wait([seat.asked], timeout=0)
        if ready:
            seat.asked = None
            try:
                pid, doing, done, total = self._ray.get(ready[0])
            except self._ray.exceptions.RayError:
                if seat.silent:
                    return []
                seat.silent = True
                return [Lost(job, "its worker was lost; Ray starts another")]
            seat.heard, seat.silent = now, False
            if pid != seat.pid:
                seat.pid = pid
            return [Step(job, doing, done, total)]
        if now - seat.heard > self._patience:
            self._ray.kill(seat.actor)
            self._seats.remove(seat)
            self._fill()
            return [Broken(job, WorkerLost(f"its worker said nothing for {self._patience:.0f} s"), True)]
        return []


def _reach(address: str) -> None:
    """Knock at ``HOST:PORT``: Ray itself tries for minutes before it says that nobody is there.

    Raises:
        UsageError: if it is no address.
        BackendError: if nobody answers.
    """
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").partition("?")[0].rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"--ray {address}: expected HOST:PORT, ray://HOST:PORT, auto or local")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK).close()
    except (OSError, OverflowError) as error:
        raise _nobody(address, error) from error


def _nobody(address: str, error: BaseException) -> BackendError:
    words = _words(error).rstrip(".")
    return BackendError(
        f"no Ray cluster at {address}: {words}. Start one with `ray start --head`, or use --ray local", retry=True
    )


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
