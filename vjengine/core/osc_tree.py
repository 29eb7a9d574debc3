"""The OSC tree: every address that is obeyed, what it takes, and how its present value is read.

One table, made of the parameter rows and the macros of the show. Listening, answering ``?``, feedback to controllers,
OSCQuery, ``vjengine osc map`` and the TouchDesigner contract all derive from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from vjengine.core.control import ControlState
from vjengine.core.macros import MacroDef, TriggerName
from vjengine.core.params import PARAMS, ParamSpec
from vjengine.core.prompts import MAX_TEXT

MAX_NAME = 100
"""Longest name of a look, characters."""
MAX_NUDGE = 1000.0
"""Largest nudge, ms either way."""
TEMPO_LIMITS = (20.0, 400.0)
"""Slowest and fastest tempo that a range may name, BPM."""

Kind = Literal[
    "macro", "toggle", "param", "value", "look", "look_step", "tap", "resync", "scale", "nudge", "range", "trigger",
    "prompt", "crowd", "crowd_clear", "learn", "learn_undo", "subscribe", "unsubscribe",
]  # fmt: skip
"""What an address does."""
Value = float | int | str


@dataclass(frozen=True, slots=True)
class Span:
    """What one argument may be.

    Attributes:
        tag: OSC type tag: ``f`` float, ``i`` whole number, ``s`` string, ``I`` a press, which needs no argument at all.
        low, high: range of a number, inclusive; None where there is no limit.
        unit: unit of a number; empty for a bare one.
        choices: the only strings that are taken; empty for any.
        clipped: True if a number outside of the range is moved to its end, False if it is refused.
    """

    tag: Literal["f", "i", "s", "I"]
    low: float | None = None
    high: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    clipped: bool = False


@dataclass(frozen=True, slots=True)
class OscAddress:
    """One address that is obeyed.

    Attributes:
        address: as documented; matched whatever its case.
        kind: what it does.
        name: to what: the name of a macro, a parameter or a trigger, or a step of looks.
        spans: its arguments.
        arguments: the same in words.
        doc: what it does, one line.
    """

    address: str
    kind: Kind
    name: str
    spans: tuple[Span, ...]
    arguments: str
    doc: str

    @property
    def tags(self) -> str:
        """OSC type tags of the arguments, without the comma."""
        return "".join(span.tag for span in self.spans)

    @property
    def readable(self) -> bool:
        """True if there is a present value to ask for."""
        return self.kind in _READABLE


_READABLE: frozenset[Kind] = frozenset(("macro", "param", "value", "look", "prompt", "crowd"))


def fader(state: ControlState, name: str) -> float:
    """Return where a parameter's fader stands, in the row's unit: before modulation and macros, and where it glides to.

    What is in force at this moment is ``state.values``, which the feed sends.
    """
    aimed = state.targets.get(name)
    return aimed if aimed is not None else state.smoothed[name]


def present(row: OscAddress, state: ControlState) -> Value | None:
    """Return the present value of an address, of the type of its tag; None if it has none."""
    if row.kind == "param":
        return PARAMS[row.name].to_unit(fader(state, row.name))
    if row.kind == "value":
        return real(PARAMS[row.name], fader(state, row.name))
    if row.kind == "macro":
        macro = state.macros.get(row.name)
        return macro.requested if macro is not None else None
    if row.kind == "look":
        return state.look.name
    if row.kind == "prompt":
        return state.prompt[0]
    if row.kind == "crowd":
        return state.crowd.text
    return None


def real(spec: ParamSpec, value: float) -> Value:
    """Return a parameter's value as ``/param/…/value`` says it: a choice's name, a whole number, or a number."""
    if spec.choices:
        return spec.choices[int(spec.clamp(value))]
    return int(spec.clamp(value)) if spec.curve == "integer" else float(value)


# ---------------------------------------------------------------- the table

PRESS = "nothing, or a number or boolean; 0 is a release and does nothing"
_PRESSED = (Span("I"),)
_UNIT = (Span("f", 0.0, 1.0, clipped=True),)
_TRIGGER_DOCS: Mapping[TriggerName, str] = {
    "reseed": "a new generator seed",
    "cut": "the next picture without cross-fade",
    "clear": "wipe the feedback",
    "panic": "everything back to the look as written",
}


def param_address(row: ParamSpec) -> str:
    """Return the address of a parameter's fader."""
    return "/param/" + row.name.replace(".", "/")


def _macro_rows(macro: MacroDef) -> Iterable[OscAddress]:
    does = macro.summary or macro.name
    if macro.kind == "level":
        yield OscAddress(macro.address, "macro", macro.name, _UNIT, "0 to 1; nothing is 1", does)
        return
    yield OscAddress(macro.address, "macro", macro.name, _UNIT, "on above 0, off at 0; nothing is on", does)
    yield OscAddress(f"{macro.address}/toggle", "toggle", macro.name, _PRESSED, PRESS, f"flip {macro.name}")


def _param_rows(row: ParamSpec) -> Iterable[OscAddress]:
    address = param_address(row)
    yield OscAddress(address, "param", row.name, _UNIT, "0 to 1 along the fader", row.doc)
    if row.choices:
        span, words = Span("s", choices=row.choices), "a name or number: " + ", ".join(row.choices)
    else:
        tag: Literal["i", "f"] = "i" if row.curve == "integer" else "f"
        span, words = Span(tag, row.low, row.high, row.unit, clipped=True), row.expected
    yield OscAddress(f"{address}/value", "value", row.name, (span,), words, row.doc)


def osc_tree(macros: Mapping[str, MacroDef], looks: Sequence[str] = ()) -> list[OscAddress]:
    """Return every address that is obeyed, in the order of the documentation.

    Args:
        macros: the macros of the show.
        looks: names that ``/look`` accepts; empty accepts any.
    """
    rows = [row for macro in macros.values() for row in _macro_rows(macro)]
    rows += [row for spec in PARAMS for row in _param_rows(spec)]
    tempo = Span("f", *TEMPO_LIMITS, "BPM")
    rows += [
        OscAddress("/look", "look", "", (Span("s", choices=tuple(looks)),), "name of a look", "choose a look"),
        OscAddress("/look/next", "look_step", "1", _PRESSED, PRESS, "the next look"),
        OscAddress("/look/prev", "look_step", "-1", _PRESSED, PRESS, "the previous look"),
        OscAddress("/tempo/tap", "tap", "", _PRESSED, PRESS, "tap the tempo"),
        OscAddress("/tempo/resync", "resync", "", _PRESSED, PRESS, "now is the 1 of a bar"),
        OscAddress("/tempo/scale", "scale", "", (Span("f", 0.25, 4.0, "x"),), "0.25 to 4",
                   "read the tempo that many times as fast: 2 or 0.5"),
        OscAddress("/tempo/nudge", "nudge", "", (Span("f", -MAX_NUDGE, MAX_NUDGE, "ms"),), "-1000 to 1000 ms",
                   "shift the beat; above 0 is later"),
        OscAddress("/tempo/range", "range", "", (tempo, tempo), "lowest, highest: 20 to 400 BPM",
                   "accept tempos of this range only"),
    ]  # fmt: skip
    for action in get_args(TriggerName):
        rows.append(OscAddress(f"/trigger/{action}", "trigger", action, _PRESSED, PRESS, _TRIGGER_DOCS[action]))
    text = f"one string of at most {MAX_TEXT} characters"
    port, host = Span("i", 1, 65535), Span("s")
    rows += [
        OscAddress("/prompt", "prompt", "", (Span("s"),), text, "prompt; empty takes it back"),
        OscAddress("/crowd/prompt", "crowd", "", (Span("s"),), text,
                   "let a text in among the crowd's, past the queue; empty takes the present one back"),
        OscAddress("/crowd/clear", "crowd_clear", "", _PRESSED, PRESS, "take the crowd's present text back"),
        OscAddress("/midi/learn", "learn", "", (Span("s"),), "name of a macro or parameter, or tempo:tap and the like",
                   "the next MIDI control that is moved shall play it; empty stops waiting for one"),
        OscAddress("/midi/learn/undo", "learn_undo", "", _PRESSED, PRESS, "take back what was learnt last"),
        OscAddress("/subscribe", "subscribe", "", (host, port),
                   "nothing, or port, or host and port; then faders or feed",
                   "send feedback there for a minute; send it again in time to keep it"),
        OscAddress("/unsubscribe", "unsubscribe", "", (host, port), "as for /subscribe", "end that feedback"),
    ]  # fmt: skip
    return rows
