"""The MIDI process: owns every native MIDI object, writes what it hears to standard output, one JSON list a line.

It is a process of its own because a MIDI system can take its clients down with it. Seen with JACK: closing a port after
its server died and another client was opened ends in a segmentation fault, and opening one while the server is frozen
never returns and never gives the interpreter lock back. Here that costs a process which the parent starts again.

Lines written::

    ["midi", stamp, port, [bytes…]]      a message; stamp is the machine's monotonic counter, s
    ["ports", [open…], [all…]]           the set of ports changed
    ["none", reason]                     no MIDI system yet; it is looked for again and again
    ["lost", reason]                     the MIDI server is gone; the process ends after this line
    ["missing", reason]                  python-rtmidi cannot be loaded; the process ends after this line
    ["fault", traceback]                 a bug; the process ends after this line
    ["alive"]                            heartbeat

It ends when its standard input closes, so it never outlives its parent.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vjengine.core.clock import LiveClock

CLIENT = "vjengine"
"""Name of our MIDI client; ports of that name are our own and never opened."""
LOOK_AGAIN = 2.0
"""s between two looks for a MIDI system where there is none."""
SERVER_CHECK = 1.0
"""s between two checks that a JACK server still answers: a dead one goes on listing its ports."""
GRACE = 0.5
"""s the ports get to close once the parent has hung up."""

Send = Callable[[list[Any]], None]
Key = tuple[str, int]


class NoMidiSystem(Exception):
    """There is no MIDI system on this machine, or it is not running."""


class ServerLost(Exception):
    """The MIDI server died; nothing of it may be touched any more."""


def choose(names: Sequence[str], patterns: Sequence[str]) -> dict[Key, int]:
    """Return which of the ports ``names`` to open, as ``{(name, nth of that name): index}``.

    A port is chosen if its name contains one of ``patterns``, whatever their case. Without patterns, all are, save our
    own and the system's through ports, which would feed back what another program sends.
    """
    chosen: dict[Key, int] = {}
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        nth = seen[name] = seen.get(name, -1) + 1
        low = name.lower()
        if patterns:
            wanted = any(pattern.lower() in low for pattern in patterns)
        else:
            wanted = "midi through" not in low and "midi-through" not in low
        if wanted and not low.startswith(CLIENT):
            chosen[name, nth] = index
    return chosen


def pick_api(rtmidi: Any, asked: str) -> int:
    """Return rtmidi's number of the MIDI system to use.

    Args:
        rtmidi: the module.
        asked: ``ALSA``, ``JACK``, ``CORE``, ``MM`` … or a full name like ``UNIX_JACK``; empty takes what
            ``MIDO_BACKEND`` names after its slash, else the platform's own.

    Raises:
        NoMidiSystem: if rtmidi was built without it.
    """
    asked = asked or os.environ.get("MIDO_BACKEND", "").partition("/")[2]
    built = {name[4:]: getattr(rtmidi, name) for name in dir(rtmidi) if name.startswith("API_")}
    usable = {name: number for name, number in built.items() if number in rtmidi.get_compiled_api()}
    if asked:
        for name, number in usable.items():
            if asked.upper() in name:
                return int(number)
        raise NoMidiSystem(f"this python-rtmidi knows no MIDI system {asked!r}; it knows {', '.join(usable)}")
    # The sequencer's file is there even before its module is loaded; asking without it only fills the terminal.
    if "LINUX_ALSA" in usable and not Path("/dev/snd/seq").exists():
        del usable["LINUX_ALSA"]
    for name, number in sorted(usable.items(), key=lambda item: item[0] == "UNIX_JACK"):
        if name != "RTMIDI_DUMMY":
            return int(number)
    raise NoMidiSystem("there is no ALSA sequencer (/dev/snd/seq); try: modprobe snd-seq")


class Ports:
    """The open ports. Everything here runs on the process's main thread; messages arrive on rtmidi's own."""

    def __init__(self, rtmidi: Any, api: int, patterns: Sequence[str], send: Send) -> None:
        self._rtmidi = rtmidi
        self._api = api
        self._patterns = patterns
        self._send = send
        self._clock = LiveClock(0.0)
        self._checked = self._clock.now()
        self._open: dict[Key, Any] = {}
        self._said: tuple[list[str], list[str]] | None = None
        self._watcher = self._client()

    def _client(self) -> Any:
        """Return a new client of the MIDI system. Raises NoMidiSystem."""
        try:
            return self._rtmidi.MidiIn(self._api, name=CLIENT)
        except self._rtmidi.RtMidiError as error:
            raise NoMidiSystem(str(error)) from error

    def poll(self) -> None:
        """Open what has come, close what has gone. Raises ServerLost."""
        names = list(self._watcher.get_ports())
        if self._api == self._rtmidi.API_UNIX_JACK and self._clock.now() - self._checked > SERVER_CHECK:
            self._check_server(names)
        chosen = choose(names, self._patterns)
        for key in [key for key in self._open if key not in chosen]:
            self._close(self._open.pop(key))
        for key, index in chosen.items():
            if key not in self._open:
                self._try_open(key, index)
        now = (sorted(name for name, _ in self._open), names)
        if now != self._said:
            self._said = now
            self._send(["ports", *now])

    def close(self) -> None:
        """Close all ports."""
        for port in self._open.values():
            self._close(port)
        self._close(self._watcher)

    def _try_open(self, key: Key, index: int) -> None:
        name, _ = key
        port = self._client()
        try:
            # The list may have moved on since it was read: open what has the name now.
            fresh = choose(port.get_ports(), self._patterns).get(key)
            if fresh is None:
                raise self._rtmidi.InvalidPortError("gone again")
            port.set_callback(self._callback, name)
            port.open_port(index if fresh == index else fresh, name="in")
        except self._rtmidi.RtMidiError:
            # Taken by another program (Windows) or gone again: the next poll tries anew.
            self._close(port)
        else:
            self._open[key] = port

    def _callback(self, event: tuple[list[int], float], name: str) -> None:
        # JACK calls this inside its audio cycle: copy and leave.
        self._send(["midi", self._clock.now(), name, event[0]])

    def _close(self, port: Any) -> None:
        try:
            port.close_port()
            port.delete()
        except self._rtmidi.RtMidiError:
            return

    def _check_server(self, names: Sequence[str]) -> None:
        """Ask the server for something that it must answer: a port, or where there is none to join, a client."""
        self._checked = self._clock.now()
        try:
            if names:
                self._watcher.open_port(0, name="alive")
                self._watcher.close_port()
            else:
                self._close(self._watcher)
                self._watcher = self._client()
        except (self._rtmidi.RtMidiError, NoMidiSystem) as error:
            raise ServerLost("the JACK server is gone") from error


class Outbox:
    """Writes lines to standard output on a thread of its own, so that no MIDI callback ever waits for the parent."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="midi-outbox", daemon=True)
        self._thread.start()

    def put(self, line: list[Any]) -> None:
        """Queue one line; never blocks."""
        self._lines.put(line)

    def finish(self) -> None:
        """Write what is queued and return, after GRACE s at the latest."""
        self._lines.put(None)
        self._thread.join(GRACE)

    def _write(self) -> None:
        out = sys.stdout.buffer
        while True:
            line = self._lines.get()
            if line is None:
                return
            try:
                out.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
                if self._lines.empty():
                    out.flush()
            except OSError:
                os._exit(0)  # the parent is gone


def _hang_up(stop: threading.Event) -> None:
    """Wait for the parent to close our standard input, then see to it that this process ends."""
    sys.stdin.buffer.read()
    stop.set()
    threading.Event().wait(GRACE)
    os._exit(0)


def _serve(options: dict[str, Any], send: Send, stop: threading.Event) -> None:
    import rtmidi

    ports: Ports | None = None
    said = ""
    while not stop.is_set():
        try:
            if ports is None:
                ports = Ports(rtmidi, pick_api(rtmidi, options["api"]), options["ports"], send)
            ports.poll()
        except NoMidiSystem as error:
            if str(error) != said:
                said = str(error)
                send(["none", said])
        send(["alive"])
        stop.wait(options["poll"] if ports else LOOK_AGAIN)
    if ports is not None:
        ports.close()


def main() -> None:
    """Run until standard input closes. The one argument is JSON: ``{"ports": […], "api": "", "poll": s}``."""
    # Ctrl-C reaches the whole process group; the parent decides when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    outbox = Outbox()
    send = outbox.put
    stop = threading.Event()
    threading.Thread(target=_hang_up, args=(stop,), name="midi-hang-up", daemon=True).start()
    try:
        _serve(json.loads(sys.argv[1]), send, stop)
    except ImportError as error:
        send(["missing", str(error)])
    except ServerLost as error:
        send(["lost", str(error)])
    except Exception:  # noqa: BLE001 - the process's outermost guard: it reports and ends
        send(["fault", traceback.format_exc()])
    outbox.finish()
    # Objects of a dead server must not even be garbage-collected, so leave without tidying up.
    os._exit(0)


if __name__ == "__main__":
    main()
