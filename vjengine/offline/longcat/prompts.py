"""What is to be seen, and from when on."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from vjengine.strict_yaml import Place, read_yaml

MOST = 2000
"""Prompts of one film."""
LONGEST = 2000
"""Characters of one prompt."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be seen from ``time`` (s) on."""

    time: float
    prompt: str
    negative: str = ""


@dataclass(frozen=True, slots=True)
class Prompts:
    """The wishes of a film, by time; the first begins at 0."""

    wishes: tuple[Wish, ...] = (Wish(0.0, ""),)

    def at(self, picture: int, fps: Fraction) -> tuple[int, Wish]:
        """Return the number of the wish that picture ``picture`` is made for, and the wish."""
        starts = [self.start(number, fps) for number in range(len(self.wishes))]
        number = max(0, bisect_right(starts, picture) - 1)
        return number, self.wishes[number]

    def start(self, number: int, fps: Fraction) -> int:
        """Return the first picture of wish ``number``."""
        return math.ceil(Fraction(self.wishes[number].time).limit_denominator(10**6) * fps)

    def left(self, picture: int, fps: Fraction) -> int:
        """Return how many pictures, ``picture`` among them, are made for the same wish; many if it is the last."""
        number, _ = self.at(picture, fps)
        return self.start(number + 1, fps) - picture if number + 1 < len(self.wishes) else 1 << 40


def read_prompts(path: Path, first: str, negative: str) -> Prompts:
    """Read a schedule: a mapping from times (s, or minutes as ``1:30``) to prompts.

    A prompt is a text, or a mapping with ``prompt`` and ``negative``::

        0: a neon city in the rain
        45: {prompt: an ocean at night, negative: people}
        1:30: fire

    Args:
        path: the file.
        first: what is to be seen until the first time in it, if that is not 0.
        negative: what is not to be seen, where the file says nothing.

    Raises:
        ConfigError: file, key and value that make no sense.
    """
    raw = read_yaml(path)
    place = Place(path)
    wishes: dict[float, Wish] = {}
    if len(raw) > MOST:
        place.refuse(f"{len(raw)} prompts", f"up to {MOST}")
    for key, value in raw.items():
        here = place.at(key)
        time = _time(here, key)
        if time in wishes:
            here.refuse(key, "a time that is not there yet")
        wishes[time] = _wish(here, time, value, negative)
    ordered = [wishes[time] for time in sorted(wishes)]
    if not ordered or ordered[0].time > 0.0:
        ordered.insert(0, Wish(0.0, first, negative))
    return Prompts(tuple(ordered))


def _time(place: Place, key: object) -> float:
    parts = str(key).strip().split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    seconds = math.nan
    if numbers and len(numbers) <= 3 and all(number >= 0 for number in numbers):
        seconds = sum(number * 60.0**power for power, number in enumerate(reversed(numbers)))
    if isinstance(key, bool) or not 0 <= seconds < 1e6:
        place.refuse(key, "a time: seconds, or minutes and seconds in quotes as '1:30'")
    return seconds


def _wish(place: Place, time: float, value: Any, negative: str) -> Wish:
    if isinstance(value, dict):
        unknown = sorted(str(key) for key in value.keys() - {"prompt", "negative"})
        if unknown:
            place.at(unknown[0]).refuse(value.get(unknown[0]), "prompt or negative")
        return Wish(time, _text(place, value.get("prompt", "")), _text(place, value.get("negative", negative)))
    return Wish(time, _text(place, value), negative)


def _text(place: Place, value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST:
        place.refuse(value, f"a text of up to {LONGEST} characters")
    return " ".join(value.split())
