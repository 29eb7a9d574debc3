"""Buckets, addresses and seats, without a network."""

from __future__ import annotations

import tracemalloc

import pytest
from starlette.requests import HTTPConnection

from vjengine.web.buckets import Buckets, Rate
from vjengine.web.guard import MOST_CONNECTIONS, MOST_CONNECTIONS_EACH, MOST_SOCKETS_EACH, RATES, Guard, bucket_of
from vjengine.web.settings import WebSettings
from vjengine.web.tokens import CROWD_COOKIE, STAGE_COOKIE, Keys


def connection(address: str = "10.0.0.1", **headers: str) -> HTTPConnection:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "client": (address, 1), "headers": raw, "scheme": "http", "path": "/"})


class Time:
    """Time that is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_fills_again() -> None:
    time = Time()
    buckets = Buckets({"submit": Rate(0.5, 3.0)}, now=time)
    assert [buckets.allow("submit", "a") for _ in range(4)] == [True, True, True, False]
    assert buckets.allow("submit", "b")
    assert buckets.wait("submit", "a") == pytest.approx(2.0)
    time.now = 2.0
    assert [buckets.allow("submit", "a") for _ in range(2)] == [True, False]
    time.now = 1e6
    assert [buckets.allow("submit", "a") for _ in range(4)] == [True, True, True, False]


def test_ten_thousand_addresses_cost_bounded_memory() -> None:
    guard = Guard(WebSettings())
    tracemalloc.start()
    try:
        for k in range(20_000):
            guard.allow("request", f"10.{k >> 16}.{k >> 8 & 255}.{k & 255}")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(guard._buckets) == 10_000
    assert peak < 8 << 20


def test_one_address_is_limited_however_many_others_there_are() -> None:
    guard = Guard(WebSettings(), now=Time())
    burst = int(RATES["submit"].burst)
    allowed = sum(guard.allow("submit", "10.0.0.1") and guard.allow("submit", f"10.0.1.{k}") for k in range(2 * burst))
    assert allowed == burst
    assert guard.retry_after("submit", "10.0.0.1") == 1


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("192.168.1.20", "192.168.1.20"),
        ("::ffff:192.168.1.20", "192.168.1.20"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("nonsense", "?"),
        ("", "?"),
    ],
)
def test_addresses(host: str, bucket: str) -> None:
    assert bucket_of(host) == bucket


def test_what_a_request_says_of_itself_is_not_believed() -> None:
    guard = Guard(WebSettings())
    assert guard.client(connection("10.0.0.1", x_forwarded_for="1.2.3.4", forwarded="for=1.2.3.4")) == "10.0.0.1"


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({"host": "vj:8600"}, True),
        ({"host": "vj:8600", "origin": "http://vj:8600"}, True),
        ({"host": "vj:8600", "origin": "http://VJ:8600"}, True),
        ({"host": "vj:8600", "origin": "http://evil.example"}, False),
        ({"host": "vj:8600", "origin": "http://vj:8601"}, False),
        ({"host": "vj:8600", "origin": "http://vj:8600.evil.example"}, False),
        ({"host": "vj:8600", "origin": "null"}, False),
        ({"host": "vj:8600", "origin": ""}, False),
        ({"host": "vj:8600", "origin": "http://[::1"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"host": "vj:8600", "sec_fetch_site": "cross-site"}, False),
        ({"host": "vj:8600", "sec_fetch_site": "same-origin"}, True),
    ],
)
def test_origins(headers: dict[str, str], same: bool) -> None:
    assert Guard(WebSettings()).same_origin(connection(**headers)) == same


def test_secrets_and_cookies() -> None:
    keys = Keys("stage", "crowd")
    assert keys.opens_stage("stage")
    assert keys.opens_crowd("crowd")
    for wrong in ("", "Stage", "stage ", "crow\u0434", "\ud800", "x" * 100_000):
        assert not keys.opens_stage(wrong)
        assert not keys.opens_crowd(wrong)
    # The secret itself is no cookie, and one page's cookie does not open the other.
    for cookie in ("stage", keys._crowd_cookie, ""):
        assert not keys.is_performer(connection(cookie=f"{STAGE_COOKIE}={cookie}"))
    assert keys.is_performer(connection(cookie=f"{STAGE_COOKIE}={keys._stage_cookie}"))
    assert keys.is_guest(connection(cookie=f"{CROWD_COOKIE}={keys._crowd_cookie}"))
    assert not keys.is_guest(connection())


def test_without_a_secret_nobody_is_the_performer_and_without_a_token_everybody_is_a_guest() -> None:
    keys = Keys("", "")
    assert not keys.opens_stage("")
    assert not keys.is_performer(connection(cookie=f"{STAGE_COOKIE}={keys._stage_cookie}"))
    assert not keys.is_performer(connection(cookie=f"{STAGE_COOKIE}="))
    assert keys.is_guest(connection())


def test_seats_are_bounded_and_given_back() -> None:
    guard = Guard(WebSettings())
    held = [guard.seat(connection()) for _ in range(MOST_SOCKETS_EACH["guest"] + 1)]
    assert [seat.__enter__() for seat in held].count(True) == MOST_SOCKETS_EACH["guest"]
    with guard.seat(connection("10.0.0.2")) as other, guard.seat(connection(), "performer") as performer:
        assert other
        assert performer
    for seat in held:
        seat.__exit__(None, None, None)
    assert guard.seated() == 0


def test_connections_are_bounded_and_the_performer_finds_room() -> None:
    settings = WebSettings(stage_secret="s")
    guard = Guard(settings)
    assert sum(guard.connect("10.0.0.1") for _ in range(2 * MOST_CONNECTIONS_EACH)) == MOST_CONNECTIONS_EACH
    for host in range(2, 9):
        for _ in range(MOST_CONNECTIONS_EACH):
            guard.connect(f"10.0.0.{host}")
    assert guard._connections.total() == MOST_CONNECTIONS * 9 // 10
    assert not guard.connect("10.0.1.1")
    cookie = f"{STAGE_COOKIE}={guard.keys._stage_cookie}"
    assert guard.is_performer(connection("10.0.1.1", cookie=cookie))
    assert guard.connect("10.0.1.1")
    guard.disconnect("10.0.1.1")
    assert not guard.connect("10.0.1.2")
