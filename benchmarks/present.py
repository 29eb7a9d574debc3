"""Does the picture hold its pace while the generator stalls, is killed and comes back?

The show runs at 640x360 and 60 fps. The worker is stopped (SIGSTOP), killed (SIGKILL) and left alone, in turns; every
interval between presented frames is counted. The peer is the same show with an undisturbed worker.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from benchmarks.common import Report, arguments
from benchmarks.harness import Eye, play, quiet_options, scratch
from vjengine.core.metrics import Ring
from vjengine.engine.live import LiveEngine

TARGET_MS = 1e3 / 60


def hurt(engine: LiveEngine, number: int) -> None:
    """Send a signal to the worker, if there is one just now."""
    pid = engine.generator.pid
    if pid is not None:
        os.kill(pid, number)


def calm(seconds: float) -> LiveEngine:
    """Run with an undisturbed worker."""

    def act(engine: LiveEngine, eye: Eye) -> None:
        engine.stats.interval = Ring(65536)
        time.sleep(seconds)

    with scratch() as folder:
        return play(quiet_options(folder, generator="procedural"), act)


def troubled(seconds: float) -> tuple[LiveEngine, dict[str, float]]:
    """Run while the worker is stopped and killed in turns; return also the longest wait for frames to come back."""
    back: dict[str, float] = {}

    def act(engine: LiveEngine, eye: Eye) -> None:
        engine.stats.interval = Ring(65536)
        deadline = time.monotonic() + seconds
        turn = 0
        while time.monotonic() < deadline:
            kind = ("kill", "stall")[turn % 2]
            before = engine.generator.latest()
            hurt(engine, signal.SIGKILL if kind == "kill" else signal.SIGSTOP)
            begun = time.monotonic()
            time.sleep(0.2)
            stuck = engine.generator.latest()
            while engine.generator.latest() is stuck and time.monotonic() - begun < 15.0:
                time.sleep(0.01)
            if before is not None:
                back[kind] = max(back.get(kind, 0.0), time.monotonic() - begun)
            time.sleep(1.5)
            turn += 1

    with scratch() as folder:
        return play(quiet_options(folder, generator="procedural"), act), back


def main() -> int:
    """Run the benchmark."""
    args = arguments(__doc__ or "").parse_args()
    seconds = 120.0 if args.full else 20.0
    report = Report("present", as_json=args.json)
    peer = calm(seconds)
    report.add("interval, worker undisturbed", "ms", peer.stats.interval.values(), goal="16.667 ms")
    engine, back = troubled(seconds)
    intervals = engine.stats.interval
    report.add(
        "interval, worker stopped and killed",
        "ms",
        intervals.values(),
        peer=peer.stats.interval.percentiles().p50,
        goal="p99 <= 20.8 ms",
    )
    report.add("p99 against the target interval", "x", intervals.percentiles().p99 / TARGET_MS, goal="<= 1.25")
    report.add("work a frame", "ms", engine.stats.work.values())
    for kind, wait in back.items():
        report.add(f"longest wait for frames after a {kind}", "s", wait)
    report.add("restarts", "", float(engine.generator.restarts))
    report.add("missed slots", "", float(engine.pacer.missed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
