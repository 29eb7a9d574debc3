"""A drawing of a track: sections, waveform, and what a score does to it, over one line of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vjengine.audio.track import CURVE_RATE, TrackAnalysis
from vjengine.offline.preview.drawing import (
    FAINT,
    GROUND,
    LOUD,
    MARK,
    PANEL,
    SECTION_COLOURS,
    TEXT,
    WAVE,
    check_picture,
    clock,
    font,
    load_pillow,
    save,
)

if TYPE_CHECKING:
    from PIL.Image import Image

_LEFT, _RIGHT, _TOP = 74, 14, 30
_BAND, _WAVE_HIGH, _GAP, _MARKS = 22, 190, 4, 46
_SHADES = ("#44516b", "#5d4a6b", "#3f6258", "#6b5644")
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the track with a name: s, s, text, and a colour of its own, if any."""

    start: float
    end: float
    label: str
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happens at ``time`` s."""

    time: float
    label: str


def waveform(
    analysis: TrackAnalysis,
    out: Path,
    *,
    lanes: Mapping[str, Sequence[Span]] | None = None,
    marks: Sequence[Mark] = (),
    width: int = 1600,
    title: str = "",
) -> None:
    """Draw a track to ``out``: its sections, its waveform and loudness, ``lanes`` of spans below, and ``marks``.

    Args:
        analysis: what was heard.
        out: ``.png``, ``.jpg`` or ``.webp``.
        lanes: rows of spans, by name: scenes, prompts.
        marks: cues; their names are written where there is room.
        width: px.
        title: a line above.

    Raises:
        RecordError: if it cannot be written there.
    """
    check_picture(out)
    load_pillow()
    save(_Drawing(analysis, max(400, width)).draw(dict(lanes or {}), marks, title), out)


class _Drawing:
    def __init__(self, analysis: TrackAnalysis, width: int) -> None:
        self._analysis = analysis
        self._duration = max(analysis.duration, 0.1)
        self._width = width
        self._letters = font(11)
        self._draw: Any = None

    def draw(self, lanes: dict[str, Sequence[Span]], marks: Sequence[Mark], title: str) -> Image:
        from PIL import Image, ImageDraw

        height = _TOP + _BAND + _GAP + _WAVE_HIGH + _GAP + len(lanes) * (_BAND + _GAP) + _MARKS * bool(marks) + 24
        image = Image.new("RGB", (self._width, height), GROUND)
        self._draw = ImageDraw.Draw(image)
        self._draw.text((_LEFT, 8), title, fill=TEXT, font=font(14))
        sections = [Span(s.start, s.end, s.label, SECTION_COLOURS[s.label]) for s in self._analysis.sections]
        y = self._lane(_TOP, "sections", sections)
        wave = y
        y = self._wave(y)
        for name, spans in lanes.items():
            y = self._lane(y, name, spans)
        if marks:
            self._marks(wave, y, marks)
            y += _MARKS
        self._times(wave, y)
        return image

    def _x(self, time: float) -> int:
        inner = self._width - _LEFT - _RIGHT
        return _LEFT + round(min(1.0, max(0.0, time / self._duration)) * inner)

    def _name(self, y: float, name: str) -> None:
        self._draw.text((_LEFT - 8, y), name, fill=TEXT, font=self._letters, anchor="rm")

    def _fitted(self, text: str, room: float) -> str:
        """Return as much of ``text`` as fits into ``room`` px."""
        if self._draw.textlength(text, font=self._letters) <= room:
            return text
        while text and self._draw.textlength(text + "…", font=self._letters) > room:
            text = text[:-1]
        return text + "…" if len(text) > 1 else ""

    def _lane(self, y: int, name: str, spans: Sequence[Span]) -> int:
        self._name(y + _BAND / 2, name)
        self._draw.rectangle((_LEFT, y, self._width - _RIGHT, y + _BAND - 1), fill=PANEL)
        for i, span in enumerate(spans):
            left, right = self._x(span.start), self._x(span.end)
            if span.start >= self._duration or right <= left:
                continue
            self._draw.rectangle((left, y, right - 1, y + _BAND - 1), fill=span.colour or _SHADES[i % len(_SHADES)])
            label = self._fitted(span.label, right - left - 8)
            self._draw.text((left + 5, y + _BAND / 2), label, fill="white", font=self._letters, anchor="lm")
        return y + _BAND + _GAP

    def _wave(self, y: int) -> int:
        self._name(y + _WAVE_HIGH / 2, "wave")
        self._draw.rectangle((_LEFT, y, self._width - _RIGHT, y + _WAVE_HIGH - 1), fill=PANEL)
        envelope = self._analysis.envelope
        if not envelope.size:
            return y + _WAVE_HIGH + _GAP
        # Over two seconds: a line that follows every kick says nothing about the track.
        window = min(2 * round(CURVE_RATE), len(self._analysis.loudness))
        loudness = np.convolve(self._analysis.loudness, np.full(window, 1.0 / window), mode="same")
        inner = self._width - _LEFT - _RIGHT
        middle, half = y + _WAVE_HIGH / 2, _WAVE_HIGH / 2 - 4
        top = max(float(np.abs(envelope).max()), 1e-3)
        edges = np.linspace(0, len(envelope), inner + 1).astype(int)
        line = []
        for i in range(inner):
            part = slice(edges[i], max(edges[i] + 1, edges[i + 1]))
            low, high = envelope[part, 0].min() / top, envelope[part, 1].max() / top
            x = _LEFT + i
            self._draw.line((x, middle - high * half, x, middle - low * half), fill=WAVE)
            line.append((x, y + _WAVE_HIGH - 4 - float(loudness[part].mean()) * 2 * half))
        self._draw.line(line, fill=LOUD, width=2)
        return y + _WAVE_HIGH + _GAP

    def _marks(self, wave: int, y: int, marks: Sequence[Mark]) -> None:
        """Draw a line for every mark, and its name in the first of three rows where there is room."""
        self._name(y + _MARKS / 2, "cues")
        ends = [0.0, 0.0, 0.0]
        for mark in marks:
            if not 0.0 <= mark.time <= self._duration:
                continue
            x = self._x(mark.time)
            self._draw.line((x, wave, x, y + 4), fill=MARK)
            for row, end in enumerate(ends):
                if end <= x:
                    self._draw.text((x, y + 5 + row * 13), mark.label, fill=TEXT, font=self._letters)
                    ends[row] = x + self._draw.textlength(mark.label, font=self._letters) + 8
                    break

    def _times(self, wave: int, y: int) -> None:
        inner = self._width - _LEFT - _RIGHT
        step = next((s for s in _STEPS if s / self._duration * inner >= 70), _STEPS[-1])
        for n in range(int(self._duration / step) + 1):
            x = self._x(n * step)
            self._draw.line((x, y, x, y + 4), fill=FAINT)
            self._draw.text((x, y + 6), clock(n * step), fill=TEXT, font=self._letters, anchor="ma")
