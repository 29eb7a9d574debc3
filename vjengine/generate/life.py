"""One life of the generator's process, from its birth to its certain end, with the shared memory that belongs to it.

Every life has a segment of its own: a worker that is slow to die (one stuck in a driver cannot even be killed) can
only write into memory that nobody reads any more.
"""

from __future__ import annotations

import logging
import pickle

from vjengine.core.clock import LiveClock
from vjengine.core.frame import Frame
from vjengine.core.generation import GeneratorParams
from vjengine.generate.base import GeneratorSpec
from vjengine.generate.birth import WorkerProcess
from vjengine.generate.host import NEWS, Failure, LogLine, Remark
from vjengine.generate.transport import Link
from vjengine.generate.worker import Assignment


class WorkerLife:
    """A running worker.

    Args:
        spec: the generator.
        clock: the session clock.
        first_sequence: number of its first frame.
        fps_cap: most frames a second.
        params: what it draws first, if anything is known yet.
        last: the last good frame of the life before; a generator whose pictures grow out of each other goes on from it.
        spare: a process that was started ahead for this generator; without one, or if it is dead, one is started.

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
        spare: WorkerProcess | None = None,
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
        assignment = Assignment(spec, self.link.segment, clock.epoch, first_sequence, fps_cap)
        try:
            self.process = self._employ(assignment, spare)
        except OSError:
            self.link.close(unlink=True)
            raise

    @staticmethod
    def _employ(assignment: Assignment, spare: WorkerProcess | None) -> WorkerProcess:
        if spare is not None:
            try:
                spare.assign(assignment)
            except OSError:
                spare.end()  # it died while it waited
            else:
                return spare
        process = WorkerProcess(assignment.spec)
        try:
            process.assign(assignment)
        except OSError:
            process.end()
            raise
        return process

    def listen(self) -> None:
        """Take in everything the worker has said: its log lines, :attr:`remarks`, a :attr:`failure`."""
        control = self.process.control
        try:
            while control.poll(0):
                said = control.recv_bytes()
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

    def end(self, grace: float) -> str:
        """End the process within about ``grace`` + 0.3 s and give its memory back; return in words how it ended."""
        how = self.process.end(grace)
        self.link.close(unlink=True)
        return self.failure.text if self.failure is not None else how
