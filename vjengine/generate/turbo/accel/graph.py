"""The rung ``graph``: the torch modules prepared for speed, ready to be recorded into one CUDA graph.

It computes what the eager rung computes, with less around it:

* keys and values of the text once a prompt, into static buffers, by one matrix product for all cross attentions;
* the timestep's share of every residual block from a table;
* channels-last layout, one matrix product for queries, keys and values, TAESD without its changes of range;
* on CUDA with Triton, norms, activations, biases and residual sums in one kernel each (:mod:`.fused`).

On CUDA the loop records the whole frame (:func:`~.capture.capture`); on a CPU or Apple's GPU it runs as it is.

The modules are not replaced: a structural copy (:mod:`.unet`) shares their weights, so the eager rung may play on the
same parts while this one loads on another thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.accel.attention import KeysValues
from vjengine.generate.turbo.accel.autoencoder import Autoencoder, DiffusersAutoencoder, LeanTiny
from vjengine.generate.turbo.accel.base import Networks, Say, TextState
from vjengine.generate.turbo.accel.fused import best_ops
from vjengine.generate.turbo.accel.modules import channels_last
from vjengine.generate.turbo.accel.ops import Ops
from vjengine.generate.turbo.accel.unet import LeanUNet, lean_unet
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import TEXT_TOKENS, FramePlan, RungName


class _Text:
    """What one prompt, the positive or the negative, has become. Everything is written in place."""

    def __init__(self, unet: LeanUNet, parts: TurboParts, dtype: torch.dtype, device: torch.device) -> None:
        self.embeds = torch.zeros(TEXT_TOKENS, parts.unet.config.cross_attention_dim, dtype=dtype, device=device)
        self.projected = torch.zeros(TEXT_TOKENS, unet.texts.width, dtype=dtype, device=device)
        self.keys_values: list[KeysValues] = unet.texts.views(self.projected)
        self.pooled: torch.Tensor | None = None
        self.size_ids: torch.Tensor | None = None
        self.condition: torch.Tensor | None = None
        if parts.kind == "sdxl":
            embedding = parts.unet.add_embedding
            sizes = 6 * parts.unet.config.addition_time_embed_dim
            self.pooled = torch.zeros(1, embedding.linear_1.in_features - sizes, dtype=dtype, device=device)
            self.size_ids = torch.zeros(1, 6, dtype=dtype, device=device)
            self.condition = torch.zeros(1, embedding.linear_2.out_features, dtype=dtype, device=device)

    def write_condition(self, unet: LeanUNet) -> None:
        """Make the condition of pooled text and picture size, where the model has one."""
        if self.condition is not None and self.pooled is not None and self.size_ids is not None:
            self.condition.copy_(unet.shifts.condition(self.pooled, self.size_ids))


class GraphNetworks:
    """See :class:`~vjengine.generate.turbo.accel.base.Networks`."""

    rung: RungName = "graph"

    def __init__(self, parts: TurboParts, plan: FramePlan, ops: Ops) -> None:
        self.plan = plan
        self.dtype: torch.dtype = getattr(torch, plan.precision)
        device = torch.device(plan.device)
        self.capturable = device.type == "cuda"
        self.ops = ops
        # Triton launches on the current device, not on the tensors'.
        self._here: Callable[[], AbstractContextManager[Any]] = (
            partial(torch.cuda.device, device) if device.type == "cuda" else nullcontext
        )
        self._parts = parts
        self._unet = lean_unet(parts.unet)
        self._autoencoder: Autoencoder = (
            LeanTiny(parts.vae, ops) if parts.tiny_vae else DiffusersAutoencoder(parts, plan)
        )
        self._texts = {negative: _Text(self._unet, parts, self.dtype, device) for negative in (False, True)}
        self._lora: tuple[float, ...] | None = None

    @torch.inference_mode()
    def encode(self, picture: torch.Tensor) -> torch.Tensor:
        """Return the scaled latents of ``picture``."""
        return self._autoencoder.encode(picture)

    @torch.inference_mode()
    def predict(self, latents: torch.Tensor, timestep: torch.Tensor, *, negative: bool = False) -> torch.Tensor:
        """Return the UNet's output."""
        text = self._texts[negative]
        with self._here():
            return self._unet(latents, timestep, text.keys_values, text.condition, self.ops)

    @torch.inference_mode()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the picture of ``latents``."""
        return self._autoencoder.decode(latents)

    @torch.inference_mode()
    def set_text(self, text: TextState, *, negative: bool = False) -> None:
        """Write ``text``'s keys, values and conditions into place."""
        own = self._texts[negative]
        own.embeds.copy_(text.embeds[0])
        self._unet.texts.write(own.embeds, own.projected)
        if own.pooled is not None and own.size_ids is not None:
            if text.pooled is None or text.size_ids is None:
                raise GeneratorError("an SDXL model needs a pooled text and picture sizes beside the embeddings")
            own.pooled.copy_(text.pooled)
            own.size_ids.copy_(text.size_ids)
            own.write_condition(self._unet)
        # Keys and values were made with whatever weights the LoRAs have now: the next set_lora must not be skipped.
        self._lora = None

    @torch.inference_mode()
    def set_lora(self, weights: Sequence[float]) -> None:
        """Write the LoRA weights; keys, values and conditions that depend on them are made anew."""
        if self._parts.lora is None:
            return
        self._parts.lora.set(weights)
        if tuple(weights) != self._lora:
            for text in self._texts.values():
                if self._unet.texts.touched:
                    self._unet.texts.write(text.embeds, text.projected, only_touched=True)
                if self._unet.shifts.touched:
                    text.write_condition(self._unet)
        self._lora = tuple(weights)

    def close(self) -> None:
        """Let go of the buffers; the weights belong to the parts."""
        self._texts.clear()


class GraphRung:
    """See :class:`~vjengine.generate.turbo.accel.base.Rung`."""

    name: RungName = "graph"
    doc = "PyTorch with everything constant taken out; on NVIDIA cards the whole frame is one recorded CUDA graph"
    needs_build = False

    def missing(self, plan: FramePlan) -> str:
        """Say so where the plan's device is a card that PyTorch does not see; on a CPU it runs unrecorded."""
        if plan.device.startswith("cuda") and not torch.cuda.is_available():
            return "PyTorch sees no CUDA card; install a CUDA build of torch and the NVIDIA driver"
        return ""

    def ready(self, parts_fingerprint: str, plan: FramePlan, folder: Path) -> bool:
        """There is nothing to build."""
        return True

    def prepare(self, parts: TurboParts, plan: FramePlan, folder: Path, say: Say) -> None:
        """Do nothing."""

    @torch.no_grad()  # not inference mode: weights that are laid out anew stay fit for export
    def load(self, parts: TurboParts, plan: FramePlan, folder: Path) -> Networks:
        """Return the networks, warmed up.

        Raises:
            GeneratorError: if the model has parts that this rung does not know.
        """
        if plan.device.startswith("cuda"):
            # Shapes never change here, so trying all algorithms once pays.
            torch.backends.cudnn.benchmark = True
            channels_last(parts.unet)
            channels_last(parts.vae)
        return GraphNetworks(parts, plan, best_ops(torch.device(plan.device), getattr(torch, plan.precision)))
