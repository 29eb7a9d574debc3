"""The output side of a played file: a ring that a decoder fills and the sound card empties."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from vjengine.audio.devices import find_device, portaudio
from vjengine.audio.keeper import StreamKeeper
from vjengine.audio.source import Samples
from vjengine.audio.timing import DeviceClock, SampleTimer
from vjengine.core.clock import Clock
from vjengine.core.exchange import EventQueue

AHEAD = 0.5
"""s decoded ahead of what the card takes."""


class SampleRing:
    """The last stretch of a stream of stereo samples, addressed by sample number.

    One thread writes; readers each keep their own position. Old samples are overwritten: readers check
    :attr:`oldest`.

    Args:
        capacity: samples kept, a power of two so that wrapping is cheap.
    """

    def __init__(self, capacity: int = 1 << 17) -> None:
        self._samples = np.zeros((capacity, 2), dtype=np.float32)
        self.capacity = capacity
        self.written = 0

    @property
    def oldest(self) -> int:
        """Number of the oldest sample that can still be read safely."""
        return max(0, self.written - self.capacity // 2)

    def write(self, block: Samples) -> None:
        """Append ``(n, 2)`` samples."""
        start = self.written % self.capacity
        head = min(len(block), self.capacity - start)
        self._samples[start : start + head] = block[:head]
        self._samples[: len(block) - head] = block[head:]
        self.written += len(block)

    def copy_to(self, out: Samples, position: int) -> int:
        """Fill ``out`` from sample ``position`` on; return how many samples there were."""
        count = max(0, min(len(out), self.written - position))
        start = position % self.capacity
        head = min(count, self.capacity - start)
        out[:head] = self._samples[start : start + head]
        out[head:count] = self._samples[: count - head]
        return count


class Playback:
    """Plays a :class:`SampleRing` on an output device, kept by name, and tells when each sample is *heard*.

    The timer is told the time at which samples leave the card, output latency included; while no device plays, it
    runs on by itself at the nominal rate, and a device that comes back joins in at the place where the music is.

    Args:
        ring: what to play.
        timer: told of samples heard.
        name: device name or a part of it; None for the default.
        clock: session clock.
        events: takes StatusChanged.
        sample_rate: Hz.
    """

    def __init__(
        self, ring: SampleRing, timer: SampleTimer, name: str | None, clock: Clock, events: EventQueue, sample_rate: int
    ) -> None:
        self._ring = ring
        self._timer = timer
        self._name = name
        self._clock = clock
        self._rate = sample_rate
        self._device_clock = DeviceClock()
        self._heard: deque[tuple[int, float, float, float]] = deque(maxlen=512)
        self.position = 0
        self.underruns = 0
        self._end: int | None = None
        self.device = ""
        label = f"audio output {name!r}" if name else "audio output"
        self._keeper = StreamKeeper(label, self._open, clock, events, remark="the file goes on unheard")

    @property
    def alive(self) -> bool:
        """True while the device plays."""
        return self._keeper.alive

    def start(self) -> None:
        """Open the device.

        Raises:
            AudioError: if there is none or it cannot be opened.
            MissingDependency: if PortAudio is not installed.
        """
        self._keeper.start()

    def finish(self, end: int) -> None:
        """Say that the music ends at sample ``end``: what follows is silence, not an underrun."""
        self._end = end

    def close(self) -> None:
        """Let go of the device."""
        self._keeper.close()

    def update_timer(self) -> None:
        """Hand on what the callback saw; the reader's thread calls this."""
        while self._heard:
            position, dac, current, now = self._heard.popleft()
            heard = self._device_clock.to_session(dac, current, now)
            self._timer.observe(position, now if heard is None else max(heard, now - 0.01))

    def _open(self, finished: Callable[[], None]) -> Any:
        sd = portaudio()
        device = find_device(self._name, "output")
        self.device = device.name
        self._device_clock = DeviceClock()
        self._heard.clear()
        stream = sd.OutputStream(
            device=device.index,
            channels=min(2, device.outputs),
            samplerate=self._rate,
            blocksize=0,
            dtype="float32",
            latency="high",  # nothing waits for it: what is heard is timed, and underruns are heard by everybody
            callback=self._player(),
            finished_callback=finished,
        )
        stream.start()
        return stream

    def _player(self) -> Callable[[Samples, int, Any, Any], None]:
        """Return the callback of one stream; runs on PortAudio's thread."""
        joining = self._timer.anchored
        scratch = np.zeros((8192, 2), dtype=np.float32)

        def callback(outdata: Samples, frames: int, times: Any, status: Any) -> None:
            nonlocal joining
            now = self._clock.now()
            self._keeper.beat(now)
            if joining:  # where the music is when this block comes out
                lag = times.outputBufferDacTime - times.currentTime
                self.position = max(0, int(self._timer.count_at(now + (lag if 0.0 < lag < 2.0 else 0.0))))
                joining = False
            if frames > len(scratch):
                outdata.fill(0.0)
                return
            stereo = scratch[:frames]
            count = self._ring.copy_to(stereo, self.position)
            if count:
                self._heard.append((self.position, times.outputBufferDacTime, times.currentTime, now))
            if count < frames:
                stereo[count:] = 0.0
                if self._end is None and self.position:
                    self.underruns += 1
            self.position += count
            if outdata.shape[1] == 1:
                outdata[:, 0] = stereo.mean(axis=1)
            else:
                outdata[:] = stereo

        return callback
