"""The queue on disk, so that it outlives a restart; and the hashes that stand for people there."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

FILE = "crowd.json"
NIGHT = 12 * 3600.0
"""s after which a queue on disk is of another night: neither its prompts nor its bans come back."""
_MOST_BYTES = 4 << 20


class Store:
    """One file, replaced whole.

    Addresses and cookies are kept as hashes only, with a salt that is drawn for the night and lies in that file.

    Args:
        folder: where it lies; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / FILE if folder is not None else None
        self._lock = threading.Lock()
        self._salt = secrets.token_bytes(16)

    def alias(self, who: str) -> str:
        """Return what stands for an address or a cookie."""
        return hashlib.blake2b(who.encode("utf-8", "replace"), key=self._salt, digest_size=8).hexdigest()

    def load(self) -> tuple[Mapping[str, Any], float] | None:
        """Return what was saved and how many seconds ago; None if there is nothing of tonight."""
        if self._path is None:
            return None
        try:
            with self._path.open("rb") as file:
                given = json.loads(file.read(_MOST_BYTES))
            elapsed = _date() - float(given["saved"])
            salt = bytes.fromhex(given["salt"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("the crowd's queue in %s cannot be read (%s); it begins empty", self._path, error)
            return None
        if not 0.0 <= elapsed < NIGHT or len(salt) != 16:
            return None
        self._salt = salt
        return given, elapsed

    def save(self, content: Mapping[str, Any]) -> bool:
        """Write ``content``; return False, and say why in the log, if that cannot be."""
        if self._path is None:
            return True
        body = json.dumps({"saved": _date(), "salt": self._salt.hex(), **content}, ensure_ascii=False)
        beside = self._path.with_suffix(".part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # What guests wrote, and the salt, are nobody else's business.
            with self._lock:
                with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                    file.write(body.encode("utf-8", "replace"))
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(self._path)
        except OSError as error:
            log.warning("the crowd's queue cannot be kept in %s: %s", self._path, error)
            return False
        return True


def _date() -> float:
    """Return s since 1970: what was written has to be told from another night's after a restart."""
    return datetime.now(UTC).timestamp()
