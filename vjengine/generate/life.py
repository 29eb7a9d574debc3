"""One life of the generator's process, from its birth to its certain end, with the shared memory that belongs to it.

Every life has a segment of its own: a worker that is slow to die (one stuck in a driver cannot even be killed) can
only write into memory that nobody reads any more.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import pickle
import signal

import psutil

from vjengine.core.clock import LiveClock
from vjengine.core.frame import Frame
from vjengine.core.generation import GeneratorParams
from vjengine.generate.base import GeneratorSpec
from vjengine.generate.host import NEWS, Failure, LogLine, Remark
from vjengine.generate.transport import Link
from vjengine.generate.worker import Assignment, run_worker

log = logging.getLogger(__name__)

_DEATH_WAIT = 0.3  # s in which a killed process is gone, unless a driver holds it


class WorkerLife:
    """A running worker process.

    Args:
        spec: the generator.
        clock: the session clock.
        first_sequence: number of its first frame.
        fps_cap: most frames a second.
        params: what it draws first, if anything is known yet.
        last: the last good frame of the life before; a generator whose pictures grow out of each other goes on from it.

    Raises:
        GeneratorError: if there is no shared memory for it.
        OSError: if no process can be started.
    """

    def __init__(
        self,
        spec: GeneratorSpec,
        clock: LiveClock,
        first_sequence: int,
        fps_cap: float,
        params: GeneratorParams | None,
        last: Frame | None = None,
    ) -> None:
        self._name = spec.name
        self.born = clock.now()
        self.frames = 0
        self.failure: Failure | None = None
        self.remarks: list[Remark] = []
        """What it said since somebody last emptied this list."""
        self.link = Link.create(spec.size)
        self._version = self.link.leave(last) if last is not None and last.size == spec.size else 0
        if params is not None:
            self.link.write_params(params)
        context = multiprocessing.get_context("spawn")
        self.control, far_end = context.Pipe(duplex=True)
        assignment = Assignment(spec, self.link.segment, clock.epoch, first_sequence, fps_cap)
        self._process = context.Process(
            target=run_worker, args=(assignment, far_end), name=f"vjengine generator {spec.name}", daemon=True
        )
        _shield_from_interrupt()
        try:
            self._process.start()
        except OSError:
            self.control.close()
            self.link.close(unlink=True)
            raise
        finally:
            far_end.close()

    @property
    def pid(self) -> int | None:
        """Id of the process."""
        return self._process.pid

    @property
    def sentinel(self) -> int:
        """Becomes readable when the process ends."""
        return self._process.sentinel

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

    def listen(self) -> None:
        """Take in everything the worker has said: its log lines, :attr:`remarks`, a :attr:`failure`."""
        try:
            while self.control.poll(0):
                said = self.control.recv_bytes()
                if said != NEWS:
                    self._hear(pickle.loads(said))
        except (EOFError, OSError):
            return  # its end is closed: the sentinel tells the rest

    def _hear(self, said: Failure | tuple[Remark | LogLine, ...]) -> None:
        if isinstance(said, Failure):
            self.failure = said
            return
        for word in said:
            if isinstance(word, Remark):
                self.remarks.append(word)
            else:
                logging.getLogger(word.logger).log(word.level, "%s", word.text)

    def take_frame(self) -> tuple[Frame, float] | None:
        """Return the newest frame and the s it took, if it is newer than the last one taken."""
        found = self.link.read_frame(self._version, self._name)
        if found is None:
            return None
        self._version, frame, seconds = found
        self.frames += 1
        return frame, seconds

    def _obituary(self) -> str:
        if self.failure is not None:
            return self.failure.text
        code = self._process.exitcode
        if code is not None and code < 0:
            try:
                return f"killed by {signal.Signals(-code).name}"
            except ValueError:
                return f"killed by signal {-code}"
        return f"ended with status {code}"

    def end(self, grace: float) -> str:
        """End the process within about ``grace`` + 0.3 s and give its memory back; return in words how it ended."""
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
        self.link.close(unlink=True)
        return how


def _shield_from_interrupt() -> None:
    """Block SIGINT in this thread; a child inherits that, so Ctrl-C cannot hit it before it can ignore it.

    Only the supervisor's own thread runs this; Python handles signals in the main thread whatever is blocked here.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
