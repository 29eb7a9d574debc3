"""Answers are bounded in size and time, and a wait can be left."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from vjengine.errors import BackendError
from vjengine.offline.backends.template import fill, placeholders
from vjengine.offline.backends.wire import Http, server_address

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], Http]]:
    with ExitStack() as stack:

        def start(behave: Callable[[socket.socket], None]) -> Http:
            line = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def run() -> None:
                connection, _ = line.accept()
                with connection:
                    connection.recv(65536)
                    with suppress(OSError):
                        behave(connection)

            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            stack.callback(thread.join, 20)
            return Http(f"http://127.0.0.1:{line.getsockname()[1]}", timeout=10.0)

        yield start


def endless(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"\r\n")
    while True:
        connection.sendall(b" " * 65536)


def drip(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
    for _ in range(500):
        connection.sendall(b" ")
        threading.Event().wait(0.05)


def test_an_endless_answer_is_cut(serve: Callable[[Callable[[socket.socket], None]], Http]) -> None:
    with pytest.raises(BackendError, match="more than the 100,000 bytes") as caught:
        serve(endless).ask("GET", "/", limit=100_000)
    assert not caught.value.retry


def test_a_long_one_is_refused_before_it_comes(serve: Callable[[Callable[[socket.socket], None]], Http]) -> None:
    with pytest.raises(BackendError, match="9,999,999,999 bytes"):
        serve(lambda line: line.sendall(HEAD + b"Content-Length: 9999999999\r\n\r\n")).ask("GET", "/")


def test_a_dripping_one_has_a_last_moment(serve: Callable[[Callable[[socket.socket], None]], Http]) -> None:
    with pytest.raises(BackendError, match=r"more than 0\.5 s") as caught:
        serve(drip).ask("GET", "/", seconds=0.5)
    assert caught.value.retry


def test_a_wait_can_be_left(serve: Callable[[Callable[[socket.socket], None]], Http]) -> None:
    class Leaving:
        def alive(self, doing: str, fraction: float = -1.0) -> None:
            raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        serve(drip).ask("GET", "/", watcher=Leaving())
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: 100\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"",
    ],
)
def test_a_broken_answer_may_be_asked_for_again(
    serve: Callable[[Callable[[socket.socket], None]], Http], answer: bytes
) -> None:
    with pytest.raises(BackendError, match="broke off") as caught:
        serve(lambda line: line.sendall(answer)).ask("GET", "/")
    assert caught.value.retry


def test_a_redirect_to_a_file_is_not_followed(serve: Callable[[Callable[[socket.socket], None]], Http]) -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"
    assert serve(lambda line: line.sendall(answer)).ask("GET", "/").status == 302


def test_addresses() -> None:
    assert server_address("studio:8188/") == "http://studio:8188"
    for wrong in ("", "ftp://x", "http://", "http://a:99999999"):
        with pytest.raises(BackendError, match="address"):
            server_address(wrong)


def test_placeholders_keep_their_kind() -> None:
    template = {"a": "{{steps=20}}", "b": ["{{seed}}", "x {{seed}} y"], "c": "{{sampler=euler}}", "d": 1.5}
    assert fill(template, {"seed": 7}) == {"a": 20, "b": [7, "x 7 y"], "c": "euler", "d": 1.5}
    assert placeholders(template) == {"steps": True, "seed": False, "sampler": True}
    with pytest.raises(BackendError, match="did you mean 'prompt'"):
        fill("{{promt}}", {})
