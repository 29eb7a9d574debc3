"""Reads one row of a MIDI map: what a control does, and how. Used by map files and controller profiles alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from vjengine.core.macros import MacroDef, TriggerName
from vjengine.core.params import PARAMS
from vjengine.inputs.midi_map import (
    ANY_CHANNEL,
    BANKS,
    BankTarget,
    Control,
    Curve,
    Encoding,
    Kind,
    LookTarget,
    MacroTarget,
    Mode,
    ParamTarget,
    Pickup,
    Row,
    Target,
    TempoFunction,
    TempoTarget,
    TriggerTarget,
)
from vjengine.strict_yaml import Place, Reader, bounded, number, one_of, read_fields, suggest, text, whole

SECTIONS: Mapping[str, Kind] = {
    "notes": "note",
    "controls": "control",
    "programs": "program",
    "bends": "bend",
    "pressures": "pressure",
    "touches": "touch",
}
"""Name in a file of each kind of control."""
_NUMBER = re.compile(r"(?:ch([0-9]{1,2})/)?([0-9]{1,3})")
_CHANNEL = re.compile(r"ch([0-9]{1,2})")
_NUDGE_LIMIT = 250.0
_MAIN = ("macro", "param", "tempo", "look", "trigger", "bank")
_WITH_FADER = ("curve", "range", "invert", "pickup")

RowReader = Callable[[Place, Any, Kind], Row]
"""Reads the right-hand side of one row; the kind of control decides which options make sense."""


def switch(place: Place, value: Any) -> bool:
    """Read true or false (YAML's on and off are the same)."""
    if not isinstance(value, bool):
        place.refuse(value, "true or false")
    return value


def row_key(place: Place, key: Any, value: Any, kind: Kind) -> Control:
    """Read ``36`` (any channel) or ``ch10/36``; for pitch bend and channel pressure ``any`` or ``ch10``."""
    if kind in ("bend", "pressure"):
        match = None if isinstance(key, bool) else _CHANNEL.fullmatch(str(key))
        channel = int(match[1]) if match else ANY_CHANNEL
        if (match is None and key != "any") or (match and not 1 <= channel <= 16):
            place.refuse(value, "'any' as key, or ch1 to ch16")
        return Control(kind, channel, 0)
    match = None if isinstance(key, bool) else _NUMBER.fullmatch(str(key))
    channel = int(match[1]) if match and match[1] else ANY_CHANNEL
    if match is None or int(match[2]) > 127 or (match[1] and not 1 <= channel <= 16):
        place.refuse(value, "a number from 0 to 127 as key, or ch1/0 to ch16/127 for one channel only")
    return Control(kind, channel, int(match[2]))


def row_reader(macros: Mapping[str, MacroDef], looks: Sequence[str], *, stray_names: bool = False) -> RowReader:
    """Return a reader of rows.

    Args:
        macros: the macros a row may name.
        looks: the looks it may name; empty accepts any name.
        stray_names: take the names of macros and looks that are not there; the caller leaves such rows out.
    """
    fields: dict[str, Reader] = {
        "macro": _macro_reader(macros, stray=stray_names),
        "param": _param,
        "position": lambda place, value: bounded(place, value, 0.0, 1.0, "0 to 1"),
        "tempo": one_of(*get_args(TempoFunction)),
        "ms": lambda place, value: bounded(place, value, -_NUDGE_LIMIT, _NUDGE_LIMIT, "-250 to 250 ms"),
        "look": _look_reader(() if stray_names else looks),
        "trigger": one_of(*get_args(TriggerName)),
        "bank": _bank,
        "fine": whole(0, 127),
        "encoder": one_of(*get_args(Encoding)),
        "step": number(0.0001, 1.0),
        "acceleration": number(0.0, 16.0),
        "curve": one_of(*get_args(Curve)),
        "range": _pair,
        "invert": switch,
        "pickup": one_of(*get_args(Pickup)),
        "mode": one_of(*get_args(Mode)),
        "velocity": switch,
        "colour": text(24),
    }

    def read(place: Place, data: Any, kind: Kind) -> Row:
        given = read_fields(place, data, fields)
        row = _with_options(place, Row(_target(place, data, given)), given, kind)
        if kind == "program":
            _refuse_stuck(place, row)
        return row

    return read


def _target(place: Place, data: Any, given: Mapping[str, Any]) -> Target:
    named = [key for key in _MAIN if key in given]
    if len(named) != 1:
        place.refuse(data, "exactly one of " + ", ".join(_MAIN))
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


def _with_options(place: Place, row: Row, given: Mapping[str, Any], kind: Kind) -> Row:
    """Return ``row`` with its options; refuse those that would do nothing."""
    for key, wanted in (("fine", "control"), ("encoder", "control"), ("velocity", "note")):
        if key in given and kind != wanted:
            place.at(key).refuse(given[key], f"{key!r} under '{wanted}s' only")
    for key in ("step", "acceleration"):
        if key in given and "encoder" not in given:
            place.at(key).refuse(given[key], f"{key!r} beside 'encoder' only")
    if "encoder" in given and "fine" in given:
        place.at("fine").refuse(given["fine"], "either 'fine' or 'encoder'")
    if "mode" in given and not isinstance(row.target, MacroTarget | ParamTarget):
        place.at("mode").refuse(given["mode"], "'mode' beside 'macro' or 'param' only")
    if "mode" in given and "encoder" in given:
        place.at("mode").refuse(given["mode"], "either 'mode' or 'encoder'")
    row = replace(row, mode=given.get("mode"))
    moved = row.continuous or (isinstance(row.target, ParamTarget | MacroTarget) and row.mode is not None)
    for key in _WITH_FADER:
        if key in given and not moved:
            place.at(key).refuse(given[key], f"{key!r} beside a level macro or a parameter only")
    low, high = _positions(place.at("range"), row.target, given["range"]) if "range" in given else (row.low, row.high)
    if given.get("invert"):
        low, high = high, low
    return replace(
        row,
        low=low,
        high=high,
        fine=given.get("fine"),
        encoder=given.get("encoder"),
        step=given.get("step", row.step),
        acceleration=given.get("acceleration", row.acceleration),
        curve=given.get("curve", row.curve),
        pickup=given.get("pickup"),
        velocity=given.get("velocity", True),
        colour=given.get("colour", ""),
    )


def _positions(place: Place, target: Target, ends: tuple[float, float]) -> tuple[float, float]:
    """Return the positions (0–1) of a range given in a parameter's own unit, or as 0–1 for a macro."""
    low, high = (PARAMS[target.param].low, PARAMS[target.param].high) if isinstance(target, ParamTarget) else (0.0, 1.0)
    for end in ends:
        if not low <= end <= high:
            expected = PARAMS[target.param].expected if isinstance(target, ParamTarget) else "a number from 0 to 1"
            place.refuse(end, expected)
    if isinstance(target, ParamTarget):
        row = PARAMS[target.param]
        return row.to_unit(ends[0]), row.to_unit(ends[1])
    return ends


def _pair(place: Place, value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        place.refuse(value, "two numbers, as in [0, 0.5]; the higher one first turns the fader round")
    low, high = (bounded(place.item(i), end, -1e9, 1e9, "the target's range") for i, end in enumerate(value))
    return low, high


def _bank(place: Place, value: Any) -> BankTarget:
    steps = {"next": 1, "previous": -1}
    if isinstance(value, str) and value in steps:
        return BankTarget(step=steps[value])
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= BANKS:
        place.refuse(value, f"next, previous or a bank from 1 to {BANKS}")
    return BankTarget(value)


def _macro_reader(macros: Mapping[str, MacroDef], *, stray: bool) -> Reader:
    def read(place: Place, value: Any) -> MacroTarget:
        if not isinstance(value, str) or (value not in macros and not stray):
            place.refuse(value, f"a macro: {suggest(value, macros)}")
        return MacroTarget(value, macros[value].kind if value in macros else "momentary")

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


def _refuse_stuck(place: Place, row: Row) -> None:
    """Refuse momentary macros and faders under program changes: those have no release and no value."""
    expected = "a toggle macro, a parameter with a position, a look, tempo or trigger: a program change is not held"
    target = row.target
    if isinstance(target, MacroTarget) and (row.mode or target.kind) != "toggle":
        place.refuse(target.macro, expected)
    if isinstance(target, ParamTarget) and (row.mode == "momentary" or (target.position is None and row.mode is None)):
        place.refuse(target.param, expected)
