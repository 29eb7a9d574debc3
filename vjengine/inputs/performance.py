"""A recorded performance: what human hands did in a show, as JSON Lines, and its replay live or offline.

One event a line, its time in seconds from the start of the show::

    {"t": 12.5, "type": "MacroSet", "macro": "DROP", "value": 1.0, "source": "midi:pads"}

The fields of a line are those of the event's dataclass: :data:`RECORDED` is the whole format.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import queue
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TextIO, get_args, get_origin, get_type_hints

from vjengine.core import events as ev
from vjengine.core.exchange import EventQueue
from vjengine.errors import ConfigError, RecordError
from vjengine.strict_yaml import suggest

log = logging.getLogger(__name__)

RECORDED: Mapping[str, type[ev.Event]] = {
    kind.__name__: kind
    for kind in (
        ev.MacroSet,
        ev.MacroLevel,
        ev.MacroToggle,
        ev.ParamSet,
        ev.LookSelected,
        ev.PromptSubmitted,
        # Not a hand of the performer's, but without it the night could not be played again.
        ev.CrowdPrompt,
        ev.Trigger,
        ev.Tap,
        ev.Resync,
        ev.TempoScale,
        ev.TempoNudge,
        ev.TempoRange,
    )
}
"""The kinds of events that a hand makes, the crowd's too."""

MAX_LINE = 16_384
"""Longest line, characters."""
MAX_EVENTS = 1_000_000
"""Most events of one performance: about five hours of a fader that never rests."""
_WAITING = 8192
_HINTS: Mapping[str, Mapping[str, Any]] = {name: get_type_hints(kind) for name, kind in RECORDED.items()}


def encode(event: ev.Event, started: float = 0.0) -> str | None:
    """Return ``event`` as a line, timed from session time ``started`` (s); ``None`` if it is not recorded."""
    name = type(event).__name__
    if name not in RECORDED:
        return None
    record: dict[str, Any] = {"t": round(max(0.0, event.time - started), 6), "type": name}
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if field.name != "time" and value != field.default:
            record[field.name] = value
    try:
        line = json.dumps(record, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return None  # a number that is none: it means nothing to anyone
    return line if len(line) <= MAX_LINE else None


def decode(line: str, file: Path | str = "performance", number: int = 1) -> ev.Event:
    """Return the event of one line; its ``time`` is in s from the start of the show.

    Raises:
        ConfigError: names file and line, key, value and what was expected.
    """
    where = f"{file}:{number}"
    try:
        record = json.loads(line, parse_constant=lambda name: _refuse(where, "number", name, "a finite number"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(where, "line", line, "one JSON object") from error
    if not isinstance(record, dict):
        _refuse(where, "line", record, 'an object like {"t": 1.5, "type": "Tap"}')
    name = record.pop("type", None)
    if not isinstance(name, str) or name not in RECORDED:
        _refuse(where, "type", name, f"a kind of event: {suggest(name, RECORDED)}")
    time = record.pop("t", None)
    if not _is_number(time) or not 0.0 <= time <= 1e7:
        _refuse(where, "t", time, "seconds from the start, 0 or more")
    fields = {field.name: field for field in dataclasses.fields(RECORDED[name]) if field.name != "time"}
    for key, value in record.items():
        if key not in fields:
            _refuse(where, key, value, f"a field of {name}: {suggest(key, fields)}")
        record[key] = _checked(where, key, value, _HINTS[name][key])
    for key, field in fields.items():
        if field.default is dataclasses.MISSING and key not in record:
            _refuse(where, key, None, f"to be given for {name}")
    return RECORDED[name](time=float(time), **record)


def _refuse(where: str, key: str, value: object, expected: str) -> NoReturn:
    raise ConfigError(where, key, value, expected)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def _checked(where: str, key: str, value: Any, hint: Any) -> Any:
    """Return ``value`` as the field's type ``hint`` wants it."""
    if get_origin(hint) is Literal:
        if value not in get_args(hint) or not isinstance(value, str):
            _refuse(where, key, value, "one of " + ", ".join(get_args(hint)))
        return value
    if hint is bool:
        if not isinstance(value, bool):
            _refuse(where, key, value, "true or false")
        return value
    if hint is str:
        if not isinstance(value, str):
            _refuse(where, key, value, "text")
        return value
    if not _is_number(value) or (hint is int and not isinstance(value, int)):
        _refuse(where, key, value, "a whole number" if hint is int else "a finite number")
    return hint(value)


def load_performance(path: Path) -> tuple[ev.Event, ...]:
    """Return the events of a recorded performance in order of time (s from the start of the show).

    Blank lines and lines that begin with ``#`` are skipped. A last line that was cut short, as a power cut leaves it,
    is left out.

    Raises:
        ConfigError: names file and line, key, value and what was expected.
    """
    events: list[ev.Event] = []
    try:
        with path.open(encoding="utf-8") as file:
            number = 0
            while line := file.readline(MAX_LINE + 2):
                number += 1
                whole = line.endswith("\n")
                if len(line) > MAX_LINE + 1:
                    _refuse(f"{path}:{number}", "line", line, f"at most {MAX_LINE} characters")
                if not line.strip() or line.startswith("#"):
                    continue
                if len(events) >= MAX_EVENTS:
                    _refuse(f"{path}:{number}", "line", "one more", f"at most {MAX_EVENTS:,} events")
                try:
                    events.append(decode(line, path, number))
                except ConfigError:
                    if whole:
                        raise
                    log.warning("%s:%d was cut short and is left out", path, number)
    except UnicodeDecodeError as error:
        raise ConfigError(path, "(file)", f"byte {error.start}", "text in UTF-8") from error
    except OSError as error:
        raise ConfigError(path, "(file)", error.strerror or str(error), "a readable file") from error
    return tuple(sorted(events, key=lambda event: event.time))


class PerformanceWriter:
    """Writes a performance as it happens, every line at once, on its own thread.

    A disk that is full or gone costs the rest of the recording, never the show: one ``StatusChanged`` tells of it.

    Args:
        path: a new file; folders on the way are made.
        events: where trouble is told.
        overwrite: replace a file that is there.

    Raises:
        RecordError: if the file cannot be made, or is there already.
    """

    def __init__(self, path: Path, events: EventQueue | None = None, *, overwrite: bool = False) -> None:
        self.path = path
        self.written = 0
        self.lost = 0
        self.problem = ""
        self._events = events
        self._waiting: queue.Queue[str | None] = queue.Queue(_WAITING)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("w" if overwrite else "x", encoding="utf-8", newline="\n")
        except OSError as error:
            if path.is_file() and not overwrite:
                raise RecordError(f"{path} is there already; choose another name for the performance") from error
            raise RecordError(f"{path} cannot be written: {error.strerror or error}") from error
        self._thread: threading.Thread | None = threading.Thread(
            target=self._run, args=(file,), name="performance", daemon=True
        )
        self._thread.start()

    def write(self, events: Iterable[ev.Event], started: float = 0.0) -> None:
        """Take those of ``events`` that a hand made, timed from session time ``started`` (s). Never blocks."""
        if self._thread is None or self.problem:
            return
        for event in events:
            line = encode(event, started)
            if line is None:
                continue
            try:
                self._waiting.put_nowait(line)
            except queue.Full:
                self.lost += 1

    def close(self) -> None:
        """Write what waits and close the file."""
        thread, self._thread = self._thread, None
        if thread is not None:
            # A disk that hangs must not keep a show from ending.
            try:
                self._waiting.put(None, timeout=1.0)
            except queue.Full:
                return
            thread.join(2.0)

    def __enter__(self) -> PerformanceWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, file: TextIO) -> None:
        try:
            with file:
                while (line := self._waiting.get()) is not None:
                    if self.written >= MAX_EVENTS:
                        self._fail(f"stopped after {MAX_EVENTS:,} events")
                        return
                    file.write(line + "\n")
                    file.flush()
                    self.written += 1
        except OSError as error:
            self._fail(f"cannot be written any more: {error.strerror or error}")

    def _fail(self, what: str) -> None:
        self.problem = f"{self.path} {what}"
        log.warning("the performance %s", self.problem)
        if self._events is not None:
            self._events.put(ev.StatusChanged(component="performance", level="error", message=self.problem))
        while not self._waiting.empty():
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                break


class PerformancePlayer:
    """Plays a performance into an event queue, as far as it is told to. Has no thread and no clock of its own.

    Args:
        performance: events timed in s from the start of the show.
        events: where they go, with source ``"performance"``.
    """

    def __init__(self, performance: Sequence[ev.Event], events: EventQueue) -> None:
        self._performance = sorted(performance, key=lambda event: event.time)
        self._events = events
        self._next = 0

    @property
    def duration(self) -> float:
        """Time of the last event, s from the start."""
        return self._performance[-1].time if self._performance else 0.0

    @property
    def finished(self) -> bool:
        """True once every event has been played."""
        return self._next >= len(self._performance)

    def advance(self, elapsed: float, started: float = 0.0) -> int:
        """Play everything due ``elapsed`` s into the show; return how many events that were.

        Events get session times: their own plus ``started``, the session time (s) at which the show began. What does
        not fit into a full queue is played the next time.
        """
        if math.isnan(elapsed):
            return 0
        begin = self._next
        while self._next < len(self._performance) and self._performance[self._next].time <= elapsed:
            event = self._performance[self._next]
            if not self._events.put(dataclasses.replace(event, time=started + event.time, source="performance")):
                break
            self._next += 1
        return self._next - begin
