"""The generator's own process: read the newest parameters, draw, write the frame, say so; nothing else.

Imported by name in a spawned interpreter, so it imports only what it needs: a restart on stage costs this much time.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait

from vjengine.core.clock import LiveClock
from vjengine.errors import MissingDependency, UsageError, VJError
from vjengine.generate.base import GeneratorSpec, Resumable
from vjengine.generate.drawing import Easel
from vjengine.generate.host import Failure, HostLog, PipeHost
from vjengine.generate.registry import create_generator, warm_up
from vjengine.generate.transport import LOADING, Link, Segment

NICENESS = 10
"""Gives a tenth of a contested core, on POSIX: enough to go on drawing when the machine is full, and little enough that
the compositor hardly notices. Lower still, an idle class draws nothing at all on a full machine."""

_WARM_UP_AFTER = 0.2  # s without an assignment from which a worker takes itself for a spare
_TEXT, _TRACE = 400, 4000  # characters of an error that cross: one write to the pipe stays one piece


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker is told at birth; it pickles.

    Attributes:
        spec: the generator to run.
        segment: where the shared memory is.
        epoch: the session clock's epoch, so that both processes tell the same time.
        first_sequence: number of its first frame.
        fps_cap: most frames a second.
    """

    spec: GeneratorSpec
    segment: Segment
    epoch: float
    first_sequence: int
    fps_cap: float


def run_worker(spec: GeneratorSpec, control: Connection) -> None:
    """Wait for an assignment, then run the generator until told to stop, until the engine is gone, or until it fails.

    Args:
        spec: what will be asked for; until then its libraries are loaded.
        control: brings one :class:`Assignment`. After that it becomes readable when the engine says stop or goes
            away; nothing more is read from it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the engine decides
    threading.Thread(target=_leave_with_parent, name="leave-with-parent", daemon=True).start()
    _yield_to_the_compositor()
    _limit_threads(spec)
    if not control.poll(_WARM_UP_AFTER):
        _warm_up(spec)
    try:
        assignment: Assignment = control.recv()
        link = Link.attach(assignment.segment)
    except (EOFError, OSError):
        return  # the engine is gone, or gave up on this worker before it was born
    clock = LiveClock(assignment.epoch)
    link.beat(clock.now(), LOADING)
    host = PipeHost(assignment.spec.name, link, clock, control)
    _log_to_the_engine(host)
    try:
        _draw(assignment, link, clock, host, control)
    except (BrokenPipeError, ConnectionResetError):
        return  # the engine is gone
    except Exception as error:  # noqa: BLE001 - the process's outermost guard: whatever it was, the engine is told
        host.fail(_failure(error))
        os._exit(1)  # not a return: a driver in a bad state can hang on its way out
    try:
        link.close()
    except BufferError:
        os._exit(0)  # a library still holds a view of the memory: it goes with the process


def _warm_up(spec: GeneratorSpec) -> None:
    """Load what the generator's module needs, ahead of time."""
    _quiet()
    # Whatever is wrong is told by the generator itself, when it is made.
    with contextlib.suppress(ImportError, OSError, RuntimeError, VJError):
        warm_up(spec.name)


def _draw(assignment: Assignment, link: Link, clock: LiveClock, host: PipeHost, control: Connection) -> None:
    spec = assignment.spec
    generator = create_generator(spec, host)
    if isinstance(generator, Resumable):
        last = link.read_frame(0, spec.name)
        if last is not None:
            generator.resume(last[1].pixels)
    host.loaded()
    Easel(generator, spec, link, clock, host, assignment.first_sequence, assignment.fps_cap).run(control.poll)
    # Only after a good end: one that failed has words to say first, and may hang in its own clean-up.
    generator.close()


def _failure(error: Exception) -> Failure:
    text = str(error).strip() or type(error).__name__
    if not isinstance(error, (UsageError, MissingDependency)) and type(error).__module__ == "builtins":
        text = f"{type(error).__name__}: {text}"
    trace = "".join(traceback.format_exception(error))
    permanent = isinstance(error, (UsageError, MissingDependency))
    return Failure(" ".join(text.split())[:_TEXT], trace[-_TRACE:], permanent)


def _log_to_the_engine(host: PipeHost) -> None:
    logging.getLogger().addHandler(HostLog(host))
    logging.getLogger("vjengine").setLevel(logging.INFO)  # the engine decides what of it is shown
    _quiet()


def _quiet() -> None:
    """Keep the terminal clean: what libraries have to say goes to the log, and that to the engine."""
    logging.getLogger().addHandler(logging.NullHandler())
    logging.captureWarnings(True)


def _leave_with_parent() -> None:
    """End this process the moment the engine's ends, even while the generator hangs.

    A hang inside a driver may also hold up every thread here. On Linux the kernel ends us all the same: a stray
    worker would keep the graphics card's memory from the next start.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(2)


def _yield_to_the_compositor() -> None:
    """Lower this process's priority: frames may come late, presented frames may not."""
    import psutil

    # A sandbox may forbid it; the show does not depend on it.
    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process().nice(getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", NICENESS))


def _limit_threads(spec: GeneratorSpec) -> None:
    """Bound what a software renderer takes from the compositor; the ``threads`` option overrules.

    Mesa's software OpenGL reads its variable when a context is made, so this comes before any.
    """
    threads = spec.options.get("threads")
    if threads is None:
        os.environ.setdefault("LP_NUM_THREADS", str(max(1, (os.cpu_count() or 2) // 2)))
        return
    if not isinstance(threads, (int, float)) or not 1 <= threads <= 256:
        return  # the generator itself refuses it, in words
    os.environ["LP_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(int(threads))
