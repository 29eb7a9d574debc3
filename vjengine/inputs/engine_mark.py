"""A mark in the live macro folder: which engine works there, so that a second one does not clear up under the first."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

import psutil

NAME = ".engine"
_MAX_BYTES = 128


def live_engine(folder: Path) -> int | None:
    """Return the process id of the engine that works on ``folder``, or ``None``.

    A mark left by a dead process does not count: process ids are used again, so its start time must agree too.
    """
    try:
        with (folder / NAME).open("rb") as file:
            fields = file.read(_MAX_BYTES).decode("ascii", "replace").split()
        pid, started = int(fields[0]), float(fields[1])
        alive = abs(psutil.Process(pid).create_time() - started) < 1.0
    except (OSError, ValueError, IndexError, OverflowError, psutil.Error):
        return None
    return pid if alive else None


class EngineMark:
    """This engine's mark on ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._text = f"{os.getpid()} {psutil.Process().create_time():.3f} {uuid.uuid4().hex}\n"

    def claim(self) -> int | None:
        """Set the mark, unless a live engine's is there: then return that engine's process id.

        Raises:
            OSError: if the folder cannot be written to.
        """
        for _ in range(2):
            try:
                with self._path.open("x", encoding="ascii") as file:
                    file.write(self._text)
            except FileExistsError:
                other = live_engine(self._path.parent)
                if other is not None:
                    return other
                self._path.unlink(missing_ok=True)
            else:
                return None
        return live_engine(self._path.parent)

    def release(self) -> None:
        """Remove the mark if it is this one."""
        with contextlib.suppress(OSError, ValueError):
            if self._path.read_text(encoding="ascii") == self._text:
                self._path.unlink()
