"""Signal processing for the demo track: filters, sweeps, reverb, delay and ducking, all as whole-array operations.

Signals are float32, ``(n,)`` mono or ``(2, n)`` stereo, at :data:`RATE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

RATE = 48000
"""Hz."""

Signal = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]


def seconds(count: float) -> int:
    """Return ``count`` s in samples."""
    return round(count * RATE)


def times(count: int) -> npt.NDArray[np.float64]:
    """Return the times (s) of ``count`` samples."""
    return np.arange(count) / RATE


def place(track: Signal, sound: Signal, at: int, gain: float = 1.0, pan: float = 0.0) -> None:
    """Add ``sound`` to the stereo ``track`` at sample ``at``; ``pan`` from -1 (left) to 1, at constant power.

    What hangs over either end is cut off.
    """
    skip = max(0, -at)
    at = max(0, at)
    count = min(sound.shape[-1] - skip, track.shape[1] - at)
    if count <= 0:
        return
    angle = (pan + 1.0) * np.pi / 4.0
    sides = np.array([[np.cos(angle)], [np.sin(angle)]], dtype=np.float32) * np.float32(gain * np.sqrt(2.0))
    track[:, at : at + count] += sides * np.atleast_2d(sound[..., skip : skip + count])


def fade(sound: Signal, attack: float = 0.001, release: float = 0.005) -> Signal:
    """Return ``sound`` with raised-cosine ends of ``attack`` and ``release`` s, so that nothing clicks."""
    out = sound.copy()
    for count, end in ((seconds(attack), False), (seconds(release), True)):
        count = min(count, out.shape[-1])
        if count:
            slope = (0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)).astype(np.float32)
            if end:
                out[..., -count:] *= slope[::-1]
            else:
                out[..., :count] *= slope
    return out


def fast_length(count: int) -> int:
    """Return the least length of at least ``count`` with no prime factor above 5: FFTs of others are slow."""
    best = 1 << (count - 1).bit_length()
    power5 = 1
    while power5 < best:
        power35 = power5
        while power35 < best:
            rest = -(-count // power35)
            best = min(best, power35 * (1 << (rest - 1).bit_length()))
            power35 *= 3
        power5 *= 5
    return best


def butterworth(frequencies: npt.NDArray[Any], cutoff: float, order: int, high: bool = False) -> Spectrum:
    """Return the complex response of an analogue Butterworth filter: causal, unlike a bare magnitude."""
    safe = np.maximum(frequencies, 1e-3)
    s = 1j * (cutoff / safe if high else safe / cutoff)
    if high:
        s = -s  # s -> 1/s turns the low-pass into the high-pass
    response = np.ones(len(frequencies), dtype=np.complex128)
    for k in range(order):
        response /= s - np.exp(1j * np.pi * (2 * k + order + 1) / (2 * order))
    return response.astype(np.complex64)


def filtered(sound: Signal, low: float | None = None, high: float | None = None, order: int = 2) -> Signal:
    """Return ``sound`` without what is below ``low`` Hz or above ``high`` Hz."""
    count = sound.shape[-1]
    length = fast_length(count + seconds(0.1))
    spectrum = np.fft.rfft(sound, length)
    frequencies = np.fft.rfftfreq(length, 1 / RATE)
    if low is not None:
        spectrum *= butterworth(frequencies, low, order, high=True)
    if high is not None:
        spectrum *= butterworth(frequencies, high, order)
    return np.fft.irfft(spectrum, length)[..., :count].astype(np.float32)


def shelved(sound: Signal, points: Sequence[tuple[float, float]]) -> Signal:
    """Return ``sound`` with a smooth gain curve: ``points`` are (Hz, dB), joined on a log axis. Zero phase."""
    count = sound.shape[-1]
    length = fast_length(count + seconds(0.1))
    frequencies = np.maximum(np.fft.rfftfreq(length, 1 / RATE), 1.0)
    at = np.log2([hertz for hertz, _ in points])
    gain = np.interp(np.log2(frequencies), at, [decibels for _, decibels in points])
    spectrum = np.fft.rfft(sound, length) * (10 ** (gain / 20)).astype(np.float32)
    return np.fft.irfft(spectrum, length)[..., :count].astype(np.float32)


def sweep(sound: Signal, cutoff: npt.NDArray[np.float64], resonance: float = 0.0, high: bool = False) -> Signal:
    """Return stereo ``sound`` through a filter that moves.

    Overlapping frames are filtered in the frequency domain, 24 dB an octave, zero phase.

    Args:
        sound: ``(2, n)``.
        cutoff: Hz at each of some evenly spread moments over the sound's length.
        resonance: height of a peak at the cutoff, 0 for none.
        high: a high-pass instead of a low-pass.
    """
    frame, hop = 2048, 512
    count = sound.shape[1]
    padded = np.pad(sound, ((0, 0), (frame, frame + hop)))
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame)).astype(np.float32)
    starts = np.arange(0, padded.shape[1] - frame + 1, hop)
    moments = np.linspace(0, count, len(cutoff))
    edges = np.interp(starts + frame / 2 - frame, moments, cutoff)
    frequencies = np.maximum(np.fft.rfftfreq(frame, 1 / RATE), 1.0)
    out = np.zeros_like(padded)
    for channel in range(2):
        views = np.lib.stride_tricks.sliding_window_view(padded[channel], frame)
        for first in range(0, len(starts), 1024):
            chosen = starts[first : first + 1024]
            frames = views[chosen] * window
            if not frames.any():
                continue
            if high or edges[first : first + 1024].min() < 15500.0:
                gain = _slope(frequencies, edges[first : first + 1024], resonance, high)
                frames = np.fft.irfft(np.fft.rfft(frames) * gain, frame).astype(np.float32)
            frames *= window
            # Four hops make a frame: frames that do not overlap can be added in one go.
            for phase in range(4):
                piece = frames[phase::4]
                begin = chosen[phase] if phase < len(chosen) else 0
                if len(piece):
                    out[channel, begin : begin + len(piece) * frame] += piece.reshape(-1).astype(np.float32)
    return out[:, frame : frame + count] * np.float32(0.5)


def _slope(frequencies: npt.NDArray[Any], edges: npt.NDArray[np.float64], resonance: float, high: bool) -> Signal:
    """Return the gains ``(frames, bins)`` of a 24 dB filter with its cutoff at ``edges`` (Hz)."""
    ratio = (frequencies[None, :] / edges[:, None]).astype(np.float32)
    if high:
        ratio = (1 / ratio).astype(np.float32)
    squared = ratio * ratio
    squared *= squared
    squared *= squared
    gain = 1 / np.sqrt(1 + squared)
    if resonance:
        gain *= 1 + np.float32(resonance) * np.exp(-((np.log2(ratio) / np.float32(0.3)) ** 2))
    return np.asarray(gain, dtype=np.float32)


def convolved(sound: Signal, response: Signal) -> Signal:
    """Return stereo ``sound`` convolved with the stereo ``response``, cut to the sound's length."""
    count = sound.shape[1]
    length = fast_length(count + response.shape[1])
    spectrum = np.fft.rfft(sound, length)
    spectrum *= np.fft.rfft(response, length)
    return np.fft.irfft(spectrum, length)[:, :count].astype(np.float32)


def room(rng: np.random.Generator, decay: float, predelay: float = 0.02, bright: float = 5000.0) -> Signal:
    """Return the stereo impulse response of a room, of unit energy: noise that dies away, its highs first.

    Args:
        rng: source of the noise.
        decay: s to fall by 60 dB.
        predelay: s before the first reflection.
        bright: Hz above which the decay is three times as fast.
    """
    count = seconds(decay * 1.2)
    clock = times(count)
    noise = rng.standard_normal((2, count)).astype(np.float32)
    dull = filtered(noise, low=180.0, high=bright, order=1)
    sparkle = filtered(noise, low=bright, order=1)
    fall = np.log(1000.0) / decay
    tail = dull * np.exp(-fall * clock) + sparkle * np.exp(-3.0 * fall * clock)
    tail *= 1 - np.exp(-clock / 0.012)  # density builds up
    for _ in range(14):  # a few walls of its own
        at = seconds(float(rng.uniform(0.002, 0.06)))
        tail[int(rng.integers(2)), at] += float(rng.uniform(2.0, 5.0)) * np.exp(-at / seconds(0.04))
    tail = fade(tail.astype(np.float32), 0.0, 0.05)
    tail /= np.sqrt((tail**2).sum(axis=1, keepdims=True))
    return np.pad(tail, ((0, 0), (seconds(predelay), 0))).astype(np.float32)


def ping_pong(sound: Signal, step: int, feedback: float = 0.5, taps: int = 7) -> Signal:
    """Return only the echoes of stereo ``sound``: every ``step`` samples, from side to side, each duller."""
    count = sound.shape[1]
    out = np.zeros_like(sound)
    echo = filtered(np.repeat(sound.mean(axis=0, keepdims=True), 2, axis=0), low=250.0, high=6000.0, order=1)
    for tap in range(1, taps + 1):
        shift = tap * step
        if shift >= count:
            break
        side = tap % 2
        out[side, shift:] += echo[side, : count - shift] * np.float32(feedback ** (tap - 1))
        out[1 - side, shift:] += echo[side, : count - shift] * np.float32(0.25 * feedback ** (tap - 1))
    return filtered(out, high=5500.0, order=1)


def ducking(count: int, kicks: Sequence[int], depth: float, release: float = 0.24) -> Signal:
    """Return the gain curve of a compressor keyed by kicks: down in 3 ms, back over ``release`` s."""
    gain = np.ones(count, dtype=np.float32)
    length = seconds(release)
    rise = np.linspace(0.0, 1.0, length)
    shape = 1 - depth * (1 - rise**1.5 * (2.5 - 1.5 * rise))
    shape[: seconds(0.003)] = np.linspace(1.0, shape[seconds(0.003)], seconds(0.003))
    for at in kicks:
        end = min(at + length, count)
        if at < count:
            gain[at:end] = np.minimum(gain[at:end], shape[: end - at])
    return gain
