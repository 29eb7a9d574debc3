"""Where a recording goes: whether it can be made at all, and never over an earlier one that was not finished."""

from __future__ import annotations

import logging
import os
import shutil
from fractions import Fraction
from pathlib import Path

from vjengine.errors import RecordError
from vjengine.outputs.codecs import load_av, reason

log = logging.getLogger(__name__)

MIN_FREE = 16 * 1024 * 1024
"""Bytes of disk below which no recording starts, and at which a running one is finished while that still works."""

_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")


def check_request(path: Path, size: tuple[int, int], fps: Fraction, sample_rate: int | None) -> None:
    """Refuse before the show what could not be recorded during it.

    Raises:
        RecordError: naming what to do.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise RecordError(f"cannot record to {path}: choose a name that ends in {', '.join(_SUFFIXES)}")
    if path.is_dir():
        raise RecordError(f"cannot record to {path}: it is a folder; give a file name")
    if not path.parent.is_dir():
        raise RecordError(f"cannot record to {path}: the folder {path.parent} does not exist; create it first")
    if not os.access(path.parent, os.W_OK):
        raise RecordError(f"cannot record to {path}: the folder {path.parent} is not writable; choose another")
    free = shutil.disk_usage(path.parent).free
    if free < MIN_FREE:
        raise RecordError(f"cannot record to {path}: only {free / 1e6:.0f} MB are free there; make room first")
    if not all(16 <= side <= 8192 for side in size):
        raise RecordError(f"cannot record at {size[0]}x{size[1]}: sides go from 16 to 8192 px")
    if not 1 <= fps <= 240:
        raise RecordError(f"cannot record at {float(fps):g} fps: choose 1 to 240")
    if sample_rate is not None and sample_rate not in (rates := load_av().Codec("aac", "w").audio_rates or ()):
        known = ", ".join(str(rate) for rate in sorted(rates))
        raise RecordError(f"cannot record sound at {sample_rate} Hz; choose one of {known}")


def free_partial(path: Path) -> Path:
    """Return the name to record under; what an earlier, killed run left there is kept under another name.

    Raises:
        RecordError: if it cannot be moved out of the way.
    """
    partial = path.with_name(f"{path.stem}.partial.mkv")
    if partial.exists() and partial.stat().st_size:
        number = 1
        while (kept := path.with_name(f"{path.stem}.unfinished-{number}.mkv")).exists():
            number += 1
        try:
            partial.rename(kept)
        except OSError as error:
            raise RecordError(f"cannot record to {path}: {partial} is in the way ({reason(error)})") from error
        log.warning("an earlier recording was not finished; it is kept as %s", kept)
    return partial
