"""The live driver: threads, supervision, pacing. What a frame *is* lives in :mod:`vjengine.engine.session`."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import FrameType

from vjengine.core.clock import FrameLatch, LiveClock
from vjengine.core.control import ControlState
from vjengine.core.events import Event, LearnMidi, StatusChanged, TempoEvent
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.frame import Frame
from vjengine.core.signals import NO_AUDIO, AudioFeatures
from vjengine.engine.hands import Hands
from vjengine.engine.hearing import Hearing
from vjengine.engine.hudfeed import HudFeed
from vjengine.engine.invite import Invite
from vjengine.engine.keeper import use_one_thread
from vjengine.engine.options import LiveOptions
from vjengine.engine.page_keys import web_settings
from vjengine.engine.pages import Pages
from vjengine.engine.preview import Preview
from vjengine.engine.quality import BY_CPU, Governor, Lead
from vjengine.engine.recording import Recording
from vjengine.engine.session import Session
from vjengine.engine.setup import (
    build_compositor,
    fallback_spec,
    generator_spec,
    load_show,
    opening,
    shader_dir,
    software,
)
from vjengine.engine.stage import Stage
from vjengine.engine.stats import RunStats, write_json
from vjengine.engine.trail import TrailKeeper
from vjengine.engine.watch import watching
from vjengine.generate.supervisor import GeneratorProcess
from vjengine.outputs.osc_feed import OscFeed
from vjengine.outputs.pacing import FramePacer

log = logging.getLogger(__name__)

GENERATOR_FPS = 30.0
"""Frames a second asked of the generator; the compositor fills the time between two with a cross-fade."""
GENERATOR_FPS_BY_CPU = 20.0
"""The same where generator and compositor share a CPU: what it saves goes into the sharpness of every frame."""
PASSING = ("loading", "midi learn", "qr")
"""Components whose words are no degradation."""


@dataclass(frozen=True, slots=True)
class Presented:
    """One frame as it reached the screen, for those who measure.

    Attributes:
        state: the control state it shows.
        frame: the generator's frame it shows.
        at: session time (s) at which drawing and swapping were done.
    """

    state: ControlState
    frame: Frame | None
    at: float


@contextlib.contextmanager
def _few_collections() -> Iterator[None]:
    """Keep the garbage collector from walking over all that was built before the show: that costs frames."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class LiveEngine:
    """A running show. Make it, :meth:`run` it on the main thread, and it cleans up after itself.

    Attributes:
        clock: the session clock.
        events: what the outside world did; inputs write, the present loop reads.
        stats: figures of the run.
        stage, session, generator, hearing: the parts, while it runs.
    """

    def __init__(
        self,
        options: LiveOptions,
        *,
        clock: LiveClock | None = None,
        say: Callable[[str], None] = log.info,
        on_present: Callable[[Presented], None] | None = None,
    ) -> None:
        self.options = options
        self.clock = clock or LiveClock()
        self.events = EventQueue()
        self.commands = EventQueue(256)
        self.stats = RunStats()
        self.features: Latest[AudioFeatures] = Latest(NO_AUDIO)
        self._say = say
        self._on_present = on_present
        self._stop = threading.Event()
        self._degradations: dict[tuple[str, str], str] = {}
        self._detail = ""
        self._repeats: Counter[tuple[str, str]] = Counter()
        self.interrupted = False

    def stop(self) -> None:
        """Ask the show to end after the current frame; callable from any thread."""
        self._stop.set()

    def run(self) -> RunStats:
        """Play the show to its end and return its figures.

        Raises:
            VJError: if it cannot start.
        """
        # Threads that copy and leave must not wait long for the one that draws.
        sys.setswitchinterval(0.001)
        with self._catching_interrupts():
            with contextlib.ExitStack() as stack:
                self._build(stack)
                stack.enter_context(_few_collections())
                self._loop()
            self._write_stats()
        return self.stats

    def _build(self, stack: contextlib.ExitStack) -> None:
        """Start all parts, one after another, and leave between two of them if Ctrl-C was hit.

        An exception out of the middle of a graphics call would leave the driver in pieces, so none is thrown there.
        """
        for step in (self._build_stage, self._build_session, self._build_hands, self._build_pages, self._build_feeds):
            step(stack)
            if self._stop.is_set():
                raise KeyboardInterrupt

    def _build_stage(self, stack: contextlib.ExitStack) -> None:
        """Make what can be refused first, then the stage, and the worker process as early as can be."""
        # Before any process is started: while OpenCV is imported its own folder stands first in sys.path, and a process
        # spawned from another thread in that moment would take its `typing` for Python's.
        use_one_thread()
        options, clock = self.options, self.clock
        self.show = load_show(options.picture, self.events)
        self.hearing = Hearing(options, clock, self.features, self.commands, self.events)
        stack.callback(self.hearing.stop)
        self.recording = stack.enter_context(
            Recording(options, self.hearing.source.sample_rate, self.events, self._say)
        )
        self.stage = stack.enter_context(Stage(options, shader_dir(options.picture), clock, self.events))
        if self.stage.headless and not options.headless:
            self._say(f"{self.stage.reason}: drawing offscreen ({self.stage.ctx.info['GL_RENDERER']})")
        by_cpu = software(self.stage.ctx)
        self.governor = Governor(1.0 / options.picture.fps, BY_CPU if by_cpu else 1.0)
        spec = generator_spec(options.picture, self.show, by_cpu=by_cpu)
        cap = options.picture.generator_fps or (GENERATOR_FPS_BY_CPU if by_cpu else GENERATOR_FPS)
        fallback = fallback_spec(options.picture, self.show, by_cpu=by_cpu)
        # Diffusion imports large libraries without a word. A spare that holds them makes a restart quick, where
        # there are processors for it.
        heavy = spec.name == "turbo"
        # Frames only come from the generator that is made next.
        watch = watching(spec, self.events, options.metrics, live=True, lives=lambda: self.generator.restarts)
        self.watch = stack.enter_context(watch)
        self.generator = GeneratorProcess(
            spec,
            clock,
            self.events,
            fps_cap=cap,
            fallback=fallback,
            ready_timeout=120.0 if heavy else 30.0,
            stall_timeout=5.0 if heavy else 3.0,
            spare=heavy and (os.cpu_count() or 1) >= 4,
            on_frame=self.watch.see if self.watch is not None else None,
        )
        stack.callback(self.generator.stop)
        self.generator.start()

    def _build_session(self, stack: contextlib.ExitStack) -> None:
        metrics = self.watch.metrics if self.watch is not None else None
        self.trail = TrailKeeper(self.events, self.show, live=True, metrics=metrics)
        stack.callback(self.trail.stop)
        compositor = build_compositor(self.stage.ctx, self.options.picture, watch=self.trail)
        compositor.scale = self.governor.scale
        stack.callback(compositor.release)
        self.session = Session(self.show, self.options.picture.look, self.generator, compositor, self.watch)
        for event in opening(self.options.picture):
            self.events.put(event)

    def _build_hands(self, stack: contextlib.ExitStack) -> None:
        control = self.session.control
        self.hands = stack.enter_context(Hands(self.options, self.show, control, self.clock, self.events, self._say))

    def _build_pages(self, stack: contextlib.ExitStack) -> None:
        self.hud = HudFeed(self)
        self.invite = Invite(self.events)
        picture, web = self.options.picture, self.options.web
        self.invite.tell(picture.qr)
        self.pages: Pages | None = None
        if web is not None:
            settings = web_settings(web, self.hands.osc.address if self.hands.osc is not None else None)
            by_cpu = software(self.stage.ctx)
            preview = Preview(self.stage.ctx, picture.size, shader_dir(picture), by_cpu=by_cpu)
            self.pages = Pages(
                settings,
                self.show,
                self.session.control,
                self.hud.figures,
                self.clock,
                self.events,
                preview,
                self.invite,
                self._say,
                learn=self.hands.midi is not None,
            )
            stack.enter_context(self.pages)

    def _build_feeds(self, stack: contextlib.ExitStack) -> None:
        """Start what only flows: the OSC feed and, last, the sound, so that picture and music begin together."""
        if self.options.osc_out or self.hands.osc is not None:
            feed = OscFeed(
                self.options.osc_out,
                self.session.control,
                self.clock,
                self.events,
                subscribers=self.hands.subscribers,
            )
            feed.start()
            stack.callback(feed.stop)
        self.hearing.tap = self.recording.hear if self.options.record else None
        self.hearing.start()

    def _loop(self) -> None:
        options, clock, stats = self.options, self.clock, self.stats
        self.pacer = FramePacer(clock, Fraction(options.picture.fps).limit_denominator(1001))
        latch = FrameLatch()
        period = 1.0 / options.picture.fps
        lead = Lead(period)
        stats.started = clock.now()
        shown_frame = -1
        while not self._finished():
            slot = self.pacer.wait()
            began = clock.now()
            events = self._gather(began)
            # What is drawn now is seen later, so it is drawn for then. A display that paces the frames shows it at its
            # next refresh; otherwise it is held until its moment.
            shown_at = slot.due + (period if options.vsync else lead.seconds)
            time = latch.latch(shown_at)
            features = self.features.read()
            texture = self.session.advance(events, features, time)
            self.session.compositor.poll_reload()
            self.invite.follow(self.session.compositor, self.session.state)
            if self.pages is not None:
                self.pages.frame(texture, began)
            self.stage.draw(texture, self.session.compositor.programme, self.hud.data)
            if options.record is not None:
                for moment, pixels in self.stage.start_readback(self.session.compositor.programme, time.time):
                    self.recording.see(pixels, moment)
            work = clock.now() - began
            if not options.vsync:
                clock.sleep_until(shown_at)
            self.stage.present()
            now = clock.now()
            stats.presented(now, work)
            lead.observe(work)
            self._govern(now, work)
            shown_frame = self._count(features, now, shown_frame)
            if self._on_present is not None:
                self._on_present(Presented(self.session.state, self.session.frame, now))
        for moment, pixels in self.stage.flush_readback():
            self.recording.see(pixels, moment)

    def _gather(self, now: float) -> list[Event]:
        """Return what happened since the last frame; hand tempo corrections on to the analyser."""
        self.hands.strokes(self.stage.poll(), now, self.session.state)
        if not self.stage.focused:
            self.hands.let_go(now)
        if self.stage.closed:
            self._stop.set()
        self.hands.advance(now - self.stats.started, self.stats.started)
        events = self.events.drain()
        for event in events:
            if isinstance(event, TempoEvent):
                self.commands.put(event)
            elif isinstance(event, LearnMidi):
                self.hands.learn(event)
            elif isinstance(event, StatusChanged) and event.level != "ok" and event.component not in PASSING:
                self._degraded(event)
        self.hands.remember(events, self.stats.started)
        self.hud.local_keys(self.hands.local_strokes())
        return events

    def _govern(self, now: float, work: float) -> None:
        """Draw smaller, or larger again, if the time that frames take asks for it."""
        if not self.governor.observe(work):
            return
        scale = self.session.compositor.scale = self.governor.scale
        self.events.put(
            StatusChanged(
                time=now,
                component="picture",
                level="warn" if scale < 1.0 else "ok",
                message=f"drawn at {scale:.0%} of its size to hold {self.options.picture.fps:g} fps",
            )
        )

    def _degraded(self, event: StatusChanged) -> None:
        """Note a trouble; one that only repeats itself with other numbers is told once and counted."""
        kind = event.component, re.sub(r"[0-9.]+", "#", event.message)
        self._repeats[kind] += 1
        if self._repeats[kind] == 1:
            log.warning("%s: %s", event.component, event.message)
            self._degradations[kind] = f"{event.time:.1f} s {event.component}: {event.message}"

    def _count(self, features: AudioFeatures, now: float, shown_frame: int) -> int:
        stats, state, frame = self.stats, self.session.state, self.session.frame
        if features.hop >= 0:
            stats.audio_to_frame.add((now - features.time) * 1e3)
        stats.beats = state.beat_count
        if state.beat_running:
            stats.tempo = state.features.beat.tempo
        self._detail = self.generator.detail or self._detail
        if frame is not None and frame.sequence != shown_frame:
            stats.generator_age.add((now - frame.made_for) * 1e3)
            return frame.sequence
        return shown_frame

    def _finished(self) -> bool:
        options = self.options
        if self._stop.is_set() or self.session.state.quit or self.hearing.ended:
            return True
        return options.duration is not None and self.clock.now() - self.stats.started >= options.duration

    @contextlib.contextmanager
    def _catching_interrupts(self) -> Iterator[None]:
        """Turn Ctrl-C and a polite kill into a clean end of the show. Only the main thread may do this."""

        def interrupt(number: int, frame: FrameType | None) -> None:
            self.interrupted = True
            self._stop.set()

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        names = [signal.SIGINT, signal.SIGTERM]
        before = {name: signal.signal(name, interrupt) for name in names}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

    def _write_stats(self) -> None:
        if self.options.stats is not None:
            write_json(self.options.stats, self.summary())

    def summary(self) -> dict[str, object]:
        """Return the figures that ``--stats`` writes."""
        return self.stats.as_dict(
            generator=self.generator.running,
            detail=self._detail,
            generator_fps=self.generator.fps,
            restarts=self.generator.restarts,
            missed=self.pacer.missed,
            degradations=[
                line if self._repeats[kind] == 1 else f"{line} (and {self._repeats[kind] - 1} times more)"
                for kind, line in self._degradations.items()
            ],
            dropped={
                "events": self.events.dropped,
                "merged_faders": self.events.merged,
                **self.recording.dropped,
                **(self.watch.dropped if self.watch is not None else {}),
            },
            stabiliser=self.watch.summary() if self.watch is not None else None,
            trail=self.trail.summary(),
        )
