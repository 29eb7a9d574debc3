"""The gate OSC comes in by: the socket, and the buckets that limit the rate."""

from __future__ import annotations

import socket
from collections import OrderedDict

from vjengine.errors import InputError

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes the system is asked to keep for us while we are busy; it may grant less."""


class Bucket:
    """A token bucket: ``rate`` a second on average, as many at once."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._tokens = rate
        self._last = now

    def take(self, now: float, count: int = 1) -> bool:
        """Take ``count`` tokens if there are any; a last large bite may overdraw."""
        self._tokens = min(self._rate, self._tokens + max(0.0, now - self._last) * self._rate)
        self._last = now
        if self._tokens < 1.0:
            return False
        self._tokens -= count
        return True


class SenderBuckets:
    """A bucket for each sender, bounded in number: one that floods leaves room for the others.

    Args:
        rate: of each, a second.
        most: buckets kept; the sender not heard for longest is forgotten first.
    """

    def __init__(self, rate: float, most: int = 256) -> None:
        self._rate = rate
        self._most = most
        self._buckets: OrderedDict[object, Bucket] = OrderedDict()

    def take(self, sender: object, now: float, count: int = 1) -> bool:
        """Take ``count`` tokens of ``sender``'s; see :meth:`Bucket.take`."""
        bucket = self._buckets.get(sender)
        if bucket is None:
            if len(self._buckets) >= self._most:
                self._buckets.popitem(last=False)
            bucket = self._buckets[sender] = Bucket(self._rate, now)
        else:
            self._buckets.move_to_end(sender)
        return bucket.take(now, count)


def open_udp(host: str, port: int, option: str = "--osc-in HOST:PORT") -> socket.socket:
    """Return a UDP socket bound to ``host:port`` with a large receive buffer; ``option`` is how another is chosen.

    Raises:
        InputError: the name is unknown, or the port is taken; it says by whom that may be found out.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"OSC in: {host!r} is no address of this machine ({error}); use 127.0.0.1 or 0.0.0.0"
        ) from None
    sock = socket.socket(family, kind, proto)
    try:
        # No SO_REUSEADDR: it would let two programs take the port and one of them hear nothing.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise InputError(
            f"OSC in: UDP port {port} on {host} cannot be opened ({error.strerror or error}). If another program has "
            f"it (a second vjengine, TouchDesigner, Resolume, an OSC bridge), close that or choose another port with "
            f"{option}. Who has it: 'ss -lunp' on Linux, 'lsof -nP -iUDP:{port}' on macOS, "
            f"'netstat -ano -p udp' on Windows"
        ) from None
    return sock
