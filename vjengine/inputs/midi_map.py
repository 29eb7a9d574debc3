"""What each key, fader and button of a MIDI controller does: typed rows, read from the macros and a mapping file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from vjengine.core.macros import MacroDef, MacroKind, TriggerName
from vjengine.core.params import PARAMS
from vjengine.strict_yaml import Place, Reader, bounded, one_of, read_fields, read_yaml, suggest, text

TempoFunction = Literal["tap", "resync", "half", "double", "nudge"]

ANY_CHANNEL = 0
"""Channel number of rows that hold on every channel; real channels are 1–16."""


@dataclass(frozen=True, slots=True)
class MacroTarget:
    """A macro, with the kind that decides how a key or fader plays it."""

    macro: str
    kind: MacroKind


@dataclass(frozen=True, slots=True)
class ParamTarget:
    """A parameter. A fader moves it, a key sets it to ``position`` (0–1), or to its velocity if that is ``None``."""

    param: str
    position: float | None = None

    @property
    def centred(self) -> bool:
        """True if the range is symmetric, so that a fader's middle, 64 of 127, has to mean exactly the middle."""
        row = PARAMS[self.param]
        return row.low == -row.high


@dataclass(frozen=True, slots=True)
class TempoTarget:
    """A function of the beat clock; ``milliseconds`` is what ``nudge`` shifts by (positive: later)."""

    function: TempoFunction
    milliseconds: float = 0.0


@dataclass(frozen=True, slots=True)
class LookTarget:
    """A look by name, or the next (+1) or previous (−1) one by ``step``."""

    look: str = ""
    step: int = 0


@dataclass(frozen=True, slots=True)
class TriggerTarget:
    """A one-shot."""

    action: TriggerName


Target = MacroTarget | ParamTarget | TempoTarget | LookTarget | TriggerTarget
Rows = Mapping[tuple[int, int], Target]
"""Targets by ``(channel, number)``; the channel is 1–16 or :data:`ANY_CHANNEL`."""


def _empty() -> Rows:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class MidiMap:
    """The rows of one controller layout.

    Attributes:
        notes: what keys and pads do.
        controls: what faders, knobs and CC buttons do.
        programs: what program changes do.
        channels: channels listened to, 1–16; empty for all.
    """

    notes: Rows = field(default_factory=_empty)
    controls: Rows = field(default_factory=_empty)
    programs: Rows = field(default_factory=_empty)
    channels: frozenset[int] = frozenset()

    @classmethod
    def from_macros(cls, macros: Mapping[str, MacroDef]) -> MidiMap:
        """Return the map of the notes and controllers that the macros ask for themselves, on every channel."""
        notes: dict[tuple[int, int], Target] = {}
        controls: dict[tuple[int, int], Target] = {}
        for macro in macros.values():
            target = MacroTarget(macro.name, macro.kind)
            if macro.note is not None:
                notes[ANY_CHANNEL, macro.note] = target
            if macro.cc is not None:
                controls[ANY_CHANNEL, macro.cc] = target
        return cls(MappingProxyType(notes), MappingProxyType(controls))

    @classmethod
    def load(cls, path: Path, macros: Mapping[str, MacroDef], looks: Sequence[str] = ()) -> MidiMap:
        """Return :meth:`from_macros` extended by the file ``path``; see :meth:`extended`."""
        return cls.from_macros(macros).extended(path, macros, looks)

    def extended(self, path: Path, macros: Mapping[str, MacroDef], looks: Sequence[str] = ()) -> MidiMap:
        """Return this map with the rows of a mapping file added; its rows win, and ``null`` takes a row away.

        Args:
            path: YAML file with ``notes``, ``controls``, ``programs``, ``channels`` and ``defaults``.
            macros: the macros it may name.
            looks: the looks it may name; empty accepts any name.

        Raises:
            ConfigError: naming file, key, value and what was expected.
        """
        place = Place(path)
        read_rows = _rows_reader(macros, looks)
        table: dict[str, Reader] = {
            "channels": _channels,
            "defaults": _switch,
            "notes": read_rows,
            "controls": read_rows,
            "programs": read_rows,
        }
        data = read_fields(place, read_yaml(path), table)
        base = self if data.get("defaults", True) else MidiMap()
        _refuse_stuck(place.at("programs"), data.get("programs", {}))
        return replace(
            base,
            notes=_merged(base.notes, data.get("notes", {})),
            controls=_merged(base.controls, data.get("controls", {})),
            programs=_merged(base.programs, data.get("programs", {})),
            channels=data.get("channels", base.channels),
        )

    def hears(self, channel: int) -> bool:
        """Return True if ``channel`` (1–16) is listened to."""
        return not self.channels or channel in self.channels

    @staticmethod
    def find(rows: Rows, channel: int, number: int) -> Target | None:
        """Return the target of ``number`` on ``channel`` (1–16); a row for that channel beats one for all."""
        found = rows.get((channel, number))
        return found if found is not None else rows.get((ANY_CHANNEL, number))


def _merged(base: Rows, rows: Mapping[tuple[int, int], Target | None]) -> Rows:
    merged = {**base, **rows}
    return MappingProxyType({key: target for key, target in merged.items() if target is not None})


# ---------------------------------------------------------------- reading the file

_NUMBER = re.compile(r"(?:ch([0-9]{1,2})/)?([0-9]{1,3})")
_NUDGE_LIMIT = 250.0


def _switch(place: Place, value: Any) -> bool:
    if not isinstance(value, bool):
        place.refuse(value, "true or false")
    return value


def _channels(place: Place, value: Any) -> frozenset[int]:
    listed = value if isinstance(value, list) else [value]
    for channel in listed:
        if isinstance(channel, bool) or not isinstance(channel, int) or not 1 <= channel <= 16:
            place.refuse(value, "a MIDI channel from 1 to 16, or a list of them")
    return frozenset(listed)


def _row_key(place: Place, key: Any, value: Any) -> tuple[int, int]:
    """Read ``36`` (any channel) or ``ch10/36``."""
    match = None if isinstance(key, bool) else _NUMBER.fullmatch(str(key))
    channel = int(match[1]) if match and match[1] else ANY_CHANNEL
    if match is None or int(match[2]) > 127 or (match[1] and not 1 <= channel <= 16):
        place.refuse(value, "a number from 0 to 127 as key, or ch1/0 to ch16/127 for one channel only")
    return channel, int(match[2])


def _rows_reader(macros: Mapping[str, MacroDef], looks: Sequence[str]) -> Reader:
    """Return a reader of ``{number: {what: name}}``."""
    read_target = _target_reader(macros, looks)

    def read(place: Place, data: Any) -> dict[tuple[int, int], Target | None]:
        if not isinstance(data, dict):
            place.refuse(data, "a mapping like {36: {macro: DROP}}")
        rows: dict[tuple[int, int], Target | None] = {}
        for key, value in data.items():
            here = place.at(key)
            rows[_row_key(here, key, value)] = None if value is None else read_target(here, value)
        return rows

    return read


def _target_reader(macros: Mapping[str, MacroDef], looks: Sequence[str]) -> Callable[[Place, Any], Target]:
    """Return a reader of one row's right-hand side."""
    fields: dict[str, Reader] = {
        "macro": _macro_reader(macros),
        "param": _param,
        "position": lambda place, value: bounded(place, value, 0.0, 1.0, "0 to 1"),
        "tempo": one_of(*get_args(TempoFunction)),
        "ms": lambda place, value: bounded(place, value, -_NUDGE_LIMIT, _NUDGE_LIMIT, "-250 to 250 ms"),
        "look": _look_reader(looks),
        "trigger": one_of(*get_args(TriggerName)),
    }
    main = ("macro", "param", "tempo", "look", "trigger")

    def read(place: Place, data: Any) -> Target:
        given = read_fields(place, data, fields)
        named = [key for key in main if key in given]
        if len(named) != 1:
            place.refuse(data, "exactly one of " + ", ".join(main))
        if "position" in given and "param" not in given:
            place.at("position").refuse(given["position"], "'position' beside 'param' only")
        if ("ms" in given) != (given.get("tempo") == "nudge"):
            place.refuse(data, "'ms' with 'tempo: nudge', as in {tempo: nudge, ms: -10}, and with nothing else")
        if "param" in given:
            return ParamTarget(given["param"], given.get("position"))
        if "tempo" in given:
            return TempoTarget(given["tempo"], given.get("ms", 0.0))
        target: Target = TriggerTarget(given["trigger"]) if "trigger" in given else given[named[0]]
        return target

    return read


def _macro_reader(macros: Mapping[str, MacroDef]) -> Reader:
    def read(place: Place, value: Any) -> MacroTarget:
        if not isinstance(value, str) or value not in macros:
            place.refuse(value, f"a macro: {suggest(value, macros)}")
        return MacroTarget(value, macros[value].kind)

    return read


def _param(place: Place, value: Any) -> str:
    if not isinstance(value, str) or value not in PARAMS:
        place.refuse(value, f"a parameter: {suggest(value, PARAMS.index)}")
    return value


def _look_reader(looks: Sequence[str]) -> Reader:
    steps = {"next": 1, "previous": -1}
    read_name = text(100)

    def read(place: Place, value: Any) -> LookTarget:
        name = read_name(place, value)
        if name in steps:
            return LookTarget(step=steps[name])
        if not name or (looks and name not in looks):
            place.refuse(value, f"next, previous or a look: {suggest(value, looks)}")
        return LookTarget(look=name)

    return read


def _refuse_stuck(place: Place, rows: Mapping[tuple[int, int], Target | None]) -> None:
    """Refuse momentary macros and faders under program changes: those have no release and no value."""
    expected = "a toggle macro, a parameter with a position, a look, tempo or trigger: a program change is not held"
    for (_, number), target in rows.items():
        if isinstance(target, MacroTarget) and target.kind != "toggle":
            place.at(number).refuse(target.macro, expected)
        if isinstance(target, ParamTarget) and target.position is None:
            place.at(number).refuse(target.param, expected)
