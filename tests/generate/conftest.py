"""A rig that plays the engine's part: it submits parameters and waits, with a limit, for what should come."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vjengine.core.clock import LiveClock
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue
from vjengine.core.frame import Frame
from vjengine.core.generation import GeneratorParams
from vjengine.generate.base import GeneratorSpec
from vjengine.generate.supervisor import GeneratorProcess

LIVENESS = 30.0  # s: far beyond what a loaded machine needs; only a dead part takes this long


class Rig:
    """One supervised generator and everything it said."""

    def __init__(self, process: GeneratorProcess, clock: LiveClock, events: EventQueue) -> None:
        self.process = process
        self.clock = clock
        self.events = events
        self.said: list[StatusChanged] = []
        self.sequence = 0
        self._wait = threading.Event()

    def tick(self, travel: float | None = None) -> None:
        """Submit the next parameters and wait about one frame."""
        self.sequence += 1
        travel = self.sequence / 10 if travel is None else travel
        self.process.submit(GeneratorParams(sequence=self.sequence, time=self.clock.now(), travel=travel))
        self.said += [event for event in self.events.drain() if isinstance(event, StatusChanged)]
        self._wait.wait(0.01)

    def run_until(self, condition: Callable[[], object], limit: float = LIVENESS) -> None:
        """Keep submitting until ``condition`` holds; fail after ``limit`` s."""
        end = self.clock.now() + limit
        while not condition():
            assert self.clock.now() < end, f"still {self.process.state} after {limit} s; it said {self.said}"
            self.tick()
        self.tick()

    def run_until_frame(self, after: Frame | None = None) -> Frame:
        """Run until a frame newer than ``after`` is there."""
        last = 0 if after is None else after.sequence

        def newer() -> bool:
            frame = self.process.latest()
            return frame is not None and frame.sequence > last

        self.run_until(newer)
        frame = self.process.latest()
        assert frame is not None
        return frame

    def signal(self, number: int) -> int:
        """Send a signal to the worker; return its id."""
        pid = self.process.pid
        assert pid is not None
        os.kill(pid, number)
        return pid

    def levels(self, component: str = "generator") -> list[str]:
        """Levels of the status events about ``component`` so far."""
        return [event.level for event in self.said if event.component == component]

    def hud(self) -> dict[str, str]:
        """What stands in the HUD now: component -> level and message."""
        latest = {event.component: event for event in self.said}
        return {name: f"{event.level}: {event.message}" for name, event in latest.items() if event.level != "ok"}

    def texts(self) -> str:
        """All status texts so far."""
        return "\n".join(event.message for event in self.said)


@pytest.fixture
def make_rig() -> Iterator[Callable[..., Rig]]:
    """Build started rigs; all are stopped at the end."""
    rigs: list[Rig] = []

    def make(
        size: tuple[int, int] = (96, 54),
        options: dict[str, float | str] | None = None,
        start: bool = True,
        name: str = "still",
        fallback: GeneratorSpec | None = None,
        **settings: float,
    ) -> Rig:
        clock, events = LiveClock(), EventQueue()
        spec = GeneratorSpec(name, size, options=options or {})
        process = GeneratorProcess(spec, clock, events, fallback=fallback, **settings)
        rig = Rig(process, clock, events)
        rigs.append(rig)
        if start:
            process.start()
        return rig

    yield make
    for rig in rigs:
        rig.process.stop()


@pytest.fixture
def our_segments() -> Callable[[], set[str]]:
    """List this process's shared memory segments, where the system shows them as files."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        pytest.skip("this system does not list shared memory as files in /dev/shm")
    return lambda: {path.name for path in folder.glob(f"vj{os.getpid():x}_*")}
