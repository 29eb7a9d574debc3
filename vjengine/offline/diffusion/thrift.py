"""How much memory a video model takes, in numbers and before it is loaded, and how to take less. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vjengine.offline.continuation import Arrays, Need
from vjengine.offline.diffusion.options import FRAMES_FLOOR

LIGHTNESS = "thrift"
"""Name of the carried state that keeps how much was given up, so that a film goes on as it was made."""
TILE = 48
"""Latents a side of a tile of a tiled decode: 384 px."""
CONTEXT = 1
"""Pictures on either side that are decoded along, and thrown away, so that a film shows no seams of decoding."""

_MIB = 1 << 20
_REFERENCE = 1024 * 576
_UNET_MIB = 0.155 * 1024
"""Activations of a picture of 1024x576 in half precision, at 320 channels."""
_DECODE_MIB = 1.125 * 1024
"""Activations of decoding one such picture in half precision, at 128 channels."""
_WORKSPACE_MIB = 512.0
"""Libraries and what the allocator cannot use."""


@dataclass(frozen=True, slots=True)
class Thrift:
    """What decides how much memory is taken.

    Attributes:
        frames: pictures at a time.
        decode: pictures decoded at a time.
        together: both halves of guidance in one pass.
        tiled: decode in tiles.
        offload: only what works is on the device.
    """

    frames: int
    decode: int
    together: bool = False
    tiled: bool = False
    offload: bool = False

    def lighter(self, can_offload: bool) -> tuple[Thrift, str]:
        """Return the next lighter way and what changed, in words; itself and no words if there is none."""
        if self.together:
            return replace(self, together=False), "guidance in two passes"
        if self.decode > 1:
            return replace(self, decode=self.decode // 2), f"decoding {self.decode // 2} pictures at a time"
        if not self.tiled:
            return replace(self, tiled=True), "decoding in tiles"
        if can_offload and not self.offload:
            return replace(self, offload=True), "keeping only what works on the device"
        if self.frames > FRAMES_FLOOR:
            fewer = max(FRAMES_FLOOR, self.frames // 2)
            return replace(self, frames=fewer), f"{fewer - 1} new pictures at a time"
        return self, ""

    def lightest(self, other: Thrift) -> Thrift:
        """Return what is as light as both in everything."""
        return Thrift(
            min(self.frames, other.frames),
            min(self.decode, other.decode),
            self.together and other.together,
            self.tiled or other.tiled,
            self.offload or other.offload,
        )

    def packed(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        """Return it as ``(5,)`` float32, to be carried."""
        numbers = (self.frames, self.decode, self.together, self.tiled, self.offload)
        return np.array(numbers, np.float32)


def unpacked(state: Arrays) -> Thrift | None:
    """Return what :meth:`Thrift.packed` has put into a carried state; None if there is nothing."""
    if LIGHTNESS not in state:
        return None
    frames, decode, together, tiled, offload = (int(number) for number in state[LIGHTNESS].tolist())
    return Thrift(frames, decode, bool(together), bool(tiled), bool(offload))


@dataclass(frozen=True, slots=True)
class Facts:
    """Sizes of a video model.

    Attributes:
        unet, encoder, vae: parameters.
        channels: width of the UNet's first level.
        vae_channels: width of the decoder's last level.
        bytes: of a number of UNet and image encoder.
        vae_bytes: of a number of the autoencoder.
    """

    unet: int = 1_524_623_082
    encoder: int = 632_076_800
    vae: int = 97_742_847
    channels: int = 320
    vae_channels: int = 128
    bytes: int = 2
    vae_bytes: int = 4


def estimate(facts: Facts, thrift: Thrift, size: tuple[int, int], guided: bool, on_gpu: bool) -> Need:
    """Return what a chunk will take.

    Args:
        facts: of the model.
        thrift: how it is run.
        size: (width, height) of the model's pictures, px.
        guided: True if guidance is wanted.
        on_gpu: True if the model has a device of its own.
    """
    share = size[0] * size[1] / _REFERENCE
    unet = facts.unet * facts.bytes / _MIB
    encoder = facts.encoder * facts.bytes / _MIB
    vae = facts.vae * facts.vae_bytes / _MIB
    batch = 2 if guided and thrift.together else 1
    acting = _UNET_MIB * batch * thrift.frames * share * facts.bytes / 2 * facts.channels / 320
    side = TILE * 8
    seen = min(share, min(size[0], side) * min(size[1], side) / _REFERENCE) if thrift.tiled else share
    at_once = min(thrift.decode + 2 * CONTEXT, thrift.frames)
    decoding = _DECODE_MIB * at_once * seen * facts.vae_bytes / 2 * facts.vae_channels / 128
    # 16 bits for the chunk, and floats while it is put together.
    pictures = thrift.frames * size[0] * size[1] * 3 * (2 + 4) / _MIB
    weights = unet + encoder + vae
    if thrift.offload:
        device = max(unet + acting, encoder, vae + decoding)
    else:
        device = weights + max(acting, decoding)
    host = pictures + _WORKSPACE_MIB
    if on_gpu:
        host += weights if thrift.offload else max(unet, encoder, vae)
        device += _WORKSPACE_MIB
    else:
        host, device = host + device, 0.0
    words = (
        f"weights {weights / 1024:.1f} GiB, denoising {thrift.frames} pictures {acting / 1024:.1f} GiB, "
        f"decoding {thrift.decode} at a time{' in tiles' if thrift.tiled else ''} {decoding / 1024:.1f} GiB"
    )
    return Need(device, host, words)
