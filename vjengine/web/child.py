"""The show's end of the web process: start it, end it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import psutil

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


class Patience:
    """Tells a web process that hangs from one that the machine has no time for.

    It stands behind the show, so a machine that is busy enough keeps it silent for long; killing it would only make
    that worse. It hangs if it is stopped or asleep while it should say something, or has had time enough to.

    Args:
        pid: of the process.
        silent: s without a word from which on it is looked at.
    """

    LONGEST = 8.0
    """Times ``silent`` after which even starvation is no excuse."""

    def __init__(self, pid: int, silent: float) -> None:
        self._silent = silent
        self._used = 0.0
        self._asleep = 0
        try:
            self._process: psutil.Process | None = psutil.Process(pid)
        except psutil.Error:
            self._process = None

    def heard(self) -> None:
        """It said something."""
        self._asleep = 0
        self._used = self._cpu()

    def is_over(self, silence: float) -> bool:
        """Return True if it hangs, after ``silence`` s without a word; ask a few times a second."""
        if silence <= self._silent:
            return False
        if self._process is None or silence > self._silent * self.LONGEST or self._cpu() - self._used > self._silent:
            return True
        try:
            status = self._process.status()
        except psutil.Error:
            return True
        # Asleep between two moments of work is nothing; asleep whenever one looks is.
        self._asleep = self._asleep + 1 if status not in (psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP) else 0
        return self._asleep >= 5

    def _cpu(self) -> float:
        try:
            times = self._process.cpu_times() if self._process is not None else None
        except psutil.Error:
            return 0.0
        return times.user + times.system if times is not None else 0.0


def end(child: subprocess.Popen[bytes], timeout: float) -> None:
    """Kill the web process if it does not end within ``timeout`` s; its standard input must be closed by then."""
    try:
        child.wait(timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
