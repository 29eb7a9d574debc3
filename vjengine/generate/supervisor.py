"""Keeps a generator process alive: whatever happens to it costs its picture for a moment, never the show.

A thread of its own starts the process, takes its frames out of shared memory and watches three signs of life: the
process itself (its end is seen at once), its heartbeat (a hang, a SIGSTOP, a stuck driver), and what it says
before it fails. Whoever presents frames only reads the latest one and hands over parameters.
"""

from __future__ import annotations

import logging
import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Literal

import numpy as np

from vjengine.core.clock import LiveClock
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.frame import Frame
from vjengine.core.generation import GeneratorParams
from vjengine.core.metrics import Rate, Ring
from vjengine.errors import GeneratorError
from vjengine.generate.base import DETAIL, GeneratorSpec
from vjengine.generate.birth import WorkerProcess
from vjengine.generate.host import Level
from vjengine.generate.life import WorkerLife
from vjengine.generate.recovery import Recovery
from vjengine.generate.registry import require_generator
from vjengine.generate.transport import GENERATING, LOADING

log = logging.getLogger(__name__)

State = Literal["starting", "running", "stalled", "restarting", "stopped"]

HEALTHY_AFTER = 30.0
"""s of frames after which the next failure counts as the first again."""

SPARE_AFTER = 10.0
"""s of frames after which the next spare is started: loading libraries must not disturb the beginning."""

_LOOK = 0.1  # s between looks at the heartbeat
_STARVED = 10  # times the limit that a worker without processor time is waited for
_GRACE = 0.3  # s a worker gets to close its generator by itself


class GeneratorProcess:
    """A supervised generator.

    Args:
        spec: the generator, its size, seed and options.
        clock: the session clock.
        events: where :class:`~vjengine.core.events.StatusChanged` of ``"generator"`` goes, and of the components that
            the generator itself speaks of; these are cleared when its process ends.
        fps_cap: most frames a second; a faster generator waits, so that it leaves the processor to the compositor.
        stall_timeout: s without a heartbeat after which the worker is killed; six times its usual frame time
            if that is longer, so a slow generator is not taken for a dead one.
        ready_timeout: s that loading and the first frame may take without a sign of life; a generator that reports
            its progress may take as long as it needs.
        spare: keep a second process that has loaded the generator's libraries and waits, so that a restart takes no
            longer than loading the model. It costs the memory of those libraries.
        fallback: what plays, for the rest of the session, after three failures in a row or one that is for good.
        on_frame: called on the supervisor's thread with each new frame, as soon as it is there; it must return at once
            and not raise.

    Raises:
        UsageError: if there is no such generator or fallback.
        GeneratorError: if ``fps_cap`` or a timeout is not above 0.
    """

    def __init__(
        self,
        spec: GeneratorSpec,
        clock: LiveClock,
        events: EventQueue,
        *,
        fps_cap: float = 30.0,
        stall_timeout: float = 3.0,
        ready_timeout: float = 30.0,
        fallback: GeneratorSpec | None = None,
        spare: bool = False,
        on_frame: Callable[[Frame], None] | None = None,
    ) -> None:
        for each in (spec, fallback or spec):
            require_generator(each.name)
        if not min(fps_cap, stall_timeout, ready_timeout) > 0:
            raise GeneratorError("fps_cap, stall_timeout and ready_timeout of a generator must be above 0")
        self.spec = spec
        self.restarts = 0
        self.state: State = "stopped"
        self.error = ""  # the last failure in one line
        """The last failure in one line; empty while there was none."""
        self.detail = ""
        """How the generator draws, in its own few words."""
        self._clock = clock
        self._events = events
        self._fps_cap = fps_cap
        self._stall_timeout = stall_timeout
        self._ready_timeout = ready_timeout
        self._frame: Latest[Frame | None] = Latest(None)
        self._params: Latest[GeneratorParams | None] = Latest(None)
        self._life: WorkerLife | None = None
        self._swap = threading.Lock()  # held for one assignment or one write of parameters, never across a wait
        self._oversize_said = False
        self._rate = Rate(30)
        self._durations = Ring(15)
        self._sequence = 0
        self._recovery = Recovery(spec, fallback)
        self._wants_spare = spare
        self._on_frame = on_frame
        self._spare: WorkerProcess | None = None
        self._components: dict[str, Level] = {}
        self._effort: tuple[float, tuple[bool, float] | None] | None = None
        self._stopping = threading.Event()
        self._wake_reader, self._wake_writer = multiprocessing.Pipe(duplex=False)
        self._thread = threading.Thread(target=self._guard, name="generator-supervisor", daemon=True)

    # What the engine calls.

    def start(self) -> None:
        """Start the process in the background; returns at once.

        Raises:
            GeneratorError: if it was started before.
        """
        if self._thread.ident is not None:
            raise GeneratorError("this generator process was started before; make a new GeneratorProcess")
        self.state = "starting"
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """End the process, by force if need be, within ``timeout`` s; a second call does nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._thread.ident is not None:
            self._wake_writer.send_bytes(b"stop")
            self._thread.join(timeout)
            if self._thread.is_alive():
                log.warning("the generator's supervisor did not end within %.1f s", timeout)
                return  # it still reads the pipe: leave that to it
        self.state = "stopped"
        self._wake_writer.close()
        self._wake_reader.close()

    def submit(self, params: GeneratorParams) -> None:
        """Make ``params`` what the next frame is drawn for. Never waits: about 20 µs."""
        self._params.publish(params)
        with self._swap:
            if self._life is None:
                return
            try:
                self._life.link.write_params(params)
            except ValueError as error:
                if not self._oversize_said:
                    self._oversize_said = True
                    self._say("warn", str(error))
                    log.warning("%s; the generator keeps the ones before", error)

    def latest(self) -> Frame | None:
        """Return the newest whole frame, the same object until there is a newer one; None before the first."""
        return self._frame.read()

    @property
    def running(self) -> str:
        """Name of the generator that plays or is being started: the one asked for, or the fallback."""
        return self._recovery.spec.name

    @property
    def pid(self) -> int | None:
        """Id of the running process, or None between lives."""
        life = self._life
        return life.process.pid if life is not None else None

    @property
    def spare_pid(self) -> int | None:
        """Id of the process that waits for the running one to die, or None."""
        spare = self._spare
        return spare.pid if spare is not None else None

    @property
    def fps(self) -> float:
        """Frames a second lately; falls towards 0 when none come."""
        return self._rate.per_second(self._clock.now())

    @property
    def frame_seconds(self) -> float:
        """Median of the last frames' drawing times in s; 0 before the first."""
        times = self._durations.values()
        return float(np.median(times)) if len(times) else 0.0

    # The supervisor's thread.

    def _guard(self) -> None:
        try:
            self._supervise()
        except Exception:  # the thread's outermost guard: a fault here must be seen, and the show goes on
            log.exception("the generator's supervisor failed; there will be no new frames")
            self._say("error", "the supervisor failed; see the log")
        finally:
            spare = self._take_spare()
            if spare is not None:
                spare.end()
            self.state = "stopped"

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            reason, permanent = self._one_life()
            if self._stopping.is_set():
                return
            self.error = reason
            before = self.running
            verdict = self._recovery.failed(reason, permanent)
            self._say(verdict.level, verdict.message)
            if verdict.delay < 0:
                log.error("generator %s cannot run: %s", before, reason)
                return
            self.state = "restarting"
            self.restarts += 1
            if self.running != before:
                self._durations = Ring(15)  # the other one's pace says nothing about this one's
                log.error("generator: %s", verdict.message)
            else:
                log.warning("generator %s: %s; restarting in %.2f s", before, reason, verdict.delay)
            self._stopping.wait(verdict.delay)

    def _one_life(self) -> tuple[str, bool]:
        """Run one worker to its end; return why it ended and whether that is for good."""
        try:
            life = WorkerLife(
                self._recovery.spec,
                self._clock,
                self._sequence + 1,
                self._fps_cap,
                self._params.read(),
                self._frame.read(),
                self._take_spare(),
            )
        except (OSError, ValueError, GeneratorError) as error:
            return f"no worker process: {error}", False
        with self._swap:
            self._life = life
        # Parameters submitted while the process was being started went nowhere: hand over the newest once more.
        newest = self._params.read()
        if newest is not None:
            self.submit(newest)
        grace = 0.0
        try:
            reason = self._watch(life)
            grace = _GRACE if self._stopping.is_set() and self.state != "stalled" else 0.0
        finally:
            with self._swap:
                self._life = None
            how = life.end(grace)
            self._silence()
        if life.failure is not None and life.failure.text != self.error:  # the same again is only counted
            log.warning("the generator's own account:\n%s", life.failure.trace)
        return reason or how, life.failure is not None and life.failure.permanent

    def _watch(self, life: WorkerLife) -> str:
        """Take frames until the worker ends (return ""), hangs (return what was seen) or is to stop."""
        awake_since = self._clock.now()
        looked = awake_since
        first_frame_at = 0.0
        while not self._stopping.is_set():
            ready = wait([life.process.control, life.process.sentinel, self._wake_reader], timeout=_LOOK)
            now = self._clock.now()
            if now - looked > 10 * _LOOK:
                awake_since = now  # it was we who slept (a suspended machine): the worker gets a fresh start
            looked = now
            life.listen()
            self._pass_on(life)
            if self._take_frame(life) and life.frames == 1:
                first_frame_at = now
                self._flowing()
            if life.frames and now - first_frame_at > HEALTHY_AFTER:
                self._recovery.healthy()
            if self._wants_spare and self._spare is None and life.frames and now - first_frame_at > SPARE_AFTER:
                self._start_spare()
            if life.process.sentinel in ready:
                return ""
            if life.failure is not None:
                # Its last words are out; it may take long to die (a broken driver), and nothing more will come.
                return life.failure.text
            hung = self._check_pulse(life, now, awake_since)
            if hung:
                return hung
        return ""

    def _take_frame(self, life: WorkerLife) -> bool:
        taken = life.take_frame()
        if taken is None:
            return False
        frame, seconds = taken
        self._sequence = frame.sequence
        self._rate.tick(frame.ready)
        self._durations.add(seconds)
        self._frame.publish(frame)
        if self._on_frame is not None:
            self._on_frame(frame)
        return True

    def _flowing(self) -> None:
        self.state = "running"
        self._say("error" if self._recovery.apology else "ok", self._recovery.apology)

    def _start_spare(self) -> None:
        try:
            self._spare = WorkerProcess(self._recovery.spec)
        except OSError as error:
            self._wants_spare = False
            log.warning("no spare process for the generator: %s", error)

    def _take_spare(self) -> WorkerProcess | None:
        """Return the spare if it is for what runs next; from now on it is the caller's."""
        spare, self._spare = self._spare, None
        if spare is None or (spare.living and spare.spec == self._recovery.spec):
            return spare
        spare.end()
        return None

    def _pass_on(self, life: WorkerLife) -> None:
        """Tell the performer what the worker says of its parts."""
        for remark in life.remarks:
            if remark.component == DETAIL:
                self.detail = remark.message
                continue
            self._components[remark.component] = remark.level
            self._say(remark.level, remark.message, remark.component)
        life.remarks.clear()

    def _silence(self) -> None:
        """Take the words of a worker that is no more off the HUD."""
        self.detail = ""
        for component, level in self._components.items():
            if level != "ok":
                self._say("ok", "", component)
        self._components.clear()

    def _check_pulse(self, life: WorkerLife, now: float, awake_since: float) -> str:
        """Return what is wrong if the worker must be taken for dead, else "". Marks it stalled half-way there."""
        beat, phase = life.link.heartbeat()
        silent = now - max(beat, life.born, awake_since)
        if phase == LOADING or (phase == GENERATING and not life.frames):
            limit = self._ready_timeout
        else:
            limit = max(self._stall_timeout, 6.0 * self.frame_seconds)
        if silent > limit and not self._starved(life, now, silent, limit):
            doing = {LOADING: "while loading", GENERATING: "inside a frame"}.get(phase, "between frames")
            return f"no sign of life for {silent:.1f} s {doing}"
        if silent <= limit / 2:
            self._effort = None
        elif self._effort is None:
            self._effort = now, life.process.effort()
        if life.frames:
            if silent > limit / 2 and self.state == "running":
                self.state = "stalled"
                self._say("warn", f"no sign of life for {silent:.1f} s")
            elif silent < limit / 4 and self.state == "stalled":
                self._flowing()
        return ""

    def _starved(self, life: WorkerLife, now: float, silent: float, limit: float) -> bool:
        """True if the silent worker wants to run but gets less than half a processor: then it is waited for."""
        if self._effort is None or silent > _STARVED * limit:
            return False
        since, before = self._effort
        after = life.process.effort()
        return before is not None and after is not None and after[0] and after[1] - before[1] < 0.5 * (now - since)

    def _say(self, level: Level, message: str, component: str = "generator") -> None:
        self._events.put(
            StatusChanged(time=self._clock.now(), source="generator", component=component, level=level, message=message)
        )
