"""The performer's page over real sockets, as friends and attackers meet it."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from vjengine.web import protocol
from vjengine.web.stage.page import MOST_WRONG, WINDOW


class Visitor:
    """A page of the performer, without a browser."""

    def __init__(self, stage: Any, secret: str, path: str = "/stage/ws") -> None:
        self._open = ExitStack()
        self.socket: ClientConnection = self._open.enter_context(
            connect(
                f"ws://127.0.0.1:{stage.port}{path}",
                additional_headers={"cookie": cookie_of(stage, secret)},
                max_size=None,
            )
        )
        self.schema: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.wrong: list[str] = []
        self.kinds: list[str] = []

    def close(self) -> None:
        """Hang up."""
        self._open.close()

    def hear(self, *, answer: bool = True, timeout: float = 30.0) -> str:
        """Take one message in; return its kind."""
        message = json.loads(self.socket.recv(timeout))
        kind: str = message["kind"]
        self.kinds.append(kind)
        if kind == "schema":
            self.schema = message["schema"]
        elif kind == "whole":
            self.state = message["state"]
        elif kind == "change":
            self.state = merge(self.state, message["state"])
        elif kind == "wrong":
            self.wrong.append(message["text"])
        if answer and "n" in message:
            self.say(kind="seen", n=message["n"])
        return kind

    def hear_until(self, true: Any) -> None:
        """Take messages in until something holds."""
        deadline = time.monotonic() + 30.0
        while not true():
            assert time.monotonic() < deadline
            self.hear()

    def say(self, **message: Any) -> None:
        """Send a message."""
        self.socket.send(json.dumps(message))


def get(url: str, **more: Any) -> httpx.Response:
    """Ask anew, without cookies of the time before."""
    CLIENT.cookies.clear()
    return CLIENT.get(url, **more)


CLIENT = httpx.Client()


def refused(stage: Any, path: str, headers: dict[str, str]) -> int:
    """Return the status with which a WebSocket is refused."""
    with (
        pytest.raises(InvalidStatus) as refusal,
        connect(f"ws://127.0.0.1:{stage.port}{path}", additional_headers=headers),
    ):
        pass
    return refusal.value.response.status_code


COOKIES: dict[str, str] = {}


def cookie_of(stage: Any, secret: str) -> str:
    """Return the cookie for a secret; logging in is rationed, and it stays the same."""
    if secret in COOKIES:
        return COOKIES[secret]
    answer = get(stage.url, params={"k": secret})
    assert answer.status_code == 200
    return COOKIES.setdefault(secret, answer.headers["set-cookie"].partition(";")[0])


def until(end: type[BaseException] | tuple[type[BaseException], ...], act: Callable[[], Any]) -> list[Any]:
    """Do something again and again until it fails in this way; return what came of it."""
    found = []
    while True:
        try:
            found.append(act())
        except end:
            return found


def merge(target: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """An RFC 7396 merge, as the page does it."""
    target = dict(target)
    for name, value in change.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merge(target.get(name, {}), value) if isinstance(value, dict) else value
    return target


@pytest.fixture
def visitor(calm: Any, secret: str) -> Iterator[Visitor]:
    made = Visitor(calm, secret)
    yield made
    made.close()


# ---------------------------------------------------------------- the door


def test_the_link_opens_once_and_leaves_no_secret_behind(stage: Any, secret: str) -> None:
    answer = get(stage.url, params={"k": secret})
    assert answer.status_code == 200
    assert secret not in answer.text + answer.headers["set-cookie"]
    flags = answer.headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=strict" in flags
    page = get(stage.url, headers={"cookie": answer.headers["set-cookie"].partition(";")[0]})
    assert page.status_code == 200
    assert "BLACKOUT" in page.text
    assert "script-src" not in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "style=" not in page.text
    assert "<script>" not in page.text


@pytest.mark.parametrize("query", ["", "?k=", "?k=wrong", "?k=%00%ff", "?k=" + "x" * 3000, "?x=1"])
def test_without_the_secret_there_is_a_page_that_says_how(stage: Any, query: str) -> None:
    answer = get(stage.url + query)
    assert answer.status_code == 401
    assert "performer" in answer.text
    assert "wrong" not in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/stage/ws", "/stage/preview"])
@pytest.mark.parametrize("cookie", ["", "vj_stage=forged", "vj_stage=performer-secret", "vj_stage="])
def test_no_socket_without_the_cookie(stage: Any, path: str, cookie: str) -> None:
    assert refused(stage, path, {"cookie": cookie}) == 401


@pytest.mark.parametrize("path", ["/stage/ws", "/stage/preview"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "//"])
def test_no_socket_for_another_site(stage: Any, secret: str, path: str, origin: str) -> None:
    assert refused(stage, path, {"cookie": cookie_of(stage, secret), "origin": origin}) == 403


def test_only_the_pages_own_files_are_served(stage: Any) -> None:
    base = f"http://127.0.0.1:{stage.port}"
    script = get(f"{base}/stage/static/stage.js")
    assert script.headers["content-type"].startswith("text/javascript")
    again = get(f"{base}/stage/static/stage.js", headers={"if-none-match": script.headers["etag"]})
    assert again.status_code == 304
    for name in ("stage.html", "..%2fpage.py", "%2e%2e/page.py", "..\\page.py", "stage.js%00", "", "x" * 500):
        assert get(f"{base}/stage/static/{name}").status_code == 404, name
    assert CLIENT.post(f"{base}/stage/static/stage.js").status_code == 405
    assert CLIENT.post(f"{base}/stage").status_code == 405


def test_guessing_is_slowed_down(secret: str, fresh: Any) -> None:
    with httpx.Client() as client:
        answers = [client.get(fresh.url, params={"k": f"guess{i}"}) for i in range(40)]
    assert {answer.status_code for answer in answers} == {401, 429}
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert get(fresh.url, params={"k": secret}).status_code == 429


# ---------------------------------------------------------------- what a page hears


def test_names_come_first_then_all_then_changes(visitor: Visitor, calm: Any) -> None:
    visitor.hear_until(lambda: len(visitor.kinds) > 8)
    numbered = [kind for kind in visitor.kinds if kind in ("schema", "whole", "change")]
    assert numbered[:2] == ["schema", "whole"]
    assert set(numbered[2:]) == {"change"}
    assert {row["name"] for row in visitor.schema["macros"]} == set(calm.show.macros)
    visitor.say(kind="param", name="bloom.radius", position=0.25)
    visitor.hear_until(lambda: visitor.state["params"]["bloom.radius"][0] == 0.25)
    assert calm.position("bloom.radius") == 0.25


def test_a_page_that_does_not_take_in_is_sent_no_more(visitor: Visitor, calm: Any) -> None:
    heard = until(TimeoutError, lambda: visitor.hear(answer=False, timeout=1.0))
    # A message or two more may have had room already: never one after the other without end.
    assert len(heard) <= WINDOW + 2
    visitor.say(kind="seen", n=1_000_000)
    visitor.hear_until(lambda: visitor.state["time"] > calm.state.time.time - 1.0)


def test_a_still_show_is_not_a_dead_line(visitor: Visitor, calm: Any) -> None:
    visitor.hear_until(lambda: visitor.state)
    calm.still = True
    try:
        visitor.kinds.clear()
        visitor.hear_until(lambda: visitor.kinds.count("still") >= 2)
    finally:
        calm.still = False


def test_pages_agree(visitor: Visitor, calm: Any, secret: str) -> None:
    other = Visitor(calm, secret)
    visitor.say(kind="param", name="grade.hue", value=0.25)
    visitor.say(kind="macro", name="ENERGY", value=0.9)
    other.hear_until(lambda: other.state and other.state["params"]["grade.hue"][0] == 0.75)
    other.hear_until(lambda: other.state["macros"]["ENERGY"][0] == 0.9)
    other.close()


def test_the_time_limit_of_requests_is_not_one_of_sockets(
    monkeypatch: pytest.MonkeyPatch, fresh: Any, secret: str
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_TIME", 0.5)
    page = Visitor(fresh, secret)
    begun = time.monotonic()
    page.hear_until(lambda: time.monotonic() > begun + 1.2)
    page.close()


# ---------------------------------------------------------------- what is held


def test_what_is_held_is_let_go_when_the_page_goes(visitor: Visitor, calm: Any, wait_until: Any) -> None:
    visitor.say(kind="macro", name="DROP", value=1)
    wait_until(lambda: calm.holds("DROP"))
    visitor.close()
    wait_until(lambda: not calm.holds("DROP"))


def test_what_is_held_is_let_go_when_the_page_falls_silent(
    visitor: Visitor, calm: Any, secret: str, wait_until: Any
) -> None:
    lost = Visitor(calm, secret)
    lost.say(kind="macro", name="DROP", value=1)
    visitor.say(kind="macro", name="TUNNEL", value=1)
    wait_until(lambda: calm.holds("DROP") and calm.holds("TUNNEL"))
    # One phone is carried out of the hall: its line stays open, and nothing comes any more. The other one answers.
    visitor.hear_until(lambda: not calm.holds("DROP"))
    assert calm.holds("TUNNEL")
    visitor.say(kind="macro", name="TUNNEL", value=0)
    visitor.hear_until(lambda: visitor.state and visitor.state["macros"]["TUNNEL"][0] == 0.0)
    lost.close()


# ---------------------------------------------------------------- malice


def test_nonsense_is_told_so_without_being_repeated(visitor: Visitor, calm: Any) -> None:
    for text in ("{", "[" * 5000, '{"kind":"<script>"}', '{"kind":"prompt","text":"\\ud800"}'):
        visitor.socket.send(text)
    visitor.socket.send(b"\xff\xff")
    visitor.hear_until(lambda: len(visitor.wrong) == 5)
    assert "<script>" not in "".join(visitor.wrong)
    assert not [order for order in calm.orders if order["kind"] == "prompt"]


@pytest.mark.parametrize(
    ("text", "times"),
    [("{", MOST_WRONG + 1), ('{"kind":"seen","n":1}', 3000), ('{"kind":"prompt","text":"' + "x" * 100_000 + '"}', 1)],
    ids=["nonsense", "flood", "size"],
)
def test_too_much_ends_the_connection_and_lets_go(
    calm: Any, secret: str, wait_until: Any, text: str, times: int
) -> None:
    page = Visitor(calm, secret)
    page.say(kind="macro", name="DROP", value=1)
    wait_until(lambda: calm.holds("DROP"))
    sent = iter(range(times))
    until((ConnectionClosed, StopIteration), lambda: (next(sent), page.socket.send(text)))
    until(ConnectionClosed, lambda: page.socket.recv(30.0))
    page.close()
    wait_until(lambda: not calm.holds("DROP"))
    # The show and the others do not mind.
    assert get(calm.url).status_code == 401


# ---------------------------------------------------------------- the picture


def test_the_picture_is_made_only_while_it_is_seen_and_one_at_a_time(calm: Any, secret: str, wait_until: Any) -> None:
    assert not calm.watched
    page = Visitor(calm, secret, "/stage/preview")
    wait_until(lambda: calm.watched)
    first = page.socket.recv(30.0)
    assert isinstance(first, bytes)
    assert first.startswith(b"\xff\xd8")
    made = calm.pictures
    wait_until(lambda: calm.pictures > made + 5)
    with pytest.raises(TimeoutError):
        page.socket.recv(0.2)
    page.socket.send("next")
    shown = page.socket.recv(30.0)
    assert isinstance(shown, bytes)
    # What comes now is new, not what was made while this page was busy.
    assert calm.numbers[shown] > made + 5
    # A phone that goes away without a word.
    page.socket.socket.shutdown(socket.SHUT_RDWR)
    page.close()
    wait_until(lambda: not calm.watched)
    assert calm.hub.picture == b""
