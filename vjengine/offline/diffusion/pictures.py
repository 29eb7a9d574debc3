"""Pictures between the film and a model: 16-bit code values to tensors and back, and sizes that models can draw.

Models draw in multiples of 64 px. A film of another size is mirrored outwards to the next one and cropped afterwards:
nothing is resampled, so nothing gets softer from chunk to chunk.
"""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.plan import MULTIPLE
from vjengine.offline.continuation import Pixels16

FULL = 65535.0
Floats = npt.NDArray[np.float32]


def drawn_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the (width, height) that a model draws for pictures of ``size``.

    >>> drawn_size((1280, 720))
    (1280, 768)
    """
    width, height = (max(MULTIPLE, -(-side // MULTIPLE) * MULTIPLE) for side in size)
    return width, height


def margins(size: tuple[int, int]) -> tuple[int, int]:
    """Return (left, top), px: where the film's picture lies in the model's."""
    drawn = drawn_size(size)
    return (drawn[0] - size[0]) // 2, (drawn[1] - size[1]) // 2


def widened(picture: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Return ``(H, W, 3)`` mirrored outwards to the size that a model draws."""
    height, width = picture.shape[:2]
    drawn, (left, top) = drawn_size((width, height)), margins((width, height))
    if drawn == (width, height):
        return picture
    # "symmetric" goes on for as long as it must, however small the picture.
    edges = ((top, drawn[1] - height - top), (left, drawn[0] - width - left), (0, 0))
    return np.pad(picture, edges, mode="symmetric")


def to_tensor(picture: Pixels16, device: str | torch.device = "cpu") -> torch.Tensor:
    """Return ``(1, 3, H, W)`` float32, 0-1, of a 16-bit picture in the size that models draw."""
    wide = np.ascontiguousarray(widened(picture).astype(np.float32) / np.float32(FULL))
    return torch.from_numpy(wide).permute(2, 0, 1)[None].to(device)


def to_pixels(pictures: torch.Tensor, size: tuple[int, int]) -> Pixels16:
    """Return ``(n, H, W, 3)`` 16-bit pictures of ``size`` from ``(n, 3, H', W')`` floats, 0-1 and clamped to it.

    Raises:
        GeneratorError: if there are numbers that are none.
    """
    left, top = margins(size)
    cut = pictures[:, :, top : top + size[1], left : left + size[0]]
    if not bool(torch.isfinite(cut).all()):
        raise GeneratorError("the model drew numbers that are none; try --precision float32, or another model")
    codes = (cut.to(torch.float32).clamp(0.0, 1.0) * FULL + 0.5).to(torch.int32)
    return np.ascontiguousarray(codes.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint16))


def fitted(pictures: Pixels16, size: tuple[int, int]) -> Pixels16:
    """Return ``(n, H, W, 3)`` pictures of ``size``, scaled and cropped to fill it.

    Raises:
        GeneratorError: if there are none.
    """
    if pictures.ndim != 4 or not len(pictures) or pictures.shape[3] != 3 or pictures.dtype != np.uint16:
        raise GeneratorError(f"a film begins with (n, H, W, 3) 16-bit pictures, not {pictures.shape} {pictures.dtype}")
    height, width = pictures.shape[1:3]
    if (width, height) == size:
        return np.ascontiguousarray(pictures)
    scale = max(size[0] / width, size[1] / height)
    near = max(size[0], round(width * scale)), max(size[1], round(height * scale))
    how = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    left, top = (near[0] - size[0]) // 2, (near[1] - size[1]) // 2
    made = [cv2.resize(one, near, interpolation=how)[top : top + size[1], left : left + size[0]] for one in pictures]
    return np.ascontiguousarray(np.stack(made), np.uint16)


def mark_of(picture: Pixels16) -> Floats:
    """Return ``(32,)`` float32 that stand for the bytes of ``picture``: has anybody touched it since?"""
    digest = hashlib.sha256(np.ascontiguousarray(picture).data).digest()
    return np.frombuffer(digest, np.uint8).astype(np.float32)
