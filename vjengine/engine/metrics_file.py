"""Reads the log that :mod:`.metrics_log` writes, in memory that does not grow with its length."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vjengine.engine.metrics_log import FORMAT, GENERATOR, TRAIL, VERSION
from vjengine.errors import ConfigError

Floats = npt.NDArray[np.float64]

HELD = ("w1", "detail", "exposure", "clipped", "chroma", "fine", "middle", "coarse")
"""Columns that are held against the anchor: they mean nothing without one."""
COLUMNS = (*HELD, "entropy", "motion", "difference", "flicker")
BUCKETS = 2048
"""Most buckets of a curve: more than a plot has px."""
MAX_LINE = 65_536
_MAX_MARKS = 20_000
_BATCH = 2048  # rows
_EXPECTED = "a log written by `vjengine live --metrics FILE` or `vjengine render --metrics FILE`"


@dataclass(frozen=True, slots=True)
class Span:
    """An alarm, from ``start`` to ``end`` (session time, s); not ``cleared``: it was on when the log ended."""

    alarm: str
    start: float
    end: float
    cleared: bool = True


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at session ``time`` (s).

    Attributes:
        kind: ``anchor``, ``generator`` or ``response``.
        level: of a response.
        words: of a response, or the name of the generator.
    """

    time: float
    kind: str
    level: int = 0
    words: str = ""


class Curves:
    """All columns over time, in at most :data:`BUCKETS` buckets of equally many frames: lowest, highest, mean.

    When the buckets are full, two and two become one, so that a peak of a single frame is never lost.
    """

    def __init__(self) -> None:
        shape = (BUCKETS, len(COLUMNS))
        self._low, self._high = np.full(shape, np.nan), np.full(shape, np.nan)
        self._sum, self._count = np.zeros(shape), np.zeros(shape)
        self._start, self._end = np.zeros(BUCKETS), np.zeros(BUCKETS)
        self._used = 0
        self._width, self._filled = 1, 0

    def add(self, times: Floats, values: Floats) -> None:
        """Take ``(n,)`` times (s), which only go up, and ``(n, columns)`` values, NaN where there is none."""
        done = 0
        while done < len(times):
            if self._filled == 0:
                if self._used == BUCKETS:
                    self._halve()
                self._start[self._used] = times[done]
                self._used += 1
            i, until = self._used - 1, min(len(times), done + self._width - self._filled)
            part = values[done:until]
            known = np.isfinite(part)
            self._low[i] = np.fmin(self._low[i], np.fmin.reduce(part))
            self._high[i] = np.fmax(self._high[i], np.fmax.reduce(part))
            self._sum[i] += np.where(known, part, 0.0).sum(axis=0)
            self._count[i] += known.sum(axis=0)
            self._end[i] = times[until - 1]
            self._filled = (self._filled + until - done) % self._width
            done = until

    def _halve(self) -> None:
        half = BUCKETS // 2
        for array, join, empty in (
            (self._low, np.fmin, np.nan),
            (self._high, np.fmax, np.nan),
            (self._sum, np.add, 0.0),
            (self._count, np.add, 0.0),
        ):
            array[:half] = join(array[0::2], array[1::2])
            array[half:] = empty
        self._start[:half], self._end[:half] = self._start[0::2].copy(), self._end[1::2].copy()
        self._used = half
        self._width *= 2

    @property
    def times(self) -> Floats:
        """``(n,)`` middle of each bucket, s."""
        middle: Floats = 0.5 * (self._start[: self._used] + self._end[: self._used])
        return middle

    def column(self, name: str) -> tuple[Floats, Floats, Floats]:
        """Return lowest, highest and mean of ``name``, each ``(n,)``; NaN where nothing is known."""
        i, n = COLUMNS.index(name), self._used
        known = self._count[:n, i] > 0
        mean = np.divide(self._sum[:n, i], self._count[:n, i], out=np.full(n, np.nan), where=known)
        return self._low[:n, i].copy(), self._high[:n, i].copy(), mean

    def between(self, name: str, start: float, end: float) -> float:
        """Return the mean of ``name`` over the buckets that begin from ``start`` to ``end`` (s); NaN if none does."""
        i, n = COLUMNS.index(name), self._used
        inside = (self._start[:n] >= start) & (self._start[:n] <= end)
        count = float(self._count[:n, i][inside].sum())
        return float(self._sum[:n, i][inside].sum()) / count if count else math.nan


@dataclass(slots=True)
class Extremes:
    """A column's lowest and highest value, when they were (s), and its last; NaN before the first."""

    low: float = math.nan
    low_at: float = math.nan
    high: float = math.nan
    high_at: float = math.nan
    last: float = math.nan

    def add(self, times: Floats, values: Floats) -> None:
        """Take ``(n,)`` values; NaN says nothing."""
        known = np.flatnonzero(np.isfinite(values))
        if not len(known):
            return
        times, values = times[known], values[known]
        low, high = int(values.argmin()), int(values.argmax())
        if not self.low <= values[low]:
            self.low, self.low_at = float(values[low]), float(times[low])
        if not self.high >= values[high]:
            self.high, self.high_at = float(values[high]), float(times[high])
        self.last = float(values[-1])


@dataclass(slots=True)
class Run:
    """What a log tells of one source's pictures.

    Attributes:
        generator, seed, size: of its first line.
        frames: frames looked at; ``anchored``: those with an anchor.
        start, end: session time, s.
        curves: the columns over time.
        extremes: of each column.
        within: frames with an anchor that met a goal, by column.
        spans: alarms; one that was on at the end ends with the log.
        marks: what else happened.
        bad: lines that cannot be read; ``cut``: True if the last one was cut short; ``lost``: those a slow disk cost.
        slope: least-squares slope of W1 over all frames with an anchor, per minute; NaN below a minute.
        trail: the same of the compositor's trail; None if it was not looked at.
    """

    generator: str = ""
    seed: int = 0
    size: tuple[int, int] = (0, 0)
    frames: int = 0
    anchored: int = 0
    start: float = 0.0
    end: float = 0.0
    curves: Curves = field(default_factory=Curves)
    extremes: dict[str, Extremes] = field(default_factory=lambda: {name: Extremes() for name in COLUMNS})
    within: dict[str, int] = field(default_factory=lambda: dict.fromkeys(GOALS, 0))
    spans: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    bad: int = 0
    cut: bool = False
    lost: int = 0
    slope: float = math.nan
    trail: Run | None = None

    @property
    def duration(self) -> float:
        """s from the first frame to the last."""
        return self.end - self.start

    @property
    def span(self) -> tuple[float, float]:
        """Session time (s) of the first frame and of the last, the trail's among them."""
        known = [run for run in (self, self.trail) if run is not None and run.frames]
        return min((run.start for run in known), default=0.0), max((run.end for run in known), default=0.0)


GOALS: dict[str, tuple[float, float]] = {
    "w1": (-math.inf, 6.0),
    "detail": (-1.0, 1.0),
    "clipped": (-math.inf, 0.05),
}
"""Lowest and highest that a stable run shows."""
SLOPE_GOAL = 0.2
"""Most that W1 may rise a minute."""
MOTION_GOAL = 0.5
"""Least share of the first seconds' motion that is left in the last."""


ENDS = 10.0
"""s at the start and at the end whose motion is compared."""


def first_motion(run: Run) -> float:
    """Return the mean motion of the first seconds with an anchor; NaN if there are none."""
    start = next((mark.time for mark in run.marks if mark.kind == "anchor"), run.start)
    return run.curves.between("motion", start, start + ENDS)


def last_motion(run: Run) -> float:
    """Return the mean motion of the last seconds."""
    return run.curves.between("motion", run.end - ENDS, run.end)


def read_metrics(path: Path, progress: Callable[[float], None] = lambda share: None) -> Run:
    """Read a log. What cannot be read in it is left out and counted; a last line cut short is no fault.

    Args:
        path: the log.
        progress: told now and then what share (0-1) has been read.

    Raises:
        ConfigError: if the file cannot be read, or is no such log.
    """
    try:
        with path.open("rb") as file:
            return _read(path, file, progress)
    except OSError as error:
        raise ConfigError(path, "(file)", error.strerror or str(error), "a readable file") from error


def _read(path: Path, file: BinaryIO, progress: Callable[[float], None]) -> Run:
    run = _first(path, file.readline(MAX_LINE))
    size = max(1, path.stat().st_size)
    readers = {GENERATOR: _Reader(run)}
    for number, (line, whole) in enumerate(_lines(file)):
        if number % _BATCH == 0:
            progress(min(file.tell() / size, 1.0))
        try:
            row = json.loads(line)
            source = row.get("source", GENERATOR)
            if source == TRAIL and TRAIL not in readers:
                run.trail = Run(TRAIL, run.seed, run.size)
                readers[TRAIL] = _Reader(run.trail)
            readers[source].take(row)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            if whole:
                run.bad += 1
            else:
                run.cut = True
    for reader in readers.values():
        reader.finish()
    return run


def _lines(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Yield lines and whether they are whole; what is too long for one comes in pieces that nobody can read."""
    while line := file.readline(MAX_LINE):
        if line.strip():
            yield line, line.endswith(b"\n") or len(line) == MAX_LINE


def _first(path: Path, line: bytes) -> Run:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ConfigError(path, "line 1", line[:60].decode("utf-8", "replace"), _EXPECTED)
    version = data.get("version")
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise ConfigError(path, "version", version, f"at most {VERSION}; a newer vjengine wrote it, update this one")
    try:
        width, height = (int(side) for side in data.get("size", (0, 0)))
        return Run(generator=str(data.get("generator", "")), seed=int(data.get("seed", 0)), size=(width, height))
    except (TypeError, ValueError) as error:
        raise ConfigError(path, "line 1", data, _EXPECTED) from error


class _Reader:
    """Takes a log's rows, one after another."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._open: dict[str, float] = {}
        self._rows: list[tuple[float, ...]] = []
        # Sums for the slope: of one, time, W1, time², time times W1.
        self._sums = np.zeros(5)

    def take(self, row: dict[str, Any]) -> None:
        """Take a row; whatever is wrong with it raises before anything is kept."""
        if "event" in row:
            self._event(row)
            return
        time = float(row["time"])
        if not math.isfinite(time):
            raise ValueError("a row without a time")
        run, anchored = self._run, bool(row["anchored"])
        values = (_number(row.get(name)) if anchored or name not in HELD else math.nan for name in COLUMNS)
        if run.frames == 0:
            run.start = run.end = time
        run.end = max(time, run.end)
        self._rows.append((run.end, *values))
        run.frames += 1
        run.anchored += anchored
        if len(self._rows) == _BATCH:
            self._settle()

    def _settle(self) -> None:
        run = self._run
        table = np.array(self._rows, dtype=np.float64).reshape(-1, 1 + len(COLUMNS))
        self._rows.clear()
        times, values = table[:, 0], table[:, 1:]
        run.curves.add(times, values)
        for i, name in enumerate(COLUMNS):
            run.extremes[name].add(times, values[:, i])
        for name, (low, high) in GOALS.items():
            column = values[:, COLUMNS.index(name)]
            run.within[name] += int(((column >= low) & (column <= high)).sum())
        w1 = values[:, COLUMNS.index("w1")]
        known = np.isfinite(w1)
        minutes, w1 = (times[known] - run.start) / 60.0, w1[known]
        self._sums += (len(w1), minutes.sum(), w1.sum(), (minutes * minutes).sum(), (minutes * w1).sum())

    def _event(self, row: dict[str, Any]) -> None:
        run, kind = self._run, row["event"]
        if kind == "lost":
            run.lost += int(row["lines"])
            return
        time = float(row["time"])
        if kind == "alarm":
            self._open.setdefault(str(row["alarm"]), time)
        elif kind == "cleared":
            start = self._open.pop(str(row["alarm"]), None)
            if start is not None and len(run.spans) < _MAX_MARKS:
                run.spans.append(Span(str(row["alarm"]), start, time))
        elif len(run.marks) < _MAX_MARKS and kind in ("anchor", "generator", "response"):
            words = str(row.get("words", row.get("generator", "")))
            run.marks.append(Mark(time, kind, int(row.get("level", 0)), words))

    def finish(self) -> None:
        """Close what is open."""
        self._settle()
        run = self._run
        run.spans += [Span(name, start, max(run.end, start), cleared=False) for name, start in self._open.items()]
        run.spans.sort(key=lambda span: (span.start, span.alarm))
        n, t, w, tt, tw = (float(value) for value in self._sums)
        spread = n * tt - t * t
        if run.duration >= 60.0 and spread > 0.0:
            run.slope = (n * tw - t * w) / spread


def _number(value: object) -> float:
    """Return ``value`` as a number; NaN for what is none."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else math.nan
