"""What a guest may write: length, characters, no addresses, no syntax, none of the listed words."""

from __future__ import annotations

import re
import unicodedata

from vjengine.web.crowd.folding import folded
from vjengine.web.crowd.refusal import Refused
from vjengine.web.crowd.words import WordList

MAX_TEXT, MAX_NAME = 120, 24
MAX_EMOJI, MAX_DIGITS, MAX_MARKS = 8, 6, 3
_MAX_SENT = 4 * MAX_TEXT
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSEEN = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060\u2061\u2062\u2063\u2064\u3164\ufeff\uffa0")
_ZWNJ, _ZWJ, _EMOJI_STYLE = "\u200c", "\u200d", "\ufe0f"
_SYNTAX = frozenset("<>{}[]|\\`^~@=_")
"""What models, pages and programs read as more than text: ``<lora:x>``, ``[a|b]``, ``@name``."""
_JOINED_SCRIPTS = re.compile("[\u0590-\u08ff\u0900-\u0dff\u0e00-\u109f\u1780-\u17ff\u1800-\u18af]")
_LINK = re.compile(
    r"(?:[a-z][a-z0-9+.-]{1,11}://|www\.|\b[a-z0-9-]{2,}\s?(?:\.|\(dot\)|\bdot\b)\s?"
    r"(?:com|net|org|info|io|de|uk|fr|es|it|nl|pl|ru|ch|at|tv|me|ly|gg|xyz|app|dev|eu|us|biz|shop|online|site|link|club)\b"
    r"|\b[a-z0-9-]{2,}\.[a-z]{2,}/)"
)


class Filter:
    """Checks what guests write.

    Args:
        words: not let in.
    """

    def __init__(self, words: WordList) -> None:
        self._words = words

    def wish(self, given: object) -> str:
        """Return a prompt as it is shown and played.

        Raises:
            Refused: saying why.
        """
        text = self._clean(given, MAX_TEXT, "your idea")
        if not text:
            raise Refused("empty", "Write a few words first.")
        if not any(c.isalnum() for c in text) and not any(unicodedata.category(c) == "So" for c in text):
            raise Refused("empty", "Write a few words, not only signs.")
        self._decent(text)
        return text

    def name(self, given: object) -> str:
        """Return a guest's name; empty for none.

        Raises:
            Refused: saying why.
        """
        text = self._clean(given, MAX_NAME, "your name")
        if text:
            self._decent(text)
        return text

    def _clean(self, given: object, longest: int, what: str) -> str:
        if not isinstance(given, str):
            raise Refused("type", f"{what.capitalize()} has to be text.")
        if len(given) > _MAX_SENT:
            raise Refused("long", f"{what.capitalize()} is too long: at most {longest} characters.")
        text = " ".join(_kept(unicodedata.normalize("NFC", given)).split())
        if len(text) > longest:
            raise Refused("long", f"{what.capitalize()} is too long: at most {longest} characters.")
        if _stacked(text):
            raise Refused("characters", "Too many marks on one letter.")
        return text

    def _decent(self, text: str) -> None:
        if sum(c.isdigit() for c in text) > MAX_DIGITS:
            raise Refused("number", "No phone numbers, please: use fewer digits.")
        if sum(unicodedata.category(c) == "So" for c in text) > MAX_EMOJI:
            raise Refused("emoji", f"At most {MAX_EMOJI} emoji.")
        if _LINK.search(folded(text).replace("。", ".")):
            raise Refused("link", "No links or addresses, please.")
        if "::" in text:
            raise Refused("characters", "Two colons in a row do not work here.")
        if self._words.finds(text):
            raise Refused("word", "There is a word in it that we do not show here. Try other words.")


def _kept(text: str) -> str:
    """Return ``text`` without what is not seen.

    Raises:
        Refused: something in it is more than text, or turns the reading direction.
    """
    kept = []
    for at, c in enumerate(text):
        category = unicodedata.category(c)
        if c in "\t\n\r":
            kept.append(" ")
        elif c in _BIDI:
            raise Refused("characters", "Invisible characters that turn the text around are not allowed.")
        elif c in _UNSEEN or (c in (_ZWNJ, _ZWJ) and not _joins(text, at)):
            continue
        elif c in (_ZWNJ, _ZWJ, _EMOJI_STYLE):
            kept.append(c)
        elif category in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            raise Refused("characters", "There is a character in it that cannot be shown.")
        elif c in _SYNTAX:
            raise Refused("characters", "Plain words only: no brackets, no @, no code.")
        elif not "\ufe00" <= c <= "\ufe0e":
            kept.append(c)
    return "".join(kept)


def _joins(text: str, at: int) -> bool:
    """Return True if the joiner at ``at`` belongs there: inside an emoji, or in a script that writes with it."""
    if at == 0 or at + 1 >= len(text):
        return False
    before, after = text[at - 1], text[at + 1]
    emoji = unicodedata.category(after) == "So" and (
        unicodedata.category(before) in ("So", "Sk") or before == _EMOJI_STYLE
    )
    return emoji or bool(_JOINED_SCRIPTS.match(before) and _JOINED_SCRIPTS.match(after))


def _stacked(text: str) -> bool:
    """Return True if marks are piled up on a letter until they cover the lines above and below."""
    run = 0
    for c in text:
        run = run + 1 if unicodedata.category(c) in ("Mn", "Me") and c != _EMOJI_STYLE else 0
        if run > MAX_MARKS:
            return True
    return False
