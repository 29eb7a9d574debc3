"""The show's end of the MIDI process: start it, read its lines, end it."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from vjengine.errors import InputError, MissingDependency

log = logging.getLogger(__name__)

ROOM = 3500
"""Bytes under way to a MIDI process at most: Windows gives a pipe 4096."""


def missing_rtmidi() -> MissingDependency:
    """Return the error that says how to get python-rtmidi on this Python."""
    remedy = "pip install 'python-rtmidi>=1.5.8'"
    if sys.version_info >= (3, 13):
        remedy += " (it has no ready-made wheel for this Python: use Python 3.12, or install a C++ compiler first)"
    return MissingDependency("MIDI (python-rtmidi)", remedy)


def spawn(options: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start the MIDI process."""
    package_home = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (package_home, os.environ.get("PYTHONPATH", ""))))
    return subprocess.Popen(
        [sys.executable, "-m", "vjengine.inputs.midi_worker", json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # MIDI libraries write riddles to the terminal; what matters comes through the pipe.
        stderr=None if log.isEnabledFor(logging.DEBUG) else subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def lines(pipe: IO[bytes]) -> Iterator[list[Any]]:
    """Yield the messages of a MIDI process until it ends; a line torn by its death is left out."""
    for line in pipe:
        try:
            yield json.loads(line)
        except ValueError:
            continue


class Speaker:
    """Writes to a MIDI process without ever waiting for it: what would not fit into the pipe is not written.

    One thread speaks, another reports what the process took; each writes one of the two counters only.
    """

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self._said = 0
        self._took = 0

    @property
    def idle(self) -> bool:
        """True if all that was said has been taken."""
        return self._said == self._took

    def say(self, line: list[Any]) -> bool:
        """Write one line; return False if there is no room for it now or nobody to hear it."""
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        if self._said - self._took + len(data) > ROOM or self._child.stdin is None:
            return False
        try:
            self._child.stdin.write(data)
            self._child.stdin.flush()
        except (OSError, ValueError):
            return False
        self._said += len(data)
        return True

    def took(self, count: int) -> None:
        """Take note that the process has done with ``count`` bytes."""
        self._took += count


def list_midi_inputs(api: str = "", timeout: float = 5.0) -> tuple[str, ...]:
    """Return the names of all MIDI inputs of this machine; see :func:`list_midi_ports`."""
    return list_midi_ports(api, timeout)[0]


def list_midi_ports(api: str = "", timeout: float = 5.0) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of all MIDI inputs of this machine, and of all its outputs.

    Args:
        api: MIDI system to ask; see :class:`MidiInput`.
        timeout: s after which a MIDI system that does not answer is given up.

    Raises:
        MissingDependency: python-rtmidi is not installed.
        InputError: there is no MIDI system, or it does not answer.
    """
    if importlib.util.find_spec("rtmidi") is None:
        raise missing_rtmidi()
    child = spawn({"ports": ["\0"], "api": api, "poll": 1.0})
    watchdog = threading.Timer(timeout, child.kill)
    watchdog.daemon = True
    watchdog.start()
    try:
        assert child.stdout is not None
        for kind, *rest in lines(child.stdout):
            if kind == "ports":
                return tuple(rest[1]), tuple(rest[2])
            if kind == "missing":
                raise missing_rtmidi()
            if kind != "alive":
                raise InputError(f"MIDI inputs cannot be listed: {rest[0]}")
        raise InputError(f"MIDI inputs cannot be listed: the MIDI system did not answer within {timeout:g} s")
    finally:
        watchdog.cancel()
        end(child, 0.5)
        if child.stdout is not None:
            child.stdout.close()


def end(child: subprocess.Popen[bytes], timeout: float) -> None:
    """Hang up on a MIDI process; kill it if it does not end within ``timeout`` s."""
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.close()
    except OSError:
        log.debug("the MIDI process had already hung up")
    try:
        child.wait(timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
