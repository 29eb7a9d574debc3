"""One process at a time in a folder: a lock that the operating system takes back when its process dies, however."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from vjengine.errors import RecordError, ResumeError

NAME = ".lock"

_FAR = 1 << 30  # Windows locks bytes, and nobody may read them then: lock one far behind the owner's number


class FolderLock:
    """Holds ``folder`` for this process until :meth:`release`, or until the process ends in any way.

    The lock file itself stays: taking it away would let two processes hold two files of one name.

    Raises:
        ResumeError: if another process, or this one a second time, holds it.
        RecordError: if the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        except OSError as error:
            raise RecordError(f"cannot write into {folder}: {error.strerror}; choose another output") from error
        try:
            _take(self._handle)
        except OSError as error:
            owner = os.pread(self._handle, 20, 0) if hasattr(os, "pread") else os.read(self._handle, 20)
            os.close(self._handle)
            self._handle = -1
            number = owner.decode("ascii", "replace").strip()
            who = f"process {number}" if number.isdigit() else "another process"
            raise ResumeError(f"{who} is at work in {folder}: wait for it, or choose another output") from error
        # A full disk must not keep anybody from going on: the number is for a message only.
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, 0)
            os.lseek(self._handle, 0, os.SEEK_SET)
            os.write(self._handle, str(os.getpid()).encode())

    def release(self) -> None:
        """Let others in. May be called twice."""
        if self._handle >= 0:
            os.close(self._handle)  # which also gives the lock back
            self._handle = -1


if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> None:
        os.lseek(handle, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
else:
    import fcntl

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
