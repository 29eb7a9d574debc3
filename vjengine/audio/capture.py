"""Live sound from a device: fixed hops with true times, whatever becomes of the device."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import numpy as np

from vjengine.audio.devices import AudioDevice, find_device, list_devices, portaudio
from vjengine.audio.keeper import StreamKeeper
from vjengine.audio.player import FileSource
from vjengine.audio.resample import HopResampler
from vjengine.audio.source import HOP, AudioSource, Hop, Samples, SilentSource, frozen
from vjengine.audio.timing import DeviceClock, SampleTimer
from vjengine.core.clock import Clock
from vjengine.core.exchange import EventQueue
from vjengine.errors import AudioError

__all__ = ["AudioDevice", "AudioSource", "DeviceSource", "FileSource", "Hop", "SilentSource", "list_devices"]

SLOTS = 128
"""Hops the callback can be ahead of the reader: 0.7 s at 256 samples and 48 kHz."""

Note = tuple[int, int, float, float, float]
"""What a callback leaves: slot, count of the block's last sample, ADC time of its first, stream time, session time."""


class _Line:
    """One open input stream's memory: written by its callback, read by the analysis thread."""

    def __init__(
        self, clock: Clock, beat: Callable[[float], None], hop: int, channels: int, skip: int, rate: int
    ) -> None:
        self._clock = clock
        self._beat = beat
        self._hop = hop
        self._skip = skip
        self._rate = rate
        self._ring = np.zeros((SLOTS, hop, channels), dtype=np.float32)
        self._slot = 0
        self._count = 0
        self._timer = SampleTimer(rate)
        self._device_clock = DeviceClock()
        self.notes: queue.SimpleQueue[Note | None] = queue.SimpleQueue()
        self.overruns = 0
        self.resampler: HopResampler | None = None

    def callback(self, indata: Samples, frames: int, times: Any, status: Any) -> None:
        """Copy and leave; runs on PortAudio's thread."""
        now = self._clock.now()
        self._beat(now)
        self._count += frames
        if self.notes.qsize() >= SLOTS - 2 or frames != self._hop:
            self.overruns += 1
            return
        slot = self._slot
        self._ring[slot] = indata[:, self._skip :]
        self._slot = (slot + 1) % SLOTS
        self.notes.put((slot, self._count, times.inputBufferAdcTime, times.currentTime, now))

    def take(self, note: Note) -> tuple[Samples, float, int]:
        """Return the hop a note tells of, the session time of its last sample, and its number."""
        slot, count, adc, current, now = note
        samples = self._ring[slot].copy()
        heard = self._device_clock.to_session(adc, current, now)
        # A driver without ADC times: the block cannot have ended later than it came.
        end = now if heard is None else min(heard + self._hop / self._rate, now)
        self._timer.observe(count, end)
        return samples, self._timer.stamp(count), count // self._hop


class DeviceSource:
    """An audio input device, kept by name.

    Args:
        name: the device's name or a part of it; None for the system's default. A device asked for by name is never
            replaced by another.
        clock: session clock.
        events: takes ``StatusChanged("audio", …)`` for losses and returns.
        hop: samples a hop.
        sample_rate: Hz; None for the device's own.
        first_channel: number of the channel taken as left, from 1: a mixer's record output is often 9 or 13.

    Raises:
        DeviceNotFound: if there is no such device now, with a list of what there is.
        AudioError: if the device has too few channels or no rate that can be used.
        MissingDependency: if PortAudio is not installed.
    """

    def __init__(
        self,
        name: str | None,
        clock: Clock,
        events: EventQueue,
        hop: int = HOP,
        sample_rate: int | None = None,
        first_channel: int = 1,
    ) -> None:
        device = find_device(name, "input")
        self._wanted = name
        self._clock = clock
        self._hop = hop
        self._skip = first_channel - 1
        if not 0 <= self._skip < device.inputs:
            raise AudioError(f"{device.name!r} has input channels 1 to {device.inputs}, not {first_channel}")
        self.name = device.name
        self.channels = min(2, device.inputs - self._skip)
        self.sample_rate = _choose_rate(device, self.channels, sample_rate)
        self._line: _Line | None = None
        self._last_time = -1e9
        self._base_index = 0
        self._next_index = 0
        self._closed = False
        self._keeper = StreamKeeper(f"audio input {name or device.name!r}", self._open, clock, events)

    @property
    def ended(self) -> bool:
        """True once closed; a lost device is waited for."""
        return self._closed

    @property
    def alive(self) -> bool:
        """True while the device is open and talks."""
        return self._keeper.alive

    @property
    def losses(self) -> int:
        """How often the device was lost."""
        return self._keeper.losses

    @property
    def overruns(self) -> int:
        """Hops the present stream threw away because nobody read them."""
        return self._line.overruns if self._line else 0

    def start(self) -> None:
        """Open the device and return once it runs.

        Raises:
            AudioError: if it cannot be opened or the audio system does not answer.
        """
        self._keeper.start()

    def close(self) -> None:
        """Let go of the device; a frozen driver is left behind."""
        self._closed = True
        if self._line is not None:
            self._line.notes.put(None)
        self._keeper.close()

    def read(self, timeout: float) -> Hop | None:
        """Return the next hop, or None after ``timeout`` s without one."""
        deadline = self._clock.now() + timeout
        while not self._closed:
            left = max(deadline - self._clock.now(), 0.0)
            line = self._line
            if line is None:  # between two streams
                self._keeper.wait(left)
                return None
            if line.resampler is not None and (ready := line.resampler.take()) is not None:
                return self._hop_of(*ready, index=self._next_index)
            try:
                note = line.notes.get(timeout=left)
            except queue.Empty:
                return None
            if note is None:  # closed, or a new stream took over
                continue
            samples, time, index = line.take(note)
            if line.resampler is None:
                return self._hop_of(samples, time, self._base_index + index)
            line.resampler.give(samples, time)
        return None

    def _hop_of(self, samples: Samples, time: float, index: int) -> Hop:
        # A stream that replaces a lost one may not reach back behind it.
        self._last_time = max(time, self._last_time + 1e-6)
        self._next_index = index + 1
        return Hop(frozen(samples), self._last_time, index)

    def _open(self, finished: Callable[[], None]) -> Any:
        """Open a stream on the device of our name; runs on the keeper's thread."""
        sd = portaudio()
        device = find_device(self._wanted, "input")
        channels = min(self.channels, device.inputs - self._skip)
        if channels < 1:
            raise AudioError(f"{device.name!r} came back with {device.inputs} input channels")
        rate = _choose_rate(device, channels, self.sample_rate, strict=False)
        line = _Line(self._clock, self._keeper.beat, self._hop, self.channels, self._skip, rate)
        if rate != self.sample_rate:
            line.resampler = HopResampler(rate, self.sample_rate, self._hop, self.channels)
        stream = sd.InputStream(
            device=device.index,
            channels=self._skip + channels,
            samplerate=rate,
            blocksize=self._hop,
            dtype="float32",
            latency="low",
            callback=line.callback,
            finished_callback=finished,
        )
        before, self._line = self._line, line
        self._base_index = self._next_index
        if before is not None:
            before.notes.put(None)
        stream.start()
        return stream


def _choose_rate(device: AudioDevice, channels: int, wanted: int | None, strict: bool = True) -> int:
    """Return the rate (Hz) to open ``device`` at.

    Raises:
        AudioError: if ``strict`` and the device refuses the wanted rate, or if it takes none at all.
    """
    sd = portaudio()
    if wanted is not None and strict:
        candidates = [wanted]
    else:
        # ALSA calls everything 44100 Hz; elsewhere the default is what the hardware runs at.
        usual = [48000, device.sample_rate] if device.host_api == "ALSA" else [device.sample_rate, 48000]
        candidates = [rate for rate in (wanted, *usual, 44100) if rate]
    for rate in candidates:
        try:
            sd.check_input_settings(device=device.index, channels=channels, dtype="float32", samplerate=rate)
        except sd.PortAudioError as error:
            reason = str(error)
        else:
            return rate
    raise AudioError(f"{device.name!r} cannot be opened at {' or '.join(map(str, candidates))} Hz: {reason}")
