"""The head-up display: what the performer needs to know, at the edges of the preview picture."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import moderngl

from vjengine.compose.hud_batch import QuadBatch, QuadRenderer
from vjengine.compose.hud_controls import HintLine, MacroPanel, ParamPanel
from vjengine.compose.hud_crowd import CrowdPanel
from vjengine.compose.hud_data import HudData
from vjengine.compose.hud_layout import HudLayout, Rect, Size, stack
from vjengine.compose.hud_panels import AlertPanel, AudioPanel, OutputPanel, Panel, TempoPanel
from vjengine.compose.text import GlyphAtlas

__all__ = ["Hud", "HudData", "Page"]

Page = Literal["full", "show", "off"]
PAGES: tuple[Page, ...] = ("full", "show", "off")
"""``full`` has every panel, ``show`` only tempo, alerts, macros and the look, ``off`` nothing."""


@dataclass(slots=True)
class _Slot:
    """A panel and what it wrote last.

    Attributes:
        back, front: its quads below and above the meters.
        written: session time (s) of the last look at its words; ``None`` before the first.
        words: what they were.
    """

    panel: Panel
    back: QuadBatch
    front: QuadBatch
    written: float | None = None
    words: Hashable = None

    def refresh(self, data: HudData, now: float) -> None:
        """Write the panel anew if its words have changed."""
        words = self.panel.words(data)
        if self.written is None or words != self.words:
            self.back.clear()
            self.front.clear()
            self.panel.build(self.back, self.front, data)
            self.words = words
        self.written = now


class Hud:
    """Draws a :class:`HudData` over a picture with one draw call.

    Words are written anew at most twenty times a second, a few panels a frame so that no frame pays for all of them;
    meters move every frame. The HUD fits itself to the size of the target.

    Args:
        ctx: the GL context.
        size: width and height of the picture, px.
        shaders: the folder that holds ``hud/quad.vert.glsl`` and ``hud/quad.frag.glsl``.

    Attributes:
        page: what is visible; :meth:`cycle` turns it.
        draw_calls: GL draw calls of the last :meth:`draw`.

    Raises:
        ShaderError: if its shaders are missing or do not compile.
        MissingDependency: if Pillow cannot draw text.
    """

    WORDS_EVERY = 0.05  # s; faster than that, digits blur for the eye anyway

    def __init__(self, ctx: moderngl.Context, size: Size, shaders: Path) -> None:
        self.page: Page = "full"
        self.draw_calls = 0
        self._layout = HudLayout.of(size, 0)
        self._atlas = GlyphAtlas(self._layout.style.type_sizes)
        self._renderer = QuadRenderer(ctx, shaders, self._atlas)
        self._live = QuadBatch(self._atlas)
        self._slots: list[_Slot] = []
        self._arranged: tuple[Size, int, Page, bool] | None = None
        self._last = 0.0

    def cycle(self) -> Page:
        """Go on to the next page and return it."""
        self.page = PAGES[(PAGES.index(self.page) + 1) % len(PAGES)]
        return self.page

    def draw(self, target: moderngl.Framebuffer, data: HudData) -> None:
        """Draw over ``target``, which is bound afterwards; blending is off afterwards."""
        self.draw_calls = 0
        if self.page == "off":
            return
        now = data.control.time.time
        wanted = ((target.width, target.height), len(data.control.macros), self.page, bool(data.page))
        if wanted != self._arranged:
            self._arrange(*wanted)
        for slot in self._due(now):
            slot.refresh(data, now)
        self._live.clear()
        for slot in self._slots:
            slot.panel.live(self._live, data)
        layers = [*(slot.back for slot in self._slots), self._live, *(slot.front for slot in self._slots)]
        self.draw_calls = 1 if self._renderer.draw(target, layers) else 0

    def _due(self, now: float) -> list[_Slot]:
        """Return the panels to look at in this frame: the longest unread first, new ones all at once."""
        elapsed, self._last = now - self._last, now
        if elapsed < 0.0:
            # The clock jumped back: a new run. Old words must not stand until it has caught up.
            return list(self._slots)
        ages = [(math.inf if slot.written is None else now - slot.written, slot) for slot in self._slots]
        due = sorted((pair for pair in ages if pair[0] >= self.WORDS_EVERY - elapsed / 2), key=lambda pair: -pair[0])
        share = math.ceil(len(self._slots) * min(1.0, elapsed / self.WORDS_EVERY))
        return [slot for place, (age, slot) in enumerate(due) if place < share or age == math.inf]

    def _arrange(self, size: Size, macros: int, page: Page, crowd: bool) -> None:
        layout = HudLayout.of(size, macros)
        style = layout.style
        if style.type_sizes != self._atlas.sizes:
            self._atlas = GlyphAtlas(style.type_sizes)
            self._renderer.use_atlas(self._atlas)
            self._live = QuadBatch(self._atlas)
        self._layout, self._arranged = layout, (size, macros, page, crowd)
        panels: list[Panel] = []
        if layout.left:
            panels += self._left(layout.left, page, crowd)
        if layout.right and page == "full":
            panels += self._right(layout.right)
        if layout.alerts:
            panels.append(AlertPanel(style, layout.alerts))
        if layout.macros:
            panels.append(MacroPanel(style, layout.macros, layout.grid))
        if layout.hints:
            panels.append(HintLine(style, layout.hints))
        self._slots = [_Slot(panel, QuadBatch(self._atlas, 64), QuadBatch(self._atlas, 128)) for panel in panels]

    def _left(self, column: Rect, page: Page, crowd: bool) -> list[Panel]:
        style = self._layout.style
        kinds: list[type[TempoPanel | AudioPanel | CrowdPanel]] = [TempoPanel]
        if page == "full":
            kinds.append(AudioPanel)
        if crowd:
            kinds.append(CrowdPanel)
        places = stack(column, tuple(kind.height(style) for kind in kinds), style.gap)
        return [kind(style, place) for kind, place in zip(kinds, places, strict=True) if place]

    def _right(self, column: Rect) -> list[Panel]:
        style = self._layout.style
        (output,) = stack(column, (OutputPanel.height(style),), style.gap)
        if not output:
            return []
        below = output.bottom + style.gap
        rest = Rect(column.x, below, column.w, max(0.0, column.bottom - below))
        return [OutputPanel(style, output), ParamPanel(style, rest)]

    def release(self) -> None:
        """Free all GL objects."""
        self._renderer.release()
