"""Moments and lengths as a score writes them: seconds, beats, bars, sections, and so much before or after one.

::

    12.5   12.5s   1:02.5     seconds into the track
    32b                       beats: 0b is the track's first beat, the 1 of its first bar
    16|                       bars: 0| is the same moment
    drop   drop 2   section 3 where a section that was found begins: by its name (and which of them), or by its number
    start  end                of what is heard
    drop 2 - 4|   end - 8s    so much before or after one of these
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

from vjengine.audio.sections import Label
from vjengine.errors import ConfigError
from vjengine.strict_yaml import Place, suggest

Unit = Literal["s", "b", "|"]
SECTIONS: tuple[str, ...] = get_args(Label)
LONGEST = 1e6
"""Largest number in a moment or a length."""

_NUMBER = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
_LENGTH = re.compile(rf"(?P<amount>{_NUMBER})\s*(?P<unit>s|b|\|)?")
_CLOCK = re.compile(r"(?:(?P<hours>[0-9]+):)?(?P<minutes>[0-9]+):(?P<seconds>[0-9]{2}(?:\.[0-9]*)?)")
_NAMED = re.compile(r"(?P<name>[a-z]+)(?:\s+(?P<number>[0-9]+))?")
_SHIFTED = re.compile(rf"(?P<base>.+?)\s*(?P<sign>[+-])\s*(?P<length>(?:{_NUMBER})\s*(?:s|b|\|)?)")

MOMENT_WORDS = "a moment like 12.5, 1:02, 32b (beats), 16| (bars), 'drop 2', 'section 3' or 'end - 8s'"
LENGTH_WORDS = "a length like 2.5, 8b (beats) or 4| (bars)"


@dataclass(frozen=True, slots=True)
class Length:
    """A length of time: ``amount`` in s, beats or bars."""

    amount: float
    unit: Unit = "s"


_NOW = Length(0.0)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of the track.

    Attributes:
        text: as it was written.
        base: ``"time"``, ``"start"``, ``"end"``, ``"section"`` or a section's label.
        at: for ``"time"``, how far from the beginning.
        number: which section, from 1.
        shift: what is added.
    """

    text: str
    base: str = "time"
    at: Length = _NOW
    number: int = 1
    shift: Length = _NOW

    @property
    def musical(self) -> bool:
        """True if the track must be listened to before this is known."""
        return self.base not in ("time", "start", "end") or self.at.unit != "s" or self.shift.unit != "s"

    @property
    def found(self) -> bool:
        """True if it names a section."""
        return self.base not in ("time", "start", "end")


def read_length(place: Place, value: Any) -> Length:
    """Read a length of time, a reader of :mod:`vjengine.strict_yaml`."""
    found = _length(value)
    if found is None:
        place.refuse(value, LENGTH_WORDS)
    return found


def read_moment(place: Place, value: Any) -> Moment:
    """Read a moment, a reader of :mod:`vjengine.strict_yaml`."""
    shown = str(value)
    plain = _base(value, shown)
    if plain is not None:
        return plain
    text = " ".join(shown.split()).lower()
    shifted = _SHIFTED.fullmatch(text) if isinstance(value, str) else None
    if shifted:
        base, length = _base(shifted["base"], shown), _length(shifted["length"])
        if base is not None and length is not None:
            sign = -1.0 if shifted["sign"] == "-" else 1.0
            return Moment(shown, base.base, base.at, base.number, Length(sign * length.amount, length.unit))
    named = _NAMED.match(text) if isinstance(value, str) else None
    hint = f"; {suggest(named['name'], ('start', 'end', 'section 1', *SECTIONS))}" if named else ""
    raise ConfigError(place.file, place.key, value, MOMENT_WORDS + hint)


def _base(value: Any, shown: str) -> Moment | None:
    length = _length(value)
    if length is not None:
        return Moment(shown, at=length)
    if not isinstance(value, str):
        return None
    text = " ".join(value.split()).lower()
    if clock := _CLOCK.fullmatch(text):
        seconds = 3600.0 * int(clock["hours"] or 0) + 60.0 * int(clock["minutes"]) + float(clock["seconds"])
        return Moment(shown, at=Length(seconds)) if seconds <= LONGEST else None
    if text in ("start", "end"):
        return Moment(shown, text)
    named = _NAMED.fullmatch(text)
    if named and len(named["number"] or "") < 6:
        number = int(named["number"] or 1)
        if number >= 1 and (named["name"] in SECTIONS or (named["name"] == "section" and named["number"])):
            return Moment(shown, named["name"], number=number)
    return None


def _length(value: Any) -> Length | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        # YAML reads 1:02 as a number of seconds by itself.
        return Length(float(value)) if 0.0 <= value <= LONGEST else None
    match = _LENGTH.fullmatch(value.strip().lower()) if isinstance(value, str) and len(value) < 40 else None
    if match is None or float(match["amount"]) > LONGEST:
        return None
    unit: Unit = "b" if match["unit"] == "b" else "|" if match["unit"] == "|" else "s"
    return Length(float(match["amount"]), unit)
