"""From the performer's page to the first presented frame that shows it: the fader ``out.black``, from end to end.

``websocket``: a client of its own that talks as the page does. ``browser``: keys on the fader in a real Chromium, which
adds what the browser needs from the key to the message. The web process is the show's own, the way is the whole one:
page, web process, pipe, event queue, control, drawing. The generator makes one picture a second.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from benchmarks.common import Report, arguments
from benchmarks.harness import Eye, play, quiet_options, scratch
from vjengine.engine.live import LiveEngine
from vjengine.web.link import WebLink
from vjengine.web.settings import WebSettings
from vjengine.web.view import Engine

SLOW = "still:delay=1.0"
GOAL = "p99 <= 80 ms"
SECRET = "benchmark"
FADER = "out.black"
Switch = Callable[[bool], object]


@contextmanager
def pages(engine: LiveEngine) -> Iterator[str]:
    """Serve a running show's pages; give the address of the performer's."""
    settings = WebSettings(stage_secret=SECRET)
    link = WebLink(settings, engine.show, engine.session.control, Engine, engine.clock, engine.events, lambda: None)
    link.start()
    try:
        deadline = time.monotonic() + 20.0
        while "stage" not in link.urls:
            if time.monotonic() > deadline:
                raise RuntimeError("the web process did not start")
            time.sleep(0.05)
        yield link.urls["stage"]
    finally:
        link.stop()


@contextmanager
def by_websocket(url: str) -> Iterator[Switch]:
    """Move the fader as the page does."""
    place = httpx.URL(url)
    answer = httpx.get(url)
    cookie = answer.headers["set-cookie"].partition(";")[0]
    with connect(f"ws://{place.host}:{place.port}/stage/ws", additional_headers={"cookie": cookie}) as line:
        threading.Thread(target=_answer, args=(line,), daemon=True).start()
        yield lambda on: line.send(json.dumps({"kind": "param", "name": FADER, "position": float(on)}))


def _answer(line: ClientConnection) -> None:
    """Take in what the show says, and say so, as a page does."""
    try:
        for text in line:
            message = json.loads(text)
            if "n" in message:
                line.send(json.dumps({"kind": "seen", "n": message["n"]}))
    except ConnectionClosed:
        return


@contextmanager
def by_browser(url: str) -> Iterator[Switch]:
    """Press End and Home on the fader in a browser."""
    chromium = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
    if chromium is None:
        raise RuntimeError("no Chromium: apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise RuntimeError("pip install playwright") from error
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(url, wait_until="commit")
        page.wait_for_selector("body[data-ready]")
        page.fill("#search", FADER)
        page.locator("#fader-list [role=slider]").focus()
        yield lambda on: page.keyboard.press("End" if on else "Home")
        browser.close()


WAYS = {"websocket": by_websocket, "browser": by_browser}


def measure(folder: Path, n: int, way: str) -> list[float]:
    """Return ``n`` latencies, ms; NaN for a move that was never seen."""
    latencies: list[float] = []

    def act(engine: LiveEngine, eye: Eye) -> None:
        with pages(engine) as url, WAYS[way](url) as switch:
            dice = random.Random(1)
            eye.wait(False)
            for i in range(n):
                # Any phase against the frames, and slow enough not to call up the flash limiter.
                time.sleep(0.3 + dice.random() * 0.2)
                on = i % 2 == 0
                begun = engine.clock.now()
                switch(on)
                latencies.append((eye.wait(on, 2.0) - begun) * 1e3)

    play(quiet_options(folder, generator=SLOW), act)
    return latencies


def main() -> int:
    """Run the benchmark."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--only", choices=tuple(WAYS), help="measure one way only")
    args = parser.parse_args()
    n = 400 if args.full else 40
    report = Report("web_latency", as_json=args.json)
    for name in WAYS:
        if args.only not in (None, name):
            continue
        with scratch() as folder:
            try:
                latencies = measure(folder, n, name)
            except RuntimeError as error:
                report.note(f"{name}: not measured: {error}")
                continue
        seen = [latency for latency in latencies if latency == latency]
        report.add(name, "ms", seen, goal=GOAL)
        if len(seen) < n:
            report.note(f"{name}: {n - len(seen)} of {n} were never seen")
    return 0


if __name__ == "__main__":
    sys.exit(main())
