"""Replicate as a continuation, against a server on a real socket that speaks its documented interface."""

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vjengine.errors import BackendError, ConfigError, OutOfMemory, VJError
from vjengine.offline.backends import make_replicate
from vjengine.offline.backends.wire import Silent
from vjengine.offline.continuation import Ask, Carried, Opening

TOKEN = "r8_" + "q7" * 18
SIZE = (64, 40)
ASK = Ask(index=0, frames=2, seed=3, prompt="an ink sea")


@dataclass
class LocalReplicate:
    """Answers predictions with one picture for each frame wanted; ``plan`` holds the answers that come before that."""

    plan: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    waiting: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)
    moved: bool = False

    def __post_init__(self) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            do_POST = do_DELETE = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        # Two servers: the service, and the place elsewhere where the pictures lie.
        self.servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
        self.threads = [threading.Thread(target=s.serve_forever, args=(0.02,), daemon=True) for s in self.servers]
        for thread in self.threads:
            thread.start()
        self.address, self.elsewhere = (f"http://127.0.0.1:{s.server_address[1]}" for s in self.servers)

    def close(self) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()
        for thread in self.threads:
            thread.join(10)

    def answer(self, call: BaseHTTPRequestHandler) -> None:
        body = call.rfile.read(int(call.headers.get("Content-Length", 0)))
        self.asked.append((call.command, call.path))
        here = call.headers["Host"] == self.address.removeprefix("http://")
        if not here:
            if call.headers["Authorization"]:
                self.leaked.append(call.path)
            return self.send(call, 200, self.picture(), "image/png")
        if call.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.send(call, 401, {"detail": f"bad token {call.headers['Authorization']}"})
        if call.path.startswith("/out/"):
            if self.moved:
                call.send_response(302)
                call.send_header("Location", f"{self.elsewhere}/store.png")
                call.send_header("Content-Length", "0")
                call.end_headers()
                return None
            return self.send(call, 200, self.picture(), "image/png")
        if call.path == "/v1/files":
            return self.send(call, 201, {"id": "file1", "urls": {"get": f"{self.address}/v1/files/file1"}})
        if call.path.endswith("/cancel"):
            self.cancelled.set()
            return self.send(call, 200, {})
        if self.plan:
            return self.send(call, *self.plan.pop(0))
        if call.command == "POST":
            self.inputs.append(json.loads(body))
            return self.send(call, 201, {"id": "p1", "status": "starting"})
        state = {"status": "succeeded", "output": [f"{self.address}/out/{n}.png" for n in range(3)]}
        if self.states:
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            self.waiting.set()
        return self.send(call, 200, {"id": "p1", **state})

    def picture(self) -> bytes:
        data = io.BytesIO()
        Image.new("RGB", SIZE, (10, 200, 30)).save(data, "png")
        return data.getvalue()

    def send(self, call: BaseHTTPRequestHandler, status: int, body: Any, kind: str = "application/json") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        call.send_response(status)
        call.send_header("Content-Type", kind)
        call.send_header("Content-Length", str(len(data)))
        call.end_headers()
        call.wfile.write(data)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalReplicate]:
    monkeypatch.setenv("REPLICATE_API_TOKEN", TOKEN)
    server = LocalReplicate()
    yield server
    server.close()


def model(service: LocalReplicate, **changes: object) -> Any:
    options = {"api": service.address, "model": "someone/svd", "frames": 2, "tries": 3, "pause": 0.01, "poll": 0.05}
    return make_replicate({**options, "input": {"image": "{{image}}", "n": "{{frames}}"}, **changes})


def begun() -> Carried:
    picture = np.full((SIZE[1], SIZE[0], 3), 900, np.uint16)
    return Carried(picture[None], picture)


def test_a_prediction_brings_new_pictures(service: LocalReplicate) -> None:
    clip = model(service).extend(begun(), ASK, Silent())
    assert clip.frames.shape == (2, SIZE[1], SIZE[0], 3)
    assert (clip.frames[0, 0, 0] == np.array([10, 200, 30]) * 257).all()
    assert service.inputs == [{"input": {"image": f"{service.address}/v1/files/file1", "n": 3}}]
    assert ("POST", "/v1/models/someone/svd/predictions") in service.asked
    assert ("DELETE", "/v1/files/file1") in service.asked, "our picture is not left lying there"


def test_the_token_goes_to_nobody_else_and_into_no_message(
    service: LocalReplicate, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.moved = True
    makes = model(service)
    makes.extend(begun(), ASK, Silent())
    assert ("GET", "/store.png") in service.asked
    assert service.leaked == []
    assert TOKEN not in repr(vars(makes)) + repr(vars(makes._service)) + makes.version
    other = "r8_" + "wrong" * 7
    monkeypatch.setenv("REPLICATE_API_TOKEN", other)
    with pytest.raises(BackendError, match="does not take the token") as caught:
        model(service).extend(begun(), ASK, Silent())
    assert other not in str(caught.value)
    assert not caught.value.retry


def test_too_many_requests_and_passing_faults_are_waited_out(service: LocalReplicate) -> None:
    service.plan = [(429, {"detail": "Request was throttled. Your rate limit resets in ~0s."}), (503, {})]
    assert len(model(service).extend(begun(), ASK, Silent()).frames) == 2
    assert len(service.inputs) == 1, "a prediction that was understood is paid once"


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ({"status": "failed", "error": "CUDA out of memory. Tried"}, OutOfMemory, "out of memory at Replicate"),
        ({"status": "failed", "error": "Invalid image"}, BackendError, "failed at Replicate: Invalid image"),
        ({"status": "canceled"}, BackendError, "cancelled at Replicate"),
        ({"status": "succeeded", "output": {"a": 1}}, BackendError, "expected a video or pictures"),
        ({"status": "succeeded", "output": "file:///etc/passwd.png"}, BackendError, "no https address"),
        ({"status": "succeeded", "output": "https://x.test/a.exe"}, BackendError, "neither picture nor video"),
        ({"status": "dancing"}, BackendError, "unknown here"),
    ],
)
def test_what_goes_wrong_says_what(
    service: LocalReplicate, state: dict[str, Any], kind: type[VJError], words: str
) -> None:
    service.states = [state]
    with pytest.raises(kind, match=words):
        model(service).extend(begun(), ASK, Silent())


def test_leaving_cancels(service: LocalReplicate) -> None:
    service.states = [{"status": "processing"}]

    class Leaving:
        def alive(self, doing: str, fraction: float = -1.0) -> None:
            if service.waiting.is_set():
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model(service).extend(begun(), ASK, Leaving())
    assert service.cancelled.wait(20)


def test_settings_that_cannot_work_are_refused_at_once(
    service: LocalReplicate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for changes, words in (
        ({"model": "nonsense"}, "expected owner/name"),
        ({"model": ""}, "which model"),
        ({"input": {"a": 1}}, "never see the last picture"),
    ):
        with pytest.raises(BackendError, match=words):
            model(service, **changes)
    with pytest.raises(ConfigError, match=r"did you mean 'price'"):
        model(service, prise=1)
    with pytest.raises(BackendError, match=r"no picture to begin with.*inputs/"):
        model(service).open(Opening(prompt="x"), SIZE, Silent())
    monkeypatch.delenv("REPLICATE_API_TOKEN")
    with pytest.raises(BackendError, match="REPLICATE_API_TOKEN"):
        model(service)
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    assert len(model(service, token_file=token).extend(begun(), ASK, Silent()).frames) == 2
