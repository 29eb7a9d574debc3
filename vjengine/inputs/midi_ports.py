"""Inside the MIDI process: which MIDI system and which ports, opened and closed as they come and go."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vjengine.core.clock import LiveClock

CLIENT = "vjengine"
"""Name of our MIDI client; ports of that name are our own and never opened."""
PULSE_EVERY = 0.5
"""s between two messages sent through a JACK server to ourselves."""
PULSE_LOST = 3.0
"""s without one of them arriving after which the server counts as dead: it goes on listing its ports."""
QUEUE = 8192
"""Messages rtmidi keeps for us."""
LAST_CYCLE = 0.05
"""s that JACK takes at most to pass on what it was given, before this process may end."""
FETCH_EVERY = 0.001
"""s between two looks into rtmidi's queues, with JACK."""

Send = Callable[[list[Any]], None]
Orders = queue.SimpleQueue[bytes | None]
"""Lines to send to outputs; ``None`` only wakes whoever waits."""
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


class Pulse:
    """Tells whether a JACK server lives, by messages through it to ourselves.

    Nothing else would do: a dead server goes on listing its ports, asking a frozen one never returns, and opening and
    closing a port now and then to see whether it works was seen to crash in the audio cycle under load.
    """

    def __init__(self, rtmidi: Any, api: int, now: float) -> None:
        name = f"{CLIENT}-alive-{os.getpid()}"
        self._out = rtmidi.MidiOut(api, name=name)
        self._out.open_virtual_port("out")
        self._in = rtmidi.MidiIn(api, name=f"{name}-in")
        self._in.open_port(next(i for i, port in enumerate(self._in.get_ports()) if port.startswith(name)), name="in")
        self._sent = self._heard = now

    def check(self, now: float) -> None:
        """Send and listen. Raises ServerLost."""
        while self._in.get_message():
            self._heard = now
        if now - self._heard > PULSE_LOST:
            raise ServerLost("the JACK server is gone")
        if now - self._sent >= PULSE_EVERY:
            self._sent = now
            self._out.send_message((0x80, 0, 0))


class Ports:
    """The open ports. Everything here runs on the process's main thread.

    Messages arrive on rtmidi's own threads, but not so with JACK, which would call Python inside its audio cycle: that
    loses messages on a busy machine and was seen to crash. There rtmidi keeps the messages and :meth:`listen` fetches
    them every millisecond.
    """

    def __init__(self, rtmidi: Any, api: int, patterns: Sequence[str], send: Send, orders: Orders) -> None:
        self._orders = orders
        self._outputs: dict[str, Any] = {}
        self._rtmidi = rtmidi
        self._api = api
        self._patterns = patterns
        self._send = send
        self._clock = LiveClock(0.0)
        self._open: dict[Key, Any] = {}
        self._said: tuple[list[str], ...] | None = None
        self._watcher = self._client()
        self._out_watcher = self._out_client()
        self._fetches = api == rtmidi.API_UNIX_JACK
        self._pulse: Pulse | None = None
        if self._fetches:
            try:
                self._pulse = Pulse(rtmidi, api, self._clock.now())
            except (rtmidi.RtMidiError, StopIteration) as error:
                raise NoMidiSystem(str(error) or "the JACK server takes no port") from error

    def _client(self) -> Any:
        """Return a new client of the MIDI system. Raises NoMidiSystem."""
        try:
            return self._rtmidi.MidiIn(self._api, name=CLIENT, queue_size_limit=QUEUE)
        except self._rtmidi.RtMidiError as error:
            raise NoMidiSystem(str(error)) from error

    def _out_client(self) -> Any:
        """Return a new client for an output. Raises NoMidiSystem."""
        try:
            return self._rtmidi.MidiOut(self._api, name=CLIENT)
        except self._rtmidi.RtMidiError as error:
            raise NoMidiSystem(str(error)) from error

    def poll(self) -> None:
        """Open what has come, close what has gone. Raises ServerLost."""
        names = list(self._watcher.get_ports())
        if self._pulse is not None:
            self._pulse.check(self._clock.now())
        chosen = choose(names, self._patterns)
        for key in [key for key in self._open if key not in chosen]:
            self._close(self._open.pop(key))
        for key, index in chosen.items():
            if key not in self._open:
                self._try_open(key, index)
        others = [name for name in names if not name.lower().startswith(CLIENT)]
        outputs = [name for name in self._out_watcher.get_ports() if not name.lower().startswith(CLIENT)]
        for name in [name for name in self._outputs if name not in outputs]:
            self._close(self._outputs.pop(name))
        now = (sorted(name for name, _ in self._open), others, outputs)
        if now != self._said:
            self._said = now
            self._send(["ports", *now])

    def listen(self, seconds: float, stop: threading.Event) -> None:
        """Hear messages for ``seconds``, or until ``stop``."""
        end = self._clock.now() + seconds
        if self._fetches:
            while not stop.wait(FETCH_EVERY) and self._clock.now() < end:
                self._fetch()
                self._obey()
            return
        while not stop.is_set() and (left := end - self._clock.now()) > 0.0:
            try:
                self._send_on(self._orders.get(timeout=left))
            except queue.Empty:
                return

    def _obey(self) -> None:
        """Send on all that waits."""
        while not self._orders.empty():
            self._send_on(self._orders.get())

    def _send_on(self, line: bytes | None) -> None:
        """Do one order; one that cannot be done is left: what a light shows is sent anew when its port comes back."""
        if line is None:
            return
        _, name, messages = json.loads(line)
        port = self._outputs.get(name) or self._open_output(name)
        for message in messages if port is not None else ():
            try:
                port.send_message(bytes.fromhex(message))
            except (self._rtmidi.RtMidiError, ValueError):
                self._close(self._outputs.pop(name))
                break
        self._send(["took", len(line)])

    def _open_output(self, name: str) -> Any:
        """Return the output ``name``, opened; ``None`` if it is not there or taken."""
        try:
            port = self._out_client()
        except NoMidiSystem:
            return None
        try:
            port.open_port(port.get_ports().index(name), name="out")
        except (self._rtmidi.RtMidiError, ValueError):
            self._close(port)
            return None
        self._outputs[name] = port
        return port

    def _fetch(self) -> None:
        for (name, _), port in self._open.items():
            while (event := port.get_message()) is not None:
                self._callback(event, name)

    def close(self) -> None:
        """Send on what waits and close all ports."""
        self._obey()
        if self._fetches:
            if self._outputs:
                threading.Event().wait(LAST_CYCLE)
            return  # JACK drops a process's clients when it ends; closing ports races with its audio cycle
        for port in (*self._open.values(), *self._outputs.values(), self._watcher, self._out_watcher):
            self._close(port)

    def _try_open(self, key: Key, index: int) -> None:
        name, _ = key
        port = self._client()
        try:
            # The list may have moved on since it was read: open what has the name now.
            fresh = choose(port.get_ports(), self._patterns).get(key)
            if fresh is None:
                raise self._rtmidi.InvalidPortError("gone again")
            if not self._fetches:
                port.set_callback(self._callback, name)
            port.open_port(index if fresh == index else fresh, name="in")
        except self._rtmidi.RtMidiError:
            # Taken by another program (Windows) or gone again: the next poll tries anew.
            self._close(port)
        else:
            self._open[key] = port

    def _callback(self, event: tuple[list[int], float], name: str) -> None:
        self._send(["midi", self._clock.now(), name, event[0]])

    def _close(self, port: Any) -> None:
        try:
            port.close_port()
            port.delete()
        except self._rtmidi.RtMidiError:
            return
