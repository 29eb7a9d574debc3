"""Pictures of any size and orientation, scaled to cover a given size and cut to its middle."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]
"""``(H, W, 3)`` uint8, sRGB, top row first."""


def covering(given: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, int]:
    """Return the (width, height) to which ``given`` must be scaled so that it just covers ``wanted``.

    >>> covering((1920, 1080), (512, 512))
    (910, 512)
    """
    scale = max(wanted[0] / given[0], wanted[1] / given[1])
    return max(wanted[0], round(given[0] * scale)), max(wanted[1], round(given[1] * scale))


def frozen(picture: Rgb) -> Rgb:
    """Return ``picture`` in one block, read-only."""
    picture = np.ascontiguousarray(picture)
    picture.flags.writeable = False
    return picture


def covered(frame: Any, wanted: tuple[int, int]) -> Rgb:
    """Return PyAV's video ``frame`` upright, as large as ``wanted``, read-only."""
    from av.video.reformatter import Interpolation

    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    lying = (wanted[1], wanted[0]) if turns % 2 else wanted
    aspect = getattr(frame, "sample_aspect_ratio", None)
    shape = (max(1, round(frame.width * float(aspect))) if aspect else frame.width, frame.height)
    width, height = covering(shape, lying)
    scaled = frame.reformat(width=width, height=height, format="rgb24", interpolation=Interpolation.AREA)
    picture: Rgb = scaled.to_ndarray()
    left, top = (width - lying[0]) // 2, (height - lying[1]) // 2
    picture = picture[top : top + lying[1], left : left + lying[0]]
    return frozen(np.rot90(picture, turns) if turns else picture)
