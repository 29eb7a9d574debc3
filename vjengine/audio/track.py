"""A whole track, heard from front to back by the same causal analyser that plays live."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjengine.audio.features import Analyser, AnalysisSettings
from vjengine.audio.plot import save_plot
from vjengine.audio.sections import Section, find_sections
from vjengine.core.signals import BAND_NAMES, AudioFeatures

__all__ = [
    "BeatHeard",
    "BeatLog",
    "TrackAnalysis",
    "TrackListener",
    "analyse_pieces",
    "analyse_track",
    "features_of",
    "save_plot",
    "to_mono",
]

CURVE_RATE = 20.0
"""Points a second of the curves kept for display."""

_LOOKAHEAD = 0.02


@dataclass(frozen=True, slots=True)
class BeatHeard:
    """A beat as it was announced: at ``time`` s, when ``emitted`` s had been heard; ``downbeat`` if the 1 of a bar."""

    time: float
    emitted: float
    confidence: float
    downbeat: bool = False


class BeatLog:
    """Announces each beat once, as late as a picture would need to know of it.

    A beat is announced by the first hop whose clock puts it no further than ``lookahead`` s ahead; what the clock
    learns afterwards changes nothing.
    """

    def __init__(self, lookahead: float = _LOOKAHEAD) -> None:
        self._lookahead = lookahead
        self._last: int | None = None

    def heard(self, features: AudioFeatures) -> list[BeatHeard]:
        """Return the beats that this hop's clock announces, nearly always none or one."""
        clock, now = features.beat, features.time
        if not clock.running:
            # What the clock passes in silence was never announced, and will not be afterwards.
            self._last = None
            return []
        ahead = math.floor(clock.beats_at(now + self._lookahead))
        if self._last is None:
            # The beat that is just now over belongs to the past: nobody knew of it in time.
            self._last = ahead if clock.time_of(ahead) < now else ahead - 1
        fresh = range(self._last + 1, ahead + 1)
        self._last = max(self._last, ahead)
        return [
            BeatHeard(clock.time_of(n), now, clock.confidence, (n - clock.downbeat) % clock.beats_per_bar == 0)
            for n in fresh
            if clock.time_of(n) > now - 0.5 * clock.period
        ]


@dataclass(frozen=True)
class TrackAnalysis:
    """What was heard in a track; times in s, tempo in BPM.

    ``curve_times`` (m,), ``loudness`` (m,) and ``bands`` (m, 6) are 0–1, :data:`CURVE_RATE` points a second;
    ``envelope`` (m, 2) holds the lowest and highest sample between them.
    """

    duration: float
    tempo: list[tuple[float, float]] = field(default_factory=list)
    beats: list[BeatHeard] = field(default_factory=list)
    onsets: list[float] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    curve_times: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    loudness: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    bands: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 6)))
    envelope: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and numbers for :func:`json.dumps`."""
        curves = {name: np.round(self.bands[:, i], 4).tolist() for i, name in enumerate(BAND_NAMES)}
        return {
            "duration": round(self.duration, 6),
            "tempo": [[round(time, 4), round(bpm, 3)] for time, bpm in self.tempo],
            "beats": [
                {
                    "time": round(b.time, 5),
                    "emitted": round(b.emitted, 5),
                    "confidence": round(b.confidence, 4),
                    "downbeat": b.downbeat,
                }
                for b in self.beats
            ],
            "onsets": [round(time, 5) for time in self.onsets],
            "sections": [
                {"start": round(s.start, 3), "end": round(s.end, 3), "energy": round(s.energy, 4), "label": s.label}
                for s in self.sections
            ],
            "bands": {
                "rate": CURVE_RATE,
                "time": np.round(self.curve_times, 4).tolist(),
                "loudness": np.round(self.loudness, 4).tolist(),
                **curves,
            },
        }


def to_mono(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``(n,)`` float32: the mean of the channels of ``(n,)`` or ``(n, c)`` samples.

    Raises:
        ValueError: the array has another shape.
    """
    if samples.ndim == 1:
        return np.ascontiguousarray(samples, dtype=np.float32)
    if samples.ndim != 2 or not samples.shape[1]:
        raise ValueError(f"samples of shape {samples.shape}: expected (n,) or (n, channels)")
    return np.asarray(samples.mean(axis=1), dtype=np.float32)


def features_of(
    mono: NDArray[np.float32], settings: AnalysisSettings, progress: Callable[[float], None] | None = None
) -> Iterator[AudioFeatures]:
    """Yield the features of every hop of ``(n,)`` mono samples; the last hop is filled up with silence.

    ``progress`` is told the share done, 0–1, about every second of sound.
    """
    analyser = Analyser(settings)
    hop, rate = settings.hop, settings.sample_rate
    count = -(-mono.size // hop)
    every = max(1, round(rate / hop))
    for i in range(count):
        block = mono[i * hop : (i + 1) * hop]
        if block.size < hop:
            block = np.pad(block, (0, hop - block.size))
        yield analyser.process(block, (i + 1) * hop / rate)
        if progress and (i + 1) % every == 0:
            progress((i + 1) / count)
    if progress:
        progress(1.0)


class TrackListener:
    """Listens to a track from front to back, in memory that hardly grows: what an hour leaves behind is some 10 MB.

    Args:
        settings: of the analyser; sound is given at its sample rate.
    """

    def __init__(self, settings: AnalysisSettings | None = None) -> None:
        self._settings = settings or AnalysisSettings()
        self._analyser = Analyser(self._settings)
        self._buffer = np.zeros(0, dtype=np.float32)
        self._samples = 0
        self._hops = 0
        self._log = BeatLog()
        self._beats: list[BeatHeard] = []
        self._onsets: list[float] = []
        self._onset_count = 0
        self._tempo: list[tuple[float, float]] = []
        self._rows = _Means(9)
        self._wave = _Extremes(self._settings.sample_rate)

    @property
    def heard(self) -> float:
        """How much has been given, s."""
        return self._samples / self._settings.sample_rate

    def hear(self, samples: NDArray[np.float32]) -> None:
        """Take the next samples, ``(n,)`` or ``(n, channels)``, however many.

        Raises:
            ValueError: the array has another shape.
        """
        mono = to_mono(samples)
        self._samples += mono.size
        self._wave.add(mono)
        hop = self._settings.hop
        waiting = np.concatenate([self._buffer, mono]) if self._buffer.size else mono
        whole = waiting.size // hop * hop
        for begin in range(0, whole, hop):
            self._hop(waiting[begin : begin + hop])
        self._buffer = waiting[whole:].copy()

    def finish(self) -> TrackAnalysis:
        """Return what was heard; the last hop is filled up with silence."""
        if self._buffer.size:
            self._hop(np.pad(self._buffer, (0, self._settings.hop - self._buffer.size)))
            self._buffer = self._buffer[:0]
        duration = self.heard
        count = max(1, math.ceil(duration * CURVE_RATE))
        table = self._rows.table(count)
        times: NDArray[np.float64] = (np.arange(count, dtype=np.float64) + 0.5) / CURVE_RATE
        beats = [beat for beat in self._beats if beat.time <= duration]
        downbeats = [beat.time for beat in beats if beat.downbeat]
        return TrackAnalysis(
            duration=duration,
            tempo=self._tempo,
            beats=beats,
            onsets=self._onsets,
            sections=find_sections(table[:, 7], table[:, 1:7], CURVE_RATE, duration, downbeats),
            curve_times=times,
            loudness=table[:, 0],
            bands=table[:, 1:7],
            envelope=self._wave.table(count),
        )

    def _hop(self, block: NDArray[np.float32]) -> None:
        settings = self._settings
        slot = int(self._hops * settings.step * CURVE_RATE)
        self._hops += 1
        hop = self._analyser.process(block, self._hops * settings.hop / settings.sample_rate)
        self._beats += self._log.heard(hop)
        if hop.onset_count > self._onset_count:
            self._onset_count = hop.onset_count
            self._onsets.append(max(0.0, hop.last_onset))
        _note_tempo(self._tempo, hop)
        self._rows.add(slot, (hop.rms, *hop.bands, hop.raw_rms, hop.centroid))


def analyse_track(
    samples: NDArray[np.float32],
    settings: AnalysisSettings | None = None,
    progress: Callable[[float], None] | None = None,
) -> TrackAnalysis:
    """Listen to ``samples`` (``(n,)`` or ``(n, 2)`` float32 at ``settings.sample_rate``) from front to back.

    Beats, tempo and onsets are causal: each was known when as much had been heard as it says. Sections look at the
    whole.

    Raises:
        ValueError: the array has another shape.
        MissingDependency: aubio is not installed.
    """
    settings = settings or AnalysisSettings()
    return analyse_pieces([samples], samples.shape[0] / settings.sample_rate, settings, progress)


def analyse_pieces(
    pieces: Iterable[NDArray[np.float32]],
    duration: float = 0.0,
    settings: AnalysisSettings | None = None,
    progress: Callable[[float], None] | None = None,
) -> TrackAnalysis:
    """Listen to a track that comes in ``pieces``, see :func:`analyse_track`; it is never held as a whole.

    ``duration`` (s) is for ``progress`` alone, which is told the share done, 0-1, about every second of sound.
    """
    listener = TrackListener(settings)
    second = (settings or AnalysisSettings()).sample_rate
    for piece in pieces:
        for begin in range(0, max(1, len(piece)), second):
            listener.hear(piece[begin : begin + second])
            if progress and duration > 0.0:
                progress(min(1.0, listener.heard / duration))
    if progress:
        progress(1.0)
    return listener.finish()


class _Means:
    """Means of rows, :data:`CURVE_RATE` a second, added up as they come; flat arrays, as a night has many."""

    def __init__(self, width: int) -> None:
        self._width = width + 1
        self._done = array("d")
        self._slot = 0
        self._sum = np.zeros(self._width)

    def add(self, slot: int, row: tuple[float, ...]) -> None:
        while slot > self._slot:
            self._done.extend(self._sum.tolist())
            self._sum = np.zeros(self._width)
            self._slot += 1
        self._sum[:-1] += row
        self._sum[-1] += 1

    def table(self, count: int) -> NDArray[np.float64]:
        """Return ``(count, width)``; what lies beyond belongs to the last."""
        whole = np.zeros((max(count, self._slot + 1), self._width))
        whole[: self._slot] = np.array(self._done).reshape(-1, self._width)
        whole[self._slot] = self._sum
        for row in whole[count:]:
            whole[count - 1] += row
        table: NDArray[np.float64] = whole[:count, :-1] / np.maximum(whole[:count, -1:], 1)
        return table


class _Extremes:
    """Lowest and highest sample, :data:`CURVE_RATE` a second."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._at = 0
        self._low, self._high = array("d"), array("d")

    def add(self, mono: NDArray[np.float32]) -> None:
        if not mono.size:
            return
        clean = np.nan_to_num(mono, nan=0.0, posinf=0.0, neginf=0.0)
        slots = range(len(self._low), int((self._at + mono.size - 1) * CURVE_RATE / self._rate) + 2)
        starts = [int(slot * self._rate / CURVE_RATE) - self._at for slot in slots]
        edges = [start for start in starts if 0 <= start < mono.size]
        head = edges[0] if edges else mono.size
        if head and self._low:
            self._low[-1] = min(self._low[-1], float(clean[:head].min()))
            self._high[-1] = max(self._high[-1], float(clean[:head].max()))
        if edges:
            self._low.extend(np.minimum.reduceat(clean, edges).tolist())
            self._high.extend(np.maximum.reduceat(clean, edges).tolist())
        self._at += mono.size

    def table(self, count: int) -> NDArray[np.float64]:
        """Return ``(count, 2)``."""
        if not self._low:
            return np.zeros((count, 2))
        table = np.array([self._low, self._high], dtype=np.float64).T
        return np.concatenate([table, np.repeat(table[-1:], max(0, count - len(table)), axis=0)])[:count]


def _note_tempo(tempo: list[tuple[float, float]], hop: AudioFeatures) -> None:
    """Add a point when the tempo changes by more than a hair, at least each second, and 0 where the beat stops."""
    bpm = hop.beat.tempo
    if not tempo:
        if bpm:
            tempo.append((hop.time, bpm))
        return
    time, last = tempo[-1]
    if (bpm == 0.0) != (last == 0.0) or (bpm and (abs(bpm - last) > 1.0 or hop.time - time >= 1.0)):
        tempo.append((hop.time, bpm))
