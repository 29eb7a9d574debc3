"""The show's end of the web process: start it, end it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

from vjengine.web.settings import WebSettings

log = logging.getLogger(__name__)


def spawn(settings: WebSettings) -> subprocess.Popen[bytes]:
    """Start the web process."""
    package_home = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (package_home, os.environ.get("PYTHONPATH", ""))))
    return subprocess.Popen(
        [sys.executable, "-m", "vjengine.web.worker", settings.to_json()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # What strangers send ends up in a server's log lines; what matters comes through the pipe.
        stderr=None if log.isEnabledFor(logging.DEBUG) else subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def end(child: subprocess.Popen[bytes], timeout: float) -> None:
    """Kill the web process if it does not end within ``timeout`` s; its standard input must be closed by then."""
    try:
        child.wait(timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
