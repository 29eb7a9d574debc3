"""HTTP with limits: an answer has a largest size and a latest moment, and a wait can be left at any time.

The standard library's client does the talking, on a thread of its own: a socket that waits cannot be interrupted
portably, but whoever waits for the thread can. A request that is given up ends by itself: its thread looks at a flag
after every piece it reads, and its socket has a timeout.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import IO, Any

from vjengine.errors import BackendError
from vjengine.offline.continuation import Watcher

JSON_LIMIT = 8 << 20
"""Largest answer that is read as JSON, bytes. A big ComfyUI describes one of its nodes in some 100 kB."""
_PIECE = 1 << 16
_LOOK = 0.2
"""s between two looks at whether to go on waiting."""
_REDIRECTS = 4


class Silent:
    """A :class:`~vjengine.offline.continuation.Watcher` for quick questions that nobody needs to follow."""

    def alive(self, doing: str, fraction: float = -1.0) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said.

    Attributes:
        status: HTTP status.
        headers: names in lower case.
        body: all of it; never longer than was allowed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            BackendError: if it is not.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            shown = self.body[:60].decode("utf-8", "replace")
            raise BackendError(f"the answer is not JSON but {shown!r}", retry=self.status >= 500) from error


@dataclass(frozen=True, slots=True)
class Http:
    """One server.

    Attributes:
        base: ``http://host:port`` or ``https://host``, perhaps with a path, without a slash at its end.
        headers: sent to this server, and to no other one: a token stays with whom it is meant for.
        timeout: s that the server may be silent for.
    """

    base: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 30.0

    def url(self, path: str) -> str:
        """Return the whole address of ``path``; one that is whole already stays."""
        return path if "://" in path else self.base + path

    def ask(
        self,
        method: str,
        path: str,
        *,
        watcher: Watcher | None = None,
        doing: str = "",
        body: object = None,
        data: bytes | None = None,
        kind: str = "application/json",
        limit: int = JSON_LIMIT,
        seconds: float = 60.0,
    ) -> Answer:
        """Send one request and return the answer, whatever its status is.

        Args:
            method: GET, POST or DELETE.
            path: below :attr:`base`, or a whole address.
            watcher: told that we wait; may raise to leave.
            doing: what to tell it.
            body: sent as JSON, if not None.
            data: sent as it is, as ``kind``.
            kind: MIME type of ``data``.
            limit: largest answer, bytes.
            seconds: the most that all of it may take.

        Raises:
            BackendError: no connection, too slow, too long, or broken off; ``retry`` is set.
        """
        if body is not None:
            data = json.dumps(body).encode()
        address = self.url(path)
        request = urllib.request.Request(address, data=data, method=method)
        if data is not None:
            request.add_header("Content-Type", kind)
        request.add_header("User-Agent", "vjengine")
        request.add_header("Accept-Encoding", "identity")
        if _origin(address) == _origin(self.base):
            for name, value in self.headers.items():
                # Not carried along where a redirect leads to.
                request.add_unredirected_header(name, value)
        return _wait(_Call(request, self.timeout, limit), watcher or Silent(), doing, seconds)


class _Call:
    """One request, on a thread that may be abandoned."""

    def __init__(self, request: urllib.request.Request, timeout: float, limit: int) -> None:
        self.request, self.timeout, self.limit = request, timeout, limit
        self.given_up = threading.Event()
        self.answer: Answer | None = None
        self.fault: BackendError | None = None
        self.host = urllib.parse.urlsplit(request.full_url).netloc.rpartition("@")[2]
        self.read = 0
        self.thread = threading.Thread(target=self._run, name="backend request", daemon=True)

    def _run(self) -> None:
        try:
            with _opener(self.request.full_url).open(self.request, timeout=self.timeout) as response:
                self.answer = self._receive(response.status, response.headers, response)
        except urllib.error.HTTPError as error:
            with error:
                try:
                    self.answer = self._receive(error.code, error.headers, error)
                except (OSError, http.client.HTTPException):
                    self.answer = Answer(error.code, _lower(error.headers), b"")
                except BackendError as fault:
                    self.fault = fault
        except BackendError as fault:
            self.fault = fault
        except TimeoutError:
            self.fault = BackendError(f"{self.host} was silent for {self.timeout:g} s", retry=True)
        except urllib.error.URLError as error:
            self.fault = self._unreachable(error.reason)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.fault = BackendError(f"the connection to {self.host} broke off: {_words(error)}", retry=True)

    def _unreachable(self, reason: object) -> BackendError:
        if isinstance(reason, TimeoutError):
            return BackendError(f"{self.host} was silent for {self.timeout:g} s", retry=True)
        if isinstance(reason, ssl.SSLCertVerificationError):
            return BackendError(f"{self.host}: its certificate is not to be trusted: {reason.verify_message}")
        words = _words(reason) if isinstance(reason, Exception) else str(reason)
        return BackendError(f"cannot reach {self.host}: {words}", retry=True)

    def _receive(self, status: int, headers: Message, response: IO[bytes]) -> Answer:
        named = _lower(headers)
        length = named.get("content-length", "")
        if length.isdigit() and int(length) > self.limit:
            raise BackendError(f"{self.host} answers with {int(length):,} bytes, more than the {self.limit:,} allowed")
        pieces: list[bytes] = []
        while piece := response.read1(_PIECE):  # type: ignore[attr-defined]
            self.read += len(piece)
            if self.given_up.is_set():
                raise BackendError("given up")
            if self.read > self.limit:
                raise BackendError(f"{self.host} answers with more than the {self.limit:,} bytes allowed")
            pieces.append(piece)
        if length.isdigit() and self.read != int(length) and self.request.get_method() != "HEAD":
            raise BackendError(f"{self.host} broke off after {self.read:,} of {int(length):,} bytes", retry=True)
        return Answer(status, named, b"".join(pieces))


def _wait(call: _Call, watcher: Watcher, doing: str, seconds: float) -> Answer:
    end = time.monotonic() + seconds
    call.thread.start()
    try:
        while True:
            call.thread.join(_LOOK)
            if not call.thread.is_alive():
                break
            if time.monotonic() > end:
                raise BackendError(
                    f"{call.host} takes more than {seconds:g} s for an answer ({call.read:,} bytes so far)", retry=True
                )
            watcher.alive(doing)
    finally:
        call.given_up.set()
    if call.fault:
        raise call.fault
    assert call.answer is not None
    return call.answer


def back_off(wait: float, watcher: Watcher, doing: str) -> None:
    """Wait ``wait`` s, telling ``watcher``; it may raise to leave."""
    never = threading.Event()
    end = time.monotonic() + wait
    while (left := end - time.monotonic()) > 0:
        watcher.alive(f"{doing}, once more in {left:.0f} s")
        never.wait(min(_LOOK, left))


def multipart(fields: Mapping[str, str], name: str, filename: str, kind: str, content: bytes) -> tuple[bytes, str]:
    """Return the body of a form with one file, and its MIME type (RFC 7578)."""
    boundary = "vjengine-form-5f0b7a64c1e94d0c"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
    parts += [f"{head}Content-Type: {kind}\r\n\r\n".encode(), content, f"\r\n--{boundary}--\r\n".encode()]
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def server_address(text: str) -> str:
    """Return ``text`` as ``http(s)://host[:port][/path]``; a bare ``host:port`` is http.

    Raises:
        BackendError: if it is no such address.
    """
    text = text.strip()
    text = (text if "://" in text else f"http://{text}").rstrip("/")
    try:
        parts = urllib.parse.urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise BackendError(f"{text!r} is no server's address: write it as http://host:port")
    return text


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = _REDIRECTS


def _opener(address: str) -> urllib.request.OpenerDirector:
    # urllib's own openers would also read files and speak FTP where a redirect says so.
    opener = urllib.request.OpenerDirector()
    proxy = urllib.request.ProxyHandler({} if _is_here(address) else None)
    for handler in (
        proxy,
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def _is_here(address: str) -> bool:
    host = urllib.parse.urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = urllib.parse.urlsplit(address)
    return parts.scheme, parts.hostname or "", parts.port


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
