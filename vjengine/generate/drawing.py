"""The worker's loop: newest parameters in, pictures out into shared memory.

Plain generators draw and hand back an array, which is copied into its slot. Those that are
:class:`~vjengine.generate.base.Direct` put the picture there themselves, and the loop begins the next one before it
waits for the last, so that neither the copy nor Python hides behind the device.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vjengine.core.clock import LiveClock
from vjengine.core.frame import Flow, Pixels
from vjengine.core.generation import GeneratorParams
from vjengine.generate.base import Direct, Generator, GeneratorSpec, Ticket, checked_pixels
from vjengine.generate.host import PipeHost
from vjengine.generate.transport import GENERATING, IDLE, Link

FLOW_INTERVAL = 1 / 50
"""s between frames from which their motion is measured: faster ones look smooth without."""

_POLL = 0.002  # s between looks for new parameters
_NAP = 0.05  # s: longest wait without a heartbeat


class Motion:
    """Measures the flow from picture to picture, where pictures are slow enough for it to be of use.

    Args:
        wanted: False never measures.
        size: (width, height) px.
    """

    def __init__(self, wanted: bool, size: tuple[int, int]) -> None:
        self._wanted = wanted
        self._size = size
        self._meter: Any = None
        self._last = 0.0
        self._interval = FLOW_INTERVAL

    def measure(self, pixels: Pixels, ready: float) -> Flow | None:
        """Return the motion from the last picture to this one, complete at ``ready`` (s); None where not known."""
        if not self._wanted:
            return None
        if self._last:
            self._interval += 0.2 * (ready - self._last - self._interval)
        self._last = ready
        if self._interval < FLOW_INTERVAL:
            self._meter = None  # what it remembers would be an older picture than the last
            return None
        if self._meter is None:
            # Not before it is needed: most generators never do.
            self._meter = importlib.import_module("vjengine.generate.flow").FlowMeter(self._size)
        flow: Flow | None = self._meter.measure(pixels)
        return flow


@dataclass(slots=True)
class _Flight:
    """A picture begun and not yet published."""

    ticket: Ticket
    pixels: Pixels
    params: GeneratorParams
    begun: float


class Easel:
    """Draws with one generator until told to stop.

    Args:
        generator: draws.
        spec: what it was made from.
        link: where parameters come from and pictures go.
        clock: the session clock.
        host: hears of every frame.
        first_sequence: number of the first frame.
        fps_cap: most frames a second.
    """

    def __init__(
        self,
        generator: Generator,
        spec: GeneratorSpec,
        link: Link,
        clock: LiveClock,
        host: PipeHost,
        first_sequence: int,
        fps_cap: float,
    ) -> None:
        self._generator = generator
        self._direct = generator if isinstance(generator, Direct) else None
        self._spec = spec
        self._link = link
        self._clock = clock
        self._host = host
        self._motion = Motion(getattr(generator, "flowing", False) is True, spec.size)
        self._sequence = first_sequence
        self._interval = 1.0 / fps_cap
        self._flight: _Flight | None = None

    def run(self, stop: Callable[[float], bool]) -> None:
        """Draw until ``stop``, which waits so many s for it, says True.

        Raises:
            GeneratorError: if a picture cannot be made, or is not as the contract wants it.
            OSError: if the engine is gone.
        """
        if self._direct is not None:
            self._link.work_ahead()
        due = 0.0
        version = 0
        while True:
            now = self._clock.now()
            self._link.beat(now, IDLE)
            found = self._link.read_params(version) if now >= due else None
            if found is None:
                if self._flight is not None:
                    self._land()
                elif stop(min(due - now, _NAP) if now < due else _POLL):
                    return
                continue
            version, params = found
            self._link.beat(now, GENERATING)
            self._draw(params, now)
            # On time: keep the beat exactly. Late by a frame or more: start a new beat instead of catching up.
            due = (due if now - due < self._interval else now) + self._interval
            if stop(0):
                return

    def _draw(self, params: GeneratorParams, now: float) -> None:
        if self._direct is None:
            pixels = checked_pixels(self._generator.generate(params), self._spec)
            ready = self._clock.now()
            flow = self._motion.measure(pixels, ready)
            self._link.write_frame(pixels, self._sequence, params, ready, ready - now, flow)
            self._published()
            return
        place = self._link.place_frame(ahead=int(self._flight is not None))
        begun = _Flight(self._direct.begin(params, place), place, params, now)
        if self._flight is not None:
            self._land()
        self._flight = begun
        if begun.ticket.ready():
            self._land()

    def _land(self) -> None:
        """Wait for the picture in flight and publish it."""
        flight, self._flight = self._flight, None
        if flight is None:
            return
        flight.ticket.wait()
        ready = self._clock.now()
        flow = self._motion.measure(flight.pixels, ready)
        self._link.publish_frame(self._sequence, flight.params, ready, ready - flight.begun, flow)
        self._published()

    def _published(self) -> None:
        self._host.news()
        self._host.drew()
        self._sequence += 1
