"""The turbo loop, rung by rung: ``python -m benchmarks.turbo [--json] [--full] [--size WxH] [--rungs eager,graph]``.

Each rung plays the same frames: last picture, warp, encode, noise, one step, decode, and the pixels on the host. With
each come its ratio to eager, the fraction of the floor (the frame's arithmetic at the device's matrix rate), memory,
the host's share, and the worst frame after each live change. diffusers' own pipeline plays in the same run.

Models are random ones of the published shapes: they cost what the real ones cost, and draw nothing.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import torch

from benchmarks.common import Report, arguments
from benchmarks.harness import scratch
from benchmarks.turbo_peers import diffusers_frames, stream_diffusion_frames
from benchmarks.turbo_rig import (
    Job,
    Rig,
    add_random_lora,
    clean,
    controls,
    peak_tflops,
    quieten,
    rig,
    synchronise,
    work,
)
from vjengine.core.correction import Correction
from vjengine.errors import VJError
from vjengine.generate.turbo.accel.ladder import RUNGS
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan, Precision
from vjengine.generate.turbo.program import FrameProgram
from vjengine.generate.turbo.random_models import random_parts

WATCHED = 30
"""Frames watched after a live change."""
GOALS = {("sd-turbo", (512, 512)): 250, ("sd-turbo", (768, 448)): 180, ("sdxl-turbo", (512, 512)): 130}
"""Frames a second on an H200."""


def jobs(options: argparse.Namespace) -> list[Job]:
    """Return what the command line asks for."""
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = device != "cpu"
    precision: Precision = options.precision or ("float16" if on_gpu else "float32")
    frames = options.frames or (500 if on_gpu and options.full else 100 if on_gpu else 12)
    if on_gpu:
        chosen = [("sd-turbo", (512, 512)), ("sd-turbo", (768, 448)), ("sdxl-turbo", (512, 512))]
        chosen = chosen if options.full else chosen[:1]
    else:
        chosen = [("sd-turbo" if options.full else "small", (256, 256))]
    models = [options.model.removeprefix("random:")] if options.model else None
    if models or options.size:
        sizes = [options.size] if options.size else list(dict.fromkeys(size for _, size in chosen))
        names = models or list(dict.fromkeys(name for name, _ in chosen))
        chosen = [(name, size) for name in names for size in sizes]
    return [Job(name, FramePlan(size, device=device, precision=precision), frames) for name, size in chosen]


def measure(report: Report, job: Job, rungs: Sequence[str], options: argparse.Namespace, folder: Path) -> None:
    """Report every rung of one job, eager first: it plays the modules before any other rung has touched them."""
    parts = random_parts(job.model, device=job.plan.device, precision=job.plan.precision)
    gflop = work(parts, job.plan)
    tflops, source = peak_tflops(job.plan)
    floor = gflop / tflops
    report.add(f"{job} floor", "ms", floor, goal=f"{gflop:.0f} GFLOP at {tflops:.2f} TFLOP/s ({source})")
    peer = None
    if not options.no_peer:
        frames = diffusers_frames(parts, job, max(5, job.frames // 4))
        peer = statistics.median(frames)
        report.add(f"{job} diffusers pipeline frame", "ms", frames)
        stream = stream_diffusion_frames(parts, job, max(5, job.frames // 4), report)
        if stream:
            report.add(f"{job} StreamDiffusion frame", "ms", stream)
    eager = None
    for name in rungs:
        rung = RUNGS[name]  # type: ignore[index]
        if reason := rung.missing(job.plan):
            report.note(f"{job} {name}: not here: {reason}")
            continue
        try:
            with rig(rung, parts, job, folder / name) as playing:
                p50 = _frames(report, job, name, playing, floor, eager, peer)
                if name == "eager":
                    eager = p50
                _changes(report, job, name, playing, p50)
                _correction(report, job, name, playing)
                if options.profile:
                    _profile(playing, options.profile / f"turbo-{job.model}-{job.plan.size[0]}-{name}.txt")
        except (VJError, RuntimeError) as error:  # the others are still worth their figures
            report.note(f"{job} {name}: {error}")
    if {"eager", "graph"} <= set(rungs):
        _swap(report, job, parts, folder)
    if "graph" in rungs:
        _lora(report, job, parts, folder)


def _frames(
    report: Report, job: Job, name: str, playing: Rig, floor: float, eager: float | None, peer: float | None
) -> float:
    label = f"{job} {name}"
    frames, host = playing.play(job.frames)
    p50 = statistics.median(frames)
    on_gpu = job.plan.device != "cpu"
    wanted = GOALS.get((job.model, job.plan.size), 0) if on_gpu else 0
    report.add(f"{label} frame", "ms", frames, peer=peer, goal="p99 <= 1.3 x p50")
    report.add(f"{label} frames a second", "1/s", 1e3 / p50, goal=f">= {wanted} on an H200" if wanted else "")
    if on_gpu:
        report.add(f"{label} frames a second, queued ahead", "1/s", 1e3 / playing.streamed(job.frames))
    if eager is not None:
        report.add(f"{label} speed against eager", "x", eager / p50)
    report.add(f"{label} fraction of the floor", "", floor / p50)
    if on_gpu:
        # On a CPU the host does all of it.
        report.add(f"{label} host a frame", "ms", host, goal="<= 0.5")
    if playing.program.unrecorded:
        report.note(f"{label}: {playing.program.unrecorded}")
    report.add(f"{label} load", "s", playing.load_s)
    if playing.build_s:
        report.add(f"{label} build", "s", playing.build_s)
    report.add(f"{label} memory", "GB", playing.held / 1e9)
    return p50


def _changes(report: Report, job: Job, name: str, playing: Rig, p50: float) -> None:
    """Report the worst of the frames after each live change, in frames of the steady loop."""
    other = playing.encoder.encode("a forest of glass at night")
    watched = WATCHED if job.plan.device != "cpu" else 5

    def prompt(number: int) -> dict[str, Any]:
        playing.networks.set_text(playing.glide(other, (number + 1) / watched))
        return {}

    acts: dict[str, Callable[[int], dict[str, Any]]] = {
        "prompt": prompt,
        "seed": lambda _number: {"seed": 7, "reseed": 1},
        "strength": lambda number: {"strength": 0.3 + 0.5 * number / watched},
    }
    for what, act in acts.items():
        taken = []
        for number in range(watched):
            start = time.perf_counter()
            changes = act(number)
            taken.append((time.perf_counter() - start) * 1e3 + playing.frame(**changes)[0])
        report.add(f"{job} {name} worst frame after {what}", "x p50", max(taken) / p50, goal="<= 2")


def _correction(report: Report, job: Job, name: str, playing: Rig) -> None:
    """Report what frames that correct what they feed back take against those that have nothing to correct.

    Both kinds take turns. A recorded frame holds the correction in either case, so there the cost of computing it shows
    on its own: the same kernels, outside the frame, queued without a pause.
    """
    plain, corrected = [], []
    watched = max(5, job.frames // 2)
    for number in range(1, watched + 1):
        plain += playing.play(1)[0]
        noise = (0.02, 0.02, 0.02)
        given = Correction(number=number, keep=1, gains=(0.98, 0.98, 0.98), noise=noise, latents=0.1, anchor=0.01)
        corrected += playing.play(1, correction=given)[0]
    ratio = statistics.median(corrected) / statistics.median(plain)
    report.add(f"{job} {name} frame that is corrected", "x p50", ratio, goal="<= 1.1")
    report.add(f"{job} {name} correction alone", "ms", playing.correction(watched), goal="<= 0.2 on a GPU")


def _lora(report: Report, job: Job, parts: TurboParts, folder: Path) -> None:
    """Report the graph rung with a LoRA over all attention: what it costs, and what moving its weight costs."""
    add_random_lora(parts, folder / "random.safetensors")
    job = replace(job, plan=replace(job.plan, loras=1))
    with rig(RUNGS["graph"], parts, job, folder / "graph") as playing:
        frames, _ = playing.play(max(5, job.frames // 2))
        p50 = statistics.median(frames)
        report.add(f"{job} graph, a LoRA on all attention, frame", "ms", frames)
        watched = WATCHED if job.plan.device != "cpu" else 5
        moved = [playing.frame(loras=((number + 1) / watched,))[0] for number in range(watched)]
        report.add(f"{job} graph worst frame after LoRA weight", "x p50", max(moved) / p50, goal="<= 2")


def _swap(report: Report, job: Job, parts: TurboParts, folder: Path) -> None:
    """Report the longest gap between finished frames while another rung loads beside the loop and takes over."""
    device = job.plan.device
    with rig(RUNGS["eager"], parts, job, folder / "eager") as playing:
        steady, _ = playing.play(max(5, job.frames // 10))
        ready: list[FrameProgram] = []

        def climb() -> None:
            networks = RUNGS["graph"].load(parts, job.plan, folder / "graph")
            networks.set_text(playing.text)
            networks.set_text(playing.encoder.empty, negative=True)
            program = FrameProgram(networks, parts, job.plan)
            synchronise(device)
            ready.append(program)

        thread = threading.Thread(target=climb)
        thread.start()
        beside, number = [], 0
        while thread.is_alive():
            beside.append(playing.frame()[0])
        thread.join()
        if not ready:
            report.note(f"{job} rung swap: the graph rung did not load")
            return
        start = time.perf_counter()
        playing.loop.take(ready[0])
        playing.loop.step(controls(number, parts, job.plan))
        synchronise(device)
        gap = (time.perf_counter() - start) * 1e3
        p50 = statistics.median(steady)
        report.add(f"{job} frame while the graph rung loads", "ms", beside, goal=f"steady: {p50:.2f}")
        report.add(
            f"{job} rung swap eager to graph, gap", "ms", gap, goal="<= 33 on a GPU: one frame repeated at 60 fps"
        )
        ready[0].close()
    clean(device)


def _profile(playing: Rig, file: Path) -> None:
    """Write where the time of ten frames goes, by kernel and by the host's calls."""
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU]
    on_gpu = playing.job.plan.device != "cpu"
    if on_gpu:
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as seen:
        playing.play(10)
        synchronise(playing.job.plan.device)
    averages = seen.key_averages()
    keys = ["cuda_time_total", "self_cpu_time_total"] if on_gpu else ["self_cpu_time_total"]
    tables = [averages.table(sort_by=key, row_limit=40, max_name_column_width=80) for key in keys]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{playing.job}, {playing.networks.rung}, 10 frames\n\n" + "\n\n".join(tables), encoding="utf-8")


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def main() -> None:
    """Parse the command line and measure."""
    parser = arguments("The turbo loop, rung by rung.")
    parser.add_argument("--model", default="", help="a random model: tiny, small, sd-turbo, sdxl-turbo, sd15-lcm")
    parser.add_argument("--size", type=_size, help="WxH in px, multiples of 64")
    parser.add_argument("--rungs", default=",".join(RUNGS), help="comma-separated; all that can run by default")
    parser.add_argument("--device", default="", help="cpu, cuda, cuda:1, mps; the best by default")
    parser.add_argument(
        "--precision", choices=get_args(Precision), help="float16 on a GPU, float32 on a CPU by default"
    )
    parser.add_argument("--frames", type=int, default=0, help="frames measured a rung")
    parser.add_argument("--no-peer", action="store_true", help="leave diffusers' pipeline out")
    parser.add_argument("--profile", type=Path, help="folder for tables of where the time goes")
    options = parser.parse_args()
    report = Report("turbo", as_json=options.json)
    wanted = [name.strip() for name in options.rungs.split(",")]
    rungs = [name for name in RUNGS if name in wanted]
    quieten()
    with scratch() as folder:
        for job in jobs(options):
            measure(report, job, rungs, options, folder)
            clean(job.plan.device)


if __name__ == "__main__":
    main()
