"""The OSC tree we obey: one table of addresses, from which listening, ``--help`` and the documentation derive.

Addresses are matched whatever their case. A button's release (a single 0 or False) is not a second press: one-shots
ignore it. Faders are clamped to their range; NaN, infinity and arguments of a wrong kind are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

from vjengine.core.events import (
    Event,
    LookSelected,
    MacroLevel,
    MacroSet,
    MacroToggle,
    ParamSet,
    PromptSubmitted,
    Resync,
    Tap,
    TempoNudge,
    TempoRange,
    TempoScale,
    Trigger,
)
from vjengine.core.macros import MacroDef, TriggerName
from vjengine.core.params import PARAMS, ParamSpec
from vjengine.inputs.osc_packet import Argument

SOURCE = "osc"
MAX_PROMPT = 500
"""Longest prompt, characters."""
MAX_NAME = 100
"""Longest name of a look, characters."""
MAX_NUDGE = 1000.0
"""Largest nudge, ms either way."""
TEMPO_LIMITS = (20.0, 400.0)
"""Slowest and fastest tempo that a range may name, BPM."""

Arguments = tuple[Argument, ...]
Make = Callable[[Arguments, float], Event | None]


class WrongArguments(ValueError):
    """A message's arguments are not what its address takes; the text says what it takes."""


@dataclass(frozen=True, slots=True)
class OscRow:
    """One address.

    Attributes:
        address: as documented.
        arguments: what it takes, in words.
        doc: what it does, one line.
        make: turns arguments and session time (s) into an event; ``None`` if there is nothing to do (a release).
            Raises WrongArguments.
    """

    address: str
    arguments: str
    doc: str
    make: Make


# ---------------------------------------------------------------- reading arguments


def _number(value: Argument) -> float:
    """Return a finite number; booleans count as 1 and 0."""
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    raise WrongArguments("a finite number")


def _one_number(arguments: Arguments, *, otherwise: float | None = None) -> float:
    """Return the only argument; ``otherwise`` stands for none."""
    if not arguments and otherwise is not None:
        return otherwise
    if len(arguments) != 1:
        raise WrongArguments("one number")
    return _number(arguments[0])


def _within(value: float, low: float, high: float, unit: str = "") -> float:
    if not low <= value <= high:
        raise WrongArguments(f"a number from {low:g} to {high:g} {unit}".strip())
    return value


def _text(arguments: Arguments, limit: int) -> str:
    """Return the only argument, a string of at most ``limit`` characters, its white space made single spaces."""
    if len(arguments) != 1 or not isinstance(arguments[0], str) or len(arguments[0]) > limit:
        raise WrongArguments(f"one string of at most {limit} characters")
    text = " ".join(arguments[0].split())
    if not text.isprintable():
        raise WrongArguments("text without control characters")
    return text


# ---------------------------------------------------------------- making events


def _macro(macro: MacroDef, arguments: Arguments, time: float) -> Event:
    value = _one_number(arguments, otherwise=1.0)
    if macro.kind == "level":
        return MacroLevel(time=time, source=SOURCE, macro=macro.name, value=min(1.0, max(0.0, value)))
    return MacroSet(time=time, source=SOURCE, macro=macro.name, value=1.0 if value > 0.0 else 0.0)


def _param(row: ParamSpec, arguments: Arguments, time: float) -> Event:
    position = min(1.0, max(0.0, _one_number(arguments)))
    return ParamSet(time=time, source=SOURCE, param=row.name, value=position)


def _param_value(row: ParamSpec, arguments: Arguments, time: float) -> Event:
    if row.choices and len(arguments) == 1 and arguments[0] in row.choices:
        value = float(row.choices.index(str(arguments[0])))
    else:
        value = row.clamp(_one_number(arguments))
    return ParamSet(time=time, source=SOURCE, param=row.name, value=value, normalised=False)


def _shot(make: Callable[[float], Event], arguments: Arguments, time: float) -> Event | None:
    """Make a one-shot of a press; a release is nothing."""
    return make(time) if _one_number(arguments, otherwise=1.0) > 0.0 else None


def _look(looks: Mapping[str, str], arguments: Arguments, time: float) -> Event:
    name = _text(arguments, MAX_NAME)
    if not name or (looks and name.lower() not in looks):
        raise WrongArguments("the name of a look: " + (", ".join(looks.values()) or "not empty"))
    return LookSelected(time=time, source=SOURCE, look=looks.get(name.lower(), name))


def _scale(arguments: Arguments, time: float) -> Event:
    return TempoScale(time=time, source=SOURCE, factor=_within(_one_number(arguments), 0.25, 4.0))


def _nudge(arguments: Arguments, time: float) -> Event:
    shift = _within(_one_number(arguments), -MAX_NUDGE, MAX_NUDGE, "ms")
    return TempoNudge(time=time, source=SOURCE, milliseconds=shift)


def _range(arguments: Arguments, time: float) -> Event:
    if len(arguments) != 2:
        raise WrongArguments("two numbers, lowest and highest BPM")
    low, high = (_within(_number(value), *TEMPO_LIMITS, "BPM") for value in arguments)
    if low >= high:
        raise WrongArguments("the lowest BPM first")
    return TempoRange(time=time, source=SOURCE, low=low, high=high)


def _prompt(arguments: Arguments, time: float) -> Event:
    return PromptSubmitted(time=time, source=SOURCE, text=_text(arguments, MAX_PROMPT))


# ---------------------------------------------------------------- the table

PRESS = "nothing, or a number or boolean; 0 is a release and does nothing"
_TRIGGER_DOCS: Mapping[TriggerName, str] = {
    "reseed": "a new generator seed",
    "cut": "the next picture without cross-fade",
    "clear": "wipe the feedback",
    "panic": "everything back to the look as written",
}


def _macro_rows(macro: MacroDef) -> Iterable[OscRow]:
    does = macro.summary or macro.name
    if macro.kind == "level":
        yield OscRow(macro.address, "0 to 1; nothing is 1", does, partial(_macro, macro))
        return
    yield OscRow(macro.address, "on above 0, off at 0; nothing is on", does, partial(_macro, macro))
    flip = partial(MacroToggle, source=SOURCE, macro=macro.name)
    yield OscRow(f"{macro.address}/toggle", PRESS, f"flip {macro.name}", partial(_shot, _at(flip)))


def _param_rows(row: ParamSpec) -> Iterable[OscRow]:
    address = "/param/" + row.name.replace(".", "/")
    yield OscRow(address, "0 to 1 along the fader", row.doc, partial(_param, row))
    wanted = "a name or number: " + ", ".join(row.choices) if row.choices else row.expected
    yield OscRow(f"{address}/value", wanted, row.doc, partial(_param_value, row))


def osc_address_map(macros: Mapping[str, MacroDef], looks: Sequence[str] = ()) -> list[OscRow]:
    """Return every address that is obeyed, in the order of the documentation.

    Args:
        macros: the macros of the show.
        looks: names that ``/look`` accepts, whatever their case; empty accepts any.
    """
    by_lower = {name.lower(): name for name in looks}

    def shot(make: Callable[[float], Event]) -> Make:
        return partial(_shot, make)

    rows = [row for macro in macros.values() for row in _macro_rows(macro)]
    rows += [row for spec in PARAMS for row in _param_rows(spec)]
    rows += [
        OscRow("/look", "name of a look", "choose a look", partial(_look, by_lower)),
        OscRow("/look/next", PRESS, "the next look", shot(lambda t: LookSelected(time=t, source=SOURCE, step=1))),
        OscRow("/look/prev", PRESS, "the previous look", shot(lambda t: LookSelected(time=t, source=SOURCE, step=-1))),
        OscRow("/tempo/tap", PRESS, "tap the tempo", shot(lambda t: Tap(time=t, source=SOURCE))),
        OscRow("/tempo/resync", PRESS, "now is the 1 of a bar", shot(lambda t: Resync(time=t, source=SOURCE))),
        OscRow("/tempo/scale", "0.25 to 4", "read the tempo that many times as fast: 2 or 0.5", _scale),
        OscRow("/tempo/nudge", "-1000 to 1000 ms", "shift the beat; above 0 is later", _nudge),
        OscRow("/tempo/range", "lowest, highest: 20 to 400 BPM", "accept tempos of this range only", _range),
    ]
    for action in get_args(TriggerName):
        fire = partial(Trigger, source=SOURCE, action=action)
        rows.append(OscRow(f"/trigger/{action}", PRESS, _TRIGGER_DOCS[action], shot(_at(fire))))
    rows.append(
        OscRow("/prompt", f"one string of at most {MAX_PROMPT} characters", "prompt; empty takes it back", _prompt)
    )
    return rows


def _at(make: Callable[..., Event]) -> Callable[[float], Event]:
    return lambda time: make(time=time)
