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

import json
import logging
import os
import platform
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vjengine.errors import RecordError, ResumeError
from vjengine.offline import disk
from vjengine.offline.disk import file_hash
from vjengine.offline.lock import FolderLock
from vjengine.offline.pieces import NAME, Piece, PieceStore, Work
from vjengine.offline.plan import derive_seed, differences, plain, plan_hash

__all__ = ["Piece", "PieceStore", "RunFolder", "Work", "derive_seed", "file_hash", "plan_hash"]

log = logging.getLogger(__name__)

FORMAT = 1
RUN, MADE, ASIDE = "run.json", "made.jsonl", "set-aside"

_PARTS = ("vjengine", "numpy", "av", "opencv-python-headless", "torch", "diffusers")


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
        cls,
        path: Path | str,
        plan: Mapping[str, Any],
        *,
        versions: Mapping[str, str] | None = None,
        fresh: bool = False,
        say: Callable[[str], None] = log.warning,
    ) -> RunFolder:
        """Begin the run ``plan`` in the folder ``path``, or go on with it if it was begun there.

        Args:
            path: the folder; made if need be. What else is in it is left alone.
            plan: everything that decides the film's bytes: size, rate, seed, prompts, settings, hashes of inputs and
                weights, ``version`` of the continuation. A ``"seed"`` in it is shown again in run.json.
            versions: of whatever else makes the pictures, beside those of the libraries. Another one than the run was
                begun with is told and no reason to refuse.
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
            versions = {**_versions(), **(versions or {})}
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
                _refuse_another(path, record, now, plan_hash(plan))
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


def _refuse_another(path: Path, record: Mapping[str, Any], plan: Mapping[str, Any], digest: str) -> None:
    if record["plan_hash"] == digest:
        return
    raise ResumeError(
        f"{path} holds a film begun with other settings ({differences(record['plan'], plan)}). Go on with the old "
        "ones, choose another output, or throw away what was made with --fresh"
    )


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
