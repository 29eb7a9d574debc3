"""Palettes and noise: colour that stays dark where it should and rich where it may."""

from __future__ import annotations

import numpy as np
import pytest

from vjengine.core.params import PALETTES
from vjengine.generate.noise import NOISE_SIZE, gradient_noise, noise_tile
from vjengine.generate.palettes import linear_from_oklab, linear_from_oklch, palette_table

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("name", PALETTES)
def test_a_palette_runs_from_black_to_hot(name: str) -> None:
    table = palette_table(name)[..., :3].astype(float)
    luminance = table @ LUMINANCE
    assert np.isfinite(table).all()
    assert (table >= 0).all()
    assert (table <= 1.001).all()
    assert luminance[0].max() < 0.001
    assert luminance[-1].min() > 0.6
    assert (np.diff(luminance, axis=0) > -0.002).all(), "light must not fall as tone rises"


@pytest.mark.parametrize("name", PALETTES)
def test_the_inks_close_their_circle_without_a_seam(name: str) -> None:
    table = palette_table(name)[..., :3].astype(float)
    steps = np.abs(np.diff(table, axis=1, append=table[:, :1])).max(axis=(0, 2))
    assert steps[-1] <= steps[:-1].max() + 0.01
    assert steps.max() < 0.2


@pytest.mark.parametrize("name", [name for name in PALETTES if name != "mono"])
def test_the_body_of_a_palette_is_saturated(name: str) -> None:
    body = palette_table(name)[30:40, :, :3].astype(float) ** (1 / 2.2)
    saturation = (body.max(axis=2) - body.min(axis=2)) / body.max(axis=2)
    assert np.median(saturation) > 0.35


def test_oklab_grey_is_grey() -> None:
    assert linear_from_oklab(np.array([1.0, 0.0, 0.0])) == pytest.approx([1.0, 1.0, 1.0], abs=1e-3)
    assert linear_from_oklab(np.array([0.5, 0.0, 0.0])) == pytest.approx([0.125] * 3, abs=1e-3)


def test_colours_outside_the_gamut_keep_their_hue() -> None:
    light, hue = np.full(24, 0.6), np.linspace(0, 6, 24)
    wild, tame = (linear_from_oklch(light, np.full(24, chroma), hue) for chroma in (0.9, 0.02))
    middle_wild, middle_tame = wild.mean(axis=1, keepdims=True), tame.mean(axis=1, keepdims=True)
    a, b = wild - middle_wild, tame - middle_tame
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert (cosine > 0.8).all()


def test_noise_tiles_without_a_seam() -> None:
    octave = gradient_noise(NOISE_SIZE, 16, np.random.default_rng(1)).astype(float)
    inner = np.abs(np.diff(octave, axis=0)).max(), np.abs(np.diff(octave, axis=1)).max()
    assert np.abs(octave[0] - octave[-1]).max() <= inner[0] * 1.05
    assert np.abs(octave[:, 0] - octave[:, -1]).max() <= inner[1] * 1.05


@pytest.mark.parametrize(("octaves", "cells"), [(1, 16), (5, 4)])
def test_noise_is_centred_and_its_channels_are_independent(octaves: int, cells: int) -> None:
    tile = noise_tile(octaves, cells).astype(float).reshape(-1, 4)
    assert np.abs(tile.mean(axis=0)).max() < 0.12
    assert (tile.std(axis=0) > 0.2).all()
    assert np.abs(tile).max() < 2.0
    assert np.abs(np.corrcoef(tile.T) - np.eye(4)).max() < 0.25
