"""Noise that never comes round again, and the flow along which the built-in continuation moves its pictures.

All of it is seeded, and a function of time alone: a film that goes on from its middle finds the same currents.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

TILE = 768
"""px of a side of a noise tile; it repeats without a seam, and is kept twice over so that no sample has to wrap."""
_FLOW_CELLS = 40
"""Cells of the flow along the longer side: currents are smooth, and enlarged they stay so."""
_WAVES = 22


@lru_cache(maxsize=4)
def noise_tile(seed: int, longest: float, shortest: float, slope: float) -> Floats:
    """Return ``(2·TILE, 2·TILE)`` float32 noise of mean 0 and variance 1 whose amplitudes fall with frequency.

    Args:
        seed: which one.
        longest, shortest: px of the waves it is made of.
        slope: power of the frequency that amplitudes fall with: 1 is rough, 2 smooth.
    """
    random = np.random.Generator(np.random.Philox(key=seed))
    down, across = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None, :]
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1.0
    kept = (frequency >= 1.0 / longest) & (frequency <= 1.0 / shortest)
    strength = np.where(kept, frequency**-slope, 0.0)
    white = random.standard_normal(strength.shape) + 1j * random.standard_normal(strength.shape)
    tile = np.fft.irfft2(white * strength, s=(TILE, TILE))
    tile = (tile - tile.mean()) / tile.std()
    found = np.tile(tile.astype(np.float32), (2, 2))
    found.flags.writeable = False
    return found


class Currents:
    """A flow without sources: the curl of a sum of slow waves (R. Bridson et al., "Curl-noise for procedural fluid
    flow", 2007), here of plane waves, whose derivatives are exact and whose periods have no common multiple.

    Args:
        seed: which one.
        size: (width, height) of the pictures, px.
        scale: how many whirls there are about along the longer side.
    """

    def __init__(self, seed: int, size: tuple[int, int], scale: float) -> None:
        random = np.random.Generator(np.random.Philox(key=seed ^ 0x5EED))
        longer = max(size)
        cells = [max(4, math.ceil(_FLOW_CELLS * side / longer)) for side in size]
        x = ((np.arange(cells[0]) + 0.5) / cells[0] - 0.5) * size[0] / longer
        y = ((np.arange(cells[1]) + 0.5) / cells[1] - 0.5) * size[1] / longer
        self.x, self.y = np.meshgrid(x, y)
        """``(h, w)`` places in units of the longer side, 0 in the middle."""
        angle = random.uniform(0.0, 2.0 * math.pi, _WAVES)
        octave = np.exp2(random.uniform(0.0, 2.2, _WAVES))
        number = 2.0 * math.pi * 0.5 * scale * octave
        self._kx, self._ky = number * np.cos(angle), number * np.sin(angle)
        self._phase = random.uniform(0.0, 2.0 * math.pi, _WAVES)
        self._pace = random.uniform(0.05, 0.22, _WAVES) * np.where(random.random(_WAVES) < 0.5, -1.0, 1.0)
        # Equal speeds for all octaves would only be unrest: the large currents lead.
        self._speed = octave**-0.7 / math.sqrt(0.5 * float((octave**-1.4).sum()))
        self._place = self.x[..., None] * self._kx + self.y[..., None] * self._ky + self._phase

    def at(self, time: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the velocity ``(h, w)`` to the right and down at ``time`` (s), root mean square 1 in all."""
        wave = np.cos(self._place + self._pace * time)
        length = np.hypot(self._kx, self._ky)
        return wave @ (self._speed * self._ky / length), -(wave @ (self._speed * self._kx / length))


def enlarged(field: npt.NDArray[np.float64], size: tuple[int, int]) -> Floats:
    """Return a coarse field ``(h, w)`` at ``size`` (width, height), smoothly."""
    found: Floats = cv2.resize(field.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    return found
