"""The HUD's colours, and the few shapes that all panels are made of.

One accent colour; amber and red are kept for warnings and errors, so that either is seen at once.
"""

from __future__ import annotations

from vjengine.compose.hud_batch import Align, Colour, QuadBatch
from vjengine.compose.hud_layout import Rect, Style

PANEL: Colour = (0.030, 0.036, 0.046, 0.82)
TROUGH: Colour = (1.0, 1.0, 1.0, 0.10)
LINE: Colour = (1.0, 1.0, 1.0, 0.24)
TEXT: Colour = (0.95, 0.96, 0.97, 1.0)
DIM: Colour = (0.66, 0.70, 0.74, 1.0)
FAINT: Colour = (0.42, 0.45, 0.49, 1.0)
ACCENT: Colour = (0.22, 0.86, 0.80, 1.0)
AMBER: Colour = (1.0, 0.70, 0.12, 1.0)
RED: Colour = (1.0, 0.27, 0.24, 1.0)

LEVEL_COLOURS = {"ok": ACCENT, "warn": AMBER, "error": RED}


def faded(colour: Colour, by: float) -> Colour:
    """Return ``colour`` with its alpha scaled by ``by``."""
    return (*colour[:3], colour[3] * by)


class Pen:
    """Draws the shapes of one panel into the layers: ``back`` below the meters, ``front`` above them."""

    def __init__(self, style: Style, rect: Rect, back: QuadBatch, front: QuadBatch) -> None:
        self.style = style
        self.back = back
        self.front = front
        self.inner = rect.inset(style.pad)
        self.y = self.inner.y
        back.rect(*rect, PANEL, radius=round(6 * max(0.6, style.scale)))

    def ascent(self, size: str) -> int:
        """Return the height of a capital, px."""
        return self.front.atlas.ascents[size]

    def line(self, text: str, size: str, colour: Colour, align: Align = "left", limit: float | None = None) -> int:
        """Write ``text`` centred in the row at ``y``, at most ``limit`` px wide; return its width."""
        room = self.inner.w if limit is None else limit
        x = self.inner.x if align == "left" else self.inner.right
        return self.write(x, self.y, self.style.line, text, size, colour, align, room)

    def write(
        self, x: float, y: float, h: float, text: str, size: str, colour: Colour, align: Align = "left", room: float = 0
    ) -> int:
        """Write ``text`` at ``x``, vertically centred in ``y`` … ``y + h``; return its width in px."""
        shown = self.front.atlas.fit(text, size, room) if room else text
        return self.front.text(x, y + round((h + self.ascent(size)) / 2), shown, size, colour, align)

    def row(self, label: str, value: str, colour: Colour = TEXT) -> None:
        """Write a dim label at the left and its value at the right, and go on to the next row."""
        used = self.line(label, "small", DIM, limit=self.inner.w * 0.62)
        self.line(value, "small", colour, "right", self.inner.w - used - self.style.gap)
        self.y += self.style.line

    def header(self, label: str, value: str = "", colour: Colour = DIM) -> None:
        """Write the panel's heading with a word to it at the right."""
        used = self.line(label, "small", FAINT if not value else DIM)
        if value:
            self.line(value, "small", colour, "right", self.inner.w - used - self.style.gap)
        self.y += self.style.line
