"""``vjengine engine``: build the engines of fast diffusion before the show, look at them, throw them away."""

from __future__ import annotations

import argparse
import json
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from vjengine.engine.options import parse_size
from vjengine.errors import UsageError

if TYPE_CHECKING:
    from vjengine.generate.turbo.accel.cache import EngineCache, Entry

DEFAULT_SIZE = "768x448"
DESCRIPTION = """\
Build the engines of fast diffusion before the show, look at them, throw them away.

An engine is a model made ready for one size and one machine. A show builds what it needs while it plays; built ahead,
it starts at full speed.

  vjengine engine build sd-turbo                      the best engine for this machine
  vjengine engine build sd-turbo --size 512x512
  vjengine engine build sd-turbo --for sm89,sm120     for RTX 40 and RTX 50, on a machine without a card
  vjengine engine build sd-turbo --lora ink.safetensors
  vjengine engine list                                what is built
  vjengine engine clean                               throw away what nothing here can use any more
"""
BUILD = """\
Build the engine of MODEL: half a minute to some minutes, once for each size, set of LoRAs and library version.

Name the size and the LoRAs that the show will have. LoRA weights, prompts, strength and steps stay free: they need no
other engine. Ctrl-C leaves nothing half done.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = subparsers.add_parser(
        "engine", help="build fast diffusion engines ahead of the show", description=DESCRIPTION, formatter_class=raw
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    build = actions.add_parser("build", help="build one", description=BUILD, formatter_class=raw)
    build.add_argument("model", metavar="MODEL", help="as `live --model` takes it: sd-turbo, a folder, a file ...")
    build.add_argument("--size", default=DEFAULT_SIZE, metavar="WxH",
                       help=f"size of the generator's pictures, multiples of 64 (default: {DEFAULT_SIZE}, "
                            "as `live` draws 16:9 on a GPU; where the CPU draws all it takes 320x192)")  # fmt: skip
    build.add_argument("--rung", default="auto", metavar="NAME",
                       help="tensorrt, openvino or onnx (default: the best for this machine)")  # fmt: skip
    build.add_argument("--for", dest="targets", metavar="CARDS",
                       help="NVIDIA cards to build for: sm86 is RTX 30, sm89 RTX 40, sm120 RTX 50; several with commas "
                       "make one engine for all of them (default: the card in this machine)")  # fmt: skip
    build.add_argument("--lora", action="append", default=[], metavar="FILE",
                       help="LoRA of the show; repeatable, in the same order")  # fmt: skip
    build.add_argument("--full-vae", action="store_true", help="the model's own autoencoder instead of the quick one")
    build.set_defaults(func=run_build)
    shown = actions.add_parser("list", help="what is built")
    shown.add_argument("--json", action="store_true", help="as JSON")
    shown.set_defaults(func=run_list)
    clean = actions.add_parser("clean", help="throw engines away",
                               description="Throw away engines: by default those that nothing here can use any more, "
                               "because they are broken or of another library version.")  # fmt: skip
    which = clean.add_mutually_exclusive_group()
    which.add_argument("--stale", action="store_true", help="only what cannot be used any more (the default)")
    which.add_argument("--all", action="store_true", help="everything")
    which.add_argument("--model", metavar="NAME", help="everything of this model")
    clean.set_defaults(func=run_clean)


def run_build(args: argparse.Namespace) -> int:
    """Build one engine in a process of its own and show how far it is.

    Raises:
        UsageError: a size, card, rung or model that cannot be.
        GeneratorError: the build failed: why and what to do.
    """
    from vjengine.generate.turbo.accel.build import Build, Recipe
    from vjengine.generate.turbo.accel.cache import default_folder
    from vjengine.generate.turbo.accel.tensorrt_library import checked_targets
    from vjengine.generate.turbo.catalogue import read_name
    from vjengine.generate.turbo.plan import FramePlan

    read_name(args.model)
    targets = checked_targets(args.targets) if args.targets is not None else ()
    if args.rung not in ("auto", "tensorrt", "openvino", "onnx"):
        raise UsageError(f"--rung {args.rung}: expected tensorrt, openvino or onnx; the others need no building")
    if targets and args.rung not in ("auto", "tensorrt"):
        raise UsageError(f"--for names NVIDIA cards, and {args.rung} does not run on them; leave one of the two away")
    plan = FramePlan(size=parse_size(args.size), device="auto", loras=len(args.lora))
    recipe = Recipe(
        args.model, plan, args.rung, default_folder(), loras=tuple(args.lora), full_vae=args.full_vae, targets=targets
    )
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    build = Build(recipe)
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            bar = progress.add_task("starting", total=None)

            def say(doing: str, fraction: float) -> None:
                progress.update(bar, description=doing, total=1.0, completed=max(0.0, fraction))

            fresh = build.follow(say)
    finally:
        build.stop()
    what = f"{args.model} at {args.size}" + (f" for {', '.join(targets)}" if targets else "")
    print(f"built: {what}, in {recipe.folder}" if fresh else f"{what} had been built before; nothing to do")
    return 0


def run_list(args: argparse.Namespace) -> int:
    """Show what is built."""
    cache = _cache()
    entries = cache.list()
    if args.json:
        print(json.dumps({"folder": str(cache.folder), "engines": [_facts(entry) for entry in entries]}, indent=2))
        return 0
    if not entries:
        print(f"no engines in {cache.folder}; build one: vjengine engine build sd-turbo")
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("model", "size", "LoRAs", "rung", "library", "runs on", "MB", "last used", ""):
        table.add_column(
            name,
            justify="right" if name in ("MB", "LoRAs") else "left",
            no_wrap=name in ("size", "MB", "rung"),
            overflow="fold",
        )
    for entry in entries:
        facts = _facts(entry)
        table.add_row(
            *(str(facts[name]) for name in ("model", "size", "loras", "rung", "library", "target")),
            f"{entry.size_bytes / 1e6:.0f}", str(facts["last_used"]).replace("T", " "), str(facts["trouble"]),
        )  # fmt: skip
    console = Console()
    if not console.is_terminal:
        console.width = 240  # a pipe has room for whole lines
    console.print(table)
    print(f"\n{_megabytes(entries)} MB in {cache.folder}")
    return 0


def run_clean(args: argparse.Namespace) -> int:
    """Throw engines away.

    Raises:
        UsageError: there is nothing of that model.
        GeneratorError: something cannot be deleted.
    """
    cache = _cache()
    if args.model is not None:
        known = sorted({entry.model for entry in cache.list() if entry.model})
        if args.model not in known:
            raise UsageError(f"there is no engine of {args.model!r}; there are: {', '.join(known) or 'none at all'}")
        gone = cache.clean(lambda entry: entry.model == args.model)
    elif args.all:
        gone = cache.clean(lambda entry: True)
        cache.clean_notes()
    else:
        gone = cache.clean()
    left = len(cache.list())
    print(f"thrown away: {len(gone)} ({_megabytes(gone)} MB); left: {left}")
    return 0


def _cache() -> EngineCache:
    from vjengine.generate.turbo.accel.cache import EngineCache, default_folder

    return EngineCache(default_folder())


def _facts(entry: Entry) -> dict[str, object]:
    key = entry.key
    return {
        "model": entry.model,
        "size": f"{key.size[0]}x{key.size[1]}" if key else "?",
        "loras": key.loras if key else 0,
        "rung": key.rung if key else "?",
        "library": f"{key.library} {key.version}" if key else "?",
        "target": key.target.replace("+", " ") if key else "?",
        "precision": key.precision if key else "?",
        "bytes": entry.size_bytes,
        "last_used": datetime.fromtimestamp(entry.last_used).isoformat(timespec="minutes"),
        "trouble": entry.fault or ("stale: its library is gone or another version" if entry.stale else ""),
        "folder": str(entry.folder),
    }


def _megabytes(entries: tuple[Entry, ...]) -> int:
    return round(sum(entry.size_bytes for entry in entries) / 1e6)
