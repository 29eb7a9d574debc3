"""The drum kit of the demo track: every sound made from sines and noise."""

from __future__ import annotations

import numpy as np

from vjengine.demo.dsp import RATE, Signal, fade, filtered, seconds, times

METAL = (1.0, 1.342, 1.2312, 1.6532, 1.9523, 2.1523)
"""Partials of a struck plate, relative to the first."""


def kick(weight: float = 1.0) -> Signal:
    """Return a dance kick: a sine that falls from a click to A1 (55 Hz) and rings for a third of a second."""
    clock = times(seconds(0.36))
    pitch = 54.0 + 150.0 * np.exp(-clock / 0.022) + 900.0 * np.exp(-clock / 0.0035)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    body = np.sin(phase) * np.exp(-clock / 0.15) * np.minimum(1.0, (0.36 - clock) / 0.1)
    burst = np.random.default_rng(11).standard_normal(len(clock)) * np.exp(-clock / 0.0022)
    knock = filtered(burst.astype(np.float32), low=1800.0, high=9000.0)
    driven = np.tanh(1.9 * body) / np.tanh(1.9)
    return fade((driven * weight + 0.3 * knock).astype(np.float32), 0.0004, 0.02)


def clap(rng: np.random.Generator) -> Signal:
    """Return a stereo clap: four quick bursts of noise and a tail."""
    clock = times(seconds(0.32))
    envelope = np.exp(-np.maximum(clock - 0.028, 0) / 0.055) * (clock >= 0.028) * 0.8
    for at in (0.0, 0.009, 0.019, 0.028):
        envelope += (clock >= at) * np.exp(-np.maximum(clock - at, 0) / 0.004)
    common = rng.standard_normal(len(clock))
    sides = 0.8 * common + 0.6 * rng.standard_normal((2, len(clock)))
    noise = filtered((sides * envelope).astype(np.float32), low=850.0, high=6500.0)
    return fade(noise * np.float32(0.32), 0.0005, 0.05)


def snare(rng: np.random.Generator, pitch: float = 1.0) -> Signal:
    """Return a stereo snare for rolls; ``pitch`` scales its tone."""
    clock = times(seconds(0.2))
    tone = np.sin(2 * np.pi * pitch * (190 * clock + 1.6 * (1 - np.exp(-clock / 0.012)))) * np.exp(-clock / 0.06)
    wires = rng.standard_normal((2, len(clock))) * np.exp(-clock / 0.07)
    rattle = filtered(wires.astype(np.float32), low=1500.0 * pitch, high=11000.0)
    return fade((0.5 * tone + 0.42 * rattle).astype(np.float32), 0.0005, 0.03)


def hat(rng: np.random.Generator, decay: float, tone: float = 410.0, low: float = 7000.0) -> Signal:
    """Return a stereo hi-hat or ride: inharmonic squares and noise above ``low`` Hz, ringing for ``decay`` s."""
    clock = times(seconds(min(decay * 5, 1.2)))
    metal = sum(np.sign(np.sin(2 * np.pi * tone * 8 * ratio * clock + index)) for index, ratio in enumerate(METAL))
    sides = np.stack([metal, metal]) / len(METAL) + 0.9 * rng.standard_normal((2, len(clock)))
    struck = sides * (np.exp(-clock / decay) + 0.8 * np.exp(-clock / 0.006))
    return fade(filtered(struck.astype(np.float32), low=low, high=15000.0) * np.float32(0.3), 0.0006, 0.03)


def shaker(rng: np.random.Generator) -> Signal:
    """Return a stereo shaker stroke, soft at the start."""
    clock = times(seconds(0.09))
    stroke = rng.standard_normal((2, len(clock))) * np.exp(-(((clock - 0.022) / 0.018) ** 2))
    return fade(filtered(stroke.astype(np.float32), low=5000.0, high=12000.0) * np.float32(0.3), 0.004, 0.02)


def tom(pitch: float) -> Signal:
    """Return a mono tom of ``pitch`` Hz for fills."""
    clock = times(seconds(0.35))
    sweep = pitch * (1 + 0.9 * np.exp(-clock / 0.03))
    body = np.sin(2 * np.pi * np.cumsum(sweep) / RATE) * np.exp(-clock / 0.11)
    return fade(np.tanh(1.4 * body).astype(np.float32) * np.float32(0.8), 0.001, 0.05)


def impact(rng: np.random.Generator) -> Signal:
    """Return the stereo boom and crash that open a drop."""
    clock = times(seconds(3.2))
    boom = np.sin(2 * np.pi * (38 * clock + 2.2 * (1 - np.exp(-clock / 0.09)))) * np.exp(-clock / 0.5)
    crash = rng.standard_normal((2, len(clock))) * (np.exp(-clock / 0.75) + 0.6 * np.exp(-clock / 0.05))
    bright = filtered(crash.astype(np.float32), low=2500.0, high=13000.0, order=1)
    return fade((0.55 * boom + 0.2 * bright).astype(np.float32), 0.001, 0.4)
