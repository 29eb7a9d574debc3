"""One picture on its way from a generator to the compositor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Flow = npt.NDArray[np.float16]
FLOW_CELL = 8
"""A flow field has one vector for so many px a side, rounded up."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A finished picture and what it was made for.

    Attributes:
        pixels: ``(H, W, 4)`` uint8, read-only, top row first, RGBA, alpha 255 unless a generator means otherwise.
        sequence: number of this frame from its generator, from 1; a restarted worker goes on counting.
        params_sequence: sequence of the :class:`~vjengine.core.control.GeneratorParams` it was made for.
        made_for: session time (s) of those params.
        ready: session time (s) at which the pixels were complete.
        generator: name of the generator.
        colour_space: transfer of the pixels; ``"srgb"`` is the only one so far.
        flow: motion from the frame numbered one lower to this one, :func:`flow_shape` float16, or None: how far
            what is seen moved, in widths to the right and heights downwards.
    """

    pixels: Pixels
    sequence: int
    params_sequence: int
    made_for: float
    ready: float
    generator: str
    colour_space: str = "srgb"
    flow: Flow | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        return self.pixels.shape[1], self.pixels.shape[0]


def flow_shape(size: tuple[int, int]) -> tuple[int, int, int]:
    """Return the shape (rows, columns, 2) of the flow field of frames of ``size`` (width, height)."""
    return -(-size[1] // FLOW_CELL), -(-size[0] // FLOW_CELL), 2


def frozen_pixels(pixels: Pixels) -> Pixels:
    """Return ``pixels`` as a read-only ``(H, W, 4)`` uint8 array, checked.

    Raises:
        ValueError: if the shape or dtype differs.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 4:
        raise ValueError(f"a frame is (H, W, 4) uint8, not {pixels.shape} {pixels.dtype}")
    view = pixels.view()
    view.flags.writeable = False
    return view
