"""How long does the compositor take? ``python -m benchmarks.compositor [--json] [--full] [--scale SHARE]``.

Milliseconds a pass and a whole frame at three sizes, with ``ctx.finish()`` around everything that is timed, so that a
graphics card's queue hides nothing. The frame is timed without finishing in between as well: that is what a show pays,
in time on the clock and in CPU time of all threads: on a software renderer the latter is what a busy machine notices.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import moderngl
import numpy as np

from benchmarks.common import Report, arguments, sample
from vjengine.compose.compositor import Compositor
from vjengine.compose.context import offscreen_context
from vjengine.compose.readback import Readback
from vjengine.core.clock import FrameTime
from vjengine.core.control import ControlState
from vjengine.core.frame import Frame, frozen_pixels
from vjengine.core.params import ParamValues
from vjengine.resources import resource_dir

SIZES = ((640, 360), (1280, 720), (1920, 1080))
FPS = 60.0

CHAINS: dict[str, Mapping[str, float]] = {
    "source only": {"feedback.mix": 0, "bloom.amount": 0, "mix.crossfade": 0},
    "default chain": {"camera.zoom": 1.05},
    "everything on": {
        "camera.zoom": 1.05,
        "camera.shake": 0.3,
        "feedback.displace": 0.3,
        "feedback.hue": 0.1,
        "kaleido.mix": 0.5,
        "chroma.shift": 0.01,
        "grade.gamma": 1.1,
        "strobe.amount": 0.2,
    },
}


class Bench:
    """A compositor fed like in a show: 60 pictures a second, a new generator frame every other one."""

    def __init__(self, ctx: moderngl.Context, size: tuple[int, int], scale: float) -> None:
        self.ctx = ctx
        self.size = size
        self.compositor = Compositor(ctx, size, resource_dir("shaders"), hot_reload=False)
        self.compositor.scale = scale
        self.values = ParamValues.of({})
        self.index = 0
        noise = np.random.default_rng(1).integers(0, 256, (2, size[1] // 8, size[0] // 8, 4), dtype=np.uint8)
        self.pictures = [frozen_pixels(np.ascontiguousarray(each.repeat(8, 0).repeat(8, 1))) for each in noise]

    def frame(self) -> None:
        """Draw the next frame; not finished."""
        number = 1 + self.index // 2
        frame = Frame(self.pictures[number % 2], number, number, 0.0, 0.0, "benchmark")
        delta = 1.0 / FPS if self.index else 0.0
        control = ControlState(time=FrameTime(self.index, self.index / FPS, delta), values=self.values)
        self.compositor.render(control, frame)
        self.index += 1

    def finished_frame(self) -> None:
        """Draw the next frame and wait for it."""
        self.frame()
        self.ctx.finish()

    def cpu(self, n: int) -> float:
        """Return ms of CPU time of all threads that a frame takes, the mean of ``n``."""
        self.ctx.finish()
        start = time.process_time()
        for _ in range(n):
            self.finished_frame()
        return (time.process_time() - start) * 1e3 / n

    def passes(self, n: int) -> dict[str, list[float]]:
        """Return ms of each stage over ``n`` frames, the device idle before and after each."""
        timings: dict[str, list[float]] = {}
        parts = {
            "source upload": (self.compositor._source, "take"),
            "picture with feedback": (self.compositor, "_draw_picture"),
            "bloom": (self.compositor._bloom, "draw"),
            "flash limiter": (self.compositor._limiter, "watch"),
            "finish and enlarge": (self.compositor, "_show"),
            "enlarge": (self.compositor._canvas, "present"),
        }
        for name, (owner, method) in parts.items():
            setattr(owner, method, self._timed(getattr(owner, method), timings.setdefault(name, [])))
        for _ in range(n + 5):
            self.finished_frame()
        for owner, method in parts.values():
            delattr(owner, method)
        return {name: found[-n:] for name, found in timings.items()}

    def _timed(self, call: Callable[..., Any], timings: list[float]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            self.ctx.finish()
            start = time.perf_counter()
            result = call(*arguments)
            self.ctx.finish()
            timings.append((time.perf_counter() - start) * 1e3)
            return result

        return run


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the size at which to draw, 0.25-1")
    options = parser.parse_args()
    report = Report("compositor", as_json=options.json)
    ctx = offscreen_context()
    report.note(f"renderer: {ctx.info['GL_RENDERER']}")
    for size in SIZES:
        n = 600 if options.full else max(20, 60 * 640 * 360 // (size[0] * size[1]))
        where = f"{size[0]}x{size[1]}"
        start = time.perf_counter()
        bench = Bench(ctx, size, options.scale)
        bench.finished_frame()
        report.add(f"{where} ready to draw", "ms", (time.perf_counter() - start) * 1e3)
        bench.values = ParamValues.of(CHAINS["default chain"])
        for name, timings in bench.passes(n).items():
            report.add(f"{where} pass: {name}", "ms", timings)
        for name, values in CHAINS.items():
            bench.values = ParamValues.of(values)
            report.add(f"{where} frame: {name}", "ms", sample(bench.finished_frame, n))
            goal = "13 ms at a scale of 0.6" if (size, name) == (SIZES[0], "default chain") else ""
            report.add(f"{where} CPU a frame: {name}", "ms", bench.cpu(n), goal=goal)
        report.add(f"{where} read-back", "ms", _readback(bench, n))
        bench.compositor.release()
    ctx.release()


def _readback(bench: Bench, n: int) -> list[float]:
    """Return ms that asynchronous read-back costs the drawing thread a frame."""
    ring: Readback[int] = Readback(bench.ctx, bench.size)
    timings = []
    for index in range(n + 5):
        bench.finished_frame()
        start = time.perf_counter()
        ring.finish()
        ring.start(bench.compositor.programme, index)
        timings.append((time.perf_counter() - start) * 1e3)
    ring.release()
    return timings[5:]


if __name__ == "__main__":
    main()
