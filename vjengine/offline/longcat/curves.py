"""The shape of a palette brought back: one smooth rising curve for each of L*, a* and b*.

Colours whose mean and covariance are right may still be other colours: two inks that became three, darks that grew
where there was ground. Curves that take each channel's quantiles to those of the scene's first picture put that right;
they are held smooth and rising, so that no two colours change places and no gradient breaks. Like all else that is
taken back of a chunk they follow its course, and begin with next to nothing: nothing jumps where a chunk begins.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.offline.continuation import Pixels16
from vjengine.offline.longcat.steady import COLOUR_BACK, course, sampled

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_LEFT = (1.0, 4.0)
"""Palette distances up to which a shape is left alone, and from which all of it is taken back."""
_SHARES = np.linspace(0.02, 0.98, 25)
_SMALL = (128, 72)
_MOST = 14.0
"""CIELAB units that a colour is moved by along an axis, at most."""
_RISES = (0.5, 2.0)
"""How much steeper or flatter a curve may make a gradient."""
_NONE = 0.05
"""CIELAB units that nobody sees."""
_NARROW = 0.2
"""CIELAB units that two quantiles lie apart at least: what is all one colour has no slope."""
_INDEX = ((2.55, 0.0), (1.0, 128.0), (1.0, 128.0))
"""Scale and offset that take L*, a* and b* to 0-255."""
_TO_INDEX = np.column_stack((np.diag([scale for scale, _ in _INDEX]), [offset for _, offset in _INDEX]))


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """What is added to L*, a* and b*.

    Attributes:
        table: ``(256, 1, 3)`` float32, CIELAB units, for 256 values of each.
    """

    table: Floats


def quantiles(picture: Pixels16) -> Doubles:
    """Return ``(25, 3)`` quantiles of L*, a* and b* of ``(H, W, 3)``, on a small copy."""
    size = min(_SMALL[0], picture.shape[1]), min(_SMALL[1], picture.shape[0])
    lab = _lab(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    found: Doubles = np.quantile(lab.reshape(-1, 3).astype(np.float64), _SHARES, axis=0)
    return found


def bends(frames: Pixels16, anchor: Pixels16) -> list[Curves]:
    """Return the curves of each picture of a chunk ``(n, H, W, 3)``, whose mean and covariance are right already.

    Args:
        frames: the chunk.
        anchor: ``(H, W, 3)``, the scene's first picture.
    """
    like, count = quantiles(anchor), len(frames)
    seen = sampled(count)
    ways = course(np.stack([quantiles(frames[k]).ravel() for k in seen]), seen, count)
    found = []
    for k, way in enumerate(ways):
        now = way.reshape(like.shape)
        low, high = _LEFT
        left = (float(np.linalg.norm(np.abs(now - like).mean(axis=0))) - low) / (high - low)
        back = 1.0 - (1.0 - COLOUR_BACK) ** (k + 1)
        found.append(between(now, like, back * min(max(left, 0.0), 1.0)))
    return found


def between(now: Doubles, wanted: Doubles, share: float) -> Curves:
    """Return the curves that take quantiles ``(25, 3)`` a ``share`` 0-1 of the way to others.

    In one dimension that is the optimal transport (Villani 2003, sec. 2.2), but for what is held smooth.
    """
    table = np.empty((256, 1, 3), np.float32)
    for channel, (scale, offset) in enumerate(_INDEX):
        x = now[:, channel] + _NARROW * np.arange(len(now))
        y = wanted[:, channel] + _NARROW * np.arange(len(now))
        steps = np.diff(x)
        held = np.concatenate(([0.0], np.cumsum(np.clip(np.diff(y), _RISES[0] * steps, _RISES[1] * steps))))
        apart = held + float(np.mean(y - held)) - x
        values = (np.arange(256) - offset) / scale
        table[:, 0, channel] = share * np.clip(np.interp(values, now[:, channel], apart), -_MOST, _MOST)
    return Curves(table)


def bent(frame: Pixels16, curves: Curves) -> Pixels16:
    """Return ``(H, W, 3)`` with the curves applied."""
    if float(np.abs(curves.table).max()) < _NONE:
        return frame
    height, width = frame.shape[:2]
    # At half the size: what is added is as smooth as the colours are, and takes a quarter of the time.
    half = cv2.resize(frame, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
    was = half.astype(np.float32)
    was *= np.float32(1 / 65535)
    lab = cv2.cvtColor(was, cv2.COLOR_RGB2Lab)
    index = cv2.convertScaleAbs(cv2.transform(lab, _TO_INDEX))
    lab = cv2.add(cv2.LUT(index, curves.table), lab)
    added = cv2.subtract(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB), was)
    added = cv2.resize(added, (width, height), interpolation=cv2.INTER_LINEAR)
    found: Pixels16 = cv2.addWeighted(frame.astype(np.float32), 1.0, added, 65535.0, 0.0, dtype=cv2.CV_16U)
    return found


def _lab(picture: Pixels16) -> Floats:
    values = picture.astype(np.float32)
    values *= np.float32(1 / 65535)
    lab: Floats = cv2.cvtColor(values, cv2.COLOR_RGB2Lab)
    return lab
