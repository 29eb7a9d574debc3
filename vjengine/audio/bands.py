"""From samples to band levels: two spectra with windows that lean towards the newest sample.

One transform cannot be both fast and fine. The low end is decimated and projected on a few frequencies over 60 ms; the
rest is one short FFT. Both windows rise slowly and fall quickly, so that an attack is seen when it happens and not half
a window later.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

NARROW_EDGES: tuple[float, ...] = (
    *(180, 250, 350, 460, 600, 800, 1080, 1460, 2000, 2600, 3400, 4500, 6000, 7700, 9800, 12500, 16000),
)
"""Edges in Hz of the narrow bands above 180 Hz: four to each of the upper four bands."""

LOW_FREQUENCIES: tuple[float, ...] = (28.0, 40.0, 52.0, 80.0, 100.0, 120.0, 140.0, 160.0)
"""Frequencies in Hz on which the low end is projected; the first three make up the sub band."""

_SUB = 3
_LOW_WINDOW = 0.06
_LOW_FALL = 0.008
_FFT_WINDOW = 0.0215
_FFT_FALL = 0.004


def leaning_window(size: int, fall: int) -> Floats:
    """Return a ``(size,)`` window that rises as a squared sine and falls over its last ``fall`` samples."""
    rise = size - fall
    up = np.sin(0.5 * np.pi * (np.arange(rise) + 0.5) / rise) ** 2
    down = np.cos(0.5 * np.pi * (np.arange(fall) + 0.5) / fall) ** 2
    return np.concatenate([up, down]).astype(np.float32)


def _low_pass(factor: int) -> Floats:
    """Return a windowed-sinc low-pass, ``(8 * factor,)``, that keeps aliases out of the low end after decimation."""
    taps = 8 * factor
    n = np.arange(taps) - (taps - 1) / 2
    kernel = np.sinc(n * 0.4 / factor) * np.hamming(taps)
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


class Spectrum:
    """Band amplitudes of the newest samples. Buffers are made once; a call makes a handful of numpy calls.

    After :meth:`process`: ``bands`` (6,), amplitude of each of the six bands (a sine of RMS a reads about a), and
    ``narrow`` (24,), amplitudes of the eight low frequencies and of :data:`NARROW_EDGES`' bands, float32.
    """

    def __init__(self, sample_rate: int, hop: int) -> None:
        factor = 1
        while sample_rate / (factor * 2) >= 5000 and hop % (factor * 2) == 0:
            factor *= 2
        self._make_low(sample_rate, hop, factor)
        self._make_high(sample_rate, hop)
        self.bands: Floats = np.zeros(6, np.float32)
        self.narrow: Floats = np.zeros(len(LOW_FREQUENCIES) + len(NARROW_EDGES) - 1, np.float32)
        edges = np.sqrt(np.multiply(NARROW_EDGES[:-1], NARROW_EDGES[1:]))
        centres = np.concatenate([LOW_FREQUENCIES, edges])
        self._log_position = (np.log(centres / 20.0) / math.log(16000.0 / 20.0)).astype(np.float32)
        self._average = np.full(len(NARROW_EDGES) - 1, 1.0 / (len(NARROW_EDGES) - 1), np.float32)
        self._widths = np.diff(NARROW_EDGES).astype(np.float32)

    def _make_low(self, sample_rate: int, hop: int, factor: int) -> None:
        kernel = _low_pass(factor) if factor > 1 else np.ones(1, np.float32)
        outputs = hop // factor
        self._tail = np.zeros(kernel.size - factor + hop, np.float32)
        self._decimate = np.zeros((outputs, self._tail.size), np.float32)
        for row in range(outputs):
            self._decimate[row, row * factor : row * factor + kernel.size] = kernel
        rate = sample_rate / factor
        size = max(outputs, round(_LOW_WINDOW * rate))
        window = leaning_window(size, max(1, round(_LOW_FALL * rate)))
        angle = 2 * np.pi * np.outer(LOW_FREQUENCIES, np.arange(size)) / rate
        scale = math.sqrt(2.0) / float(window.sum())
        self._project = (np.concatenate([np.cos(angle), np.sin(angle)]) * window * scale).astype(np.float32)
        self._low = np.zeros(size, np.float32)
        self._outputs = outputs

    def _make_high(self, sample_rate: int, hop: int) -> None:
        size = 2 ** round(math.log2(_FFT_WINDOW * sample_rate))
        size = max(size, 2 ** math.ceil(math.log2(hop)))
        self._window = leaning_window(size, max(1, round(_FFT_FALL * sample_rate)))
        self._samples = np.zeros(size, np.float32)
        self._windowed = np.zeros(size, np.float32)
        self._bins: NDArray[np.complex64] = np.zeros(size // 2 + 1, np.complex64)
        step = sample_rate / size
        # Indices into interleaved real and imaginary squares, so that no separate sum of squares is needed.
        self._edges = np.array([2 * round(edge / step) for edge in NARROW_EDGES])
        # Power of a sine spreads over the window's main lobe; dividing by the window's energy makes it read its RMS.
        self._scale = np.float32(2.0 / (size * float(np.square(self._window).sum())))

    def process(self, block: Floats) -> None:
        """Take the next ``(hop,)`` float32 samples and bring ``bands`` and ``narrow`` up to date."""
        hop = block.size
        tail, samples, low = self._tail, self._samples, self._low
        tail[:-hop] = tail[hop:]
        tail[-hop:] = block
        samples[:-hop] = samples[hop:]
        samples[-hop:] = block
        low[: -self._outputs] = low[self._outputs :]
        low[-self._outputs :] = self._decimate @ tail
        parts = self._project @ low
        np.square(parts, out=parts)
        count = len(LOW_FREQUENCIES)
        power = parts[:count] + parts[count:]
        np.multiply(samples, self._window, out=self._windowed)
        np.fft.rfft(self._windowed, out=self._bins)  # type: ignore[arg-type]  # numpy 2 takes complex64 here
        flat = self._bins.view(np.float32)
        np.square(flat, out=flat)
        high = np.add.reduceat(flat[: self._edges[-1]], self._edges[:-1]) * self._scale
        self.narrow[:count] = power
        self.narrow[count:] = high
        np.sqrt(self.narrow, out=self.narrow)
        self.bands[0] = power[:_SUB].max()
        self.bands[1] = power[_SUB:].max()
        self.bands[2:] = high.reshape(4, 4).sum(axis=1)
        np.sqrt(self.bands, out=self.bands)

    def centroid(self) -> float:
        """Return the amplitude-weighted mean position on a log frequency axis, 0 (20 Hz) – 1 (16 kHz)."""
        total = float(self.narrow.sum())
        return float(self.narrow @ self._log_position) / total if total > 1e-9 else 0.0

    def flatness(self) -> float:
        """Return geometric over arithmetic mean of the power density above 180 Hz: 0 a tone, 1 white noise."""
        density = np.square(self.narrow[len(LOW_FREQUENCIES) :]) / self._widths
        mean = float(density @ self._average)
        if mean < 1e-18:
            return 0.0
        return min(1.0, math.exp(float(np.log(density + mean * 1e-9) @ self._average)) / mean)
