"""Typed, validated configuration: macros and looks from YAML files that a performer reads and edits.

Read with :mod:`vjengine.strict_yaml`: what is not understood is refused, and every error names the file, the key, the
value and what was expected. Tables of ``key -> reader`` describe the files; a new field is a new row.

Where one broken file must not end a show, :func:`scan_macros` and :func:`load_looks` load what is good and return the
faults beside it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from vjengine.core.looks import Look
from vjengine.core.macros import MacroDef, MacroEffect, MacroKind, Operation, Quantise, TriggerName
from vjengine.core.modulation import AUDIO_SOURCES, BEAT_SOURCES, SHAPES, Modulation
from vjengine.core.params import PARAMS, ParamSpec
from vjengine.errors import ConfigError
from vjengine.strict_yaml import Place, Reader, bounded, number, one_of, read_fields, read_yaml, suggest, text, whole

MAX_MODULATIONS = 64
"""Most wires a look may have: each costs time in every frame."""

NAMED_KEYS: frozenset[str] = frozenset(
    ["space", "enter", "escape", "left", "right", "up", "down", "tab", "backspace", *(f"f{n}" for n in range(1, 13))]
)
"""Names of keys that are not one character."""
RESERVED_KEYS: frozenset[str] = NAMED_KEYS | frozenset("[],.hf")
"""Keys of the engine and its window; a macro's default key may be none of them."""

_ENDINGS = (".yaml", ".yml")
_MACRO_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,31}")
_DEVICE_NAMES = re.compile(r"CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9]")
_PERIOD = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(beats?|bars?|ms|s)\s*")


def parameter_value(place: Place, row: ParamSpec, value: Any) -> float:
    """Read a value of parameter ``row``: a number in its unit, the name of a choice, on or off."""
    if row.choices:
        if value not in row.choices or not isinstance(value, str):
            place.refuse(value, row.expected)
        return float(row.choices.index(value))
    if row.curve == "switch" and isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not row.low <= value <= row.high:
        place.refuse(value, row.expected)
    if row.discrete and value != int(value):
        place.refuse(value, row.expected)
    return float(value)


def _parameter(place: Place, name: Any) -> ParamSpec:
    if not isinstance(name, str) or name not in PARAMS:
        place.refuse(name, f"a parameter: {suggest(name, PARAMS.index)}")
    return PARAMS[name]


def _parameters(place: Place, data: Any) -> Mapping[str, float]:
    """Read parameters written flat (``gen.hue: 0.2``), nested (``gen: {hue: 0.2}``) or both."""
    values: dict[str, float] = {}
    _walk_parameters(place, "", data, values)
    return MappingProxyType(values)


def _walk_parameters(place: Place, prefix: str, data: Any, values: dict[str, float]) -> None:
    if not isinstance(data, dict):
        place.refuse(data, "a mapping of parameters to values")
    for key, value in data.items():
        name, here = f"{prefix}{key}", place.at(key)
        if isinstance(value, dict) and name not in PARAMS:
            _walk_parameters(here, f"{name}.", value, values)
            continue
        if name not in PARAMS:
            here.refuse(value, f"a parameter: {suggest(name, PARAMS.index)}")
        if name in values:
            here.refuse(value, f"each parameter once; {name} is given twice")
        values[name] = parameter_value(here, PARAMS[name], value)


# ---------------------------------------------------------------- macros


def _effects(place: Place, data: Any) -> tuple[MacroEffect, ...]:
    """Read ``{parameter: {operation: value}}``; several operations on one parameter act in the order written."""
    if not isinstance(data, dict):
        place.refuse(data, "a mapping like {feedback.zoom: {add: 0.5}}")
    effects: list[MacroEffect] = []
    for name, operations in data.items():
        here = place.at(name)
        row = _parameter(here, name)
        if not isinstance(operations, dict) or not operations:
            here.refuse(operations, "an operation like {add: 0.5}, {multiply: 2} or {set: 1}")
        for operation, value in operations.items():
            spot = here.at(operation)
            if operation not in get_args(Operation):
                spot.refuse(operation, f"an operation: {suggest(operation, get_args(Operation))}")
            effects.append(MacroEffect(row.name, operation, _effect_value(spot, row, operation, value)))
    return tuple(effects)


def _effect_value(place: Place, row: ParamSpec, operation: str, value: Any) -> float:
    if operation == "set":
        return parameter_value(place, row, value)
    if row.choices or row.curve == "switch":
        place.refuse(value, f"'set': {row.name} has steps that do not add up")
    if operation == "multiply":
        return bounded(place, value, 0.0, 16.0, "0 to 16")
    span = row.high - row.low
    return bounded(place, value, -span, span, f"{-span:g} to {span:g} {row.unit}".strip())


def _triggers(place: Place, data: Any) -> tuple[TriggerName, ...]:
    known = get_args(TriggerName)
    if not isinstance(data, list) or not all(item in known for item in data):
        place.refuse(data, "a list of " + ", ".join(known))
    return tuple(data)


def key_name(place: Place, value: Any) -> str:
    """Read a key's name: one lower-case character or one of :data:`NAMED_KEYS`."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 9:
        value = str(value)  # YAML reads an unquoted digit as a number
    if not isinstance(value, str) or not (value in NAMED_KEYS or (len(value) == 1 and value == value.lower())):
        place.refuse(value, "a key: one lower-case character")
    return value


def _macro_keys(place: Place, value: Any) -> str:
    names = value.split() if isinstance(value, str) else [value]
    if not 1 <= len(names) <= 2:
        place.refuse(value, "one key, or for a level two: 'down-key up-key'")
    keys = [key_name(place, name) for name in names]
    for key in keys:
        if key in RESERVED_KEYS:
            place.refuse(value, f"a key the engine does not use itself ({' '.join(sorted(RESERVED_KEYS))})")
    return " ".join(keys)


_DEFAULT_FIELDS: Mapping[str, Reader] = {"note": whole(0, 127), "cc": whole(0, 127), "key": _macro_keys}

_MACRO_FIELDS: Mapping[str, Reader] = {
    "name": text(32),
    "kind": one_of(*get_args(MacroKind)),
    "summary": text(200),
    "group": text(32),
    "priority": whole(-1000, 1000),
    "attack": number(0.0, 120.0, "s"),
    "release": number(0.0, 120.0, "s"),
    "quantise": one_of(*get_args(Quantise)),
    "initial": number(0.0, 1.0),
    "neutral": number(0.0, 1.0),
    "effects": _effects,
    "triggers": _triggers,
    "prompt": text(500),
    "default": lambda place, value: read_fields(place, value, _DEFAULT_FIELDS),
}


def load_macro(path: Path) -> MacroDef:
    """Return the macro that the YAML file ``path`` defines.

    Its name is the file's name in capitals (``drop.yaml`` is DROP).

    Raises:
        ConfigError: names file, key, value and what was expected.
    """
    place = Place(path)
    fields = read_fields(place, read_yaml(path), _MACRO_FIELDS)
    name = path.stem.upper()
    if not _MACRO_NAME.fullmatch(name) or _DEVICE_NAMES.fullmatch(name):
        place.refuse(path.name, "a file name of letters, digits and _, like drop.yaml")
    if fields.pop("name", name) != name:
        place.at("name").refuse(name, f"{name}, the file's name in capitals (rename one of the two)")
    default = fields.pop("default", {})
    macro = MacroDef(name=name, **fields, **default)
    if " " in macro.key and macro.kind != "level":
        place.at("default.key").refuse(macro.key, "one key: only a level has a pair, down and up")
    if macro.key and " " not in macro.key and macro.kind == "level":
        place.at("default.key").refuse(macro.key, "two keys for a level: 'down-key up-key'")
    if macro.kind == "momentary" and macro.initial:
        place.at("initial").refuse(macro.initial, "0: nobody holds a momentary macro at the start")
    if macro.kind == "toggle" and macro.initial not in (0.0, 1.0):
        place.at("initial").refuse(macro.initial, "0 or 1 for a toggle")
    return macro


def scan_macros(folder: Path) -> tuple[Mapping[str, MacroDef], tuple[ConfigError, ...]]:
    """Return the macros of ``folder`` that are good, by name in the order of their notes, and the faults of the rest.

    Two macros that claim the same note, controller or key are a fault of the later file, which then is left out.

    Raises:
        ConfigError: if the folder itself cannot be listed.
    """
    macros: dict[str, MacroDef] = {}
    faults: list[ConfigError] = []
    owners: dict[tuple[str, object], str] = {}
    for path in _yaml_files(folder):
        try:
            macro = load_macro(path)
            _claim(Place(path), macro, macros, owners)
        except ConfigError as fault:
            faults.append(fault)
        else:
            macros[macro.name] = macro
    ordered = sorted(macros.values(), key=lambda m: (m.note is None, m.note or 0, m.cc is None, m.cc or 0, m.name))
    return MappingProxyType({macro.name: macro for macro in ordered}), tuple(faults)


def _claim(
    place: Place, macro: MacroDef, macros: Mapping[str, MacroDef], owners: dict[tuple[str, object], str]
) -> None:
    """Refuse a macro whose name or controls are taken; else note what it takes."""
    if macro.name in macros:
        place.at("name").refuse(macro.name, "one file a macro")
    claims: list[tuple[str, object]] = [("key", key) for key in macro.key.split()]
    claims += [(kind, value) for kind, value in (("note", macro.note), ("cc", macro.cc)) if value is not None]
    for kind, value in claims:
        if (kind, value) in owners:
            place.at(f"default.{kind}").refuse(value, f"another {kind}: {owners[kind, value]} has this one")
    owners.update(dict.fromkeys(claims, macro.name))


def load_macros(folder: Path) -> Mapping[str, MacroDef]:
    """Return all macros of ``folder`` (``*.yaml``), by name in the order of their notes.

    Raises:
        ConfigError: the first fault of any file.
    """
    macros, faults = scan_macros(folder)
    if faults:
        raise faults[0]
    return macros


# ---------------------------------------------------------------- looks


def _period(place: Place, value: Any) -> tuple[float, bool]:
    """Read ``"16 beats"``, ``"4 bars"``, ``"8 s"`` or ``"500 ms"`` as (length, whether in beats)."""
    match = _PERIOD.fullmatch(value) if isinstance(value, str) else None
    if not match:
        place.refuse(value, "a length of time like '16 beats', '4 bars' or '8 s'")
    amount, unit = float(match[1]), match[2]
    amount *= {"bar": 4.0, "bars": 4.0, "ms": 0.001}.get(unit, 1.0)
    if not 0.01 <= amount <= 36_000.0:
        place.refuse(value, "a length from 0.01 to 36000 beats or s")
    return amount, unit.startswith("b")


_WIRE_FIELDS: Mapping[str, Reader] = {
    "parameter": lambda place, value: _parameter(place, value).name,
    "source": text(64),
    "amount": number(-10_000.0, 10_000.0),
    "curve": number(0.1, 8.0),
    "attack": number(0.0, 60.0, "s"),
    "release": number(0.0, 60.0, "s"),
    "shape": one_of(*SHAPES),
    "period": _period,
    "phase": number(-1.0, 1.0, "turns"),
}
_LFO_ONLY = ("shape", "period", "phase")


def _wire(place: Place, data: Any, macros: Mapping[str, MacroDef]) -> Modulation:
    fields = read_fields(place, data, _WIRE_FIELDS)
    for key in ("parameter", "source", "amount"):
        if key not in fields:
            place.at(key).refuse(None, "to be given")
    source = fields["source"]
    known = (*AUDIO_SOURCES, *BEAT_SOURCES, "lfo", *(f"macro.{name}" for name in macros))
    if source not in known:
        place.at("source").refuse(source, f"a source: {suggest(source, known)}")
    strays = ("curve",) if source == "lfo" else _LFO_ONLY
    for key in strays:
        if key in fields:
            place.at(key).refuse(
                data[key], f"no {key}: " + ("an lfo has none" if source == "lfo" else "only an lfo has one")
            )
    row = PARAMS[fields.pop("parameter")]
    span = row.high - row.low
    bounded(place.at("amount"), fields["amount"], -span, span, f"{-span:g} to {span:g} {row.unit}".strip())
    if "period" in fields:
        fields["period"], fields["in_beats"] = fields["period"]
    return Modulation(param=row.name, **fields)


def _wires(place: Place, data: Any, macros: Mapping[str, MacroDef]) -> tuple[Modulation, ...]:
    if not isinstance(data, list) or len(data) > MAX_MODULATIONS:
        place.refuse(data, f"a list of at most {MAX_MODULATIONS} modulations")
    return tuple(_wire(place.item(i), item, macros) for i, item in enumerate(data))


def load_look(path: Path, macros: Mapping[str, MacroDef] = MappingProxyType({})) -> Look:
    """Return the look that the YAML file ``path`` describes; ``macros`` are those it may name as sources.

    Raises:
        ConfigError: names file, key, value and what was expected.
    """
    table: Mapping[str, Reader] = {
        "summary": text(200),
        "parameters": _parameters,
        "modulations": lambda place, value: _wires(place, value, macros),
        "prompt": text(2000),
        "negative": text(2000),
    }
    fields = read_fields(Place(path), read_yaml(path), table)
    if "parameters" in fields:
        fields["values"] = fields.pop("parameters")
    return Look(name=path.stem, **fields)


def load_looks(
    folder: Path, macros: Mapping[str, MacroDef] = MappingProxyType({}), *, first: str = ""
) -> tuple[dict[str, Look], tuple[ConfigError, ...]]:
    """Return the looks of ``folder`` (``*.yaml``) that are good, in alphabetical order, and the faults of the rest.

    Args:
        folder: where looks are read from.
        macros: those a look may name as sources.
        first: name of the look the show starts with, or the path of a look file anywhere, which then goes by that
            path; a fault in it is raised instead of returned.

    Raises:
        ConfigError: if the folder cannot be listed or the look ``first`` is wrong.
    """
    looks: dict[str, Look] = {}
    faults: list[ConfigError] = []
    for path in _yaml_files(folder):
        try:
            look = load_look(path, macros)
            if look.name in looks:
                Place(path).refuse(path.name, f"one file a look; {look.name!r} is there twice")
        except ConfigError as fault:
            if path.stem == first and first not in looks:
                raise
            faults.append(fault)
        else:
            looks[look.name] = look
    if first not in looks and first.endswith(_ENDINGS):
        looks[first] = replace(load_look(Path(first).expanduser(), macros), name=first)
    return looks, tuple(faults)


# ---------------------------------------------------------------- folders


def _yaml_files(folder: Path) -> list[Path]:
    try:
        found = [path for path in folder.iterdir() if path.suffix in _ENDINGS and path.name[0] != "."]
    except OSError as error:
        Place(folder).refuse(error.strerror or str(error), "a folder of YAML files")
    return sorted(found)


def active_dir(macros_dir: Path) -> Path:
    """Return the live macro folder that belongs to ``macros_dir``.

    ``$VJENGINE_ACTIVE`` wins; else it is ``active`` beside the macros, or, where an installation cannot be written to,
    a folder of the user's own. The folder need not exist yet.
    """
    override = os.environ.get("VJENGINE_ACTIVE", "")
    if override:
        return Path(override).expanduser()
    beside = macros_dir / "active"
    nearest = beside if beside.exists() else macros_dir
    if os.access(nearest, os.W_OK):
        return beside
    import platformdirs

    return Path(platformdirs.user_data_dir("vjengine", appauthor=False)) / "macros" / "active"
