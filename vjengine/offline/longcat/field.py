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
_WALL = 0.06
"""Distance from a mirror, in longer sides, within which nothing flows through it any more."""


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


def places(cells: tuple[int, int], size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return the middles of ``cells`` (across, down) as ``(h, w)`` x and y, in longer sides from the middle."""
    longer = max(size)
    x = ((np.arange(cells[0], dtype=np.float32) + 0.5) / cells[0] - 0.5) * (size[0] / longer)
    y = ((np.arange(cells[1], dtype=np.float32) + 0.5) / cells[1] - 0.5) * (size[1] / longer)
    across, down = np.meshgrid(x, y)
    return across.astype(np.float32), down.astype(np.float32)


class Folded:
    """Places as seen in mirrors that meet in the middle.

    Args:
        x, y: ``(h, w)`` places, as of :func:`places`.
        folds: 0 for no mirror, 1 for one upright, or the number of pairs of alike sectors.

    Attributes:
        x, y: ``(h, w)``, the places that are painted there.
    """

    def __init__(self, x: Floats, y: Floats, folds: int) -> None:
        self.x, self.y = x, y
        self._folds = folds
        if not folds:
            return
        angle, radius = np.arctan2(x, -y), np.hypot(x, y)
        sector = 2.0 * math.pi / folds
        within = angle - sector * np.round(angle / sector)
        self._side = np.sign(within).astype(np.float32)
        folded = np.abs(within)
        self.x, self.y = (radius * np.sin(folded)).astype(np.float32), (-radius * np.cos(folded)).astype(np.float32)
        self._out = np.sin(angle).astype(np.float32), -np.cos(angle).astype(np.float32)
        self._out_folded = np.sin(folded).astype(np.float32), -np.cos(folded).astype(np.float32)
        near = radius * np.sin(np.minimum(np.minimum(folded, sector / 2 - folded), math.pi / 2))
        self._free = np.clip(near / _WALL, 0.0, 1.0).astype(np.float32)

    def unfolded(self, right: Floats, down: Floats) -> tuple[Floats, Floats]:
        """Return the velocities at the true places, from those at the folded ones; none goes through a mirror."""
        if not self._folds:
            return right, down
        sin, up = self._out_folded
        outwards = right * sin + down * up
        around = (-right * up + down * sin) * self._side * self._free
        sin, up = self._out
        return outwards * sin - around * up, outwards * up + around * sin


class Currents:
    """A flow without sources: the curl of a sum of slow waves (R. Bridson et al., "Curl-noise for procedural fluid
    flow", 2007), here of plane waves, whose derivatives are exact and whose periods have no common multiple.

    Args:
        seed: which one.
        size: (width, height) of the pictures, px.
        scale: how many whirls there are about along the longer side.
        folds: see :class:`Folded`.
    """

    def __init__(self, seed: int, size: tuple[int, int], scale: float, folds: int = 0) -> None:
        random = np.random.Generator(np.random.Philox(key=seed ^ 0x5EED))
        longer = max(size)
        cells = max(4, math.ceil(_FLOW_CELLS * size[0] / longer)), max(4, math.ceil(_FLOW_CELLS * size[1] / longer))
        self.x, self.y = places(cells, size)
        """``(h, w)`` places in units of the longer side, 0 in the middle."""
        self._folded = Folded(self.x, self.y, folds)
        angle = random.uniform(0.0, 2.0 * math.pi, _WAVES)
        octave = np.exp2(random.uniform(0.0, 2.2, _WAVES))
        number = 2.0 * math.pi * 0.5 * scale * octave
        kx, ky = number * np.cos(angle), number * np.sin(angle)
        phase = random.uniform(0.0, 2.0 * math.pi, _WAVES)
        self._pace = random.uniform(0.05, 0.22, _WAVES) * np.where(random.random(_WAVES) < 0.5, -1.0, 1.0)
        # Equal speeds for all octaves would only be unrest: the large currents lead.
        speed = octave**-0.7 / math.sqrt(0.5 * float((octave**-1.4).sum()))
        self._waves = np.stack((speed * np.sin(angle), -speed * np.cos(angle)), axis=1).astype(np.float32)
        place = self._folded.x[..., None] * kx + self._folded.y[..., None] * ky + phase
        self._place = place.astype(np.float32)

    def at(self, time: float) -> tuple[Floats, Floats]:
        """Return the velocity ``(h, w)`` to the right and down at ``time`` (s), root mean square about 1 in all."""
        # Whole turns are taken off in double precision: after an hour single is too coarse.
        turned = np.remainder(self._pace * time, 2.0 * math.pi).astype(np.float32)
        flow = np.cos(self._place + turned) @ self._waves
        return self._folded.unfolded(flow[..., 0], flow[..., 1])

    def whirl(self, x: float, y: float, spin: float, wide: float) -> tuple[Floats, Floats]:
        """Return the velocity of one whirl about a place, ``wide`` across; the mirrors show it too."""
        far_x, far_y = self._folded.x - np.float32(x), self._folded.y - np.float32(y)
        turn = np.float32(spin) * np.exp((far_x**2 + far_y**2) * np.float32(-1.0 / wide**2))
        return self._folded.unfolded(-turn * far_y, turn * far_x)


def enlarged(field: Floats, size: tuple[int, int]) -> Floats:
    """Return a coarse field ``(h, w)`` at ``size`` (width, height): curved over a few cells, then straight between."""
    height, width = field.shape
    between = min(size[0], 4 * width), min(size[1], 4 * height)
    found: Floats = cv2.resize(field.astype(np.float32, copy=False), between, interpolation=cv2.INTER_CUBIC)
    return found if between == size else cv2.resize(found, size, interpolation=cv2.INTER_LINEAR)
