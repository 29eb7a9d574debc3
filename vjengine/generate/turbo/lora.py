"""LoRAs whose weights move while the show runs: numbers in one tensor, read by every layer at every call.

Nothing is merged and nothing rebuilt: a captured CUDA graph replays with what was written in place, and an ONNX
export may put an input of the graph where the tensor was. All LoRAs of a layer are one pair of matrices: a stack
costs two small products a layer, however many there are.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from vjengine.errors import GeneratorError, UsageError
from vjengine.generate.turbo.lora_names import layer_table, split_key
from vjengine.generate.turbo.weights import fingerprint_file, read_tensors

log = logging.getLogger(__name__)

_OTHERS = {
    "hada_": "LoHa",
    "lokr_": "LoKr",
    "oft_": "OFT",
    "dora_scale": "DoRA",
    "lora_magnitude_vector": "DoRA",
    "lora_mid": "Tucker LoCon",
    "on_input": "IA3",
}


@dataclass(slots=True)
class Lora:
    """A LoRA as read: per layer of the UNet a pair of matrices, its strength already in the second.

    Attributes:
        name: of the file, without its ending.
        fingerprint: hex digest of its bytes.
        layers: by the layer's name: down ``(r, in, ...)`` and up ``(out, r)``, float32 on the CPU.
        text: number of text encoder layers in the file, which are left out.
    """

    name: str
    fingerprint: str
    layers: dict[str, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)
    text: int = 0


class LoraStack:
    """See :class:`~vjengine.generate.turbo.parts.LoraStack`.

    Attributes:
        names: of the LoRAs, in order.
        weights: ``(n,)`` on the model's device, in its precision; all 0 at first.
        fingerprint: hex digest of all their bytes, in order.
        notes: what a performer should know of these files.
    """

    def __init__(self, loras: Sequence[Lora], device: torch.device, dtype: torch.dtype) -> None:
        self.names = tuple(lora.name for lora in loras)
        self.weights = torch.zeros(len(loras), device=device, dtype=dtype)
        self.fingerprint = "-".join(lora.fingerprint for lora in loras)
        self.notes = tuple(
            f"the LoRA {lora.name} also changes the text encoder; that part is left out" for lora in loras if lora.text
        )
        # Pinned, so that writing waits for nobody.
        self._staged = torch.zeros(len(loras), dtype=dtype, pin_memory=device.type == "cuda")

    def set(self, weights: Sequence[float]) -> None:
        """Write ``weights``, one a LoRA, in place.

        Raises:
            UsageError: if their number is not that of the LoRAs, or one is not finite.
        """
        if len(weights) != len(self.names) or not all(map(math.isfinite, weights)):
            raise UsageError(
                f"{len(self.names)} LoRA weights are needed ({', '.join(self.names)}), not {list(weights)}"
            )
        for index, weight in enumerate(weights):
            self._staged[index] = weight
        self.weights.copy_(self._staged, non_blocking=True)

    def __deepcopy__(self, memo: dict[int, Any]) -> LoraStack:
        """Copies of a network obey the same faders."""
        return self


class _LoraLinear(nn.Linear):
    """A linear layer with its LoRAs: shares the parameters of the layer that it stands in for."""

    down: torch.Tensor
    up: torch.Tensor

    def __init__(self, base: nn.Linear, down: torch.Tensor, up: torch.Tensor, stack: LoraStack) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = base.in_features, base.out_features
        self.weight, self.bias = base.weight, base.bias
        self.register_buffer("down", down.flatten(1), persistent=False)
        self.register_buffer("up", up, persistent=False)
        self.stack = stack

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        weights = self.stack.weights.to(input.dtype)
        inner = F.linear(input, self.down)
        count = weights.shape[0]
        if count > 1:
            weights = weights.reshape(count, 1).expand(count, self.down.shape[0] // count).reshape(-1)
        return F.linear(input, self.weight, self.bias) + F.linear(inner * weights, self.up)


class _LoraConv2d(nn.Conv2d):
    """A convolution with its LoRAs: shares the parameters of the layer that it stands in for."""

    down: torch.Tensor
    up: torch.Tensor

    def __init__(self, base: nn.Conv2d, down: torch.Tensor, up: torch.Tensor, stack: LoraStack) -> None:
        nn.Module.__init__(self)
        # Everything that the plain layer knows of itself: stride, padding, groups ...
        self.__dict__.update({name: value for name, value in base.__dict__.items() if not name.startswith("_")})
        self._reversed_padding_repeated_twice = base._reversed_padding_repeated_twice
        self.weight, self.bias = base.weight, base.bias
        self.register_buffer("down", down, persistent=False)
        self.register_buffer("up", up[:, :, None, None], persistent=False)
        self.stack = stack

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        weights = self.stack.weights.to(input.dtype)
        inner = self._conv_forward(input, self.down, None)
        count = weights.shape[0]
        weights = weights.reshape(count, 1).expand(count, self.down.shape[0] // count).reshape(1, -1, 1, 1)
        output: torch.Tensor = self._conv_forward(input, self.weight, self.bias)
        return output + F.conv2d(inner * weights, self.up)


def read_lora(path: Path, unet: Any) -> Lora:
    """Read the LoRA in ``path`` for ``unet``; kohya's, peft's and diffusers' spellings are known.

    Raises:
        GeneratorError: naming the file: not a LoRA, of a sort that is not known, broken, or for another model.
    """
    tensors, metadata = read_tensors(path)
    lora = Lora(path.stem, fingerprint_file(path))
    table = layer_table(unet)
    found: dict[str, dict[str, torch.Tensor]] = {}
    unknown: list[str] = []
    text: set[str] = set()
    for key, tensor in tensors.items():
        for mark, sort in _OTHERS.items():
            if mark in key:
                raise GeneratorError(f"{path} is a {sort}, not a plain LoRA; convert it to one, or leave it out")
        whose, layer, which = split_key(key)
        if whose == "text":
            text.add(layer)
        elif layer in table and which in ("down", "up", "alpha"):
            found.setdefault(table[layer], {})[which] = tensor
        else:
            unknown.append(key)
    lora.text = len(text)
    told = _metadata(metadata)
    for name, tensor_by in found.items():
        if not {"down", "up"} <= set(tensor_by):
            raise GeneratorError(f"{path} is broken: {name} has only one of its two matrices")
        lora.layers[name] = _pair(path, name, unet.get_submodule(name), tensor_by, told)
    if not lora.layers or len(unknown) > len(tensors) // 10:
        example = f", for example {unknown[0]}" if unknown else ""
        raise GeneratorError(
            f"{path} does not fit this model: {len(unknown)} of its {len(tensors)} entries name layers that the model "
            f"does not have{example}. A LoRA fits the family it was trained for: SD 1.5, SD 2.1 (SD-Turbo) or SDXL"
        )
    if unknown:
        log.info("%s: %d entries are not of this model and were left out, such as %s", path, len(unknown), unknown[0])
    return lora


def _pair(
    path: Path, name: str, layer: Any, tensors: dict[str, torch.Tensor], told: dict[str, Any]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return down and up of one layer, shaped for it, with alpha / rank multiplied into up."""
    down, up = tensors["down"].float(), tensors["up"].float().flatten(1)
    rank = down.shape[0]
    if isinstance(layer, nn.Linear):
        down = down.flatten(1)
        fits = down.shape == (rank, layer.in_features) and up.shape == (layer.out_features, rank)
    else:
        if down.ndim == 2:
            down = down[:, :, None, None]
        kernel = (rank, layer.in_channels // layer.groups, *layer.kernel_size)
        fits = down.shape == kernel and up.shape == (layer.out_channels, rank)
    if not fits:
        raise GeneratorError(
            f"{path} does not fit this model: at {name} it has {tuple(down.shape)} and {tuple(up.shape)}, and the "
            f"model's layer is {tuple(layer.weight.shape)}. A LoRA fits the family it was trained for: SD 1.5, SD 2.1 "
            "(SD-Turbo) or SDXL"
        )
    if "alpha" in tensors:
        alpha = float(tensors["alpha"])
    else:
        pattern = told.get("alpha_pattern") or {}
        alpha = float(pattern.get(name, told.get("lora_alpha", rank)))
    scale = alpha / (math.sqrt(rank) if told.get("use_rslora") else rank)
    if not (math.isfinite(scale) and bool(torch.isfinite(down).all()) and bool(torch.isfinite(up).all())):
        raise GeneratorError(f"{path} is broken: {name} is not all finite numbers")
    return down, up * scale


def _metadata(metadata: dict[str, str]) -> dict[str, Any]:
    """Return what peft says of the UNet's LoRA in the file's header; empty if it says nothing."""
    try:
        told = json.loads(metadata.get("lora_adapter_metadata", "{}"))
        return {key.removeprefix("unet."): value for key, value in told.items() if key.startswith("unet.")}
    except (ValueError, AttributeError):
        return {}


def add_loras(unet: Any, paths: Sequence[Path]) -> LoraStack:
    """Put the LoRAs in ``paths`` into ``unet``; return the stack that moves them. All weights are 0 at first.

    Raises:
        GeneratorError: as :func:`read_lora` does.
    """
    loras = [read_lora(path, unet) for path in paths]
    # Asked once: each answer walks through the whole network.
    device, dtype = unet.device, unet.dtype
    stack = LoraStack(loras, device, dtype)
    for name in dict.fromkeys(name for lora in loras for name in lora.layers):
        layer = unet.get_submodule(name)
        downs, ups = _padded([lora.layers.get(name) for lora in loras])
        kind: Any = _LoraLinear if isinstance(layer, nn.Linear) else _LoraConv2d
        stands_in = kind(layer, downs.to(device, dtype), ups.to(device, dtype), stack).eval()
        stands_in.requires_grad_(False)
        parent, _, last = name.rpartition(".")
        setattr(unet.get_submodule(parent), last, stands_in)
    return stack


def _padded(pairs: Sequence[tuple[torch.Tensor, torch.Tensor] | None]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all LoRAs of one layer as one, each with zeros up to the highest rank."""
    there = [pair for pair in pairs if pair is not None]
    rank = max(down.shape[0] for down, _ in there)
    shape, height = there[0][0].shape[1:], there[0][1].shape[0]
    down, up = torch.zeros(len(pairs), rank, *shape), torch.zeros(height, len(pairs), rank)
    for index, pair in enumerate(pairs):
        if pair is not None:
            down[index, : pair[0].shape[0]] = pair[0]
            up[:, index, : pair[1].shape[1]] = pair[1]
    return down.flatten(0, 1), up.flatten(1)


@torch.no_grad()
def fuse_lora(unet: Any, path: Path, weight: float = 1.0) -> str:
    """Add the LoRA in ``path`` to the weights of ``unet`` for good; return its fingerprint.

    Raises:
        GeneratorError: as :func:`read_lora` does.
    """
    lora = read_lora(path, unet)
    for name, (down, up) in lora.layers.items():
        layer = unet.get_submodule(name)
        place = layer.weight.device
        delta = (up.to(place) @ down.to(place).flatten(1)).reshape(layer.weight.shape)
        layer.weight.copy_(layer.weight.float() + weight * delta)
    return lora.fingerprint
