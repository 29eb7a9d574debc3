"""Writing so that a power cut leaves the old file or the new one, and saying in numbers when a disk is full."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from vjengine.errors import RecordError

MARGIN = 8 * 1024 * 1024
"""Bytes that are to stay free beyond what a piece needs: run.json, the log, the next clip's header."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} if hasattr(errno, "EDQUOT") else {errno.ENOSPC, errno.EFBIG}
_BLOCK = 1 << 20


def is_full(error: BaseException | None) -> bool:
    """Return whether ``error``, or what it was raised from, says that no more fits on the disk."""
    while error is not None:
        if getattr(error, "errno", None) in _FULL:
            return True
        error = error.__cause__
    return False


def megabytes(count: float) -> str:
    """Return a number of bytes as one reads it: ``"3.4 MB"``, ``"12.0 GB"``."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def free_bytes(path: Path) -> int:
    """Return the bytes free on the disk that ``path`` is, or would be, on."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def full(path: Path, needed: int = 0) -> RecordError:
    """Return the error that says that the disk of ``path`` is full, what is left, and what is needed (bytes).

    ``needed`` is an estimate and what is left changes meanwhile: where the two make no sense together, it says so.
    """
    try:
        free = free_bytes(path)
    except OSError:
        return _full(path, "no space is left")
    left, wanted = megabytes(free), megabytes(needed)
    if free >= needed + MARGIN:
        more = (
            " now; what was being written needs more than that, or a quota or the file system (FAT32 takes files up "
            "to 4 GB) allows no more"
        )
    elif needed > free and wanted != left:
        more = f", about {wanted} are needed for the next piece"
    else:
        more = ", and the next piece needs more than that" if needed else ""
    return _full(path, f"{left} are left{more}")


def _full(path: Path, words: str) -> RecordError:
    return RecordError(
        f"the disk of {path} is full: {words}. Nothing that was finished is lost: make room there, "
        "then give the same command again and it goes on"
    )


def failure(path: Path, error: BaseException, needed: int = 0) -> RecordError:
    """Return what went wrong with writing ``path``, in the words of the operating system or the codec."""
    if is_full(error):
        return full(path, needed)
    number = getattr(error, "errno", None)
    known = isinstance(number, int) and 0 < number < 1000
    words = os.strerror(number) if known and isinstance(number, int) else " ".join(str(error).split())[:200]
    return RecordError(f"cannot write {path}: {words or type(error).__name__}")


def require_space(path: Path, needed: int) -> None:
    """Refuse before the work what would not fit after it.

    Raises:
        RecordError: if fewer than ``needed`` bytes and :data:`MARGIN` are free there.
    """
    try:
        free = free_bytes(path)
    except OSError:  # a disk that does not say: the writing will
        return
    if free < needed + MARGIN:
        raise full(path, needed + MARGIN)


def sync_file(path: Path) -> None:
    """Wait until the file's bytes are on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the folder's names are on the disk, where the system knows such a thing (not Windows)."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write ``value`` to ``path``: a reader, or the next run after a power cut, finds the old one or the new one.

    Raises:
        RecordError: if it cannot be written; the old one stays.
        TypeError: if it holds what JSON cannot.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise failure(path, error, len(text)) from error
    sync_folder(path.parent)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal, reading it block by block.

    Raises:
        OSError: if it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
