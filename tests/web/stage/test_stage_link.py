"""The performer's page of the real web process, as a show starts it."""

import json
import os
import signal
from typing import Any

import httpx
from websockets.sync.client import connect

from vjengine.config import load_macros
from vjengine.core import events as ev
from vjengine.core.clock import LiveClock
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.reducer import initial_state
from vjengine.core.show import Show
from vjengine.resources import resource_dir
from vjengine.web.link import WebLink
from vjengine.web.settings import WebSettings
from vjengine.web.view import Engine


def test_what_a_page_held_is_let_go_when_the_web_process_is_killed(wait_until: Any, secret: str) -> None:
    show = Show(load_macros(resource_dir("macros")), {})
    events, seen = EventQueue(), []
    link = WebLink(
        WebSettings(stage_secret=secret),
        show,
        Latest(initial_state(show)),
        Engine,
        LiveClock(),
        events,
        lambda: None,
    )

    def said(macro: str, value: float) -> bool:
        seen.extend(event for event in events.drain() if isinstance(event, ev.MacroSet))
        return any(event.macro == macro and event.value == value for event in seen)

    link.start()
    try:
        wait_until(lambda: "stage" in link.urls)
        place = httpx.URL(link.urls["stage"])
        cookie = httpx.get(place).headers["set-cookie"].partition(";")[0]
        with connect(f"ws://{place.host}:{place.port}/stage/ws", additional_headers={"cookie": cookie}) as page:
            assert json.loads(page.recv(30.0))["kind"] in ("schema", "still")
            page.send(json.dumps({"kind": "macro", "name": "DROP", "value": 1}))
            wait_until(lambda: said("DROP", 1.0))
            pid = link.pid
            assert pid is not None
            os.kill(pid, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
            wait_until(lambda: said("DROP", 0.0))
    finally:
        link.stop()
