"""Reading diffusers' modules from outside: which are plain, and laying the weights of several in one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


def is_plain(module: Any) -> bool:
    """True if ``module`` is a linear or convolution layer and nothing else: no LoRA around it, no hook on it.

    Only then may its weights be used without calling it.
    """
    return (
        type(module) in (nn.Linear, nn.Conv2d)
        and not module._forward_hooks
        and not module._forward_pre_hooks
        and "forward" not in module.__dict__
    )


def fuse(layers: Sequence[Any]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Lay the weights of plain linear ``layers`` of one input width below each other; return weight and bias.

    The layers keep working: their parameters become views into the returned tensors, equal in value and layout, so
    the memory is not held twice. Biases are returned if any layer has one.
    """
    weight = torch.cat([layer.weight.detach() for layer in layers])
    bias = None
    if any(layer.bias is not None for layer in layers):
        bias = torch.cat(
            [weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias.detach() for layer in layers]
        )
    start = 0
    for layer in layers:
        stop = start + layer.out_features
        layer.weight = nn.Parameter(weight[start:stop], requires_grad=False)
        if layer.bias is not None and bias is not None:
            layer.bias = nn.Parameter(bias[start:stop], requires_grad=False)
        start = stop
    return weight, bias


def channels_last(root: nn.Module) -> None:
    """Lay the weights of all convolutions in ``root`` out channels last, where they are not yet."""
    for module in root.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_contiguous(memory_format=torch.channels_last):
            weight = module.weight.detach().contiguous(memory_format=torch.channels_last)
            module.weight = nn.Parameter(weight, requires_grad=False)
