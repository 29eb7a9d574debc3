"""Many phones in one process: each loads the crowd's page, polls it or listens to it, and sends as often as it may.

``python -m benchmarks.crowd_clients URL SECONDS CLIENTS`` prints one JSON object: latencies (ms) by kind, answers by
status, messages. It is a process of its own, so that its work is not done under the show's interpreter lock.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

POLL, SAY_EVERY, VOTE_EVERY = 3.5, 15.0, 5.0
"""s between two polls, as the page does it; between two prompts, as the queue allows; between two votes."""
ARRIVAL = 8.0
"""s over which everybody arrives."""


@dataclass
class Tally:
    """What all clients saw."""

    ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    lost: int = 0


class Phone:
    """One guest on one connection that is kept, with an address of its own."""

    def __init__(self, number: int, url: str, tally: Tally, *, listens: bool) -> None:
        where = urlsplit(url)
        self._host, self._port = where.hostname or "127.0.0.1", where.port or 80
        self._path = f"/?{where.query}" if where.query else "/"
        self._address = f"127.1.{number // 250}.{1 + number % 250}"
        self._number, self._tally, self._listens = number, tally, listens
        self._cookies: dict[str, str] = {}
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._ids: list[int] = []

    async def play(self, until: float) -> None:
        """Arrive, and take part until ``until`` (s of the event loop)."""
        await asyncio.sleep(random.uniform(0.0, ARRIVAL))
        try:
            await self._ask("page", "GET", self._path)
            await self._ask("page", "GET", "/")
            for name in ("crowd.css", "crowd.js"):
                await self._ask("file", "GET", f"/crowd/static/{name}")
            tasks = [asyncio.create_task(self._send(until))]
            if self._listens:
                tasks.append(asyncio.create_task(self._listen()))
            await asyncio.wait(tasks, timeout=max(0.0, until - _now()))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            self._tally.lost += 1
        finally:
            if self._line is not None:
                self._line[1].close()

    async def _send(self, until: float) -> None:
        say_at = _now() + random.uniform(0.0, SAY_EVERY)
        vote_at = _now() + random.uniform(0.0, VOTE_EVERY)
        poll_at = _now()
        serial = 0
        while _now() < until:
            if not self._listens and _now() >= poll_at:
                poll_at += POLL
                self._heard(await self._ask("poll", "GET", "/crowd/api/state"))
            if _now() >= say_at:
                say_at += SAY_EVERY
                serial += 1
                wish = {"text": f"idea {self._number} of {_spelt(serial)}", "author": f"phone {self._number}"}
                await self._ask("say", "POST", "/crowd/api/say", wish)
            if self._ids and _now() >= vote_at:
                vote_at += VOTE_EVERY
                await self._ask("vote", "POST", "/crowd/api/vote", {"id": random.choice(self._ids)})
            await asyncio.sleep(0.25)

    def _heard(self, body: bytes) -> None:
        if body.startswith(b"{"):
            self._ids = [row["id"] for row in json.loads(body).get("queue", ())]

    async def _ask(self, kind: str, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        begun = time.perf_counter()
        if self._line is None:
            self._line = await asyncio.open_connection(self._host, self._port, local_addr=(self._address, 0))
        reader, writer = self._line
        sent = json.dumps(body).encode() if body is not None else b""
        head = self._head(method, path)
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n"
        writer.write(f"{head}\r\n".encode() + sent)
        status, answer, keep = await self._answer(reader)
        self._tally.ms[kind].append((time.perf_counter() - begun) * 1e3)
        self._tally.statuses[f"{kind} {status}"] += 1
        if not keep:
            writer.close()
            self._line = None
        return answer

    def _head(self, method: str, path: str) -> str:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n" + (
            f"Cookie: {cookies}\r\n" if cookies else ""
        )

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        length, keep = 0, True
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            if name.lower() == "content-length":
                length = int(value)
            elif name.lower() == "connection":
                keep = value.lower() != "close"
            elif name.lower() == "set-cookie":
                cookie, _, content = value.partition(";")[0].partition("=")
                self._cookies[cookie] = content
        return int(lines[0].split()[1]), await reader.readexactly(length), keep

    async def _listen(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port, local_addr=(self._address, 0))
        try:
            begun = time.perf_counter()
            key = base64.b64encode(os.urandom(16)).decode()
            writer.write(
                f"{self._head('GET', '/crowd/ws')}Connection: Upgrade\r\nUpgrade: websocket\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            self._tally.ms["socket"].append((time.perf_counter() - begun) * 1e3)
            self._tally.statuses[f"socket {head.split()[1].decode()}"] += 1
            while True:
                kind, length = await reader.readexactly(2)
                if length == 126:
                    length = int.from_bytes(await reader.readexactly(2), "big")
                elif length == 127:
                    length = int.from_bytes(await reader.readexactly(8), "big")
                content = await reader.readexactly(length)
                if kind == 0x89:
                    # A ping, answered with a mask of zeros.
                    writer.write(bytes((0x8A, 0x80 | length, 0, 0, 0, 0)) + content)
                elif kind == 0x81:
                    self._tally.messages += 1
                    self._heard(content)
        finally:
            writer.close()


def _spelt(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def _now() -> float:
    return asyncio.get_running_loop().time()


async def crowd(url: str, seconds: float, clients: int) -> Tally:
    """Let ``clients`` phones take part for ``seconds``, half of them on WebSockets."""
    tally = Tally()
    until = _now() + seconds
    phones = [Phone(number, url, tally, listens=number % 2 == 1) for number in range(clients)]
    await asyncio.gather(*(phone.play(until) for phone in phones))
    return tally


def main(arguments: Sequence[str]) -> int:
    """Run the clients and print what they saw."""
    url, seconds, clients = arguments
    tally = asyncio.run(crowd(url, float(seconds), int(clients)))
    print(json.dumps({"ms": tally.ms, "statuses": tally.statuses, "messages": tally.messages, "lost": tally.lost}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
