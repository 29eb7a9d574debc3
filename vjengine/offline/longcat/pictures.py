"""What a film begins with, where that is an image or a video: read, checked, and fitted to its size."""

from __future__ import annotations

import warnings
from collections import deque
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from vjengine.errors import UsageError, VJError
from vjengine.offline.clips import read_clip16, to16
from vjengine.offline.continuation import Pixels16

MAX_PIXELS = 100_000_000
"""Largest image that is decoded: a small file can claim to be huge."""


def read_image(path: Path, size: tuple[int, int]) -> Pixels16:
    """Return the image ``path`` as ``(1, H, W, 3)`` of ``size``, filled and cropped; 16 bits stay 16 bits.

    Raises:
        UsageError: if it is missing, broken, cut short, too large or no image.
    """
    if not path.is_file():
        raise UsageError(f"--image {path}: there is no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as head:
                if head.size[0] * head.size[1] > MAX_PIXELS:
                    raise UsageError(f"--image {path}: {head.size[0]}x{head.size[1]} px are too many; make it smaller")
                # OpenCV would make a grey rest of what is missing; this one refuses.
                head.load()
        data = np.fromfile(path, np.uint8)
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
            with Image.open(path) as whole:
                pixels = np.asarray(whole.convert("RGB"))[..., ::-1]
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError, cv2.error) as error:
        words = " ".join(str(error).split())[:100]
        raise UsageError(
            f"--image {path}: this is not a whole image ({words}); save it again as PNG or JPEG"
        ) from error
    rgb = np.ascontiguousarray(pixels[..., ::-1])
    return fitted(rgb if rgb.dtype == np.uint16 else to16(rgb), size)[None]


def read_end(path: Path, size: tuple[int, int], count: int) -> Pixels16:
    """Return the last ``count`` pictures of the video ``path`` as ``(n, H, W, 3)`` of ``size``, filled and cropped.

    Raises:
        UsageError: if it is missing, broken or no video.
    """
    last: deque[Pixels16] = deque(maxlen=max(1, count))
    try:
        for picture in read_clip16(path):
            last.append(picture)
    except VJError as error:
        # The end of a recording that broke off is as good as any other.
        if not last:
            raise UsageError(f"--video {path}: {error}") from error
    return np.stack([fitted(picture, size) for picture in last])


def fitted(picture: Pixels16, size: tuple[int, int]) -> Pixels16:
    """Return ``(H, W, 3)`` scaled and cropped in the middle to fill ``size`` (width, height)."""
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    scale = max(size[0] / width, size[1] / height)
    wide, high = max(size[0], round(width * scale)), max(size[1], round(height * scale))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    whole = cv2.resize(picture, (wide, high), interpolation=kind)
    left, top = (wide - size[0]) // 2, (high - size[1]) // 2
    return np.ascontiguousarray(whole[top : top + size[1], left : left + size[0]])
