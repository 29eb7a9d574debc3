"""Levels that suit the eye: gain over minutes, and a gate for silence.

An ordinary automatic gain lifts a breakdown until it looks like the drop. This one takes as its reference a high
percentile of the loudness of the last minutes, so a quiet minute stays a quiet minute, while a quiet mixer is still
brought up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CHANNELS = 7
"""Channels with a reference of their own: the whole signal and the six bands."""

_UPDATE = 0.2
_MEMORY = 90.0
_LOUD_SHARE = 0.15
_BOTTOM, _TOP = -90, 10
_SETTLE = 4.0
_APPROACH = 0.5
_RISE_DB = 0.1
_BAND_RANGE_DB = 36.0
_MAX_GAIN_DB = 50.0
_REFERENCE_LEVEL_DB = -3.1


class GainControl:
    """Finds how loud "loud" is, a channel. ``step`` is the hop's length in s.

    ``references``, seven: amplitude that is shown as level 0.7, for the whole signal and the bands; ``gain_db``
    is the gain that follows from the first.
    """

    def __init__(self, step: float) -> None:
        self._every = max(1, round(_UPDATE / step))
        self._interval = self._every * step
        self._keep = math.exp(-self._interval / _MEMORY)
        self._histogram: NDArray[np.float64] = np.zeros((CHANNELS, _TOP - _BOTTOM))
        self._sum = [0.0] * CHANNELS
        self._hops = 0
        self._heard = 0.0
        self._level_db: NDArray[np.float64] = np.full(CHANNELS, float(_BOTTOM))
        self._rows = np.arange(CHANNELS)
        self.references = [1.0] * CHANNELS
        self.gain_db = 0.0
        self.loudness_db = float(_BOTTOM)

    def process(self, power: Sequence[float]) -> None:
        """Take a hop's mean power a channel, seven; only hops that are not silent belong here."""
        self._sum = [total + now for total, now in zip(self._sum, power, strict=True)]
        self._hops += 1
        if self._hops >= self._every:
            self._learn(10.0 * np.log10(np.array(self._sum) / self._hops + 1e-10))
            self._sum = [0.0] * CHANNELS
            self._hops = 0

    def _learn(self, level_db: NDArray[np.float64]) -> None:
        slots = np.clip(np.round(level_db - _BOTTOM), 0, _TOP - _BOTTOM - 1).astype(np.intp)
        self._histogram *= self._keep
        self._histogram[self._rows, slots] += 1.0
        above = np.cumsum(self._histogram[:, ::-1], axis=1)
        loud = np.argmax(above >= _LOUD_SHARE * above[:, -1:], axis=1)
        percentile = (_TOP - 1 - loud).astype(np.float64)
        self.loudness_db = float(percentile[0])
        # A band that is 36 dB below the rest is empty, and stays so on the screen.
        np.maximum(percentile[1:], percentile[0] - _BAND_RANGE_DB, out=percentile[1:])
        first = self._heard == 0.0
        self._heard += self._interval
        change = percentile - self._level_db
        # The sound grew louder than the reference: make room at once. It grew quieter: lift it slowly, over minutes.
        down = -_RISE_DB * self._interval if self._heard > _SETTLE else -60.0
        self._level_db += change if first else np.maximum(_APPROACH * change, down)
        limited = np.maximum(self._level_db, self._level_db[0] - _BAND_RANGE_DB)
        self.gain_db = min(_MAX_GAIN_DB, _REFERENCE_LEVEL_DB - float(self._level_db[0]))
        floor = _REFERENCE_LEVEL_DB - _MAX_GAIN_DB
        self.references = (10.0 ** (np.maximum(limited, floor - _BAND_RANGE_DB) / 20.0)).tolist()


class SilenceGate:
    """Shut while the sound is below ``threshold_db`` (dBFS, RMS), or far below the loudest of the last minutes."""

    _RELATIVE_DB = 48.0
    _HYSTERESIS_DB = 4.0

    def __init__(self, step: float, threshold_db: float) -> None:
        self._threshold = threshold_db
        self._hold = round(0.25 / step)
        self._left = 0
        self._smooth = 0.0
        self._share = 1.0 - math.exp(-step / 0.03)

    def process(self, power: float, loudness_db: float) -> bool:
        """Return True if silent, for a hop of mean ``power`` and the reference ``loudness_db`` of the gain control."""
        self._smooth += self._share * (power - self._smooth)
        level = 10.0 * math.log10(self._smooth + 1e-12)
        opens = max(self._threshold, loudness_db - self._RELATIVE_DB)
        if level >= opens or (self._left and level >= opens - self._HYSTERESIS_DB):
            self._left = self._hold
        elif self._left:
            self._left -= 1
        return self._left == 0
