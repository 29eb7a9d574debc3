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
    """Return a windowed-sinc low-pass, ``(4 * factor,)``, that keeps aliases out of the low end after decimation."""
    taps = 4 * factor
    n = np.arange(taps) - (taps - 1) / 2
    kernel = np.sinc(n * 0.4 / factor) * np.hamming(taps)
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


class Tape:
    """The newest samples in one piece, without moving them at every hop: the buffer is wound back once in a while.

    ``advance`` takes ``(step,)`` numbers; the views of the newest ``sizes`` are made once and handed out by turns.
    """

    def __init__(self, step: int, *sizes: int) -> None:
        self._reach = max(step, *sizes)
        self._turns = max(32, -(-self._reach // step))
        self._tape = np.zeros(self._reach + self._turns * step, np.float32)
        ends = [self._reach + (turn + 1) * step for turn in range(self._turns)]
        self._fresh = [self._tape[end - step : end] for end in ends]
        self._views = [tuple(self._tape[end - size : end] for size in sizes) for end in ends]
        self._turn = -1

    def advance(self) -> tuple[Floats, tuple[Floats, ...]]:
        """Return where the next numbers are to be written, and the views that will end with them."""
        self._turn += 1
        if self._turn == self._turns:
            self._tape[: self._reach] = self._tape[-self._reach :]
            self._turn = 0
        return self._fresh[self._turn], self._views[self._turn]


class Spectrum:
    """Band amplitudes of the newest samples. Buffers and views are made once; a call makes a dozen numpy calls.

    After :meth:`process`: ``bands``, amplitude of each of the six bands (a sine of RMS a reads about a), and
    ``narrow`` (24,) float32, amplitudes of the eight low frequencies and of :data:`NARROW_EDGES`' bands.
    """

    def __init__(self, sample_rate: int, hop: int) -> None:
        factor = 1
        while sample_rate / (factor * 2) >= 2500 and hop % (factor * 2) == 0:
            factor *= 2
        count = len(LOW_FREQUENCIES)
        self.bands = [0.0] * 6
        self.narrow: Floats = np.zeros(count + len(NARROW_EDGES) - 1, np.float32)
        self._power = np.zeros_like(self.narrow)
        self._low_power, self._high_power = self._power[:count], self._power[count:]
        self._powers = [0.0] * self.narrow.size
        self._make_low(sample_rate, hop, factor)
        self._make_high(sample_rate, hop)
        self._tape = Tape(hop, self._samples.size, self._decimate.shape[1])
        edges = np.sqrt(np.multiply(NARROW_EDGES[:-1], NARROW_EDGES[1:]))
        centres = np.concatenate([LOW_FREQUENCIES, edges])
        position = np.log(centres / 20.0) / math.log(16000.0 / 20.0)
        self._moments = np.stack([np.ones_like(position), position]).astype(np.float32)
        self._per_hertz = (1.0 / np.diff(NARROW_EDGES)).tolist()

    def _make_low(self, sample_rate: int, hop: int, factor: int) -> None:
        kernel = _low_pass(factor) if factor > 1 else np.ones(1, np.float32)
        outputs = hop // factor
        self._decimate = np.zeros((outputs, kernel.size - factor + hop), np.float32)
        for row in range(outputs):
            self._decimate[row, row * factor : row * factor + kernel.size] = kernel
        rate = sample_rate / factor
        size = max(outputs, round(_LOW_WINDOW * rate))
        window = leaning_window(size, max(1, round(_LOW_FALL * rate)))
        angle = 2 * np.pi * np.outer(LOW_FREQUENCIES, np.arange(size)) / rate
        # The low-pass is short, so that it is quick; what it takes from each frequency is given back here.
        taps = np.outer(LOW_FREQUENCIES, np.arange(kernel.size)) * (2 * np.pi / sample_rate)
        passed = np.hypot(np.cos(taps) @ kernel, np.sin(taps) @ kernel)
        scale = math.sqrt(2.0) / float(window.sum()) / np.tile(passed, 2)[:, None]
        self._project = (np.concatenate([np.cos(angle), np.sin(angle)]) * window * scale).astype(np.float32)
        self._low = Tape(outputs, size)
        self._parts = np.zeros(2 * len(LOW_FREQUENCIES), np.float32)
        self._cosines, self._sines = np.split(self._parts, 2)

    def _make_high(self, sample_rate: int, hop: int) -> None:
        size = 2 ** round(math.log2(_FFT_WINDOW * sample_rate))
        size = max(size, 2 ** math.ceil(math.log2(hop)))
        window = leaning_window(size, max(1, round(_FFT_FALL * sample_rate)))
        # Power of a sine spreads over the window's main lobe; dividing by the window's energy makes it read its RMS.
        self._window = window * np.float32(math.sqrt(2.0 / (size * float(np.square(window).sum()))))
        self._samples = np.zeros(size, np.float32)
        self._bins: NDArray[np.complex64] = np.zeros(size // 2 + 1, np.complex64)
        # Indices into interleaved real and imaginary squares, so that no separate sum of squares is needed.
        edges = [2 * round(edge * size / sample_rate) for edge in NARROW_EDGES]
        self._flat = self._bins.view(np.float32)[: edges[-1]]
        self._starts = np.array(edges[:-1])

    def process(self, block: Floats) -> None:
        """Take the next ``(hop,)`` float32 samples and bring ``bands`` and ``narrow`` up to date."""
        fresh, (samples, tail) = self._tape.advance()
        fresh[:] = block
        decimated, (low,) = self._low.advance()
        np.dot(self._decimate, tail, out=decimated)
        np.dot(self._project, low, out=self._parts)
        np.square(self._parts, out=self._parts)
        np.add(self._cosines, self._sines, out=self._low_power)
        np.multiply(samples, self._window, out=self._samples)
        np.fft.rfft(self._samples, out=self._bins)  # type: ignore[arg-type]  # numpy 2 takes complex64 here
        np.square(self._flat, out=self._flat)
        np.add.reduceat(self._flat, self._starts, out=self._high_power)
        np.sqrt(self._power, out=self.narrow)
        self._powers = p = self._power.tolist()
        self.bands = [
            math.sqrt(max(p[0], p[1], p[2])),
            math.sqrt(max(p[3], p[4], p[5], p[6], p[7])),
            math.sqrt(p[8] + p[9] + p[10] + p[11]),
            math.sqrt(p[12] + p[13] + p[14] + p[15]),
            math.sqrt(p[16] + p[17] + p[18] + p[19]),
            math.sqrt(p[20] + p[21] + p[22] + p[23]),
        ]

    def centroid(self) -> float:
        """Return the amplitude-weighted mean position on a log frequency axis, 0 (20 Hz) – 1 (16 kHz)."""
        total, moment = (self._moments @ self.narrow).tolist()
        return float(moment / total) if total > 1e-9 else 0.0

    def flatness(self) -> float:
        """Return geometric over arithmetic mean of the power density above 180 Hz: 0 a tone, 1 white noise."""
        density = [p * share for p, share in zip(self._powers[len(LOW_FREQUENCIES) :], self._per_hertz, strict=True)]
        mean = sum(density) / len(density)
        if mean < 1e-18:
            return 0.0
        # The mean is taken out first, so that a product of sixteen stays far from the ends of a float.
        product = math.prod([value / mean + 1e-9 for value in density])
        return min(1.0, float(product ** (1.0 / len(density))))
