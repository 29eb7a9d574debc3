"""The picture moves on as it moved before, and the beat pushes it: what the turbo loop dreams upon next."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.offline.continuation import Pixels16

Floats = npt.NDArray[np.float32]

_LONGER = 256
"""px of the longer side at which motion is looked for."""
_MOST = 0.03
"""Most motion, in widths a picture: what is found beyond it is a mistake."""
_SOFT = 1.0 / 16.0
"""Widths over which motion is averaged: what a dream changes at random shall not become motion."""


def motion_between(before: Pixels16, after: Pixels16) -> Floats:
    """Return the motion ``(h, w, 2)`` from one picture to the next, in widths and heights, at a small size.

    Dense inverse search (Kroeger et al., 2016), both ways, the mean of what they agree on.
    """
    small = [_small(picture) for picture in (before, after)]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    empty: npt.NDArray[np.float32] = np.zeros((*small[0].shape, 2), np.float32)
    forth = np.asarray(search.calc(small[0], small[1], empty.copy()), np.float32)
    back = np.asarray(search.calc(small[1], small[0], empty.copy()), np.float32)
    height, width = small[0].shape
    apart = np.square(forth + back).sum(axis=-1, keepdims=True)
    trust = np.exp(-apart / (0.5 + 0.1 * np.square(forth).sum(axis=-1, keepdims=True)))
    sigma = max(1.0, _SOFT * width)

    def soft(field: Floats) -> Floats:
        return np.asarray(cv2.GaussianBlur(field, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)

    sums = np.concatenate((0.5 * (forth - back) * trust, trust), axis=-1).astype(np.float32)
    mean = soft(sums)
    flow = mean[..., :2] / np.maximum(mean[..., 2:], 1e-3)
    flow = flow / np.array((width, height), np.float32)
    length = np.sqrt(np.square(flow).sum(axis=-1, keepdims=True))
    return np.asarray(flow * np.minimum(1.0, _MOST / np.maximum(length, 1e-9)), np.float32)


def advected(picture: Pixels16, flow: Floats | None, inertia: float, zoom: float) -> Pixels16:
    """Return ``picture`` moved on.

    Args:
        picture: ``(H, W, 3)``.
        flow: its last motion, of :func:`motion_between`; None for none.
        inertia: share of that motion that goes on.
        zoom: e-folds towards the viewer.
    """
    height, width = picture.shape[:2]
    columns, rows = _grid(width, height)
    shrink = math.exp(-zoom)
    x = (columns - 0.5 * (width - 1)) * np.float32(shrink) + np.float32(0.5 * (width - 1))
    y = (rows - 0.5 * (height - 1)) * np.float32(shrink) + np.float32(0.5 * (height - 1))
    x, y = np.broadcast_to(x, (height, width)), np.broadcast_to(y, (height, width))
    if flow is not None and inertia > 0.0:
        wide = np.asarray(cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        x = x - np.float32(inertia * width) * wide[..., 0]
        y = y - np.float32(inertia * height) * wide[..., 1]
    moved = cv2.remap(
        picture.astype(np.float32),
        np.ascontiguousarray(x, np.float32),
        np.ascontiguousarray(y, np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(np.clip(np.rint(moved), 0.0, 65535.0), np.uint16)


@lru_cache(maxsize=2)
def _grid(width: int, height: int) -> tuple[Floats, Floats]:
    return np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]


def _small(picture: Pixels16) -> npt.NDArray[np.uint8]:
    height, width = picture.shape[:2]
    scale = min(1.0, _LONGER / max(width, height))
    grey = cv2.cvtColor((picture >> 8).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    near = max(16, round(width * scale)), max(16, round(height * scale))
    return np.asarray(cv2.resize(grey, near, interpolation=cv2.INTER_AREA), np.uint8)
