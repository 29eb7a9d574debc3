"""Which tempo: autocorrelation of the onset strength, summed over the multiples of a beat, weighed by a prior.

The autocorrelation comb follows Scheirer (1998) and Davies and Plumbley (2007); the prior is a log-Gaussian over the
performer's range.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

MEMORY = 8.0
"""s of onset strength that are looked at."""

_RECENT = 4.0
_STEP = 0.005
_MULTIPLES = (1.0, 2.0, 3.0, 4.0)
_WEIGHTS = (1.0, 1.0, 0.5, 2.0)
_HALF_PENALTY = 0.6
_BLUR = 0.010
_BACKBEAT = 1.5
_BODY = np.array([0.5, 0.5, 0.0])
_FALSE_RATIOS = (2 / 3, 4 / 3, 3 / 4, 4 / 5, 5 / 4)
_FALSE_PENALTY = 0.7
_SHORTEST_BAR = 1.2
_CENTRE = 130.0
_SPREAD = 0.7
_FOCUS_SPREAD = 0.03


def _fast_size(least: int) -> int:
    """Return the smallest transform size of at least ``least`` with no prime factor above 3."""
    sizes = ((1 << a) * (1, 3, 9, 27)[b] for a in range(20) for b in range(4))
    return min(size for size in sizes if size >= least)


class Tempogram:
    """Scores a grid of tempos. ``step`` is the time between onset strengths in s; range in BPM."""

    def __init__(self, step: float, low: float, high: float) -> None:
        self._step = step
        self._size = round(MEMORY / step)
        # Room for the longest lag of the comb, so that the circular correlation does not wrap into it.
        self._lags = min(self._size, math.ceil(_MULTIPLES[-1] * 60.0 / 40.0 / step))
        self._padded = _fast_size(self._size + self._lags)
        age = np.arange(self._size)[::-1] * step
        # Recent sound counts more, so that a change of tempo shows soon; the start fades in to soften the cut.
        self._taper = np.exp(-age / _RECENT) * np.minimum(1.0, np.arange(self._size) / (0.5 / step))
        omega = 2 * np.pi * np.arange(self._padded // 2 + 1) / (self._padded * step)
        # Nobody plays to the millisecond: lags within about 15 ms count as one.
        self._blur = np.exp(-np.square(omega * _BLUR))
        self.focus: float | None = None
        self.set_range(low, high)

    def set_range(self, low: float, high: float) -> None:
        """Score tempos of ``low``–``high`` BPM from now on."""
        self.low, self.high = low, high
        count = max(2, math.ceil(math.log(high / low) / _STEP) + 1)
        self.tempos: Doubles = np.geomspace(low, high, count)
        self._periods = 60.0 / self.tempos / self._step
        self._prior: Doubles = np.exp(-0.5 * (np.log2(self.tempos / _CENTRE) / _SPREAD) ** 2)

    def prior(self) -> Doubles:
        """Return the weight of every tempo: the range's, and the performer's word where there is one."""
        if self.focus is None:
            return self._prior
        near = np.exp(-0.5 * (np.log2(self.tempos / self.focus) / _FOCUS_SPREAD) ** 2)
        return np.asarray(0.2 * self._prior + 0.8 * near)

    def salience(self, registers: NDArray[np.float32], weights: Doubles) -> Doubles:
        """Return how periodic the onset strength is at every tempo of ``tempos``, about 0–1, whatever the prior says.

        ``registers`` ``(R, n)`` are onset strengths, oldest first, at most :data:`MEMORY` long; ``weights`` ``(R,)``.
        """
        n = min(registers.shape[1], self._size)
        strengths = registers[:, -n:].astype(np.float64)
        taper = self._taper[-n:]
        strengths = strengths - (strengths @ taper / taper.sum())[:, None]
        spectrum = np.fft.rfft(strengths * np.sqrt(taper), self._padded, axis=1)
        power = (np.square(spectrum.real) + np.square(spectrum.imag)) * self._blur
        energy = (2.0 * power.sum(axis=1) - power[:, 0]) / self._padded
        unit = np.where(energy > 1e-9, 1.0 / np.maximum(energy, 1e-12), 0.0)
        combined = (weights * unit / weights.sum()) @ power
        body = (_BODY * unit) @ power
        root = np.sqrt(unit)
        drums = spectrum[0] * root[0] - spectrum[1] * root[1]
        against = (np.square(drums.real) + np.square(drums.imag)) * self._blur
        correlation, swaps, body = np.fft.irfft(np.stack([combined, against, body]), self._padded)[:, : self._lags]
        # Undo what the taper takes from long lags, as far as there is data to speak of.
        reach = np.maximum(self._reach(n), 0.08)
        correlation /= reach
        swaps /= reach
        body /= reach
        return self._comb(correlation, body, n) * (1.0 + _BACKBEAT * self._backbeat(swaps, n))

    def _backbeat(self, swaps: Doubles, n: int) -> Doubles:
        """Return 0–1 a tempo: whether low and middle register (kick and snare) swap places from beat to beat.

        That is what tells 172 from 86, where the snare falls on every beat.
        """
        lags = np.arange(swaps.size)
        one, two = (np.interp(k * self._periods, lags, swaps) for k in (1.0, 2.0))
        scale = max(1e-9, float(swaps[0]))
        swapped = np.clip(-2.0 * one / scale, 0.0, 1.0) * np.clip(two / scale, 0.0, 1.0)
        return np.asarray(swapped * (2.0 * self._periods < 0.7 * n))

    def _reach(self, n: int) -> Doubles:
        lags = np.arange(self._lags)
        root = math.exp(-0.5 * self._step / _RECENT)
        total = (1 - root ** (2 * max(1, n))) or 1.0
        left = np.maximum(0, n - lags)
        return np.asarray(root**lags * (1 - root ** (2.0 * left)) / total)

    def _comb(self, correlation: Doubles, body: Doubles, n: int) -> Doubles:
        lags = np.arange(correlation.size)
        total = np.zeros_like(self._periods)
        weight = np.zeros_like(self._periods)
        for multiple, share in zip(_MULTIPLES, _WEIGHTS, strict=True):
            at = multiple * self._periods
            heard = share * (at < 0.7 * n)
            total += heard * np.interp(at, lags, correlation)
            weight += heard
        score = total / np.maximum(weight, 1e-9) * (weight > 0) * self._whole_bar(correlation, n)
        # Two thirds, three quarters … of a beat that match better than a whole one give a false tempo away.
        beat = np.interp(self._periods, lags, correlation)
        rivals = np.interp(np.outer(_FALSE_RATIOS, self._periods), lags, correlation)
        score = score - _FALSE_PENALTY * np.maximum(0.0, rivals.max(axis=0) - beat)
        # Where twice the tempo is a choice too, drums on the half beat speak for that one; hats say nothing.
        half = np.maximum(0.0, np.interp(0.5 * self._periods, lags, body)) * (2.0 * self.tempos <= self.high)
        return np.asarray(np.maximum(0.0, score - _HALF_PENALTY * half))

    def _whole_bar(self, correlation: Doubles, n: int) -> Doubles:
        """Return 0–1 a tempo: how well music repeats after four beats, against its best repeat at such lags.

        Three steps of a broken beat often match as well as two; they do not make a bar.
        """
        lags = np.arange(correlation.size)
        bar = _MULTIPLES[-1] * self._periods
        near = correlation[round(_SHORTEST_BAR / self._step) : max(2, int(min(0.7 * n, bar.max() + 1)))]
        best = float(near.max()) if near.size else 0.0
        if best <= 0.0:
            return np.ones_like(bar)
        share = np.clip(np.interp(bar, lags, correlation) / best, 0.0, 1.0)
        return np.where(bar < 0.7 * n, 0.3 + 0.7 * share, 1.0)
