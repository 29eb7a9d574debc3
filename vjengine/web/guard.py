"""The door: sizes, times, rates, headers, origins and seats. Everything that a stranger reaches is behind it."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp

from vjengine.web.buckets import Buckets, Rate
from vjengine.web.door import Door
from vjengine.web.settings import WebSettings
from vjengine.web.tokens import Keys

RATES = {
    # A club's whole audience may come from one address, where the hall's network or a tunnel hides the phones behind
    # it: these are for floods. What one guest may do is the queue's to say.
    "request": Rate(100.0, 400.0),
    "submit": Rate(2.0, 40.0),
    "vote": Rate(10.0, 100.0),
    "socket": Rate(20.0, 200.0),
    # Guesses at the token or the secret.
    "login": Rate(0.2, 20.0),
    # One page of the performer: faders at the rate of a screen, several fingers at once.
    "order": Rate(500.0, 1000.0),
}
"""What one address may do, by kind."""
MOST_SOCKETS = {"guest": 1500, "performer": 32}
MOST_SOCKETS_EACH = {"guest": 600, "performer": 32}
MOST_CONNECTIONS, MOST_CONNECTIONS_EACH = 2500, 800
"""Open connections in all, and by address. The last tenth is kept for addresses that the performer came from."""
_MOST_PERFORMERS = 64

Role = Literal["guest", "performer"]


class Guard:
    """Lets in, counts and refuses.

    Args:
        settings: the secrets.
        now: seconds that only grow.

    Attributes:
        keys: secrets and cookies.
    """

    def __init__(self, settings: WebSettings, now: Callable[[], float] = time.monotonic) -> None:
        self.keys = Keys(settings.stage_secret, settings.crowd_token)
        self._buckets = Buckets(RATES, now=now)
        self._sockets: dict[str, Counter[str]] = {"guest": Counter(), "performer": Counter()}
        self._connections: Counter[str] = Counter()
        self._performers: dict[str, None] = {}

    def protect(self, app: ASGIApp) -> ASGIApp:
        """Return ``app`` behind the door: limits, headers and origins are seen to before it is called."""
        return Door(app, self)

    # ------------------------------------------------------------ who

    def client(self, connection: HTTPConnection) -> str:
        """Return the address that counts for limits: IPv4 whole, IPv6 by its network (/64), which one person has.

        What a request says of itself (``X-Forwarded-For``) is not believed.
        """
        return bucket_of(connection.client.host if connection.client is not None else "")

    def same_origin(self, connection: HTTPConnection) -> bool:
        """Return False if the request was made by a page of another site.

        Browsers tell where a POST or a WebSocket comes from; what tells nothing is no browser, and holds no cookie
        that it was not given.
        """
        origin = connection.headers.get("origin")
        if origin is None:
            return connection.headers.get("sec-fetch-site", "none") in ("same-origin", "none")
        try:
            return bool(host := urlsplit(origin).netloc) and host.lower() == connection.headers.get("host", "").lower()
        except ValueError:
            return False

    def is_performer(self, connection: HTTPConnection) -> bool:
        """Return True if the request carries the performer's cookie."""
        if not self.keys.is_performer(connection):
            return False
        self._performers.pop(who := self.client(connection), None)
        self._performers[who] = None
        if len(self._performers) > _MOST_PERFORMERS:
            del self._performers[next(iter(self._performers))]
        return True

    def is_guest(self, connection: HTTPConnection) -> bool:
        """Return True if the request carries the guests' cookie, or none is asked for."""
        return self.keys.is_guest(connection)

    def enter_stage(self, connection: HTTPConnection, given: str, response: Response) -> bool:
        """Put the performer's cookie on ``response`` if ``given`` is the secret; return whether it is.

        Ask ``allow("login", who)`` first: it bounds guessing.
        """
        right = self.keys.opens_stage(given)
        if right:
            self.keys.remember_performer(response, connection)
        return right

    def enter_crowd(self, connection: HTTPConnection, given: str, response: Response) -> bool:
        """Likewise for guests and their token."""
        right = self.keys.opens_crowd(given)
        if right:
            self.keys.remember_guest(response, connection)
        return right

    # ------------------------------------------------------------ how much

    def allow(self, kind: str, who: str) -> bool:
        """Count one of ``kind`` (a name in :data:`RATES`) for the address ``who``; return False if it is too many."""
        return self._buckets.allow(kind, who)

    def retry_after(self, kind: str, who: str) -> int:
        """Return the whole seconds to wait, for a ``Retry-After``; at least 1."""
        return max(1, math.ceil(self._buckets.wait(kind, who)))

    @contextmanager
    def seat(self, connection: HTTPConnection, role: Role = "guest") -> Iterator[bool]:
        """Hold one of the bounded number of WebSockets; gives False where all are taken."""
        taken, who = self._sockets[role], self.client(connection)
        if taken.total() >= MOST_SOCKETS[role] or taken[who] >= MOST_SOCKETS_EACH[role]:
            yield False
            return
        taken[who] += 1
        try:
            yield True
        finally:
            _give_back(taken, who)

    def seated(self, role: Role = "guest") -> int:
        """Return how many WebSockets are open."""
        return self._sockets[role].total()

    def connect(self, host: str) -> bool:
        """Count a connection from ``host``; return False, and count nothing, if there are too many."""
        who, open_now = bucket_of(host), self._connections.total()
        limit = MOST_CONNECTIONS if who in self._performers else MOST_CONNECTIONS * 9 // 10
        if open_now >= limit or self._connections[who] >= MOST_CONNECTIONS_EACH:
            return False
        self._connections[who] += 1
        return True

    def disconnect(self, host: str) -> None:
        """Give a connection back that :meth:`connect` counted."""
        _give_back(self._connections, bucket_of(host))


def bucket_of(host: str) -> str:
    """Return the address that stands for ``host``: IPv4 whole, IPv6 by its /64 network."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return "?"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False).network_address) + "/64"
    return str(address)


def _give_back(counts: Counter[str], who: str) -> None:
    counts[who] -= 1
    if counts[who] <= 0:
        del counts[who]
