"""The pieces that a long work is cut into: each appears whole, by one rename, or not at all.

A piece is a folder: a clip, what comes after it needs, and ``piece.json``, written last, which knows every byte of it
and the piece before. What is on the disk is believed only as far as it is complete, unharmed and unbroken from the
first piece on.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vjengine.errors import RecordError
from vjengine.offline import disk
from vjengine.offline.clipfile import CARRIED, CLIP
from vjengine.offline.piece import (
    FORMAT,
    NAME,
    RECORD,
    Piece,
    check_frames,
    digest_of,
    entries,
    indices_in,
    read_prefix,
    size_of,
)

__all__ = ["CHECKPOINT", "NAME", "RECORD", "Piece", "PieceStore", "Work", "read_prefix"]


CHECKPOINT = 16
"""Of what only a successor needs (:data:`~vjengine.offline.clipfile.CARRIED`), the two newest are kept and every so
manieth, so that an hour of film does not keep an hour of raw pictures."""


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
        self._set_aside([index for index in indices_in(self.folder) if index >= len(good)], why)
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
        for index in indices_in(self.folder):
            shutil.rmtree(self.folder / f"{index:06d}", ignore_errors=True)
        self._known.clear()

    def _commit(
        self, index: int, key: str, folder: Path, frames: int, meta: dict[str, Any], passing: Sequence[str]
    ) -> Piece:
        if (folder / CLIP).exists():
            check_frames(folder, frames)
        before = self._known.get(index - 1)
        meta = json.loads(json.dumps(meta, allow_nan=False))  # as the next process will find it
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
            digest = digest_of(record)
            whole = {**record, "digest": digest, "meta": meta}
            disk.write_json(folder / RECORD, {**whole, "check": digest_of(whole)})
            final = self.folder / f"{index:06d}"
            folder.rename(final)
            disk.sync_folder(self.folder)
        except OSError as error:
            raise disk.failure(self.folder, error) from error
        piece = Piece(index, final, frames, meta, key, digest, size_of(files))
        self._known[index] = piece
        self._drop_passed(index - 2)
        return piece

    def _drop_passed(self, index: int) -> None:
        """Delete what piece ``index`` kept for its successor only, unless it is a checkpoint."""
        if index < 0 or index % CHECKPOINT == 0 or index not in self._known:
            return
        folder = self._known[index].folder
        for name in entries(folder, passing=True):
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
