"""Hints that something changed in a folder, within about a millisecond.

Only hints: operating systems lose them, some file systems never send any, and a folder that is deleted and made again
falls silent while its watch still claims to be alive. So whoever listens also looks for himself now and then, and calls
:meth:`FolderWatch.tend`.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent

log = logging.getLogger(__name__)

_TELLING = frozenset(("created", "modified", "moved", "deleted", "closed"))
"""Kinds of events that can mean a change. Opening and reading are left out: our own reads would cause them."""
_FIRST_DISTRUST = 2.0
_LAST_DISTRUST = 60.0


class FolderWatch:
    """Watches the entries of ``folder``, not of its sub-folders.

    ``on_hint(name, finished)`` is called on the watch's own thread for every entry that may have changed; ``finished``
    is True if its writer has just closed it.
    """

    def __init__(self, folder: Path, on_hint: Callable[[str, bool], None]) -> None:
        self._folder = folder
        self._on_hint = on_hint
        self._root = folder
        self._observer: Any = None
        self._identity: tuple[int, int] | None = None
        self._stale = threading.Event()
        self._patience = _FIRST_DISTRUST
        self._armed_at = float("-inf")
        self._faults = 0
        self.problem = ""
        """Why there are no hints; empty while there are."""

    def tend(self, now: float, *, missed: bool = False) -> bool:
        """Set the watch up if it is not, or no longer, on the folder that is there; return True if hints come.

        Args:
            now: any clock's time, s.
            missed: the caller found a change that no hint told of.
        """
        identity = _identity(self._folder)
        distrusted = missed and now - self._armed_at > self._patience
        if distrusted:
            # Where hints never come (network drives), setting up again and again helps nobody.
            self._patience = min(_LAST_DISTRUST, self._patience * 2.0)
        healthy = self._observer is not None and self._observer.is_alive() and not self._stale.is_set()
        if not healthy or distrusted or identity != self._identity:
            self.stop()
            if identity is not None and now - self._armed_at >= (1.0 if self.problem else 0.0):
                self._armed_at = now
                self._arm(identity)
        return self._observer is not None

    def _arm(self, identity: tuple[int, int]) -> None:
        try:
            from watchdog.observers import Observer
        except ImportError:
            self.problem = "watchdog is missing, so files are looked at 20 times a second: pip install watchdog"
            return
        self._stale.clear()
        self._root = self._folder.resolve()
        observer = Observer()
        observer.daemon = True
        try:
            handler: Any = _Handler(self._hint)
            observer.schedule(handler, str(self._root), recursive=False)
            observer.start()
        except (OSError, RuntimeError) as error:
            # RuntimeError: no more threads. OSError: no more watches or file descriptors.
            self.problem = f"the folder cannot be watched, so it is looked at 20 times a second ({error})"
            return
        self._observer, self._identity, self.problem = observer, identity, ""

    def _hint(self, event: FileSystemEvent) -> None:
        if event.event_type not in _TELLING:
            return
        for raw in (event.src_path, event.dest_path):
            path = Path(os.fsdecode(raw)) if raw else self._root
            if path == self._root:
                if raw and event.event_type in ("deleted", "moved"):
                    self._stale.set()
                continue
            try:
                self._on_hint(path.name, event.event_type == "closed")
            except Exception:  # whatever goes wrong here would end the watch for good
                self._faults += 1
                if self._faults == 1:
                    log.exception("looking at %s failed; further failures are only counted", path.name)

    def stop(self) -> None:
        """End the watch; no hint comes after this returns, unless its thread hangs for over two seconds."""
        observer, self._observer, self._identity = self._observer, None, None
        if observer is not None:
            observer.stop()
            if observer.is_alive() and threading.current_thread() is not observer:
                observer.join(2.0)


class _Handler:
    """What watchdog calls; it asks for nothing but ``dispatch``."""

    def __init__(self, on_event: Callable[[FileSystemEvent], None]) -> None:
        self._on_event = on_event

    def dispatch(self, event: FileSystemEvent) -> None:
        self._on_event(event)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells this folder from another of the same name, or ``None`` if there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
