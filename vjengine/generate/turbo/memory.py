"""How much memory a model will take, in numbers and before it is loaded, and what to do where that is too much.

An estimate is made of four parts: weights; activations of the UNet; activations of the autoencoder (the two do not
happen at once); and what libraries keep for themselves. Elements a px were derived from the layers of the published
configurations and set against measurements of full-size random models on a CPU: there totals were 2-5 % too high.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from vjengine.generate.turbo.parts import ModelKind, TurboParts
from vjengine.generate.turbo.plan import LATENT_CELL, MULTIPLE, FramePlan, RungName, nearest_size

TILE = 256
"""px a side of a tile of a tiled decode, as :mod:`~vjengine.generate.turbo.accel.autoencoder` cuts them."""

SMALLEST = 256
"""px of the longer side below which a picture is not made smaller."""

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_MILLION = 10**6
_LORA = 25 * _MILLION  # parameters of a LoRA of rank 64 for an SD UNet: a generous guess
_UNET_ELEMENTS = 28  # a latent cell and first-level channel: the gated feed-forward (8), its input, skips, convolutions
_VAE_ELEMENTS = 10  # a px and first-level channel, full decoder: twice as many in, normalised, convolved, at full size
_ENCODER_ELEMENTS = 6  # the same of the encoder, which is never tiled
_TINY_ELEMENTS = 4  # a px and channel: in, two between, out
_OWN_COPIES: dict[RungName, int] = {"eager": 0, "graph": 0, "onnx": 1, "openvino": 1, "tensorrt": 1}
"""Copies of the networks that a rung makes beside the torch modules, which stay to fall back on."""
_SECOND_POOL: tuple[RungName, ...] = ("graph", "tensorrt")
"""Rungs that keep activations of their own beside those of the warm-up."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Sizes of a model.

    Attributes:
        unet: parameters of the UNet.
        text: parameters of the text encoders.
        vae: parameters of the full autoencoder.
        tiny_vae: parameters of TAESD.
        channels: width of the UNet's first level.
        vae_channels: width of the full autoencoder's first level.
        tiny_channels: width of TAESD.
    """

    unet: int
    text: int
    vae: int = 84 * _MILLION
    tiny_vae: int = 2_450_000
    channels: int = 320
    vae_channels: int = 128
    tiny_channels: int = 64


FACTS: dict[ModelKind, ModelFacts] = {
    "sd": ModelFacts(unet=866 * _MILLION, text=340 * _MILLION),
    "sdxl": ModelFacts(unet=2567 * _MILLION, text=(123 + 695) * _MILLION),
}
"""What is known of a model of a kind before it is loaded. SD 1.5 is a little smaller than this."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes that a model will take on its device.

    Attributes:
        weights: of all networks, and copies of them.
        activations: of the UNet.
        decode: of the autoencoder, whichever half takes more.
        workspace: of libraries.
    """

    weights: int
    activations: int
    decode: int
    workspace: int

    @property
    def total(self) -> int:
        """Bytes at the worst moment."""
        return self.weights + max(self.activations, self.decode) + self.workspace


@dataclass(frozen=True, slots=True)
class Fit:
    """What was found to fit.

    Attributes:
        plan: the plan, with the asked size where that fits.
        rung: the rung.
        estimate: what it takes.
        words: what had to give, in one line for the HUD; empty if nothing.
        fits: False if even this is more than is free: it is tried all the same.
    """

    plan: FramePlan
    rung: RungName
    estimate: Estimate
    words: str
    fits: bool


def facts_of(parts: TurboParts) -> ModelFacts:
    """Return the sizes of a loaded model, counted."""
    vae = _parameters(parts.vae)
    known = FACTS[parts.kind]
    return ModelFacts(
        unet=_parameters(parts.unet),
        text=sum(map(_parameters, parts.text_encoders)),
        vae=known.vae if parts.tiny_vae else vae,
        tiny_vae=vae if parts.tiny_vae else known.tiny_vae,
        channels=int(parts.unet.config.block_out_channels[0]),
        vae_channels=known.vae_channels if parts.tiny_vae else int(parts.vae.config.block_out_channels[0]),
        tiny_channels=int(parts.vae.config.decoder_block_out_channels[-1]) if parts.tiny_vae else known.tiny_channels,
    )


def estimate(facts: ModelFacts, plan: FramePlan, rung: RungName, full_vae: bool = False) -> Estimate:
    """Return what a model of these ``facts`` takes under ``plan`` on ``rung``, in bytes."""
    width = _BYTES[plan.precision]
    pixels = plan.size[0] * plan.size[1]
    vae = facts.vae if full_vae else facts.tiny_vae
    networks = facts.unet + vae + plan.loras * _LORA
    pools = 2 if rung in _SECOND_POOL else 1
    if full_vae:
        at_once = min(pixels, TILE * TILE) if plan.tiled else pixels
        decoded = max(at_once * _VAE_ELEMENTS, pixels * _ENCODER_ELEMENTS) * facts.vae_channels
    else:
        decoded = pixels * facts.tiny_channels * _TINY_ELEMENTS
    weights = (networks * (1 + _OWN_COPIES[rung]) + facts.text) * width
    return Estimate(
        weights=weights,
        activations=pixels // LATENT_CELL**2 * facts.channels * _UNET_ELEMENTS * width * pools,
        decode=decoded * width * pools,
        # Matrix libraries, fragmentation of the allocator; a CUDA context is made before anybody asks what is free.
        workspace=(256 << 20 if plan.device.startswith("cuda") else 64 << 20) + weights // 20,
    )


def fitting_plan(facts: ModelFacts, plan: FramePlan, rung: RungName, full_vae: bool, free: int) -> Fit:
    """Return the best that fits into ``free`` bytes: tiles first, then a smaller picture, then a rung with less.

    The proportions of the picture are kept as far as its sides can be multiples of 64.
    """
    asked = needed = estimate(facts, plan, rung, full_vae)
    best = plan, rung
    for best in _walk(plan, rung, full_vae):
        needed = estimate(facts, *best, full_vae)
        if needed.total <= free:
            break
    return Fit(*best, needed, _words(asked, free, (plan, rung), best), needed.total <= free)


def step_down(plan: FramePlan, full_vae: bool = False) -> tuple[FramePlan, str] | None:
    """Return the next smaller plan after memory ran out, and words for the HUD; None if there is nothing less."""
    if full_vae and not plan.tiled:
        return replace(plan, tiled=True), "out of memory: decoding in tiles"
    for size in _smaller(plan.size):
        return replace(plan, size=size), f"out of memory: {_named(size)} instead of {_named(plan.size)}"
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """True if ``error``, or what caused it, says that memory ran out; libraries have many ways of saying so."""
    seen: BaseException | None = error
    while seen is not None:
        text = str(seen).lower()
        if isinstance(seen, MemoryError) or type(seen).__name__ == "OutOfMemoryError":
            return True
        if isinstance(seen, RuntimeError) and any(
            sign in text for sign in ("out of memory", "can't allocate memory", "alloc_failed", "bad_alloc")
        ):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def free_memory(device: str) -> int:
    """Return the bytes that are free on torch's ``device``."""
    kind = device.partition(":")[0]
    if kind == "cuda":
        free, _ = _torch().cuda.mem_get_info(device)
        return int(free) + int(_torch().cuda.memory_reserved(device) - _torch().cuda.memory_allocated(device))
    if kind == "mps":
        return int(_torch().mps.recommended_max_memory()) - int(_torch().mps.driver_allocated_memory())
    return min(int(psutil.virtual_memory().available), _left_in_container())


def peak(device: str) -> int:
    """Return the most bytes this process has held on torch's ``device``; on a CPU including the program itself."""
    kind = device.partition(":")[0]
    if kind == "cuda":
        return int(_torch().cuda.max_memory_reserved(device))
    if kind == "mps":
        return int(_torch().mps.driver_allocated_memory())
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    info = psutil.Process().memory_info()
    if sys.platform == "win32":
        return int(info.peak_wset)
    import resource  # POSIX only

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def gigabytes(amount: int) -> str:
    """Return ``amount`` bytes as the HUD shows them.

    >>> gigabytes(3_210_000_000)
    '3.2 GB'
    """
    return f"{amount / 1e9:.1f} GB"


def _walk(plan: FramePlan, rung: RungName, full_vae: bool) -> Iterator[tuple[FramePlan, RungName]]:
    rungs: list[RungName] = [rung, "eager"] if rung != "eager" else [rung]
    for each in rungs:
        yield plan, each
        tiled = replace(plan, tiled=True) if full_vae else plan
        if tiled != plan:
            yield tiled, each
        for size in _smaller(plan.size):
            yield replace(tiled, size=size), each


def _smaller(size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield ever smaller sizes of about the same proportions, down to :data:`SMALLEST` px."""
    longer = max(size)
    for side in range(longer - MULTIPLE, min(SMALLEST, longer) - 1, -MULTIPLE):
        yield nearest_size((round(size[0] * side / longer), round(size[1] * side / longer)))


def _words(asked: Estimate, free: int, before: tuple[FramePlan, RungName], after: tuple[FramePlan, RungName]) -> str:
    if asked.total <= free:
        return ""
    changes = []
    if after[0].size != before[0].size:
        changes.append(f"{_named(after[0].size)} instead of {_named(before[0].size)}")
    if after[0].tiled and not before[0].tiled:
        changes.append("decoding in tiles")
    if after[1] != before[1]:
        changes.append(f"{after[1]} instead of {before[1]}")
    return f"needs {gigabytes(asked.total)}, {gigabytes(free)} free: {', '.join(changes) or 'trying all the same'}"


def _named(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _parameters(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _torch() -> Any:
    """Import torch only where a device is asked: an estimate needs none."""
    import torch

    return torch


def _left_in_container() -> int:
    """Return what a container's limit (Linux control groups, version 2) leaves; without one, as good as endless."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text().strip()
        used = int((folder / "memory.current").read_text())
        return sys.maxsize if limit == "max" else max(0, int(limit) - used)
    except (OSError, ValueError):
        return sys.maxsize
