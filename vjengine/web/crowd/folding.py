"""Text as a reader sees it: what looks alike becomes alike, so that a word cannot hide behind another spelling."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

_LOOKALIKES = {
    # Letters by the Latin ones that they are taken for (a hand-picked part of Unicode TS 39, confusables.txt).
    "а": "a", "в": "b", "с": "c", "ԁ": "d", "е": "e", "ё": "e", "ғ": "f", "ɡ": "g", "һ": "h", "н": "h",
    "і": "i", "ї": "i", "ј": "j", "к": "k", "ӏ": "l", "м": "m", "п": "n", "о": "o", "р": "p", "ԛ": "q",
    "г": "r", "ѕ": "s", "т": "t", "ц": "u", "ѵ": "v", "ԝ": "w", "х": "x", "у": "y", "α": "a", "β": "b",
    "ϲ": "c", "δ": "d", "ε": "e", "η": "n", "ι": "i", "κ": "k", "λ": "l", "μ": "u", "ν": "v", "ο": "o",
    "ρ": "p", "σ": "o", "τ": "t", "υ": "u", "χ": "x", "ω": "w", "ı": "i", "ł": "l", "ø": "o", "đ": "d",
    "ħ": "h", "ŧ": "t", "ɑ": "a", "ʀ": "r", "ɪ": "i", "ʟ": "l", "ɴ": "n", "ʏ": "y", "æ": "ae", "œ": "oe",
    "ß": "ss", "ð": "d", "þ": "th", "ᴀ": "a", "ᴄ": "c", "ᴅ": "d", "ᴇ": "e", "ᴋ": "k", "ᴍ": "m", "ᴏ": "o",
    "ᴘ": "p", "ᴛ": "t", "ᴜ": "u", "ᴠ": "v", "ᴡ": "w", "ᴢ": "z", "ꜱ": "s", "ꜰ": "f", "ʙ": "b", "ɢ": "g",
    "ʜ": "h", "ᴊ": "j", "и": "i", "ս": "u", "օ": "o", "ո": "n", "ց": "g", "հ": "h",
}  # fmt: skip
_REGIONAL_A = 0x1F1E6
_SQUARED = ((0x1F130, 26), (0x1F150, 26), (0x1F170, 26), (_REGIONAL_A, 26))
_FIGURES = {
    "0": "o",
    "3": "e",
    "4": "a",
    "5": "s",
    "7": "t",
    "8": "b",
    "9": "g",
    "@": "a",
    "$": "s",
    "€": "e",
    "+": "t",
}
_ONES = "1!|"
JOINERS = frozenset("._-*'’·/\\~,:")
"""Marks that leave a word one word: ``f.u-c'k``. ``*`` may stand for any one letter besides."""


def visible(char: str) -> bool:
    """Return False for what is drawn as nothing: formats, fillers, variation selectors."""
    return not (unicodedata.category(char) in ("Cf", "Cc") or char in "\u034f\u115f\u1160\u3164\uffa0\u17b4\u17b5")


@lru_cache(maxsize=4096)
def folded(text: str) -> str:
    """Return ``text`` in the plainest letters: no case, no accents, no styles, look-alikes as Latin letters."""
    plain = unicodedata.normalize("NFKD", "".join(_unsquared(c) for c in text if visible(c)))
    # Folding the case may make new marks, and the other way round.
    plain = unicodedata.normalize("NFKD", plain.casefold())
    return "".join(_LOOKALIKES.get(c, c) for c in plain if unicodedata.category(c) not in ("Mn", "Me"))


def key(text: str) -> str:
    """Return what two wishes have in common that differ in case, accents, marks and spaces only."""
    return " ".join("".join(c if c.isalnum() else " " for c in folded(text)).split()) or folded(text).strip()


def readings(text: str) -> Iterator[list[str]]:
    """Yield the words of ``text`` in the ways in which it may be read: figures as they are and as letters."""
    plain = folded(text)
    yield _words(plain)
    if any(c in _FIGURES or c in _ONES for c in plain):
        for one in "il":
            yield _words(_unfigured(plain, one))


def _words(text: str) -> list[str]:
    """Split into words, without the marks inside them; ``*`` stays."""
    words: list[str] = []
    for chunk in text.split():
        word = ""
        for c in chunk:
            if c.isalnum() or c == "*":
                word += c
            elif c not in JOINERS and word:
                words.append(word)
                word = ""
        if word:
            words.append(word)
    return words


def _unfigured(text: str, one: str) -> str:
    """Read figures and signs as letters where a word has letters too: ``sh1t``, but not ``4 seasons``."""
    chunks = []
    for chunk in text.split():
        if any(c.isalpha() for c in chunk):
            body = chunk.rstrip("!")
            chunk = "".join(one if c in _ONES else _FIGURES.get(c, c) for c in body)
        chunks.append(chunk)
    return " ".join(chunks)


def _unsquared(char: str) -> str:
    """Return the letter in a square, a circle or a flag."""
    code = ord(char)
    for first, count in _SQUARED:
        if first <= code < first + count:
            return chr(ord("a") + code - first)
    return char
