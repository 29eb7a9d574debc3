"""The last stage of the demo track: loudness, glue, soft clipping and a limiter that looks ahead."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vjengine.demo.dsp import RATE, Signal, fast_length, seconds

CEILING_DB = -2.8
"""dB true peak before encoding; a lossy codec adds up to 1.6 dB to music this dense."""


def k_weighted(sound: Signal) -> Signal:
    """Return stereo ``sound`` through the K-weighting of ITU-R BS.1770-4, by its analogue magnitude."""
    count = sound.shape[1]
    length = fast_length(count)
    f = np.maximum(np.fft.rfftfreq(length, 1 / RATE), 1e-3)
    high_pass = (f / 38.1) ** 2 / np.sqrt((1 - (f / 38.1) ** 2) ** 2 + (f / 38.1 / 0.5) ** 2)
    ratio = f / 1681.97
    boost = 10 ** (3.99984 / 20)
    top = np.sqrt((1 - boost * ratio**2) ** 2 + (ratio * np.sqrt(boost) / 0.7072) ** 2)
    shelf = top / np.sqrt((1 - ratio**2) ** 2 + (ratio / 0.7072) ** 2)
    spectrum = np.fft.rfft(sound, length) * (high_pass * shelf).astype(np.float32)
    return np.fft.irfft(spectrum, length)[:, :count].astype(np.float32)


def momentary_lufs(sound: Signal, window: float = 0.4, step: float = 0.1) -> npt.NDArray[np.float64]:
    """Return the loudness (LUFS) of every ``window`` s of stereo ``sound``, each ``step`` s."""
    power = (k_weighted(sound).astype(np.float64) ** 2).sum(axis=0)
    total = np.concatenate([[0.0], np.cumsum(power)])
    width, hop = seconds(window), seconds(step)
    starts = np.arange(0, max(1, len(power) - width), hop)
    mean = (total[np.minimum(starts + width, len(power))] - total[starts]) / width
    return np.asarray(-0.691 + 10 * np.log10(np.maximum(mean, 1e-12)))


def integrated_lufs(sound: Signal) -> float:
    """Return the gated loudness (LUFS) of stereo ``sound`` as ITU-R BS.1770-4 defines it."""
    blocks = momentary_lufs(sound)
    loud = blocks[blocks > -70.0]
    if not len(loud):
        return -70.0
    gate = 10 * np.log10(np.mean(10 ** (loud / 10))) - 10.0
    return float(10 * np.log10(np.mean(10 ** (loud[loud > gate] / 10))))


def true_peak(sound: Signal) -> Signal:
    """Return the peak between samples, estimated at four times the rate, for each sample of stereo ``sound``."""
    # Three fractional delays by windowed sinc; the samples themselves are the fourth phase.
    taps = np.arange(-12, 13)
    window = 0.5 + 0.5 * np.cos(np.pi * taps / 13)
    peak = np.abs(sound).max(axis=0)
    for phase in (0.25, 0.5, 0.75):
        kernel = (np.sinc(taps - phase) * window).astype(np.float32)
        for channel in sound:
            between = np.abs(np.convolve(channel, kernel, mode="same"))
            np.maximum(peak, between, out=peak)
    return np.asarray(peak, dtype=np.float32)


def glue(sound: Signal, threshold_db: float = -14.0, ratio: float = 1.7, window: float = 0.08) -> Signal:
    """Return ``sound`` through a slow bus compressor that reads its own loudness."""
    power = (sound**2).mean(axis=0)
    kernel = np.hanning(seconds(window)).astype(np.float32)
    kernel /= kernel.sum()
    length = fast_length(len(power) + len(kernel))
    level = np.fft.irfft(np.fft.rfft(power, length) * np.fft.rfft(kernel, length), length)
    level = np.maximum(level[len(kernel) // 2 :][: len(power)], 1e-9)
    over = np.maximum(0.0, 10 * np.log10(level) - threshold_db)
    return sound * (10 ** (-over * (1 - 1 / ratio) / 20)).astype(np.float32)


def soft_clip(sound: Signal, knee: float = 0.7) -> Signal:
    """Return ``sound`` unchanged below ``knee`` and bent smoothly towards 1 above it."""
    size = np.abs(sound)
    bent = knee + (1 - knee) * np.tanh((size - knee) / (1 - knee))
    return np.where(size > knee, np.sign(sound) * bent, sound).astype(np.float32)


def limited(sound: Signal, ceiling_db: float = CEILING_DB, ahead: float = 0.004) -> Signal:
    """Return ``sound`` with its true peaks held below ``ceiling_db``, by a gain that moves before they come."""
    ceiling = 10 ** (ceiling_db / 20)
    need = np.minimum(1.0, ceiling / np.maximum(true_peak(sound), 1e-6))
    reach = 1
    width = 2 * seconds(ahead)
    while reach < width:  # a sliding minimum by doubling
        step = min(reach, width - reach)
        need[:-step] = np.minimum(need[:-step], need[step:])
        reach += step
    kernel = np.hanning(width + 1)
    kernel /= kernel.sum()
    padded = np.pad(need, (width, 0), mode="edge")
    length = fast_length(len(padded) + len(kernel))
    smooth = np.fft.irfft(np.fft.rfft(padded, length) * np.fft.rfft(kernel, length), length)
    gain = smooth[width : width + len(need)]
    return sound * np.minimum(gain, 1.0).astype(np.float32)


def mastered(mix: Signal, loudness: float = -10.4) -> Signal:
    """Return ``mix`` at ``loudness`` LUFS (integrated), glued, clipped softly and limited."""
    mix = mix * np.float32(10 ** ((-16.0 - integrated_lufs(mix)) / 20))
    mix = glue(mix)
    drive = loudness - integrated_lufs(mix)
    out = mix
    for _ in range(3):  # what the limiter takes away is given back
        out = limited(soft_clip(mix * np.float32(10 ** (drive / 20))))
        miss = loudness - integrated_lufs(out)
        if abs(miss) < 0.15:
            break
        drive += miss
    return out
