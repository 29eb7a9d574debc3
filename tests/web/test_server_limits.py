"""The crowd's page as an attacker finds it: real sockets, the real web process."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from vjengine.web.tokens import CROWD_COOKIE

SAY = "/crowd/api/say"
LIVENESS = 60.0
TOKEN, SECRET = "let me in, please", "only mine"


class Guest:
    """A browser with cookies; its address is of its own, so that tests do not use up each other's patience."""

    _addresses = iter(range(2, 250))

    def __init__(self, live: Any, *, enter: bool = True) -> None:
        self.address = f"127.0.9.{next(self._addresses)}"
        transport = httpx.HTTPTransport(local_address=self.address, verify=False)
        self.client = httpx.Client(base_url=live.url, transport=transport, timeout=LIVENESS, verify=False)
        if enter:
            assert self.client.get("/", params={"t": TOKEN}, follow_redirects=True).status_code == 200

    def say(self, **body: Any) -> httpx.Response:
        return self.client.post(SAY, json=body)

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.client.cookies.items())


@pytest.fixture
def guest(live: Any) -> Guest:
    return Guest(live)


def raw(live: Any, sent: bytes, *, read: bool = True) -> bytes:
    """Send bytes as they are; return all that comes until the server hangs up."""
    with socket.create_connection(("127.0.0.1", live.port), LIVENESS, source_address=("127.0.8.8", 0)) as line:
        try:
            line.sendall(sent)
            found = b""
            while read and (piece := line.recv(65536)):
                found += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
        return found


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def checked(answer: httpx.Response, wanted: int, *secrets: str) -> httpx.Response:
    """Assert the status, and that nothing that was sent, nor anything private, comes back."""
    assert answer.status_code == wanted, answer.text
    for word in ("127.0.9.", "Traceback", SECRET, TOKEN, *secrets):
        assert word not in answer.text
        assert word not in str(answer.headers)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    return answer


def test_with_the_token_of_the_code_the_page_works_completely(live: Any) -> None:
    stranger = Guest(live, enter=False)
    checked(stranger.client.get("/"), 403)
    checked(stranger.say(text="sea"), 403)
    entered = stranger.client.get("/?t=" + quote(TOKEN))
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    assert TOKEN not in entered.headers["set-cookie"]
    assert "HttpOnly" in entered.headers["set-cookie"]
    checked(stranger.client.get("/"), 200)
    answer = checked(stranger.say(text="a sea of glass", author="Zoë"), 201)
    seen = checked(stranger.client.get("/crowd/api/state"), 200).json()
    texts = [row["text"] for row in seen["queue"]] + [(seen["playing"] or {}).get("text")]
    assert "a sea of glass" in texts
    assert set(answer.json()) == {"id", "new"}
    live.wait_until(lambda: live.control.read().crowd.text == "a sea of glass", "the prompt in the show")
    assert live.control.read().crowd.author == "Zoë"


@pytest.fixture(scope="module")
def slow(live: Any) -> Iterator[list[socket.socket]]:
    """Half a request line, half of the headers, half a body, and nothing at all, begun before all else."""
    guest = Guest(live)
    head = f"POST {SAY} HTTP/1.1\r\nHost: x\r\nCookie: {guest.cookie}\r\nContent-Type: application/json\r\n"
    lines = []
    for sent in (b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n", f"{head}Content-Length: 500\r\n\r\n{{".encode(), b""):
        line = socket.create_connection(("127.0.0.1", live.port), LIVENESS, source_address=("127.0.7.7", 0))
        line.sendall(sent)
        lines.append(line)
    yield lines
    for line in lines:
        line.close()


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN.upper(), "x" * 4000, "%00", "%ff", "<script>"])
def test_a_wrong_token_opens_nothing(live: Any, token: str) -> None:
    stranger = Guest(live, enter=False)
    answer = checked(stranger.client.get(f"/?t={token}"), 403, *filter(None, [token]))
    assert "set-cookie" not in answer.headers
    forged = {CROWD_COOKIE: "0" * 64}
    stranger.client.cookies.update(forged)
    checked(stranger.say(text="x"), 403)


def test_guessing_the_token_is_bounded(live: Any) -> None:
    stranger = Guest(live, enter=False)
    found = [stranger.client.get(f"/?t={k}") for k in range(60)]
    assert {answer.status_code for answer in found} == {403, 429}
    assert int(found[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"[" * 8000,
        b'{"text":' * 900,
        b"\xff\xfe",
        b"1" * 5000,
        b'{"text": NaN',
    ],
)
def test_what_is_no_object_is_a_bad_request(guest: Guest, body: bytes) -> None:
    checked(guest.client.post(SAY, content=body, headers={"content-type": "application/json"}), 400)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"text": None},
        {"text": 7},
        {"text": ["sea"]},
        {"text": {"a": 1}},
        {"text": "sea", "author": 7},
        {"text": "sea", "author": ["Ann"]},
        {"text": "a\u202ereversed"},
        {"text": "\u2067turned"},
        {"text": "\u200b\u200d\u2060"},
        {"text": "<img src=x onerror=alert(1)>"},
        {"text": "$(reboot) `reboot` | reboot"},
        {"text": "\x00\x1b]0;title\x07"},
        {"text": "\ud800"},
        {"text": "x" * 121},
        {"text": "fine", "author": "<b>Ann</b>"},
        {"text": "fine", "author": "x" * 41},
        {"text": "buy at evil.com"},
    ],
)
def test_wrong_types_and_characters_are_refused_in_words(guest: Guest, fields: dict[str, Any]) -> None:
    # Written as ASCII, so that half surrogates can be sent at all.
    body = json.dumps(fields).encode()
    answer = checked(guest.client.post(SAY, content=body, headers={"content-type": "application/json"}), 422)
    assert set(answer.json()) == {"error", "words", "wait"}
    for value in fields.values():
        assert not isinstance(value, str) or len(value) < 5 or value not in answer.text


@pytest.mark.parametrize("number", [None, "1", 1.5, True, -1, 10**30, [], {}])
def test_votes_for_nothing(guest: Guest, number: object) -> None:
    wanted = 404 if isinstance(number, int) and not isinstance(number, bool) else 422
    checked(guest.client.post("/crowd/api/vote", json={"id": number}), wanted)
    checked(guest.client.post("/crowd/api/vote", json={"id": 1, "wanted": "yes"}), 422)


def test_big_bodies_are_refused_before_they_are_read(live: Any, guest: Guest) -> None:
    checked(guest.client.post(SAY, content=b" " * 8193, headers={"content-type": "application/json"}), 413)
    head = f"POST {SAY} HTTP/1.1\r\nHost: x\r\nCookie: {guest.cookie}\r\nContent-Type: application/json\r\n"
    assert status(raw(live, (head + "Content-Length: 50000000\r\n\r\n").encode())) == 413
    # In pieces, without a length.
    piece = b"1000\r\n" + b" " * 4096 + b"\r\n"
    assert status(raw(live, (head + "Transfer-Encoding: chunked\r\n\r\n").encode() + piece * 4)) == 413


@pytest.mark.parametrize("length", ["-1", "abc", "1e9", "99999999999999999999", "5, 6"])
def test_lengths_that_are_none(live: Any, length: str) -> None:
    assert status(raw(live, f"POST {SAY} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())) in (
        400,
        413,
    )


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000, 431),
        (b"GET /" + b"a" * 200_000, 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 90 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
    ],
)
def test_headers_that_are_none(live: Any, sent: bytes, wanted: int) -> None:
    answer = raw(live, sent)
    # A server that hangs up on a flood may be gone before its answer is read.
    assert status(answer) == wanted or (answer == b"" and len(sent) > 100_000)
    assert b"aaaa" not in answer


def test_many_headers_in_one_packet_are_too_many(guest: Guest) -> None:
    checked(guest.client.get("/", headers={f"x-{k}": "y" * 100 for k in range(90)}), 431, "yyyy")


@pytest.mark.parametrize(
    "path",
    [
        "/crowd/static/../routes.py",
        "/crowd/static/..%2f..%2f..%2fetc%2fpasswd",
        "/crowd/static/%2e%2e/%2e%2e/server.py",
        "/crowd/static/..%5croutes.py",
        "/crowd/static//etc/passwd",
        "/crowd/static/crowd.html",
        "/crowd/static/%00",
        "/crowd/static/",
        "/crowd/",
        "/crowd/api/state/",
        "/.git/config",
        "//evil.example/",
        "/crowd/api/%3Cscript%3E",
    ],
)
def test_paths_lead_nowhere_else(guest: Guest, live: Any, path: str) -> None:
    line = http.client.HTTPConnection("127.0.0.1", live.port, LIVENESS)
    try:
        line.request("GET", path, headers={"Cookie": guest.cookie})
        answer = line.getresponse()
        assert answer.status == 404
        assert answer.getheader("location") is None
        body = answer.read()
        assert b"script" not in body
        assert b"passwd" not in body
    finally:
        line.close()


def test_methods_that_are_not_there(guest: Guest) -> None:
    checked(guest.client.get(SAY), 405)
    checked(guest.client.delete("/"), 405)
    checked(guest.client.request("TRACE", "/"), 405)
    checked(guest.client.request("BREW", "/"), 405)


def test_another_site_cannot_speak_for_a_guest(guest: Guest) -> None:
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        checked(guest.client.post(SAY, json={"text": "sea"}, headers={"origin": origin}), 403, "evil")
        checked(guest.client.post("/crowd/say", data={"text": "sea"}, headers={"origin": origin}), 403)
    checked(guest.client.post(SAY, content=b'{"text": "sea"}', headers={"content-type": "text/plain"}), 415)
    answer = guest.client.options(
        SAY, headers={"origin": "http://evil.example", "access-control-request-method": "POST"}
    )
    assert "access-control-allow-origin" not in answer.headers


def test_a_made_up_host_is_not_repeated(guest: Guest) -> None:
    for host in ("evil.example", "x; script-src *", "a b", "x\tx"):
        answer = guest.client.get("/crowd/api", headers={"host": host})
        assert answer.status_code in (400, 404)
        assert "location" not in answer.headers
        assert "script-src" not in answer.headers.get("content-security-policy", "")


def test_the_form_without_javascript(guest: Guest) -> None:
    answer = checked(
        guest.client.post("/crowd/say", data={"text": "a plain form", "author": "Bo"}), 200, "a plain form"
    )
    assert "in the queue" in answer.text
    checked(guest.client.post("/crowd/say", data={"text": "<script>alert(1)</script>"}), 422, "alert")
    checked(guest.client.post("/crowd/say", content=b"a=1&" * 40), 400)
    checked(guest.client.post("/crowd/say", content=b"%ff=\xff"), 422)


def test_submitting_at_speed_is_answered_with_when_to_come_back(live: Any) -> None:
    flooder = Guest(live)
    answers = [flooder.say(text=f"wish {k}x") for k in range(60)]
    assert {answer.status_code for answer in answers} <= {201, 409, 429}
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    # Another guest elsewhere does not notice.
    checked(Guest(live).say(text="somebody else"), 201)


def test_forwarded_addresses_buy_nothing(live: Any) -> None:
    flooder = Guest(live)
    found = [
        flooder.client.post(
            SAY, json={"text": "?"}, headers={"x-forwarded-for": f"9.9.{k}.1", "x-real-ip": f"9.9.{k}.2"}
        )
        for k in range(60)
    ]
    assert found[-1].status_code == 429


def test_websockets_are_for_guests_of_this_site_only(live: Any, guest: Guest) -> None:
    url = f"ws://127.0.0.1:{live.port}/crowd/ws"
    for headers in ({}, {"Cookie": guest.cookie, "Origin": "http://evil.example"}):
        with pytest.raises(InvalidStatus) as caught, connect(url, additional_headers=headers, open_timeout=LIVENESS):
            pass
        assert caught.value.response.status_code == 403


def test_a_websocket_tells_a_guest_and_cuts_one_who_talks(live: Any, guest: Guest) -> None:
    url = f"ws://127.0.0.1:{live.port}/crowd/ws"
    headers = {"Cookie": guest.cookie}
    with connect(url, additional_headers=headers, open_timeout=LIVENESS) as line:
        assert "queue" in json.loads(line.recv(LIVENESS))
        guest.say(text="seen by all")
        while "seen by all" not in (message := str(line.recv(LIVENESS))):
            pass
        assert "127.0.9." not in message
    for flood in ("x" * 9000, *["x"] * 1):
        with connect(url, additional_headers=headers, open_timeout=LIVENESS) as line, pytest.raises(ConnectionClosed):
            _talk(line, flood)


def _talk(line: Any, words: str) -> None:
    deadline = time.monotonic() + LIVENESS
    for _ in range(50):
        line.send(words)
    while time.monotonic() < deadline:
        line.recv(LIVENESS)


def test_a_flood_of_pings_is_cut(live: Any, guest: Guest) -> None:
    url = f"ws://127.0.0.1:{live.port}/crowd/ws"
    with connect(url, additional_headers={"Cookie": guest.cookie}, open_timeout=LIVENESS) as line:
        pings = (b"\x89\xfd\0\0\0\0" + b"p" * 125) * 80_000
        with pytest.raises(OSError):
            line.socket.sendall(pings)


def test_a_crowd_of_idle_connections_leaves_room(live: Any, guest: Guest) -> None:
    idle = [
        socket.create_connection(("127.0.0.1", live.port), LIVENESS, source_address=(f"127.0.6.{1 + k % 200}", 0))
        for k in range(400)
    ]
    try:
        checked(guest.client.get("/"), 200)
    finally:
        for line in idle:
            line.close()


def test_slow_clients_were_hung_up_on(slow: list[socket.socket], guest: Guest) -> None:
    checked(guest.client.get("/"), 200)
    assert [status(_until_closed(line)) for line in slow] == [408, 408, 408, 0]


def _until_closed(line: socket.socket) -> bytes:
    found = b""
    while piece := line.recv(65536):
        found += piece
    return found


def test_after_all_this_the_show_is_well(live: Any) -> None:
    before = live.frames
    live.wait_until(lambda: live.frames > before + 10, "frames")
    assert live.link.restarts == 0
    assert live.link.wrong == 0
    assert all(said.level == "ok" for said in live.statuses)
