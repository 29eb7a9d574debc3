"""Where the beat is, once its period is known: onset strength folded over trains of beats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """A beat train fitted to onset strength.

    ``phase``: frames from the newest frame back to the latest beat position; ``period`` in frames; ``strength`` the
    weighted mean onset strength on the beats; ``contrast`` 0–1, how far that stands out of the mean.
    """

    phase: float
    period: float
    strength: float
    contrast: float


def smooth(strength: Doubles, width: float) -> Doubles:
    """Return ``strength`` blurred by a Gaussian of standard deviation ``width`` frames."""
    reach = max(1, round(2.5 * width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    return np.convolve(strength, kernel / kernel.sum(), mode="same")


def _train(strength: Doubles, periods: Doubles, phases: Doubles, beats: int, memory: float) -> Doubles:
    """Return mean strength on every train, ``(periods, phases)``, for ``(P,)`` periods and ``(P, Q)`` phases.

    Beat k lies k periods before the newest frame less the phase and weighs ``exp(-k period / memory)``.
    """
    index = np.arange(beats)
    at = (strength.size - 1) - phases[:, :, None] - index * periods[:, None, None]
    np.clip(at, 0.0, strength.size - 1.001, out=at)
    floor = at.astype(np.intp)
    at -= floor
    here = strength.take(floor)
    floor += 1
    here += at * (strength.take(floor) - here)
    weight = np.exp(-index * (periods[0] / memory))
    return np.asarray(here @ (weight / weight.sum()))


def fold(strength: Doubles, period: float, memory: float, resolution: int = 48) -> tuple[Doubles, Doubles]:
    """Return ``(phases, mean strength)`` of trains of ``period`` frames at ``resolution`` phases."""
    phases: Doubles = np.arange(resolution, dtype=np.float64) * (period / resolution)
    beats = max(1, min(int(strength.size / period), round(3 * memory / period)))
    return phases, _train(strength, np.array([period]), phases[None], beats, memory)[0]


def turns(low: Doubles, middle: Doubles, period: float, memory: float, resolution: int = 48) -> Doubles:
    """Return how clearly ``low`` and ``middle`` register take turns from beat to beat, a phase as in :func:`fold`.

    A kick that answers a snare makes a backbeat, and it does so on the beat; hats and bass notes between the beats,
    however loud, do not.
    """
    kicks = fold(low, 2.0 * period, memory, 2 * resolution)[1]
    snares = fold(middle, 2.0 * period, memory, 2 * resolution)[1]
    kick = kicks[:resolution] - kicks[resolution:]
    snare = snares[resolution:] - snares[:resolution]
    return np.sqrt(np.maximum(0.0, kick * snare))


def best_strength(strength: Doubles, period: float, phase: float, memory: float, reach: float) -> float:
    """Return the mean strength of the best train of ``period`` frames within ``reach`` frames of ``phase``."""
    beats = max(1, min(int(strength.size / period), round(3 * memory / period)))
    phases = phase + np.linspace(-reach, reach, 5)
    return float(_train(strength, np.array([period]), phases[None], beats, memory).max())


def refine(strength: Doubles, period: float, phase: float, memory: float, reach: float, stretch: float) -> Fit:
    """Return the best train within ``reach`` frames of ``phase`` and a share ``stretch`` of ``period``.

    The newest beats weigh most; the phase is that of the newest beat, the period that of the recent past.
    """
    stretches = np.linspace(-stretch, stretch, 7)
    shifts = np.linspace(-reach, reach, 13)
    beats = max(1, min(int((strength.size - 1) / period), round(2.5 * memory / period)))
    # A turned period moves old beats most. Turning about the weighted middle of the train keeps both axes independent.
    weights = np.exp(-np.arange(beats) * period / memory)
    middle = float(weights @ np.arange(beats) / weights.sum()) * period
    periods = period * (1 + stretches)
    phases = phase + shifts[None, :] - middle * stretches[:, None]
    table = _train(strength, periods, phases, beats, memory)
    row, column = np.unravel_index(int(np.argmax(table)), table.shape)
    best = float(table[row, column])
    turn = float(np.interp(_peak(table[:, column], int(row)), np.arange(stretches.size), stretches))
    shift = float(np.interp(_peak(table[row], int(column)), np.arange(shifts.size), shifts))
    mean = float(strength.mean())
    return Fit(
        phase=phase + shift - middle * turn,
        period=period * (1 + turn),
        strength=best,
        contrast=max(0.0, (best - mean) / (best + mean)) if best + mean > 1e-9 else 0.0,
    )


def _peak(values: Doubles, index: int) -> float:
    """Return the place of the maximum at ``index``, refined by a parabola."""
    if not 0 < index < values.size - 1:
        return float(index)
    before, here, after = values[index - 1 : index + 2]
    bend = before - 2 * here + after
    return index + (0.5 * float((before - after) / bend) if bend < 0 else 0.0)
