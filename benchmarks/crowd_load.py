"""Do 500 guests on the crowd's page cost the show a frame, and do they wait for the page?

A headless show runs at 640x360 and 60 fps. It is measured alone, then with the web process and 500 guests (half of them
poll, half are on WebSockets, all send prompts and votes as often as they may), then alone again. The peer of the loaded
stretch is the show without guests, before and after, in the same run.

The guests' own work runs on the same machine, behind everything else: on few cores it is part of what is measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.common import Report, arguments
from benchmarks.harness import Eye, play, quiet_options, scratch
from vjengine.core.metrics import Ring
from vjengine.engine.live import LiveEngine
from vjengine.web.link import WebLink
from vjengine.web.settings import WebSettings
from vjengine.web.view import Engine

CLIENTS = 500
BEHIND = 10
"""Niceness of the guests' process: phones have processors of their own."""


def stretch(engine: LiveEngine, seconds: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the intervals between frames (ms) of the next ``seconds``."""
    engine.stats.interval = Ring(65536)
    time.sleep(seconds)
    return engine.stats.interval.values()


def guests(url: str, seconds: float, clients: int) -> subprocess.Popen[str]:
    """Start the guests."""
    command = [sys.executable, "-m", "benchmarks.crowd_clients", url, str(seconds), str(clients)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[1])
    psutil.Process(process.pid).nice(BEHIND if os.name != "nt" else 0x4000)
    return process


def main() -> int:
    """Run the benchmark."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="guests at once (default: 500)")
    args = parser.parse_args()
    seconds = 60.0 if args.full else 10.0
    report = Report("crowd_load", as_json=args.json)
    seen: dict[str, Any] = {}

    def act(engine: LiveEngine, eye: Eye) -> None:
        seen["before"] = stretch(engine, seconds)
        show, control = engine.session.show, engine.session.control
        settings = WebSettings(crowd=True, crowd_token="let me in", folder=Path(folder))
        link = WebLink(settings, show, control, Engine, engine.clock, engine.events, lambda: None)
        link.start()
        try:
            while not link.urls:
                time.sleep(0.05)
            seen["idle page"] = stretch(engine, seconds)
            crowd = guests(link.urls["crowd"], seconds + 13.0, args.clients)
            # Interpreters start and everybody arrives; what counts is the room that is full.
            time.sleep(11.0)
            worker = psutil.Process(link.pid)
            begun = sum(worker.cpu_times()[:2])
            seen["crowd"] = stretch(engine, seconds)
            seen["cpu"] = (sum(worker.cpu_times()[:2]) - begun) / seconds
            seen["memory"] = worker.memory_info().rss / 2**20
            out, _ = crowd.communicate(timeout=60.0)
            seen["guests"] = json.loads(out)
            seen["restarts"] = link.restarts
        finally:
            link.stop()
        seen["after"] = stretch(engine, seconds)

    with scratch() as folder:
        play(quiet_options(Path(folder), generator="procedural"), act)
    alone = np.concatenate((seen["before"], seen["after"]))
    p99 = float(np.percentile(alone, 99))
    report.add("interval, show alone", "ms", alone, goal="16.667 ms")
    for name in ("idle page", "crowd"):
        values = seen[name]
        report.add(f"interval, {name}", "ms", values, ratio=float(np.percentile(values, 99)) / p99, goal="p99 x1.05")
    saw = seen["guests"]
    for kind, values in sorted(saw["ms"].items()):
        report.add(f"{kind}, {args.clients} guests", "ms", values, goal="p99 < 200 ms")
    report.add("web process, share of a core", "", seen["cpu"])
    report.add("web process, memory", "MiB", seen["memory"])
    report.add("restarts", "", float(seen["restarts"]), goal="0")
    report.note(f"answers: {saw['statuses']}; pushed messages: {saw['messages']}; guests lost: {saw['lost']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
