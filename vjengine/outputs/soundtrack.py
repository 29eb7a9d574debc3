"""Lays blocks of sound on a gapless line of samples, each where its own time says it belongs. Pure: no files, no codec.

Sound cards and session clocks drift apart by some 50 ppm, 0.2 s an hour, and timestamps jitter by milliseconds. So
there are two ways to agree with the time: a hole or an overlap is filled with silence or trimmed at once; a drift is
worked off by making blocks a sample longer or shorter, which nobody hears.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

HARD = 0.05
"""s of disagreement from which it is a hole or an overlap, and no drift."""

_START, _ENOUGH = 0.001, 0.0002  # s of smoothed drift at which the correction starts and ends
_MEMORY = 1.0  # s over which drift is smoothed
_STRETCH = 500  # samples a block needs for each sample it is stretched by: at most 0.2 %


def stereo(samples: npt.NDArray[np.floating]) -> Samples:
    """Return ``(n,)`` or ``(n, channels)`` samples as finite ``(n, 2)`` float32 in −1…1.

    Mono sounds on both sides; of more than two channels the first two are kept.

    Raises:
        ValueError: for any other shape.
    """
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.ndim != 2 or samples.shape[1] < 1:
        raise ValueError(f"audio is (n,) or (n, channels), not {samples.shape}")
    pair = samples[:, :2] if samples.shape[1] > 1 else np.repeat(samples, 2, axis=1)
    finite = np.nan_to_num(np.asarray(pair, dtype=np.float32), nan=0.0, posinf=1.0, neginf=-1.0)
    return np.clip(finite, -1.0, 1.0, out=finite)


class Soundtrack:
    """A line of samples from time 0, without holes.

    Args:
        rate: Hz.
        elastic: True works small disagreements off slowly (live: two clocks); False corrects every sample at once
            (offline: times are exact).
    """

    def __init__(self, rate: int, *, elastic: bool) -> None:
        self.rate = rate
        self.position = 0
        self.filled = 0
        self.trimmed = 0
        self._elastic = elastic
        self._drift = 0.0  # smoothed, in samples; positive: the sound belongs later than where the line ends
        self._correcting = False

    def place(self, samples: Samples, time: float) -> list[Samples]:
        """Return what is to be appended so that ``(n, 2)`` samples, the first at ``time`` s, sound when they should.

        A time that is no number counts as right behind the last sample.
        """
        if not len(samples):
            return []
        start = round(time * self.rate) if math.isfinite(time) else self.position
        apart = start - self.position
        if not self._elastic or not self.position or abs(apart) > HARD * self.rate:
            self._drift, self._correcting = 0.0, False
            return self._place_exactly(samples, apart)
        block = self._follow(samples, apart)
        self.position += len(block)
        return [block]

    def pad_to(self, position: int) -> list[Samples]:
        """Return the silence that brings the line to ``position`` samples; nothing if it is there already."""
        missing = position - self.position
        if missing <= 0:
            return []
        self.position = position
        self.filled += missing
        return [np.zeros((missing, 2), dtype=np.float32)]

    def _place_exactly(self, samples: Samples, apart: int) -> list[Samples]:
        if apart < 0:
            trimmed = min(-apart, len(samples))
            self.trimmed += trimmed
            samples = samples[trimmed:]
        blocks = self.pad_to(self.position + apart)
        if len(samples):
            self.position += len(samples)
            blocks.append(samples)
        return blocks

    def _follow(self, samples: Samples, apart: int) -> Samples:
        n = len(samples)
        self._drift += min(1.0, n / (self.rate * _MEMORY)) * (apart - self._drift)
        threshold = _ENOUGH if self._correcting else _START
        self._correcting = abs(self._drift) > threshold * self.rate
        if not self._correcting or n < _STRETCH // 4:
            return samples
        change = max(1, n // _STRETCH) * (1 if self._drift > 0 else -1)
        self._drift -= change
        return _stretched(samples, n + change)


def _stretched(samples: Samples, length: int) -> Samples:
    """Return ``(n, 2)`` samples resampled linearly to ``length``; the ends stay where they are."""
    at = np.linspace(0.0, len(samples) - 1, length)
    grid = np.arange(len(samples))
    return np.stack([np.interp(at, grid, samples[:, side]) for side in (0, 1)], axis=1).astype(np.float32)
