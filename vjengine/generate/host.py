"""What a worker says to the engine beside its pictures: changes of state for the HUD, log lines, its last words.

Everything crosses the control pipe as small pickled values. Whoever speaks never waits for the pipe: words are put
down, newest a component, and a thread of the host's own carries them over a few times a second. So a loader that
reports every tensor costs nothing, and a flood from a library cannot fill the pipe.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal

from vjengine.core.clock import LiveClock
from vjengine.generate.base import DETAIL
from vjengine.generate.transport import LOADING, Link

Level = Literal["ok", "warn", "error"]

NEWS = b"frame"
"""What the worker says after every frame; anything else it says is a pickled :class:`Failure` or tuple of words."""

LOADING_COMPONENT = "loading"
"""Component under which :meth:`PipeHost.alive` shows what is being done."""

_PAUSE = 0.1  # s between two loads of words
_WORDS, _NAME = 200, 24  # characters of a message and of a component's name that cross
_COMPONENTS = 16  # components a worker may have
_LINES, _LINE = 8, 500  # log lines a load, characters a line


@dataclass(frozen=True, slots=True)
class Failure:
    """A worker's last words.

    Attributes:
        text: the error in one line.
        trace: its traceback, for the log.
        permanent: True if trying again cannot help: a wrong option, a library that is not installed.
    """

    text: str
    trace: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class Remark:
    """How a part of the generator is; see :class:`~vjengine.core.events.StatusChanged`."""

    component: str
    level: Level
    message: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line for the engine's log."""

    level: int
    logger: str
    text: str


class PipeHost:
    """The :class:`~vjengine.generate.base.Host` of a generator in a worker process.

    Args:
        name: the generator's; stands in for component names that are not its to use.
        link: takes the heartbeat.
        clock: the session clock.
        control: where words go; nobody else may write to it any more.
    """

    live = True

    def __init__(self, name: str, link: Link, clock: LiveClock, control: Connection) -> None:
        self._name = name
        self._link = link
        self._clock = clock
        self._control = control
        self._drawer = threading.get_ident()
        self._loading = True
        self._doing = ""
        self._said: dict[str, Remark] = {}
        self._waiting: dict[str, Remark] = {}
        self._lines: deque[LogLine] = deque(maxlen=_LINES)
        self._lost = 0
        self._words = threading.Lock()  # held for a few assignments
        self._pipe = threading.Lock()  # held for one write
        self._something = threading.Event()
        self._pause = threading.Event()  # never set: only waited for
        threading.Thread(target=self._carry, name="host", daemon=True).start()

    # What the generator calls.

    def alive(self, doing: str = "", fraction: float = -1.0) -> None:
        """Say that slow work goes on; see :class:`~vjengine.generate.base.Host`."""
        if not self._loading and threading.get_ident() != self._drawer:
            return  # work in the background is no sign that pictures will come
        self._link.beat(self._clock.now(), LOADING)
        with self._words:
            self._doing = doing or self._doing
            words = self._doing
        if words:
            self._put(LOADING_COMPONENT, "warn", words if not 0 <= fraction <= 1 else f"{words} {fraction:.0%}")

    def say(self, component: str, level: Level, message: str = "") -> None:
        """Report a change of state; see :class:`~vjengine.generate.base.Host`."""
        own = component in ("", "generator", LOADING_COMPONENT)
        self._put(self._name if own else component, level, message)

    # What the worker calls.

    def log(self, line: LogLine) -> None:
        """Put down a line for the engine's log."""
        with self._words:
            self._lost += len(self._lines) == _LINES
            self._lines.append(LogLine(line.level, line.logger[:100], line.text[:_LINE]))
        self._something.set()

    def loaded(self) -> None:
        """The generator is made: from now on only the drawing thread's signs of life count."""
        self._loading = False

    def drew(self) -> None:
        """A picture is out: slow work, if there was any, is over."""
        if self._doing:
            with self._words:
                self._doing = ""
            self._put(LOADING_COMPONENT, "ok", "")

    def news(self) -> None:
        """Say that there is a new frame.

        Raises:
            OSError: if the engine is gone.
        """
        with self._pipe:
            self._control.send_bytes(NEWS)

    def fail(self, failure: Failure) -> None:
        """Say the last words, after everything said before. Nobody may be left to hear them."""
        with contextlib.suppress(OSError):
            self._flush()
            with self._pipe:
                self._control.send(failure)

    def _put(self, component: str, level: Level, message: str) -> None:
        remark = Remark(component[:_NAME], level, " ".join(message.split())[:_WORDS])
        with self._words:
            known = self._said.keys() | self._waiting.keys()
            pointless = level == "ok" and component != DETAIL
            if remark.component not in known and (pointless or len(known) >= _COMPONENTS):
                return
            self._waiting[remark.component] = remark
        self._something.set()

    def _carry(self) -> None:
        while True:
            self._something.wait()
            self._something.clear()
            try:
                self._flush()
            except OSError:
                return  # the engine is gone, and this process goes after it
            self._pause.wait(_PAUSE)

    def _flush(self) -> None:
        # The pipe first: two threads in here must not let an older word overtake a newer one.
        with self._pipe:
            with self._words:
                news = [remark for name, remark in self._waiting.items() if self._said.get(name) != remark]
                self._said.update(self._waiting)
                self._waiting.clear()
                lines = list(self._lines)
                self._lines.clear()
                if self._lost:
                    lines.append(LogLine(logging.WARNING, __name__, f"{self._lost} log lines were too many"))
                    self._lost = 0
            if news or lines:
                self._control.send((*news, *lines))


class HostLog(logging.Handler):
    """Sends this process's log to the engine's, so that nothing reaches the performer's terminal unasked."""

    def __init__(self, host: PipeHost) -> None:
        super().__init__(logging.INFO)
        self._host = host

    def emit(self, record: logging.LogRecord) -> None:
        """Put the line down for the engine."""
        try:
            self._host.log(LogLine(record.levelno, record.name, self.format(record)))
        except Exception:  # noqa: BLE001 - what logging asks of a handler: a bad log call must not stop the picture
            self.handleError(record)
