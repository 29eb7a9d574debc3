"""The small operations between the matrix products, which are most of a frame's kernels.

:class:`Ops` is plain PyTorch and runs everywhere; :mod:`.fused` does the same in fewer kernels on CUDA.
Pictures and features are ``(1, C, H, W)`` in channels-last layout, tokens ``(1, N, C)``.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F


class Ops:
    """Plain PyTorch."""

    name = "plain"

    def group_norm(self, x: torch.Tensor, norm: Any, *, silu: bool) -> torch.Tensor:
        """Return ``norm(x)``, after SiLU if ``silu``."""
        y = F.group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)
        return F.silu(y, inplace=True) if silu else y

    def conv_norm(self, x: torch.Tensor, weight: torch.Tensor, shift: torch.Tensor, norm: Any) -> torch.Tensor:
        """Return ``silu(norm(conv(x) + shift))``: a 3x3 convolution, ``shift`` is one number a channel."""
        return self.group_norm(F.conv2d(x, weight, shift, padding=1), norm, silu=True)

    def conv_add(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, residual: torch.Tensor
    ) -> torch.Tensor:
        """Return ``conv(x) + bias + residual``: a 3x3 convolution."""
        return F.conv2d(x, weight, bias, padding=1).add_(residual)

    def conv_relu(self, x: torch.Tensor, conv: Any) -> torch.Tensor:
        """Return ``relu(conv(x))`` of a plain convolution."""
        return F.relu(F.conv2d(x, conv.weight, conv.bias, conv.stride, conv.padding), inplace=True)

    def conv_add_relu(self, x: torch.Tensor, conv: Any, residual: torch.Tensor) -> torch.Tensor:
        """Return ``relu(conv(x) + residual)`` of a plain convolution."""
        return F.relu(F.conv2d(x, conv.weight, conv.bias, conv.stride, conv.padding).add_(residual), inplace=True)

    def add_norm(self, x: torch.Tensor, residual: torch.Tensor, norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``x + residual`` and its layer norm."""
        total = x + residual
        return total, F.layer_norm(total, norm.normalized_shape, norm.weight, norm.bias, norm.eps)

    def geglu(self, x: torch.Tensor) -> torch.Tensor:
        """Return the first half of the last axis times the GELU of the second."""
        value, gate = x.chunk(2, dim=-1)
        return F.gelu(gate).mul_(value)
