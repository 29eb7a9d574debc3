"""From sample counts to session time: smooth, monotonic, and true to the device's own clock.

Sound cards count samples evenly but tell of them in bursts. A second-order loop follows the reported times slowly, so
a hop's timestamp carries the card's rate and not the scheduler's mood.
"""

from __future__ import annotations

import statistics
from collections import deque

import numpy as np

SETTLE = 8
"""Observations whose median anchors the loop: the first callback of a stream is often off by 10 ms or more."""

TIME_CONSTANT = 1.0
"""s in which the loop follows a shift of the reported times."""

JUMP = 0.05
"""s of disagreement that is a real discontinuity (samples lost, machine suspended) once :data:`JUMP_RUN` agree."""

JUMP_RUN = 4

MAX_DRIFT = 2e-3
"""Largest believed deviation of a card's sample rate; crystals stay within 1e-4."""


class SampleTimer:
    """A phase-locked map from sample counts to session seconds.

    One thread calls :meth:`observe`; others may read :meth:`time_of` and :meth:`count_at`, which use one consistent
    snapshot.
    """

    def __init__(self, sample_rate: float) -> None:
        self._nominal = 1.0 / sample_rate
        self._state: tuple[float, float, float] | None = None
        self._first: list[float] = []
        self._stray: deque[tuple[float, float]] = deque(maxlen=JUMP_RUN)
        self._last = -1e9
        self.jumps = 0

    @property
    def anchored(self) -> bool:
        """True once a first time is known."""
        return self._state is not None

    def anchor(self, count: float, time: float) -> None:
        """Set sample ``count`` to session time ``time`` (s) outright."""
        period = self._state[2] if self._state else self._nominal
        self._state = (float(count), time, period)
        self._stray.clear()

    def observe(self, count: float, time: float) -> None:
        """Take in that sample ``count`` was reported for session time ``time`` (s)."""
        if len(self._first) < SETTLE or self._state is None:
            self._first.append(time - count * self._nominal)
            start = statistics.median(self._first)
            self._state = (float(count), start + count * self._nominal, self._nominal)
            return
        at, base, period = self._state
        error = time - (base + (count - at) * period)
        if abs(error) > JUMP:
            self._stray.append((count, time))
            if len(self._stray) == JUMP_RUN:
                self.jumps += 1
                shift = statistics.median(t - (base + (c - at) * period) for c, t in self._stray)
                self.anchor(count, base + (count - at) * period + shift)
            return
        self._stray.clear()
        gain = min(0.5, 2.0 * max(count - at, 0.0) * self._nominal / TIME_CONSTANT)
        drift = period + 0.25 * gain * gain * error / max(count - at, 1.0)
        drift = min(max(drift, self._nominal * (1 - MAX_DRIFT)), self._nominal * (1 + MAX_DRIFT))
        self._state = (float(count), base + (count - at) * period + gain * error, drift)

    def time_of(self, count: float) -> float:
        """Return the session time (s) of sample ``count``; 0 before anything was observed."""
        if self._state is None:
            return 0.0
        at, base, period = self._state
        return base + (count - at) * period

    def count_at(self, time: float) -> float:
        """Return the sample count at session time ``time`` (s); the inverse of :meth:`time_of`."""
        if self._state is None:
            return 0.0
        at, base, period = self._state
        return at + (time - base) / period

    def stamp(self, count: float) -> float:
        """Return :meth:`time_of` ``count``, held so that successive stamps always rise."""
        self._last = max(self.time_of(count), self._last + 1e-6)
        return self._last


class DeviceClock:
    """Maps PortAudio's stream time to session time.

    Both run at the same pace but start elsewhere, and a reading of the pair is late by however long the callback
    waited for the interpreter; the smallest difference of late readings is the true one.
    """

    def __init__(self, window: int = 256) -> None:
        self._offsets = np.full(window, np.inf)
        self._index = 0

    def to_session(self, stream_time: float, current: float, now: float) -> float | None:
        """Return the session time (s) of ``stream_time``.

        Args:
            stream_time: the buffer's ADC or DAC time on the stream's clock, s.
            current: the stream's clock when the callback was called, s.
            now: session time read in the callback, s.

        Returns:
            None if the driver does not fill these in, as some do.
        """
        if stream_time <= 0.0 or current <= 0.0 or abs(stream_time - current) > 2.0:
            return None
        offset = now - current
        least = float(self._offsets.min())
        if abs(offset - least) > 1.0:
            self._offsets.fill(np.inf)  # the stream's clock was set: PortAudio uses wall time on some systems
            least = offset
        self._offsets[self._index] = offset
        self._index = (self._index + 1) % len(self._offsets)
        return stream_time + min(least, offset)
