"""What a page may ask of the show. Strangers talk to the process that sends these, so all is checked once more here."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping
from typing import Any, get_args

from vjengine.core import events as ev
from vjengine.core.macros import TriggerName
from vjengine.core.params import PARAMS
from vjengine.core.prompts import MAX_TEXT
from vjengine.core.show import Show

SOURCE, CROWD = "page", "crowd"
"""Sources of the events: the performer's page, the audience."""
MAX_AUTHOR = 40
_NUDGE = 250.0


class WrongOrder(ValueError):
    """An order that is none; the text says what was expected."""


def event_of(order: Mapping[str, Any], show: Show, time: float) -> ev.Event:
    """Return the event that an order asks for::

        {"kind": "macro", "name": "DROP", "value": 1}           on, off, or a level's place 0-1
        {"kind": "toggle", "name": "STROBE"}
        {"kind": "param", "name": "bloom.amount", "position": 0.5}      or "value" in the row's unit
        {"kind": "look", "name": "magma"}                       or "step": 1 or -1
        {"kind": "tempo", "function": "tap"}                    tap, resync, half, double, or nudge with "ms"
        {"kind": "trigger", "action": "reseed"}
        {"kind": "prompt", "text": "…"}                         the performer's own; empty takes it back
        {"kind": "crowd", "text": "…", "author": "…"}           one of the audience, let in; empty takes it back
        {"kind": "learn", "target": "DROP"}                     the next control moved plays it; empty no longer looks
        {"kind": "learn", "undo": true}                         take back what was learnt last

    Args:
        order: as it came.
        show: names that exist.
        time: session time (s) at which it came.

    Raises:
        WrongOrder: naming what was expected.
    """
    kind = order.get("kind")
    make = _MAKERS.get(kind) if isinstance(kind, str) else None
    if make is None:
        raise WrongOrder(f"'kind' is one of {', '.join(_MAKERS)}")
    return make(order, show, time)


def _macro(order: Mapping[str, Any], show: Show, time: float) -> ev.Event:
    name = _known(order, "name", show.macros, "a macro")
    value = min(1.0, max(0.0, _number(order, "value")))
    if show.macros[name].kind == "level":
        return ev.MacroLevel(time=time, source=SOURCE, macro=name, value=value)
    return ev.MacroSet(time=time, source=SOURCE, macro=name, value=1.0 if value > 0.0 else 0.0)


def _toggle(order: Mapping[str, Any], show: Show, time: float) -> ev.Event:
    return ev.MacroToggle(time=time, source=SOURCE, macro=_known(order, "name", show.macros, "a macro"))


def _param(order: Mapping[str, Any], show: Show, time: float) -> ev.Event:
    name = _known(order, "name", PARAMS.index, "a parameter")
    if "value" in order:
        value = PARAMS[name].clamp(_number(order, "value"))
        return ev.ParamSet(time=time, source=SOURCE, param=name, value=value, normalised=False)
    return ev.ParamSet(time=time, source=SOURCE, param=name, value=min(1.0, max(0.0, _number(order, "position"))))


def _look(order: Mapping[str, Any], show: Show, time: float) -> ev.Event:
    if "step" in order:
        if order["step"] not in (1, -1):
            raise WrongOrder("'step' is 1 or -1")
        return ev.LookSelected(time=time, source=SOURCE, step=int(order["step"]))
    return ev.LookSelected(time=time, source=SOURCE, look=_known(order, "name", show.looks, "a look"))


def _tempo(order: Mapping[str, Any], show: Show, time: float) -> ev.Event:
    function = order.get("function")
    if function == "nudge":
        shift = _number(order, "ms")
        if abs(shift) > _NUDGE:
            raise WrongOrder(f"'ms' is a number from {-_NUDGE:g} to {_NUDGE:g}")
        return ev.TempoNudge(time=time, source=SOURCE, milliseconds=shift)
    makers: dict[str, Callable[[], ev.Event]] = {
        "tap": lambda: ev.Tap(time=time, source=SOURCE),
        "resync": lambda: ev.Resync(time=time, source=SOURCE),
        "half": lambda: ev.TempoScale(time=time, source=SOURCE, factor=0.5),
        "double": lambda: ev.TempoScale(time=time, source=SOURCE, factor=2.0),
    }
    if not isinstance(function, str) or function not in makers:
        raise WrongOrder(f"'function' is one of {', '.join((*makers, 'nudge'))}")
    return makers[function]()


def _trigger(order: Mapping[str, Any], show: Show, time: float) -> ev.Event:
    actions: tuple[TriggerName, ...] = get_args(TriggerName)
    for action in actions:
        if action == order.get("action"):
            return ev.Trigger(time=time, source=SOURCE, action=action)
    raise WrongOrder(f"'action' is one of {', '.join(actions)}")


def _prompt(order: Mapping[str, Any], show: Show, time: float) -> ev.Event:
    return ev.PromptSubmitted(time=time, source=SOURCE, text=_text(order, "text", MAX_TEXT))


def _crowd(order: Mapping[str, Any], show: Show, time: float) -> ev.Event:
    text, author = _text(order, "text", MAX_TEXT), _text(order, "author", MAX_AUTHOR)
    return ev.CrowdPrompt(time=time, source=CROWD, text=text, author=author)


def _learn(order: Mapping[str, Any], show: Show, time: float) -> ev.Event:
    if order.get("undo") is True:
        return ev.LearnMidi(time=time, source=SOURCE, undo=True)
    target = order.get("target")
    if not isinstance(target, str) or not (target == "" or learnable(target, show.macros, PARAMS.index, show.looks)):
        raise WrongOrder(f"'target' is empty, a macro, a parameter, look:NAME or one of {', '.join(LEARNABLE)}")
    return ev.LearnMidi(time=time, source=SOURCE, target=target)


LEARNABLE = ("tempo:tap", "tempo:resync", "tempo:half", "tempo:double", "look:next", "look:previous")
"""What a controller can learn beside macros, parameters and looks."""


def learnable(target: str, macros: Container[str], params: Container[str], looks: Container[str]) -> bool:
    """Return whether a controller can learn ``target``."""
    return target in LEARNABLE or target in macros or target in params or target.removeprefix("look:") in looks


_MAKERS: Mapping[str, Callable[[Mapping[str, Any], Show, float], ev.Event]] = {
    "macro": _macro,
    "toggle": _toggle,
    "param": _param,
    "look": _look,
    "tempo": _tempo,
    "trigger": _trigger,
    "prompt": _prompt,
    "crowd": _crowd,
    "learn": _learn,
}


def _known(order: Mapping[str, Any], field: str, names: Mapping[str, Any], what: str) -> str:
    name = order.get(field)
    if not isinstance(name, str) or name not in names:
        raise WrongOrder(f"{field!r} is the name of {what}")
    return name


def _number(order: Mapping[str, Any], field: str) -> float:
    value = order.get(field)
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        # JSON has whole numbers of any length.
        number = math.nan
    if not math.isfinite(number):
        raise WrongOrder(f"{field!r} is a finite number")
    return number


def _text(order: Mapping[str, Any], field: str, longest: int) -> str:
    text = order.get(field, "")
    if not isinstance(text, str) or len(text) > longest:
        raise WrongOrder(f"{field!r} is a text of at most {longest} characters")
    return text
