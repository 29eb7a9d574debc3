"""How much starts at this moment: spectral flux in three registers, indifferent to level.

Each narrow band is divided by its own recent peak (adaptive whitening, Stowell and Plumbley 2007) and compressed, so a
loud bass does not drown a quiet hat; only rises count (Dixon 2006).
"""

from __future__ import annotations

import math

import numpy as np

from vjengine.audio.bands import LOW_FREQUENCIES, NARROW_EDGES, Floats

REGISTERS = 3
"""Low (below 180 Hz), middle (180 Hz – 2 kHz), high (above 2 kHz)."""

_COMPRESSION = 12.0
_PEAK_MEMORY = 12.0
_FLOOR = 4e-3
_LAG = 0.0107
_MEAN_MEMORY = 0.4
_ABOVE_MEAN = 1.5


class Flux:
    """Positive spectral change a register. ``step`` is the hop's length in s."""

    def __init__(self, step: float) -> None:
        count = len(LOW_FREQUENCIES) + len(NARROW_EDGES) - 1
        self._lag = max(1, round(_LAG / step))
        self._past = [np.zeros(count, np.float32) for _ in range(self._lag)]
        self._slot = 0
        self._peak: Floats = np.zeros(count, np.float32)
        self._scaled: Floats = np.zeros(count, np.float32)
        self._rise: Floats = np.zeros(count, np.float32)
        # Arrays, not scalars: numpy takes longer to look at a scalar than to multiply.
        self._decay = np.full(count, math.exp(-step / _PEAK_MEMORY), np.float32)
        self._compression = np.full(count, _COMPRESSION, np.float32)
        self._zero = np.zeros(count, np.float32)
        self._floor = np.zeros((), np.float32)
        low = len(LOW_FREQUENCIES)
        self._sums: Floats = np.zeros((REGISTERS, count), np.float32)
        for row, (start, end) in enumerate(((0, low), (low, low + 8), (low + 8, count))):
            self._sums[row, start:end] = 1.0 / ((end - start) * math.log1p(_COMPRESSION))
        self._mean = [0.0] * REGISTERS
        self._share_of_mean = 1.0 - math.exp(-step / _MEAN_MEMORY)

    def process(self, narrow: Floats) -> list[float]:
        """Return three numbers, about 0–1 each: the rise of every register over the last 10 ms.

        ``narrow`` are the amplitudes of :class:`~vjengine.audio.bands.Spectrum`.
        """
        peak, scaled, rise = self._peak, self._scaled, self._rise
        np.multiply(peak, self._decay, peak)
        np.maximum(peak, narrow, out=peak)
        # A band far below the loudest one carries leakage and hiss, not music.
        self._floor[()] = float(peak[peak.argmax()]) * _FLOOR + 1e-7
        np.maximum(peak, self._floor, out=scaled)
        np.divide(narrow, scaled, scaled)
        np.multiply(scaled, self._compression, scaled)
        np.log1p(scaled, scaled)
        past = self._past[self._slot]
        np.subtract(scaled, past, rise)
        np.maximum(rise, self._zero, out=rise)
        past[:] = scaled
        self._slot = (self._slot + 1) % self._lag
        flux = self._sums.dot(rise).tolist()
        # Held chords beat against themselves all the time; an attack stands out of that.
        mean, share = self._mean, self._share_of_mean
        clear = [max(0.0, now - _ABOVE_MEAN * usual) for now, usual in zip(flux, mean, strict=True)]
        self._mean = [usual + share * (now - usual) for now, usual in zip(flux, mean, strict=True)]
        return clear
