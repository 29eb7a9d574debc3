"""A film in the making is a run folder: it can be left at any moment, by anything, and goes on where it was.

::

    RUN/
    ├── run.json         the plan, its hash, versions, seed, and whatever is noted; replaced whole, never half written
    ├── made.jsonl       one line for every piece begun and made, only ever appended
    ├── .lock            one process at a time
    ├── chunks/000000/   a piece: clip.mkv, carried.npz, piece.json
    ├── chunks/000001/
    └── set-aside/       pieces that were found damaged
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import logging
import os
import platform
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from vjengine.errors import RecordError, ResumeError
from vjengine.offline import disk
from vjengine.offline.disk import file_hash
from vjengine.offline.lock import FolderLock
from vjengine.offline.pieces import NAME, Piece, PieceStore, Work

__all__ = ["Piece", "PieceStore", "RunFolder", "Work", "derive_seed", "file_hash", "plan_hash"]

log = logging.getLogger(__name__)

FORMAT = 1
RUN, MADE, ASIDE = "run.json", "made.jsonl", "set-aside"

_SHOWN = 8  # differences named in a message
_PARTS = ("vjengine", "numpy", "av", "opencv-python-headless", "torch", "diffusers")


def plan_hash(plan: Mapping[str, Any]) -> str:
    """Return the SHA-256 of ``plan`` as canonical JSON, in hexadecimal: order of keys and spelling do not count.

    Tuples, fractions, paths, enumerations, dataclasses and numpy's numbers may stand in it.

    Raises:
        TypeError: for anything else that JSON does not know.
        ValueError: for numbers that are not finite.
    """
    text = json.dumps(plain(plan), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def derive_seed(*parts: object) -> int:
    """Return a seed (0 to 2**63 - 1) from the run's own and whatever names the use: ``derive_seed(7, "chunk", 3, 0)``.

    Neighbouring numbers give unrelated seeds, on every machine the same.
    """
    text = json.dumps([plain(part) for part in parts], ensure_ascii=False, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def plain(value: Any) -> Any:
    """Return ``value`` as JSON keeps it.

    Raises:
        TypeError: if it cannot be kept.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, np.generic):
        return plain(value.item())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    raise TypeError(f"a plan cannot hold {type(value).__name__}: {value!r:.80}")


class RunFolder:
    """A run folder, held by this process; use :meth:`open`, and ``with`` or :meth:`close`.

    Attributes:
        path: the folder.
        plan: the plan, as JSON keeps it.
        plan_hash: its hash.
        resumed: True if an earlier process began it.
    """

    def __init__(
        self, path: Path, record: dict[str, Any], lock: FolderLock, say: Callable[[str], None], resumed: bool
    ) -> None:
        self.path = path
        self.plan: Mapping[str, Any] = record["plan"]
        self.plan_hash: str = record["plan_hash"]
        self.resumed = resumed
        self._record = record
        self._lock = lock
        self._say = say
        self._stores: dict[str, PieceStore] = {}

    @classmethod
    def open(
        cls, path: Path | str, plan: Mapping[str, Any], *, fresh: bool = False, say: Callable[[str], None] = log.warning
    ) -> RunFolder:
        """Begin the run ``plan`` in the folder ``path``, or go on with it if it was begun there.

        Args:
            path: the folder; made if need be. What else is in it is left alone.
            plan: everything that decides the film's bytes: size, rate, seed, prompts, settings, hashes of inputs and
                weights, ``version`` of the continuation. A ``"seed"`` in it is shown again in run.json.
            fresh: throw away what was made before.
            say: told what is worth knowing: damaged pieces, other versions than those it was begun with.

        Raises:
            ResumeError: if another plan was begun there (says what differs), if run.json is unreadable, or if another
                process is at work in it.
            RecordError: if the folder cannot be written.
        """
        path = Path(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordError(f"cannot make the folder {path}: {error.strerror}; choose another output") from error
        lock = FolderLock(path)
        try:
            if fresh:
                _throw_away(path)
            before = read_record(path)
            now = plain(plan)
            versions = _versions()
            if before is None:
                record = {
                    "format": FORMAT,
                    "plan": now,
                    "plan_hash": plan_hash(plan),
                    "seed": now.get("seed"),
                    "versions": versions,
                    "created": datetime.now(UTC).isoformat(timespec="seconds"),
                }
                disk.write_json(path / RUN, record)
            else:
                record = before
                _compare(path, record, now, plan_hash(plan))
            run = cls(path, record, lock, say, before is not None)
        except BaseException:
            lock.release()
            raise
        if changed := [f"{k} {record['versions'].get(k)} -> {v}" for k, v in versions.items() if _old(record, k) != v]:
            say(f"{path} was begun with other versions ({', '.join(changed)}): its film goes on, bytes may differ")
        return run

    def pieces(self, kind: str = "chunks") -> PieceStore:
        """Return the store of the pieces in ``RUN/kind``; always the same one for a kind."""
        if kind not in self._stores:
            self._stores[kind] = PieceStore(self.path / kind, self.path / ASIDE, self._say, self._append)
        return self._stores[kind]

    def note(self, key: str, value: Any) -> None:
        """Keep ``value`` under ``key`` in run.json: seeds, configuration, timings, checksums.

        Raises:
            RecordError: if the disk refuses; what was there stays.
            TypeError: if JSON cannot hold it.
            ValueError: if ``key`` is one of the run's own.
        """
        if key in ("format", "plan", "plan_hash", "versions", "created"):
            raise ValueError(f"{key!r} belongs to the run itself")
        record = {**self._record, key: plain(value)}
        disk.write_json(self.path / RUN, record)
        self._record = record

    def noted(self, key: str, default: Any = None) -> Any:
        """Return what was noted under ``key``, now or by an earlier process."""
        return self._record.get(key, default)

    def made(self) -> list[dict[str, Any]]:
        """Return the log of pieces begun and made, oldest first; see :func:`read_made`."""
        return read_made(self.path)

    def close(self) -> None:
        """Let other processes in. May be called twice."""
        self._lock.release()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, line: Mapping[str, object]) -> None:
        path = self.path / MADE
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        try:
            with path.open("ab+", buffering=0) as file:
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":  # a killed process left half a line
                        data = b"\n" + data
                file.write(data)
        except OSError as error:
            raise disk.failure(path, error) from error


def read_record(path: Path) -> dict[str, Any] | None:
    """Return run.json of the folder ``path``; None if nothing was begun there.

    Raises:
        ResumeError: if it cannot be understood.
    """
    file = path / RUN
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise ValueError(f"format {record['format']!r} instead of {FORMAT}")
        if plan_hash(record["plan"]) != record["plan_hash"]:
            raise ValueError("its plan was edited by hand")
        record["versions"].get("python")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        words = " ".join(str(error).split())[:160]
        raise ResumeError(f"{file} cannot be used ({words}): begin anew with --fresh, or elsewhere") from error
    return dict(record)


def read_made(path: Path) -> list[dict[str, Any]]:
    """Return the log of a run folder: dicts with ``event`` (``"begun"``, ``"made"``), ``kind``, ``index`` …

    A line that a killed process left half written is passed over.
    """
    try:
        lines = (path / MADE).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found


def _compare(path: Path, record: Mapping[str, Any], plan: Mapping[str, Any], digest: str) -> None:
    if record["plan_hash"] == digest:
        return
    old, new = _flat(record["plan"]), _flat(plan)
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    shown = "; ".join(f"{key}: {old.get(key, 'not set')} -> {new.get(key, 'not set')}" for key in changed[:_SHOWN])
    if len(changed) > _SHOWN:
        shown += f"; and {len(changed) - _SHOWN} more"
    raise ResumeError(
        f"{path} holds a film begun with other settings ({shown}). Go on with the old ones, choose another output, "
        "or throw away what was made with --fresh"
    )


def _flat(value: Any, name: str = "") -> dict[str, str]:
    """Return every leaf of a plan under its dotted name, as text; short lists are leaves."""
    if isinstance(value, Mapping) and value:
        return {k: v for key in value for k, v in _flat(value[key], f"{name}.{key}" if name else str(key)).items()}
    if isinstance(value, list) and any(isinstance(entry, Mapping | list) for entry in value):
        return {k: v for at, entry in enumerate(value) for k, v in _flat(entry, f"{name}[{at}]").items()}
    text = json.dumps(value, ensure_ascii=False)
    return {name: text if len(text) <= 60 else f"{text[:40]}…#{hashlib.sha256(text.encode()).hexdigest()[:8]}"}


def _old(record: Mapping[str, Any], part: str) -> object:
    return record["versions"].get(part)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for part in _PARTS:
        try:
            found[part] = version(part)
        except PackageNotFoundError:
            continue
    return found


def _throw_away(path: Path) -> None:
    """Delete an earlier run: folders of nothing but pieces, and the run's own files. Nothing else."""
    try:
        for folder in path.iterdir():
            if not folder.is_dir():
                continue
            names = [entry.name for entry in folder.iterdir()]
            if folder.name == ASIDE or (names and all(NAME.fullmatch(name) for name in names)):
                shutil.rmtree(folder)
        for name in (MADE, RUN):
            (path / name).unlink(missing_ok=True)
    except OSError as error:
        raise RecordError(f"cannot throw away the earlier run in {path}: {error}") from error
