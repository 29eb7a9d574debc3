"""What a video model is told: what it sees (a CLIP embedding), where it begins (latents), how much is to move.

Free functions of tensors; shapes are said, numbers are those that the published model was trained with.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional

from vjengine.offline.diffusion.options import BUCKETS, MAX_AUGMENTATION

_SIDE = 224
_FPS = (5, 30)
"""Pictures a second between which the model was trained."""


def motion_bucket(motion: float) -> float:
    """Return the motion bucket of ``motion`` 0-1.

    >>> motion_bucket(0.5)
    110.0
    """
    low, high = BUCKETS
    return low + (high - low) * min(max(motion, 0.0), 1.0)


def told(fps: float, motion: float, noise: float) -> list[float]:
    """Return the three numbers that the model is told: pictures a second less one, motion bucket, noise."""
    paced = min(max(round(fps), _FPS[0]), _FPS[1]) - 1
    return [float(paced), motion_bucket(motion), augmentation(noise)]


def augmentation(noise: float) -> float:
    """Return how much noise the conditioning picture gets, 0-:data:`~.options.MAX_AUGMENTATION`."""
    return min(max(noise, 0.0), MAX_AUGMENTATION)


def seen(encoder: Any, picture: torch.Tensor, mean: tuple[float, ...], deviation: tuple[float, ...]) -> torch.Tensor:
    """Return the embedding ``(1, 1, D)`` of ``picture``, ``(1, 3, H, W)`` float32 0-1, in the encoder's type.

    The whole picture is squeezed into a square, softened first as far as it shrinks: so the model was trained.
    """
    weight = next(encoder.parameters())
    small = _shrunk(picture * 2.0 - 1.0, _SIDE) * 0.5 + 0.5
    shift = torch.tensor(mean, device=small.device)[:, None, None]
    spread = torch.tensor(deviation, device=small.device)[:, None, None]
    given = ((small - shift) / spread).to(weight.device, weight.dtype)
    embedding: torch.Tensor = encoder(given).image_embeds
    return embedding[:, None]


def mixed(anchor: torch.Tensor, tail: torch.Tensor, share: float) -> torch.Tensor:
    """Return the embedding ``share`` of the way from ``tail`` to ``anchor``, as long as they are."""
    if share >= 1.0:
        return anchor
    if share <= 0.0:
        return tail
    a, b = anchor.float(), tail.float()
    between = torch.lerp(b, a, share)
    length = torch.lerp(b.norm(dim=-1, keepdim=True), a.norm(dim=-1, keepdim=True), share)
    found: torch.Tensor = between * length / between.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    return found.to(anchor.dtype)


def begun(vae: Any, picture: torch.Tensor, noise: torch.Tensor, amount: float) -> torch.Tensor:
    """Return the latents ``(1, 4, H/8, W/8)``, unscaled, of ``picture`` ``(1, 3, H, W)`` 0-1 with noise on it.

    Args:
        vae: the autoencoder.
        picture: on its device, float32.
        noise: of the picture's shape, unit variance.
        amount: of noise, on the scale -1 to 1.
    """
    given = picture * 2.0 - 1.0 + amount * noise
    latents: torch.Tensor = vae.encode(given.to(next(vae.parameters()).dtype)).latent_dist.mode()
    return latents


def _shrunk(picture: torch.Tensor, side: int) -> torch.Tensor:
    """Return ``picture`` as a square, softened by a Gaussian of half of what each side shrinks by."""
    for axis in (-2, -1):
        factor = picture.shape[axis] / side
        sigma = max((factor - 1.0) / 2.0, 0.001)
        taps = int(max(4.0 * sigma, 3.0)) | 1
        at = torch.arange(taps, dtype=torch.float32, device=picture.device) - taps // 2
        kernel = torch.exp(-(at**2) / (2.0 * sigma**2))
        kernel = kernel / kernel.sum()
        half = taps // 2
        pad = (0, 0, half, half) if axis == -2 else (half, half, 0, 0)
        shape = (1, 1, taps, 1) if axis == -2 else (1, 1, 1, taps)
        channels = picture.shape[1]
        soft = functional.pad(picture, pad, mode="reflect")
        picture = functional.conv2d(soft, kernel.view(shape).repeat(channels, 1, 1, 1), groups=channels)
    return functional.interpolate(picture, size=(side, side), mode="bicubic", align_corners=True)


def guidance_ramp(first: float, last: float, frames: int, most: float) -> list[float]:
    """Return the guidance of each of ``frames`` pictures, from ``first`` to ``last``, 1 to ``most``."""
    low, high = (min(max(value if math.isfinite(value) else 1.0, 1.0), most) for value in (first, last))
    return [low + (high - low) * index / max(frames - 1, 1) for index in range(frames)]
