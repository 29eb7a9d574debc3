"""Where one chunk meets the next: how much it jumps there, and how the jump is spread over a few pictures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.offline.continuation import Pixels16

Floats = npt.NDArray[np.float32]

LOOK = (256, 144)
"""Largest size that differences are measured at: film grain is no jump."""
_STILL = 0.15
"""8-bit values from picture to picture below which a film stands still: no jump is told from the rounding there."""
_SMOOTH = 1.1
"""Seams up to this are none, and stay as they are: every blend costs sharpness."""
_SEEN = 1.25
"""Seams above this are still blended once the chunk is held to its scene: by that, it may start apart again."""


def small(picture: Pixels16) -> Floats:
    """Return a small copy, float32, 8-bit values."""
    height, width = picture.shape[:2]
    size = min(width, LOOK[0]), min(height, LOOK[1])
    means: Floats = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(257)
    return means


def changes(copies: Sequence[Floats]) -> npt.NDArray[np.float64]:
    """Return the mean difference of each small copy from the one before, ``(n - 1,)`` 8-bit values."""
    return np.array([float(np.abs(b - a).mean()) for a, b in itertools.pairwise(copies)])


def seam(before: Sequence[Floats], after: Sequence[Floats]) -> float:
    """Return the jump between two chunks: the change at the join over the median change around it.

    Args:
        before: small copies of the last pictures of one, at least one.
        after: small copies of the next one's.
    """
    inside = np.concatenate((changes(before), changes(after)))
    usual = float(np.median(inside)) if len(inside) else 0.0
    return float(changes([before[-1], after[0]])[0]) / max(usual, _STILL)


def blend(last: Pixels16, frames: Pixels16, count: int) -> Pixels16:
    """Return a chunk whose first pictures come out of the last one of the chunk before, along the motion between them.

    What the old picture would have become is looked for along the flow and mixed in, less and less; nothing is
    delayed or dropped, and each pixel is mixed with the same part of the scene, so that nothing is seen twice.

    Args:
        last: ``(H, W, 3)``, the last picture of the chunk before.
        frames: ``(n, H, W, 3)``, the chunk.
        count: pictures over which the old one goes; 0 for none.
    """
    count = min(count, len(frames) - 1)
    if count < 1:
        return frames
    usual = changes([small(frame) for frame in frames[: count + 3]])
    jump = changes([small(last), small(frames[0])])[0]
    if jump <= _SMOOTH * max(float(np.median(usual)), _STILL):
        return frames
    return _out_of(last, frames, count)


def joined(before: Pixels16, frames: Pixels16, count: int) -> Pixels16:
    """Return a chunk as it is to be shown, blended if it would be seen to jump: over twice as many pictures if need be.

    Args:
        before: ``(m, H, W, 3)``, the last pictures of the film so far, at least one: what is usual is measured on them.
        frames: ``(n, H, W, 3)``, the chunk, held to its scene.
        count: pictures over which the old one goes; 0 for none.
    """
    if count < 1 or len(frames) < 2:
        return frames
    old, copies = [small(one) for one in before], [small(one) for one in frames]
    best, found = frames, seam(old, copies)
    for pictures in (count, 2 * count):
        if found <= _SEEN:
            break
        changed = min(pictures, len(frames) - 1)
        tried = _out_of(before[-1], frames, changed)
        now = seam(old, [*(small(one) for one in tried[:changed]), *copies[changed:]])
        if now < found:
            best, found = tried, now
    return best


def _out_of(last: Pixels16, frames: Pixels16, count: int) -> Pixels16:
    # Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016.
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    blended = frames.copy()
    old = last.astype(np.float32)
    for k in range(count):
        share = np.float32((count - k) / (count + 1))
        new = frames[k].astype(np.float32)
        flow = search.calc(_grey(frames[k]), _grey(last), None)
        from_old = _moved(old, flow)
        blended[k] = np.rint(np.clip(new + share * (from_old - new), 0, 65535)).astype(np.uint16)
    return blended


def _moved(picture: Floats, flow: Floats) -> Floats:
    height, width = picture.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved: Floats = cv2.remap(
        picture, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return moved


def _grey(picture: Pixels16) -> npt.NDArray[np.uint8]:
    grey: npt.NDArray[np.uint8] = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) >> 8).astype(np.uint8)
    return grey
