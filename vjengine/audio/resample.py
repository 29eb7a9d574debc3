"""Re-cutting a stream of samples into hops, and changing its rate."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from vjengine.audio.source import Samples, frozen


class HopBuffer:
    """Takes pieces of any length and gives hops of one length.

    Args:
        hop: samples a hop.
    """

    def __init__(self, hop: int) -> None:
        self._hop = hop
        self._pieces: deque[Samples] = deque()
        self._offset = 0
        self.waiting = 0

    def push(self, piece: Samples) -> None:
        """Add samples ``(n, channels)`` float32."""
        if len(piece):
            self._pieces.append(piece)
            self.waiting += len(piece)

    def pop(self) -> Samples | None:
        """Return ``(hop, channels)`` samples, or None while there are too few."""
        return self._gather(self._hop) if self.waiting >= self._hop else None

    def rest(self) -> Samples | None:
        """Return what is left as one hop, filled up with zeros, or None if nothing is left."""
        if not self.waiting:
            return None
        left = self._gather(self.waiting)
        return np.concatenate([left, np.zeros((self._hop - len(left), left.shape[1]), dtype=np.float32)])

    def _gather(self, count: int) -> Samples:
        self.waiting -= count
        parts: list[Samples] = []
        while count:
            piece = self._pieces[0]
            part = piece[self._offset : self._offset + count]
            parts.append(part)
            count -= len(part)
            self._offset += len(part)
            if self._offset == len(piece):
                self._pieces.popleft()
                self._offset = 0
        return np.concatenate(parts)


class HopResampler:
    """Turns timed hops of one rate into timed hops of another.

    A device that comes back at another rate (a Mac's interface after a call, say) keeps feeding an analyser that was
    built for the first.
    """

    def __init__(self, rate_in: int, rate_out: int, hop: int, channels: int) -> None:
        from av.audio.resampler import AudioResampler

        self._layout = "mono" if channels == 1 else "stereo"
        self._channels = channels
        self._rate_in = rate_in
        self._rate_out = rate_out
        self._resampler: Any = AudioResampler(format="flt", layout=self._layout, rate=rate_out)
        self._buffer = HopBuffer(hop)
        self._time = 0.0

    def give(self, samples: Samples, time: float) -> None:
        """Take in ``(n, channels)`` samples whose last one sounded at session time ``time`` (s)."""
        from av.audio.frame import AudioFrame

        packed = np.ascontiguousarray(samples, dtype=np.float32).reshape(1, -1)
        frame = AudioFrame.from_ndarray(packed, format="flt", layout=self._layout)
        frame.sample_rate = self._rate_in
        for out in self._resampler.resample(frame):
            self._buffer.push(out.to_ndarray().reshape(-1, self._channels))
        self._time = time

    def take(self) -> tuple[Samples, float] | None:
        """Return ``(samples, time of the last one)`` or None while there are too few."""
        samples = self._buffer.pop()
        if samples is None:
            return None
        return frozen(samples), self._time - self._buffer.waiting / self._rate_out
