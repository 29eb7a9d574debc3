"""OSC in: a socket on a thread of its own, strict decoding, and events for the addresses of the table.

Anybody who reaches the port can send anything, so size, rate, waiting time and text are bounded, and nothing that
arrives raises. By default only this machine reaches it: listen on ``0.0.0.0`` for tablets and other computers.
"""

from __future__ import annotations

import heapq
import logging
import socket
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from vjengine.core.clock import Clock
from vjengine.core.control import ControlState
from vjengine.core.events import Event, PromptSubmitted
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.macros import MacroDef
from vjengine.core.osc_packet import (
    IMMEDIATELY,
    MAX_PACKET,
    MalformedPacket,
    OscMessage,
    decode_packet,
    unix_time,
)
from vjengine.core.osc_subscribers import Subscribers
from vjengine.core.osc_tree import osc_tree
from vjengine.errors import InputError
from vjengine.inputs.osc_addresses import OscRow, WrongArguments, osc_address_map
from vjengine.inputs.osc_desk import Desk, Refused, Sender
from vjengine.inputs.osc_gate import Bucket, SenderBuckets, open_udp
from vjengine.inputs.osc_words import Words

log = logging.getLogger(__name__)

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 9000
MESSAGE_RATE = 20_000.0
"""Messages a second (and at once) that are read; more are dropped and counted."""
SENDER_RATE = 15_000.0
"""The same of one sender (a host and port), so that one that floods leaves room for the performer's."""
PROMPT_RATE = 5.0
"""Prompts a second (and at once)."""
ANSWER_RATE = 500.0
"""Answers a second (and at once)."""
MAX_WAITING = 1024
"""Most messages waiting for a future time tag."""
MAX_AHEAD = 10.0
"""Furthest future time tag, s."""
REOPEN_AFTER = 1.0
_TICK = 0.1


class OscInput:
    """Listens for OSC on one UDP port.

    Args:
        host: address to listen on; ``127.0.0.1`` is this machine only, ``0.0.0.0`` every network.
        port: UDP port; 0 takes any free one.
        macros: macros of the show; the address table is made of them.
        clock: session clock; events carry the time their message was read or its time tag fell due.
        events: where the events go.
        looks: looks that ``/look`` accepts; empty accepts any name.
        control: where questions (``ADDRESS ?``) read their answer; without it nothing is answered.
        subscribers: the list that ``/subscribe`` writes and the feed reads; without it nobody can subscribe.
        allow: IP addresses that are answered and may subscribe, beside this machine.

    Attributes:
        received: well-formed messages of known addresses, counted.
        malformed: packets that are no OSC and messages with wrong arguments.
        unknown: messages to addresses that are not in the table.
        dropped: packets and messages over the limits of size, rate or waiting.
        answered: questions and subscriptions that got an answer.
        refused: questions and subscriptions of those who are not allowed.
    """

    def __init__(
        self,
        host: str,
        port: int,
        macros: Mapping[str, MacroDef],
        clock: Clock,
        events: EventQueue,
        *,
        looks: Sequence[str] = (),
        control: Latest[ControlState] | None = None,
        subscribers: Subscribers | None = None,
        allow: Sequence[str] = (),
    ) -> None:
        self._address = (host, port)
        self._clock = clock
        self._events = events
        self._rows: dict[str, OscRow] = {row.address.lower(): row for row in osc_address_map(macros, looks)}
        self._desk = Desk(osc_tree(macros, looks), control, subscribers, allow)
        self._stop = threading.Event()
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._waiting: list[tuple[float, int, Event]] = []
        self._serial = 0
        self._messages = Bucket(MESSAGE_RATE, clock.now())
        self._senders = SenderBuckets(SENDER_RATE)
        self._prompts = Bucket(PROMPT_RATE, clock.now())
        self._answers = Bucket(ANSWER_RATE, clock.now())
        self._words = Words(clock, events, self._listening, self._counts)
        self.received = 0
        self.malformed = 0
        self.unknown = 0
        self.dropped = 0
        self.answered = 0
        self.refused = 0

    @property
    def address(self) -> tuple[str, int]:
        """Host and port listened on; the real port once started with port 0."""
        return self._address

    def start(self) -> None:
        """Open the port and listen.

        Raises:
            InputError: the port cannot be opened.
        """
        if self._thread is not None:
            return
        self._socket = open_udp(*self._address)
        self._address = (self._address[0], self._socket.getsockname()[1])
        self._desk.own_port = self._address[1]
        # Said before anything is heard: the newest word counts, and the thread's may be a warning.
        self._words.say("ok", self._listening())
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="osc-in", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """Stop listening and close the port."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)
            self._thread = None
            if self.malformed or self.unknown or self.dropped:
                log.info("OSC in: %s", self._counts())

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._turn()
        except Exception:  # the thread's outermost guard: a bug here must not pass unseen
            log.exception("OSC in has stopped")
            self._words.say("error", "stopped by a bug; see the log")
        finally:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _turn(self) -> None:
        """Wait for one packet or one due message, whichever is first."""
        sock = self._socket
        if sock is None:
            self._reopen()
            return
        wait = _TICK
        if self._waiting:
            wait = self._run_due(self._clock.now())
        if sock.gettimeout() != wait:
            sock.settimeout(wait)
        try:
            data, sender = sock.recvfrom(MAX_PACKET + 1)
        except (TimeoutError, BlockingIOError):
            self._words.report(self._clock.now())
            return
        except OSError as error:
            self._broken(error)
            return
        self._packet(data, sender, self._clock.now())

    def _packet(self, data: bytes, sender: Sender, now: float) -> None:
        if len(data) > MAX_PACKET:
            self.dropped += 1
            self._words.fault("large", f"a packet of over {MAX_PACKET} bytes was dropped", now)
        elif not self._senders.take(sender, now) or not self._messages.take(now):
            self.dropped += 1
            self._words.fault(
                "rate", f"over {SENDER_RATE:g} messages a second (of all: {MESSAGE_RATE:g}); the rest is dropped", now
            )
        else:
            try:
                messages = decode_packet(data)
            except MalformedPacket as error:
                self.malformed += 1
                self._words.fault("malformed", f"a packet is not OSC: {error}", now)
                return
            self._senders.take(sender, now, len(messages) - 1)
            self._messages.take(now, len(messages) - 1)
            for message in messages:
                if self._desk.concerns(message):
                    self._ask(message, sender, now)
                else:
                    self._message(message, now)

    def _ask(self, message: OscMessage, sender: Sender, now: float) -> None:
        """Deal with a question or a subscription; the answer goes to where it came from."""
        if not self._answers.take(now):
            self.dropped += 1
            self._words.fault("answers", f"over {ANSWER_RATE:g} questions a second; the rest is dropped", now)
            return
        try:
            answer = self._desk.answer(message, sender, now)
        except Refused as refusal:
            self.refused += 1
            self._words.fault("refused", str(refusal), now)
            return
        except WrongArguments as error:
            self.malformed += 1
            self._words.fault("arguments", f"{message.address[:80]} takes {error}", now)
            return
        self.received += 1
        if answer is None or self._socket is None:
            return
        self.answered += 1
        try:
            self._socket.sendto(answer, sender)
        except OSError as error:
            # Whoever asked has gone, or sent from a port that cannot be answered.
            self._words.fault("answer", f"an answer could not be sent: {error}", now)

    def _message(self, message: OscMessage, now: float) -> None:
        row = self._rows.get(message.address.lower())
        if row is None:
            self.unknown += 1
            self._words.fault("unknown", f"no such address: {message.address[:80]}", now)
            return
        due = now
        if message.timetag > IMMEDIATELY:
            # Time tags are wall time, the one thing of theirs that the session clock does not know.
            due = now + max(0.0, unix_time(message.timetag) - datetime.now(UTC).timestamp())
        try:
            event = row.make(message.arguments, due)
        except WrongArguments as error:
            self.malformed += 1
            self._words.fault("arguments", f"{row.address} takes {error}", now)
            return
        self.received += 1
        if event is None:
            return
        if isinstance(event, PromptSubmitted) and not self._prompts.take(now):
            self.dropped += 1
            self._words.fault("prompts", f"over {PROMPT_RATE:g} prompts a second; the rest is dropped", now)
        elif due <= now:
            self._events.put(event)
        elif due - now > MAX_AHEAD or len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            self._words.fault("ahead", f"a time tag over {MAX_AHEAD:g} s ahead, or too many waiting", now)
        else:
            self._serial += 1
            heapq.heappush(self._waiting, (due, self._serial, event))

    def _run_due(self, now: float) -> float:
        """Put the events that are due; return s until the next one, at most a tick."""
        while self._waiting and self._waiting[0][0] <= now:
            self._events.put(heapq.heappop(self._waiting)[2])
        return min(_TICK, self._waiting[0][0] - now) if self._waiting else _TICK

    def _broken(self, error: OSError) -> None:
        """Deal with a failed read. Windows reports over-long packets and other people's closed ports this way."""
        if isinstance(error, ConnectionResetError):
            return
        if getattr(error, "winerror", None) == 10040:  # WSAEMSGSIZE
            self._packet(bytes(MAX_PACKET + 1), ("", 0), self._clock.now())
            return
        if self._stop.is_set():
            return
        self._words.say("warn", f"the socket failed ({error}); opening it again")
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _reopen(self) -> None:
        if self._stop.wait(REOPEN_AFTER):
            return
        try:
            self._socket = open_udp(*self._address)
        except InputError as error:
            self._words.fault("reopen", str(error), self._clock.now())
            self._words.report(self._clock.now())
        else:
            self._words.say("ok", self._listening())

    # ------------------------------------------------------------ words about it

    def _listening(self) -> str:
        return f"listening on {self._address[0]}:{self._address[1]}"

    def _counts(self) -> str:
        refused = f", {self.refused} refused" if self.refused else ""
        return f"{self.malformed} malformed, {self.unknown} unknown, {self.dropped} dropped{refused}"
