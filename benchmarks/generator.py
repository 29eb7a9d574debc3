"""Cost of the procedural generator: ``python -m benchmarks.generator [--json] [--full]``.

For each family: start-up, the first frame, and frames of a small performance, as wall time and as processor time over
all threads. On a software renderer the second is what the generator takes from everything else; on a GPU it is only
the driver's share.
"""

from __future__ import annotations

import time

from benchmarks.common import Report, arguments
from benchmarks.contact_sheet import performance
from vjengine.core.params import FAMILIES
from vjengine.generate.base import GeneratorSpec
from vjengine.generate.procedural import ProceduralGenerator

THREADS = 2
"""Threads of a software renderer, the same on any machine."""

WARM_UP = 5


def measure(report: Report, family: str, size: tuple[int, int], frames: int) -> None:
    """Report what ``family`` costs at ``size`` over ``frames`` frames at 30 frames a second."""
    label = f"{family} {size[0]}x{size[1]}"
    spec = GeneratorSpec("procedural", size, options={"family": family, "threads": THREADS})
    before = time.process_time()
    generator = ProceduralGenerator(spec)
    report.add(f"{label} start", "ms CPU", (time.process_time() - before) * 1e3, goal="<= 500")
    wall, cpu = [], []
    try:
        values = {"gen.family": float(FAMILIES.index(family)), "gen.seed": 1.0}
        for params in performance(values, 12.0, WARM_UP + frames, music=True):
            start = time.perf_counter(), time.process_time()
            generator.generate(params)
            wall.append((time.perf_counter() - start[0]) * 1e3)
            cpu.append((time.process_time() - start[1]) * 1e3)
    finally:
        generator.close()
    report.add(f"{label} first frame", "ms CPU", cpu[0])
    report.add(f"{label} frame", "ms", wall[WARM_UP:])
    goal = "<= 25" if size == (512, 288) else ""
    report.add(f"{label} frame", "ms CPU", cpu[WARM_UP:], goal=goal)


def main() -> None:
    """Parse the command line and measure."""
    options = arguments("Cost of the procedural generator.").parse_args()
    report = Report("generator", as_json=options.json)
    sizes = [(384, 216), (512, 288), (1280, 720)] if options.full else [(512, 288)]
    for size in sizes:
        for family in FAMILIES:
            measure(report, family, size, frames=300 if options.full else 60)
    report.note("start: context, noise, palette and the family's programs; cold shader caches cost more")


if __name__ == "__main__":
    main()
