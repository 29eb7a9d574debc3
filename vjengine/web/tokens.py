"""Who may come in: the performer with a secret, guests with the token of the QR code. Both live on in a cookie."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from starlette.requests import HTTPConnection
from starlette.responses import Response

STAGE_COOKIE, CROWD_COOKIE, GUEST_COOKIE = "vj_stage", "vj_crowd", "vj_guest"
NIGHT = 16 * 3600
"""How long a cookie holds, s."""
_GUEST = re.compile(r"[A-Za-z0-9_-]{22}")
_LONGEST = 512


class Keys:
    """The two secrets of a show, and the cookies that stand for them.

    A cookie holds a hash of the secret, so that a browser that is looked into gives away one show's cookie and never
    the secret itself. Comparisons take as long for a near miss as for nonsense.

    Args:
        stage: the performer's secret; empty lets nobody in.
        crowd: the guests' token; empty lets everybody in.
    """

    def __init__(self, stage: str, crowd: str) -> None:
        self._stage, self._crowd = stage, crowd
        self._stage_cookie, self._crowd_cookie = _hashed("stage", stage), _hashed("crowd", crowd)

    @property
    def crowd_is_open(self) -> bool:
        """True if no token is asked of guests."""
        return not self._crowd

    def opens_stage(self, given: str) -> bool:
        """Return True if ``given`` is the performer's secret."""
        return bool(self._stage) and _same(given, self._stage)

    def opens_crowd(self, given: str) -> bool:
        """Return True if ``given`` is the guests' token, or none is asked for."""
        return self.crowd_is_open or _same(given, self._crowd)

    def is_performer(self, connection: HTTPConnection) -> bool:
        """Return True if the performer's cookie came with the request."""
        return bool(self._stage) and _same(connection.cookies.get(STAGE_COOKIE, ""), self._stage_cookie)

    def is_guest(self, connection: HTTPConnection) -> bool:
        """Return True if the guests' cookie came with the request, or none is asked for."""
        return self.crowd_is_open or _same(connection.cookies.get(CROWD_COOKIE, ""), self._crowd_cookie)

    def remember_performer(self, response: Response, connection: HTTPConnection) -> None:
        """Give the performer's cookie with ``response``; another site can neither read it nor make use of it."""
        _set(response, connection, STAGE_COOKIE, self._stage_cookie, "strict")

    def remember_guest(self, response: Response, connection: HTTPConnection) -> None:
        """Give the guests' cookie with ``response``; it comes along too when a link on another page leads here."""
        if not self.crowd_is_open:
            _set(response, connection, CROWD_COOKIE, self._crowd_cookie, "lax")

    @staticmethod
    def guest_id(connection: HTTPConnection) -> str | None:
        """Return what tells this guest from others: a random word in a cookie; None without one."""
        given = connection.cookies.get(GUEST_COOKIE, "")
        return given if _GUEST.fullmatch(given) else None

    @staticmethod
    def name_guest(response: Response, connection: HTTPConnection) -> str:
        """Give a new guest a word of their own with ``response``; return it."""
        word = secrets.token_urlsafe(16)
        _set(response, connection, GUEST_COOKIE, word, "lax")
        return word


def _set(response: Response, connection: HTTPConnection, name: str, value: str, same_site: str) -> None:
    response.set_cookie(
        name,
        value,
        max_age=NIGHT,
        path="/",
        httponly=True,
        samesite="strict" if same_site == "strict" else "lax",
        secure=connection.url.scheme in ("https", "wss"),
    )


def _hashed(purpose: str, secret: str) -> str:
    return hmac.new(b"vjengine " + purpose.encode(), secret.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given[:_LONGEST].encode("utf-8", "replace"), wanted.encode("utf-8", "replace"))
