"""Arguments that several commands share, and their way into options."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from vjengine.engine.options import DiffusionOptions, PictureOptions, parse_size
from vjengine.errors import UsageError


def add_picture_arguments(parser: argparse.ArgumentParser, *, size: str, fps: str, generator_fps: str) -> None:
    """Add size, pace, look and generator."""
    group = parser.add_argument_group("picture")
    group.add_argument(
        "--preset",
        "--look",
        dest="look",
        default="default",
        metavar="NAME",
        help="look to start with: a name from presets/ (default: default)",
    )
    group.add_argument(
        "--generator",
        default="procedural",
        metavar="NAME",
        help="what draws: procedural, turbo (diffusion), or still (a test card); options as still:delay=1.0",
    )
    group.add_argument("--size", default=size, metavar="WxH", help=f"programme size (default: {size})")
    group.add_argument("--generator-size", metavar="WxH", help="size of the generator's own frames")
    group.add_argument("--fps", default=fps, metavar="N", help=f"frames a second (default: {fps})")
    group.add_argument(
        "--generator-fps",
        metavar="N",
        help=f"most frames a second asked of the generator (default: {generator_fps})",
    )
    group.add_argument("--qr", default="", metavar="URL", help="what the QR macro shows if there is no --crowd page")
    group.add_argument("--seed", type=int, default=1, metavar="N", help="seed of everything random (default: 1)")
    group.add_argument("--presets", type=Path, metavar="DIR", help="folder of looks (default: the bundled ones)")
    group.add_argument("--macros", type=Path, metavar="DIR", help="folder of macros (default: the bundled ones)")
    group.add_argument("--shaders", type=Path, metavar="DIR", help="folder of shaders (default: the bundled ones)")
    dream = parser.add_argument_group("diffusion (--generator turbo; see `vjengine models`, `vjengine engine`)")
    dream.add_argument("--prompt", metavar="TEXT", default="", help="what to dream of until the look changes")
    dream.add_argument("--negative", metavar="TEXT", help="what to keep away from, with models that take guidance")
    dream.add_argument(
        "--model",
        metavar="NAME",
        help="sd-turbo, sdxl-turbo, sd15-lcm, a diffusers folder, a .safetensors file, owner/name, or random:tiny "
        "(a rehearsal that needs no download)",
    )
    dream.add_argument(
        "--lora",
        action="append",
        default=[],
        metavar="FILE",
        help="LoRA to load; repeatable; its weight moves live as turbo.lora1, turbo.lora2 ...",
    )
    dream.add_argument(
        "--full-vae", action="store_true", help="the model's own autoencoder: finer, several times slower"
    )
    dream.add_argument(
        "--init", metavar="SOURCE", help="camera, camera:NAME, a video or an image; turbo.init brings it in"
    )
    dream.add_argument(
        "--rung", metavar="NAME", help="run the networks so: eager, graph, onnx, openvino, tensorrt (default: the best)"
    )


def add_metrics_argument(parser: argparse._ActionsContainer) -> None:
    """Add ``--metrics``, for commands that run a generator."""
    parser.add_argument(
        "--metrics",
        type=Path,
        metavar="FILE",
        help="log how stable the generator's pictures and the trail are, frame by frame (see `vjengine stability`)",
    )


def picture_options(args: argparse.Namespace) -> PictureOptions:
    """Return the picture's options.

    Raises:
        UsageError: if a value makes no sense.
    """
    settings: dict[str, Any] = {}
    for name in ("presets", "macros", "shaders"):
        folder = getattr(args, name)
        if folder is not None and not folder.is_dir():
            raise UsageError(f"--{name} {folder}: there is no such folder")
        settings[name] = folder
    if len(args.qr) > 200:
        raise UsageError(f"--qr: {len(args.qr)} characters make a code too fine to be read; the most is 200")
    return PictureOptions(
        size=parse_size(args.size),
        fps=number("--fps", args.fps, 1, 240),
        look=args.look,
        generator=args.generator,
        generator_size=parse_size(args.generator_size) if args.generator_size else None,
        generator_fps=number("--generator-fps", args.generator_fps, 0.1, 240) if args.generator_fps else None,
        seed=args.seed,
        prompt=args.prompt,
        negative=args.negative,
        qr=args.qr,
        diffusion=DiffusionOptions(
            model=args.model, loras=tuple(args.lora), init=args.init, rung=args.rung, full_vae=args.full_vae
        ),
        **settings,
    )


def number(option: str, text: str, low: float, high: float) -> float:
    """Return ``text`` as a number from ``low`` to ``high``.

    Raises:
        UsageError: if it is not one.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise UsageError(f"{option} {text!r}: expected a number from {low:g} to {high:g}")
    return value
