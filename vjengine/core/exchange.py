"""The only two things threads share: the latest value of something, and a queue of events.

Nothing here blocks: a lock is held for a few instructions, never across I/O.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

from vjengine.core.events import Event

T = TypeVar("T")


class Latest(Generic[T]):
    """A slot with one writer and any number of readers.

    Publishing is one assignment of a finished, frozen value, which CPython makes atomic; overwriting a value that
    nobody read is normal and only counted.
    """

    __slots__ = ("_cell", "_read", "overwritten")

    def __init__(self, initial: T) -> None:
        self._cell: tuple[int, T] = (0, initial)
        self._read = 0
        self.overwritten = 0

    def publish(self, value: T) -> None:
        """Make ``value`` the latest. Only the slot's one writer calls this."""
        version = self._cell[0]
        if version and self._read < version:
            self.overwritten += 1
        self._cell = (version + 1, value)

    def read(self) -> T:
        """Return the latest value; never blocks."""
        version, value = self._cell
        self._read = version
        return value

    def read_versioned(self) -> tuple[int, T]:
        """Return ``(version, value)``; the version counts publications, so a reader can tell news from old."""
        cell = self._cell
        self._read = cell[0]
        return cell


class EventQueue:
    """A bounded queue of events, many writers and one reader.

    Faders (events with a ``merge_key``) replace their waiting predecessor, so they can flood without filling the
    queue. When it is full all the same, the new event is refused and counted: ``dropped`` is shown in the HUD.
    """

    def __init__(self, capacity: int = 8192) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._waiting: OrderedDict[object, Event] = OrderedDict()
        self._serial = 0
        self.dropped = 0
        self.merged = 0

    def put(self, event: Event) -> bool:
        """Add ``event``; return False if the queue was full and it was dropped."""
        key: object = event.merge_key
        with self._lock:
            if key is not None and key in self._waiting:
                # The later value takes the later place, so that it keeps its order to the edges around it.
                del self._waiting[key]
                self.merged += 1
            elif len(self._waiting) >= self._capacity:
                self.dropped += 1
                return False
            if key is None:
                self._serial += 1
                key = self._serial
            self._waiting[key] = event
        return True

    def drain(self) -> list[Event]:
        """Take all waiting events, oldest first."""
        with self._lock:
            if not self._waiting:
                return []
            waiting, self._waiting = self._waiting, OrderedDict()
        return list(waiting.values())

    def __len__(self) -> int:
        return len(self._waiting)
