"""The analysis thread against sources and analysers that behave and that do not."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from vjengine.audio.capture import Hop, SilentSource
from vjengine.audio.listener import Listener, mono
from vjengine.core.clock import LiveClock
from vjengine.core.events import MacroToggle, StatusChanged, Tap, TempoEvent
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.signals import NO_AUDIO, AudioFeatures, BeatClock
from vjengine.errors import DeviceNotFound

HOP = 256


class HandFed:
    """A source whose hops come from the test."""

    name, sample_rate, channels = "hand", 48000, 2

    def __init__(self) -> None:
        self.hops: queue.Queue[Hop] = queue.Queue()
        self.ended = False
        self.closed = False

    def start(self) -> None: ...

    def read(self, timeout: float) -> Hop | None:
        try:
            return self.hops.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self) -> None:
        self.closed = True
        self.ended = True

    def give(self, index: int, time: float, level: float = 0.5) -> None:
        self.hops.put(Hop(np.full((HOP, 2), level, dtype=np.float32), time, index))


class Meter:
    """An analyser that only measures loudness and notes what it was given."""

    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = []
        self.applied: list[TempoEvent] = []
        self.fail: Callable[[], bool] = lambda: False

    def process(self, block: np.ndarray, time: float) -> AudioFeatures:
        if self.fail():
            raise ZeroDivisionError("a fault in the analysis")
        self.blocks.append(block)
        level = float(np.abs(block).mean())
        beat = BeatClock(anchor=time, running=True, confidence=0.9)
        return AudioFeatures(
            time=time, hop=len(self.blocks), rms=level, bands=(level,) * 6, hits=(1.0,) * 6, silent=False, beat=beat
        )

    def apply(self, event: TempoEvent) -> None:
        self.applied.append(event)


class Rig:
    def __init__(self, source=None, tap=None) -> None:
        self.clock = LiveClock()
        self.source = source or HandFed()
        self.meter = Meter()
        self.features: Latest[AudioFeatures] = Latest(NO_AUDIO)
        self.commands = EventQueue()
        self.events = EventQueue()
        self.listener = Listener(self.source, self.meter, self.clock, self.features, self.commands, self.events, tap)

    def statuses(self) -> list[tuple[str, str]]:
        return [(e.component, e.level) for e in self.events.drain() if isinstance(e, StatusChanged)]


def eventually(condition: Callable[[], bool], timeout: float = 10.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.005)


@pytest.fixture
def rig():
    made: list[Rig] = []

    def make(**kwargs) -> Rig:
        made.append(Rig(**kwargs))
        return made[-1]

    yield make
    for one in made:
        assert one.listener.stop()


def test_every_hop_is_mixed_analysed_and_published(rig) -> None:
    heard: list[Hop] = []
    one = rig(tap=heard.append)
    one.listener.start()
    for index in range(20):
        one.source.give(index, 1.0 + index * 0.005, 0.25)
    eventually(lambda: one.listener.hops == 20)
    eventually(lambda: one.features.read().hop == 20)
    assert all(block.shape == (HOP,) and block.dtype == np.float32 for block in one.meter.blocks)
    assert one.features.read().rms == pytest.approx(0.25)
    assert one.features.read().time == pytest.approx(1.0 + 19 * 0.005)
    assert [hop.index for hop in heard] == list(range(20))
    assert one.listener.processing_ms.count == 20


def test_mono_is_the_mean_of_the_channels() -> None:
    stereo = np.array([[1.0, 0.0], [0.5, -0.5]], dtype=np.float32)
    assert mono(stereo).tolist() == [0.5, 0.0]
    assert mono(stereo[:, :1]).tolist() == [1.0, 0.5]
    assert mono(stereo[:, :1]).flags.c_contiguous


def test_tempo_commands_reach_the_analyser_even_without_sound(rig) -> None:
    one = rig()
    one.listener.start()
    one.commands.put(Tap(time=1.0))
    one.commands.put(MacroToggle(macro="AUDIO"))
    one.commands.put(Tap(time=1.5))
    eventually(lambda: len(one.meter.applied) == 2)
    assert [event.time for event in one.meter.applied] == [1.0, 1.5]
    eventually(lambda: one.listener.ignored == 1)


def test_an_analyser_that_fails_is_said_once_and_the_thread_goes_on(rig, caplog) -> None:
    one = rig()
    one.meter.fail = lambda: True
    one.listener.start()
    with caplog.at_level(logging.ERROR):
        for index in range(10):
            one.source.give(index, index * 0.005)
        eventually(lambda: one.listener.errors == 10)
    assert len(caplog.records) == 1
    assert "ZeroDivisionError" in caplog.text
    assert one.statuses() == [("analysis", "error")]
    one.meter.fail = lambda: False
    one.source.give(10, 0.05)
    eventually(lambda: one.features.read().hop == 1)
    time.sleep(1.1)
    one.source.give(11, 0.06)
    eventually(lambda: one.features.read().hop == 2)
    eventually(lambda: bool(len(one.events)))
    assert one.statuses() == [("analysis", "ok")]


def test_a_tap_that_fails_costs_no_analysis(rig) -> None:
    def tap(hop: Hop) -> None:
        raise OSError("no space left on device")

    one = rig(tap=tap)
    one.listener.start()
    for index in range(5):
        one.source.give(index, index * 0.005)
    eventually(lambda: one.features.read().hop == 5)
    assert one.statuses() == [("recorder", "error")]
    assert one.listener.errors == 5


def test_a_source_gone_quiet_fades_to_silence_and_stops_the_beat_later(rig) -> None:
    one = rig()
    one.listener.start()
    one.source.give(0, one.clock.now())
    eventually(lambda: one.features.read().rms > 0.4)
    eventually(lambda: one.features.read().silent)
    faded = one.features.read()
    assert faded.beat.running  # the music is in the room still, for all we know
    assert faded.hop == 1
    eventually(lambda: one.features.read().rms < 0.01 and max(one.features.read().hits) < 0.01)
    eventually(lambda: not one.features.read().beat.running)
    assert one.clock.now() - faded.time > 1.0
    one.source.give(1, one.clock.now())
    eventually(lambda: not one.features.read().silent)
    assert one.features.read().beat.running


def test_readers_keep_being_told_the_time_while_a_source_is_gone(rig) -> None:
    one = rig()
    one.listener.start()
    eventually(lambda: one.features.read().time > 0.5)
    assert one.features.read().silent
    assert one.clock.now() - one.listener.heartbeat < 2.0


def test_it_stops_at_once_and_closes_the_source(rig) -> None:
    one = rig()
    one.listener.start()
    assert one.listener.alive
    assert one.listener.stop(timeout=2.0)
    assert one.source.closed
    assert not one.listener.alive
    assert "vjengine-listener" not in [thread.name for thread in threading.enumerate() if thread.is_alive()]


def test_a_source_that_cannot_start_raises_to_the_caller() -> None:
    class Missing(HandFed):
        def start(self) -> None:
            raise DeviceNotFound("no audio input device is called 'X'")

    one = Rig(source=Missing())
    with pytest.raises(DeviceNotFound):
        one.listener.start()
    assert one.listener.stop()


def test_silence_runs_through_the_whole_chain(rig) -> None:
    clock = LiveClock()
    one = rig(source=SilentSource(clock))
    one.listener.start()
    eventually(lambda: one.listener.hops > 20)
    assert one.features.read().rms == 0.0
