"""OSCQuery on a real server: HTTP by httpx, WebSocket by websockets, discovery by zeroconf, a client by npm."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import uvicorn
from pythonosc.osc_message import OscMessage
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from vjengine.config import load_macros
from vjengine.core.control import ControlState
from vjengine.core.osc_said import feed_rows
from vjengine.core.osc_tree import osc_tree, present
from vjengine.core.params import PARAMS
from vjengine.core.reducer import initial_state
from vjengine.core.show import Show
from vjengine.resources import resource_dir
from vjengine.web.buckets import Rate
from vjengine.web.discovery import OSC, OSCQUERY
from vjengine.web.hub import Hub
from vjengine.web.oscquery import MOST_LISTENERS, RATES, app
from vjengine.web.oscquery_tree import EXTENSIONS, Tree
from vjengine.web.settings import WebSettings
from vjengine.web.view import Engine, schema, snapshot

SHOW = Show(load_macros(resource_dir("macros")), {})
STATE = initial_state(SHOW)
SETTINGS = WebSettings(pages=None, oscquery=("127.0.0.1", 0), osc=("127.0.0.1", 9000), name="the show")


class Quiet(uvicorn.Server):
    """Uvicorn on a thread, where it can capture no signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Running:
    """A server on a thread of its own, as the web process has it."""

    def __init__(self, settings: WebSettings = SETTINGS) -> None:
        self.loop = asyncio.new_event_loop()
        self.hub = Hub(lambda message: None)
        bound = socket.create_server(("127.0.0.1", 0))
        self.port = int(bound.getsockname()[1])
        self._server = Quiet(
            uvicorn.Config(
                app(self.hub, settings), lifespan="off", log_config=None, ws="websockets-sansio", ws_max_size=8192
            )
        )
        self._thread = threading.Thread(target=self._run, args=(bound,), daemon=True)
        self._thread.start()
        self.tell({"kind": "hello", "schema": schema(SHOW)})
        self.state(STATE)

    def _run(self, bound: Any) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._server.serve([bound]))
        self.loop.close()

    def tell(self, message: Any) -> None:
        self.loop.call_soon_threadsafe(self.hub.receive, message)

    def state(self, state: ControlState) -> None:
        self.tell(snapshot(state, Engine()))

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    one = Running()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def get(running: Running) -> Iterator[Callable[..., httpx.Response]]:
    with httpx.Client(base_url=f"http://127.0.0.1:{running.port}", timeout=30.0, trust_env=False) as client:
        yield client.get


Get = Callable[..., httpx.Response]


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for name, child in node.get("CONTENTS", {}).items():
        assert child["FULL_PATH"].rsplit("/", 1)[1] == name
        yield from nodes(child)


def test_the_whole_tree_is_there_with_types_ranges_and_values(get: Get) -> None:
    answer = get("/")
    assert answer.headers["content-type"] == "application/json"
    found = {node["FULL_PATH"]: node for node in nodes(answer.json())}
    rows = [row for row in osc_tree(SHOW.macros, tuple(SHOW.looks)) if not row.kind.endswith("subscribe")]
    said = {row.address for row in feed_rows(SHOW.macros)}
    assert {row.address for row in rows} | said <= set(found)
    for row in rows:
        node = found[row.address]
        assert (node["TYPE"], node["DESCRIPTION"]) == (row.tags, row.doc)
        assert node["ACCESS"] == (3 if row.readable else 2)
        if row.readable:
            value = present(row, STATE)
            assert node["VALUE"] == [pytest.approx(value, abs=1e-4) if isinstance(value, float) else value]
        else:
            assert "VALUE" not in node
    assert all(found[address]["ACCESS"] == 1 for address in said)
    half_life = found["/param/feedback/half_life/value"]
    assert half_life["RANGE"] == [{"MIN": 0.02, "MAX": 8.0}]
    assert half_life["UNIT"] == ["time.second"]
    assert half_life["CLIPMODE"] == ["both"]
    assert found["/param/gen/palette/value"]["RANGE"][0]["VALS"][0] == "neon"
    assert found["/param/gen/seed/value"]["VALUE"] == [1]
    assert found["/look"]["RANGE"] == [{"VALS": list(SHOW.looks)}]


def test_one_node_and_one_attribute(get: Get) -> None:
    node = get("/param/out/level").json()
    assert (node["FULL_PATH"], node["VALUE"], set(node["CONTENTS"])) == ("/param/out/level", [1.0], {"value"})
    assert get("/param/out/level?VALUE").json() == {"VALUE": [1.0]}
    assert get("/param/out/level?RANGE").json() == {"RANGE": [{"MIN": 0.0, "MAX": 1.0}]}
    assert get("/param/out/level?TYPE").json() == {"TYPE": "f"}
    assert set(get("/param/out?CONTENTS").json()["CONTENTS"]) == {"flash", "black", "freeze", "level"}


def test_host_info_says_where_osc_goes(get: Get) -> None:
    info = get("/?HOST_INFO").json()
    assert (info["NAME"], info["OSC_IP"], info["OSC_PORT"], info["OSC_TRANSPORT"]) == (
        "the show", "127.0.0.1", 9000, "UDP",
    )  # fmt: skip
    assert info["EXTENSIONS"] == dict(EXTENSIONS)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/no/such", 404), ("/param/out/level/value/more", 404), ("/../../etc/passwd", 404), ("/%00", 404),
        ("/param/out/level?NONSENSE", 400), ("/param/out/level?VALUE=1", 400), ("/?<script>", 400),
        ("/tempo/tap?VALUE", 204), ("/prompt?RANGE", 204), ("/param?TYPE", 204), ("/?HTML", 204),
    ],
)  # fmt: skip
def test_what_is_not_there_has_its_status(get: Get, path: str, status: int) -> None:
    answer = get(path)
    assert answer.status_code == status
    assert "script" not in answer.text


def test_only_get_and_only_by_our_own_name(running: Running, get: Get) -> None:
    url = f"http://127.0.0.1:{running.port}/"
    assert httpx.post(url, trust_env=False).status_code == 405
    for headers in (
        {"host": "evil.example"},
        {"host": "evil.local"},
        {"host": f"evil.example:{running.port}"},
        {"origin": "http://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"host": "[::"},
    ):
        assert get("/", headers=headers).status_code == 403, headers
    for name in ("127.0.0.1:1", "localhost", f"{socket.gethostname().partition('.')[0]}.local:5678", "[::1]:80"):
        assert get("/?HOST_INFO", headers={"host": name}).status_code == 200
    url = f"ws://127.0.0.1:{running.port}/"
    with pytest.raises(InvalidStatus) as refused, connect(url, origin="http://evil.example", proxy=None):
        pass
    assert refused.value.response.status_code == 403


def test_a_listener_hears_what_changes_and_nothing_else(running: Running) -> None:
    with connect(f"ws://127.0.0.1:{running.port}/", proxy=None) as ws:
        for path in ("/param/bloom/amount", "/param/gen/palette/value", "/look", "/no/such", "/tempo/tap"):
            ws.send(json.dumps({"COMMAND": "LISTEN", "DATA": path}))
        for nonsense in ("", "{", "[]", '"x"', '{"COMMAND": 3}', '{"COMMAND":"LISTEN","DATA":[]}', "[" * 1500):
            ws.send(nonsense)
        ws.send(b"\0\1\2")

        def heard(until: Callable[[dict[str, Any]], object], state: ControlState) -> dict[str, Any]:
            found: dict[str, Any] = {}
            end = time.monotonic() + 30.0
            while not until(found):
                assert time.monotonic() < end, found
                running.state(state)
                try:
                    packet = ws.recv(timeout=0.1)
                except TimeoutError:
                    continue
                assert isinstance(packet, bytes)
                read = OscMessage(packet)
                found[read.address] = read.params[0]
            return found

        first = heard(lambda found: len(found) == 3, STATE)
        assert first == {"/param/bloom/amount": 0.25, "/param/gen/palette/value": "neon", "/look": STATE.look.name}
        moved = replace(STATE, targets={"bloom.amount": 1.0})
        assert heard(lambda found: found, moved) == {"/param/bloom/amount": 0.5}
        ws.send(json.dumps({"COMMAND": "IGNORE", "DATA": "/param/bloom/amount"}))
        ws.send(json.dumps({"COMMAND": "LISTEN", "DATA": "/param/out/level"}))
        assert "/param/out/level" in heard(lambda found: "/param/out/level" in found, moved)
        last = replace(STATE, targets={"bloom.amount": 2.0, "out.level": 0.5})
        assert heard(lambda found: found.get("/param/out/level") == 0.5, last) == {"/param/out/level": 0.5}
    running.state(STATE)


def flood(ws: Any) -> None:
    for _ in range(20 * int(RATES["command"].burst)):
        ws.send('{"COMMAND":"LISTEN","DATA":"/look"}')


def test_a_flood_of_words_ends_the_connection_and_others_go_on(get: Get) -> None:
    # On a server of its own: the limit is the address's, and all here share one.
    other = Running()
    try:
        with connect(f"ws://127.0.0.1:{other.port}/", proxy=None) as ws, pytest.raises(ConnectionClosed):
            flood(ws)
        assert httpx.get(f"http://127.0.0.1:{other.port}/look?VALUE", trust_env=False).status_code == 200
    finally:
        other.stop()


def test_seats_are_bounded_and_given_back(running: Running) -> None:
    url = f"ws://127.0.0.1:{running.port}/"
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_LISTENERS):
            stack.enter_context(connect(url, proxy=None))
        with pytest.raises(InvalidStatus), connect(url, proxy=None):
            pass
    end = time.monotonic() + 30.0
    while True:
        try:
            with connect(url, proxy=None):
                break
        except InvalidStatus:
            assert time.monotonic() < end, "no seat was given back"


def test_a_flood_of_requests_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RATES, "request", Rate(0.001, 3.0))
    other = Running()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{other.port}", trust_env=False, timeout=30.0) as client:
            answers = [client.get("/?HOST_INFO") for _ in range(5)]
    finally:
        other.stop()
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].headers["retry-after"] == "1"


def test_before_the_show_has_said_hello_there_are_parameters_without_values() -> None:
    tree = Tree({}, obeyed=False)
    assert tree.described("/param/out/level", {})["ACCESS"] == 1
    assert "VALUE" not in tree.described("/param/out/level", {})
    assert len([path for path in tree.nodes if path.startswith("/param/")]) > 2 * len(PARAMS)


@pytest.mark.real
def test_the_show_is_found_on_the_network_and_gone_after(make_live: Callable[..., Any]) -> None:
    """The whole way: a show, its web process, a browser of the network on loopback."""
    from zeroconf import ServiceBrowser, ServiceStateChange, Zeroconf

    name = f"show {os.getpid()}"
    try:
        zeroconf = Zeroconf(interfaces=["127.0.0.1"])
    except OSError as error:
        pytest.skip(f"there is no multicast here: {error}")
    seen: dict[str, ServiceStateChange] = {}

    def note(name: str, state_change: ServiceStateChange, **_: object) -> None:
        seen[name] = state_change

    names = {f"{name}.{kind}" for kind in (OSCQUERY, OSC)}
    browser = ServiceBrowser(zeroconf, [OSCQUERY, OSC], handlers=[note])
    show = make_live(replace(SETTINGS, name=name))
    try:
        show.start()
        show.wait_until(lambda: all(seen.get(one) is ServiceStateChange.Added for one in names), "the announcement")
        info = zeroconf.get_service_info(OSCQUERY, f"{name}.{OSCQUERY}", 20_000)
        assert info is not None
        url = f"http://{info.parsed_addresses()[0]}:{info.port}"
        assert url == show.link.urls["oscquery"]
        found = httpx.get(f"{url}/?HOST_INFO", trust_env=False, timeout=30.0).json()
        assert (found["NAME"], found["OSC_PORT"]) == (name, 9000)
        show.link.stop()
        show.wait_until(lambda: all(seen.get(one) is ServiceStateChange.Removed for one in names), "the farewell")
    finally:
        show.close()
        browser.cancel()
        zeroconf.close()


NODE = """
const { DiscoveredService } = require("oscquery");
const service = new DiscoveredService("127.0.0.1", Number(process.argv[1]));
service.update().then(() => {
  const found = {};
  for (const one of service.flat()) found[one.full_path] = one.arguments[0].value;
  console.log(JSON.stringify({ host: service.hostInfo, found }));
}).catch((error) => { console.error(error); process.exit(1); });
"""


@pytest.mark.real
def test_a_client_nobody_here_wrote_reads_the_tree(running: Running, get: Get) -> None:
    """Takes npm's oscquery, if NODE_PATH has it."""
    node = shutil.which("node")
    if node is None or subprocess.run([node, "-e", "require('oscquery')"], capture_output=True).returncode:
        pytest.skip("npm's oscquery is not installed (npm install oscquery, and NODE_PATH to its node_modules)")
    end = time.monotonic() + 30.0
    while get("/param/out/level?VALUE").json() != {"VALUE": [1.0]}:
        assert time.monotonic() < end
    done = subprocess.run([node, "-e", NODE, str(running.port)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["host"]["oscPort"] == 9000
    assert told["found"]["/param/out/level"] == 1.0
    assert set(told["found"]) >= {row.address for row in osc_tree(SHOW.macros) if row.readable}
