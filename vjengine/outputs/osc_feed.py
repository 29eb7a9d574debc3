"""The OSC feed: what the engine hears and does, 60 times a second, for TouchDesigner and whoever else listens.

Receivers are fixed, or subscribe and keep renewing their lease; those get the feed, or faders as they move.

Sending never blocks and never fails a show: nobody listening, a pulled cable or a full buffer costs packets only.
Names are looked up once at the start, never while running.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Sequence
from typing import Any, Literal

from vjengine.core.clock import Clock
from vjengine.core.control import ControlState
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.osc_subscribers import Subscriber, Subscribers
from vjengine.errors import InputError
from vjengine.outputs.osc_fader_writer import FaderWriter
from vjengine.outputs.osc_feed_writer import FeedWriter, TextWriter

log = logging.getLogger(__name__)

Address = tuple[str, int]
DEFAULT_TARGET: Address = ("127.0.0.1", 7000)
"""TouchDesigner's own default port."""
LATE = 0.25
"""Ticks later than this (s) are left out instead of made up for."""


class _Target:
    """One receiver and whether it can be reached."""

    def __init__(self, name: str, family: int, address: Any) -> None:
        self.name = name
        self.family = family
        self.address = address
        self.failing = False


def resolve(host: str, port: int) -> _Target:
    """Return the target ``host:port``. Raises InputError if the name cannot be resolved."""
    try:
        if not 0 < port < 65536:
            raise OSError("ports are 1 to 65535")
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f"OSC out: cannot send to {host}:{port} ({error}); use an IP address like 127.0.0.1") from None
    return _Target(f"{host}:{port}", family, address)


def _guest(host: str, port: int) -> _Target:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return _Target(f"{host}:{port}", family, (host, port))


class OscFeed:
    """Sends the feed to any number of receivers.

    Args:
        targets: ``(host, port)`` of the receivers of numbers.
        control: where the control state is read.
        clock: session clock; sets the pace.
        events: where status goes.
        rate: ticks a second, 1–240.
        text_port_offset: texts go to each target's port plus this; ignored with ``text_targets``.
        text_targets: receivers of texts; empty for none.
        subscribers: who asked for feedback while running.

    Attributes:
        sent: datagrams handed to the network; ``failed``: those it refused; ``ticks``: ticks so far.
    """

    def __init__(
        self,
        targets: Sequence[Address],
        control: Latest[ControlState],
        clock: Clock,
        events: EventQueue,
        *,
        rate: float = 60.0,
        text_port_offset: int = 1,
        text_targets: Sequence[Address] | None = None,
        subscribers: Subscribers | None = None,
    ) -> None:
        if not 1.0 <= rate <= 240.0:
            raise ValueError(f"the rate must be 1 to 240 ticks a second, not {rate}")
        self._addresses = list(targets)
        if text_targets is None:
            text_targets = [(host, port + text_port_offset) for host, port in targets]
        self._text_addresses = list(text_targets)
        self._control = control
        self._clock = clock
        self._events = events
        self._rate = rate
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._targets: list[_Target] = []
        self._text_targets: list[_Target] = []
        self._sockets: dict[int, socket.socket] = {}
        self._writer = FeedWriter()
        self._texts = TextWriter()
        self._faders = FaderWriter()
        self._offset = text_port_offset
        self._subscribers = subscribers or Subscribers()
        self._seen = -1
        self._feed_guests: list[_Target] = []
        self._text_guests: list[_Target] = []
        self._fader_guests: list[_Target] = []
        self.sent = 0
        self.failed = 0
        self.ticks = 0

    def start(self) -> None:
        """Look the receivers up and start sending.

        Raises:
            InputError: a receiver's name cannot be resolved, or texts would go to a port of numbers.
        """
        if self._thread is not None:
            return
        clash = set(self._addresses) & set(self._text_addresses)
        if clash:
            host, port = min(clash)
            raise InputError(
                f"OSC out: {host}:{port} would get numbers and, as the port after another target's, texts. "
                f"Leave a free port after each target"
            )
        self._targets = [resolve(*address) for address in self._addresses]
        self._text_targets = [resolve(*address) for address in self._text_addresses]
        for family in {target.family for target in (*self._targets, *self._text_targets)}:
            self._open(family)
        names = ", ".join(target.name for target in self._targets)
        # Said before anything is sent: the newest word of a component counts, and the thread's may be a warning.
        self._say("ok", f"sending to {names}" if names else "waiting for subscribers")
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="osc-out", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """Stop sending and close the sockets."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)
            self._thread = None

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            due = self._clock.now()
            while not self._stop.wait(max(0.0, due - self._clock.now())):
                self._tick(self._clock.now())
                due += 1.0 / self._rate
                if due < self._clock.now() - LATE:
                    due = self._clock.now()
        except Exception:  # the thread's outermost guard: a bug here must not pass unseen
            log.exception("OSC out has stopped")
            self._say("error", "stopped by a bug; see the log")
        finally:
            for sock in self._sockets.values():
                sock.close()
            self._sockets.clear()

    def _tick(self, now: float) -> None:
        state = self._control.read()
        self._welcome(self._subscribers.present(now))
        if self._targets or self._feed_guests:
            for packet in self._writer.write(state, now):
                self._send(self._targets, packet)
                self._send(self._feed_guests, packet)
        if self._text_targets or self._text_guests:
            for packet in self._texts.write(state, now):
                self._send(self._text_targets, packet)
                self._send(self._text_guests, packet)
        if self._fader_guests:
            for packet in self._faders.write(state, now):
                self._send(self._fader_guests, packet)
        self.ticks += 1

    def _welcome(self, guests: Sequence[Subscriber]) -> None:
        """Follow who came and went. Their hosts are IP addresses: nothing is looked up."""
        if self._subscribers.version == self._seen:
            return
        self._seen = self._subscribers.version
        taken = {*self._addresses, *self._text_addresses}
        feed = [guest for guest in guests if guest.wanted == "feed" and (guest.host, guest.port) not in taken]
        self._feed_guests = [_guest(guest.host, guest.port) for guest in feed]
        self._text_guests = [
            _guest(one.host, one.port + self._offset) for one in feed if one.port + self._offset < 65536
        ]
        self._fader_guests = [_guest(guest.host, guest.port) for guest in guests if guest.wanted == "faders"]
        for guest in (*self._feed_guests, *self._fader_guests):
            if guest.family not in self._sockets:
                self._open(guest.family)
        self._faders.forget()

    def _open(self, family: int) -> None:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._sockets[family] = sock

    def _send(self, targets: Sequence[_Target], packet: bytes) -> None:
        for target in targets:
            try:
                self._sockets[target.family].sendto(packet, target.address)
            except OSError as error:
                self.failed += 1
                # A full buffer or a closed port at the other end passes; a missing network is worth a word.
                if not target.failing and not isinstance(error, BlockingIOError | ConnectionError):
                    target.failing = True
                    log.warning("OSC to %s fails: %s (counting from here on)", target.name, error)
                    self._say("warn", f"{target.name} cannot be reached: {error}")
            else:
                self.sent += 1
                if target.failing:
                    target.failing = False
                    self._say("ok", f"{target.name} can be reached again")

    def _say(self, level: Literal["ok", "warn", "error"], message: str) -> None:
        self._events.put(
            StatusChanged(time=self._clock.now(), source="osc", component="osc out", level=level, message=message)
        )
