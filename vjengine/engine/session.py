"""The three steps of a frame: control, generate, present. Live and offline call exactly this.

What differs between the two is handed in: the clock that makes the frame times, and where frames come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from vjengine.compose.compositor import Compositor
from vjengine.core.clock import FrameTime
from vjengine.core.control import ControlState
from vjengine.core.events import Event
from vjengine.core.exchange import Latest
from vjengine.core.frame import Frame, frozen_pixels
from vjengine.core.generation import GeneratorParams
from vjengine.core.reducer import control_step, generator_params, initial_state
from vjengine.core.show import Show
from vjengine.core.signals import AudioFeatures
from vjengine.engine.watch import Watch
from vjengine.generate.base import Generator
from vjengine.generate.flow import FlowMeter

if TYPE_CHECKING:
    import moderngl


class FrameSource(Protocol):
    """Where frames come from: a supervised worker (live) or a generator called in place (offline)."""

    def submit(self, params: GeneratorParams) -> None:
        """Hand over the newest parameters."""
        ...

    def latest(self) -> Frame | None:
        """Return the newest finished frame; the same object until there is a newer one."""
        ...


class InlineFrames:
    """Calls a generator in place, once every ``every`` frames. Used where time waits for us.

    The compositor fades between the frames, as it does on stage; the motion of a generator that flows is measured
    where there is anything between two frames to be shown.

    Args:
        generator: what draws.
        every: parameters for each frame.
        on_frame: called with each new frame.
    """

    def __init__(self, generator: Generator, every: int = 1, on_frame: Callable[[Frame], None] | None = None) -> None:
        self._generator = generator
        self._every = max(1, every)
        self._on_frame = on_frame
        self._asked = 0
        self._made = 0
        self._frame: Frame | None = None
        self._flows = self._every > 1 and getattr(generator, "flowing", False) is True
        self._meter: FlowMeter | None = None

    def submit(self, params: GeneratorParams) -> None:
        """Make a frame for ``params`` if one is due."""
        due = self._asked % self._every == 0
        self._asked += 1
        if not due:
            return
        self._made += 1
        # The generator may draw its next picture into the same memory.
        pixels = frozen_pixels(self._generator.generate(params).copy())
        flow = None
        if self._flows:
            if self._meter is None:
                self._meter = FlowMeter((pixels.shape[1], pixels.shape[0]))
            flow = self._meter.measure(pixels)
        now = params.time
        self._frame = Frame(pixels, self._made, params.sequence, now, now, self._generator.name, flow=flow)
        if self._on_frame is not None:
            self._on_frame(self._frame)

    def latest(self) -> Frame | None:
        """Return the frame made last."""
        return self._frame


class Session:
    """A show in progress: its control state and the parts that act on it.

    Args:
        show: macros and looks.
        look: name of the first look.
        frames: where frames come from.
        compositor: draws the programme.
        watch: what keeps the generator's pictures from collapsing; whoever made ``frames`` has it see each one.

    Attributes:
        show: macros and looks in force; may be replaced between frames.
        state: the control state of the last frame.
        control: the same, for readers in other threads.
        prompt: what the generator was last told to show, in words.
    """

    def __init__(
        self, show: Show, look: str, frames: FrameSource, compositor: Compositor, watch: Watch | None = None
    ) -> None:
        self.show = show
        self.frames = frames
        self.compositor = compositor
        self._watch = watch
        self.state = initial_state(show, look)
        self.control: Latest[ControlState] = Latest(self.state)
        self.frame: Frame | None = None
        self.prompt = ""
        self._sequence = 0

    def control_step(self, events: Iterable[Event], features: AudioFeatures, time: FrameTime) -> ControlState:
        """Reduce ``events`` and ``features`` into the state for ``time``, and publish it."""
        self.state = control_step(self.state, events, features, time, self.show)
        self.control.publish(self.state)
        return self.state

    def generate_step(self, state: ControlState) -> Frame | None:
        """Tell the generator what is wanted; return the newest frame there is."""
        self._sequence += 1
        params = generator_params(state, self._sequence, self.show)
        self.prompt = " + ".join(text for text, weight in params.prompts if weight >= 0.5)
        if self._watch is not None:
            params = self._watch.attach(params)
        self.frames.submit(params)
        self.frame = self.frames.latest()
        return self.frame

    def present_step(self, state: ControlState, frame: Frame | None) -> moderngl.Texture:
        """Draw the programme for ``state``; return its texture."""
        return self.compositor.render(state, frame)

    def advance(self, events: Iterable[Event], features: AudioFeatures, time: FrameTime) -> moderngl.Texture:
        """Run the three steps for one frame; return the programme's texture."""
        state = self.control_step(events, features, time)
        return self.present_step(state, self.generate_step(state))
