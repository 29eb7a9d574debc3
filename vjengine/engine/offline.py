"""The offline driver: the same three steps under a clock that moves one frame at a time.

The clock begins before 0, for a show that has been running when its film begins: frame 0 and sample 0 are the film's.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from vjengine.audio.features import Analyser, AnalysisSettings
from vjengine.audio.files import blocks, track_duration
from vjengine.compose.context import offscreen_context
from vjengine.compose.readback import Readback
from vjengine.core.clock import FrameClock, LiveClock
from vjengine.core.control import ControlState
from vjengine.core.events import Event, MacroSet, MacroToggle, TempoEvent
from vjengine.core.exchange import EventQueue
from vjengine.core.signals import NO_AUDIO, AudioFeatures
from vjengine.engine.invite import caption, qr_modules
from vjengine.engine.options import SHOW_HOP, RenderOptions
from vjengine.engine.session import InlineFrames, Session
from vjengine.engine.setup import build_compositor, generator_spec, load_show, opening
from vjengine.engine.stats import write_json
from vjengine.engine.trail import TrailKeeper
from vjengine.engine.watch import watching
from vjengine.errors import UsageError
from vjengine.generate.registry import create_generator
from vjengine.inputs.performance import PerformancePlayer, load_performance
from vjengine.outputs.record import Recorder, RecordReport

log = logging.getLogger(__name__)

PRE_ROLL = 20.0
"""When a render starts inside a track, this much (s) before it is listened to first, so that the beat is known."""

Samples = npt.NDArray[np.float32]


class Sink(Protocol):
    """Where a render's pictures and sound go: :class:`~vjengine.outputs.record.Recorder`, or something with its words.

    Attributes:
        error: what stopped it, in one line; the render then ends. Empty while it goes well.
    """

    error: str

    def write_frame(self, pixels: npt.NDArray[np.uint8], time: float) -> None:
        """Take ``(H, W, 4)`` uint8 RGBA, top row first, seen from ``time`` s on; it is overwritten afterwards."""
        ...

    def write_audio(self, samples: Samples, time: float) -> None:
        """Take ``(n, 2)`` samples, the first at ``time`` s."""
        ...

    def close(self) -> RecordReport:
        """Finish and say what became of it."""
        ...


class Conductor(Protocol):
    """Who plays in a render, beside a recorded performance: a score. It acts by events alone, as hands do."""

    def events(self, time: float, features: AudioFeatures, state: ControlState) -> Iterable[Event]:
        """Return what happens at ``time`` s into the film, oldest first.

        Args:
            time: s since the film's first frame; 0 over and over while the show warms up before it.
            features: what is heard at that moment.
            state: the control state of the frame before.
        """
        ...


class TrackEars:
    """Feeds a track through the analyser, as far as each frame needs, in bounded memory.

    Attributes:
        features: what is known at the time last asked for.
        analyser: the analyser, for tempo corrections.
    """

    def __init__(self, path: Path, start: float, settings: AnalysisSettings) -> None:
        self.analyser = Analyser(settings)
        self.features: AudioFeatures = NO_AUDIO
        self._settings = settings
        self._lead = min(start, PRE_ROLL)
        self._hops = blocks(path, settings.hop, settings.sample_rate, start - self._lead)
        self._done = 0
        self.ended = False

    def hear(self, until: float) -> Iterator[tuple[Samples, float]]:
        """Listen up to film time ``until`` (s); yield each hop's samples (n, 2) and its first sample's film time."""
        rate, hop = self._settings.sample_rate, self._settings.hop
        while not self.ended:
            end = (self._done + 1) * hop / rate - self._lead
            if end > until:
                return
            block = next(self._hops, None)
            if block is None:
                self.ended = True
                return
            self._done += 1
            mono = np.zeros(hop, dtype=np.float32)
            mono[: len(block)] = block.mean(axis=1)
            self.features = self.analyser.process(mono, end)
            if end > 0.0:
                yield block, end - hop / rate


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a render is: frames done and to do, and s of wall time so far."""

    done: int
    total: int
    elapsed: float

    @property
    def remaining(self) -> float:
        """Estimate of the s of wall time still to go."""
        return self.elapsed / self.done * (self.total - self.done) if self.done else 0.0


class RenderHost:
    """Whom a generator talks to in a render: nobody but the progress line, and nothing it hears changes a picture."""

    live = False

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def alive(self, doing: str = "", fraction: float = -1.0) -> None:
        """Show what is being loaded or built."""
        if doing:
            self._say(f"{doing} {fraction:.0%}" if 0.0 <= fraction <= 1.0 else doing)

    def say(self, component: str, level: Literal["ok", "warn", "error"], message: str = "") -> None:
        """Show what went wrong, and leave it in the log."""
        if level != "ok":
            log.warning("%s: %s", component, message)


def frames_to_render(options: RenderOptions) -> int:
    """Return how many frames the film will have.

    Raises:
        UsageError: if it begins past the track's end.
        UnreadableAudio: if the track cannot be read.
    """
    duration = track_duration(options.track)
    seconds = duration - options.start
    if options.duration is not None:
        seconds = min(seconds, options.duration)
    if seconds <= 0.0:
        raise UsageError(f"{options.track} lasts {duration:.1f} s: --start {options.start:g} is past its end")
    return options.frames or max(1, int(seconds * Fraction(options.picture.fps).limit_denominator(1001)))


class OfflineEngine:
    """Renders a track to a film. :meth:`run` may be interrupted: what is done is finalised and playable.

    ``sink`` takes pictures and sound elsewhere than into the film that the options name; ``conductor`` plays.
    """

    def __init__(
        self,
        options: RenderOptions,
        *,
        progress: Callable[[Progress], None] = lambda progress: None,
        say: Callable[[str], None] = log.info,
        sink: Sink | None = None,
        conductor: Conductor | None = None,
    ) -> None:
        self._sink = sink
        self._conductor = conductor
        self.options = options
        self.events = EventQueue()
        self._progress = progress
        self._host = RenderHost(say)
        self._beats_before = 0
        self.interrupted = False

    def run(self) -> RecordReport:
        """Render the film; return the recorder's report.

        Raises:
            VJError: if the track, a look or the output is unusable.
        """
        options, picture = self.options, self.options.picture
        fps = Fraction(picture.fps).limit_denominator(1001)
        total = frames_to_render(options)
        settings = AnalysisSettings(hop=SHOW_HOP)
        with contextlib.ExitStack() as stack:
            ctx = offscreen_context()
            stack.callback(ctx.release)
            show = load_show(picture)
            spec = generator_spec(picture, show, prompts=options.prompts)
            watch = stack.enter_context(watching(spec, self.events, options.metrics, live=False))
            metrics = watch.metrics if watch is not None else None
            trail = TrailKeeper(self.events, show, live=False, metrics=metrics)
            compositor = build_compositor(ctx, picture, hot_reload=False, watch=trail)
            stack.callback(compositor.release)
            if picture.qr:
                compositor.set_qr(qr_modules(picture.qr), caption(picture.qr))
            generator = create_generator(spec, self._host)
            stack.callback(generator.close)
            every = options.generator_every or max(1, round(float(fps) / (picture.generator_fps or float(fps))))
            for event in opening(picture):
                self.events.put(event)
            # Whole generator frames, so that the film begins on one.
            clock = FrameClock(fps, start=-every * math.ceil(options.warm_up * fps / every))
            frames = InlineFrames(generator, every, on_frame=watch.see if watch is not None else None)
            session = Session(show, picture.look, frames, compositor, watch)
            recorder = self._sink or Recorder(
                options.output, picture.size, fps, self.events, sample_rate=settings.sample_rate, realtime=False
            )
            try:
                self._frames(session, recorder, Readback(ctx, picture.size), settings, clock, total)
            finally:
                report = recorder.close()
        if options.stats is not None:
            state = session.state
            write_json(
                options.stats,
                {
                    "frames": report.frames,
                    "seconds": round(report.seconds, 3),
                    "generator": {"name": picture.generator},
                    "tempo": round(state.features.beat.tempo, 2),
                    "beats": state.beat_count - self._beats_before,
                    "stabiliser": watch.summary() if watch is not None else None,
                    "trail": trail.summary(),
                },
            )
        return report

    def _frames(
        self,
        session: Session,
        recorder: Sink,
        readback: Readback[float],
        settings: AnalysisSettings,
        clock: FrameClock,
        total: int,
    ) -> None:
        options = self.options
        ears = TrackEars(options.track, options.start, settings)
        player = None
        if options.perform is not None:
            player = PerformancePlayer(load_performance(options.perform), self.events)
        waiting = self._warm_up(session, ears, player, clock)
        self._beats_before = session.state.beat_count
        wall = LiveClock()
        while clock.index < total and not self.interrupted and not recorder.error:
            frame_time = clock.frame()
            for samples, moment in ears.hear(frame_time.time):
                recorder.write_audio(samples, moment)
            events, waiting = [*waiting, *self._happening(frame_time.time, session, ears, player)], []
            session.advance(events, ears.features, frame_time)
            finished = readback.finish()
            if finished is not None:
                recorder.write_frame(finished[1], finished[0])
            readback.start(session.compositor.programme, frame_time.time)
            clock.advance()
            self._progress(Progress(clock.index, total, wall.now()))
        for moment, pixels in readback.flush():
            recorder.write_frame(pixels, moment)
        for samples, moment in ears.hear(clock.now()):
            recorder.write_audio(samples, moment)

    def _warm_up(
        self, session: Session, ears: TrackEars, player: PerformancePlayer | None, clock: FrameClock
    ) -> list[Event]:
        """Run the show up to the film's first frame, as that moment wants it: same look, words and levels.

        It hears what the track plays before the film, if anything. Buttons that are pressed at that moment are
        returned, to be pressed then: a hit at 0 s belongs into the film.
        """
        buttons: list[Event] = []
        if clock.index < 0:
            self._host.alive("warming up")
        while clock.index < 0 and not self.interrupted:
            frame_time = clock.frame()
            for _ in ears.hear(frame_time.time):
                pass
            levels: list[Event] = []
            for event in self._happening(0.0, session, ears, player):
                (buttons if isinstance(event, MacroSet | MacroToggle) else levels).append(event)
            session.advance(levels, ears.features, frame_time)
            clock.advance()
        return buttons

    def _happening(
        self, time: float, session: Session, ears: TrackEars, player: PerformancePlayer | None
    ) -> list[Event]:
        """Return what happens up to ``time`` s into the film, oldest first."""
        if player is not None:
            player.advance(time)
        if self._conductor is not None:
            for event in self._conductor.events(time, ears.features, session.state):
                self.events.put(event)
        events = self.events.drain()
        for event in events:
            if isinstance(event, TempoEvent):
                ears.analyser.apply(event)
        return events
