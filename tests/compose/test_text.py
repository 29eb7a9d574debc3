"""The glyph atlas and the text cut from it: no GL needed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjengine.compose.text import BOX, CHARACTERS, ELLIPSIS, GlyphAtlas, drawable

SIZES = {"small": 12, "huge": 60}


@pytest.fixture(scope="module")
def atlas() -> GlyphAtlas:
    return GlyphAtlas(SIZES)


def ink(atlas: GlyphAtlas, text: str, size: str) -> np.ndarray:
    """Set a line of text as the GPU would: coverage on a canvas, baseline at half its height."""
    canvas = np.zeros((200, 1200), np.int64)
    for x, y, w, h, u, v in atlas.run(text, size).quads.astype(int):
        canvas[100 + y : 100 + y + h, 20 + x : 20 + x + w] += atlas.pixels[v : v + h, u : u + w]
    return canvas


def test_every_character_has_ink_and_no_two_share_it(atlas):
    for size in SIZES:
        shapes = {}
        for character in CHARACTERS + BOX:
            quads = atlas.run(character, size).quads
            if character == " ":
                assert len(quads) == 0
                continue
            x, y, w, h, u, v = quads[0].astype(int)
            mask = atlas.pixels[v : v + h, u : u + w]
            assert mask.max() > 60, character
            shapes.setdefault((x, y, mask.shape, mask.tobytes()), []).append(character)
        # At small sizes a few glyphs may look alike (I and l, a stroke and a bar); letters and digits may not.
        alike = ["".join(c) for c in shapes.values() if len([d for d in c if d.isalnum() and d not in "Il"]) > 1]
        assert not alike


def test_digits_share_one_advance(atlas):
    for size in SIZES:
        widths = {atlas.width(digit, size) for digit in "0123456789"}
        assert len(widths) == 1
        assert atlas.width("111.1", size) == atlas.width("888.8", size)


def test_text_stands_on_its_baseline_with_the_stated_ascent(atlas):
    rows = np.nonzero(ink(atlas, "HHH", "huge").max(axis=1) > 128)[0]
    assert rows.min() == 100 - atlas.ascents["huge"]
    assert rows.max() == 99


def test_a_line_is_as_wide_as_its_advances(atlas):
    for size in SIZES:
        assert atlas.width("tempo 128", size) == sum(atlas.width(c, size) for c in "tempo 128")
    columns = np.nonzero(ink(atlas, "tempo", "huge").max(axis=0))[0]
    assert columns.max() - columns.min() <= atlas.width("tempo", "huge")


def test_long_lines_end_in_an_ellipsis_and_fit(atlas):
    text = "Scarlett 18i20 USB, rear inputs 1 and 2"
    for limit in range(0, 300, 7):
        fitted = atlas.fit(text, "small", limit)
        assert atlas.width(fitted, "small") <= limit
        assert fitted in ("", text) or fitted.endswith(ELLIPSIS)
    assert atlas.fit(text, "small", 10_000) == text


def test_accents_go_and_unknown_signs_become_boxes(atlas):
    assert drawable("Übertragung Ångström naïve") == "Ubertragung Angstrom naive"
    assert drawable("音A") == f"{BOX}A"
    assert drawable("1–2 “x” → ß") == '1-2 "x" > ss'
    assert drawable("a\tb\nc\x00\x1b[31m") == "a b c[31m"
    assert ink(atlas, "音", "huge").sum() == ink(atlas, BOX, "huge").sum() > 0


def test_a_box_is_an_outline(atlas):
    w, h, u, v = atlas.run(BOX, "huge").quads[0, 2:].astype(int)
    mask = atlas.pixels[v : v + h, u : u + w]
    assert mask[0].min() > 0
    assert mask[:, 0].min() > 0
    assert mask[1:-1, 1:-1].max() == 0


@given(st.text(max_size=60))
def test_any_text_can_be_set(text):
    atlas = _ATLAS
    run = atlas.run(text, "small")
    assert np.isfinite(run.quads).all()
    assert atlas.width(atlas.fit(text, "small", 50), "small") <= 50
    if len(run.quads):
        assert (run.quads[:, 4] + run.quads[:, 2]).max() <= atlas.pixels.shape[1]
        assert (run.quads[:, 5] + run.quads[:, 3]).max() <= atlas.pixels.shape[0]


_ATLAS = GlyphAtlas(SIZES)


def test_endless_text_is_cut_before_it_costs_anything(atlas):
    assert len(drawable("x" * 1_000_000)) < 1000
    assert atlas.fit("x" * 1_000_000, "small", 100).endswith(ELLIPSIS)


def test_remembering_lines_is_bounded(atlas):
    for number in range(5000):
        atlas.run(f"{number}", "small")
        atlas.fit(f"{number} fps", "small", 40 + number % 7)
    assert len(atlas._runs) <= 1024
    assert len(atlas._fitted) <= 1024


@pytest.mark.parametrize("pixels", [1, 4, 7, 300])
def test_odd_sizes_make_an_atlas(pixels):
    atlas = GlyphAtlas({"only": pixels})
    assert atlas.width("128.0", "only") > 0
    assert atlas.pixels.shape[1] == GlyphAtlas.WIDTH
