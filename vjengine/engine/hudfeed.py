"""Collects what the HUD shows from all parts of a live show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import psutil

from vjengine.compose.hud import HudData
from vjengine.outputs.keyboard import KeyStroke
from vjengine.web.view import Engine

if TYPE_CHECKING:
    from vjengine.engine.live import LiveEngine


HINTS = (
    ("space", "tap"),
    ("enter", "the 1"),
    ("←→", "look"),
    ("tab", "HUD"),
    ("f11", "full screen"),
    ("esc esc", "end"),
)
"""The bottom line: what every performer asks in the first minute."""


class HudFeed:
    """Makes a :class:`HudData` a frame; slow figures are read twice a second."""

    def __init__(self, engine: LiveEngine) -> None:
        self._engine = engine
        self._process = psutil.Process()
        self._process.cpu_percent()
        self._slow_at = -1.0
        self._p99 = 0.0
        self._memory = 0.0
        self._cpu = 0.0

    def local_keys(self, strokes: Iterable[KeyStroke]) -> None:
        """Act on HUD and window keys."""
        stage = self._engine.stage
        for stroke in strokes:
            if stroke.action != "press":
                continue
            if stroke.key == "f11":
                stage.toggle_fullscreen()
            elif stage.hud is not None:
                stage.hud.cycle()

    def data(self) -> HudData:
        """Return the HUD's data for the frame just drawn."""
        engine = self._engine
        state, frame, stats = engine.session.state, engine.session.frame, engine.stats
        now = engine.clock.now()
        if now - self._slow_at > 0.5:
            self._slow_at = now
            self._p99 = stats.interval.recent(600).p99
            self._memory = self._process.memory_info().rss / 2**20
            self._cpu = self._process.cpu_percent()
        return HudData(
            control=state,
            macros=engine.show.macros,
            present_fps=stats.present_rate.per_second(now),
            present_p99_ms=self._p99,
            target_fps=engine.options.picture.fps,
            generator=f"{engine.generator.running} {engine.generator.detail}".strip(),
            generator_state=engine.generator.state,
            generator_fps=engine.generator.fps,
            generator_age_ms=(now - frame.made_for) * 1e3 if frame is not None else 0.0,
            worker_restarts=engine.generator.restarts,
            audio_to_frame_ms=max(0.0, (now - state.features.time) * 1e3) if state.features.hop >= 0 else 0.0,
            audio_name=engine.hearing.source.name,
            midi=engine.hands.midi_names,
            osc_in=engine.hands.osc_address,
            recording=engine.recording.words,
            dropped_events=engine.events.dropped,
            shader_errors=tuple(str(error) for error in engine.session.compositor.errors),
            prompt=engine.session.prompt if engine.generator.running == "turbo" else "",
            look_names=tuple(engine.show.looks),
            cpu_percent=self._cpu,
            memory_mb=self._memory,
            hints=HINTS,
            page=engine.pages.address if engine.pages is not None else "",
            crowd_waiting=engine.pages.waiting if engine.pages is not None else -1,
        )

    def figures(self) -> Engine:
        """Return how the engine is, for the pages; any thread may ask, and gets what the HUD read last."""
        engine = self._engine
        return Engine(
            generator=engine.generator.running,
            generator_state=engine.generator.state,
            detail=engine.generator.detail,
            generator_fps=engine.generator.fps,
            fps=engine.stats.present_rate.per_second(engine.clock.now()),
            target_fps=engine.options.picture.fps,
            p99_ms=self._p99,
            recording=engine.recording.words,
            midi=engine.hands.midi_names,
        )
