"""What does correcting the trail cost? ``python -m benchmarks.stabilise_glsl [--json] [--full]``.

Milliseconds of GLSL that one correction takes, and what it is of a whole compositor frame of the same run (``ratio``).
Draws are timed in batches with ``ctx.finish()`` around them, so that waiting for the device is shared by many. A
strong trail is corrected about every other frame at 60 fps, and looked at eight times a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import moderngl
import numpy as np

from benchmarks.common import Report, arguments
from vjengine.compose.compositor import Compositor
from vjengine.compose.context import offscreen_context
from vjengine.compose.keep import Keep
from vjengine.compose.passes import Target, unbind
from vjengine.compose.shaders import ShaderLibrary
from vjengine.core.clock import FrameTime
from vjengine.core.control import ControlState
from vjengine.core.correction import Correction
from vjengine.core.frame import Frame, frozen_pixels
from vjengine.core.params import ParamValues
from vjengine.resources import resource_dir

SIZES = ((1280, 720), (1920, 1080))
SOFTWARE = ("llvmpipe", "softpipe", "swrast")
TRAIL = {
    "feedback.mix": 1.0,
    "feedback.half_life": 8.0,
    "feedback.zoom": 0.3,
    "feedback.rotate": 0.05,
    "stabilise.trail": 1.0,
}
WARM = (0.99, 0.01, 0.0, 0.002, 0.0, 0.99, 0.0, -0.001, 0.005, 0.0, 0.98, 0.003)
CORRECTIONS = {
    "colour": Correction(1, colour=WARM),
    "bands": Correction(1, gains=(0.9, 0.95, 0.98), ceiling=0.1),
    "noise": Correction(1, noise=(0.02, 0.02, 0.02)),
    "all of it": Correction(1, colour=WARM, gains=(0.9, 0.95, 0.98), ceiling=0.1, noise=(0.02, 0.02, 0.02), anchor=0.1),
}


def batches(ctx: moderngl.Context, draw: Callable[[], object], n: int, size: int) -> list[float]:
    """Return ``n`` timings of ``draw`` in ms a call, each the mean of ``size`` calls."""
    timings = []
    for index in range(n + 2):
        ctx.finish()
        start = time.perf_counter()
        for _ in range(size):
            draw()
        ctx.finish()
        if index >= 2:
            timings.append((time.perf_counter() - start) * 1e3 / size)
    return timings


def frame_draws(compositor: Compositor, size: tuple[int, int]) -> Callable[[], object]:
    """Return a call that draws the next whole frame with a strong trail."""
    noise = np.random.default_rng(1).integers(0, 256, (size[1] // 8, size[0] // 8, 4), dtype=np.uint8)
    frame = Frame(frozen_pixels(np.ascontiguousarray(noise.repeat(8, 0).repeat(8, 1))), 1, 1, 0.0, 0.0, "benchmark")
    values, index = ParamValues.of(TRAIL), 0

    def draw() -> None:
        nonlocal index
        time_now = FrameTime(index, index / 60.0, 1.0 / 60.0)
        compositor.render(ControlState(time=time_now, values=values), frame)
        index += 1

    return draw


def measure(ctx: moderngl.Context, report: Report, size: tuple[int, int], n: int, batch: int) -> None:
    """Report what a correction costs at ``size`` (width, height)."""
    where = f"{size[0]}x{size[1]}"
    compositor = Compositor(ctx, size, resource_dir("shaders"), hot_reload=False)
    whole = batches(ctx, frame_draws(compositor, size), n, batch)
    compositor.release()
    peer = float(np.median(whole))
    report.add(f"{where} compositor frame", "ms", whole)
    library = ShaderLibrary(ctx, resource_dir("shaders"), hot_reload=False)
    keep, trail, target = Keep(ctx, library, size, size), Target(ctx, size), Target(ctx, size)
    light = np.random.default_rng(2).random((size[1], size[0], 4), np.float32).astype(np.float16)
    trail.texture.write(light)
    keep.remember(trail)
    for name, correction in CORRECTIONS.items():
        goal = "0.3 ms on a graphics card" if name == "all of it" else ""
        timings = batches(ctx, lambda c=correction: keep.draw(trail, c, target), n, batch)  # type: ignore[misc]
        report.add(f"{where} correction: {name}", "ms", timings, peer=peer, goal=goal)
    report.add(f"{where} small copy to look at", "ms", batches(ctx, lambda: keep.look(trail), n, batch), peer=peer)
    unbind(ctx)
    for each in (keep, trail, target, library):
        each.release()


def main() -> None:
    """Run the benchmark."""
    options = arguments(__doc__ or "").parse_args()
    report = Report("stabilise_glsl", as_json=options.json)
    ctx = offscreen_context()
    renderer = str(ctx.info["GL_RENDERER"])
    software = any(name in renderer.lower() for name in SOFTWARE)
    report.note(f"renderer: {renderer}{': software, the goal is for a graphics card' if software else ''}")
    n, batch = (10, 2) if software else (50, 20)
    for size in SIZES:
        measure(ctx, report, size, 4 * n if options.full else n, batch)
    ctx.release()


if __name__ == "__main__":
    main()
