"""What the performer's page and the web process tell each other. Pure: texts in, values out.

From the page, each a JSON object in a text of at most :data:`MAX_TEXT_BYTES` bytes::

    {"kind": "macro" | "toggle" | "param" | "look" | "tempo" | "trigger" | "prompt", …}     see vjengine.web.orders
    {"kind": "learn", "target": name} or {… "undo": true}       likewise, if the schema says "learn": true
    {"kind": "desk", "action": "approve" | "reject" | "pin" | "ban", "id": n}   the crowd's queue
    {"kind": "desk", "action": "mode", "mode": …}, {… "unban", "name": …}, {… "skip"}, {… "clear"}
    {"kind": "seen", "n": n}            message n has been taken in; nothing more is sent while too many are not

To the page::

    {"kind": "schema", "n": n, "schema": …, "crowd": bool}   first, and again should it change; a whole state follows
    {"kind": "whole", "n": n, "state": …}           everything
    {"kind": "change", "n": n, "state": …}          what changed since the last, as a merge patch (RFC 7396)
    {"kind": "desk", "n": n, "desk": …}             the crowd's queue, when it changes
    {"kind": "still", "n": n}                       nothing changed for a while; the line is good
    {"kind": "wrong", "text": …}                    what was wrong with a message, in our own words
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from vjengine.core.macros import TriggerName
from vjengine.core.prompts import MAX_TEXT
from vjengine.web.orders import learnable

MAX_TEXT_BYTES = 8 << 10
"""Longest text that is looked at, bytes."""
MAX_NUDGE = 250.0
"""Farthest that one order shifts the beat, ms."""
_MOST = 1 << 53

Object = dict[str, Any]


class WrongMessage(ValueError):
    """A message that is none; the text says what was expected and repeats nothing of what came."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names of a show.

    Attributes:
        macros: kind of each macro: momentary, toggle or level.
        params: names of the parameters.
        looks: names of the looks.
        learn: True if the show can learn controllers.
    """

    macros: Mapping[str, str]
    params: frozenset[str]
    looks: frozenset[str]
    learn: bool = False

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> Vocabulary:
        """Return the names in a schema (:func:`vjengine.web.view.schema`); an empty one has none."""
        return cls(
            {row["name"]: row["kind"] for row in schema.get("macros", ())},
            frozenset(row["name"] for row in schema.get("params", ())),
            frozenset(schema.get("looks", ())),
            schema.get("learn") is True,
        )


def read(text: str | bytes, names: Vocabulary) -> Object:
    """Return a page's message with only what belongs there.

    Raises:
        WrongMessage: saying what was expected.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise WrongMessage(f"at most {MAX_TEXT_BYTES} bytes")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise WrongMessage("a JSON object") from None
    if not isinstance(message, dict):
        raise WrongMessage("a JSON object")
    kind = message.get("kind")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise WrongMessage(f"'kind' is one of {', '.join(_READERS)}")
    return {"kind": kind, **reader(message, names)}


def patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> Object:
    """Return what turns ``before`` into ``after``: an RFC 7396 merge patch; empty if they are equal."""
    found: Object = {name: None for name in before if name not in after}
    for name, value in after.items():
        if name not in before:
            found[name] = value
        elif value != (old := before[name]):
            found[name] = patch(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
    return found


def written(message: Mapping[str, Any]) -> str:
    """Return a message as text."""
    return json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _macro(message: Object, names: Vocabulary) -> Object:
    return {
        "name": _known(message, "name", names.macros, "a macro"),
        "value": min(1.0, max(0.0, _number(message, "value"))),
    }


def _toggle(message: Object, names: Vocabulary) -> Object:
    name = _known(message, "name", names.macros, "a macro")
    # A momentary macro that was flipped on would have nobody to let it go.
    if names.macros[name] != "toggle":
        raise WrongMessage("'name' is the name of a macro that toggles")
    return {"name": name}


def _param(message: Object, names: Vocabulary) -> Object:
    name = _known(message, "name", names.params, "a parameter")
    if "value" in message:
        return {"name": name, "value": _number(message, "value")}
    return {"name": name, "position": min(1.0, max(0.0, _number(message, "position")))}


def _look(message: Object, names: Vocabulary) -> Object:
    if "step" not in message:
        return {"name": _known(message, "name", names.looks, "a look")}
    if _whole(message, "step") not in (1, -1):
        raise WrongMessage("'step' is 1 or -1")
    return {"step": message["step"]}


def _tempo(message: Object, names: Vocabulary) -> Object:
    function = _one_of(message, "function", ("tap", "resync", "half", "double", "nudge"))
    if function != "nudge":
        return {"function": function}
    shift = _number(message, "ms")
    if abs(shift) > MAX_NUDGE:
        raise WrongMessage(f"'ms' is a number from {-MAX_NUDGE:g} to {MAX_NUDGE:g}")
    return {"function": function, "ms": shift}


def _trigger(message: Object, names: Vocabulary) -> Object:
    return {"action": _one_of(message, "action", get_args(TriggerName))}


def _prompt(message: Object, names: Vocabulary) -> Object:
    return {"text": _text(message, "text", MAX_TEXT)}


def _learn(message: Object, names: Vocabulary) -> Object:
    if not names.learn:
        raise WrongMessage("this show cannot learn controllers")
    if message.get("undo") is True:
        return {"undo": True}
    target = message.get("target")
    if target != "" and not (isinstance(target, str) and learnable(target, names.macros, names.params, names.looks)):
        raise WrongMessage("'target' is empty or the name of a macro, a parameter, a look or a tempo button")
    return {"target": target}


def _desk(message: Object, names: Vocabulary) -> Object:
    action = _one_of(message, "action", ("approve", "reject", "pin", "ban", "unban", "mode", "skip", "clear"))
    if action == "mode":
        return {"action": action, "mode": _one_of(message, "mode", ("auto", "ask", "vote"))}
    if action == "unban":
        return {"action": action, "name": _text(message, "name", 80)}
    if action in ("skip", "clear"):
        return {"action": action}
    return {"action": action, "id": _whole(message, "id")}


def _seen(message: Object, names: Vocabulary) -> Object:
    return {"n": _whole(message, "n")}


_READERS: Mapping[str, Callable[[Object, Vocabulary], Object]] = {
    "macro": _macro,
    "toggle": _toggle,
    "param": _param,
    "look": _look,
    "tempo": _tempo,
    "trigger": _trigger,
    "prompt": _prompt,
    "learn": _learn,
    "desk": _desk,
    "seen": _seen,
}


def _known(message: Object, field: str, names: Mapping[str, Any] | frozenset[str], what: str) -> str:
    name = message.get(field)
    if not isinstance(name, str) or name not in names:
        raise WrongMessage(f"{field!r} is the name of {what}")
    return name


def _one_of(message: Object, field: str, words: tuple[str, ...]) -> str:
    word = message.get(field)
    if not isinstance(word, str) or word not in words:
        raise WrongMessage(f"{field!r} is one of {', '.join(words)}")
    return word


def _number(message: Object, field: str) -> float:
    value = message.get(field)
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.nan
    if not math.isfinite(number):
        raise WrongMessage(f"{field!r} is a finite number")
    return number


def _whole(message: Object, field: str) -> int:
    value = message.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _MOST:
        raise WrongMessage(f"{field!r} is a whole number")
    return value


def _text(message: Object, field: str, longest: int) -> str:
    text = message.get(field)
    if not isinstance(text, str) or len(text) > longest:
        raise WrongMessage(f"{field!r} is a text of at most {longest} characters")
    # Halves of a surrogate pair are no text: they could not be written down again.
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise WrongMessage(f"{field!r} is Unicode text")
    return text
