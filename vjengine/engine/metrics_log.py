"""The log of a run's stability: a line for every frame that was looked at, and one for everything that happened.

JSON Lines. The first says what it is, a line with ``event`` tells of a change, every other is a frame's numbers::

    {"format": "vjengine-metrics", "version": 2, "generator": "turbo", "seed": 1, "size": [768, 432]}
    {"source": "generator", "number": 31, "time": 1.0333, "w1": 0.412, ...}
    {"source": "generator", "event": "alarm", "time": 92.4, "number": 2770, "alarm": "colour"}
    {"source": "generator", "event": "response", "time": 92.4, "number": 2770, "level": 1, "words": "colour: ..."}
    {"source": "trail", "number": 730, "time": 92.5, "w1": 3.02, ...}
    {"source": "generator", "event": "cleared", "time": 94.1, "number": 2821, "alarm": "colour"}

``source`` says whose picture it is: the ``generator``'s, or the compositor's ``trail`` while that is looked after
(``stabilise.trail`` above 0 and a long trail). Each has its own numbers, times that go up, alarms and responses; how
the two take turns in the file says nothing. Lines without a source, as version 1 had them, are the generator's.

``anchor`` tells that a scene has its anchor, ``generator`` that another one plays on, ``lost`` how many lines a slow
disk cost. Where nothing is looked at any more (a trail that fades, a generator that does not feed back), what stands is
``cleared`` and the response goes to 0. Times are session time, s.
:class:`~vjengine.stabilise.verdict.Verdict` says what the numbers are.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import queue
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue
from vjengine.errors import RecordError

if TYPE_CHECKING:
    from vjengine.stabilise.verdict import Verdict

log = logging.getLogger(__name__)

FORMAT = "vjengine-metrics"
VERSION = 2
GENERATOR, TRAIL = SOURCES = ("generator", "trail")
"""Whose pictures a log may tell of."""

_WAITING = 4096
"""Lines a slow disk may be behind: a minute's."""
_FLUSH = 1.0
"""s of lines that a killed process may lose."""


def header(generator: str, seed: int, size: tuple[int, int]) -> dict[str, Any]:
    """Return the first line: name of the generator, seed, and size (width, height) of its frames in px."""
    return {"format": FORMAT, "version": VERSION, "generator": generator, "seed": seed, "size": list(size)}


class Story:
    """Tells what happened from one verdict to the next."""

    def __init__(self) -> None:
        self._alarms: tuple[str, ...] = ()
        self._level = 0
        self._anchored = False

    def events(self, verdict: Verdict) -> Iterator[dict[str, Any]]:
        """Yield the events between the verdict before and this one."""
        when = {"time": round(verdict.time, 4), "number": verdict.number}
        if verdict.anchored and not self._anchored:
            yield {"event": "anchor", **when}
        for raised in (name for name in verdict.alarms if name not in self._alarms):
            yield {"event": "alarm", **when, "alarm": raised}
        self._anchored = verdict.anchored
        yield from self._to(when, verdict.alarms, verdict.level, verdict.response)

    def rest(self, time: float) -> Iterator[dict[str, Any]]:
        """Yield what ends at session ``time`` (s) because nothing is looked at any more."""
        yield from self._to({"time": round(time, 4)}, (), 0, "")

    def _to(self, when: dict[str, Any], alarms: tuple[str, ...], level: int, words: str) -> Iterator[dict[str, Any]]:
        for cleared in (name for name in self._alarms if name not in alarms):
            yield {"event": "cleared", **when, "alarm": cleared}
        if level != self._level:
            yield {"event": "response", **when, "level": level, "words": words}
        self._alarms, self._level = alarms, level


def encode(row: dict[str, Any]) -> str:
    """Return ``row`` as a line. What is no number (NaN, infinity) is null: JSON has no word for it."""
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(row), ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class SourceLog:
    """What a log is told of one source's pictures. One thread calls this, live another one for each source.

    Args:
        log: where the lines go; it stays the caller's.
        source: one of :data:`SOURCES`.
    """

    def __init__(self, log: MetricsLog, source: str) -> None:
        self._log = log
        self._source = source
        self._story = Story()

    def write(self, verdict: Verdict) -> None:
        """Take a verdict, and what it changes."""
        self._put(verdict.row())
        for event in self._story.events(verdict):
            self._put(event)

    def rest(self, time: float) -> None:
        """Take note that from session ``time`` (s) on nothing is looked at, or something else."""
        for event in self._story.rest(time):
            self._put(event)

    def note(self, event: str, **more: Any) -> None:
        """Take an event of another kind."""
        self._put({"event": event, **more})

    def _put(self, row: dict[str, Any]) -> None:
        self._log.put({"source": self._source, **row})


class MetricsLog:
    """Writes the log as it happens. A file of that name is replaced.

    A disk that is full or gone costs the rest of the log, never the show: one ``StatusChanged`` tells of it.

    Args:
        path: folders on the way are made.
        first: the first line, see :func:`header`.
        events: where trouble is told.
        live: write on a thread of its own, at least once a second, and drop lines rather than wait for a disk;
            False writes in place.

    Attributes:
        lost: lines dropped.
        problem: why nothing is written any more; empty while all is well.

    Raises:
        RecordError: if the file cannot be made.
    """

    def __init__(self, path: Path, first: dict[str, Any], events: EventQueue, *, live: bool) -> None:
        self.path = path
        self.lost = 0
        self.problem = ""
        self._events = events
        self._closed = False
        self._newest = 0.0
        self._counting = threading.Lock()
        self._waiting: queue.Queue[str | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: TextIO | None = path.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise RecordError(f"--metrics {path} cannot be written: {error.strerror or error}") from error
        if live:
            self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
            self._thread.start()
        self.put(first)

    def put(self, row: dict[str, Any]) -> None:
        """Take a line. Live it never waits, and several threads may call it."""
        if self.problem or self._closed:
            return
        self._newest = row.get("time", self._newest)
        line = encode(row) + "\n"
        if self._thread is None:
            self._write(line)
            return
        try:
            self._waiting.put_nowait(line)
        except queue.Full:
            with self._counting:
                self.lost += 1
                first = self.lost == 1
            if first:
                self._say("warn", f"{self.path}: the disk is too slow, lines are lost")

    def close(self) -> None:
        """Write what waits and close the file; what comes after it is not taken."""
        self._closed = True
        if self.lost:
            log.warning("%s: %d lines lost, the disk was too slow", self.path, self.lost)
        if self._thread is None:
            self._shut()
            return
        thread, self._thread = self._thread, None
        # A disk that hangs must not keep a show from ending.
        try:
            self._waiting.put(None, timeout=1.0)
        except queue.Full:
            return
        thread.join(2.0)

    # The file belongs to the thread, if there is one.

    def _run(self) -> None:
        flushed = time.perf_counter()
        dirty = False
        while not self.problem:
            try:
                # Nothing to save: nothing to wake up for.
                left = max(0.0, flushed + _FLUSH - time.perf_counter()) if dirty else None
                line = self._waiting.get(timeout=left)
            except queue.Empty:
                line = ""
            if line is None:
                break
            if line:
                self._write(line)
                if not dirty:
                    dirty, flushed = True, time.perf_counter()
            if dirty and time.perf_counter() - flushed >= _FLUSH:
                self._flush()
                dirty = False
        if self.lost and not self.problem:
            self._write(encode({"event": "lost", "lines": self.lost}) + "\n")
        self._shut()

    def _write(self, line: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(line)
        except OSError as error:
            self._fail(error)

    def _flush(self) -> None:
        if self._file is None:
            return
        try:
            self._file.flush()
            self._check(self._file)
        except OSError as error:
            self._fail(error)

    def _shut(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        try:
            with file:
                self._check(file)
        except OSError as error:
            self._fail(error)

    @staticmethod
    def _check(file: TextIO) -> None:
        """Raise FileNotFoundError if the file was removed: writing to one that has no name any more goes well."""
        about = os.fstat(file.fileno())
        if stat.S_ISREG(about.st_mode) and about.st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "the file was removed")

    def _fail(self, error: OSError) -> None:
        if self.problem:
            return
        self.problem = f"{self.path} cannot be written any more: {error.strerror or error}"
        log.error("the metrics: %s", self.problem)
        self._say("error", self.problem)

    def _say(self, level: Any, message: str) -> None:
        self._events.put(StatusChanged(time=self._newest, component="metrics", level=level, message=message))
