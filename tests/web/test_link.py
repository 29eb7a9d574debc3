"""The link between show and web process: whatever happens to that process, the show goes on and the pages come back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from vjengine.core import events as ev
from vjengine.web import link as link_module
from vjengine.web.settings import WebSettings

LIVENESS = 60.0


def prompts(live: Any) -> list[str]:
    return [event.text for event in live.seen if isinstance(event, ev.CrowdPrompt)]


def test_killed_or_frozen_the_pages_come_back_and_the_queue_with_them(make_live: Any, tmp_path: Path) -> None:
    live = make_live(WebSettings(crowd=True, folder=tmp_path), silent_too_long=1.5).start()
    try:
        guests = [httpx.Client(base_url=live.url, timeout=LIVENESS) for _ in range(3)]
        for k, guest in enumerate(guests):
            guest.get("/")
            assert guest.post("/crowd/api/say", json={"text": f"wish {'abc'[k]}"}).status_code == 201
        live.wait_until(lambda: live.control.read().crowd.text == "wish a", "the first turn")
        live.wait_until(lambda: "wish a" in (tmp_path / "crowd.json").read_text(encoding="utf-8"), "the file")
        live.wait_until(lambda: live.link.queue == (2, "wish a", ""), "the HUD's word")

        first, port = live.link.pid, live.port
        os.kill(first, signal.SIGKILL)
        live.wait_until(lambda: live.link.restarts == 1, "the word that it is gone")
        frames = live.frames
        live.wait_until(lambda: live.frames > frames + 5, "frames meanwhile")
        live.wait_until(lambda: _answers(live), "the pages")
        assert live.port == port
        # The guests are known again by the cookies they had.
        state = guests[1].get("/crowd/api/state").json()
        assert [row["text"] for row in state["queue"]] == ["wish b", "wish c"]
        assert state["you"]["place"] == 1
        assert state["playing"]["text"] == "wish a"
        assert prompts(live) == ["wish a"]

        if hasattr(signal, "SIGSTOP"):
            os.kill(live.link.pid, signal.SIGSTOP)
            live.wait_until(lambda: live.link.restarts == 2, "the end of patience")
            live.wait_until(lambda: _answers(live), "the pages")
        levels = [said.level for said in live.statuses if said.component == "web"]
        assert levels[0] == "ok"
        assert "warn" in levels
        live.wait_until(lambda: live.statuses[-1].level == "ok", "all well")
    finally:
        live.close()
    assert live.link.pid is None
    # What is kept of people is no address.
    assert "127.0.0.1" not in (tmp_path / "crowd.json").read_text(encoding="utf-8")


def _answers(live: Any) -> bool:
    try:
        return httpx.get(live.url, timeout=LIVENESS).status_code == 200
    except httpx.TransportError:
        return False


def test_a_taken_port_is_named_and_used_once_it_is_free(make_live: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        live = make_live(WebSettings(pages=("127.0.0.1", port), crowd=True))
        live.link.start()
        live.wait_until(lambda: live.statuses, "a word about the port")
    try:
        said = live.statuses[0]
        assert (said.component, said.level) == ("web", "error")
        assert str(port) in said.message
        assert "--web" in said.message
        live.wait_until(lambda: live.statuses[-1].level == "ok", "the pages")
        assert live.link.restarts == 0
        assert live.link.urls["crowd"] == f"http://127.0.0.1:{port}/"
        assert _answers(live)
    finally:
        live.close()


FLOOD = """
import sys
from vjengine.web.wire import packed
out = sys.stdout.buffer
out.write(packed({"kind": "listening", "urls": {"crowd": "x"}, "ports": {}}))
tap, wrong = packed({"kind": "tempo", "function": "tap"}), packed({"kind": "quit", "text": "x" * 9000})
while True:
    out.write((tap + wrong) * 50)
"""


def _pretend(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Put a process with a mind of its own in the web process's place."""

    def spawn(settings: WebSettings) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([sys.executable, "-c", code], **pipes)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(link_module, "spawn", spawn)


def test_a_web_process_that_floods_is_read_no_faster_than_a_show_can_bear(
    make_live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pretend(monkeypatch, FLOOD)
    live = make_live(WebSettings()).start()
    try:
        live.wait_until(lambda: live.link.wrong > 500, "orders that are none")
        # What was read is bounded by the time that it took, however fast it came.
        taken = live.link.wrong + sum(isinstance(event, ev.Tap) for event in list(live.seen))
        assert taken < link_module.ORDERS_A_SECOND * (live.clock.now() + 2.0)
        frames = live.frames
        live.wait_until(lambda: live.frames > frames + 5, "frames")
        assert live.events.dropped == 0
    finally:
        live.close()


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.stdout.buffer.write(b'\\0\\x08\\0\\0J' + b'[' * (1 << 19))",
        'import sys; sys.stdout.buffer.write(b\'\\0\\0\\0\\x24J{"kind": "status", "component": []}\')',
        "raise SystemExit(3)",
    ],
)
def test_a_web_process_that_talks_nonsense_is_replaced(
    make_live: Any, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    _pretend(monkeypatch, code)
    live = make_live(WebSettings())
    live.link.start()
    try:
        live.wait_until(lambda: [said for said in live.statuses if said.level == "warn"], "a warning")
        assert live.link.restarts >= 1
    finally:
        live.close()


def test_a_web_process_that_reads_nothing_holds_up_nobody(make_live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, "import time\nwhile True: time.sleep(60)")
    monkeypatch.setattr(link_module, "START_GRACE", 0.5)
    live = make_live(WebSettings(), silent_too_long=0.5)
    live.link._followed = True
    live.link.start()
    try:
        live.wait_until(lambda: live.link.restarts >= 1, "the end of patience")
        assert live.frames > 0
    finally:
        live.close()
