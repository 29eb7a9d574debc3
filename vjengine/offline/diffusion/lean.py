"""The same video model with less work: what never changes the result is taken out or laid out better.

* *One token needs no attention.* The model sees its picture as a single token, and a softmax over one token is 1: so
  every cross attention is one vector a picture, added to all places. Queries, norms and output products over millions
  of places go.
* *A convolution over time is a flat one.* Kernels of (n, 1, 1) over pictures x rows x columns are kernels of (n, 1)
  over pictures x places: no copy, and libraries are much better at them.
* *Channels last*, where tensor cores want them.

A recorded CUDA graph is not among it: a step of 25 pictures keeps a device busy for far longer than it takes to launch,
and recording costs as much as several steps, every chunk anew.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class OneToken(nn.Module):
    """A cross attention to a single token: ``(B, places, C)`` and ``(B, 1, D)`` to ``(B, 1, C)``, which broadcasts.

    Over time every place of a picture asks for the same token: there one row of ``context`` stands for all.
    """

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.values, self.out = attention.to_v, attention.to_out[0]
        self.scale = float(getattr(attention, "rescale_output_factor", 1.0))

    def forward(self, places: torch.Tensor, encoder_hidden_states: torch.Tensor, **_: Any) -> torch.Tensor:
        """Return what the token says, to be added to every place."""
        context = encoder_hidden_states
        if context.shape[1] != 1:
            raise ValueError(f"a picture is one token, not {context.shape[1]}")
        if context.stride(0) == 0:  # one row, shown many times
            context = context[:1]
        said: torch.Tensor = self.out(self.values(context)) / self.scale
        return said


class Nothing(nn.Module):
    """What a norm becomes whose result nobody reads."""

    def forward(self, x: torch.Tensor, *_: Any) -> torch.Tensor:
        """Return ``x``."""
        return x


class OverTime(nn.Module):
    """A 3-d convolution with a kernel of (n, 1, 1), as a flat one: ``(B, C, T, H, W)`` to ``(B, C', T, H, W)``."""

    def __init__(self, convolution: nn.Conv3d) -> None:
        super().__init__()
        self.weight = nn.Parameter(convolution.weight.detach().flatten(3), requires_grad=False)
        self.bias = convolution.bias
        self.padding = int(convolution.padding[0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the convolution of ``x``."""
        batch, channels, times, height, width = x.shape
        flat = x.reshape(batch, channels, times, height * width)
        flat = functional.conv2d(flat, self.weight, self.bias, padding=(self.padding, 0))
        return flat.view(batch, -1, times, height, width)


def make_lean(unet: Any, vae: Any) -> None:
    """Rewrite ``unet`` and ``vae`` in place; a second call does nothing."""
    for module in list(unet.modules()):
        if getattr(module, "attn2", None) is not None and hasattr(module.attn2, "to_v"):
            module.attn2, module.norm2 = OneToken(module.attn2), Nothing()
    for network in (unet, vae):
        _flatten_convolutions(network)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | OverTime) and module.weight.is_floating_point():
                module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)


def _flatten_convolutions(network: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv3d) and child.kernel_size[1:] == (1, 1) and child.groups == 1:
                setattr(parent, name, OverTime(child))
