"""Sparks, flakes, bubbles, stars: small lights that float over a picture, each on a way of its own for ever."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.offline.continuation import Pixels16
from vjengine.offline.longcat.hands import Hand
from vjengine.offline.longcat.inks import HUES, TONES

Floats = npt.NDArray[np.float32]

_PARTS = 4
"""Places between two pixels that a mote is drawn at: it glides, and does not jump."""


class Motes:
    """All motes of one prompt. Where each is, is a function of time alone.

    Args:
        size: (width, height) of the pictures, px.
        hand: how many, how large, which way.
        film: seed.
    """

    def __init__(self, size: tuple[int, int], hand: Hand, film: int) -> None:
        self._size, self._hand = size, hand
        random = np.random.Generator(np.random.Philox(key=film + 4711))
        count = hand.motes
        self._start = random.uniform(0.0, 1.0, (count, 2))
        self._near = random.uniform(0.35, 1.0, count) ** 2
        self._phase = random.uniform(0.0, 2.0 * math.pi, (count, 3))
        self._pace = random.uniform(0.3, 1.1, (count, 3))
        self._hue = (random.uniform(0.0, HUES, count)).astype(int)
        radius = np.clip(hand.mote * max(size) * (0.4 + 1.2 * self._near), 0.7, 24.0)
        self._radius = radius
        self._discs = [[self._disc(float(r), part) for part in range(_PARTS * _PARTS)] for r in radius]

    def draw(self, picture: Pixels16, inks: Floats, time: float, strength: float) -> None:
        """Add them to ``picture`` ``(H, W, 3)``, in the brightest of ``inks``."""
        if not self._hand.motes or strength <= 0.0:
            return
        width, height = self._size
        wind = self._hand.wind_x * 0.6
        x = self._start[:, 0] + self._near * wind * time + 0.03 * np.sin(self._pace[:, 0] * time + self._phase[:, 0])
        y = self._start[:, 1] - self._near * self._hand.rise * time * (width / height)
        y += 0.03 * np.sin(self._pace[:, 1] * time + self._phase[:, 1])
        x, y = (x % 1.0 * 1.1 - 0.05) * width, (y % 1.0 * 1.1 - 0.05) * height
        shine = strength * self._near * (0.55 + 0.45 * np.sin(2.0 * self._pace[:, 2] * time + self._phase[:, 2]))
        colours = inks[TONES - 4, (self._hue + int(0.02 * time * HUES)) % HUES]
        # None shines brighter than white, and the dimmest are not worth drawing.
        colours = colours * np.minimum(shine, 1.0)[:, None].astype(np.float32)
        for k in np.flatnonzero(shine > 0.03):
            left, top = math.floor(x[k]), math.floor(y[k])
            part = int((x[k] - left) * _PARTS) + _PARTS * int((y[k] - top) * _PARTS)
            disc = self._discs[k][part]
            half = disc.shape[0] // 2
            side = disc.shape[0]
            left, top = left - half, top - half
            rows, columns = slice(max(top, 0), min(top + side, height)), slice(max(left, 0), min(left + side, width))
            if rows.start >= rows.stop or columns.start >= columns.stop:
                continue
            whole = disc[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
            patch = (whole * colours[k]).astype(np.uint16)
            place = picture[rows, columns]
            place[...] = cv2.add(np.ascontiguousarray(place), patch)

    @staticmethod
    def _disc(radius: float, part: int) -> Floats:
        """Return a soft disc ``(n, n, 1)`` 0-65535, its middle ``part`` of the way to the next pixel."""
        half = math.ceil(2.2 * radius) + 1
        across = np.arange(-half, half + 1) - (part % _PARTS + 0.5) / _PARTS
        down = np.arange(-half, half + 1) - (part // _PARTS + 0.5) / _PARTS
        apart = np.hypot(across[None, :], down[:, None]) / radius
        soft = 0.75 * np.exp(-(apart**4)) + 0.25 * np.exp(-(apart**2) / 1.2)
        disc: Floats = (soft * 65535).astype(np.float32)[..., None]
        return disc
