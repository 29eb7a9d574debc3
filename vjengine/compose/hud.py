"""The head-up display: what the performer needs to know, at the edges of the preview picture."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import moderngl

from vjengine.compose.hud_batch import QuadBatch, QuadRenderer
from vjengine.compose.hud_controls import HintLine, MacroPanel, ParamPanel
from vjengine.compose.hud_data import HudData
from vjengine.compose.hud_layout import HudLayout, Rect, Size, stack
from vjengine.compose.hud_panels import AlertPanel, AudioPanel, OutputPanel, Panel, TempoPanel
from vjengine.compose.text import GlyphAtlas

__all__ = ["Hud", "HudData", "Page"]

Page = Literal["full", "show", "off"]
PAGES: tuple[Page, ...] = ("full", "show", "off")
"""``full`` has every panel, ``show`` only tempo, alerts, macros and the look, ``off`` nothing."""


class Hud:
    """Draws a :class:`HudData` over a picture with one draw call.

    Words are written anew twenty times a second, meters every frame. The HUD fits itself to the size of the target.

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
        self._layers = tuple(QuadBatch(self._atlas) for _ in range(3))
        self._panels: list[Panel] = []
        self._arranged: tuple[Size, int, Page] | None = None
        self._written = 0.0

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
        wanted = ((target.width, target.height), len(data.control.macros), self.page)
        back, live, front = self._layers
        if wanted != self._arranged:
            self._arrange(*wanted)
            back, live, front = self._layers
        # A clock that jumps back (a new run) must not leave old words standing.
        if self._arranged is None or not 0.0 <= now - self._written < self.WORDS_EVERY:
            back.clear()
            front.clear()
            for panel in self._panels:
                panel.build(back, front, data)
            self._written, self._arranged = now, wanted
        live.clear()
        for panel in self._panels:
            panel.live(live, data)
        if self._renderer.draw(target, self._layers):
            self.draw_calls = 1

    def _arrange(self, size: Size, macros: int, page: Page) -> None:
        layout = HudLayout.of(size, macros)
        style = layout.style
        if style.type_sizes != self._atlas.sizes:
            self._atlas = GlyphAtlas(style.type_sizes)
            self._renderer.use_atlas(self._atlas)
            self._layers = tuple(QuadBatch(self._atlas) for _ in range(3))
        self._layout, self._arranged = layout, None
        panels: list[Panel] = []
        if layout.left:
            panels += self._left(layout.left, page)
        if layout.right and page == "full":
            panels += self._right(layout.right)
        if layout.alerts:
            panels.append(AlertPanel(style, layout.alerts))
        if layout.macros:
            panels.append(MacroPanel(style, layout.macros, layout.grid))
        if layout.hints:
            panels.append(HintLine(style, layout.hints))
        self._panels = panels

    def _left(self, column: Rect, page: Page) -> list[Panel]:
        style = self._layout.style
        tempo, audio = stack(column, (TempoPanel.height(style), AudioPanel.height(style)), style.gap)
        panels: list[Panel] = []
        if tempo:
            panels.append(TempoPanel(style, tempo))
        if audio and page == "full":
            panels.append(AudioPanel(style, audio))
        return panels

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
