"""The web process: uvicorn with the pages and OSCQuery on one event loop. ``python -m vjengine.web.worker SETTINGS``

It is a process of its own so that no visitor costs a frame: whatever strangers send is read under another
interpreter's lock, at a lower priority. :mod:`vjengine.web.wire` says what goes through standard input and output. It
ends when its standard input does, so it never outlives the show.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import IO, Any

from vjengine.web.wire import packed, read_message

log = logging.getLogger(__name__)

NICENESS = 5
"""How far behind the show it stands: enough that the show goes first, not so much that a busy machine shows no page."""
MOST_UNSENT = 4096
LOOK_AGAIN = 1.0
"""s between two tries for a port that somebody else has."""
GRACE = 2.0

Object = dict[str, Any]


class Outbox:
    """Writes to the show on a thread of its own, so that the event loop never waits for it.

    Args:
        pipe: the show's end.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._messages: queue.Queue[Object | None] = queue.Queue(MOST_UNSENT)
        self.dropped = 0
        self._thread = threading.Thread(target=self._write, name="web-outbox", daemon=True)
        self._thread.start()

    def put(self, message: Object) -> None:
        """Queue a message; never blocks. A show that takes nothing for long loses the newest."""
        try:
            self._messages.put_nowait(message)
        except queue.Full:
            self.dropped += 1

    def finish(self) -> None:
        """Write what is queued and return, soon."""
        with contextlib.suppress(queue.Full):
            self._messages.put_nowait(None)
        self._thread.join(0.5)

    def _write(self) -> None:
        while (message := self._messages.get()) is not None:
            try:
                self._pipe.write(packed(message))
                if self._messages.empty():
                    self._pipe.flush()
            except OSError:
                os._exit(0)  # the show is gone


def _status(component: str, level: str, message: str) -> Object:
    return {"kind": "status", "component": component, "level": level, "message": message}


def _step_back() -> None:
    """Let the show go first."""
    import psutil

    # Windows has classes instead of numbers.
    lower: int = getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", NICENESS)
    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process().nice(lower)


async def _read(pipe: IO[bytes], receive: Callable[[Object | bytes], None]) -> None:
    """Take the show's messages until its pipe ends."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def read() -> None:
        with contextlib.suppress(OSError, ValueError):
            while (message := read_message(pipe)) is not None:
                loop.call_soon_threadsafe(receive, message)
        loop.call_soon_threadsafe(ended.set)
        # Whatever hangs in here must not outlive the show.
        threading.Event().wait(GRACE)
        os._exit(0)

    threading.Thread(target=read, name="web-inbox", daemon=True).start()
    await ended.wait()


async def _beat(send: Callable[[Object], None]) -> None:
    """Say once a second that the event loop turns."""
    while True:
        send({"kind": "alive"})
        await asyncio.sleep(1.0)


async def _bind(what: str, option: str, address: tuple[str, int], send: Callable[[Object], None]) -> socket.socket:
    """Return a socket listening on ``address``, as soon as there can be one."""
    from vjengine.web.server import listen

    said = ""
    while True:
        try:
            return listen(address)
        except OSError as error:
            words = why_not(address, option, error)
        if words != said:
            said = words
            send(_status(what, "error", words))
        await asyncio.sleep(LOOK_AGAIN)


def why_not(address: tuple[str, int], option: str, error: OSError) -> str:
    """Return why nothing can listen on ``address``, and what to do."""
    host, port = address
    if error.errno == errno.EADDRINUSE or getattr(error, "winerror", 0) == 10048:
        return f"port {port} is taken by another program: end that one, or choose another port with {option}"
    if error.errno == errno.EACCES or getattr(error, "winerror", 0) == 10013:
        return f"port {port} may not be used: choose one above 1023 with {option}"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine: choose one that is, or 0.0.0.0 for all, with {option}"
    return f"nothing can listen on {host}, port {port} ({error}): choose another with {option}"


async def serve(settings_json: str, inbox: IO[bytes], send: Callable[[Object], None]) -> None:
    """Serve what the settings ask for until ``inbox`` ends."""
    from vjengine.web.address import base_url, qr_url, stage_url
    from vjengine.web.crowd.desk import CrowdDesk
    from vjengine.web.guard import Guard
    from vjengine.web.hub import Hub
    from vjengine.web.server import pages, server
    from vjengine.web.settings import WebSettings

    settings = WebSettings.from_json(settings_json)
    hub, guard = Hub(send), Guard(settings)
    desk = CrowdDesk(hub, settings, guard) if settings.crowd and settings.pages is not None else None
    ended = asyncio.create_task(_read(inbox, hub.receive))
    urls: dict[str, str] = {}
    servers = []

    async def run_pages(address: tuple[str, int]) -> None:
        bound = await _bind("web", "--web", address, send)
        port = int(bound.getsockname()[1])
        running = server(pages(hub, settings, guard, desk), guard)
        servers.append(running)
        urls.update(stage=stage_url(settings, port), crowd=qr_url(settings, port))
        send({"kind": "listening", "urls": urls, "ports": {"pages": port}})
        send(_status("web", "ok", f"pages on {base_url(settings, port)}"))
        await running.serve([bound])

    async def run_oscquery(address: tuple[str, int]) -> None:
        from vjengine.web.discovery import announced
        from vjengine.web.oscquery import app

        bound = await _bind("oscquery", "--oscquery", address, send)
        host, port = bound.getsockname()[:2]
        running = server(app(hub, settings), guard)
        servers.append(running)
        urls["oscquery"] = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        send({"kind": "listening", "urls": urls, "ports": {"oscquery": port}})
        send(_status("oscquery", "ok", urls["oscquery"]))
        async with announced(settings, (host, port)):
            await running.serve([bound])

    tasks = {asyncio.create_task(_beat(send)), ended}
    if settings.pages is not None:
        tasks.add(asyncio.create_task(run_pages(settings.pages)))
    if settings.oscquery is not None:
        tasks.add(asyncio.create_task(run_oscquery(settings.oscquery)))
    if desk is not None:
        tasks.add(asyncio.create_task(desk.run()))
    # Nothing of this ends by itself but the show.
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done - {ended}:
        task.result()
    if desk is not None:
        desk.save()
    for running in servers:
        running.should_exit = True


def main() -> None:
    """Run until standard input closes. The one argument is :meth:`vjengine.web.settings.WebSettings.to_json`."""
    # Ctrl-C reaches the whole process group; the show decides when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Nothing that is printed by accident may come among the messages.
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    outbox = Outbox(pipe)
    try:
        _step_back()
        asyncio.run(serve(sys.argv[1], sys.stdin.buffer, outbox.put))
    except ImportError as error:
        outbox.put({"kind": "missing", "message": str(error)})
    except Exception:  # noqa: BLE001 - the process's outermost guard: it reports and ends
        outbox.put({"kind": "fault", "message": traceback.format_exc()})
    outbox.finish()
    os._exit(0)


if __name__ == "__main__":
    main()
