"""Does anything grow? Memory, threads and open files over a long show.

``accelerated`` plays an hour of frames (216,000) of the session as fast as they can be drawn, at a small size, with
macros and looks changing all the time. ``real`` plays the live engine for ten minutes with a worker, inputs and a
recording. Quick runs take 20 s each.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import replace

import psutil

from benchmarks.common import Report, arguments
from benchmarks.harness import Eye, play, quiet_options, scratch
from vjengine.compose.context import offscreen_context
from vjengine.core import events as ev
from vjengine.core.clock import FrameClock
from vjengine.core.signals import NO_AUDIO
from vjengine.engine.live import LiveEngine
from vjengine.engine.options import PictureOptions
from vjengine.engine.session import InlineFrames, Session
from vjengine.engine.setup import build_compositor, generator_spec, load_show
from vjengine.generate.registry import create_generator

Growth = list[tuple[float, float, int, int]]


def reading(seconds: float) -> tuple[float, float, int, int]:
    """Return (s, MB resident, threads, open files) of this process."""
    process = psutil.Process()
    count = getattr(process, "num_fds", None) or getattr(process, "num_handles")  # noqa: B009 - one of two systems
    return seconds, process.memory_info().rss / 2**20, threading.active_count(), int(count())


def accelerated(frames: int) -> tuple[Growth, float]:
    """Play ``frames`` frames as fast as possible; return readings and frames a second."""
    picture = PictureOptions(size=(64, 36), generator="still", generator_size=(64, 36))
    ctx = offscreen_context()
    show = load_show(picture)
    generator = create_generator(generator_spec(picture, show))
    compositor = build_compositor(ctx, picture, hot_reload=False)
    session = Session(show, "default", InlineFrames(generator), compositor)
    clock = FrameClock(60)
    looks, macros = list(show.looks), [name for name in show.macros if name not in ("PANIC", "FREEZE")]
    readings: Growth = []
    begun = time.monotonic()
    for index in range(frames):
        happened: list[ev.Event] = []
        if index % 50 == 0:
            happened.append(ev.MacroToggle(macro=macros[index // 50 % len(macros)]))
        if index % 600 == 0:
            happened.append(ev.LookSelected(look=looks[index // 600 % len(looks)]))
        session.advance(happened, NO_AUDIO, clock.frame())
        clock.advance()
        if index % max(1, frames // 40) == 0:
            ctx.finish()
            readings.append(reading(time.monotonic() - begun))
    rate = frames / (time.monotonic() - begun)
    compositor.release()
    generator.close()
    ctx.release()
    return readings, rate


def real(seconds: float) -> Growth:
    """Play a live show for ``seconds`` s; return readings."""
    readings: Growth = []

    def act(engine: LiveEngine, eye: Eye) -> None:
        begun = time.monotonic()
        while (elapsed := time.monotonic() - begun) < seconds:
            readings.append(reading(elapsed))
            for name in ("DROP", "STROBE", "ENERGY"):
                engine.events.put(ev.MacroToggle(macro=name))
            time.sleep(max(0.5, seconds / 120))

    with scratch() as folder:
        options = replace(
            quiet_options(folder, generator="procedural"), record=folder / "soak.mp4", osc_in=("127.0.0.1", 0),
            osc_out=(("127.0.0.1", 17000),),
        )  # fmt: skip
        play(options, act)
    return readings


def report_growth(report: Report, name: str, readings: Growth) -> None:
    """Print how much memory, threads and files grew, after the first fifth, which is warming up."""
    settled = readings[len(readings) // 5 :]
    first, last = settled[: max(1, len(settled) // 4)], settled[-max(1, len(settled) // 4) :]
    before = sum(row[1] for row in first) / len(first)
    after = sum(row[1] for row in last) / len(last)
    report.add(f"{name}: memory", "MB", [row[1] for row in settled])
    report.add(f"{name}: memory growth", "%", (after / before - 1) * 100, goal="within 2 %")
    report.add(f"{name}: threads gained", "", float(settled[-1][2] - settled[0][2]), goal="0")
    report.add(f"{name}: open files gained", "", float(settled[-1][3] - settled[0][3]), goal="0")


def main() -> int:
    """Run the benchmark."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--only", choices=("accelerated", "real"))
    args = parser.parse_args()
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    report = Report("soak", as_json=args.json)
    if args.only != "real":
        readings, rate = accelerated(216_000 if args.full else 8_000)
        report.add("accelerated: frames a second", "1/s", rate)
        report_growth(report, "accelerated", readings)
    if args.only != "accelerated":
        report_growth(report, "real", real(600.0 if args.full else 20.0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
