"""Tileable noise, baked once: the procedural shaders look it up instead of hashing, several times cheaper on a CPU."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

NOISE_SIZE = 256
"""Texels along each side of the noise tile."""


def gradient_noise(size: int, cells: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return one octave of periodic gradient noise, ``(size, size)`` float32, about -1 to 1.

    K. Perlin, "Improving noise", SIGGRAPH 2002 (quintic fade), with random unit gradients.
    """
    angle = rng.uniform(0.0, 2.0 * np.pi, (cells, cells))
    position = np.arange(size) * cells / size
    cell = position.astype(int)
    part = position - cell
    fade = part**3 * (part * (part * 6 - 15) + 10)

    def corner(dy: int, dx: int) -> npt.NDArray[np.float64]:
        turn = angle[np.ix_((cell + dy) % cells, (cell + dx) % cells)]
        return np.asarray(np.cos(turn) * (part - dx)[None, :] + np.sin(turn) * (part - dy)[:, None])

    across, down = fade[None, :], fade[:, None]
    top = corner(0, 0) * (1 - across) + corner(0, 1) * across
    bottom = corner(1, 0) * (1 - across) + corner(1, 1) * across
    return np.asarray((top * (1 - down) + bottom * down) * 1.55, dtype=np.float32)


@cache
def noise_tile(octaves: int, cells: int) -> npt.NDArray[np.float16]:
    """Return four independent tiles of fractal noise as ``(NOISE_SIZE, NOISE_SIZE, 4)`` float16, about -1 to 1.

    ``cells`` is the number of lattice cells along a side of the coarsest octave. The content never changes: variations
    of a picture move over this one tile, so that bytes repeat.
    """
    # A number whose four coarse tiles happen to be centred and unlike each other.
    rng = np.random.default_rng(152)
    tile = np.zeros((NOISE_SIZE, NOISE_SIZE, 4), dtype=np.float32)
    for channel in range(4):
        for octave in range(octaves):
            tile[..., channel] += gradient_noise(NOISE_SIZE, cells << octave, rng) * 0.5**octave
    tile /= np.float32(2.0 - 0.5 ** (octaves - 1)) ** 0.5
    frozen = tile.astype(np.float16)
    frozen.flags.writeable = False
    return frozen
