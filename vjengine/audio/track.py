"""A whole track, heard from front to back by the same causal analyser that plays live."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjengine.audio.features import Analyser, AnalysisSettings
from vjengine.audio.plot import save_plot
from vjengine.audio.sections import Section, find_sections
from vjengine.core.signals import BAND_NAMES, AudioFeatures

__all__ = ["BeatHeard", "BeatLog", "TrackAnalysis", "analyse_track", "features_of", "save_plot", "to_mono"]

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
    mono = to_mono(samples)
    duration = mono.size / settings.sample_rate
    beat_log, beats, onsets = BeatLog(), [], []
    tempo: list[tuple[float, float]] = []
    rows: list[tuple[float, ...]] = []
    seen = 0
    for hop in features_of(mono, settings, progress):
        beats += [beat for beat in beat_log.heard(hop) if beat.time <= duration]
        if hop.onset_count > seen:
            seen = hop.onset_count
            onsets.append(max(0.0, hop.last_onset))
        _note_tempo(tempo, hop)
        rows.append((hop.rms, *hop.bands, hop.raw_rms, hop.centroid))
    table = _resampled(np.array(rows).reshape(-1, 9), settings.step, duration)
    times: NDArray[np.float64] = (np.arange(table.shape[0], dtype=np.float64) + 0.5) / CURVE_RATE
    return TrackAnalysis(
        duration=duration,
        tempo=tempo,
        beats=beats,
        onsets=onsets,
        sections=find_sections(table[:, 7], table[:, 1:7], CURVE_RATE, duration, [b.time for b in beats if b.downbeat]),
        curve_times=times,
        loudness=table[:, 0],
        bands=table[:, 1:7],
        envelope=_envelope(mono, settings.sample_rate, table.shape[0]),
    )


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


def _resampled(table: NDArray[np.float64], step: float, duration: float) -> NDArray[np.float64]:
    """Return means of the hops' rows at :data:`CURVE_RATE`."""
    count = max(1, math.ceil(duration * CURVE_RATE))
    slot = np.minimum((np.arange(table.shape[0]) * step * CURVE_RATE).astype(np.intp), count - 1)
    number = np.maximum(np.bincount(slot, minlength=count), 1)
    return np.stack([np.bincount(slot, column, minlength=count) / number for column in table.T], axis=1)


def _envelope(mono: NDArray[np.float32], rate: int, count: int) -> NDArray[np.float64]:
    if not mono.size:
        return np.zeros((count, 2))
    starts = np.minimum((np.arange(count) * rate / CURVE_RATE).astype(np.intp), mono.size - 1)
    clean = np.nan_to_num(mono, nan=0.0, posinf=0.0, neginf=0.0)
    return np.stack([np.minimum.reduceat(clean, starts), np.maximum.reduceat(clean, starts)], axis=1).astype(np.float64)
