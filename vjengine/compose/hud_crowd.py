"""The HUD's panel of the crowd: how many wait, whose words are in the picture, and where the page is."""

from __future__ import annotations

from collections.abc import Hashable

from vjengine.compose.hud_batch import QuadBatch
from vjengine.compose.hud_data import HudData
from vjengine.compose.hud_layout import Rect, Style
from vjengine.compose.hud_theme import ACCENT, AMBER, DIM, FAINT, TEXT, Pen


class CrowdPanel:
    """The queue, the words that play with their author, and the page's address."""

    def __init__(self, style: Style, rect: Rect) -> None:
        self.style, self.rect = style, rect

    @staticmethod
    def height(style: Style) -> float:
        """Return the height it needs, px."""
        return 2 * style.pad + 4 * style.line

    def words(self, data: HudData) -> Hashable:
        """All that is written."""
        crowd = data.control.crowd
        return crowd.text, crowd.author, self.state(data), data.page, data.pages_open, data.crowd_waiting

    def state(self, data: HudData) -> str:
        """Return in a word where the crowd's text stands."""
        crowd = data.control.crowd
        if data.control.values["crowd.lock"] >= 0.5:
            return "locked"
        if crowd.waiting is not None and crowd.waiting[0]:
            return "at the bar"
        if not crowd.text:
            return ""
        return "on" if crowd.amount >= 1.0 else f"{100 * crowd.amount:.0f} %"

    def build(self, back: QuadBatch, front: QuadBatch, data: HudData) -> None:
        """Write the four lines, or only the address where the crowd has no page."""
        opened = f"{data.pages_open} open" if data.pages_open >= 0 else ""
        if data.crowd_waiting < 0:
            pen = Pen(self.style, self.rect._replace(h=2 * self.style.pad + self.style.line), back, front)
            pen.row(data.page, opened, DIM)
            return
        pen, crowd, state = Pen(self.style, self.rect, back, front), data.control.crowd, self.state(data)
        pen.header("CROWD", f"{data.crowd_waiting} waiting", TEXT if data.crowd_waiting else DIM)
        playing = crowd.text if crowd.amount > 0.0 else ""
        pen.line(playing or "no words yet", "small", TEXT if playing else FAINT)
        pen.y += self.style.line
        author = f"by {crowd.author}" if playing and crowd.author else ""
        pen.row(author, state, AMBER if state == "locked" else ACCENT)
        pen.row(data.page, opened, DIM)

    def live(self, layer: QuadBatch, data: HudData) -> None:
        """Nothing moves here."""
