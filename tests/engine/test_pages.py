"""A real web process beside a real compositor: its address on the screen, the screen on the performer's page."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from time import monotonic, sleep
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from websockets.sync.client import connect

from vjengine.compose.compositor import Compositor
from vjengine.compose.context import offscreen_context
from vjengine.config import load_macros
from vjengine.core.clock import FrameTime, LiveClock
from vjengine.core.events import MacroToggle
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.reducer import control_step, initial_state
from vjengine.core.show import Show
from vjengine.core.signals import NO_AUDIO
from vjengine.engine.invite import Invite
from vjengine.engine.pages import Pages
from vjengine.engine.preview import Preview
from vjengine.errors import DisplayError
from vjengine.resources import resource_dir
from vjengine.web.settings import WebSettings
from vjengine.web.view import Engine

SIZE = (640, 360)
SECRET = "a-secret-of-the-performer"
PATIENCE = 60.0


def test_the_address_is_shown_and_the_screen_is_seen() -> None:
    try:
        ctx = offscreen_context()
    except DisplayError as error:
        pytest.skip(f"no offscreen OpenGL here: {error}")
    show = Show(load_macros(resource_dir("macros")), {})
    state, clock = initial_state(show), LiveClock()
    control, events = Latest(state), EventQueue()
    compositor = Compositor(ctx, SIZE, resource_dir("shaders"), hot_reload=False)
    settings = WebSettings(stage_secret=SECRET, crowd=True, crowd_token="in-the-code")
    preview = Preview(ctx, SIZE, resource_dir("shaders"), by_cpu=True)
    invite, index = Invite(events), 0

    def play(pages: Pages, until: Callable[[], object]) -> None:
        nonlocal state, index
        ending = monotonic() + PATIENCE
        while not until():
            assert monotonic() < ending
            index += 1
            state = control_step(state, events.drain(), NO_AUDIO, FrameTime(index, index / 60, 1 / 60), show)
            control.publish(state)
            invite.follow(compositor, state)
            pages.frame(compositor.render(state, None), index / 60)
            sleep(0.005)

    def read() -> str:
        width, height = SIZE
        raw = np.frombuffer(compositor.programme.read(components=3, alignment=1), np.uint8)
        return cv2.QRCodeDetector().detectAndDecode(raw.reshape(height, width, 3)[::-1].copy())[0]

    said: list[str] = []
    with Pages(settings, show, control, Engine, clock, events, preview, invite, said.append) as pages:
        play(pages, lambda: invite.url)
        url = pages.link.urls["crowd"]
        assert pages.address in url
        assert f"crowd's page: {url}" in said
        assert "in-the-code" not in pages.address
        assert pages.waiting == 0
        events.put(MacroToggle(macro="QR"))
        play(pages, lambda: state.values["qr.mix"] >= 0.99)
        assert read() == url

        host = urlsplit(pages.link.urls["stage"]).netloc
        asked = http.client.HTTPConnection(host, timeout=PATIENCE)
        asked.request("GET", f"/stage?k={SECRET}")
        cookie = asked.getresponse().getheader("set-cookie", "").split(";")[0]
        asked.close()
        assert not preview.wanted
        with connect(
            f"ws://{host}/stage/preview", additional_headers={"Cookie": cookie, "Origin": f"http://{host}"}
        ) as ws:
            play(pages, lambda: preview.made >= 3)
            jpeg = ws.recv(timeout=PATIENCE)
        seen = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert seen[seen.shape[0] // 3, seen.shape[1] // 2 - 60 : seen.shape[1] // 2 + 60].max() > 200, "the plate"
        play(pages, lambda: not preview.wanted)
        assert preview.latest() is None
    compositor.release()
    assert ctx.error == "GL_NO_ERROR"
    ctx.release()
