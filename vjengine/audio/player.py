"""A music file as a live source: played in real time, heard if it can be, timed by what is heard."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Literal

import numpy as np

from vjengine.audio.files import blocks, probe
from vjengine.audio.playback import AHEAD, Playback, SampleRing
from vjengine.audio.source import HOP, Hop, frozen
from vjengine.audio.timing import SampleTimer
from vjengine.core.clock import Clock
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue
from vjengine.errors import UnreadableAudio, VJError

log = logging.getLogger(__name__)

FIRST_SOUND = 1.0
"""s to wait for the card to report its first sample before the session clock sets the pace."""

LATE = 0.25
"""s of lateness (a decoder slower than the music) after which the music is moved instead of hurried."""


class FileSource:
    """Plays a file against the session clock, and through the output device when there is one.

    Without an output device, or after it is lost, the same hops come at the same pace, unheard. A hop is given when
    its last sample is *heard*, output latency included, so that pictures match the ear.

    Args:
        path: music file.
        clock: session clock.
        events: takes ``StatusChanged("audio", …)``.
        hop: samples a hop.
        start: s into the file at which to begin.
        loop: begin again at the file's beginning when it ends.
        output: True for the default output device, a name or a part of one for another, False or None for none.
        sample_rate: Hz of the hops and the output.

    Raises:
        UnreadableAudio: if the file cannot be read.
    """

    def __init__(
        self,
        path: Path | str,
        clock: Clock,
        events: EventQueue,
        hop: int = HOP,
        start: float = 0.0,
        loop: bool = False,
        output: bool | str | None = True,
        sample_rate: int = 48000,
    ) -> None:
        self.info = probe(path)
        self.name = self.info.path.name
        self.sample_rate = sample_rate
        self.channels = 2
        self.skipped = 0
        self._clock = clock
        self._events = events
        self._hop = hop
        self._start = start
        self._loop = loop
        self._ring = SampleRing()
        self._timer = SampleTimer(sample_rate)
        self._playback: Playback | None = None
        if output:
            name = output if isinstance(output, str) else None
            self._playback = Playback(self._ring, self._timer, name, clock, events, sample_rate)
        self._position = 0
        self._end: int | None = None
        self._begun = 0.0
        self._closed = threading.Event()
        self._fed = threading.Event()
        self._failure: UnreadableAudio | None = None
        self._feeder = threading.Thread(target=self._feed, name="vjengine-audio-decoder", daemon=True)

    @property
    def ended(self) -> bool:
        """True once the last hop was given, or after close."""
        return self._closed.is_set() or (self._end is not None and self._position >= self._end)

    @property
    def heard(self) -> bool:
        """True while an output device plays the file."""
        return self._playback is not None and self._playback.alive

    @property
    def position(self) -> float:
        """s of music given so far, from the file's beginning; goes on counting over loops."""
        return self._start + self._position / self.sample_rate

    def start(self) -> None:
        """Begin to play.

        Raises:
            UnreadableAudio: if not even the first samples can be decoded. A missing output device raises nothing: the
                file plays unheard and a StatusChanged says so.
        """
        self._feeder.start()
        self._fed.wait(10.0)
        if self._failure is not None:
            raise self._failure
        if self._playback is not None:
            try:
                self._playback.start()
            except VJError as error:
                self._playback = None
                self._tell("warn", f"the file plays unheard: {error}")
        self._begun = self._clock.now()
        if self._playback is None:
            self._timer.anchor(0, self._begun)

    def read(self, timeout: float) -> Hop | None:
        """Return the next hop once it has been heard, or None after ``timeout`` s or at the end."""
        deadline = self._clock.now() + timeout
        end = self._position + self._hop
        while not self.ended:
            now = self._clock.now()
            if self._playback is not None:
                self._playback.update_timer()
            if not self._timer.anchored and now - self._begun > FIRST_SOUND:
                self._timer.anchor(self._position, now)
            wait = 0.004
            if self._timer.anchored and self._ring.written >= end:
                wait = self._timer.time_of(end) - now
                if wait <= 0.0:
                    return self._take(-wait)
            if now >= deadline or self._closed.wait(min(max(wait, 0.0002), deadline - now)):
                return None
        return None

    def close(self) -> None:
        """Stop."""
        self._closed.set()
        if self._playback is not None:
            self._playback.close()
        if self._feeder.is_alive():
            self._feeder.join(0.5)

    def _take(self, late: float) -> Hop:
        if self._position < self._ring.oldest:  # nobody read for over a second: go where the music is
            behind = self._ring.oldest - self._position
            self.skipped += -(-behind // self._hop)
            self._position += -(-behind // self._hop) * self._hop
        elif late > LATE and not self.heard:
            self._timer.anchor(self._position + self._hop, self._clock.now())
        samples = np.empty((self._hop, 2), dtype=np.float32)
        self._ring.copy_to(samples, self._position)
        self._position += self._hop
        return Hop(frozen(samples), self._timer.stamp(self._position), self._position // self._hop - 1)

    def _feed(self) -> None:
        """Decode, half a second ahead of whoever is furthest; runs on its own thread."""
        start = self._start
        try:
            while not self._closed.is_set():
                for block in blocks(self.info.path, self._hop, self.sample_rate, start):
                    self._await_room()
                    if self._closed.is_set():
                        return
                    self._ring.write(block)
                    if self._ring.written >= self.sample_rate // 10:
                        self._fed.set()
                if not self._loop:
                    break
                start = 0.0
        except UnreadableAudio as error:
            if not self._fed.is_set():
                self._failure = error
            else:
                self._tell("error", str(error))
        self._end = self._ring.written
        if self._playback is not None:
            self._playback.finish(self._end)
        self._fed.set()

    def _await_room(self) -> None:
        ahead = int(AHEAD * self.sample_rate)
        while not self._closed.is_set():
            playback = self._playback
            taken = max(self._position, playback.position if playback is not None and playback.alive else 0)
            if self._ring.written - taken < ahead:
                return
            self._closed.wait(0.02)

    def _tell(self, level: Literal["warn", "error"], message: str) -> None:
        log.warning("%s", message)
        now = self._clock.now()
        self._events.put(StatusChanged(time=now, source="audio", component="audio", level=level, message=message))
