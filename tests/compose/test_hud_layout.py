"""The HUD's geometry: nothing overlaps, nothing leaves the picture, the middle stays free."""

from __future__ import annotations

import itertools

import pytest

from vjengine.compose.hud_layout import HudLayout, Rect, Style, chip_grid, stack

SIZES = [
    (640, 360),
    (854, 480),
    (1024, 768),
    (1280, 720),
    (1920, 1080),
    (3840, 2160),
    (3840, 1080),
    (720, 1280),
    (400, 400),
    (320, 180),
    (160, 90),
    (64, 36),
    (16, 9),
    (1, 1),
]
COUNTS = [0, 1, 7, 10, 24, 40, 200]


def overlap(a: Rect, b: Rect) -> bool:
    return a.x < b.right and b.x < a.right and a.y < b.bottom and b.y < a.bottom


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("macros", COUNTS)
def test_areas_stay_apart_inside_the_picture_and_off_its_middle(size, macros):
    layout = HudLayout.of(size, macros)
    areas = [a for a in (layout.left, layout.right, layout.alerts, layout.macros, layout.hints) if a]
    for area in areas:
        assert area.w >= 0
        assert area.h >= 0
        assert area.x >= 0
        assert area.y >= 0
        assert area.right <= size[0]
        assert area.bottom <= size[1]
        assert not overlap(area, layout.centre)
    for a, b in itertools.combinations(areas, 2):
        assert not overlap(a, b)


@pytest.mark.parametrize("size", [s for s in SIZES if min(s) >= 120])
@pytest.mark.parametrize("macros", COUNTS)
def test_chips_stay_in_their_area_and_none_is_lost(size, macros):
    layout = HudLayout.of(size, macros)
    if layout.macros is None:
        return
    grid, gap = layout.grid, layout.style.gap
    cells = grid.shown + (1 if grid.shown < macros else 0)
    assert cells <= grid.columns * grid.rows
    assert grid.shown > 0 or macros > 0
    rects = [grid.cell(i, layout.macros, gap) for i in range(cells)]
    for rect in rects:
        assert rect.right <= layout.macros.right + 1
        assert rect.bottom <= layout.macros.bottom + 1
    for a, b in itertools.combinations(rects[:60], 2):
        assert not overlap(a, b)


def test_few_macros_get_two_lines_and_many_get_one():
    style = Style.of((1280, 720))
    assert chip_grid(10, 1252, 138, style).detailed
    many = chip_grid(40, 1252, 138, style)
    assert not many.detailed
    assert many.shown == 40
    assert chip_grid(500, 1252, 138, style).shown < 500


def test_measures_grow_with_the_picture_and_type_stays_legible():
    styles = [Style.of((16 * n, 9 * n)) for n in (10, 20, 40, 80, 120, 240)]
    assert all(a.small <= b.small and a.column <= b.column for a, b in itertools.pairwise(styles))
    assert min(style.small for style in styles) >= 10
    assert Style.of((1920, 1080)).body == pytest.approx(1.5 * Style.of((1280, 720)).body, abs=1)


def test_a_panel_without_room_is_left_out_and_a_smaller_one_takes_its_place():
    column = Rect(10, 10, 100, 100)
    first, second, third = stack(column, (60.0, 60.0, 20.0), 5)
    assert first == (10, 10, 100, 60)
    assert second is None
    assert third == (10, 75, 100, 20)
