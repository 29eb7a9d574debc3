"""Keeps one audio stream alive: opens it, watches it, lets go of it when it dies, and finds it again by name.

PortAudio gives three kinds of death: a stream that says it finished, a stream that goes quiet while it claims to be
active, and a stream whose ``close()`` never returns. Each is met on a thread of our own, never on the analysis thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from vjengine.audio.devices import STREAMS, leave_streams_to_the_system, portaudio, refresh_devices
from vjengine.core.clock import Clock
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue
from vjengine.errors import AudioError, VJError

log = logging.getLogger(__name__)

QUIET = 0.35
"""s without a callback after which a stream counts as frozen."""

FIRST_QUIET = 2.0
"""s a fresh stream may take to its first callback (Bluetooth does)."""

GIVE_UP = 2.0
"""s a frozen stream may take to come back by itself before it is closed and looked for anew."""

BACKOFF = (0.25, 0.5, 1.0, 2.0)
"""s between attempts to open; the last one repeats."""


class OpenStream(Protocol):
    """Opens and starts a stream; calls ``finished`` when the driver says it has ended."""

    def __call__(self, finished: Callable[[], None]) -> Any:
        """Return the started sounddevice stream."""
        ...


class StreamKeeper:
    """Supervises one stream on a daemon thread.

    Args:
        label: what the stream is, for messages: ``"audio input 'Scarlett'"``.
        open_stream: opens and starts the stream; may raise VJError or PortAudio's errors.
        clock: session clock.
        events: where ``StatusChanged("audio", …)`` goes.
        remark: what a loss means to the show, for the message.
    """

    def __init__(
        self, label: str, open_stream: OpenStream, clock: Clock, events: EventQueue, remark: str = "waiting for it"
    ) -> None:
        self._label = label
        self._open_stream = open_stream
        self._clock = clock
        self._events = events
        self._remark = remark
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._tried = threading.Event()
        self._first_error: Exception | None = None
        self._generation = 0
        self._finished = -1
        self._stream: Any = None
        self._opened_at = 0.0
        self._beat_at = -1.0
        self._well = False
        self._lost = False
        self._hanging: list[threading.Thread] = []
        self.losses = 0
        self._thread = threading.Thread(target=self._run, name="vjengine-audio-device", daemon=True)

    @property
    def alive(self) -> bool:
        """True while a stream is open and its callbacks come."""
        return self._well

    def beat(self, now: float) -> None:
        """Called by the stream's callback at session time ``now`` (s)."""
        self._beat_at = now

    def start(self, patience: float = 5.0) -> None:
        """Open the stream; return once it runs.

        Raises:
            AudioError: if it cannot be opened, or the audio system does not answer within ``patience`` s.
        """
        self._thread.start()
        if not self._tried.wait(patience):
            self._stop.set()
            self._wake.set()
            leave_streams_to_the_system()
            raise AudioError(f"{self._label}: the audio system does not answer; restart the sound server")
        if self._first_error is not None:
            self._thread.join(1.0)
            if isinstance(self._first_error, VJError):
                raise self._first_error
            raise AudioError(f"{self._label} cannot be opened: {self._first_error}") from self._first_error

    def close(self, timeout: float = 0.5) -> None:
        """Close the stream, or leave it behind if the driver hangs for more than ``timeout`` s."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        if self._thread.is_alive() or any(thread.is_alive() for thread in self._hanging):
            leave_streams_to_the_system()

    def wait(self, timeout: float) -> None:
        """Wait ``timeout`` s, or until closed."""
        self._stop.wait(timeout)

    def _run(self) -> None:
        failure = (AudioError, portaudio().PortAudioError, ValueError, OSError)
        attempt = 0
        while not self._stop.is_set():
            if self._stream is not None:
                self._watch()
                continue
            try:
                self._open(fresh=self._tried.is_set())
                attempt = 0
            except failure as error:
                log.debug("%s: attempt %d: %s", self._label, attempt, error)
                if not self._tried.is_set():
                    self._first_error = error
                    self._tried.set()
                    return
                self._stop.wait(BACKOFF[min(attempt, len(BACKOFF) - 1)])
                attempt += 1
        self._let_go(wait=0.3)

    def _open(self, fresh: bool) -> None:
        self._hanging = [thread for thread in self._hanging if thread.is_alive()]
        if fresh:
            refresh_devices()
        self._generation += 1
        generation = self._generation

        def finished() -> None:
            self._finished = generation
            self._wake.set()

        self._beat_at = -1.0
        stream = self._open_stream(finished)
        STREAMS.opened()
        self._stream = stream
        self._opened_at = self._clock.now()
        self._wake.clear()
        self._well = True
        if self._tried.is_set():
            return  # the word "ok" waits for the first callback
        self._tried.set()

    def _watch(self) -> None:
        """Look at the open stream once; sleeps up to 0.1 s."""
        self._wake.wait(0.1)
        if self._stop.is_set():
            return
        self._wake.clear()
        now = self._clock.now()
        ended = self._finished == self._generation
        begun = self._beat_at >= 0.0
        quiet = now - (self._beat_at if begun else self._opened_at)
        if not ended and quiet <= (QUIET if begun else FIRST_QUIET):
            self._well = True
            if begun and self._lost:
                self._returned(now)
            return
        self._well = False
        if not self._lost:
            self._report_loss(now, "has gone" if ended else "is frozen")
        if ended or quiet > GIVE_UP:
            self._let_go()

    def _report_loss(self, now: float, how: str) -> None:
        self._lost = True
        self.losses += 1
        message = f"{self._label} {how}; {self._remark}"
        log.warning("%s", message)
        self._events.put(StatusChanged(time=now, source="audio", component="audio", level="warn", message=message))

    def _returned(self, now: float) -> None:
        self._lost = False
        message = f"{self._label} is back"
        log.info("%s", message)
        self._events.put(StatusChanged(time=now, source="audio", component="audio", level="ok", message=message))

    def _let_go(self, wait: float = 1.0) -> None:
        """Close the stream on a thread that may be abandoned."""
        stream, self._stream = self._stream, None
        self._well = False
        if stream is None:
            return
        failure = portaudio().PortAudioError

        def close() -> None:
            try:
                stream.close(ignore_errors=True)
            except failure as error:
                log.debug("closing %s: %s", self._label, error)
            STREAMS.closed()

        thread = threading.Thread(target=close, name="vjengine-audio-close", daemon=True)
        thread.start()
        thread.join(wait)
        if thread.is_alive():
            self._hanging.append(thread)
