"""Child processes that open windows on the X servers of ``tests/conftest.py``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def _environment(display: str | None) -> dict[str, str]:
    left_out = {"DISPLAY", "WAYLAND_DISPLAY"}
    env = {name: value for name, value in os.environ.items() if name not in left_out}
    root = str(Path(__file__).resolve().parents[2])
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (root, env.get("PYTHONPATH", ""))))
    return {**env, "DISPLAY": display} if display else env


PRELUDE = """
import json, subprocess, sys, time, warnings
warnings.simplefilter("error")

def tell(**facts):
    print(json.dumps(facts), flush=True)

def until(window, met, limit=20.0):
    # Poll the window until ``met()``; give up, loudly, after ``limit`` s.
    strokes, end = [], time.monotonic() + limit
    while not met(strokes):
        strokes += window.poll()
        if time.monotonic() > end:
            raise SystemExit(f"waited {limit} s in vain; strokes so far: {strokes}")
        time.sleep(0.01)
    return strokes
"""


@pytest.fixture
def child() -> Callable[..., dict[str, Any]]:
    """Run Python in a process with a display (or none) and return the facts it told: ``child(code, display)``.

    The code may use ``tell(**facts)`` and ``until(window, met)``. Several tellings are merged.
    """

    def run(code: str, display: str | None) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", PRELUDE + textwrap.dedent(code)],
            env=_environment(display),
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert done.returncode == 0, f"the child failed:\n{done.stderr[-3000:]}"
        facts: dict[str, Any] = {"stderr": done.stderr}
        for line in done.stdout.splitlines():
            facts.update(json.loads(line))
        return facts

    return run
