"""The HUD's side panels: tempo, audio, output and devices."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Protocol

import numpy as np

from vjengine.compose.hud_batch import Colour, QuadBatch
from vjengine.compose.hud_data import HudData
from vjengine.compose.hud_layout import Rect, Style
from vjengine.compose.hud_theme import (
    ACCENT,
    AMBER,
    DIM,
    FAINT,
    LEVEL_COLOURS,
    LINE,
    RED,
    TEXT,
    TROUGH,
    Pen,
    faded,
)
from vjengine.compose.text import MIDDLE_DOT, Floats
from vjengine.core.events import StatusChanged


class Panel(Protocol):
    """A part of the HUD.

    ``build`` writes all that changes seldom, at most a few times a second and only if ``words`` differs from last
    time; ``live`` writes the meters, every frame.
    """

    def words(self, data: HudData) -> Hashable:
        """Return everything that ``build`` writes depends on, cheaply."""

    def build(self, back: QuadBatch, front: QuadBatch, data: HudData) -> None:
        """Write backgrounds to ``back`` and text to ``front``."""

    def live(self, layer: QuadBatch, data: HudData) -> None:
        """Write the moving parts, which stand between the two."""


def unit(value: float) -> float:
    """Return ``value`` within 0–1; anything that is not a number is 0."""
    return min(1.0, max(0.0, value)) if math.isfinite(value) else 0.0


def decibels(value: float) -> str:
    """Return a gain in dB with its sign."""
    return f"{value:+.1f} dB" if math.isfinite(value) else "- dB"


def duration(seconds: float) -> str:
    """Return a span of time as a performer reads it: ``24 ms``, ``3.1 s``, ``2 min``."""
    if not math.isfinite(seconds):
        return "-"
    if seconds < 0.9995:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3570 else f"{seconds / 3600:.1f} h"


def shortened(text: str) -> list[str]:
    """Return ``text``, and what is left as it loses its clauses, then its words: what matters most stands first."""
    shorter = [text]
    while "," in text:
        text = text.rpartition(",")[0]
        shorter.append(text)
    while " " in text:
        text = text.rpartition(" ")[0]
        shorter.append(text)
    return shorter


def colour_of(status: StatusChanged) -> Colour:
    """Return the colour of a status; what the performer asked for is no trouble and has the accent colour."""
    return ACCENT if status.component == "midi learn" and status.level == "warn" else LEVEL_COLOURS[status.level]


class TempoPanel:
    """Tempo in large digits, the bar's beats, the bar's phase and how sure the tracker is."""

    def __init__(self, style: Style, rect: Rect) -> None:
        self.style, self.rect = style, rect
        inner = rect.inset(style.pad)
        digits = round(0.76 * style.huge)
        self.beats = Rect(inner.x, inner.y + digits + style.gap, inner.w, max(6, round(0.26 * style.huge)))
        self.phase = Rect(inner.x, self.beats.bottom + style.gap / 2, inner.w, 2 * style.hair)

    @staticmethod
    def height(style: Style) -> float:
        """Return the height it needs, px."""
        beats = max(6, round(0.26 * style.huge))
        return 2 * style.pad + round(0.76 * style.huge) + 2 * style.gap + beats + 2 * style.hair + style.line

    def words(self, data: HudData) -> Hashable:
        """Tempo, place in the bar and confidence as they are shown."""
        clock, control = data.control.features.beat, data.control
        place = int(unit(control.bar_phase) * clock.beats_per_bar)
        tempo, sure = round(clock.tempo, 1), round(100 * unit(clock.confidence))
        return tempo, sure, place, clock.beats_per_bar, control.beat_running, control.features.silent

    def build(self, back: QuadBatch, front: QuadBatch, data: HudData) -> None:
        """Write the tempo and the confidence."""
        pen, style = Pen(self.style, self.rect, back, front), self.style
        clock, running = data.control.features.beat, data.control.beat_running
        tempo = f"{clock.tempo:.1f}" if running else "---"
        used = pen.write(
            pen.inner.x, pen.y, self.beats.y - style.gap - pen.y, tempo, "huge", TEXT if running else FAINT
        )
        aside = pen.inner.w - used - style.gap
        base = self.beats.y - style.gap - style.line
        pen.write(pen.inner.right, pen.y - style.pad // 4, style.line, "BPM", "small", DIM, "right", aside)
        metre = max(1, clock.beats_per_bar)
        position = f"{int(unit(data.control.bar_phase) * metre) % metre + 1}/{metre}" if running else ""
        pen.write(pen.inner.right, base + style.pad // 4, style.line, position, "title", DIM, "right", aside)
        pen.y = self.phase.bottom + style.gap / 2
        if not running:
            pen.line("silence" if data.control.features.silent else "no beat yet", "small", DIM)
            return
        label = pen.line("LOCK", "small", DIM)
        value = pen.write(
            pen.inner.right, pen.y, style.line, f"{100 * unit(clock.confidence):.0f} %", "small", TEXT, "right"
        )
        room = pen.inner.w - label - value - 2 * style.gap
        bar = Rect(pen.inner.x + label + style.gap, pen.y + style.line / 2 - style.hair, room, 2 * style.hair)
        back.rect(*bar, TROUGH, radius=style.hair)
        back.rect(bar.x, bar.y, bar.w * unit(clock.confidence), bar.h, ACCENT, radius=style.hair)

    def live(self, layer: QuadBatch, data: HudData) -> None:
        """Write the beats of the bar and its phase."""
        control, area, gap = data.control, self.beats, self.style.gap
        metre = min(16, max(1, control.features.beat.beats_per_bar))
        place = unit(control.bar_phase) * metre
        current = int(place) % metre if control.beat_running else -1
        width = (area.w - (metre - 1) * gap) / metre
        for beat in range(metre):
            x = area.x + beat * (width + gap)
            layer.rect(x, area.y, width, area.h, TROUGH, radius=area.h / 2)
            if beat == current:
                glow = 0.45 + 0.55 * math.exp(-4.0 * (place - math.floor(place)))
                layer.rect(x, area.y, width, area.h, faded(TEXT if beat == 0 else ACCENT, glow), radius=area.h / 2)
        layer.rect(*self.phase, TROUGH, radius=self.style.hair)
        if control.beat_running:
            phase = self.phase._replace(w=max(2.0 * self.style.hair, self.phase.w * unit(control.bar_phase)))
            layer.rect(*phase, faded(ACCENT, 0.8), radius=self.style.hair)


class AudioPanel:
    """Six bands (fast bar, slow tick, hit flash), loudness, gain and the silence gate."""

    LABELS = ("SUB", "BASS", "LOW", "MID", "HIGH", "AIR")
    SHORT = ("SUB", "BAS", "LOW", "MID", "HI", "AIR")

    def __init__(self, style: Style, rect: Rect) -> None:
        self.style, self.rect = style, rect
        inner = rect.inset(style.pad)
        gap = max(3, style.gap)
        width = math.floor((inner.w - 5 * gap) / 6)
        top, height = inner.y + style.line, self._meter_height(style)
        self.meters = [Rect(round(inner.x + i * (width + gap)), top, width, height) for i in range(6)]
        self.level_y = top + height + style.line

    @staticmethod
    def _meter_height(style: Style) -> float:
        return max(34, round(92 * style.scale))

    @classmethod
    def height(cls, style: Style) -> float:
        """Return the height it needs, px."""
        return 2 * style.pad + cls._meter_height(style) + 4 * style.line

    def words(self, data: HudData) -> Hashable:
        """Device, gain and gate."""
        features = data.control.features
        return data.audio_name, data.control.status.get("audio"), decibels(features.gain_db), features.silent

    def build(self, back: QuadBatch, front: QuadBatch, data: HudData) -> None:
        """Write the heading, the meters' troughs and labels, gain and gate."""
        pen, style, features = Pen(self.style, self.rect, back, front), self.style, data.control.features
        status = data.control.status.get("audio")
        colour = LEVEL_COLOURS[status.level] if status else DIM
        pen.header("AUDIO", data.audio_name or "no input", colour)
        wide = max(front.atlas.width(label, "small") for label in self.LABELS) <= self.meters[0].w + style.gap - 2
        for meter, label in zip(self.meters, self.LABELS if wide else self.SHORT, strict=True):
            back.rect(*meter, TROUGH, radius=style.hair)
            pen.write(meter.x + meter.w / 2, meter.bottom, style.line, label, "small", DIM, "centre")
        pen.y = self.level_y
        pen.line("LEVEL", "small", DIM)
        pen.y += style.line
        pen.line(decibels(features.gain_db), "small", TEXT)
        gate = "gate shut" if features.silent else "gate open"
        pen.line(gate, "small", DIM if features.silent else ACCENT, "right")

    def live(self, layer: QuadBatch, data: HudData) -> None:
        """Write the meters."""
        features, hair = data.control.features, self.style.hair
        for meter, fast, slow, hit in zip(self.meters, features.bands, features.bands_slow, features.hits, strict=True):
            x, y, w, h = meter
            flash = unit(hit)
            if flash > 0.02:
                layer.rect(x, y, w, h, faded(TEXT, 0.30 * flash), radius=hair)
            tall = round(h * unit(fast))
            layer.rect(x, y + h - tall, w, tall, ACCENT, radius=hair)
            if flash > 0.02:
                layer.rect(x, y + h - tall, w, tall, faded(TEXT, 0.75 * flash), radius=hair)
            layer.rect(x, round(y + (h - hair) * (1.0 - unit(slow))), w, hair, TEXT)
        inner = self.rect.inset(self.style.pad)
        x = inner.x + 0.30 * inner.w
        bar = Rect(x, self.level_y + self.style.line / 2 - 2 * hair, inner.right - x, 4 * hair)
        layer.rect(*bar, TROUGH, radius=2 * hair)
        width = bar.w * unit(features.rms)
        layer.rect(bar.x, bar.y, width, bar.h, faded(ACCENT, 0.4 if features.silent else 1.0), radius=2 * hair)
        layer.rect(round(bar.x + (bar.w - hair) * unit(features.peak)), bar.y - hair, hair, bar.h + 2 * hair, TEXT)


class OutputPanel:
    """Frames a second and their history, the generator, the way from sound to picture, the devices."""

    FRAMES = 96

    def __init__(self, style: Style, rect: Rect) -> None:
        self.style, self.rect = style, rect
        inner = rect.inset(style.pad)
        self.graph = Rect(inner.x, inner.y + round(1.5 * style.line), inner.w, self._graph_height(style))
        self._intervals: Floats = np.zeros(self.FRAMES, dtype=np.float32)
        step = inner.w / self.FRAMES
        self._x: Floats = (inner.x + step * np.arange(self.FRAMES)).astype(np.float32)
        self._width = max(1.0, step - (1.0 if step >= 2.5 else 0.0))

    @staticmethod
    def _graph_height(style: Style) -> float:
        return max(16, round(34 * style.scale))

    @classmethod
    def height(cls, style: Style) -> float:
        """Return the height it needs, px."""
        return 2 * style.pad + cls._graph_height(style) + round((1.5 + 0.25 + 8) * style.line)

    def words(self, data: HudData) -> Hashable:
        """Everything: some figure here changes with nearly every frame."""
        return data.control.time

    def build(self, back: QuadBatch, front: QuadBatch, data: HudData) -> None:
        """Write the figures."""
        pen, style = Pen(self.style, self.rect, back, front), self.style
        slow = data.target_fps > 0 and 0 < data.present_fps < 0.95 * data.target_fps
        used = pen.write(
            pen.inner.x, pen.y, style.line * 1.2, f"{data.present_fps:.1f}", "title", AMBER if slow else TEXT
        )
        target = f"/ {data.target_fps:.0f} fps"
        used += style.gap + pen.write(pen.inner.x + used + style.gap, pen.y, style.line * 1.4, target, "small", DIM)
        room = pen.inner.w - used - style.gap
        late = data.target_fps > 0 and data.present_p99_ms > 1.5 * 1000 / data.target_fps
        p99 = f"p99 {data.present_p99_ms:.1f} ms"
        if front.atlas.width(p99, "small") > room:
            p99 = f"{data.present_p99_ms:.1f} ms"
        pen.write(pen.inner.right, pen.y, style.line * 1.4, p99, "small", AMBER if late else DIM, "right", room)
        back.rect(*self.graph, TROUGH)
        pen.y = self.graph.bottom + round(0.25 * style.line)
        self._generator(pen, data)
        pen.row("sound to frame", duration(data.audio_to_frame_ms / 1000))
        self._devices(pen, data)

    def _generator(self, pen: Pen, data: HudData) -> None:
        status = data.control.status.get("generator")
        colour = LEVEL_COLOURS[status.level] if status else ACCENT
        width = pen.front.atlas.width
        room = max(0.58 * pen.inner.w, pen.inner.w - width(data.generator_state, "small") - pen.style.gap)
        names = shortened(data.generator or "no generator")
        name = next((name for name in names if width(name, "body") <= room), names[-1])
        used = pen.line(name, "body", TEXT, limit=room)
        pen.line(data.generator_state, "small", colour, "right", pen.inner.w - used - pen.style.gap)
        pen.y += pen.style.line
        pen.row(f"{data.generator_fps:.1f} fps", f"age {duration(data.generator_age_ms / 1000)}", DIM)

    def _devices(self, pen: Pen, data: HudData) -> None:
        status = data.control.status
        for label, component, value in (
            ("MIDI", "midi", ", ".join(data.midi)),
            ("OSC", "osc in", data.osc_in),
            ("REC", "recorder", data.recording),
        ):
            told = status.get(component)
            colour: Colour = LEVEL_COLOURS[told.level] if told else (TEXT if value else FAINT)
            pen.row(label, value or "off", colour)
        trouble = AMBER if data.worker_restarts or data.dropped_events else DIM
        pen.row(f"restarts {MIDDLE_DOT} lost", f"{data.worker_restarts} {MIDDLE_DOT} {data.dropped_events}", trouble)
        load = "" if data.cpu_percent < 0 else f"{data.cpu_percent:.0f} %"
        memory = "" if data.memory_mb <= 0 else f"{data.memory_mb:.0f} MB"
        pen.row("load", "  ".join(filter(None, (load, memory))) or "-", DIM)

    def live(self, layer: QuadBatch, data: HudData) -> None:
        """Add this frame's interval to the graph and write it: the line marks the target, late frames are amber."""
        self._intervals[:-1] = self._intervals[1:]
        self._intervals[-1] = data.control.time.delta
        target = 1.0 / data.target_fps if data.target_fps > 0 else 1.0 / 60.0
        graph = self.graph
        heights = np.minimum(self._intervals / (2.5 * target), 1.0).astype(np.float32) * graph.h
        late = self._intervals > 1.5 * target
        for chosen, colour in ((~late, faded(ACCENT, 0.75)), (late, AMBER)):
            tall = heights[chosen]
            layer.bars(self._x[chosen], (graph.bottom - tall).astype(np.float32), self._width, tall, colour)
        layer.rect(graph.x, round(graph.bottom - graph.h / 2.5), graph.w, 1, LINE)


class AlertPanel:
    """What is not well: one line a component or shader, errors first, each with its age."""

    def __init__(self, style: Style, rect: Rect) -> None:
        self.style, self.rect = style, rect
        self.room = max(1, int((rect.h + style.hair) // (style.line + style.hair)))

    def lines(self, data: HudData) -> list[tuple[Colour, str, str, str]]:
        """Return ``(colour, label, message, age)`` of each line, most pressing first."""
        now = data.control.time.time
        told = sorted(data.control.status.values(), key=lambda s: (s.level != "error", -s.time))
        lines = [
            (colour_of(s), s.component.upper(), s.message, duration(now - s.time) if now >= s.time else "")
            for s in told
            if s.level != "ok"
        ]
        errors = [line for line in lines if line[0] == RED]
        return errors + [(RED, "SHADER", text, "") for text in data.shader_errors] + lines[len(errors) :]

    def words(self, data: HudData) -> Hashable:
        """The lines as they are shown."""
        return tuple(self.lines(data))

    def build(self, back: QuadBatch, front: QuadBatch, data: HudData) -> None:
        """Write the lines; those without room are counted in the last one. Where there is room, long ones get two."""
        lines, style, rect = self.lines(data), self.style, self.rect
        if len(lines) > self.room:
            hidden = len(lines) - self.room + 1
            worst = RED if any(line[0] == RED for line in lines[self.room - 1 :]) else AMBER
            lines = [*lines[: self.room - 1], (worst, f"+{hidden} MORE", "", "")]
        spare = self.room - len(lines)
        y = rect.y
        for colour, label, message, age in lines:
            more = self._line(back, front, y, colour, (label, message, age), second=spare > 0)
            spare -= more
            y += (1 + more) * style.line + style.hair

    def _line(
        self,
        back: QuadBatch,
        front: QuadBatch,
        y: float,
        colour: Colour,
        words: tuple[str, str, str],
        *,
        second: bool,
    ) -> bool:
        """Write one line at ``y``; return whether it took a ``second`` one."""
        style, (label, message, age), atlas = self.style, words, front.atlas
        left, right = self.rect.x + 2 * style.hair + style.gap, self.rect.right - style.gap
        base = y + round((style.line + atlas.ascents["small"]) / 2)
        rest = right - (atlas.width(age, "small") + style.gap if age else 0)
        label = atlas.fit(label, "small", 0.4 * (rest - left))
        x = left + atlas.width(label, "small") + style.gap
        first, more = message, ""
        if second and atlas.width(message, "small") > rest - x:
            parts = message.split(" ")
            fits = [n for n in range(1, len(parts)) if atlas.width(" ".join(parts[:n]), "small") <= rest - x]
            if fits:
                first, more = " ".join(parts[: fits[-1]]), " ".join(parts[fits[-1] :])
        rect = Rect(self.rect.x, y, self.rect.w, style.line * (2 if more else 1))
        dark: Colour = (0.20 * colour[0], 0.17 * colour[1], 0.15 * colour[2], 0.92)
        back.rect(*rect, dark, radius=style.hair)
        back.rect(rect.x, rect.y, 2 * style.hair, rect.h, colour)
        front.text(right, base, age, "small", DIM, "right")
        front.text(left, base, label, "small", colour)
        if first and rest > x:
            front.text(x, base, atlas.fit(first, "small", rest - x), "small", TEXT)
        if more:
            front.text(x, base + style.line, atlas.fit(more, "small", right - x), "small", TEXT)
        return bool(more)

    def live(self, layer: QuadBatch, data: HudData) -> None:
        """Nothing moves here."""
