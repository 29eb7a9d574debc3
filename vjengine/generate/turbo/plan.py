"""What every picture of a turbo loop has in common: decided once, so that nothing is allocated while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vjengine.errors import UsageError

Precision = Literal["float32", "bfloat16", "float16"]
RungName = Literal["eager", "graph", "onnx", "openvino", "tensorrt"]

MULTIPLE = 64
"""Sides are multiples of this, px: the autoencoder divides by 8, the UNet by 8 again."""
LATENT_CHANNELS = 4
LATENT_CELL = 8
"""px a side that one latent stands for."""
TEXT_TOKENS = 77
"""Tokens of a prompt, always: shorter ones are padded, longer ones cut."""


@dataclass(frozen=True, slots=True)
class FramePlan:
    """Sizes, place and precision of the networks; static engines are built for exactly one of these. It pickles.

    Attributes:
        size: (width, height) of the picture, px, multiples of :data:`MULTIPLE`.
        device: torch's name of the device: ``"cpu"``, ``"cuda:0"``, ``"mps"``.
        precision: of weights and activations.
        tiled: decode in tiles, for a full autoencoder in little memory.
        loras: number of LoRAs whose weights can be moved.

    Raises:
        UsageError: if a side is not a positive multiple of :data:`MULTIPLE`.
    """

    size: tuple[int, int] = (512, 512)
    device: str = "cpu"
    precision: Precision = "float32"
    tiled: bool = False
    loras: int = 0

    def __post_init__(self) -> None:
        if any(side <= 0 or side % MULTIPLE for side in self.size):
            width, height = nearest_size(self.size)
            raise UsageError(
                f"diffusion draws in sizes whose sides are multiples of {MULTIPLE}, not "
                f"{self.size[0]}x{self.size[1]}; the nearest is {width}x{height}"
            )

    @property
    def picture_shape(self) -> tuple[int, int, int, int]:
        """Shape of a picture tensor: (1, 3, H, W)."""
        return 1, 3, self.size[1], self.size[0]

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """Shape of a latent tensor: (1, 4, H/8, W/8)."""
        return 1, LATENT_CHANNELS, self.size[1] // LATENT_CELL, self.size[0] // LATENT_CELL


def nearest_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the nearest (width, height) that diffusion can draw.

    >>> nearest_size((768, 432))
    (768, 448)
    """
    width, height = (max(MULTIPLE, int(side / MULTIPLE + 0.5) * MULTIPLE) for side in size)
    return width, height
