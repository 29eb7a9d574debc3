"""Onsets: aubio's detector for the whole signal, and attacks a band for things that must flash with the drum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjengine.audio.bands import Floats
from vjengine.errors import MissingDependency

_RISE_MEMORY = 1.5
_DECAY = 0.05
_REFRACTORY = 0.09
_QUIET = 0.08
_LAG = 0.0107


class OnsetDetector:
    """aubio's onset detector on exact hops.

    Args:
        sample_rate: Hz.
        hop: samples a call.
        sensitivity: 1 is balanced; higher finds more.

    Raises:
        MissingDependency: aubio is not installed.
    """

    def __init__(self, sample_rate: int, hop: int, sensitivity: float) -> None:
        try:
            import aubio
        except ImportError as error:
            raise MissingDependency("aubio (onset detection)", "pip install aubio-ledfx") from error
        window = max(2 * hop, 512)
        self._detector: Any = aubio.onset("hfc", window, hop, sample_rate)
        self._detector.set_threshold(0.3 / sensitivity)
        self._detector.set_silence(-70.0)
        self._detector.set_minioi_ms(50.0)
        self._samples = 0
        self._hop = hop
        self._rate = sample_rate

    def process(self, block: Floats) -> float | None:
        """Take ``(hop,)`` samples; return an onset's age in s, counted back from the block's end, or ``None``."""
        self._samples += self._hop
        if not self._detector(block)[0]:
            return None
        return max(0.0, (self._samples - int(self._detector.get_last())) / self._rate)


class HitDetector:
    """Attacks in each of the six bands. ``step`` is the hop's length in s.

    ``values`` (6,) jump to the strength of an attack (0–1) and decay to a twentieth within 150 ms; ``counts`` count.
    """

    def __init__(self, step: float, sensitivity: float) -> None:
        self._lag = max(1, round(_LAG / step))
        self._past = np.zeros((self._lag, 6))
        self._slot = 0
        self._mean = np.full(6, 0.02)
        self._deviation = np.full(6, 0.05)
        self._share = 1.0 - math.exp(-step / _RISE_MEMORY)
        self._decay = math.exp(-step / _DECAY)
        self._refractory = max(1, round(_REFRACTORY / step))
        self._wait = np.zeros(6, np.int64)
        self._sensitivity = sensitivity
        self.values: NDArray[np.float64] = np.zeros(6)
        self.counts: NDArray[np.int64] = np.zeros(6, np.int64)

    def process(self, levels: NDArray[np.float64], silent: bool) -> None:
        """Take the bands' amplitudes over their references, ``(6,)``; nothing fires while ``silent``."""
        compressed = np.log1p(8.0 * levels) * 0.455
        rise = compressed - self._past[self._slot]
        self._past[self._slot] = compressed
        self._slot = (self._slot + 1) % self._lag
        np.maximum(rise, 0.0, out=rise)
        threshold = (self._mean + 2.0 * self._deviation + 0.06) / self._sensitivity
        self.values *= self._decay
        self._wait -= 1
        if not silent:
            fired = (rise > threshold) & (levels > _QUIET) & (self._wait <= 0)
            if fired.any():
                strength = np.clip(0.35 + rise + 0.3 * levels, 0.0, 1.0)
                np.maximum(self.values, np.where(fired, strength, 0.0), out=self.values)
                self._wait[fired] = self._refractory
                self.counts[fired] += 1
        away = rise - self._mean
        self._mean += self._share * away
        self._deviation += self._share * (np.abs(away) - self._deviation)
