"""Start pictures for loops: large shapes, lines, gradients and strong palettes, drawn from a seed."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.float32]
"""``(H, W, 3)`` float32, sRGB code values 0-1."""
Size = tuple[int, int]

PALETTES: Mapping[str, tuple[str, ...]] = {
    "carnival": ("1b0b3b", "ff2e63", "08d9d6", "ffd166", "7b2cbf"),
    "ocean": ("03133d", "0a3d91", "1565d8", "4aa3ff", "a8d8ff"),
    "night": ("04040a", "10142a", "2b1030", "7a1f3d", "d98a3d"),
    "paper": ("f2e9dc", "e07a5f", "3d405b", "81b29a", "f2cc8f"),
    "forest": ("0b1f14", "1f6f43", "8fbf3f", "e2d96b", "3a2a1a"),
    "mono": ("101010", "4a4a4a", "8c8c8c", "c8c8c8", "f0f0f0"),
}
"""Scenes by name: the first colour is most of the ground. One is all blue, one dark, one without colour."""
SCENES = tuple(PALETTES)


def colours(name: str) -> Picture:
    """Return the palette of scene ``name``, ``(5, 3)``."""
    return np.array([[int(code[i : i + 2], 16) / 255.0 for i in (0, 2, 4)] for code in PALETTES[name]], np.float32)


def scene(name: str, size: Size, seed: int = 1) -> Picture:
    """Draw scene ``name`` at ``size`` (width, height); another ``seed``, another picture in the same colours."""
    return draw(colours(name), size, np.random.default_rng((seed, SCENES.index(name))))


def draw(palette: Picture, size: Size, random: np.random.Generator) -> Picture:
    """Draw a ground of waves, then discs, rings, bars and lines, and the grain that any camera or model has."""
    width, height = size
    picture = _ground(palette, size, random)
    unit = height / 144.0
    for _ in range(26):
        colour = tuple(float(value) for value in palette[random.integers(len(palette))])
        at = (int(random.integers(width)), int(random.integers(height)))
        radius = max(1, int(unit * random.uniform(2.0, 20.0)))
        thick = max(1, round(unit * random.uniform(0.6, 2.4)))
        match random.integers(4):
            case 0:
                cv2.circle(picture, at, radius, colour, -1, cv2.LINE_AA)
            case 1:
                cv2.circle(picture, at, radius, colour, thick, cv2.LINE_AA)
            case 2:
                box = cv2.boxPoints((at, (radius * 2.2, radius * 0.7), float(random.uniform(0, 180))))
                cv2.fillPoly(picture, [np.rint(box).astype(np.int32)], colour, cv2.LINE_AA)
            case _:
                end = (int(random.integers(width)), int(random.integers(height)))
                cv2.line(picture, at, end, colour, thick, cv2.LINE_AA)
    picture += random.normal(0.0, 0.012, (height, width, 3)).astype(np.float32)
    return np.clip(picture, 0.0, 1.0)


def _ground(palette: Picture, size: Size, random: np.random.Generator) -> Picture:
    width, height = size
    y, x = (axis.astype(np.float32) / height for axis in np.mgrid[0:height, 0:width])
    weights = []
    for number in range(len(palette)):
        angle, phase = random.uniform(0.0, 2.0 * np.pi, 2)
        wave, bend = random.uniform(1.5, 14.0), random.uniform(0.3, 2.0)
        along = x * np.cos(angle) + y * np.sin(angle)
        weights.append(np.sin(wave * along + phase + bend * np.sin(3.0 * x + number) * np.cos(2.0 * y)))
    share = np.exp(2.2 * np.stack(weights, axis=-1))
    share[..., 0] *= 2.0
    share /= share.sum(axis=-1, keepdims=True)
    ground: Picture = (share @ palette).astype(np.float32)
    return np.ascontiguousarray(ground)
