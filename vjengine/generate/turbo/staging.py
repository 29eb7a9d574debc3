"""From the host to static tensors on the device, without waiting."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

RING = 4
"""Copies on their way to one tensor before the host waits for the first: more frames than are ever in flight."""

_cuda: Any = torch.cuda  # its events are not typed


class Inlet:
    """Copies arrays into one device tensor, in stream order.

    A copy from ordinary memory makes the host wait until the device has got to it. So the array is put into pinned
    memory first; a piece of that is used again only when the device has read it.

    Args:
        target: static tensor.
    """

    def __init__(self, target: torch.Tensor) -> None:
        self._target = target
        self._turn = 0
        self._ring: list[tuple[torch.Tensor, Any]] = []
        if target.device.type != "cpu":
            pinned = target.device.type == "cuda"
            self._ring = [
                (torch.empty(target.shape, dtype=target.dtype, pin_memory=pinned), _cuda.Event() if pinned else None)
                for _ in range(RING)
            ]

    @torch.inference_mode()
    def write(self, array: npt.NDArray[np.generic]) -> None:
        """Copy ``array``, of the target's shape and dtype; it may change afterwards."""
        if not self._ring:
            np.copyto(self._target.numpy(), array)
            return
        piece, read = self._ring[self._turn]
        self._turn = (self._turn + 1) % RING
        if read is not None:
            read.synchronize()  # at once, unless the host is a whole ring ahead
        np.copyto(piece.numpy(), array)
        self._target.copy_(piece, non_blocking=read is not None)
        if read is not None:
            read.record(_cuda.current_stream(self._target.device))
