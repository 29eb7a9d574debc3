"""``vjengine demo``: the bundled show, recorded."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vjengine.cli.arguments import number
from vjengine.engine.options import LiveOptions, PictureOptions, parse_size
from vjengine.errors import UsageError

DESCRIPTION = """\
Play half a minute of the bundled show on the live engine, with macros fired by a recorded performance, and record it
with sound and HUD. A good first run on a new machine.
"""
TRACK = Path(__file__).resolve().parent.parent / "demo" / "track.opus"
PERFORMANCE = TRACK.with_name("performance.jsonl")
START = 20.0
"""Where in the track the excerpt begins: half-way up the build, so that the drop falls into it."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("demo", help="play and record the bundled show", description=DESCRIPTION)
    parser.add_argument("-o", "--output", type=Path, default=Path("demo.mp4"), metavar="FILE", help="film to write")
    parser.add_argument("--size", metavar="WxH", help="size (default: 1280x720 with a GPU, 640x360 without)")
    parser.add_argument("--duration", default="30", metavar="S", help="seconds to play (default: 30)")
    parser.add_argument("--stats", type=Path, metavar="FILE", help="write figures of the run as JSON")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Play and record the demo."""
    from vjengine.engine.live import LiveEngine
    from vjengine.engine.setup import drawn_by_cpu

    if args.output.suffix.lower() not in (".mp4", ".mkv", ".mov"):
        raise UsageError(f"-o {args.output}: the name must end in .mp4, .mov or .mkv")
    duration = number("--duration", args.duration, 1, 76)
    software = drawn_by_cpu()
    size = parse_size(args.size) if args.size else (640, 360) if software else (1280, 720)
    # A CPU that draws and encodes at once does it better at half the pace.
    fps = 30.0 if software else 60.0
    print(
        f"playing {duration:.0f} s of the bundled show at {size[0]}x{size[1]}, {fps:.0f} fps"
        + (" (no GPU was found: the CPU draws)" if software else ""),
        file=sys.stderr,
        flush=True,
    )
    options = LiveOptions(
        picture=PictureOptions(size=size, fps=fps),
        audio=str(TRACK),
        audio_start=START,
        record=args.output,
        record_hud=True,
        duration=duration,
        stats=args.stats,
        perform=PERFORMANCE,
        osc_in=None,
        osc_out=(),
        midi=("none",),
    )
    engine = LiveEngine(options, say=lambda text: print(text, file=sys.stderr, flush=True))
    stats = engine.run()
    interval = stats.interval.percentiles()
    print(
        f"{stats.frames} frames, interval p50 {interval.p50:.1f} ms, p99 {interval.p99:.1f} ms, {stats.beats} beats "
        f"at {stats.tempo:.1f} BPM"
    )
    if args.output.is_file():
        print(f"watch it: {args.output.resolve()}")
    return 130 if engine.interrupted else 0
