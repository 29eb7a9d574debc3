"""The performer's page on a real server, with the real control step behind it in the show's place; and a browser."""

from __future__ import annotations

import asyncio
import io
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image
from starlette.applications import Starlette

from vjengine.config import load_looks, load_macros
from vjengine.core import events as ev
from vjengine.core.clock import FrameTime
from vjengine.core.reducer import control_step, initial_state
from vjengine.core.show import Show
from vjengine.core.signals import AudioFeatures, BeatClock
from vjengine.resources import resource_dir
from vjengine.web.crowd.desk import CrowdDesk
from vjengine.web.guard import Guard
from vjengine.web.hub import Hub
from vjengine.web.orders import SOURCE, event_of
from vjengine.web.server import Server, server
from vjengine.web.settings import WebSettings
from vjengine.web.stage.routes import routes
from vjengine.web.view import Engine, schema, snapshot

SECRET = "performer-secret"
LIVENESS = 40.0
"""s after which something that should have happened never will."""


def wait_until(true: Callable[[], object], what: str = "it") -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + LIVENESS
    while not true():
        assert time.monotonic() < deadline, f"{what} never came"
        time.sleep(0.01)


class Stage:
    """A show whose pages are served: orders step its control state, snapshots of that go to the pages."""

    def __init__(self, *, crowd: bool = False, learn: bool = False) -> None:
        macros = load_macros(resource_dir("macros"))
        self.show = Show(macros, load_looks(resource_dir("presets"), macros)[0])
        self.state = initial_state(self.show)
        self.engine = Engine(
            generator="procedural",
            generator_state="plays",
            generator_fps=60.0,
            fps=60.0,
            p99_ms=17.1,
            midi=("nanoKONTROL2",),
        )
        self.orders: list[dict[str, Any]] = []
        self.still = False
        self.pictures = 0
        self.numbers: dict[bytes, int] = {}
        self.watched = False
        self.settings = WebSettings(stage_secret=SECRET)
        self._crowd, self._learn = crowd, learn
        self._events: list[ev.Event] = [
            ev.StatusChanged(component="audio", level="ok", message="USB Audio CODEC, 48 kHz"),
            ev.StatusChanged(component="osc in", level="warn", message="port 9000 is taken; trying again"),
        ]
        self._features = AudioFeatures(time=1e9, silent=False, rms=0.4, beat=BeatClock(0.0, 0.47, running=True))
        self.port = 0
        self.start()

    def start(self) -> None:
        """Serve, on the same port as before."""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(LIVENESS)

    def stop(self) -> None:
        """Stop serving; the show goes on knowing what it knew."""
        self._server.should_exit = True
        self._thread.join(LIVENESS)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self.hub = hub = Hub(self._take)
        self.guard = guard = Guard(self.settings)
        self.desk = CrowdDesk(hub, self.settings, guard) if self._crowd else None
        hub.receive({"kind": "hello", "schema": {**schema(self.show), **({"learn": True} if self._learn else {})}})
        app = guard.protect(Starlette(routes=routes(hub, self.settings, guard, self.desk)))
        self._server: Server = server(app, guard)
        self._server.config.host, self._server.config.port = "127.0.0.1", self.port
        play = asyncio.create_task(self._play())
        turns = asyncio.create_task(self.desk.run()) if self.desk is not None else None
        serve = asyncio.create_task(self._server.serve())
        while not self._server.started:
            await asyncio.sleep(0.01)
        self.loop = asyncio.get_running_loop()
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self._ready.set()
        await serve
        play.cancel()
        if turns is not None:
            turns.cancel()

    async def _play(self) -> None:
        while True:
            if not self.still:
                self.step()
                self.hub.receive(snapshot(self.state, self.engine))
                if self.watched and self.state.time.index % 4 == 0:
                    self.pictures += 1
                    picture = _picture(self.pictures)
                    self.numbers[picture] = self.pictures
                    self.hub.receive(picture)
            await asyncio.sleep(1 / 30)

    def step(self) -> None:
        """Make a frame of the show."""
        now = self.state.time
        events, self._events = self._events, []
        frame = FrameTime(now.index + 1, now.time + 1 / 30, 1 / 30)
        features = replace(self._features, time=frame.time)
        self.state = control_step(self.state, events, features, frame, self.show)

    def _take(self, order: dict[str, Any]) -> None:
        self.orders.append(order)
        if order["kind"] == "watched":
            self.watched = order["value"]
        elif order["kind"] not in ("followed", "status", "queue"):
            self._events.append(event_of(order, self.show, self.state.time.time))

    def tell(self, event: ev.Event) -> None:
        """Let something else act on the show: a controller, a key."""
        self._events.append(event)

    def guest_says(self, text: str, author: str, guest: str) -> None:
        """Let one of the crowd ask for something."""
        assert self.desk is not None
        desk = self.desk

        async def say() -> None:
            desk.say(text, author, guest, f"address of {guest}")

        asyncio.run_coroutine_threadsafe(say(), self.loop).result(LIVENESS)

    def position(self, name: str) -> float:
        """Return a fader's place as the engine has it."""
        return snapshot(self.state, self.engine)["params"][name][0]

    def holds(self, macro: str) -> bool:
        """Return whether the engine has a macro on."""
        return self.state.macros[macro].requested > 0.0

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/stage"


def _picture(n: int) -> bytes:
    """Return a JPEG that moves."""
    x = Image.linear_gradient("L").resize((320, 180)).rotate(n * 7 % 360)
    y = Image.radial_gradient("L").resize((320, 180))
    made = io.BytesIO()
    Image.merge("RGB", (x, y.rotate(90), Image.blend(x, y, 0.5))).save(made, "JPEG", quality=70)
    return made.getvalue()


@pytest.fixture(name="wait_until")
def _wait_until() -> Callable[..., None]:
    return wait_until


@pytest.fixture
def secret() -> str:
    """What opens the page."""
    return SECRET


@pytest.fixture
def fresh() -> Iterator[Stage]:
    """A show of one's own."""
    made = Stage()
    yield made
    made.stop()


@pytest.fixture
def full() -> Iterator[Stage]:
    """A show with a crowd, and controllers that learn."""
    made = Stage(crowd=True, learn=True)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A show with its page."""
    made = Stage()
    yield made
    made.stop()


@pytest.fixture
def calm(stage: Stage) -> Iterator[Stage]:
    """The show as written, however the test before left it."""
    stage.tell(ev.Trigger(source=SOURCE, action="panic"))
    stage.orders.clear()
    return stage


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's or anybody's Chromium, driven by playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    chromium = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if chromium is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as play:
        started = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()
