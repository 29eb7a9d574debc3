"""New picture for a scene that wears out: its first picture comes in along fronts, and moves as the scene moves.

What is enlarged, blurred or sharpened again and again has no shapes left in the end, however right its figures are.
Noise gives the figures back, not the shapes. So the scene's first picture is let in: not all over, which would be two
pictures in one, but place by place behind the soft edge of a front of clouds, and carried along by the motion that is
seen. It is looked up in the first picture itself, never copied from a copy; each round shows it shifted, every other
one mirrored. The faster a scene wears, the faster the rounds; one that does not wear is left alone.

Pictures carried along by a flow and let in anew in turns: N. Max, B. Becker, "Flow visualization using moving
textures", 1995.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.offline.continuation import Pixels16

Floats = npt.NDArray[np.float32]

_CELL = 8
"""px a side of the cells in which the motion adds up: it is smooth."""
_FLOW_SIDE = 256
"""px of the longer side at which the motion is looked for."""
_SOFT = 0.22
"""Share of a round that the edge of the front is wide."""
_PATCHES = 4
"""Clouds across the picture that the front runs along."""
_APART = 0.06
"""Share of the picture that a round is shifted by at most."""


@dataclass(slots=True)
class Round:
    """How far the first picture has come in; kept from chunk to chunk.

    Attributes:
        number: of the round; the mirrored ones are odd.
        done: share of it that has passed, 0-1.
        aside: ``(h, w, 2)`` float32: for each cell, how far from its own place the px of the first picture lies that
            is there now, px; None at the start.
        old: the same of the round before, ahead of the front; None if what is there is not known.
        last: the picture shown last, small and grey; None if nothing was followed.
    """

    number: int = 1
    done: float = 0.0
    aside: Floats | None = None
    old: Floats | None = None
    last: npt.NDArray[np.uint8] | None = None

    def begin(self, picture: Pixels16) -> None:
        """Begin with the first picture ``(H, W, 3)`` itself: all of it is where it was."""
        cells = _cells(picture)
        self.number, self.done, self.aside, self.last = self.number | 1, 0.0, None, _grey(picture)
        self.old = np.zeros((*cells[::-1], 2), np.float32)

    def lose(self) -> None:
        """Nothing was followed for a while: what is there is not known."""
        self.old, self.aside, self.last = None, None, None
        self.number, self.done = self.number + (self.done > 0.0), 0.0


class Renewal:
    """Lets the first picture into one chunk.

    Args:
        anchor: ``(H, W, 3)``, the scene's first picture.
        round_: how far it has come; it is moved on.
        seed: of the fronts.
        rate: share of a round a picture.
        lock: share that what is there already is renewed by a picture.
    """

    def __init__(self, anchor: Pixels16, round_: Round, seed: int, rate: float, lock: float) -> None:
        self._round = round_
        self._rate, self._lock = np.float32(rate), np.float32(lock)
        self._height, self._width = anchor.shape[:2]
        wide, high = self._cells = _cells(anchor)
        if round_.done >= 1.0:
            round_.number, round_.done, round_.aside, round_.old = round_.number + 1, 0.0, None, round_.aside
        first: Floats = anchor.astype(np.float32)
        pair = (np.ascontiguousarray(first[:, ::-1]), first)
        self._new, self._old = pair if round_.number % 2 else pair[::-1]
        random = np.random.Generator(np.random.Philox(key=(seed & 0xFFFF_FFFF, round_.number)))
        self._front = _clouds(self._cells, random)
        if round_.aside is None:
            # Whole px, so that it is as sharp as it was.
            far = [round(float(random.uniform(-_APART, _APART)) * side) for side in (self._width, self._height)]
            round_.aside = np.tile(np.array(far, np.float32), (high, wide, 1))
        self._shares = np.zeros((high, wide, 2), np.float32)
        # Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016.
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def put(self, picture: Floats, raw: Pixels16) -> tuple[Floats, float]:
        """Return ``picture`` ``(H, W, 3)`` 0-65535 with what has come in so far, and the mean share of that.

        Args:
            picture: corrected already.
            raw: as it was made: the motion is looked for in these.
        """
        round_ = self._round
        assert round_.aside is not None
        self._follow(_grey(raw))
        before, round_.done = round_.done, min(round_.done + float(self._rate), 1.0)
        was, now = self._behind(before), self._behind(round_.done)
        new = (now - was) / np.maximum(np.float32(1.0) - was, np.float32(1e-3))
        shares = self._shares
        shares *= (1.0 - new)[..., None]
        shares[..., 0] += new
        known = np.float32(round_.old is not None)
        shares *= (1.0 - self._lock * np.maximum(now, known))[..., None]
        shares[..., 0] += self._lock * now
        shares[..., 1] += self._lock * (1.0 - now) * known
        found = picture
        # What is ahead of the front first: of the rest, the new one's share is what it is of all.
        rest = shares[..., 1] / np.maximum(np.float32(1.0) - shares[..., 0], np.float32(1e-6))
        for share, source, aside in ((rest, self._old, round_.old), (shares[..., 0], self._new, round_.aside)):
            if aside is not None and share.max() > 1e-3:
                # Rounder than linear, whose cells would be seen along the front.
                whole = cv2.resize(share, (self._width, self._height), interpolation=cv2.INTER_CUBIC)
                np.clip(whole, 0.0, 1.0, out=whole)
                found = cv2.blendLinear(self._moved(source, aside), found, whole, np.float32(1.0) - whole)
        return found, float(shares.sum(axis=-1).mean())

    def _moved(self, source: Floats, aside: Floats) -> Floats:
        where = cv2.resize(aside, (self._width, self._height), interpolation=cv2.INTER_LINEAR)
        where += _places(self._height, self._width)
        # Linear would be quicker, and softer: what comes in is there to be sharp.
        moved: Floats = cv2.remap(source, where, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        return moved

    def _follow(self, small: npt.NDArray[np.uint8]) -> None:
        """Move on what is known, as the picture has moved."""
        round_ = self._round
        if round_.last is not None:
            back, x, y = self._way(round_.last, small)
            for name in ("aside", "old"):
                aside = getattr(round_, name)
                if aside is not None:
                    aside = cv2.remap(aside, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
                    setattr(round_, name, aside + back)
            self._shares = cv2.remap(self._shares, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        round_.last = small

    def _behind(self, done: float) -> Floats:
        """Return the share of each cell that a front has brought in, when ``done`` of the round has passed."""
        x = np.clip((np.float32(done * (1.0 + _SOFT)) - self._front) / np.float32(_SOFT), 0.0, 1.0)
        behind: Floats = x * x * (np.float32(3.0) - np.float32(2.0) * x)
        return behind

    def seen(self, shown: Pixels16) -> None:
        """Take note of the last picture ``(H, W, 3)`` as it was shown: the next chunk moves on from there."""
        self._round.last = _grey(shown)

    def _way(self, last: npt.NDArray[np.uint8], small: npt.NDArray[np.uint8]) -> tuple[Floats, Floats, Floats]:
        """Return how far back each cell came from since the picture before, px, and from which cell."""
        flow = self._search.calc(small, last, None)
        wide, high = self._cells
        back = cv2.resize(flow, (wide, high), interpolation=cv2.INTER_AREA)
        back = cv2.GaussianBlur(back, (0, 0), 1.5)
        scale = np.array((self._width / small.shape[1], self._height / small.shape[0]), np.float32)
        back *= scale
        x, y = np.meshgrid(np.arange(wide, dtype=np.float32), np.arange(high, dtype=np.float32))
        x += back[..., 0] * np.float32(wide / self._width)
        y += back[..., 1] * np.float32(high / self._height)
        return back, x, y


@lru_cache(maxsize=2)
def _places(height: int, width: int) -> Floats:
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    places = np.stack(np.meshgrid(x, y), axis=-1)
    places.setflags(write=False)
    return places


def _clouds(cells: tuple[int, int], random: np.random.Generator) -> Floats:
    """Return ``(h, w)`` clouds in which every value 0-1 is as frequent as any other."""
    wide, high = cells
    rows = max(2, round(_PATCHES * high / wide)) + 2
    few = random.standard_normal((rows, _PATCHES + 2)).astype(np.float32)
    clouds = cv2.resize(few, (wide, high), interpolation=cv2.INTER_CUBIC)
    finer = random.standard_normal((3 * rows, 3 * (_PATCHES + 2))).astype(np.float32)
    clouds += np.float32(0.25) * cv2.resize(finer, (wide, high), interpolation=cv2.INTER_CUBIC)
    ranks = np.empty(clouds.size, np.float32)
    ranks[np.argsort(clouds, axis=None, kind="stable")] = np.arange(clouds.size) / np.float32(clouds.size)
    return ranks.reshape(clouds.shape)


def _cells(picture: Pixels16) -> tuple[int, int]:
    height, width = picture.shape[:2]
    return -(-width // _CELL), -(-height // _CELL)


def _grey(picture: Pixels16) -> npt.NDArray[np.uint8]:
    height, width = picture.shape[:2]
    share = min(1.0, _FLOW_SIDE / max(width, height))
    size = max(16, round(width * share)), max(16, round(height * share))
    grey = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    shown: npt.NDArray[np.uint8] = (grey >> 8).astype(np.uint8)
    return shown
