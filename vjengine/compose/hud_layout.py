"""Where things stand in the HUD: pure geometry in px, counted from the top left.

Two columns at the sides, alerts between them along the top, macros and a line of hints along the bottom. The middle
half of the picture, both ways, is never covered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

Size = tuple[int, int]


class Rect(NamedTuple):
    """A rectangle, px."""

    x: float
    y: float
    w: float
    h: float

    @property
    def right(self) -> float:
        """First px beyond it to the right."""
        return self.x + self.w

    @property
    def bottom(self) -> float:
        """First px below it."""
        return self.y + self.h

    def inset(self, by: float) -> Rect:
        """Return it smaller by ``by`` on every side."""
        return Rect(self.x + by, self.y + by, max(0.0, self.w - 2 * by), max(0.0, self.h - 2 * by))


@dataclass(frozen=True, slots=True)
class Style:
    """Measures that follow from the picture's size.

    Attributes:
        scale: 1 at 1280×720. Type stops shrinking before measures do, to stay legible.
        small, body, title, huge: type sizes, px.
        pad: inner margin of a panel; ``gap``: between panels; ``margin``: to the picture's edge.
        line: height of a row of text.
        hair: thickness of a thin line.
        column: width of the side columns.
    """

    scale: float
    small: int
    body: int
    title: int
    huge: int
    pad: int
    gap: int
    margin: int
    line: int
    hair: int
    column: int

    @classmethod
    def of(cls, size: Size) -> Style:
        """Return the measures for a picture of ``size`` px."""
        scale = min(size[0] / 1280, size[1] / 720)

        def px(value: float, least: int) -> int:
            return max(least, round(value * scale))

        body = px(18, 11)
        margin = px(14, 4)
        column = min(px(308, 152), size[0] // 4 - margin)
        return cls(
            scale=scale,
            small=px(15, 10),
            body=body,
            title=px(28, 16),
            huge=px(64, 32),
            pad=px(12, 6),
            gap=px(8, 4),
            margin=margin,
            line=px(24, 14),
            hair=px(2, 1),
            column=column,
        )

    @property
    def type_sizes(self) -> dict[str, int]:
        """The type sizes by the names that texts use."""
        return {"small": self.small, "body": self.body, "title": self.title, "huge": self.huge}


@dataclass(frozen=True, slots=True)
class ChipGrid:
    """How the macros stand along the bottom.

    Attributes:
        columns, rows: of the grid.
        width, height: of one chip, px.
        detailed: True if a chip has room for its second line.
        shown: chips shown; if fewer than there are, the last cell says how many more.
    """

    columns: int
    rows: int
    width: float
    height: float
    detailed: bool
    shown: int

    def cell(self, index: int, area: Rect, gap: float) -> Rect:
        """Return the place of chip ``index`` in ``area``."""
        row, column = divmod(index, self.columns)
        x = round(area.x + column * (self.width + gap))
        right = round(area.x + column * (self.width + gap) + self.width)
        return Rect(x, round(area.y + row * (self.height + gap)), right - x, round(self.height))

    def total_height(self, gap: float) -> float:
        """Return the height of all rows, px."""
        return self.rows * self.height + max(0, self.rows - 1) * gap


def chip_grid(count: int, width: float, limit: float, style: Style) -> ChipGrid:
    """Fit ``count`` macros into ``width`` px and at most ``limit`` px of height.

    Few macros get wide chips of two lines; many get narrow ones of a single line; too many are cut.
    """
    gap = style.gap
    tall, low = round(style.line * 1.95), round(style.line * 1.15)
    if count <= 0:
        return ChipGrid(1, 0, width, low, False, 0)

    def rows_for(columns: int) -> int:
        return math.ceil(count / columns)

    columns = _columns(width, 6.5 * style.body, gap)
    rows = rows_for(columns)
    detailed = rows <= (1 if style.scale < 0.7 else 2) and rows * (tall + gap) - gap <= limit
    height = tall if detailed else low
    if not detailed:
        columns = _columns(width, 6.8 * style.small, gap)
        rows = max(1, min(rows_for(columns), int((limit + gap) // (height + gap))))
    if columns * rows >= count:
        columns, shown = rows_for(rows), count
    else:
        shown = columns * rows - 1
    each = min(10.0 * style.body, (width - (columns - 1) * gap) / columns)
    return ChipGrid(columns, rows, each, height, detailed, shown)


def _columns(width: float, least: float, gap: float) -> int:
    """Return how many cells of at least ``least`` px stand side by side."""
    return max(1, int((width + gap) // (least + gap)))


@dataclass(frozen=True, slots=True)
class HudLayout:
    """The areas of a HUD; an area without room is ``None``.

    Attributes:
        size: of the picture, px.
        style: its measures.
        left, right: the side columns.
        alerts: along the top, between the columns.
        macros: along the bottom; ``grid`` is the arrangement in it.
        hints: the lowest line.
    """

    size: Size
    style: Style
    left: Rect | None
    right: Rect | None
    alerts: Rect | None
    macros: Rect | None
    grid: ChipGrid
    hints: Rect | None

    @classmethod
    def of(cls, size: Size, macros: int) -> HudLayout:
        """Lay out a picture of ``size`` px with that many macros."""
        width, height = size
        style = Style.of(size)
        margin, gap = style.margin, style.gap
        inner = width - 2 * margin
        empty = ChipGrid(1, 0, 0.0, 0.0, False, 0)
        if style.column < 80 or height < 120:
            # A thumbnail: only alerts have a claim on it.
            low = Rect(margin, margin, max(0, inner), max(0, height // 4 - margin))
            alerts = low if low.h >= style.line and low.w >= 60 else None
            return cls(size, style, None, None, alerts, None, empty, None)
        hints = Rect(margin, height - margin // 2 - style.line, inner, style.line)
        grid = chip_grid(macros, inner, 0.245 * height - style.line - margin, style)
        chips_height = grid.total_height(gap)
        chips = Rect(margin, hints.y - gap - chips_height, inner, chips_height) if macros else None
        floor = (chips or hints).y - gap
        left = Rect(margin, margin, style.column, floor - margin)
        right = Rect(width - margin - style.column, margin, style.column, floor - margin)
        top = Rect(left.right + gap, margin, right.x - left.right - 2 * gap, height // 4 - margin)
        return cls(size, style, left, right, top, chips, grid, hints)

    @property
    def centre(self) -> Rect:
        """The middle half of the picture, which stays free."""
        width, height = self.size
        return Rect(width / 4, height / 4, width / 2, height / 2)


def stack(column: Rect, heights: tuple[float, ...], gap: float) -> list[Rect | None]:
    """Put panels of ``heights`` under one another in ``column``; those without room become ``None``."""
    y = column.y
    places: list[Rect | None] = []
    for height in heights:
        if y + height <= column.bottom:
            places.append(Rect(column.x, y, column.w, height))
            y += height + gap
        else:
            places.append(None)
    return places
