"""The turbo generator under a running supervisor, and everything that can happen to it in one bad night.

A life of it costs seconds of imports, so one story goes through its lives in turn.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest

from vjengine.core.clock import LiveClock
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue
from vjengine.core.frame import Frame
from vjengine.core.generation import GeneratorParams
from vjengine.core.params import PARAMS
from vjengine.generate.base import GeneratorSpec
from vjengine.generate.supervisor import GeneratorProcess

SIZE = (512, 512)
LIVENESS = 120.0  # s: far beyond what a loaded machine needs
CALM = PARAMS.defaults().replaced({"turbo.strength": 0.1, "turbo.feedback": 0.0})


class Show:
    """The engine's side: it submits, looks and listens once a frame, and never stops."""

    def __init__(self, spec: GeneratorSpec, fallback: GeneratorSpec) -> None:
        self.clock = LiveClock()
        self.events = EventQueue()
        self.process = GeneratorProcess(
            spec, self.clock, self.events, stall_timeout=3.0, ready_timeout=LIVENESS, fallback=fallback
        )
        self.said: list[StatusChanged] = []
        self.sequences: list[int] = []
        self.slowest = 0.0
        self.ticks = 0
        self.process.start()

    def tick(self) -> None:
        """One presented frame."""
        self.ticks += 1
        began = self.clock.now()
        self.process.submit(
            GeneratorParams(sequence=self.ticks, time=began, values=CALM, prompts=(("a lighthouse in fog", 1.0),))
        )
        frame = self.process.latest()
        self.slowest = max(self.slowest, self.clock.now() - began)
        assert frame is not None or not self.sequences, "the last frame is gone"
        if frame is not None:
            self.sequences.append(frame.sequence)
        self.said += [event for event in self.events.drain() if isinstance(event, StatusChanged)]
        self.clock.sleep_until(began + 0.015)

    def until(self, condition: Callable[[], object]) -> None:
        """Play on until ``condition`` holds."""
        end = self.clock.now() + LIVENESS
        while not condition():
            assert self.clock.now() < end, f"{self.process.state} for too long; it said {self.texts()}"
            self.tick()

    def frame(self, after: Frame | None = None) -> Frame:
        """Play on until a frame newer than ``after`` is there."""
        self.until(lambda: (now := self.process.latest()) and (after is None or now.sequence > after.sequence))
        found = self.process.latest()
        assert found is not None
        return found

    def some(self, frames: int) -> Frame:
        """Play on for so many new frames."""
        found = self.process.latest()
        for _ in range(frames):
            found = self.frame(found)
        assert found is not None
        return found

    @property
    def worker(self) -> psutil.Process:
        """The worker of now."""
        pid = self.process.pid
        assert pid is not None
        return psutil.Process(pid)

    def next_life(self, restarts: int) -> Frame:
        """Play on until that restart has happened; return the last frame of the life before."""
        self.until(lambda: self.process.restarts == restarts)
        last = self.process.latest()
        assert last is not None
        return last

    def texts(self, component: str = "generator") -> list[str]:
        """All that was said of ``component``."""
        return [event.message for event in self.said if event.component == component and event.message]


@pytest.fixture
def stage() -> Iterator[Callable[..., Show]]:
    shows: list[Show] = []

    def make(**options: float | str) -> Show:
        spec = GeneratorSpec("turbo", SIZE, options={"rung": "eager", "device": "cpu", "threads": 1.0, **options})
        shows.append(Show(spec, GeneratorSpec("still", SIZE)))
        return shows[-1]

    yield make
    for show in shows:
        show.process.stop()


def difference(a: Frame, b: Frame) -> float:
    return float(np.abs(a.pixels.astype(int) - b.pixels.astype(int)).mean())


def limit_memory_to_less_than_a_frame_takes(show: Show) -> None:
    worker, seen, last = show.worker, [], show.some(1)
    while (now := show.process.latest()) is not None and now.sequence < last.sequence + 4:
        for _ in range(5):
            seen.append(worker.memory_info().vms)
            show.clock.sleep_until(show.clock.now() + 0.003)
        show.tick()
    low, high = min(seen), max(seen)
    assert high - low > 4 << 20
    limit = high - (high - low) // 16
    worker.rlimit(psutil.RLIMIT_AS, (limit, limit))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process's memory")
@pytest.mark.timeout(300)  # three lives
def test_one_bad_night(stage: Callable[..., Show], monkeypatch: pytest.MonkeyPatch) -> None:
    # Large blocks go back to the system at once, so that what a limit does is the same each time (glibc).
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", str(1 << 16))
    show = stage(model="random:tiny")
    first = show.frame()
    assert first.generator == "turbo"
    show.some(2)
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_")

    # Memory runs out in the middle: the picture gets smaller inside, not outside, and plays on in the same process.
    pid = show.worker.pid
    limit_memory_to_less_than_a_frame_takes(show)
    show.until(lambda: show.texts("memory"))
    last = show.some(2)
    assert show.texts("memory")[0].endswith(" instead of 512x512")
    assert last.size == SIZE
    assert (show.process.restarts, show.worker.pid) == (0, pid)

    # Killed: it comes back by itself, at its full size, with the picture that was there.
    show.worker.kill()
    last = show.next_life(1)
    resumed = show.frame(after=last)
    assert difference(resumed, last) < 0.5 * difference(first, last)
    assert [event.level for event in show.said if event.component == "memory"][-1] == "ok"
    assert "restarting: killed by SIGKILL" in show.texts()

    # Frozen.
    show.worker.send_signal(signal.SIGSTOP)
    show.next_life(2)
    assert any("no sign of life" in words for words in show.texts())

    # No memory to load it with: that is the third failure in a row.
    show.until(lambda: show.process.pid)
    show.worker.rlimit(psutil.RLIMIT_AS, (300 << 20, 300 << 20))
    last = show.next_life(3)
    plain = show.frame(after=last)
    assert plain.generator == show.process.running == "still"
    show.until(lambda: show.texts()[-1].endswith("still plays instead"))
    assert show.texts()[-1].startswith("turbo failed three times (")

    # Whoever presents frames noticed nothing but the picture.
    assert show.slowest < 0.5
    assert show.sequences == sorted(show.sequences)


def test_a_model_that_is_not_there_brings_the_fallback_at_once(stage: Callable[..., Show]) -> None:
    show = stage(model="/no/such/folder")
    frame = show.frame()
    assert frame.generator == "still"
    assert show.process.restarts == 1
    show.until(lambda: show.texts())
    assert show.texts()[-1].startswith("turbo cannot run (")
    assert "/no/such/folder" in show.texts()[-1]
