"""Sections of a track: where loudness and timbre change for good, and what the stretch between is likely to be."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Label = Literal["silence", "intro", "build", "drop", "breakdown", "verse", "outro"]
Doubles = NDArray[np.float64]

_RATE = 2.0
_KERNEL = 4.0
_SHORTEST = 6.0
_SHORTEST_SILENCE = 4.0
_SILENCE = 1e-3
_CLOSE = 4.0


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch from ``start`` to ``end`` s with mean ``energy`` (0–1 of the loudest stretch) and a ``label``."""

    start: float
    end: float
    energy: float
    label: Label


def find_sections(
    raw_rms: Doubles, bands: Doubles, rate: float, duration: float, downbeats: list[float] | None = None
) -> list[Section]:
    """Return the sections of a track, which cover it without gaps.

    Borders are peaks of a checkerboard kernel's novelty (Foote 2000) on loudness and band levels, moved to the nearest
    downbeat within a second.

    Args:
        raw_rms: ``(n,)`` loudness, full scale = 1.
        bands: ``(n, 6)`` band levels, 0–1.
        rate: points a second.
        duration: of the track, s.
        downbeats: times of downbeats, s.
    """
    if duration <= 0.0 or not raw_rms.size:
        return []
    step = max(1, round(rate / _RATE))
    count = raw_rms.size // step
    if count < 2 * _SHORTEST * _RATE:
        borders = [0.0, duration]
    else:
        loudness_db = 10 * np.log10((raw_rms[: count * step] ** 2).reshape(count, step).mean(axis=1) + 1e-8)
        levels = bands[: count * step].reshape(count, step, -1).mean(axis=1)
        shape = np.concatenate([levels, np.clip((loudness_db[:, None] + 50) / 50, 0, 1.2) * 1.5], axis=1)
        borders = [0.0, *_snapped(_borders(shape), downbeats or []), duration]
    borders = _with_silences(borders, _silences(raw_rms, rate, duration))
    return _labelled(borders, raw_rms, bands, rate)


def _borders(shape: Doubles) -> list[float]:
    """Return times of lasting change, s."""
    reach = round(_KERNEL * _RATE)
    padded = np.pad(shape, ((reach, reach), (0, 0)), mode="edge")
    sums = np.concatenate([np.zeros((1, shape.shape[1])), np.cumsum(padded, axis=0)])
    at = np.arange(shape.shape[0]) + reach
    # Levels before against levels after: the checkerboard kernel's novelty for features that are compared by distance.
    novelty = np.abs((sums[at + reach] - sums[at]) - (sums[at] - sums[at - reach])).sum(axis=1) / reach
    threshold = max(0.25, 0.35 * float(novelty.max()))
    apart = round(_SHORTEST * _RATE)
    chosen: list[int] = []
    for i in np.argsort(-novelty):
        if novelty[i] < threshold:
            break
        if apart <= i <= shape.shape[0] - apart and all(abs(int(i) - c) >= apart for c in chosen):
            chosen.append(int(i))
    return sorted(i / _RATE for i in chosen)


def _snapped(borders: list[float], downbeats: list[float]) -> list[float]:
    marks = np.array(downbeats)
    result: list[float] = []
    for border in borders:
        near = float(marks[np.argmin(np.abs(marks - border))]) if marks.size else border
        moved = near if abs(near - border) <= 1.0 else border
        if not result or moved > result[-1] + 1.0:
            result.append(moved)
    return result


def _silences(raw_rms: Doubles, rate: float, duration: float) -> list[tuple[float, float]]:
    """Return the stretches of at least :data:`_SHORTEST_SILENCE` s in which nothing is heard."""
    quiet = raw_rms < max(_SILENCE, _SILENCE * float(raw_rms.max()))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    spans = ((float(a) / rate, min(duration, float(b) / rate)) for a, b in zip(edges[::2], edges[1::2], strict=True))
    return [(a, b) for a, b in spans if b - a >= _SHORTEST_SILENCE]


def _with_silences(borders: list[float], silences: list[tuple[float, float]]) -> list[float]:
    """Return ``borders`` with exact ones round every silence, in place of blurred ones close by."""
    inner = [b for b in borders[1:-1] if all(not a - _CLOSE < b < z + _CLOSE for a, z in silences)]
    marks = [mark for span in silences for mark in span if borders[0] + 0.5 < mark < borders[-1] - 0.5]
    return [borders[0], *sorted({*inner, *marks}), borders[-1]]


def _labelled(borders: list[float], raw_rms: Doubles, bands: Doubles, rate: float) -> list[Section]:
    ends = [int(border * rate) for border in borders]
    pieces = [slice(a, max(a + 1, b)) for a, b in pairwise(ends)]
    energies = np.array([float(np.sqrt(np.square(raw_rms[p]).mean())) if raw_rms[p].size else 0.0 for p in pieces])
    lows = np.array([float(bands[p, :2].mean()) if bands[p].size else 0.0 for p in pieces])
    energies = energies / max(float(energies.max()), 1e-9) * (float(raw_rms.max()) > 1e-4)
    most = max(float(lows.max()), 1e-9)
    lows = lows / most
    labels: list[Label] = []
    for i, piece in enumerate(pieces):
        following = i + 1 < len(pieces)
        rises = following and energies[i + 1] > 1.05 * energies[i] and lows[i + 1] > 1.15 * lows[i]
        ending = bands[piece.start + 2 * (piece.stop - piece.start) // 3 : piece.stop, :2]
        tail = float(ending.mean()) / most if ending.size else 0.0
        labels.append(_label(i, len(pieces), float(energies[i]), float(lows[i]), bool(rises), tail, labels))
    return [
        Section(start, end, float(energy), label)
        for start, end, energy, label in zip(borders[:-1], borders[1:], energies, labels, strict=True)
    ]


def _label(index: int, count: int, energy: float, low: float, rises: bool, tail: float, before: list[Label]) -> Label:
    """Name a stretch by its ``energy`` and ``low`` end (0–1 of the track's most).

    ``rises``: the next one is louder and fuller in the low end; ``tail``: the low end that its last part keeps.
    """
    if energy < 0.01:
        return "silence"
    first, last = index == 0, index == count - 1
    if first and not last and (energy < 0.9 or low < 0.8):
        return "intro"
    if last and not first and energy < 0.85:
        return "outro"
    if energy > 0.72 and low > 0.85 and tail > 0.6:
        return "drop"
    if rises and energy > 0.5:
        return "build"
    if energy < 0.6 and "drop" in before:
        return "breakdown"
    return "build" if rises else "verse"
