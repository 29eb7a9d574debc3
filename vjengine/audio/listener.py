"""The analysis thread: hops in, features out, whatever the source or the analyser does."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from vjengine.audio.source import AudioSource, Hop
from vjengine.core.clock import Clock
from vjengine.core.events import StatusChanged, TempoEvent
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.metrics import Ring
from vjengine.core.signals import AudioFeatures, Bands

log = logging.getLogger(__name__)

TICK = 0.05
"""s the thread waits for a hop before it looks around."""

GAP = 0.3
"""s without a hop after which readers are shown silence."""

BEAT_KEPT = 2.0
"""s without a hop for which the beat clock is trusted to run on."""

FADE = 0.15
"""s in which levels fall to a third when the sound breaks off."""

CALM = 1.0
"""s without an error after which a faulty part counts as well again."""


class Analyser(Protocol):
    """Turns hops into features; pure of I/O."""

    def process(self, block: npt.NDArray[np.float32], time: float) -> AudioFeatures:
        """Analyse one mono hop whose last sample sounded at session time ``time`` (s)."""
        ...

    def apply(self, event: TempoEvent) -> None:
        """Take in a correction of the beat clock by the performer."""
        ...


class _Fault:
    """A part that may fail on every hop: said once in full, then counted."""

    def __init__(self, component: str, what: str, clock: Clock, events: EventQueue) -> None:
        self._component = component
        self._what = what
        self._clock = clock
        self._events = events
        self._last = -1.0
        self._ill = False
        self.count = 0

    def struck(self, error: Exception) -> None:
        self.count += 1
        self._last = self._clock.now()
        if self._ill:
            return
        self._ill = True
        log.error("%s failed; going on without it", self._what, exc_info=error)
        self._tell("error", f"{self._what} failed: {error!r}")

    def passed(self) -> None:
        if self._ill and self._clock.now() - self._last > CALM:
            self._ill = False
            self._tell("ok", f"{self._what} works again after {self.count} errors")

    def _tell(self, level: Literal["ok", "error"], message: str) -> None:
        self._events.put(
            StatusChanged(
                time=self._clock.now(), source="audio", component=self._component, level=level, message=message
            )
        )


class Listener:
    """Runs a source through an analyser on a thread of its own.

    Args:
        source: where hops come from; started and closed by the listener.
        analyser: used on the listener's thread only.
        clock: session clock.
        features: published here after every hop.
        commands: TempoEvents for the analyser; others are ignored and counted.
        events: takes StatusChanged.
        tap: called with every hop on the listener's thread, before analysis (the recorder's ear).
    """

    def __init__(
        self,
        source: AudioSource,
        analyser: Analyser,
        clock: Clock,
        features: Latest[AudioFeatures],
        commands: EventQueue,
        events: EventQueue,
        tap: Callable[[Hop], None] | None = None,
    ) -> None:
        self.source = source
        self.processing_ms = Ring()
        self.hops = 0
        self.ignored = 0
        self.heartbeat = 0.0
        self._analyser = analyser
        self._clock = clock
        self._features = features
        self._commands = commands
        self._tap = tap
        self._analysis = _Fault("analysis", "the audio analysis", clock, events)
        self._tapping = _Fault("recorder", "recording of the sound", clock, events)
        self._stop = threading.Event()
        self._heard_at = 0.0
        self._faded_at = 0.0
        self._thread = threading.Thread(target=self._run, name="vjengine-listener", daemon=True)

    @property
    def errors(self) -> int:
        """Exceptions met so far, of analyser and tap."""
        return self._analysis.count + self._tapping.count

    @property
    def alive(self) -> bool:
        """True while the thread runs; it ends only by :meth:`stop`."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the source, then the thread.

        Raises:
            AudioError: if the source cannot start.
        """
        self.source.start()
        self._heard_at = self._faded_at = self.heartbeat = self._clock.now()
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> bool:
        """Stop the thread and close the source; return False if the thread hangs after ``timeout`` s."""
        self._stop.set()
        self.source.close()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._step()
            except Exception as error:  # noqa: BLE001 - the thread's outermost guard: the show goes on deaf
                self._analysis.struck(error)
                self._stop.wait(TICK)

    def _step(self) -> None:
        hop = self.source.read(TICK)
        now = self._clock.now()
        self.heartbeat = now
        for event in self._commands.drain():
            if isinstance(event, TempoEvent):
                self._analyser.apply(event)
            else:
                self.ignored += 1
        if hop is None:
            if self.source.ended:
                self._stop.wait(TICK)  # an ended source returns at once
            if now - self._heard_at > GAP:
                self._fade(now)
            return
        self._heard_at = self._faded_at = now
        self.hops += 1
        self._feed_tap(hop)
        begun = self._clock.now()
        features = self._analyser.process(mono(hop.samples), hop.time)
        self.processing_ms.add((self._clock.now() - begun) * 1e3)
        self._features.publish(features)
        self._analysis.passed()

    def _feed_tap(self, hop: Hop) -> None:
        if self._tap is None:
            return
        try:
            self._tap(hop)
        except Exception as error:  # noqa: BLE001 - a stranger's function; the analysis does not depend on it
            self._tapping.struck(error)
        else:
            self._tapping.passed()

    def _fade(self, now: float) -> None:
        """Publish the last features on their way to silence, so that nothing fires and nothing freezes."""
        last = self._features.read()
        left = math.exp(-(now - self._faded_at) / FADE)
        self._faded_at = now
        beat = last.beat
        if now - self._heard_at > BEAT_KEPT and beat.running:
            beat = replace(beat, running=False, confidence=0.0)
        self._features.publish(
            replace(
                last,
                time=now,
                rms=last.rms * left,
                peak=last.peak * left,
                raw_rms=last.raw_rms * left,
                bands=_scaled(last.bands, left),
                bands_slow=_scaled(last.bands_slow, left),
                hits=_scaled(last.hits, left),
                flux=0.0,
                onset_strength=0.0,
                silent=True,
                beat=beat,
            )
        )


def mono(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return ``(n,)`` float32, the mean of the channels of ``(n, channels)``, contiguous."""
    if samples.shape[1] == 1:
        return np.ascontiguousarray(samples[:, 0])
    mixed: npt.NDArray[np.float32] = (samples[:, 0] + samples[:, 1]) * np.float32(0.5)
    return mixed


def _scaled(bands: Bands, factor: float) -> Bands:
    sub, bass, lowmid, mid, high, air = bands
    return (sub * factor, bass * factor, lowmid * factor, mid * factor, high * factor, air * factor)
