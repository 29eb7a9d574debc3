"""Text for the HUD: a glyph atlas made once with Pillow, and runs of glyph quads cut from it.

The typeface is the one embedded in Pillow (Aileron, public domain under CC0), so that a HUD looks the same on every
machine and needs no font installed. It holds ASCII and a little punctuation: accented letters lose their accents, a
few common signs are replaced by near relatives, and anything else shows as a box.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vjengine.errors import MissingDependency

Floats = npt.NDArray[np.float32]

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
BOX = "\N{WHITE SQUARE}"
MIDDLE_DOT = "\N{MIDDLE DOT}"
CHARACTERS = "".join(map(chr, range(0x20, 0x7F))) + ELLIPSIS + MIDDLE_DOT + "\N{DEGREE SIGN}\N{PLUS-MINUS SIGN}"
"""Characters with a glyph of their own, besides the box."""

_RELATIVES = str.maketrans(
    {
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{MINUS SIGN}": "-",
        "\N{NON-BREAKING HYPHEN}": "-",
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{LATIN SMALL LETTER SHARP S}": "ss",
        "\N{LATIN SMALL LETTER O WITH STROKE}": "o",
        "\N{LATIN CAPITAL LETTER O WITH STROKE}": "O",
        "\N{LATIN SMALL LETTER L WITH STROKE}": "l",
        "\N{LATIN SMALL LETTER AE}": "ae",
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{RIGHTWARDS ARROW}": ">",
        "\N{LEFTWARDS ARROW}": "<",
        "\t": " ",
        "\n": " ",
        "\r": " ",
    }
)
_LONGEST = 512  # a name from outside may be any length; no line of the HUD holds more than this
_RUNS_KEPT = 1024


@lru_cache(maxsize=2048)
def drawable(text: str) -> str:
    """Return ``text`` made of characters that have glyphs: accents go, unknown characters become boxes."""
    known = text[:_LONGEST].translate(_RELATIVES)
    if known.isascii() and known.isprintable():
        return known
    plain = "".join(c for c in unicodedata.normalize("NFKD", known) if not unicodedata.combining(c))
    return "".join(c if c in CHARACTERS else BOX for c in plain if c.isprintable())


@dataclass(frozen=True, slots=True)
class TextRun:
    """A line of text as quads.

    Attributes:
        quads: ``(n, 6)`` float32: x, y, width, height in px from the start of the baseline, y down; u, v of the
            glyph's top left in the atlas, px. Spaces have no quad.
        width: advance of the whole line, px.
    """

    quads: Floats
    width: int


@dataclass(frozen=True, slots=True)
class _Glyph:
    quad: tuple[float, float, float, float, float, float]
    advance: int


class GlyphAtlas:
    """Every character at a few sizes in one image.

    Args:
        sizes: pixel height of each named size, e.g. ``{"body": 15}``.

    Attributes:
        pixels: ``(H, W)`` uint8 coverage, top row first.
        sizes: as given.
        ascents: px from the baseline to the top of a capital, a size.

    Digits share one advance within a size, so that changing numbers do not dance.

    Raises:
        MissingDependency: if Pillow was built without FreeType.
    """

    WIDTH = 1024

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = dict(sizes)
        self.ascents: dict[str, int] = {}
        self._glyphs: dict[str, dict[str, _Glyph]] = {}
        self._runs: dict[tuple[str, str], TextRun] = {}
        self._fitted: dict[tuple[str, str, float], str] = {}
        self._masks: list[tuple[int, int, npt.NDArray[np.uint8]]] = []
        self._pen_x = self._pen_y = self._shelf = 0
        for name, pixels in self.sizes.items():
            self._glyphs[name] = self._draw_size(name, max(4, int(pixels)))
        height = self._pen_y + self._shelf
        self.pixels = np.zeros((max(1, height), self.WIDTH), dtype=np.uint8)
        for x, y, mask in self._masks:
            self.pixels[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
        self._masks.clear()
        self.pixels.flags.writeable = False

    def _draw_size(self, name: str, pixels: int) -> dict[str, _Glyph]:
        from PIL import ImageFont

        font = ImageFont.load_default(pixels)
        if not isinstance(font, ImageFont.FreeTypeFont):
            raise MissingDependency("Pillow with FreeType", "pip install --force-reinstall Pillow")
        self.ascents[name] = -round(font.getbbox("H", anchor="ls")[1])
        digit = max(round(font.getlength(c)) for c in "0123456789")
        glyphs = {}
        for character in CHARACTERS:
            mask, (left, top) = font.getmask2(character, mode="L", anchor="ls")
            coverage = np.asarray(mask, dtype=np.uint8).reshape(mask.size[1], mask.size[0])
            # Whole pixels throughout: fractions would leave uneven gaps once glyphs are set on the pixel grid.
            advance = round(font.getlength(character))
            if character in "0123456789":
                left += (digit - advance) // 2
                advance = digit
            elif character == " ":
                advance = max(advance, math.ceil(0.28 * pixels))
            glyphs[character] = self._place(coverage, left, top, advance)
        glyphs[BOX] = self._box(self.ascents[name])
        return glyphs

    def _box(self, ascent: int) -> _Glyph:
        """Draw the stand-in of an unknown character: an outline as tall as a capital."""
        width = max(3, round(0.62 * ascent))
        coverage = np.full((max(3, ascent), width), 200, dtype=np.uint8)
        coverage[1:-1, 1:-1] = 0
        return self._place(coverage, 1, -ascent, width + 2)

    def _place(self, coverage: npt.NDArray[np.uint8], left: float, top: float, advance: int) -> _Glyph:
        height, width = coverage.shape
        if self._pen_x + width + 1 > self.WIDTH:
            self._pen_x, self._pen_y, self._shelf = 0, self._pen_y + self._shelf, 0
        x, y = self._pen_x, self._pen_y
        self._masks.append((x, y, coverage))
        self._pen_x += width + 1
        self._shelf = max(self._shelf, height + 1)
        return _Glyph((float(left), float(top), float(width), float(height), float(x), float(y)), advance)

    def width(self, text: str, size: str) -> int:
        """Return how wide ``text`` is, px."""
        return self.run(text, size).width

    def fit(self, text: str, size: str, limit: float) -> str:
        """Return ``text`` shortened with an ellipsis so that it is at most ``limit`` px wide; empty if nothing fits."""
        key = (text, size, limit)
        fitted = self._fitted.get(key)
        if fitted is None:
            if len(self._fitted) >= _RUNS_KEPT:
                self._fitted.clear()
            fitted = self._fitted[key] = self._shorten(text, size, limit)
        return fitted

    def _shorten(self, text: str, size: str, limit: float) -> str:
        text = drawable(text)
        if self.width(text, size) <= limit:
            return text
        glyphs = self._glyphs[size]
        room = limit - glyphs[ELLIPSIS].advance
        if room < 0:
            return ""
        used, kept = 0, 0
        for character in text:
            used += glyphs[character].advance
            if used > room:
                break
            kept += 1
        return text[:kept].rstrip() + ELLIPSIS

    def run(self, text: str, size: str) -> TextRun:
        """Return the quads of ``text``; up to a thousand lines are remembered."""
        key = (text, size)
        found = self._runs.get(key)
        if found is None:
            if len(self._runs) >= _RUNS_KEPT:
                self._runs.clear()
            found = self._runs[key] = self._set(text, size)
        return found

    def _set(self, text: str, size: str) -> TextRun:
        glyphs = self._glyphs[size]
        quads, pen = [], 0
        for character in drawable(text):
            glyph = glyphs[character]
            left, top, width, height, u, v = glyph.quad
            if width > 0.0 and height > 0.0:
                quads.append((pen + left, top, width, height, u, v))
            pen += glyph.advance
        return TextRun(np.array(quads, dtype=np.float32).reshape(-1, 6), pen)
