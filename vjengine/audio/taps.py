"""Tempo from taps."""

from __future__ import annotations

import math

import numpy as np

_PAUSE = 2.2
_KEEP = 12


class TapTempo:
    """Fits a beat to the taps of one go; a pause begins a new one."""

    def __init__(self) -> None:
        self._taps: list[float] = []

    def add(self, time: float) -> tuple[float, float] | None:
        """Take a tap at ``time`` s; return ``(period, beat)`` in s from the third tap on, else ``None``.

        ``beat`` is where the last tap should have been: a line through all taps, which evens out the hand.
        """
        if not math.isfinite(time):
            return None
        if self._taps and not 0.12 < time - self._taps[-1] < _PAUSE:
            if time - self._taps[-1] <= 0.12:
                return None
            self._taps.clear()
        self._taps = [*self._taps[-_KEEP + 1 :], time]
        if len(self._taps) < 3:
            return None
        gaps = np.diff(self._taps)
        # A missed tap makes a gap of two beats.
        index = np.concatenate([[0.0], np.cumsum(np.maximum(1.0, np.round(gaps / np.median(gaps))))])
        slope, start = np.polyfit(index, np.array(self._taps) - self._taps[0], 1)
        return float(slope), float(self._taps[0] + start + slope * index[-1])
