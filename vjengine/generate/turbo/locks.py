"""What was pulled, exactly: one lock file a name, with commit, size and SHA-256 of every file.

Layout, plain enough to copy to another machine: one folder a repository and commit, one lock a name::

    stabilityai--sd-turbo/b261bac6fd2c/unet/...
    locks/sd-turbo.json

A lock is written before the first byte, so that an interrupted pull goes on with the very same files, and marked
complete after the last hash was checked.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vjengine.generate.turbo.hub import PART, RemoteFile, is_safe

_REPO = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{12,64}")


@dataclass(frozen=True, slots=True)
class Lock:
    """One pulled repository: what a name stood for when it was first pulled.

    Attributes:
        name: as it was asked for.
        repo: ``owner/name``.
        commit: full hash.
        files: what belongs to it.
        parts: other names that were pulled with it.
        complete: True once every hash was checked.
    """

    name: str
    repo: str
    commit: str
    files: tuple[RemoteFile, ...]
    parts: tuple[str, ...] = ()
    complete: bool = False

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def file(self, path: str) -> RemoteFile:
        """Return the file at ``path`` in the repository."""
        return next(file for file in self.files if file.path == path)


@dataclass(frozen=True, slots=True)
class Locks:
    """The locks in ``folder``, and the files that they speak of."""

    folder: Path

    def read(self, name: str) -> Lock | None:
        """Return the lock of ``name``; None if there is none, or none that can be read: a pull writes it anew."""
        return _read(self._path(name))

    def all(self) -> list[Lock]:
        """Return every lock."""
        paths = sorted((self.folder / "locks").glob("*.json")) if (self.folder / "locks").is_dir() else []
        return [lock for lock in map(_read, paths) if lock is not None]

    def write(self, lock: Lock) -> None:
        """Keep ``lock``: whole or not at all."""
        path = self._path(lock.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = {
            "name": lock.name,
            "repo": lock.repo,
            "commit": lock.commit,
            "complete": lock.complete,
            "parts": list(lock.parts),
            "files": {
                file.path: {"size": file.size, "sha256": file.sha256, "git_sha1": file.git_sha1} for file in lock.files
            },
        }
        temporary = path.with_name(path.name + PART)
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(text, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def root(self, lock: Lock) -> Path:
        """Return the folder of one repository at one commit."""
        return self.folder / lock.repo.replace("/", "--") / lock.commit[:12]

    def place(self, lock: Lock, file: RemoteFile) -> Path:
        """Return where ``file`` belongs."""
        return self.root(lock) / file.path

    def whole(self, lock: Lock, file: RemoteFile) -> bool:
        """True if ``file`` is there in its full size."""
        path = self.place(lock, file)
        return path.is_file() and path.stat().st_size == file.size

    def here(self, lock: Lock, file: RemoteFile) -> int:
        """Return how many bytes of ``file`` are here, whole or on their way."""
        if self.whole(lock, file):
            return file.size
        path = self.place(lock, file)
        part = path.with_name(path.name + PART)
        return min(part.stat().st_size, file.size) if part.is_file() else 0

    def hashed(self, locks: Sequence[Lock]) -> Iterator[tuple[Lock, RemoteFile, int]]:
        """Yield every file as its bytes are now, after reading all of them.

        Yields:
            The lock; the file with the hashes it has, size -1 if it is not there whole; bytes read since the last.
            While a large file is read, the same with empty hashes, so that progress can be shown.
        """
        for lock in locks:
            for file in lock.files:
                if not self.whole(lock, file):
                    yield lock, replace(file, size=-1), 0
                    continue
                sha256 = hashlib.sha256()
                # Git's name of a file's content: all that the hub tells of small files.
                git = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
                with self.place(lock, file).open("rb") as opened:
                    while block := opened.read(1 << 22):
                        sha256.update(block)
                        if file.git_sha1:
                            git.update(block)
                        yield lock, replace(file, sha256="", git_sha1=""), len(block)
                yield (
                    lock,
                    replace(file, sha256=sha256.hexdigest(), git_sha1=git.hexdigest() if file.git_sha1 else ""),
                    0,
                )

    def _path(self, name: str) -> Path:
        return self.folder / "locks" / (re.sub(r"[^\w.@-]+", "--", name) + ".json")


def _read(path: Path) -> Lock | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(
            RemoteFile(str(name), int(entry["size"]), str(entry["sha256"]), str(entry["git_sha1"]))
            for name, entry in data["files"].items()
        )
        lock = Lock(
            name=str(data["name"]),
            repo=str(data["repo"]),
            commit=str(data["commit"]),
            files=files,
            parts=tuple(map(str, data["parts"])),
            complete=data["complete"] is True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    # A folder of models gets copied around: what its locks say is checked as if the hub had said it.
    sound = _REPO.fullmatch(lock.repo) and _COMMIT.fullmatch(lock.commit) and all(is_safe(f.path) for f in lock.files)
    return lock if sound else None
