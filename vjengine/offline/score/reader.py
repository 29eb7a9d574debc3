"""Score files: YAML that a performer writes, read strictly: an error names file, key, value and remedy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vjengine.config import parameter_value
from vjengine.core.params import PARAMS, ParamSpec
from vjengine.core.prompts import MAX_PIECES, MAX_TEXT, MAX_WEIGHT, Pieces, clean_text, parse_prompt, shares
from vjengine.offline.score.curves import INTERPOLATIONS, Interpolation, Value
from vjengine.offline.score.expressions import ExpressionError, parse_expression
from vjengine.offline.score.model import TRANSITIONS, TRIGGERS, Cue, Scene, Score, Transition, WrittenKey, WrittenPrompt
from vjengine.offline.score.moments import read_length, read_moment
from vjengine.strict_yaml import Place, Reader, bounded, number, one_of, read_fields, read_yaml, suggest, text, whole

MAX_ITEMS = 2000
"""Most scenes, cues or keyframes in one list."""


def load_score(path: Path) -> Score:
    """Return the score in the file ``path``.

    Raises:
        ConfigError: names file, key, value and what was expected.
    """
    place = Place(path)
    fields = read_fields(place, read_yaml(path), _SCORE)
    if "first_bar" in fields and "tempo" not in fields:
        place.at("first_bar").refuse(fields["first_bar"], "a tempo: beside it")
    return Score(path, **fields)


def _list(place: Place, data: Any, what: str) -> list[Any]:
    if not isinstance(data, list) or len(data) > MAX_ITEMS:
        place.refuse(data, f"a list of at most {MAX_ITEMS} {what}")
    return data


def _fields(place: Place, data: Any, table: Mapping[str, Reader], *needed: str) -> dict[str, Any]:
    fields = read_fields(place, data, table)
    for key in needed:
        if key not in fields:
            place.at(key).refuse(None, "to be given")
    return fields


# ---------------------------------------------------------------- prompts


def _pieces(place: Place, value: Any) -> Pieces:
    """Read ``"sea"``, ``"sea::2 | neon city"`` or ``{sea: 2, neon city: 1}``; weights come to 1 in all."""
    if isinstance(value, dict):
        if not 1 <= len(value) <= MAX_PIECES:
            place.refuse(value, f"1 to {MAX_PIECES} texts with their weights")
        pieces: Pieces = ()
        for words, weight in value.items():
            here = place.at(words)
            if not isinstance(words, str) or not clean_text(words) or set(words) & set("|"):
                here.refuse(words, "a text without |")
            pieces += ((clean_text(words), bounded(here, weight, 0.0, MAX_WEIGHT, f"0 to {MAX_WEIGHT:g}")),)
    elif isinstance(value, str) and value.strip():
        longest = max(len(piece) for piece in value.split("|"))
        if longest > MAX_TEXT + 8 or value.count("|") >= MAX_PIECES:
            place.refuse(value, f"at most {MAX_PIECES} texts of {MAX_TEXT} characters")
        pieces = parse_prompt(value)
    else:
        place.refuse(value, "a prompt: 'sea', 'sea::2 | neon city' or {sea: 2, neon city: 1}")
    found = shares(tuple((words, weight) for words, weight in pieces if weight > 0.0))
    if not found:
        place.refuse(value, "a text with a weight above 0")
    return found


def _prompts(place: Place, data: Any) -> tuple[WrittenPrompt, ...]:
    keys = []
    for i, item in enumerate(_list(place, data, "keyframes")):
        here = place.item(i)
        fields = _fields(here, item, _PROMPT, "at", "prompt")
        keys.append(WrittenPrompt(here, fields["at"], fields["prompt"], fields.get("then", "smooth")))
    return tuple(keys)


# ---------------------------------------------------------------- parameters


def _row(place: Place, name: Any) -> ParamSpec:
    if not isinstance(name, str) or name not in PARAMS:
        place.refuse(name, f"a parameter: {suggest(name, PARAMS.index)}")
    return PARAMS[name]


def _value(place: Place, row: ParamSpec, value: Any) -> Value:
    """Read a number, the name of a choice, or an expression."""
    if not isinstance(value, str) or value in row.choices:
        return parameter_value(place, row, value)
    try:
        return parse_expression(value)
    except ExpressionError as error:
        place.refuse(value, f"{row.expected}, or an expression like '0.35 + 0.2*low': {error}")


def _parameters(place: Place, data: Any) -> Mapping[str, tuple[WrittenKey, ...]]:
    if not isinstance(data, dict):
        place.refuse(data, "a mapping of parameters to numbers, expressions or keyframes")
    found: dict[str, tuple[WrittenKey, ...]] = {}
    for name, value in data.items():
        here = place.at(name)
        row = _row(here, name)
        if not isinstance(value, list):
            found[row.name] = (WrittenKey(here, None, _value(here, row, value), "hold"),)
            continue
        keys = []
        for i, item in enumerate(_list(here, value, "keyframes")):
            spot = here.item(i)
            fields = _fields(spot, item, _KEY, "at", "value")
            way: Interpolation = fields.get("then", "linear")
            keys.append(WrittenKey(spot, fields["at"], _value(spot.at("value"), row, fields["value"]), way))
        if not keys:
            here.refuse(value, "at least one keyframe like {at: 16|, value: 0.5}")
        found[row.name] = tuple(keys)
    return found


# ---------------------------------------------------------------- scenes and cues


def _transition(place: Place, data: Any) -> Transition:
    if isinstance(data, str):
        kind = one_of(*TRANSITIONS)(place, data)
        return Transition(kind)
    return Transition(**_fields(place, data, _TRANSITION, "kind"))


def _scenes(place: Place, data: Any) -> tuple[Scene, ...]:
    scenes = []
    for i, item in enumerate(_list(place, data, "scenes")):
        here = place.item(i)
        fields = _fields(here, item, _SCENE, "at")
        palette = fields.pop("palette", None)
        if palette is not None:
            fields["parameters"] = {"gen.palette": (palette,), **fields.get("parameters", {})}
        scenes.append(Scene(here, **fields))
    return tuple(scenes)


def _cues(place: Place, data: Any) -> tuple[Cue, ...]:
    return tuple(_cue(place.item(i), item) for i, item in enumerate(_list(place, data, "cues")))


_DOES = ("macro", "parameter", "trigger")
_BELONGS = {"state": "macro", "level": "macro", "for": "macro", "value": "parameter", "over": "parameter"}


def _cue(place: Place, data: Any) -> Cue:
    fields = _fields(place, data, _CUE, "at")
    does = [key for key in _DOES if key in fields]
    if len(does) != 1:
        place.refuse(data, "one of macro, parameter or trigger in a cue")
    for key, owner in _BELONGS.items():
        if key in fields and owner != does[0]:
            place.at(key).refuse(data[key], f"no {key}: it belongs to a {owner}")
    if "state" in fields and "level" in fields:
        place.at("level").refuse(fields["level"], "either state or level")
    if "until" in fields and "every" not in fields:
        place.at("until").refuse(data["until"], "an every: beside it")
    cue: dict[str, Any] = {key: fields[key] for key in ("at", "macro", "trigger", "every", "until") if key in fields}
    if does[0] == "macro":
        cue["level"] = fields.get("level", float(fields.get("state", True)))
        cue["length"] = fields.get("for")
        if cue["length"] is not None and cue["level"] == 0.0:
            place.at("for").refuse(data["for"], "no length: the macro is switched off")
    if does[0] == "parameter":
        row = _row(place.at("parameter"), fields["parameter"])
        if "value" not in fields:
            place.at("value").refuse(None, "to be given")
        cue["param"] = row.name
        cue["value"] = parameter_value(place.at("value"), row, fields["value"])
        cue["length"] = fields.get("over")
    return Cue(place, **cue)


def _raw(place: Place, value: Any) -> Any:
    return value


def _switch(place: Place, value: Any) -> bool:
    if not isinstance(value, bool):
        place.refuse(value, "on or off")
    return value


def _palette(place: Place, value: Any) -> WrittenKey:
    return WrittenKey(place, None, parameter_value(place, PARAMS["gen.palette"], value), "hold")


_PROMPT: Mapping[str, Reader] = {"at": read_moment, "prompt": _pieces, "then": one_of(*INTERPOLATIONS)}
_KEY: Mapping[str, Reader] = {"at": read_moment, "value": _raw, "then": one_of(*INTERPOLATIONS)}
_TRANSITION: Mapping[str, Reader] = {"kind": one_of(*TRANSITIONS), "length": read_length}
_SCENE: Mapping[str, Reader] = {
    "at": read_moment,
    "name": text(60),
    "look": text(200),
    "prompt": _pieces,
    "palette": _palette,
    "parameters": _parameters,
    "transition": _transition,
}
_CUE: Mapping[str, Reader] = {
    "at": read_moment,
    "macro": text(32),
    # Not "on:", which YAML reads as true.
    "state": _switch,
    "level": number(0.0, 1.0),
    "for": read_length,
    "trigger": one_of(*TRIGGERS),
    "parameter": text(64),
    "value": _raw,
    "over": read_length,
    "every": read_length,
    "until": read_moment,
}
_SCORE: Mapping[str, Reader] = {
    "title": text(200),
    "seed": whole(0, 2**31 - 1),
    "tempo": number(30.0, 300.0, "BPM"),
    "first_bar": number(0.0, 36_000.0, "s"),
    "scenes": _scenes,
    "prompts": _prompts,
    "parameters": _parameters,
    "cues": _cues,
}
