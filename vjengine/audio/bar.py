"""Which beat is the 1. Nobody's machine knows for sure, so it guesses slowly and the performer's word is final."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MEMORY = 0.97
_MARGIN = 1.25
_PATIENCE = 8


class BarTracker:
    """Sums accents of every fourth beat; a clear and lasting winner is the 1."""

    def __init__(self, beats_per_bar: int = 4) -> None:
        self.downbeat = 0
        self._size = beats_per_bar
        self._accents = np.zeros(beats_per_bar)
        self._heard = 0
        self._rival = -1
        self._patience = 0
        self._told = False

    def restart(self) -> None:
        """Forget the accents, after the beat itself was found anew."""
        self._accents[:] = 0.0
        self._heard = 0
        self._told = False

    def resync(self, count: int) -> None:
        """Beat ``count`` is a 1, says the performer; holds until the beat is lost."""
        self.downbeat = count
        self._told = True

    def add(self, count: int, history: NDArray[np.float32], age: float, step: float) -> None:
        """Take the accent of beat ``count``, ``age`` frames ago in ``history`` ``(3, n)`` (frames of ``step`` s)."""
        reach = max(1, round(0.05 / step))
        centre = history.shape[1] - 1 - round(age)
        window = history[:, max(0, centre - reach) : centre + reach + 1]
        if not window.shape[1]:
            return
        # Kicks and bass notes sit on the 1, snares do not.
        accent = float(window[0].max() - 0.5 * window[1].max())
        self._accents *= _MEMORY
        self._accents[count % self._size] += accent
        self._heard += 1
        if not self._told and self._heard >= 2 * self._size:
            self._guess(count)

    def _guess(self, count: int) -> None:
        shifted = self._accents - self._accents.min()
        best = int(np.argmax(shifted))
        second = float(np.sort(shifted)[-2])
        if best == self.downbeat % self._size or shifted[best] < _MARGIN * second + 1e-6:
            self._patience = 0
            return
        self._patience = self._patience + 1 if best == self._rival else 1
        self._rival = best
        if self._patience >= _PATIENCE:
            self._patience = 0
            self.downbeat = count - (count - best) % self._size
