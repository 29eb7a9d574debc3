"""Onsets: aubio's detector for the whole signal, and attacks a band for things that must flash with the drum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

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

    ``values`` jump to the strength of an attack (0–1) and decay to a twentieth within 150 ms; ``counts`` count attacks.
    Six numbers are fewer than numpy is worth: plain floats take half the time.
    """

    def __init__(self, step: float, sensitivity: float) -> None:
        self._lag = max(1, round(_LAG / step))
        self._past = [[0.0] * 6 for _ in range(self._lag)]
        self._slot = 0
        self._mean = [0.02] * 6
        self._deviation = [0.05] * 6
        self._wait = [0] * 6
        self._share = 1.0 - math.exp(-step / _RISE_MEMORY)
        self._decay = math.exp(-step / _DECAY)
        self._refractory = max(1, round(_REFRACTORY / step))
        self._sensitivity = sensitivity
        self.values = [0.0] * 6
        self.counts = [0] * 6

    def process(self, levels: Sequence[float], silent: bool) -> None:
        """Take the bands' amplitudes over their references, six; nothing fires while ``silent``."""
        past = self._past[self._slot]
        self._slot = (self._slot + 1) % self._lag
        values, wait, means, deviations = self.values, self._wait, self._mean, self._deviation
        share, decay = self._share, self._decay
        for band, level in enumerate(levels):
            compressed = math.log1p(8.0 * level) * 0.455
            rise = compressed - past[band]
            past[band] = compressed
            if rise < 0.0:
                rise = 0.0
            value = values[band] * decay
            mean, deviation = means[band], deviations[band]
            if wait[band] > 0:
                wait[band] -= 1
            elif rise * self._sensitivity > mean + 2.0 * deviation + 0.06 and level > _QUIET and not silent:
                value = max(value, min(1.0, 0.35 + rise + 0.3 * level))
                wait[band] = self._refractory - 1
                self.counts[band] += 1
            values[band] = value
            away = rise - mean
            means[band] = mean + share * away
            deviations[band] = deviation + share * (abs(away) - deviation)
