"""A show that is played by the real control step, with the real web process at its side."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vjengine.config import load_looks, load_macros
from vjengine.core.clock import FrameTime, LiveClock
from vjengine.core.events import Event, StatusChanged
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.reducer import control_step, initial_state
from vjengine.core.show import Show
from vjengine.core.signals import NO_AUDIO
from vjengine.resources import resource_dir
from vjengine.web.link import WebLink
from vjengine.web.settings import WebSettings
from vjengine.web.view import Engine

LIVENESS = 60.0
"""s after which something that should have happened never will."""
TOKEN, SECRET = "let me in, please", "only mine"


def wait_until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + LIVENESS
    while not true():
        assert time.monotonic() < deadline, f"{what} never came"
        time.sleep(0.01)


class Live:
    """A show at 50 frames a second and its link."""

    token, secret = TOKEN, SECRET
    wait_until = staticmethod(wait_until)

    def __init__(self, settings: WebSettings, *, silent_too_long: float = 30.0) -> None:
        macros = load_macros(resource_dir("macros"))
        self.show = Show(macros, load_looks(resource_dir("presets"), macros)[0])
        self.clock = LiveClock()
        self.events = EventQueue()
        self.control = Latest(initial_state(self.show))
        self.seen: list[Event] = []
        self.frames = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()
        self.link = WebLink(
            settings,
            self.show,
            self.control,
            Engine,
            self.clock,
            self.events,
            lambda: b"\xff\xd8 a picture",
            silent_too_long=silent_too_long,
        )

    def _play(self) -> None:
        state = self.control.read()
        while not self._over.wait(0.02):
            events = self.events.drain()
            self.seen += events
            now = self.clock.now()
            frame = FrameTime(state.time.index + 1, now, now - state.time.time)
            state = control_step(state, events, NO_AUDIO, frame, self.show)
            self.control.publish(state)
            self.frames += 1

    def start(self) -> Live:
        self.link.start()
        wait_until(lambda: self.link.urls, "the pages")
        return self

    def close(self) -> None:
        self.link.stop()
        self._over.set()
        self._thread.join()

    @property
    def statuses(self) -> list[StatusChanged]:
        return [event for event in self.seen if isinstance(event, StatusChanged)]

    @property
    def port(self) -> int:
        assert self.link.settings.pages is not None
        return self.link.settings.pages[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="session")
def make_live() -> type[Live]:
    return Live


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A show with a crowd's page that asks for a token; the queue is kept."""
    folder: Path = tmp_path_factory.mktemp("crowd")
    settings = WebSettings(crowd=True, crowd_token=TOKEN, stage_secret=SECRET, folder=folder)
    playing = Live(settings)
    try:
        yield playing.start()
    finally:
        playing.close()
