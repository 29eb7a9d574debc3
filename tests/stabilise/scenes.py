"""Pictures to judge: scenes with large shapes, lines and strong colours, made of nothing but numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
WIDTH, HEIGHT = 192, 108


def scene(seed: int = 1, time: float = 0.0, tint: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Image:
    """Return ``(108, 192, 4)`` uint8 RGBA of a moving scene."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32) / HEIGHT
    picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for _ in range(7):
        angle, size, phase = rng.uniform(0, 6.28), rng.uniform(2, 40), rng.uniform(0, 6.28)
        wave = np.sin(size * (x * np.cos(angle) + y * np.sin(angle)) + phase + time * rng.uniform(-2, 2))
        picture += wave[..., None] * rng.uniform(-0.2, 0.2, 3).astype(np.float32)
    code = np.clip((0.45 + picture) * np.array(tint, np.float32), 0.0, 1.0)
    return np.dstack((code * 255, np.full((HEIGHT, WIDTH), 255))).astype(np.uint8)


def flat(*colour: int) -> Image:
    """Return one colour, ``(108, 192, 4)`` uint8."""
    return np.tile(np.array((*colour, 255), np.uint8), (HEIGHT, WIDTH, 1))
