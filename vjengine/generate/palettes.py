"""Palettes of the procedural generator, designed in OKLCH and baked to small lookup textures.

A palette has two axes: *hue* runs around a closed path of a few inks, so that ``gen.hue`` can turn for ever without a
seam; *light* runs from black through a saturated body to a hot, paler highlight. Shaders decide where the picture is
dark and where it burns; the palette decides what those words look like.

OKLab: B. Ottosson, "A perceptual color space for image processing", 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from vjengine.core.params import PALETTES

FloatArray = npt.NDArray[np.float64]

HUE_STEPS = 96
LIGHT_STEPS = 64


@dataclass(frozen=True, slots=True)
class Palette:
    """One palette.

    Attributes:
        inks: stops of the closed hue path: ``(OKLCH hue in degrees, largest chroma, share of light 0–1)``.
        shadow_hue: hue in degrees towards which the darkest tones lean.
        highlight_hue: hue in degrees towards which the hottest tones lean.
        lean: how far shadows and highlights lean, 0–1.
        heat: chroma left at full light, as a share; low values burn out to near white.
    """

    inks: tuple[tuple[float, float, float], ...]
    shadow_hue: float
    highlight_hue: float
    lean: float = 0.35
    heat: float = 0.25


DESIGNS: dict[str, Palette] = {
    "neon": Palette(
        ((350, 0.27, 1.0), (318, 0.28, 0.95), (284, 0.28, 0.9), (250, 0.20, 1.0), (205, 0.15, 1.0), (285, 0.27, 0.85)),
        shadow_hue=285,
        highlight_hue=330,
    ),
    "ember": Palette(
        ((20, 0.22, 0.85), (35, 0.22, 1.0), (55, 0.19, 1.0), (42, 0.21, 1.0), (25, 0.23, 0.9), (8, 0.19, 0.75)),
        shadow_hue=15,
        highlight_hue=85,
        lean=0.5,
    ),
    "aurora": Palette(
        ((158, 0.19, 1.0), (175, 0.15, 1.0), (200, 0.13, 0.95), (275, 0.20, 0.8), (305, 0.22, 0.85), (190, 0.13, 0.9)),
        shadow_hue=260,
        highlight_hue=165,
    ),
    "ice": Palette(
        ((228, 0.13, 1.0), (248, 0.16, 0.9), (262, 0.19, 0.75), (240, 0.14, 0.95), (212, 0.10, 1.0)),
        shadow_hue=265,
        highlight_hue=215,
        heat=0.12,
    ),
    "acid": Palette(
        ((128, 0.25, 1.0), (115, 0.22, 1.0), (140, 0.25, 0.9), (165, 0.17, 0.8), (350, 0.27, 0.9), (122, 0.23, 1.0)),
        shadow_hue=165,
        highlight_hue=112,
        lean=0.2,
        heat=0.45,
    ),
    "dusk": Palette(
        ((330, 0.18, 0.8), (5, 0.20, 0.9), (32, 0.19, 1.0), (58, 0.15, 1.0), (18, 0.20, 0.95), (290, 0.19, 0.75)),
        shadow_hue=285,
        highlight_hue=65,
        lean=0.45,
    ),
    "mono": Palette(
        ((255, 0.012, 1.0), (250, 0.018, 0.85), (70, 0.010, 1.0), (60, 0.014, 0.9)),
        shadow_hue=260,
        highlight_hue=85,
        heat=0.3,
    ),
    "gold": Palette(
        ((82, 0.15, 1.0), (70, 0.15, 0.95), (55, 0.14, 0.8), (90, 0.14, 1.0), (75, 0.13, 0.9), (250, 0.09, 0.7)),
        shadow_hue=45,
        highlight_hue=92,
        lean=0.3,
        heat=0.35,
    ),
}
if tuple(DESIGNS) != PALETTES:
    raise ValueError("palette designs and the parameter row 'gen.palette' disagree")


def linear_from_oklab(lab: FloatArray) -> FloatArray:
    """Return linear sRGB ``(..., 3)`` of OKLab ``(..., 3)``; may lie outside 0–1."""
    to_lms = np.array(
        [[1.0, 0.3963377774, 0.2158037573], [1.0, -0.1055613458, -0.0638541728], [1.0, -0.0894841775, -1.2914855480]]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    rgb: FloatArray = (lab @ to_lms.T) ** 3 @ to_rgb.T
    return rgb


def linear_from_oklch(light: FloatArray, chroma: FloatArray, hue: FloatArray) -> FloatArray:
    """Return linear sRGB in 0–1; ``hue`` in radians. Colours outside the gamut lose chroma, never light or hue."""
    low, high = np.zeros_like(chroma), np.ones_like(chroma)
    for _ in range(14):
        middle = (low + high) / 2
        lab = np.stack([light, chroma * middle * np.cos(hue), chroma * middle * np.sin(hue)], axis=-1)
        rgb = linear_from_oklab(lab)
        fits = ((rgb > -1e-4) & (rgb < 1 + 1e-4)).all(axis=-1)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    lab = np.stack([light, chroma * low * np.cos(hue), chroma * low * np.sin(hue)], axis=-1)
    return np.clip(linear_from_oklab(lab), 0.0, 1.0)


def _around(points: FloatArray, steps: int) -> FloatArray:
    """Return ``steps`` samples of a closed, smooth path through ``points`` ``(N, K)``."""
    position = np.arange(steps) / steps * len(points)
    index = position.astype(int)
    part = (position - index)[:, None]
    part = part * part * (3 - 2 * part)
    return np.asarray(points[index] * (1 - part) + points[(index + 1) % len(points)] * part)


@cache
def palette_table(name: str) -> npt.NDArray[np.float16]:
    """Return palette ``name`` as linear light, ``(LIGHT_STEPS, HUE_STEPS, 4)`` float16, read-only.

    Rows run from black to the hottest tone; columns go once around the inks.

    Raises:
        KeyError: if there is no such palette.
    """
    design = DESIGNS[name]
    inks = np.array(design.inks)
    # Hues travel as unit vectors scaled by chroma: a step across the circle passes a greyer tone, not every hue.
    angle = np.radians(inks[:, 0])
    path = _around(np.stack([np.cos(angle) * inks[:, 1], np.sin(angle) * inks[:, 1], inks[:, 2]], axis=1), HUE_STEPS)
    largest = np.hypot(path[:, 0], path[:, 1])
    hue = np.arctan2(path[:, 1], path[:, 0])

    tone = np.linspace(0.0, 1.0, LIGHT_STEPS)[:, None]
    share = path[None, :, 2]
    light = 0.985 * tone ** (0.92 + 0.35 * (1 - share)) * (share + (1 - share) * tone**3)
    # Chroma swells early, so that dark tones are coloured light and not grey, and gives way to heat at the top.
    swell = np.clip(tone / 0.42, 0.0, 1.0) ** 0.8
    burn = np.clip((tone - 0.76) / 0.24, 0.0, 1.0)
    chroma = largest[None, :] * swell * (1 - (1 - design.heat) * burn**1.4)
    hue = _lean(hue[None, :], np.radians(design.shadow_hue), design.lean * np.clip(1 - tone / 0.45, 0.0, 1.0))
    hue = _lean(hue, np.radians(design.highlight_hue), design.lean * burn)
    rgb = linear_from_oklch(light, chroma, np.broadcast_to(hue, light.shape))
    table = np.ones((LIGHT_STEPS, HUE_STEPS, 4), dtype=np.float16)
    table[..., :3] = rgb
    table.flags.writeable = False
    return table


def _lean(hue: FloatArray, towards: float, amount: FloatArray) -> FloatArray:
    """Turn ``hue`` (radians) the short way to ``towards`` by the share ``amount``."""
    gap = (towards - hue + np.pi) % (2 * np.pi) - np.pi
    return np.asarray(hue + gap * amount)
