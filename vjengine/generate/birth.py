"""The worker as a process: how it is started, told what to do, watched and ended.

A process can be started ahead of its assignment. It then loads the libraries that its generator needs, which for
diffusion is most of what a restart takes, and waits: a spare, for the moment when the one that plays dies.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal

import psutil

from vjengine.generate.base import GeneratorSpec
from vjengine.generate.worker import Assignment, run_worker

log = logging.getLogger(__name__)

_DEATH_WAIT = 0.3  # s in which a killed process is gone, unless a driver holds it


class WorkerProcess:
    """A running process that waits for its :class:`~vjengine.generate.worker.Assignment`.

    Args:
        spec: the generator it will be asked to run.

    Raises:
        OSError: if no process can be started.
    """

    def __init__(self, spec: GeneratorSpec) -> None:
        self.spec = spec
        context = multiprocessing.get_context("spawn")
        self.control, far_end = context.Pipe(duplex=True)
        self._process = context.Process(
            target=run_worker, args=(spec, far_end), name=f"vjengine generator {spec.name}", daemon=True
        )
        _shield_from_interrupt()
        try:
            self._process.start()
        except OSError:
            self.control.close()
            raise
        finally:
            far_end.close()

    def assign(self, assignment: Assignment) -> None:
        """Tell the process what to do, once.

        Raises:
            OSError: if it is gone.
        """
        self.control.send(assignment)

    @property
    def pid(self) -> int | None:
        """Id of the process."""
        return self._process.pid

    @property
    def sentinel(self) -> int:
        """Becomes readable when the process ends."""
        return self._process.sentinel

    @property
    def living(self) -> bool:
        """True until the process has ended."""
        return self._process.is_alive()

    def effort(self) -> tuple[bool, float] | None:
        """Return whether the process wants to run, and the s of processor time it has had; ``None`` if unknown.

        A worker that wants to run and gets nothing is starved by something else on the machine, and not hanging.
        """
        try:
            process = psutil.Process(self._process.pid)
            spent = process.cpu_times()
            return process.status() == psutil.STATUS_RUNNING, spent.user + spent.system
        except psutil.Error:
            return None

    def end(self, grace: float = 0.0) -> str:
        """End the process within about ``grace`` + 0.3 s; return in words how it ended."""
        if grace > 0:
            try:
                self.control.send_bytes(b"stop")
            except OSError:
                grace = 0.0
            self._process.join(grace)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(_DEATH_WAIT)
        if self._process.is_alive():
            log.warning("generator process %s cannot be killed; it is left behind", self._process.pid)
            how = "cannot be killed"
        else:
            how = self._obituary()
            self._process.close()
        with contextlib.suppress(OSError):
            self.control.close()
        return how

    def _obituary(self) -> str:
        code = self._process.exitcode
        if code is not None and code < 0:
            try:
                return f"killed by {signal.Signals(-code).name}"
            except ValueError:
                return f"killed by signal {-code}"
        return f"ended with status {code}"


def _shield_from_interrupt() -> None:
    """Block SIGINT in this thread; a child inherits that, so Ctrl-C cannot hit it before it can ignore it.

    Only the supervisor's own thread runs this; Python handles signals in the main thread whatever is blocked here.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
