"""A finished piece, and how far those in a folder can be believed: read only, so anybody may look at any time."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vjengine.errors import RecordError
from vjengine.offline import disk
from vjengine.offline.clipfile import CLIP, clip_info

RECORD = "piece.json"
FORMAT = 1
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


def read_prefix(
    folder: Path,
    key: Callable[[int], str] | None = None,
    *,
    thorough: bool = True,
    tell: Callable[[int, int], None] | None = None,
    continued: bool = True,
) -> tuple[list[Piece], str]:
    """Return the pieces in ``folder`` that can be believed, and in words why no more of those there; changes nothing.

    Args:
        folder: of one kind.
        key: as in :meth:`PieceStore.prefix`.
        thorough: read every byte; False looks at sizes only, for a glance at a long film.
        tell: told pieces read and pieces there.
        continued: end with a piece that the next one can be made after; False for those who only want to see them.
    """
    good: list[Piece] = []
    indices = set(indices_in(folder))
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
    back = 0
    while continued and good and (harm := _harm(good[-1].folder, entries(good[-1].folder, passing=True), thorough)):
        why = why or f"{folder.name} {good[-1].index} cannot be continued ({harm})"
        good.pop()
        back += 1
    if back and good:
        why += f"; what the next one needs is only kept beside {folder.name} {good[-1].index}"
    return good, why


def indices_in(folder: Path) -> list[int]:
    """Return the numbers of the finished pieces in a folder, in order."""
    if not folder.is_dir():
        return []
    names = (entry.name for entry in folder.iterdir() if entry.is_dir())
    return sorted(int(name) for name in names if NAME.fullmatch(name) and not name.endswith(".part"))


def _read(store: Path, index: int, before: Piece | None, key: Callable[[int], str] | None, thorough: bool) -> Piece:
    folder = store / f"{index:06d}"
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    check = record.pop("check")
    if digest_of(record) != check:
        raise ValueError(f"{RECORD} was changed")
    meta, digest = record.pop("meta"), record.pop("digest")
    if record["format"] != FORMAT or record["index"] != index or record["kind"] != store.name:
        raise ValueError(f"{RECORD} is of another piece")
    if key is not None and record["key"] != key(index):
        raise ValueError("it was made with other settings")
    if record["after"] and (before is None or record["after"] != before.digest):
        raise ValueError("it was made after another piece than the one before it")
    if harm := _harm(folder, entries(folder, passing=False), thorough):
        raise ValueError(harm)
    if thorough and CLIP in record["files"]:
        check_frames(folder, record["frames"])
    return Piece(index, folder, record["frames"], meta, record["key"], digest, size_of(record["files"]))


def digest_of(record: Mapping[str, object]) -> str:
    """Return the hash of a piece's record."""
    text = json.dumps(record, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def size_of(files: Mapping[str, Sequence[Any]]) -> int:
    """Return the bytes of all files of a piece."""
    return sum(int(entry[0]) for entry in files.values())


def entries(folder: Path, *, passing: bool) -> dict[str, Sequence[Any]]:
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


def check_frames(folder: Path, frames: int) -> None:
    """Raise if a piece's clip does not hold so many pictures.

    Raises:
        RecordError: saying how many it holds.
    """
    found = clip_info(folder / CLIP).frames
    if found != frames:
        raise RecordError(f"{folder / CLIP} holds {found} pictures instead of {frames}")
