"""What a run was, for whoever opens its folder in a year; and whether all of it is still what it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vjengine.errors import RecordError, ResumeError
from vjengine.offline.clips import clip_info
from vjengine.offline.disk import file_hash
from vjengine.offline.manifest import RunFolder, read_made, read_record
from vjengine.offline.pieces import RECORD, read_prefix


def report(run: RunFolder, film: Path | None = None, **notes: Any) -> dict[str, Any]:
    """Note in run.json what was made, and return it.

    Besides the plan, seed and versions that stand there from the beginning: the film's length, picture and sum of
    bytes, the time every kind of piece took, and ``notes`` (configuration, seeds, what was measured).

    Raises:
        RecordError: if the film is broken or the disk refuses.
    """
    found: dict[str, Any] = {"timings": timings(run.path), **notes}
    if film is not None:
        found["film"] = describe(film, run.path)
    for key, value in found.items():
        run.note(key, value)
    return found


def describe(film: Path, base: Path) -> dict[str, Any]:
    """Return what a film is, as JSON: where (seen from ``base``, if it is in there), size, length, SHA-256."""
    info = clip_info(film)
    inside = film.resolve().is_relative_to(base.resolve())
    return {
        "path": film.resolve().relative_to(base.resolve()).as_posix() if inside else str(film.resolve()),
        "size": list(info.size),
        "fps": f"{info.fps.numerator}/{info.fps.denominator}",
        "frames": info.frames,
        "seconds": round(float(info.duration), 6),
        "sound": info.audio,
        "bytes": film.stat().st_size,
        "sha256": file_hash(film),
    }


def timings(folder: Path) -> dict[str, dict[str, float]]:
    """Return, for every kind of piece, how many were begun and made, their pictures, and the s spent, of all runs."""
    found: dict[str, dict[str, float]] = {}
    for line in read_made(folder):
        entry = found.setdefault(str(line.get("kind")), {"begun": 0, "made": 0, "frames": 0, "seconds": 0.0})
        if line.get("event") == "begun":
            entry["begun"] += 1
        elif line.get("event") == "made":
            entry["made"] += 1
            entry["frames"] += int(line.get("frames", 0))
            entry["seconds"] = round(entry["seconds"] + float(line.get("seconds", 0.0)), 3)
    return found


def verify(folder: Path, tell: Callable[[str], None] = lambda words: None) -> list[str]:
    """Check everything in a run folder against what it was when it was made; return what is wrong, in words.

    Reads every byte, changes nothing, and needs no lock.

    Args:
        folder: the run folder.
        tell: told what is being read.
    """
    try:
        record = read_record(folder)
    except ResumeError as error:
        return [str(error)]
    if record is None:
        return [f"{folder} is not a run folder: there is no run.json"]
    wrong: list[str] = []
    for kind in sorted(path for path in folder.iterdir() if path.is_dir()):
        if not any(kind.glob(f"*/{RECORD}")) or kind.name == "set-aside":
            continue
        tell(kind.name)
        _, why = read_prefix(kind)
        if why:
            wrong.append(why)
    for film in _films(record):
        path = folder / str(film.get("path", ""))
        tell(path.name)
        try:
            if file_hash(path) != film["sha256"]:
                wrong.append(f"{path} is not the film that was made: its bytes were changed")
        except OSError as error:
            wrong.append(f"{path} cannot be read: {error.strerror}")
    return wrong


def require_whole(folder: Path) -> None:
    """Raise if :func:`verify` finds anything.

    Raises:
        RecordError: naming the first fault and how many there are.
    """
    if wrong := verify(folder):
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise RecordError(f"{wrong[0]}{more}")


def _films(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Everything in run.json that names a file and its sum, at the top or in a list there."""
    found: list[Mapping[str, Any]] = []
    for value in record.values():
        entries = value if isinstance(value, list) else [value]
        found += [entry for entry in entries if isinstance(entry, Mapping) and {"path", "sha256"} <= entry.keys()]
    return found
