"""Who asked by OSC for feedback: a bounded list of addresses on lease, shared by listening and sending."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

LEASE = 60.0
"""s that a subscription lasts unless it is renewed."""
MAX_SUBSCRIBERS = 16

Wanted = Literal["faders", "feed"]
"""``faders``: the addresses that are obeyed, when they change, for controllers; ``feed``: all that the feed sends."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One receiver: an IP address, a UDP port, what it wants, and the session time (s) at which its lease ends."""

    host: str
    port: int
    wanted: Wanted
    until: float


class Subscribers:
    """Receivers by host and port. A lock is held for a few instructions, never across I/O."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_address: dict[tuple[str, int], Subscriber] = {}
        self.version = 0
        """Counts changes of who is there."""

    def add(self, host: str, port: int, wanted: Wanted, now: float) -> bool:
        """Take a receiver in or renew its lease; return False if the list is full.

        Args:
            host: IP address.
            port: UDP port.
            wanted: what to send.
            now: session time, s.
        """
        with self._lock:
            self._forget(now)
            known = self._by_address.get((host, port))
            if known is None and len(self._by_address) >= MAX_SUBSCRIBERS:
                return False
            if known is None or known.wanted != wanted:
                self.version += 1
            self._by_address[host, port] = Subscriber(host, port, wanted, now + LEASE)
            return True

    def remove(self, host: str, port: int) -> bool:
        """End a subscription; return False if there was none."""
        with self._lock:
            found = self._by_address.pop((host, port), None) is not None
            self.version += found
            return found

    def present(self, now: float) -> tuple[Subscriber, ...]:
        """Return those whose lease runs at session time ``now`` (s)."""
        if not self._by_address:
            return ()
        with self._lock:
            self._forget(now)
            return tuple(self._by_address.values())

    def _forget(self, now: float) -> None:
        ended = [address for address, one in self._by_address.items() if one.until <= now]
        for address in ended:
            del self._by_address[address]
        self.version += len(ended)
