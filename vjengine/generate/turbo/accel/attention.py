"""Attention as a turbo loop needs it: keys and values of the text once a prompt, not once a step.

Structural copies of diffusers' attention modules: they hold the same weights and call the same scaled dot product, but
know that nothing masks, drops out or is cross-normalised here. The modules themselves are left as they are, so the
eager rung plays on beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from vjengine.generate.turbo.accel.modules import fuse, is_plain
from vjengine.generate.turbo.accel.ops import Ops

KeysValues = tuple[torch.Tensor, torch.Tensor]
"""Keys and values of one cross attention, each ``(1, heads, 77, width)``."""


def unusual(attention: Any) -> str:
    """Return what ``attention`` does that the copies here do not; empty if nothing."""
    extras = ("norm_q", "norm_k", "spatial_norm", "group_norm", "norm_cross", "add_k_proj")
    found = [name for name in extras if getattr(attention, name, None)]
    if attention.residual_connection or attention.rescale_output_factor != 1.0:
        found.append("scaled residual")
    return ", ".join(found)


def _heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    return x.view(*x.shape[:-1], heads, -1).transpose(1, 2)


def _merge(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2).flatten(2)


class SelfAttention:
    """Self attention with queries, keys and values from one matrix product, unless a LoRA sits on one of them."""

    def __init__(self, attention: Any) -> None:
        self.heads = attention.heads
        self.out = attention.to_out[0]
        self.projections = attention.to_q, attention.to_k, attention.to_v
        self.fused = all(is_plain(layer) for layer in self.projections)
        if self.fused:
            self.weight, self.bias = fuse(self.projections)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the attention's output for tokens ``x``, without the residual."""
        if self.fused:
            q, k, v = F.linear(x, self.weight, self.bias).chunk(3, dim=-1)
        else:
            q, k, v = (layer(x) for layer in self.projections)
        mixed = F.scaled_dot_product_attention(_heads(q, self.heads), _heads(k, self.heads), _heads(v, self.heads))
        output: torch.Tensor = self.out(_merge(mixed))
        return output


class CrossAttention:
    """Cross attention to keys and values made beforehand."""

    def __init__(self, attention: Any) -> None:
        self.heads = attention.heads
        self.q = attention.to_q
        self.out = attention.to_out[0]

    def __call__(self, x: torch.Tensor, text: KeysValues) -> torch.Tensor:
        """Return the attention's output for tokens ``x``, without the residual."""
        mixed = F.scaled_dot_product_attention(_heads(self.q(x), self.heads), *text)
        output: torch.Tensor = self.out(_merge(mixed))
        return output


class TextProjections:
    """The projections of the text to keys and values, of all cross attentions: one matrix product for all plain ones.

    Attributes:
        touched: True if a LoRA sits on one of them, so that keys and values depend on its weight.
        width: numbers a token of all keys and values.
    """

    def __init__(self, attentions: Sequence[Any]) -> None:
        layers = [layer for attention in attentions for layer in (attention.to_k, attention.to_v)]
        plain = [layer for layer in layers if is_plain(layer)]
        others = [layer for layer in layers if not is_plain(layer)]
        self.touched = bool(others)
        self.weight: torch.Tensor | None = None
        self.bias: torch.Tensor | None = None
        if plain:
            self.weight, self.bias = fuse(plain)
        self._plain_width = 0 if self.weight is None else self.weight.shape[0]
        # Plain ones lie first, in one block, then the others in their order.
        places: dict[int, slice] = {}
        start = 0
        for layer in (*plain, *others):
            stop = start + layer.out_features
            places[id(layer)] = slice(start, stop)
            start = stop
        self.width = start
        self._others = [(layer, places[id(layer)]) for layer in others]
        self._pairs = [(places[id(a.to_k)], places[id(a.to_v)], a.heads) for a in attentions]

    def write(self, embeds: torch.Tensor, into: torch.Tensor, *, only_touched: bool = False) -> None:
        """Write keys and values of ``embeds`` ``(77, D)`` to ``into`` ``(77, width)``, in place.

        Args:
            embeds: the text's hidden states.
            into: keys and values of all cross attentions.
            only_touched: leave out those that do not depend on LoRA weights.
        """
        if self.weight is not None and not only_touched:
            plain = into[:, : self._plain_width]
            if self.bias is None:
                torch.mm(embeds, self.weight.t(), out=plain)
            else:
                torch.addmm(self.bias, embeds, self.weight.t(), out=plain)
        for layer, place in self._others:
            into[:, place].copy_(layer(embeds))

    def views(self, of: torch.Tensor) -> list[KeysValues]:
        """Return the keys and values of every cross attention as views into ``of`` ``(77, width)``."""
        return [(_heads(of[None, :, k], heads), _heads(of[None, :, v], heads)) for k, v, heads in self._pairs]


class TransformerBlock:
    """Self attention, cross attention and feed-forward. Sums are handed on open, so that the next norm closes them."""

    def __init__(self, block: Any) -> None:
        self.norm1, self.norm2, self.norm3 = block.norm1, block.norm2, block.norm3
        self.attend_self = SelfAttention(block.attn1)
        self.attend_text = CrossAttention(block.attn2)
        self.inner = block.ff.net[0].proj
        self.outer = block.ff.net[2]

    def __call__(
        self, normed: torch.Tensor, tokens: torch.Tensor, text: KeysValues, ops: Ops
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return two tensors whose sum is the block's output.

        Args:
            normed: ``norm1`` of the tokens.
            tokens: the tokens.
            text: keys and values of its cross attention.
            ops: who does the small operations.
        """
        tokens, normed = ops.add_norm(self.attend_self(normed), tokens, self.norm2)
        tokens, normed = ops.add_norm(self.attend_text(normed, text), tokens, self.norm3)
        return self.outer(ops.geglu(self.inner(normed))), tokens


class SpatialTransformer:
    """A ``Transformer2DModel``: features to tokens, blocks, tokens to features."""

    def __init__(self, module: Any) -> None:
        self.norm = module.norm
        self.proj_in, self.proj_out = module.proj_in, module.proj_out
        self.linear = module.use_linear_projection
        self.blocks = [TransformerBlock(block) for block in module.transformer_blocks]

    def __call__(self, x: torch.Tensor, texts: Sequence[KeysValues], ops: Ops) -> torch.Tensor:
        """Return features like ``x``; ``texts`` are the keys and values of its blocks."""
        height, width = x.shape[2:]
        features = ops.group_norm(x, self.norm, silu=False)
        tokens = self._project(self.proj_in, features.permute(0, 2, 3, 1).flatten(1, 2), height)
        first = self.blocks[0].norm1
        normed = F.layer_norm(tokens, first.normalized_shape, first.weight, first.bias, first.eps)
        for number, (block, text) in enumerate(zip(self.blocks, texts, strict=True)):
            change, tokens = block(normed, tokens, text, ops)
            if number + 1 < len(self.blocks):
                tokens, normed = ops.add_norm(change, tokens, self.blocks[number + 1].norm1)
            else:
                tokens = change + tokens
        features = self._project(self.proj_out, tokens, height)
        return features.view(1, height, width, -1).permute(0, 3, 1, 2) + x

    def _project(self, layer: Any, tokens: torch.Tensor, height: int) -> torch.Tensor:
        """Apply ``layer``, a linear layer or a 1x1 convolution, which on tokens is the same."""
        if self.linear:
            projected: torch.Tensor = layer(tokens)
            return projected
        if is_plain(layer):
            return F.linear(tokens, layer.weight.flatten(1), layer.bias)
        features = layer(tokens.view(1, height, -1, tokens.shape[2]).permute(0, 3, 1, 2))
        flat: torch.Tensor = features.permute(0, 2, 3, 1).flatten(1, 2)
        return flat
