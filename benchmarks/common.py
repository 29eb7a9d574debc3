"""What every benchmark shares: arguments, machine and commit, percentiles, a readable table or JSON lines."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt


def arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser with ``--json`` and ``--full``; benchmarks add their own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    parser.add_argument("--full", action="store_true", help="the real run; without it at most a minute")
    return parser


def machine() -> str:
    """Return processor, cores and system in a line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release().split('-')[0]}"


def commit() -> str:
    """Return the short commit hash, with ``+`` if the tree has changes; ``unknown`` outside a checkout."""
    here = Path(__file__).resolve().parent
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "-uno"], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if dirty else "")


def sample(function: Callable[[], object], n: int, warm_up: int = 5) -> list[float]:
    """Return ``n`` timings of ``function`` in ms, after ``warm_up`` calls that are not counted.

    ``function`` must synchronise by itself (``ctx.finish()``, ``torch.cuda.synchronize()``).
    """
    for _ in range(warm_up):
        function()
    timings = []
    for _ in range(n):
        start = time.perf_counter()
        function()
        timings.append((time.perf_counter() - start) * 1e3)
    return timings


class Report:
    """Collects metrics and prints them, as a table or as JSON lines."""

    def __init__(self, name: str, *, as_json: bool) -> None:
        self.name = name
        self.as_json = as_json
        self._machine = machine()
        self._commit = commit()
        self._started = False

    def add(
        self,
        metric: str,
        unit: str,
        samples: Sequence[float] | npt.NDArray[np.float64] | float,
        *,
        peer: float | None = None,
        ratio: float | None = None,
        goal: str = "",
    ) -> None:
        """Print one metric at once, so that a run that is cut off leaves what it has.

        Args:
            metric: what was measured.
            unit: its unit.
            samples: all samples, or one figure; ``value`` is the median.
            peer: the same figure of a peer in the same run.
            ratio: how they compare; by default ``value / peer``.
            goal: what it should reach, for the reader.
        """
        data = np.atleast_1d(np.asarray(samples, dtype=np.float64))
        if not data.size:
            data = np.array([np.nan])
        p50, p95, p99 = (float(v) for v in np.percentile(data, (50, 95, 99)))
        if ratio is None and peer:
            ratio = p50 / peer
        if self.as_json:
            row = {
                "name": self.name, "metric": metric, "unit": unit, "value": p50, "p50": p50, "p95": p95, "p99": p99,
                "max": float(data.max()), "n": int(data.size), "peer": peer, "ratio": ratio, "goal": goal,
                "machine": self._machine, "commit": self._commit,
            }  # fmt: skip
            print(json.dumps(row), flush=True)
            return
        if not self._started:
            print(f"{self.name} on {self._machine}, commit {self._commit}")
            print(f"{'metric':<40}{'unit':>9}{'p50':>10}{'p95':>10}{'p99':>10}{'n':>7}{'ratio':>8}  goal")
            self._started = True
        shown = f"{ratio:8.2f}" if ratio is not None else " " * 8
        print(f"{metric:<40}{unit:>9}{p50:10.3f}{p95:10.3f}{p99:10.3f}{data.size:7d}{shown}  {goal}", flush=True)

    def note(self, text: str) -> None:
        """Tell the reader something; kept off standard output in JSON mode."""
        print(text, file=sys.stderr if self.as_json else sys.stdout, flush=True)
