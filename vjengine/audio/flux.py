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
        self._past = np.zeros((self._lag, count), np.float32)
        self._slot = 0
        self._peak: Floats = np.zeros(count, np.float32)
        self._decay = np.float32(math.exp(-step / _PEAK_MEMORY))
        low = len(LOW_FREQUENCIES)
        self._starts = np.array([0, low, low + 8])
        self._share = np.float32(1.0) / np.array([low, 8, 8], np.float32)
        self._mean: Floats = np.zeros(REGISTERS, np.float32)
        self._share_of_mean = np.float32(1.0 - math.exp(-step / _MEAN_MEMORY))
        self._unit = np.float32(1.0 / math.log1p(_COMPRESSION))

    def process(self, narrow: Floats) -> Floats:
        """Return ``(3,)`` float32, about 0–1 each: the rise of every register over the last 10 ms.

        ``narrow`` are the amplitudes of :class:`~vjengine.audio.bands.Spectrum`.
        """
        peak = self._peak
        np.multiply(peak, self._decay, out=peak)
        np.maximum(peak, narrow, out=peak)
        # A band far below the loudest one carries leakage and hiss, not music.
        scaled = narrow / np.maximum(peak, float(peak.max()) * _FLOOR + 1e-7)
        level = np.log1p(scaled * np.float32(_COMPRESSION)) * self._unit
        rise = np.maximum(level - self._past[self._slot], 0.0)
        self._past[self._slot] = level
        self._slot = (self._slot + 1) % self._lag
        flux = np.add.reduceat(rise, self._starts) * self._share
        # Held chords beat against themselves all the time; an attack stands out of that.
        clear = np.maximum(flux - self._mean * np.float32(_ABOVE_MEAN), 0.0)
        self._mean += self._share_of_mean * (flux - self._mean)
        return np.asarray(clear, dtype=np.float32)
