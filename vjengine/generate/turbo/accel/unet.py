"""A diffusers UNet, walked along by hand: the same weights, without the work that does not change from step to step.

What the timestep contributes is looked up: for every timestep the shift that each residual block adds to its channels
is known beforehand. What the prompt contributes is made once a prompt (:mod:`.attention`).

The structure is read once a UNet and shared by all networks that run it; nothing here changes what the diffusers
modules compute, so another rung may play the same modules meanwhile.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.accel.attention import KeysValues, SpatialTransformer, TextProjections, unusual
from vjengine.generate.turbo.accel.modules import fuse, is_plain
from vjengine.generate.turbo.accel.ops import Ops

TIMESTEPS = 1000
_BLOCKS = {"DownBlock2D", "CrossAttnDownBlock2D", "UNetMidBlock2DCrossAttn", "CrossAttnUpBlock2D", "UpBlock2D"}


class Resnet:
    """A ``ResnetBlock2D``."""

    def __init__(self, block: Any) -> None:
        self.norm1, self.norm2 = block.norm1, block.norm2
        self.conv1, self.conv2 = block.conv1, block.conv2
        self.project_time = block.time_emb_proj
        self.shortcut = block.conv_shortcut
        self.plain1 = is_plain(self.conv1)
        self.plain2 = is_plain(self.conv2)
        self.width = block.out_channels

    def constant(self) -> torch.Tensor | None:
        """Return what is added to its shift at every timestep: the bias of the first convolution, if it is plain."""
        bias: torch.Tensor | None = self.conv1.bias if self.plain1 else None
        return bias

    def __call__(self, x: torch.Tensor, shift: torch.Tensor, ops: Ops) -> torch.Tensor:
        """Return the block's output; ``shift`` ``(C,)`` is what the timestep adds to its channels."""
        hidden = ops.group_norm(x, self.norm1, silu=True)
        if self.plain1:
            hidden = ops.conv_norm(hidden, self.conv1.weight, shift, self.norm2)
        else:
            hidden = ops.group_norm(self.conv1(hidden) + shift[:, None, None], self.norm2, silu=True)
        residual = x if self.shortcut is None else self.shortcut(x)
        if self.plain2:
            return ops.conv_add(hidden, self.conv2.weight, self.conv2.bias, residual)
        output: torch.Tensor = self.conv2(hidden) + residual
        return output


class TimeShifts:
    """What each residual block adds to its channels at each timestep.

    Without conditions beside the timestep (``sd``) that is a table of 1000 rows: 40 MB in half precision for the
    full-size UNet. With them (``sdxl``) only the embedding before them is a table (2.6 MB), and one matrix product
    makes all shifts. Whatever carries a LoRA is computed at every call instead.

    Attributes:
        touched: True if what the conditions add depends on LoRA weights.
    """

    def __init__(self, unet: Any, resnets: Sequence[Resnet]) -> None:
        self._time_proj, self._time_embedding = unet.time_proj, unet.time_embedding
        self._dtype: torch.dtype = unet.conv_in.weight.dtype
        self._conditioned = unet.add_embedding if unet.config.addition_embed_type == "text_time" else None
        self._size_embedding = unet.add_time_proj if self._conditioned is not None else None
        self.touched = self._conditioned is not None and not _all_plain(self._conditioned)
        constants = [resnet.constant() for resnet in resnets]
        self._order = [is_plain(resnet.project_time) for resnet in resnets]
        self._live = [
            (resnet.project_time, constant)
            for resnet, constant, plain in zip(resnets, constants, self._order, strict=True)
            if not plain
        ]
        plain = [resnet for resnet, is_one in zip(resnets, self._order, strict=True) if is_one]
        self._widths = [resnet.width for resnet in plain]
        self._weight: torch.Tensor | None = None
        self._bias: torch.Tensor | None = None
        if plain:
            self._weight, bias = fuse([resnet.project_time for resnet in plain])
            self._bias = self._weight.new_zeros(sum(self._widths)) if bias is None else bias.clone()
            for part, resnet in zip(torch.split(self._bias, self._widths), plain, strict=True):
                if (constant := resnet.constant()) is not None:
                    part += constant
        self._embeddings: torch.Tensor | None = None
        self._table: torch.Tensor | None = None
        if _all_plain(unet.time_embedding):
            self._embeddings = self._embed(torch.arange(TIMESTEPS, device=unet.conv_in.weight.device))
            if self._conditioned is None and self._weight is not None:
                self._table = F.linear(F.silu(self._embeddings), self._weight, self._bias)

    def condition(self, pooled: torch.Tensor, size_ids: torch.Tensor) -> torch.Tensor:
        """Return what pooled text and picture size add to the time embedding: ``(1, E)``."""
        assert self._conditioned is not None
        assert self._size_embedding is not None
        sizes = self._size_embedding(size_ids.flatten()).reshape(1, -1)
        condition: torch.Tensor = self._conditioned(torch.cat([pooled, sizes.to(pooled.dtype)], dim=-1))
        return condition

    def __call__(self, timestep: torch.Tensor, condition: torch.Tensor | None) -> list[torch.Tensor]:
        """Return one shift ``(C,)`` a residual block, for ``timestep`` ``(1,)``."""
        if self._table is not None and not self._live:
            return list(torch.split(self._table.index_select(0, timestep)[0], self._widths))
        embedding = self._embed(timestep) if self._embeddings is None else self._embeddings.index_select(0, timestep)
        activated = F.silu(embedding if condition is None else embedding + condition)
        ready: Iterator[torch.Tensor] = iter(())
        if self._weight is not None:
            ready = iter(torch.split(F.linear(activated, self._weight, self._bias)[0], self._widths))
        live = iter(self._live)
        return [next(ready) if plain else _projected(activated, *next(live)) for plain in self._order]

    def _embed(self, timesteps: torch.Tensor) -> torch.Tensor:
        embedding: torch.Tensor = self._time_embedding(self._time_proj(timesteps).to(self._dtype))
        return embedding


def _projected(activated: torch.Tensor, layer: Any, constant: torch.Tensor | None) -> torch.Tensor:
    shift: torch.Tensor = layer(activated)[0]
    return shift if constant is None else shift + constant


def _all_plain(embedding: Any) -> bool:
    return is_plain(embedding.linear_1) and is_plain(embedding.linear_2)


class LeanUNet:
    """A ``UNet2DConditionModel`` of the Stable Diffusion families.

    Raises:
        GeneratorError: if the UNet has parts that are not known here.
    """

    def __init__(self, unet: Any) -> None:
        reason = _unknown(unet)
        if reason:
            raise GeneratorError(f"the graph rung does not know this UNet ({reason}); the eager rung plays it")
        self._stages = [_Stage(block) for block in (*unet.down_blocks, unet.mid_block, *unet.up_blocks)]
        self._downs = len(unet.down_blocks)
        resnets = [resnet for stage in self._stages for resnet in stage.resnets]
        self.shifts = TimeShifts(unet, resnets)
        blocks = [
            block
            for stage in (*unet.down_blocks, unet.mid_block, *unet.up_blocks)
            for attention in getattr(stage, "attentions", ())
            for block in attention.transformer_blocks
        ]
        self.texts = TextProjections([block.attn2 for block in blocks])
        self._conv_in, self._conv_out, self._norm = unet.conv_in, unet.conv_out, unet.conv_norm_out

    def __call__(
        self,
        latents: torch.Tensor,
        timestep: torch.Tensor,
        texts: Sequence[KeysValues],
        condition: torch.Tensor | None,
        ops: Ops,
    ) -> torch.Tensor:
        """Return the prediction for ``latents`` at ``timestep``, ``(1,)`` int64."""
        shifts = iter(self.shifts(timestep, condition))
        words = iter(texts)
        x = self._conv_in(latents.contiguous(memory_format=torch.channels_last))
        skips = [x]
        for stage in self._stages[: self._downs]:
            for resnet, attention in zip(stage.resnets, stage.attentions, strict=True):
                x = resnet(x, next(shifts), ops)
                if attention is not None:
                    x = attention(x, [next(words) for _ in attention.blocks], ops)
                skips.append(x)
            if stage.resample is not None:
                x = stage.resample(x)
                skips.append(x)
        middle = self._stages[self._downs]
        x = middle.resnets[0](x, next(shifts), ops)
        for resnet, attention in zip(middle.resnets[1:], middle.attentions, strict=True):
            if attention is not None:
                x = attention(x, [next(words) for _ in attention.blocks], ops)
            x = resnet(x, next(shifts), ops)
        for stage in self._stages[self._downs + 1 :]:
            for resnet, attention in zip(stage.resnets, stage.attentions, strict=True):
                x = resnet(torch.cat([x, skips.pop()], dim=1), next(shifts), ops)
                if attention is not None:
                    x = attention(x, [next(words) for _ in attention.blocks], ops)
            if stage.resample is not None:
                x = stage.resample(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        output: torch.Tensor = self._conv_out(ops.group_norm(x, self._norm, silu=True))
        return output


class _Stage:
    """A block of the UNet: residual blocks, attentions between them, a convolution that changes the size."""

    def __init__(self, block: Any) -> None:
        self.resnets = [Resnet(resnet) for resnet in block.resnets]
        attentions = getattr(block, "attentions", None)
        self.attentions: list[SpatialTransformer | None] = (
            [None] * len(self.resnets) if attentions is None else [SpatialTransformer(module) for module in attentions]
        )
        resamplers = getattr(block, "downsamplers", None) or getattr(block, "upsamplers", None)
        self.resample = resamplers[0].conv if resamplers else None


_Layers = tuple[tuple[int, type], ...]
_known: weakref.WeakKeyDictionary[Any, tuple[_Layers, LeanUNet]] = weakref.WeakKeyDictionary()


def lean_unet(unet: Any) -> LeanUNet:
    """Return the lean copy of ``unet``; all networks of one model share it until LoRAs change its layers.

    Raises:
        GeneratorError: if the UNet has parts that are not known here.
    """
    layers = tuple((id(module), type(module)) for module in unet.modules())
    known = _known.get(unet)
    if known is None or known[0] != layers:
        known = layers, LeanUNet(unet)
        _known[unet] = known
    return known[1]


def _unknown(unet: Any) -> str:
    """Return what in ``unet`` is not known here; empty if all is."""
    config = unet.config
    blocks = [*unet.down_blocks, unet.mid_block, *unet.up_blocks]
    strange = sorted({type(block).__name__ for block in blocks} - _BLOCKS)
    if strange:
        return f"blocks {', '.join(strange)}"
    if unet.class_embedding is not None or unet.encoder_hid_proj is not None or unet.time_embed_act is not None:
        return "embeddings beside text and time"
    if (
        config.addition_embed_type not in (None, "text_time")
        or config.center_input_sample
        or unet.conv_norm_out is None
    ):
        return "its conditions"
    resnets = [resnet for block in blocks for resnet in block.resnets]
    if any(
        type(r).__name__ != "ResnetBlock2D" or r.time_embedding_norm != "default" or r.output_scale_factor != 1.0
        or r.up or r.down or r.skip_time_act or type(r.nonlinearity).__name__ != "SiLU"
        for r in resnets
    ):  # fmt: skip
        return "its residual blocks"
    for block in blocks:
        for sampler in (*(getattr(block, "downsamplers", None) or ()), *(getattr(block, "upsamplers", None) or ())):
            if (
                getattr(sampler, "norm", None) is not None
                or not sampler.use_conv
                or getattr(sampler, "padding", 1) != 1
            ):
                return "its resampling"
        for attention in getattr(block, "attentions", ()):
            for inner in attention.transformer_blocks:
                if inner.norm_type != "layer_norm" or inner.only_cross_attention or inner.attn2 is None:
                    return "its transformer blocks"
                if inner.attn2.cross_attention_dim is None or type(inner.ff.net[0]).__name__ != "GEGLU":
                    return "its transformer blocks"
                if unusual(inner.attn1) or unusual(inner.attn2):
                    return f"attention with {unusual(inner.attn1) or unusual(inner.attn2)}"
    return ""
