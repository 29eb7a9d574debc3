"""The pieces that a long work is cut into: each appears whole, by one rename, or not at all.

A piece is a folder: a clip, what comes after it needs, and ``piece.json``, written last, which knows every byte of it
and the piece before. What is on the disk is believed only as far as it is complete, unharmed and unbroken from the
first piece on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vjengine.errors import RecordError
from vjengine.offline import disk
from vjengine.offline.clipfile import CARRIED, CLIP, clip_info

RECORD = "piece.json"
FORMAT = 1
CHECKPOINT = 16
"""Of what only a successor needs (:data:`~vjengine.offline.clipfile.CARRIED`), the two newest are kept and every so
manieth, so that an hour of film does not keep an hour of raw pictures."""

NAME = re.compile(r"\d{6,}(\.part)?")
"""What a piece's folder is called."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A finished piece, as found or just made.

    Attributes:
        index: its number, from 0.
        folder: where its files are.
        frames: pictures in its clip.
        meta: what whoever made it wanted to keep (JSON).
        key: hash of all that decided its bytes, as given to :meth:`PieceStore.begin`.
        digest: hash of its bytes, its key and the piece before; two runs that agree made the same.
        size: bytes.
    """

    index: int
    folder: Path
    frames: int
    meta: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    digest: str = ""
    size: int = 0

    @property
    def clip(self) -> Path:
        """Its pictures, if it keeps them under the usual name."""
        return self.folder / CLIP


class Work:
    """A piece in the making; see :meth:`PieceStore.begin`.

    Attributes:
        index: its number.
        folder: an empty folder to write into.
        piece: what became of it, once :meth:`commit` was called.
    """

    def __init__(self, store: PieceStore, index: int, key: str, folder: Path) -> None:
        self.index = index
        self.folder = folder
        self.piece: Piece | None = None
        self._store = store
        self._key = key

    def commit(self, frames: int, meta: Mapping[str, Any] | None = None, passing: Sequence[str] = (CARRIED,)) -> Piece:
        """Make the piece final: its bytes are on the disk before its name is.

        Args:
            frames: pictures in its clip; checked, if there is a :data:`~vjengine.offline.clipfile.CLIP`.
            meta: what is to be found again in :attr:`Piece.meta`; JSON, small.
            passing: files that only the next piece needs, and that are dropped once two more are made.

        Raises:
            RecordError: if the disk is full, or the clip does not hold ``frames`` pictures.
        """
        if self.piece is not None:
            raise ValueError(f"piece {self.index} is finished already")
        self.piece = self._store._commit(self.index, self._key, self.folder, frames, dict(meta or {}), passing)
        return self.piece


class PieceStore:
    """All pieces of one kind in one run: ``FOLDER/000000``, ``FOLDER/000001`` …

    Args:
        folder: where; made if need be.
        aside: where damaged pieces go.
        say: told, once, what was found damaged.
        log: told of every piece begun and made; see :meth:`~vjengine.offline.manifest.RunFolder.made`.
    """

    def __init__(
        self,
        folder: Path,
        aside: Path,
        say: Callable[[str], None],
        log: Callable[[Mapping[str, object]], None] = lambda line: None,
    ) -> None:
        self.folder = folder
        self.kind = folder.name
        self._aside = aside
        self._say = say
        self._log = log
        self._known: dict[int, Piece] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob("*.part"):  # of a killed process: the lock says that nobody is at it
                shutil.rmtree(left, ignore_errors=True)
        except OSError as error:
            raise disk.failure(folder, error) from error

    def prefix(
        self, key: Callable[[int], str] | None = None, tell: Callable[[int, int], None] | None = None
    ) -> list[Piece]:
        """Return the pieces that can be believed: from 0 on, without a hole, every byte as it was written.

        The first bad one and all after it are set aside: they are out of the way, and not deleted.

        Args:
            key: the key a piece must have been begun with; None believes the one it says.
            tell: told pieces read and pieces there: a long film takes a while. What it raises ends the reading, and
                nothing was changed.
        """
        good, why = read_prefix(self.folder, key, tell=tell)
        self._set_aside([index for index in _indices(self.folder) if index >= len(good)], why)
        self._known = {piece.index: piece for piece in good}
        return good

    def known(self) -> list[Piece]:
        """Return the pieces from 0 on, without a hole, as :meth:`prefix` found and this process made them."""
        found: list[Piece] = []
        while (piece := self._known.get(len(found))) is not None:
            found.append(piece)
        return found

    @contextlib.contextmanager
    def begin(self, index: int, key_hash: str, needed: int = 0) -> Iterator[Work]:
        """Give a folder to make piece ``index`` in; without :meth:`Work.commit` it is gone afterwards.

        Args:
            index: the next one, or any that is not there.
            key_hash: hash of all that decides its bytes.
            needed: bytes it will take, if known; else as many as the largest so far are asked for.

        Raises:
            RecordError: if the disk has no room for it, now or on the way.
            ValueError: if it is there already.
        """
        final = self.folder / f"{index:06d}"
        if final.exists():
            raise ValueError(f"{self.kind} {index} is there already: ask prefix() first")
        needed = needed or max((piece.size for piece in self._known.values()), default=0)
        disk.require_space(self.folder, needed)
        folder = self.folder / f"{index:06d}.part"
        work = Work(self, index, key_hash, folder)
        self._log({"event": "begun", "kind": self.kind, "index": index, "key": key_hash})
        started = time.perf_counter()
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            yield work
        except (OSError, RecordError) as error:
            if disk.is_full(error):
                raise disk.full(self.folder, needed) from error
            raise
        finally:
            if work.piece is None:
                shutil.rmtree(folder, ignore_errors=True)
        if work.piece is not None:
            self._log(
                {
                    "event": "made",
                    "kind": self.kind,
                    "index": index,
                    "frames": work.piece.frames,
                    "digest": work.piece.digest,
                    "seconds": round(time.perf_counter() - started, 3),
                }
            )

    def clear(self) -> None:
        """Delete all pieces, for instance when the film that they became is finished and checked."""
        for index in _indices(self.folder):
            shutil.rmtree(self.folder / f"{index:06d}", ignore_errors=True)
        self._known.clear()

    def _commit(
        self, index: int, key: str, folder: Path, frames: int, meta: dict[str, Any], passing: Sequence[str]
    ) -> Piece:
        if (folder / CLIP).exists():
            _check_frames(folder, frames)
        before = self._known.get(index - 1)
        try:
            files: dict[str, list[object]] = {}
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    disk.sync_file(path)
                    name = path.relative_to(folder).as_posix()
                    files[name] = [path.stat().st_size, disk.file_hash(path)]
            record: dict[str, object] = {
                "format": FORMAT,
                "kind": self.kind,
                "index": index,
                "key": key,
                "after": before.digest if before else "",
                "frames": frames,
                "files": files,
                "passing": [name for name in passing if name in files],
            }
            digest = _digest(record)
            disk.write_json(folder / RECORD, {**record, "digest": digest, "meta": meta})
            final = self.folder / f"{index:06d}"
            folder.rename(final)
            disk.sync_folder(self.folder)
        except OSError as error:
            raise disk.failure(self.folder, error) from error
        piece = Piece(index, final, frames, meta, key, digest, _size(files))
        self._known[index] = piece
        self._drop_passed(index - 2)
        return piece

    def _drop_passed(self, index: int) -> None:
        """Delete what piece ``index`` kept for its successor only, unless it is a checkpoint."""
        if index < 0 or index % CHECKPOINT == 0 or index not in self._known:
            return
        folder = self._known[index].folder
        for name in _entries(folder, passing=True):
            with contextlib.suppress(OSError):
                (folder / name).unlink(missing_ok=True)

    def _set_aside(self, indices: Sequence[int], why: str) -> None:
        if not indices:
            return
        for index in indices:
            target = self._aside / f"{self.kind}-{index:06d}"
            shutil.rmtree(target, ignore_errors=True)
            try:
                self._aside.mkdir(parents=True, exist_ok=True)
                (self.folder / f"{index:06d}").rename(target)
            except OSError as error:
                raise disk.failure(self._aside, error) from error
        count = len(indices)
        self._say(f"{why}: {'it is' if count == 1 else f'{count} are'} set aside in {self._aside} and made anew")


def read_prefix(
    folder: Path,
    key: Callable[[int], str] | None = None,
    *,
    thorough: bool = True,
    tell: Callable[[int, int], None] | None = None,
) -> tuple[list[Piece], str]:
    """Return the pieces in ``folder`` that can be believed, and in words why no more of those there; changes nothing.

    Args:
        folder: of one kind.
        key: as in :meth:`PieceStore.prefix`.
        thorough: read every byte; False looks at sizes only, for a glance at a long film.
        tell: told pieces read and pieces there.
    """
    good: list[Piece] = []
    indices = set(_indices(folder))
    why = ""
    while len(good) in indices:
        if tell is not None:
            tell(len(good), len(indices))
        try:
            good.append(_read(folder, len(good), good[-1] if good else None, key, thorough))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecordError) as error:
            why = f"{folder.name} {len(good)} is damaged ({' '.join(str(error).split())[:160]})"
            break
    else:
        if len(indices) > len(good):
            why = f"{folder.name} {len(good)} is missing"
    # What comes next is made of what the last one carries; that may be gone, and then an earlier one must do.
    while good and (harm := _harm(good[-1].folder, _entries(good[-1].folder, passing=True), thorough)):
        why = f"{folder.name} {good.pop().index} cannot be continued ({harm})"
    return good, why


def _indices(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    names = (entry.name for entry in folder.iterdir() if entry.is_dir())
    return sorted(int(name) for name in names if NAME.fullmatch(name) and not name.endswith(".part"))


def _read(store: Path, index: int, before: Piece | None, key: Callable[[int], str] | None, thorough: bool) -> Piece:
    folder = store / f"{index:06d}"
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    meta, digest = record.pop("meta"), record.pop("digest")
    if record["format"] != FORMAT or record["index"] != index or record["kind"] != store.name:
        raise ValueError(f"{RECORD} is of another piece")
    if _digest(record) != digest:
        raise ValueError(f"{RECORD} was changed")
    if key is not None and record["key"] != key(index):
        raise ValueError("it was made with other settings")
    if record["after"] and (before is None or record["after"] != before.digest):
        raise ValueError("it was made after another piece than the one before it")
    if harm := _harm(folder, _entries(folder, passing=False), thorough):
        raise ValueError(harm)
    if thorough and CLIP in record["files"]:
        _check_frames(folder, record["frames"])
    return Piece(index, folder, record["frames"], meta, record["key"], digest, _size(record["files"]))


def _digest(record: Mapping[str, object]) -> str:
    text = json.dumps(record, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _size(files: Mapping[str, Sequence[Any]]) -> int:
    return sum(int(entry[0]) for entry in files.values())


def _entries(folder: Path, *, passing: bool) -> dict[str, Sequence[Any]]:
    """Return name: (bytes, SHA-256) of the files that a piece keeps, or of those that only its successor needs."""
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return {name: entry for name, entry in record["files"].items() if (name in record["passing"]) == passing}


def _harm(folder: Path, files: Mapping[str, Sequence[Any]], thorough: bool) -> str:
    """Return in words what is wrong with these files of a piece; empty if nothing is."""
    for name, (size, digest) in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if (found := path.stat().st_size) != size:
            return f"{name} has {found} bytes instead of {size}"
        if thorough and disk.file_hash(path) != digest:
            return f"{name} was changed"
    return ""


def _check_frames(folder: Path, frames: int) -> None:
    found = clip_info(folder / CLIP).frames
    if found != frames:
        raise RecordError(f"{folder / CLIP} holds {found} pictures instead of {frames}")
