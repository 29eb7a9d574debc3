"""Encoding and decoding pictures: TAESD walked along by hand, the full autoencoder as diffusers has it, or in tiles."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from vjengine.generate.turbo.accel.modules import is_plain
from vjengine.generate.turbo.accel.ops import Ops
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import LATENT_CELL, FramePlan

TILE = 256
"""Side of a tile that a full autoencoder decodes at a time, px; tiles overlap by a quarter."""


class Autoencoder(Protocol):
    """Pictures 0-1 to scaled latents and back."""

    def encode(self, picture: torch.Tensor) -> torch.Tensor:
        """Return the scaled latents of ``picture``."""
        ...

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the picture of scaled ``latents``, not clamped."""
        ...


class DiffusersAutoencoder:
    """The parts' autoencoder, called as it is; in tiles where the plan says so."""

    def __init__(self, parts: TurboParts, plan: FramePlan) -> None:
        self._vae = parts.vae
        self._decode = tiled(parts.vae).decode if plan.tiled and not parts.tiny_vae else parts.vae.decode
        self._tiny = parts.tiny_vae
        self._scale = float(parts.vae.config.scaling_factor)

    def encode(self, picture: torch.Tensor) -> torch.Tensor:
        """Return the scaled latents of ``picture``."""
        encoded = self._vae.encode(picture * 2.0 - 1.0)
        latents: torch.Tensor = encoded.latents if self._tiny else encoded.latent_dist.mode()
        return latents * self._scale

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the picture of scaled ``latents``."""
        picture: torch.Tensor = self._decode(latents / self._scale, return_dict=False)[0]
        return picture * 0.5 + 0.5


def tiled(vae: Any) -> Any:
    """Return ``vae`` so that it decodes in tiles: a second face of the same weights, the first stays whole."""
    face = copy.copy(vae)
    face.use_tiling = True
    face.tile_sample_min_size = TILE
    face.tile_latent_min_size = TILE // LATENT_CELL
    return face


class LeanTiny:
    """TAESD without the changes of range that diffusers puts around it and that cancel out here."""

    def __init__(self, vae: Any, ops: Ops) -> None:
        self._encoder = _steps(list(vae.encoder.layers), ops)
        self._decoder = _steps(list(vae.decoder.layers), ops)
        self._scale = float(vae.config.scaling_factor)

    def encode(self, picture: torch.Tensor) -> torch.Tensor:
        """Return the scaled latents of ``picture``."""
        x = picture.contiguous(memory_format=torch.channels_last)
        for step in self._encoder:
            x = step(x)
        return x if self._scale == 1.0 else x * self._scale

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the picture of scaled ``latents``."""
        x = latents.contiguous(memory_format=torch.channels_last)
        x = torch.tanh(x / (3.0 * self._scale)) * 3.0
        for step in self._decoder:
            x = step(x)
        return x


def _steps(layers: Sequence[Any], ops: Ops) -> list[Callable[[torch.Tensor], torch.Tensor]]:
    """Return the steps of a TAESD half, activations joined with the convolution before them."""
    steps: list[Callable[[torch.Tensor], torch.Tensor]] = []
    position = 0
    while position < len(layers):
        layer = layers[position]
        following = layers[position + 1] if position + 1 < len(layers) else None
        position += 1
        if type(layer).__name__ == "AutoencoderTinyBlock" and _is_relu_block(layer):
            steps.append(_block(layer, ops))
        elif is_plain(layer) and type(following).__name__ == "ReLU":
            steps.append(_conv_relu(layer, ops))
            position += 1
        else:
            steps.append(layer)
    return steps


def _is_relu_block(block: Any) -> bool:
    return type(block.conv[1]).__name__ == "ReLU" and all(is_plain(block.conv[i]) for i in (0, 2, 4))


def _block(block: Any, ops: Ops) -> Callable[[torch.Tensor], torch.Tensor]:
    first, second, third = block.conv[0], block.conv[2], block.conv[4]

    def run(x: torch.Tensor) -> torch.Tensor:
        return ops.conv_add_relu(ops.conv_relu(ops.conv_relu(x, first), second), third, block.skip(x))

    return run


def _conv_relu(conv: Any, ops: Ops) -> Callable[[torch.Tensor], torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        return ops.conv_relu(x, conv)

    return run
