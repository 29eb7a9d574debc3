"""Prompts as a performer types them: one text, or several with weights.

::

    sunset over sea                     one text
    sunset over sea::2 | neon city      two texts, mixed two to one

``|`` parts texts, ``::number`` at the end of one is its weight (1 if not given). Only the ratio of weights counts.
Prompts come from strangers too (OSC, the crowd), so everything here is bounded and nothing here raises.
"""

from __future__ import annotations

import math
import unicodedata
from functools import lru_cache

Pieces = tuple[tuple[str, float], ...]
"""``(text, weight)`` pairs, weights above 0."""

MAX_PIECES = 8
"""Most texts in one prompt; the rest is dropped."""
MAX_TEXT = 500
"""Longest text, characters; the rest is cut off. A model reads about 75 words."""
MAX_WEIGHT = 10.0
_MAX_TYPED = MAX_PIECES * (MAX_TEXT + 16)


@lru_cache(maxsize=256)
def parse_prompt(typed: str) -> Pieces:
    """Return the texts of the prompt ``typed`` and their weights, at most :data:`MAX_PIECES`; empty for no prompt.

    What is not a number after ``::`` belongs to the text. A text of weight 0 or less has no say and is left out.

    >>> parse_prompt("sunset over sea::2 | neon city")
    (('sunset over sea', 2.0), ('neon city', 1.0))
    """
    pieces: list[tuple[str, float]] = []
    for typed_piece in typed[:_MAX_TYPED].split("|"):
        text, weight = _weighed(typed_piece)
        text = clean_text(text)
        if text and weight > 0.0:
            pieces.append((text, weight))
    return tuple(pieces[:MAX_PIECES])


@lru_cache(maxsize=512)
def clean_text(text: str) -> str:
    """Return ``text`` on one line, without control characters and half surrogates, of at most :data:`MAX_TEXT`."""
    kept = (" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text[:_MAX_TYPED])
    line = " ".join("".join(c for c in kept if unicodedata.category(c) != "Cs").split())
    return line[:MAX_TEXT].rstrip()


def bounded_weight(weight: float) -> float:
    """Return ``weight`` within 0 and :data:`MAX_WEIGHT`; 1 for what is no number."""
    return 1.0 if math.isnan(weight) else min(MAX_WEIGHT, max(0.0, weight))


def shares(pieces: Pieces, total: float = 1.0) -> Pieces:
    """Return ``pieces`` with weights that sum to ``total``, bounded; nothing if that is 0."""
    total = bounded_weight(total)
    heavy = sum(weight for _, weight in pieces)
    if heavy <= 0.0 or total <= 0.0:
        return ()
    return tuple((text, weight / heavy * total) for text, weight in pieces)


def _weighed(typed: str) -> tuple[str, float]:
    """Split one piece into its text and its weight."""
    text, mark, number = typed.rpartition("::")
    if mark:
        try:
            return text, bounded_weight(float(number))
        except ValueError:
            pass
    return typed, 1.0
