"""The pitched voices of the demo track: saws, plucks, bass, pads and risers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vjengine.demo.dsp import RATE, Signal, fade, filtered, seconds, sweep, times


def hertz(note: float) -> float:
    """Return the frequency of MIDI ``note``; A4 = 69 = 440 Hz."""
    return float(440.0 * 2 ** ((note - 69) / 12))


def saw(frequency: float | npt.NDArray[np.float64], count: int, phase: float = 0.0) -> npt.NDArray[np.float64]:
    """Return a saw wave whose steps are rounded by a two-sample polynomial, which keeps aliasing down.

    After Välimäki and Huovilainen, "Antialiasing oscillators in subtractive synthesis", IEEE SPM 24(2), 2007.
    """
    step = np.broadcast_to(np.asarray(frequency, dtype=np.float64) / RATE, (count,))
    position = (phase + np.cumsum(step) - step[0]) % 1.0
    wave: npt.NDArray[np.float64] = 2.0 * position - 1.0
    rising = position / step
    falling = (position - 1.0) / step
    wave -= np.where(rising < 1.0, 2 * rising - rising**2 - 1.0, 0.0)
    wave -= np.where(falling > -1.0, falling**2 + 2 * falling + 1.0, 0.0)
    return wave


def supersaw(note: float, count: int, rng: np.random.Generator, voices: int = 7, detune: float = 0.006) -> Signal:
    """Return a stereo stack of ``voices`` saws, spread by ``detune`` (relative) and over the stereo field."""
    out = np.zeros((2, count))
    for index, place in enumerate(np.linspace(-1.0, 1.0, voices)):
        wave = saw(hertz(note) * (1 + detune * place * abs(place) ** 0.3), count, float(rng.random()))
        level = 1.0 if index == voices // 2 else 0.62
        angle = (0.75 * place * (-1) ** index + 1) * np.pi / 4
        out[0] += level * np.cos(angle) * wave
        out[1] += level * np.sin(angle) * wave
    return np.asarray(out / np.sqrt(voices), dtype=np.float32)


def chord(notes: Sequence[float], count: int, rng: np.random.Generator, voices: int = 7) -> Signal:
    """Return a stereo supersaw chord without its mud below 160 Hz."""
    stack = np.zeros((2, count), dtype=np.float32)
    for note in notes:
        stack += supersaw(note, count, rng, voices)
    return filtered(stack / np.float32(np.sqrt(len(notes))), low=160.0)


def swept_saw(
    frequency: float, cutoff: npt.NDArray[np.float64], resonance: float = 0.0, top: float = 12000.0
) -> npt.NDArray[np.float64]:
    """Return a saw through a moving 24 dB low-pass, made partial by partial: ``cutoff`` is in Hz a sample."""
    count = len(cutoff)
    angle = 2 * np.pi * frequency * times(count)
    out = np.zeros(count)
    for partial in range(1, max(2, int(min(top, 5.0 * cutoff.max()) / frequency)) + 1):
        # A partial five times above the cutoff is 56 dB down: it is over.
        heard = np.flatnonzero(cutoff * 5.0 > partial * frequency) if partial > 1 else np.arange(count)
        end = int(heard[-1]) + 1 if len(heard) else 0
        ratio = partial * frequency / cutoff[:end]
        gain = 1 / (1 + ratio**4)
        if resonance:
            gain = gain * (1 + resonance * np.exp(-((np.log2(ratio) / 0.35) ** 2)))
        out[:end] += gain * np.sin(partial * angle[:end]) / partial
    return out


@lru_cache(maxsize=256)
def bass(note: int, length: int, accent: bool) -> Signal:
    """Return a mono bass note of ``length`` samples: a plucked saw over a sine at its root."""
    clock = times(length)
    cutoff = 260.0 + (1900.0 if accent else 1100.0) * np.exp(-clock / 0.07)
    body = swept_saw(hertz(note), cutoff, resonance=0.9, top=5000.0)
    sub = np.sin(2 * np.pi * hertz(note) * clock)
    shape = np.minimum(1.0, clock / 0.004) * np.exp(-clock / 0.5)
    return fade((np.tanh(1.5 * (0.75 * body + 0.6 * sub)) * shape).astype(np.float32), 0.002, 0.012)


@lru_cache(maxsize=512)
def pluck(note: int, open_to: int, decay: float = 0.16) -> Signal:
    """Return a stereo pluck: two saws a hair apart, their filter falling from ``open_to`` Hz."""
    count = seconds(min(decay * 6, 1.4))
    clock = times(count)
    cutoff = 300.0 + open_to * np.exp(-clock / (decay * 0.6))
    sides = [swept_saw(hertz(note) * (1 + drift), cutoff, resonance=0.5) for drift in (-0.0017, 0.0017)]
    shape = np.minimum(1.0, clock / 0.003) * np.exp(-clock / decay)
    return fade((np.stack(sides) * shape).astype(np.float32), 0.001, 0.03)


def lead(note: int, length: int, rng: np.random.Generator) -> Signal:
    """Return a stereo lead note: a narrow supersaw with a late vibrato and an octave below."""
    clock = times(length)
    bend = 1 + 0.004 * np.sin(2 * np.pi * 5.3 * clock) * np.clip((clock - 0.18) / 0.2, 0, 1)
    out = np.zeros((2, length))
    for detune, pan in ((-0.0045, -0.6), (-0.002, 0.5), (0.0, 0.0), (0.0021, -0.4), (0.0047, 0.7)):
        wave = saw(hertz(note) * (1 + detune) * bend, length, float(rng.random()))
        wave += 0.35 * saw(hertz(note - 12) * (1 - detune) * bend, length, float(rng.random()))
        out += np.array([[1 - pan], [1 + pan]]) * wave
    voice = filtered((out * 0.16).astype(np.float32), low=220.0, high=5200.0)
    return fade(voice, 0.008, 0.05)


def choir(notes: Sequence[int], count: int, rng: np.random.Generator) -> Signal:
    """Return a stereo pad that sings "ah": detuned partials under the formants of an open vowel."""
    clock = times(count)
    out = np.zeros((2, count))
    for note in notes:
        for singer in range(3):
            base = hertz(note) * (1 + 0.003 * float(rng.standard_normal()))
            wander = 0.5 * np.sin(2 * np.pi * float(rng.uniform(0.15, 0.6)) * clock + float(rng.uniform(0, 6)))
            voice = np.zeros(count)
            for partial in range(1, int(3600 / base) + 1):
                at = partial * base
                formants = ((700, 130, 1.0), (1150, 160, 0.6), (2600, 350, 0.25))
                gain = 0.12 + sum(level * np.exp(-(((at - f) / width) ** 2)) for f, width, level in formants)
                start = float(rng.uniform(0, 2 * np.pi))
                voice += gain / partial**0.6 * np.sin(2 * np.pi * at * clock + partial * wander + start)
            angle = ((singer - 1) * 0.8 + 1) * np.pi / 4
            out[0] += np.cos(angle) * voice
            out[1] += np.sin(angle) * voice
    return np.asarray(0.12 * out / np.sqrt(len(notes)), dtype=np.float32)


def riser(count: int, rng: np.random.Generator) -> Signal:
    """Return a stereo riser: noise whose band climbs, under a saw that climbs two octaves."""
    climb = np.linspace(0.0, 1.0, count)
    noise = rng.standard_normal((2, count)).astype(np.float32)
    band = sweep(noise, np.geomspace(500.0, 14000.0, 400), resonance=1.5)
    band = sweep(band, np.geomspace(150.0, 4000.0, 400), high=True)
    glide = hertz(45) * 4.0 ** (climb**1.5)
    sides = np.stack([saw(glide * 0.997, count, 0.1), saw(glide * 1.003, count, 0.6)])
    tone = sweep(sides.astype(np.float32), np.geomspace(300.0, 6000.0, 400))
    return fade(((0.5 * band + 0.16 * tone) * climb**1.7).astype(np.float32), 0.05, 0.012)
