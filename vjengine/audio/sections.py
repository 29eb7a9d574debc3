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
_KERNEL = 8.0
_SHORTEST = 6.0


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


def _labelled(borders: list[float], raw_rms: Doubles, bands: Doubles, rate: float) -> list[Section]:
    ends = [int(border * rate) for border in borders]
    pieces = [slice(a, max(a + 1, b)) for a, b in pairwise(ends)]
    energies = np.array([float(np.sqrt(np.square(raw_rms[p]).mean())) if raw_rms[p].size else 0.0 for p in pieces])
    lows = np.array([float(bands[p, :2].mean()) if bands[p].size else 0.0 for p in pieces])
    energies = energies / max(float(energies.max()), 1e-9) * (float(raw_rms.max()) > 1e-4)
    lows = lows / max(float(lows.max()), 1e-9)
    labels: list[Label] = []
    for i, piece in enumerate(pieces):
        labels.append(_label(i, len(pieces), float(energies[i]), float(lows[i]), _slope(raw_rms[piece]), labels))
    return [
        Section(start, end, float(energy), label)
        for start, end, energy, label in zip(borders[:-1], borders[1:], energies, labels, strict=True)
    ]


def _slope(loudness: Doubles) -> float:
    """Return how much louder the second half is than the first, as a share of the whole."""
    if loudness.size < 4:
        return 0.0
    half = loudness.size // 2
    first, second = float(loudness[:half].mean()), float(loudness[half:].mean())
    return (second - first) / max(first + second, 1e-9)


def _label(index: int, count: int, energy: float, low: float, slope: float, before: list[Label]) -> Label:
    if energy < 0.01:
        return "silence"
    if energy > 0.72 and low > 0.6:
        return "drop"
    if index == 0 and count > 1:
        return "intro"
    if index == count - 1 and energy < 0.7:
        return "outro"
    if slope > 0.12:
        return "build"
    if energy < 0.6 and "drop" in before:
        return "breakdown"
    return "verse"
