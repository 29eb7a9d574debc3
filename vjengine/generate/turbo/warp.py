"""Moving the last picture: an affine map from rates, exact at any frame rate, and its sampling on the device.

Positions are normalised as torch does it: x and y from -1 to 1 over the outer edges of the picture, y downwards. A map
says where in the *last* picture a place of the new one looks: six numbers, two rows of three.
"""

from __future__ import annotations

import cmath
import math

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from vjengine.generate.turbo.controls import Controls

Affine = npt.NDArray[np.float64]
"""``(2, 3)`` float64: ``source = A[:, :2] @ place + A[:, 2]``."""

MAX_STEP = 1.0
"""s: longer gaps between two frames count as this much motion: a stalled show goes on where it stood."""

SHARPEN = 1.1
"""How much of its curvature linear interpolation gives back, see :meth:`Warp.sharp`. At 1 it is the Catmull-Rom cubic's
share along each axis, which still loses detail when repeated; torch's own cubic loses less but lets texture grow to
twice its contrast in a hundred frames; 1.1 neither grows nor fades."""


def identity() -> Affine:
    """Return the map that moves nothing."""
    return np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def motion(controls: Controls, dt: float, aspect: float) -> Affine:
    """Return the map of ``dt`` seconds of the controls' zoom, spin and drift.

    The rates are those of one flow, ``dc/dt = a c + v`` in complex numbers, and this is its exact solution: two half
    frames move exactly as far as a whole one.

    Args:
        controls: rates.
        dt: s, 0-:data:`MAX_STEP`.
        aspect: width over height of the picture.
    """
    a = complex(controls.zoom, 2.0 * math.pi * controls.spin)
    v = complex(2.0 * aspect * controls.x, -2.0 * controls.y)
    turn = cmath.exp(-a * dt)
    shift = v * ((turn - 1.0) / a if abs(a) > 1e-9 else -dt)
    return np.array(
        [
            [turn.real, -turn.imag / aspect, shift.real / aspect],
            [turn.imag * aspect, turn.real, shift.imag],
        ]
    )


def after(first: Affine, then: Affine) -> Affine:
    """Return the map of a picture that was moved by ``first`` and now by ``then``: ``first(then(place))``."""
    composed = first[:, :2] @ then
    composed[:, 2] += first[:, 2]
    return composed


class Warp:
    """Samples tensors of one size through a map that lies in device memory. Edges are mirrored.

    Args:
        height: rows, and
        width: columns of what is sampled, px or latents.
        device: where.
    """

    def __init__(self, height: int, width: int, device: torch.device) -> None:
        y = (torch.arange(height, dtype=torch.float64) * 2.0 + 1.0) / height - 1.0
        x = (torch.arange(width, dtype=torch.float64) * 2.0 + 1.0) / width - 1.0
        self._y = y.float()[:, None].to(device)
        self._x = x.float()[None, :].to(device)
        self._size = torch.tensor([width, height], dtype=torch.float32).to(device)

    def grid(self, affine: torch.Tensor) -> torch.Tensor:
        """Return ``(1, H, W, 2)``: the place that each pixel looks at. ``affine`` is ``(6,)`` float32.

        No matrix product: those may run in shortened floats, and a picture would tremble.
        """
        x = torch.addcmul(affine[2] + affine[1] * self._y, affine[0], self._x)
        y = torch.addcmul(affine[5] + affine[4] * self._y, affine[3], self._x)
        return torch.stack((x, y), dim=-1)[None]

    def between(self, grid: torch.Tensor) -> torch.Tensor:
        """Return ``(1, 2, H, W)``: f(1 - f) of the positions between two pixels, f 0-1, across and down."""
        position = (grid + 1.0) * (0.5 * self._size) - 0.5
        part = position - position.floor()
        return (part - part * part).permute(0, 3, 1, 2)

    def plain(self, source: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        """Return ``source`` ``(1, C, H, W)`` float32 sampled linearly."""
        return functional.grid_sample(source, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    def sharp(self, source: torch.Tensor, affine: torch.Tensor) -> torch.Tensor:
        """Return ``source`` ``(1, C, H, W)`` float32 moved by ``affine``, fit to be moved again and again.

        Linear interpolation falls short by f(1 - f)/2 times the curvature, so a picture that is sampled sixty times a
        second is a blur within one. The curvature (second differences) is sampled along and given back.
        """
        channels = source.shape[1]
        edged = functional.pad(source, (1, 1, 1, 1), mode="replicate")
        across = edged[..., 1:-1, 2:] + edged[..., 1:-1, :-2] - 2.0 * source
        down = edged[..., 2:, 1:-1] + edged[..., :-2, 1:-1] - 2.0 * source
        grid = self.grid(affine)
        sampled = self.plain(torch.cat((source, across, down), dim=1), grid)
        weight = (-0.5 * SHARPEN) * self.between(grid)
        picture = torch.addcmul(sampled[:, :channels], sampled[:, channels : 2 * channels], weight[:, :1])
        return torch.addcmul(picture, sampled[:, 2 * channels :], weight[:, 1:])
