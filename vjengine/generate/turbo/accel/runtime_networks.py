"""Networks that a foreign runtime runs: torch's buffers are its inputs and outputs, so nothing is copied twice.

What differs between ONNX Runtime and OpenVINO is a :class:`Session`; everything else is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.accel.base import TextState
from vjengine.generate.turbo.accel.export import Network, ports_of
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan, RungName

_OF_TEXT = ("text", "pooled", "size_ids")


class Session(Protocol):
    """One network in a runtime."""

    def bind(self, tensors: Mapping[str, torch.Tensor]) -> Callable[[], None]:
        """Return what runs the network once, from and to ``tensors``, which stay where they are.

        Args:
            tensors: inputs and output by name, contiguous.
        """
        ...


class RuntimeNetworks:
    """See :class:`~vjengine.generate.turbo.accel.base.Networks`.

    Args:
        rung: whose they are.
        parts: the model; only its shapes and its LoRA stack are used.
        plan: what the sessions were built for.
        sessions: ``encoder``, ``unet``, ``decoder``.
        device: where the runtime reads and writes: torch's name.
    """

    capturable = False

    def __init__(
        self, rung: RungName, parts: TurboParts, plan: FramePlan, sessions: Mapping[str, Session], device: str = "cpu"
    ) -> None:
        self.rung = rung
        self.plan = plan
        self.dtype = torch.float16 if plan.precision == "float16" else torch.float32
        self._stack: Any = parts.lora
        networks = ports_of(parts, plan)
        self._encoder = _buffers(networks["encoder"], device)
        self._decoder = _buffers(networks["decoder"], device)
        positive = _buffers(networks["unet"], device)
        if self._stack is not None:
            positive["lora"].copy_(self._stack.weights)
        apart = {name: torch.zeros_like(positive[name]) for name in (*_OF_TEXT, "prediction") if name in positive}
        self._unets = {False: positive, True: positive | apart}
        self._encode = sessions["encoder"].bind(self._encoder)
        self._decode = sessions["decoder"].bind(self._decoder)
        self._predict = {negative: sessions["unet"].bind(tensors) for negative, tensors in self._unets.items()}
        # A Mac's torch may keep its tensors on the GPU while the runtime wants them in main memory.
        self._away = torch.device(plan.device).type != torch.device(device).type
        self._returned: dict[int, torch.Tensor] = {}
        for run in (self._encode, self._predict[False], self._predict[True], self._decode):
            run()

    @torch.inference_mode()
    def encode(self, picture: torch.Tensor) -> torch.Tensor:
        """Return the scaled latents of ``picture``."""
        self._encoder["picture"].copy_(picture)
        self._encode()
        return self._give(self._encoder["latents"])

    @torch.inference_mode()
    def predict(self, latents: torch.Tensor, timestep: torch.Tensor, *, negative: bool = False) -> torch.Tensor:
        """Return the UNet's output."""
        tensors = self._unets[negative]
        tensors["latents"].copy_(latents)
        tensors["timestep"].copy_(timestep)
        self._predict[negative]()
        return self._give(tensors["prediction"])

    @torch.inference_mode()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the picture of ``latents``."""
        self._decoder["latents"].copy_(latents)
        self._decode()
        return self._give(self._decoder["picture"])

    @torch.inference_mode()
    def set_text(self, text: TextState, *, negative: bool = False) -> None:
        """Copy ``text`` into place."""
        for name, tensor in zip(_OF_TEXT, (text.embeds, text.pooled, text.size_ids), strict=True):
            own = self._unets[negative].get(name)
            if own is None:
                continue
            if tensor is None:
                raise GeneratorError("an SDXL model needs a pooled text and picture sizes beside the embeddings")
            own.copy_(tensor)

    @torch.inference_mode()
    def set_lora(self, weights: Sequence[float]) -> None:
        """Write the LoRA weights."""
        if self._stack is not None:
            self._stack.set(weights)
            self._unets[False]["lora"].copy_(self._stack.weights)

    def close(self) -> None:
        """Let the runtime go."""
        self._encode = self._decode = _closed
        self._predict = dict.fromkeys((False, True), _closed)

    def _give(self, tensor: torch.Tensor) -> torch.Tensor:
        if not self._away:
            return tensor
        key = id(tensor)
        if key not in self._returned:
            self._returned[key] = torch.empty_like(tensor, device=self.plan.device)
        return self._returned[key].copy_(tensor)


def _closed() -> None:
    raise GeneratorError("these networks have been closed")


def _buffers(network: Network, device: str) -> dict[str, torch.Tensor]:
    return {
        port.name: torch.zeros(port.shape, dtype=getattr(torch, port.dtype), device=device)
        for port in (*network.inputs, network.output)
    }
