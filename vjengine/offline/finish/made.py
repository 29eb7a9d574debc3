"""Which exports are there already: an interrupted set goes on with the next one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from vjengine.offline import disk
from vjengine.offline.manifest import file_hash, plan_hash

NOTES = "exports.json"


class Made:
    """Notes what was made, with the hash of each file, in ``FOLDER/exports.json``.

    Args:
        folder: where; None notes nothing, and nothing is there already.
        decides: everything that decides the files' bytes. Notes of another set are as good as none.
    """

    def __init__(self, folder: Path | None, decides: Mapping[str, object]) -> None:
        self._path = folder / NOTES if folder is not None else None
        self._key = plan_hash(decides)
        self._files: dict[str, str] = {}
        if self._path is None:
            return
        try:
            noted = json.loads(self._path.read_text(encoding="utf-8"))
            if noted["key"] == self._key:
                self._files = {str(name): str(digest) for name, digest in noted["files"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass  # none, or damaged: all is made again

    def has(self, path: Path) -> bool:
        """Return whether ``path`` is there as it was made."""
        return path.name in self._files and path.is_file() and file_hash(path) == self._files[path.name]

    def note(self, path: Path) -> None:
        """Note that ``path`` is made.

        Raises:
            RecordError: if the disk refuses.
        """
        if self._path is None:
            return
        self._files[path.name] = file_hash(path)
        self._path.parent.mkdir(exist_ok=True)
        disk.write_json(self._path, {"key": self._key, "files": self._files})
