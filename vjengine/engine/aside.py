"""Work beside the frame: on a thread that takes the newest there is (live), or in place (offline)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from vjengine.core.exchange import Latest

log = logging.getLogger(__name__)

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Aside(Protocol[T_contra]):
    """Where work is handed to."""

    def hand(self, item: T_contra) -> None:
        """Have ``item`` worked on."""
        ...

    def stop(self) -> None:
        """Take no more."""
        ...


class InPlace(Generic[T]):
    """Works at once, where it is called: no timing decides anything.

    Args:
        work: what is done with each item.
    """

    def __init__(self, work: Callable[[T], None]) -> None:
        self._work = work

    def hand(self, item: T) -> None:
        """Work on ``item`` and return when it is done."""
        self._work(item)

    def stop(self) -> None:
        """Do nothing: nothing is under way."""


class OnThread(Generic[T]):
    """Works on a thread of its own, which sleeps until there is something, and takes only the newest.

    Args:
        work: what is done with an item; it looks after its own faults.
        name: of the thread.
    """

    def __init__(self, work: Callable[[T], None], name: str) -> None:
        self._work = work
        self._newest: Latest[T | None] = Latest(None)
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def hand(self, item: T) -> None:
        """Leave ``item`` for the thread, in the place of one that it has not begun; returns at once. One caller."""
        self._newest.publish(item)
        self._wake.set()

    @property
    def skipped(self) -> int:
        """Items that came and went while the thread was busy."""
        return self._newest.overwritten

    def stop(self, timeout: float = 1.0) -> None:
        """End the thread; wait for the work in hand at most ``timeout`` s."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        done = 0
        while True:
            self._wake.wait()
            # Cleared before the look: what is handed over after it wakes us again.
            self._wake.clear()
            if self._stopping:
                return
            version, item = self._newest.read_versioned()
            if item is None or version == done:
                continue
            done = version
            try:
                self._work(item)
            except Exception:  # the thread's outermost guard: the show goes on without what is done here
                log.exception("%s failed; it does nothing from now on", self._thread.name)
                return
