"""A loaded model: torch modules and the few facts about them that the loop needs. Contract between loading and use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

ModelKind = Literal["sd", "sdxl"]
Sampling = Literal["turbo", "lcm"]
Prediction = Literal["epsilon", "v_prediction", "sample"]


class LoraStack(Protocol):
    """The LoRAs of a model. Their weights are numbers in one tensor, written in place: nothing is rebuilt."""

    names: tuple[str, ...]
    weights: torch.Tensor
    """(n,) on the model's device: every LoRA layer reads its weight from here at every call."""

    def set(self, weights: Sequence[float]) -> None:
        """Write ``weights``, one a LoRA, in place."""
        ...


@dataclass(slots=True)
class TurboParts:
    """Everything of a model, in eval mode, without gradients, on one device and in one precision.

    Attributes:
        name: as the performer named it.
        fingerprint: hex digest of the bytes of weights and LoRAs; engines are cached under it.
        kind: ``sd`` has one text encoder; ``sdxl`` two, a pooled text and the picture's size as conditions.
        sampling: ``turbo`` (adversarially distilled: the x0 prediction is the picture) or ``lcm`` (consistency:
            boundary-condition scalings).
        prediction: what the UNet's output is.
        alphas: ``(1000,)`` float64, cumulated product of alphas by timestep.
        wants_guidance: True if guidance above 1 means something to this model.
        unet: ``UNet2DConditionModel``.
        vae: ``AutoencoderTiny`` or ``AutoencoderKL``; latents are scaled by its ``scaling_factor``.
        tokenizers, text_encoders: one each, or two for ``sdxl``.
        lora: the LoRA stack; None without LoRAs.
        source: folder or file that it came from; empty for a random model.
    """

    name: str
    fingerprint: str
    kind: ModelKind
    sampling: Sampling
    prediction: Prediction
    alphas: npt.NDArray[np.float64]
    wants_guidance: bool
    unet: Any
    vae: Any
    tokenizers: tuple[Any, ...]
    text_encoders: tuple[Any, ...]
    lora: LoraStack | None = None
    source: str = ""

    @property
    def tiny_vae(self) -> bool:
        """True if the autoencoder is TAESD or TAESDXL."""
        return type(self.vae).__name__ == "AutoencoderTiny"
