"""Stable Video Diffusion: ``python -m benchmarks.svd [--json] [--full] [--size WxH] [--steps N]``.

A chunk of a film as ``vjengine longcat --continuation svd`` makes it, against diffusers' own pipeline in the same run:
the same weights, size, pictures, steps and guidance. On a GPU the model has the published configuration with random
weights, which cost what the real ones cost; with it come the most memory held and how far the estimate was off. On a
CPU it is a dry run with a small model.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from benchmarks.common import Report, arguments
from vjengine.generate.turbo.quiet import quietly, silence_libraries
from vjengine.offline.continuation import Ask, Carried
from vjengine.offline.diffusion.lean import make_lean
from vjengine.offline.diffusion.options import SvdOptions
from vjengine.offline.diffusion.parts import read_card
from vjengine.offline.diffusion.pictures import drawn_size
from vjengine.offline.diffusion.random_svd import SCHEDULER, random_modules
from vjengine.offline.diffusion.svd import SvdContinuation

GIB = 1 << 30


class Counting:
    """A watcher that notes when each step began."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.decoding = 0.0

    def alive(self, doing: str, fraction: float = -1.0) -> None:
        """Note the moment."""
        if "step" in doing:
            self.steps.append(time.perf_counter())
        elif "decoding" in doing and not self.decoding:
            self.decoding = time.perf_counter()


class Extractor:
    """What the pipeline's feature extractor does here, without the library that it wants for it."""

    def __call__(self, images: Any, **_: object) -> Any:
        """Return normalised pixels."""
        mean = torch.tensor((0.48145466, 0.4578275, 0.40821073))[:, None, None]
        deviation = torch.tensor((0.26862954, 0.26130258, 0.27577711))[:, None, None]
        return argparse.Namespace(pixel_values=(images.cpu() - mean) / deviation)


def picture(size: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Return a slope of colours, ``(H, W, 3)``."""
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    colours = np.stack((columns / size[0], rows / size[1], np.full_like(rows, 0.4)), axis=-1)
    return np.asarray(np.rint(colours * 255.0) * 257.0, np.uint16)


def clean(device: str) -> None:
    """Give back what nobody holds, and begin to count the most memory anew."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def synchronise(device: str) -> None:
    """Wait for the device."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def plain_pipeline(options: argparse.Namespace, frames: int, runs: int) -> tuple[list[float], float]:
    """Return s a chunk of diffusers' pipeline as its own example runs it, and GiB held at most."""
    from diffusers import EulerDiscreteScheduler, StableVideoDiffusionPipeline
    from PIL import Image

    half = torch.float16 if options.device != "cpu" else torch.float32
    unet, vae, encoder = random_modules(options.model, device=options.device, dtype=half)
    torch.nn.Module.to(vae, dtype=half)
    with quietly():
        scheduler = EulerDiscreteScheduler.from_config(SCHEDULER)
        pipeline = StableVideoDiffusionPipeline(
            vae=vae, image_encoder=encoder, unet=unet, scheduler=scheduler, feature_extractor=Extractor()
        )
    pipeline.set_progress_bar_config(disable=True)
    given = Image.fromarray((picture(options.size) // 257).astype(np.uint8))
    taken = []
    clean(options.device)
    for run in range(runs + 1):
        began = time.perf_counter()
        with torch.inference_mode():
            pipeline(
                given, options.size[1], options.size[0], num_frames=frames, num_inference_steps=options.steps,
                min_guidance_scale=1.0, max_guidance_scale=2.0, fps=7, motion_bucket_id=110, decode_chunk_size=8,
                generator=torch.Generator("cpu").manual_seed(run), output_type="np",
            )  # fmt: skip
        synchronise(options.device)
        taken.append(time.perf_counter() - began)
    held = torch.cuda.max_memory_allocated(options.device) / GIB if options.device != "cpu" else 0.0
    return taken[1:], held


def ours(report: Report, options: argparse.Namespace, name: str, settings: SvdOptions, runs: int) -> float:
    """Report a way to make a chunk; return its median s."""
    clean(options.device)
    svd = SvdContinuation(settings)
    need = svd.need(options.size, svd.chunk)
    start = picture(options.size)
    carried = Carried(start[None], start)
    ask = Ask(0, svd.chunk, seed=1, fps=Fraction(7), guidance=(1.0, 2.0))
    taken, step, decoding = [], [], []
    for run in range(runs + 1):
        watcher = Counting()
        began = time.perf_counter()
        svd.extend(carried, replace(ask, index=run, seed=run + 1), watcher)
        ended = time.perf_counter()
        if run:
            taken.append(ended - began)
            decoding.append(ended - watcher.decoding)
            step += list(np.diff([*watcher.steps, watcher.decoding]))
    report.add(f"{name}: a chunk of {svd.chunk}", "s", taken, peer=options.plain or None)
    if options.plain:
        report.add(f"{name}: speed against the pipeline", "x", options.plain / statistics.median(taken), goal=">= 1.5")
    report.add(f"{name}: a step", "s", step)
    report.add(f"{name}: decoding", "s", decoding)
    if options.device != "cpu":
        held = torch.cuda.max_memory_allocated(options.device) / GIB
        report.add(f"{name}: most memory", "GiB", held)
        report.add(f"{name}: estimate against it", "x", need.device / 1024 / held, goal="0.9 to 1.1")
    else:
        report.note(f"{name}: estimate {need.host / 1024:.2f} GiB: {need.words}")
    svd.close()
    return statistics.median(taken)


def what_lean_gains(report: Report, options: argparse.Namespace, frames: int) -> None:
    """Report one pass of the UNet as it comes and as it is run, on the same numbers, and how far they differ."""
    half = torch.float16 if options.device != "cpu" else torch.float32
    unet, vae, _ = random_modules(options.model, device=options.device, dtype=half)
    width, height = drawn_size(options.size)
    numbers = torch.Generator("cpu").manual_seed(1)
    x = torch.randn((1, frames, 8, height // 8, width // 8), generator=numbers).to(options.device, half)
    seen = torch.randn((1, 1, unet.config.cross_attention_dim), generator=numbers).to(options.device, half)
    told = torch.tensor([[6.0, 110.0, 0.02]], device=options.device, dtype=half)
    when = torch.ones(1, device=options.device)

    def once() -> tuple[float, torch.Tensor]:
        synchronise(options.device)
        began = time.perf_counter()
        with torch.inference_mode():
            found = unet(x, when, encoder_hidden_states=seen, added_time_ids=told, return_dict=False)[0]
        synchronise(options.device)
        return time.perf_counter() - began, found.float()

    once()
    plain = [once() for _ in range(3)]
    make_lean(unet, vae)
    once()
    lean = [once() for _ in range(3)]
    before = statistics.median(seconds for seconds, _ in plain)
    after = statistics.median(seconds for seconds, _ in lean)
    off = float((lean[0][1] - plain[0][1]).abs().max() / plain[0][1].std())
    report.add("UNet, one pass, as it comes", "s", [seconds for seconds, _ in plain])
    report.add("UNet, one pass, with less work", "s", [seconds for seconds, _ in lean], peer=before)
    report.add("UNet, speed of less work", "x", before / after)
    report.add("UNet, largest difference of less work", "std", off)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def main() -> None:
    """Parse the command line and measure."""
    parser = arguments("A chunk of Stable Video Diffusion against diffusers' pipeline.")
    on_gpu = torch.cuda.is_available()
    parser.add_argument("--model", default="svd-xt" if on_gpu else "tiny-svd", help="svd, svd-xt, tiny-svd")
    parser.add_argument("--size", type=_size, default=(1024, 576) if on_gpu else (64, 64), help="WxH, multiples of 64")
    parser.add_argument("--device", default="cuda:0" if on_gpu else "cpu")
    parser.add_argument("--steps", type=int, default=0, help="of denoising (25 with --full, else fewer)")
    parser.add_argument("--no-peer", action="store_true", help="leave diffusers' pipeline out")
    options = parser.parse_args()
    silence_libraries()
    options.steps = options.steps or (25 if options.full else 5 if on_gpu else 3)
    options.plain = 0.0
    if options.device == "cpu":
        # A dry run: more threads would only wait for each other over so little.
        torch.set_num_threads(1)
    report = Report("svd", as_json=options.json)
    settings = SvdOptions(together="no", model=f"random:{options.model}", steps=options.steps, device=options.device)
    from vjengine.offline.diffusion.films import find

    frames = read_card(find(settings.model), "float16", "float32").frames
    runs = 3 if options.full else 1
    name = f"{options.model} {options.size[0]}x{options.size[1]} {options.steps} steps"
    if not options.no_peer:
        taken, held = plain_pipeline(options, frames, runs)
        options.plain = statistics.median(taken)
        report.add(f"{name}, diffusers' pipeline: a chunk", "s", taken)
        if held:
            report.add(f"{name}, diffusers' pipeline: most memory", "GiB", held)
    clean(options.device)
    what_lean_gains(report, options, frames)
    ours(report, options, name, settings, runs)
    ours(report, options, f"{name}, in one pass", replace(settings, together="yes"), runs)
    ours(report, options, f"{name}, half of them guided", replace(settings, guided=0.5), runs)
    if options.full:
        ours(report, options, f"{name}, in tiles, offloaded", replace(settings, tiled=True, offload=True), 1)
        options.plain = 0.0
        few = replace(settings, steps=4, sampler="consistency", guided=0.0)
        ours(report, options, f"{options.model}, distilled, 4 steps", few, runs)


if __name__ == "__main__":
    main()
