"""From latents to pictures, a few at a time and, where memory is short, in tiles that fade into each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from vjengine.offline.continuation import Pixels16
from vjengine.offline.diffusion.pictures import to_pixels
from vjengine.offline.diffusion.thrift import CONTEXT, TILE

CELL = 8
"""px a side that one latent stands for."""
OVERLAP = 12
"""Latents that neighbouring tiles share."""


def decode(
    vae: Any,
    latents: torch.Tensor,
    size: tuple[int, int],
    *,
    first: int,
    at_once: int,
    tiled: bool,
    tell: Callable[[int, int], None],
) -> Pixels16:
    """Return the pictures of ``latents`` from number ``first`` on: ``(n - first, H, W, 3)``, 16-bit.

    The decoder looks at neighbouring pictures: those on either side are decoded along and thrown away, so that no film
    shows where one decoding ended.

    Args:
        vae: ``AutoencoderKLTemporalDecoder``.
        latents: ``(n, 4, h, w)``, scaled, on its device.
        size: (width, height) of the film.
        first: number of the first one wanted.
        at_once: pictures at a time.
        tiled: in tiles of :data:`~.thrift.TILE` latents.
        tell: told (pictures done, of how many); may raise to leave.
    """
    weight = next(vae.parameters())
    given = (latents / vae.config.scaling_factor).to(weight.dtype)
    count = len(latents)
    made: list[Pixels16] = []
    for start in range(first, count, at_once):
        tell(start - first, count - first)
        stop = min(start + at_once, count)
        low, high = max(start - CONTEXT, 0), min(stop + CONTEXT, count)
        part = given[low:high]
        pictures = _tiles(vae, part) if tiled else _plain(vae, part)
        pictures = pictures[start - low : stop - low]
        made.append(to_pixels(pictures * 0.5 + 0.5, size))
        del pictures
    return np.concatenate(made)


def _plain(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    pictures: torch.Tensor = vae.decode(latents, num_frames=len(latents)).sample
    return pictures.float()


def _tiles(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Decode tile by tile; where tiles share places, one fades into the other."""
    count, _, rows, columns = latents.shape
    whole = torch.zeros(count, 3, rows * CELL, columns * CELL)
    weight = torch.zeros(1, 1, rows * CELL, columns * CELL)
    for top in _starts(rows):
        for left in _starts(columns):
            part = latents[:, :, top : top + TILE, left : left + TILE]
            pictures = _plain(vae, part).cpu()
            height, width = pictures.shape[2:]
            share = _fade(height, top > 0, top + TILE < rows)[:, None] * _fade(width, left > 0, left + TILE < columns)
            area = (..., slice(top * CELL, top * CELL + height), slice(left * CELL, left * CELL + width))
            whole[area] += pictures * share
            weight[area] += share
    return whole / weight


def _starts(length: int) -> list[int]:
    """Return where tiles begin along a side of ``length`` latents; the last one ends with it."""
    if length <= TILE:
        return [0]
    stride = TILE - OVERLAP
    return [*range(0, length - TILE, stride), length - TILE]


def _fade(length: int, before: bool, after: bool) -> torch.Tensor:
    """Return ``(length,)`` weights: a slope at each end that has a neighbour."""
    slope = OVERLAP * CELL
    at = torch.arange(length, dtype=torch.float32) + 0.5
    weights = torch.ones(length)
    if before:
        weights = torch.minimum(weights, at / slope)
    if after:
        weights = torch.minimum(weights, (length - at) / slope)
    return weights
