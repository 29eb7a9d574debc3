"""A turbo loop under measurement: a model, its rungs, their frames, what they should cost and what they hold."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vjengine.core.generation import GeneratorParams
from vjengine.generate.turbo.accel.base import Rung, TextState
from vjengine.generate.turbo.accel.capture import capture
from vjengine.generate.turbo.controls import Controls, read_controls
from vjengine.generate.turbo.loop import TurboLoop
from vjengine.generate.turbo.memory import peak
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import TEXT_TOKENS, FramePlan
from vjengine.generate.turbo.program import FrameProgram
from vjengine.generate.turbo.text import TextEncoder
from vjengine.generate.turbo.transfer import Outbox

FPS = 60.0
"""Frames a second of the session clock that the loop is told."""
MEASURED_PEAK = {"H200": 790.0, "H100": 790.0}
"""Dense half-precision TFLOP/s that a matrix product reaches, by part of the card's name; others are measured."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is measured: a model at a size in a precision on a device."""

    model: str
    plan: FramePlan
    frames: int

    def __str__(self) -> str:
        width, height = self.plan.size
        return f"{self.model} {width}x{height} {self.plan.precision}"


def synchronise(device: str) -> None:
    """Wait for everything that was queued on the current stream."""
    if device.startswith("cuda"):
        torch.cuda.current_stream(device).synchronize()


def controls(number: int, parts: TurboParts, plan: FramePlan, **changes: Any) -> Controls:
    """Return the controls of frame ``number``: one step at strength 0.5, drifting, with ``changes``."""
    given = read_controls(
        GeneratorParams(sequence=number, time=number / FPS), wants_guidance=parts.wants_guidance, loras=plan.loras
    )
    return replace(given, **{"steps": 1, "strength": 0.5, **changes})


class Rig:
    """One rung playing one job.

    Attributes:
        load_s: s from the model's parts to a program that can play, recording included.
        build_s: s of the build before; 0 where nothing was to build.
        held: bytes on the device (on a CPU: of the process) after playing.
    """

    def __init__(self, rung: Rung, parts: TurboParts, job: Job, folder: Path) -> None:
        self.parts, self.job = parts, job
        plan = job.plan
        self.build_s = 0.0
        if plan.device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(plan.device)
        if not rung.ready(parts.fingerprint, plan, folder):
            start = time.perf_counter()
            rung.prepare(parts, plan, folder, lambda _doing, _fraction: None)
            self.build_s = time.perf_counter() - start
        self.encoder = TextEncoder(parts, plan)
        self.text = self.encoder.encode("a lighthouse in a storm, oil on canvas")
        start = time.perf_counter()
        self.networks = rung.load(parts, plan, folder)
        self.networks.set_text(self.text)
        self.networks.set_text(self.encoder.empty, negative=True)
        self.networks.set_lora([1.0] * plan.loras)
        self.program = FrameProgram(self.networks, parts, plan)
        self.loop = TurboLoop(self.program, parts, 1)
        synchronise(plan.device)
        self.load_s = time.perf_counter() - start
        self._outbox = Outbox(plan.size, plan.device)
        self._place = np.zeros((plan.size[1], plan.size[0], 4), np.uint8)
        self._number = 0
        self.play(3 if plan.device == "cpu" else 20)

    def frame(self, **changes: Any) -> tuple[float, float]:
        """Play one frame to the end; return ms until it was done, and of those the host's: Python and transport."""
        self._number += 1
        given = controls(self._number, self.parts, self.job.plan, **changes)
        start = time.perf_counter()
        self.loop.step(given)
        ticket = self._outbox.send(self.program.output, self._place)
        queued = time.perf_counter()
        ticket.wait()
        done = time.perf_counter()
        return (done - start) * 1e3, (queued - start) * 1e3

    def play(self, frames: int, **changes: Any) -> tuple[list[float], list[float]]:
        """Play ``frames`` frames; return their ms and the host's ms."""
        taken = [self.frame(**changes) for _ in range(frames)]
        return [whole for whole, _ in taken], [host for _, host in taken]

    def streamed(self, frames: int) -> float:
        """Return ms a frame when the host queues the next one while the device still draws."""
        start = time.perf_counter()
        for _ in range(frames):
            self._number += 1
            self.loop.step(controls(self._number, self.parts, self.job.plan))
        synchronise(self.job.plan.device)
        return (time.perf_counter() - start) * 1e3 / frames

    def correction(self, times: int) -> float:
        """Return ms that correcting a picture and steering its latents takes, recorded where frames are recorded."""
        kept, program = self.program.kept, self.program
        out = torch.empty_like(program.picture)

        def correct() -> None:
            kept.correct(program.picture, out)
            kept.steer(program.latents)

        play = capture(correct, self.networks)
        with torch.inference_mode():
            play()
            synchronise(self.job.plan.device)
            start = time.perf_counter()
            for _ in range(times):
                play()
            synchronise(self.job.plan.device)
        return (time.perf_counter() - start) * 1e3 / times

    @property
    def held(self) -> int:
        """Most bytes held so far: on the device, or by the process on a CPU."""
        return peak(self.job.plan.device)

    def glide(self, text: TextState, part: float) -> TextState:
        """Return the text ``part`` 0-1 of the way to ``text``, as a glide of prompts makes one a frame."""
        pooled = None
        if self.text.pooled is not None and text.pooled is not None:
            pooled = torch.lerp(self.text.pooled, text.pooled, part)
        return TextState(torch.lerp(self.text.embeds, text.embeds, part), pooled, self.text.size_ids)

    def close(self) -> None:
        """Give everything back."""
        self._outbox.close()
        self.program.close()


@contextmanager
def rig(rung: Rung, parts: TurboParts, job: Job, folder: Path) -> Iterator[Rig]:
    """Give a rig that is gone afterwards, with its memory."""
    made = Rig(rung, parts, job, folder)
    try:
        yield made
    finally:
        made.close()
        del made
        clean(job.plan.device)


def quieten() -> None:
    """Keep the libraries' remarks out of the table."""
    import diffusers.utils.logging
    import transformers.utils.logging

    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()


def clean(device: str) -> None:
    """Give back what nobody holds any more."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()


def add_random_lora(parts: TurboParts, file: Path, rank: int = 16) -> None:
    """Put a random LoRA over all attention of ``parts``, as most LoRAs that people share are."""
    from safetensors.torch import save_file

    from vjengine.generate.turbo.lora import add_loras

    numbers = torch.Generator().manual_seed(1)
    tensors = {}
    for name, layer in parts.unet.named_modules():
        if ".attn" in name and isinstance(layer, torch.nn.Linear):
            for which, shape in (("A", (rank, layer.in_features)), ("B", (layer.out_features, rank))):
                tensors[f"unet.{name}.lora_{which}.weight"] = torch.randn(shape, generator=numbers) * 0.02
    save_file(tensors, file)
    parts.lora = add_loras(parts.unet, [file])
    parts.fingerprint += parts.lora.fingerprint


def work(parts: TurboParts, plan: FramePlan) -> float:
    """Return the GFLOP of one frame, one step: UNet, encoder and decoder, counted without computing anything."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), torch.no_grad():
        unet = type(parts.unet).from_config(parts.unet.config)
        vae = type(parts.vae).from_config(parts.vae.config)
        latents = torch.empty(plan.latent_shape)
        text = torch.empty(1, TEXT_TOKENS, unet.config.cross_attention_dim)
        added = None
        if parts.kind == "sdxl":
            pooled = torch.empty(1, parts.text_encoders[-1].config.projection_dim)
            added = {"text_embeds": pooled, "time_ids": torch.empty(1, 6)}
        with FlopCounterMode(display=False) as counter:
            unet(latents, torch.empty(1), encoder_hidden_states=text, added_cond_kwargs=added)
            vae.encode(torch.empty(plan.picture_shape))
            vae.decode(latents)
    return float(counter.get_total_flops()) / 1e9


def peak_tflops(plan: FramePlan) -> tuple[float, str]:
    """Return TFLOP/s of matrix products on the plan's device, and where the figure is from."""
    if plan.device.startswith("cuda"):
        name = torch.cuda.get_device_name(plan.device)
        if plan.precision != "float32":
            for part, figure in MEASURED_PEAK.items():
                if part in name:
                    return figure, f"{name}: known"
    side = 8192 if plan.device.startswith("cuda") else 1024
    one = torch.randn(side, side, device=plan.device).to(getattr(torch, plan.precision))
    seconds = min(_timed(lambda: one @ one, plan.device) for _ in range(8))
    return 2.0 * side**3 / seconds / 1e12, "measured"


def _timed(function: Callable[[], object], device: str) -> float:
    synchronise(device)
    start = time.perf_counter()
    function()
    synchronise(device)
    return time.perf_counter() - start
