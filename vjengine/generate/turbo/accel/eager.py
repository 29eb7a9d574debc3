"""The bottom rung: the torch modules as they are. Every other rung is measured against it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from vjengine.generate.turbo.accel.autoencoder import DiffusersAutoencoder
from vjengine.generate.turbo.accel.base import Networks, Say, TextState
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan, RungName


class EagerNetworks:
    """See :class:`~vjengine.generate.turbo.accel.base.Networks`."""

    rung: RungName = "eager"
    capturable = False

    def __init__(self, parts: TurboParts, plan: FramePlan) -> None:
        self.plan = plan
        self.dtype = getattr(torch, plan.precision)
        self._parts = parts
        self._autoencoder = DiffusersAutoencoder(parts, plan)
        self._text: dict[bool, TextState] = {}

    @torch.inference_mode()
    def encode(self, picture: torch.Tensor) -> torch.Tensor:
        """Return the scaled latents of ``picture``."""
        return self._autoencoder.encode(picture)

    @torch.inference_mode()
    def predict(self, latents: torch.Tensor, timestep: torch.Tensor, *, negative: bool = False) -> torch.Tensor:
        """Return the UNet's output."""
        text = self._text[negative]
        added = None if text.pooled is None else {"text_embeds": text.pooled, "time_ids": text.size_ids}
        output: torch.Tensor = self._parts.unet(
            latents, timestep, encoder_hidden_states=text.embeds, added_cond_kwargs=added, return_dict=False
        )[0]
        return output

    @torch.inference_mode()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the picture of ``latents``."""
        return self._autoencoder.decode(latents)

    @torch.inference_mode()
    def set_text(self, text: TextState, *, negative: bool = False) -> None:
        """Copy ``text`` into place."""
        if negative not in self._text:
            self._text[negative] = TextState(text.embeds.clone(), _clone(text.pooled), _clone(text.size_ids))
            return
        own = self._text[negative]
        own.embeds.copy_(text.embeds)
        for old, new in ((own.pooled, text.pooled), (own.size_ids, text.size_ids)):
            if old is not None and new is not None:
                old.copy_(new)

    def set_lora(self, weights: Sequence[float]) -> None:
        """Write the LoRA weights."""
        if self._parts.lora is not None:
            self._parts.lora.set(weights)

    def close(self) -> None:
        """Let go of the texts; the modules belong to the parts."""
        self._text.clear()


def _clone(tensor: torch.Tensor | None) -> torch.Tensor | None:
    return None if tensor is None else tensor.clone()


class EagerRung:
    """See :class:`~vjengine.generate.turbo.accel.base.Rung`."""

    name: RungName = "eager"
    doc = "PyTorch as it is: slow, starts at once, runs everywhere"
    needs_build = False

    def missing(self, plan: FramePlan) -> str:
        """Nothing is ever missing."""
        return ""

    def ready(self, parts_fingerprint: str, plan: FramePlan, folder: Path) -> bool:
        """There is nothing to build."""
        return True

    def prepare(self, parts: TurboParts, plan: FramePlan, folder: Path, say: Say) -> None:
        """Do nothing."""

    def load(self, parts: TurboParts, plan: FramePlan, folder: Path) -> Networks:
        """Return the networks."""
        return EagerNetworks(parts, plan)
