"""Which tempo: autocorrelation of the onset strength, summed over the multiples of a beat, weighed by a prior.

The autocorrelation comb follows Scheirer (1998) and Davies and Plumbley (2007); the prior is a log-Gaussian over the
performer's range.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

MEMORY = 8.0
"""s of onset strength that are looked at."""

_RECENT = 4.0
_STEP = 0.005
_MULTIPLES = (1.0, 2.0, 3.0, 4.0)
_WEIGHTS: Doubles = np.array([1.0, 1.0, 0.5, 2.0])
_SLOWEST = 50.0
_HALF_PENALTY = 0.6
_BLUR = 0.010
_BACKBEAT = 1.5
_BACKBEAT_HEARD = 0.15
_BODY = np.array([0.5, 0.5, 0.0])
_FALSE_RATIOS = (2 / 3, 4 / 3, 3 / 4, 4 / 5, 5 / 4)
_FALSE_PENALTY = 0.7
_SHORTEST_BAR = 1.2
_CENTRE = 130.0
_SPREAD = 0.7
_FOCUS_SPREAD = 0.03


def _fast_size(least: int) -> int:
    """Return the smallest transform size of at least ``least`` with no prime factor above 5."""
    odd = [3**b * 5**c for b in range(5) for c in range(4)]
    return int(min(factor << max(0, math.ceil(math.log2(least / factor))) for factor in odd))


class Tempogram:
    """Scores a grid of tempos. ``step`` is the time between onset strengths in s; range in BPM."""

    def __init__(self, step: float, low: float, high: float) -> None:
        self._step = step
        self._size = round(MEMORY / step)
        # Room for the longest lag of the comb, so that the circular correlation does not wrap into it.
        self._lags = min(self._size, math.ceil(_MULTIPLES[-1] * 60.0 / _SLOWEST / step))
        self._padded = _fast_size(self._size + self._lags)
        age = np.arange(self._size)[::-1] * step
        # Recent sound counts more, so that a change of tempo shows soon; the start fades in to soften the cut.
        self._taper = np.exp(-age / _RECENT) * np.minimum(1.0, np.arange(self._size) / (0.5 / step))
        self._root = np.sqrt(self._taper)
        omega = 2 * np.pi * np.arange(self._padded // 2 + 1) / (self._padded * step)
        # Nobody plays to the millisecond: lags within about 15 ms count as one.
        self._blur = np.exp(-np.square(omega * _BLUR))
        self._reach_for: tuple[int, Doubles] = (-1, self._blur)
        self.focus: float | None = None
        self.set_range(low, high)

    def set_range(self, low: float, high: float) -> None:
        """Score tempos of ``low``–``high`` BPM from now on."""
        self.low, self.high = low, high
        count = max(2, math.ceil(math.log(high / low) / _STEP) + 1)
        self.tempos: Doubles = np.geomspace(low, high, count)
        periods = 60.0 / self.tempos / self._step
        # Lags are read between frames; where, is the same every time.
        self._at: Doubles = np.outer((*_MULTIPLES, *_FALSE_RATIOS, 0.5), periods)
        self._floor = np.minimum(self._at, self._lags - 2).astype(np.intp)
        self._part = np.minimum(self._at - self._floor, 1.0)
        self._first_bar = round(min(_SHORTEST_BAR / self._step, 0.9 * self._at[3].max()))
        self._last_bar = min(self._lags, int(self._at[3].max()) + 1)
        self._may_double = 2.0 * self.tempos <= self.high
        self._prior: Doubles = np.exp(-0.5 * (np.log2(self.tempos / _CENTRE) / _SPREAD) ** 2)

    def prior(self) -> Doubles:
        """Return the weight of every tempo: the range's, and the performer's word where there is one."""
        if self.focus is None:
            return self._prior
        near = np.exp(-0.5 * (np.log2(self.tempos / self.focus) / _FOCUS_SPREAD) ** 2)
        return np.asarray(0.2 * self._prior + 0.8 * near)

    def salience(self, registers: NDArray[Any], weights: Doubles) -> Doubles:
        """Return how periodic the onset strength is at every tempo of ``tempos``, about 0–1, whatever the prior says.

        ``registers`` ``(R, n)`` are onset strengths, oldest first, at most :data:`MEMORY` long; ``weights`` ``(R,)``.
        """
        n = min(registers.shape[1], self._size)
        strengths = registers[:, -n:].astype(np.float64)
        taper = self._taper[-n:]
        strengths -= (strengths @ taper / taper.sum())[:, None]
        strengths *= self._root[-n:]
        spectrum = np.fft.rfft(strengths, self._padded, axis=1)
        power = (np.square(spectrum.real) + np.square(spectrum.imag)) * self._blur
        energy = (2.0 * power.sum(axis=1) - power[:, 0]) / self._padded
        unit = np.where(energy > 1e-9, 1.0 / np.maximum(energy, 1e-12), 0.0)
        combined = (weights * unit / weights.sum()) @ power
        body = (_BODY * unit) @ power
        root = np.sqrt(unit)
        drums = spectrum[0] * root[0] - spectrum[1] * root[1]
        against = (np.square(drums.real) + np.square(drums.imag)) * self._blur
        curves = np.fft.irfft(np.stack([combined, against, body]), self._padded)[:, : self._lags]
        # Undo what the taper takes from long lags, as far as there is data to speak of.
        curves /= self._reach(n)
        known = min(0.7 * n, self._lags - 1.0)
        comb = self._comb(curves[0], self._read(curves[2], slice(9, 10))[0], known)
        # A backbeat is there or it is not: broken beats show less of it than plain ones, and mean it as much.
        heard = np.tanh(self._backbeat(curves[1], known) / _BACKBEAT_HEARD)
        return np.asarray(comb * (1.0 + _BACKBEAT * heard))

    def _read(self, curve: Doubles, rows: slice) -> Doubles:
        """Return ``curve`` at the lags of these rows of the table, ``(rows, tempos)``."""
        floor = self._floor[rows]
        here = curve.take(floor)
        return np.asarray(here + self._part[rows] * (curve.take(floor + 1) - here))

    def _backbeat(self, swaps: Doubles, known: float) -> Doubles:
        """Return 0–1 a tempo: whether low and middle register (kick and snare) swap places from beat to beat.

        That is what tells 172 from 86, where the snare falls on every beat.
        """
        one, two = self._read(swaps, slice(0, 2))
        scale = max(1e-9, float(swaps[0]))
        swapped = np.clip(-2.0 * one / scale, 0.0, 1.0) * np.clip(two / scale, 0.0, 1.0)
        return np.asarray(swapped * (self._at[1] < known))

    def _reach(self, n: int) -> Doubles:
        """Return what the taper leaves of every lag when ``n`` frames are known, at least 8 %."""
        if n == self._reach_for[0]:
            return self._reach_for[1]
        lags = np.arange(self._lags)
        root = math.exp(-0.5 * self._step / _RECENT)
        total = (1 - root ** (2 * max(1, n))) or 1.0
        left = np.maximum(0, n - lags)
        reach = np.maximum(0.08, root**lags * (1 - root ** (2.0 * left)) / total)
        self._reach_for = (n, reach)
        return reach

    def _comb(self, correlation: Doubles, half: Doubles, known: float) -> Doubles:
        """Return how well each tempo's comb fits ``correlation``; ``half`` is the drums' at half a beat."""
        read = self._read(correlation, slice(0, 9))
        heard = _WEIGHTS[:, None] * (self._at[:4] < known)
        score = (heard * read[:4]).sum(axis=0) / np.maximum(heard.sum(axis=0), 1e-9)
        score *= self._whole_bar(correlation, read[3], known)
        # Two thirds, three quarters … of a beat that match better than a whole one give a false tempo away.
        score -= _FALSE_PENALTY * np.maximum(0.0, read[4:].max(axis=0) - read[0])
        # Where twice the tempo is a choice too, drums on the half beat speak for that one; hats say nothing.
        score -= _HALF_PENALTY * np.maximum(0.0, half) * self._may_double
        return np.asarray(np.maximum(0.0, score))

    def _whole_bar(self, correlation: Doubles, at_bar: Doubles, known: float) -> Doubles:
        """Return 0–1 a tempo: how well music repeats after four beats, against its best repeat at such lags.

        Three steps of a broken beat often match as well as two; they do not make a bar.
        """
        near = correlation[self._first_bar : max(self._first_bar + 1, int(min(known, self._last_bar)))]
        best = float(near.max()) if near.size else 0.0
        if best <= 0.0:
            return np.ones_like(at_bar)
        return np.where(self._at[3] < known, 0.3 + 0.7 * np.clip(at_bar / best, 0.0, 1.0), 1.0)
