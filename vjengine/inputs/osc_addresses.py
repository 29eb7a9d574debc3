"""From the OSC tree to events: what the arguments of every address mean.

Addresses are matched whatever their case. A button's release (a single 0 or False) is not a second press: one-shots
ignore it. Faders are clamped to their range; NaN, infinity and arguments of a wrong kind are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from vjengine.core.events import (
    CrowdPrompt,
    Event,
    LearnMidi,
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
from vjengine.core.osc_packet import Argument
from vjengine.core.osc_tree import MAX_NAME, MAX_NUDGE, TEMPO_LIMITS, Kind, OscAddress, osc_tree
from vjengine.core.params import PARAMS, ParamSpec
from vjengine.core.prompts import MAX_TEXT

SOURCE = "osc"
MAX_PROMPT = MAX_TEXT
"""Longest prompt, characters."""

Arguments = tuple[Argument, ...]
Make = Callable[[Arguments, float], Event | None]


class WrongArguments(ValueError):
    """A message's arguments are not what its address takes; the text says what it takes."""


@dataclass(frozen=True, slots=True)
class OscRow:
    """One address that makes events.

    Attributes:
        row: the address.
        make: turns arguments and session time (s) into an event; ``None`` if there is nothing to do (a release).
            Raises WrongArguments.
    """

    row: OscAddress
    make: Make

    @property
    def address(self) -> str:
        """The address as documented."""
        return self.row.address


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


def _shot(make: Callable[..., Event], arguments: Arguments, time: float) -> Event | None:
    """Make a one-shot of a press; a release is nothing. Some senders say "impulse" with a nil."""
    if arguments == (None,):
        arguments = ()
    return make(time=time) if _one_number(arguments, otherwise=1.0) > 0.0 else None


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


def _crowd(arguments: Arguments, time: float) -> Event:
    return CrowdPrompt(time=time, source=SOURCE, text=_text(arguments, MAX_PROMPT))


def _learn(arguments: Arguments, time: float) -> Event:
    return LearnMidi(time=time, source=SOURCE, target=_text(arguments, MAX_NAME))


def osc_address_map(macros: Mapping[str, MacroDef], looks: Sequence[str] = ()) -> list[OscRow]:
    """Return every address of the tree that makes events, in its order.

    Args:
        macros: the macros of the show.
        looks: names that ``/look`` accepts, whatever their case; empty accepts any.
    """
    by_lower = {name.lower(): name for name in looks}

    def shot(event: type[Event], **fields: object) -> Make:
        return partial(_shot, partial(event, source=SOURCE, **fields))  # type: ignore[arg-type]

    makers: Mapping[Kind, Callable[[str], Make]] = {
        "macro": lambda name: partial(_macro, macros[name]),
        "toggle": lambda name: shot(MacroToggle, macro=name),
        "param": lambda name: partial(_param, PARAMS[name]),
        "value": lambda name: partial(_param_value, PARAMS[name]),
        "look": lambda _: partial(_look, by_lower),
        "look_step": lambda name: shot(LookSelected, step=int(name)),
        "tap": lambda _: shot(Tap),
        "resync": lambda _: shot(Resync),
        "scale": lambda _: _scale,
        "nudge": lambda _: _nudge,
        "range": lambda _: _range,
        "trigger": lambda name: shot(Trigger, action=cast(TriggerName, name)),
        "prompt": lambda _: _prompt,
        "crowd": lambda _: _crowd,
        "learn": lambda _: _learn,
        "learn_undo": lambda _: shot(LearnMidi, undo=True),
        "crowd_clear": lambda _: shot(CrowdPrompt, text=""),
    }
    return [OscRow(row, makers[row.kind](row.name)) for row in osc_tree(macros, looks) if row.kind in makers]
