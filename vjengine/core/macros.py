"""Macros: what a button or fader of the show does, and how it fades in and out.

A macro maps a control state to parameter offsets, prompt edits and one-shot triggers. Definitions are data (one YAML a
macro, loaded by :mod:`vjengine.config`); the functions here are pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

MacroKind = Literal["momentary", "toggle", "level"]
Quantise = Literal["none", "beat", "bar"]
Operation = Literal["add", "multiply", "set"]
TriggerName = Literal["reseed", "cut", "clear", "panic"]


@dataclass(frozen=True, slots=True)
class MacroEffect:
    """What a macro does to one parameter when fully on.

    ``add`` adds ``value``; ``multiply`` scales by ``value``; ``set`` moves to ``value``. In between, the effect is
    scaled by how far the macro's envelope is from its neutral value.
    """

    param: str
    operation: Operation
    value: float

    def apply(self, current: float, amount: float) -> float:
        """Return ``current`` with this effect at ``amount``: 1 is fully on, 0 not at all, below 0 the other way."""
        if self.operation == "add":
            return current + amount * self.value
        if self.operation == "multiply":
            return current * (1.0 + amount * (self.value - 1.0))
        return current + amount * (self.value - current)


@dataclass(frozen=True, slots=True)
class MacroDef:
    """One macro.

    Attributes:
        name: upper-case name; also the name of its file in the live folder.
        kind: ``momentary`` (on while held), ``toggle`` (flips) or ``level`` (a fader).
        summary: one line for the performer.
        group: macros of one group exclude each other; the highest ``priority`` that is on wins. Empty: alone.
        priority: rank inside the group.
        attack, release: s for the envelope to rise and fall; 0 is at once.
        quantise: start on the next beat or bar instead of at once.
        initial: value at start, 0–1.
        neutral: value at which the macro does nothing, 0–1; below it, effects turn round. 0.5 for a level whose middle
            is the look as written.
        effects: parameter effects at full envelope.
        triggers: one-shots fired when the macro goes on.
        prompt: words added to the prompt while it is on.
        note: default MIDI note; ``None`` for none.
        cc: default MIDI controller; ``None`` for none.
        key: default key of the keyboard; empty for none.
    """

    name: str
    kind: MacroKind = "momentary"
    summary: str = ""
    group: str = ""
    priority: int = 0
    attack: float = 0.0
    release: float = 0.0
    quantise: Quantise = "none"
    initial: float = 0.0
    neutral: float = 0.0
    effects: tuple[MacroEffect, ...] = ()
    triggers: tuple[TriggerName, ...] = ()
    prompt: str = ""
    note: int | None = None
    cc: int | None = None
    key: str = ""

    @property
    def address(self) -> str:
        """OSC address of the macro."""
        return f"/macro/{self.name}"


@dataclass(frozen=True, slots=True)
class MacroState:
    """Where one macro stands.

    Attributes:
        requested: what the performer asks for, 0–1: a held button is 1, a fader its position.
        armed: True while a quantised start waits for its beat.
        envelope: how far the effect is in, 0–1.
        held_down: True while a stronger macro of the group suppresses this one.
        blip: True if it was pressed and let go within one frame: it still shows for that frame.
        starts: times it went on, a counter.
    """

    requested: float = 0.0
    armed: bool = False
    envelope: float = 0.0
    held_down: bool = False
    blip: bool = False
    starts: int = 0

    @property
    def on(self) -> bool:
        """True if the performer has it on, whether or not it is heard yet."""
        return self.requested > 0.0


def request(macro: MacroDef, state: MacroState, value: float) -> MacroState:
    """Return ``state`` after the performer asks for ``value`` (0–1; NaN counts as 0).

    Buttons know on and off only; a level takes the value itself. Switching on is counted and, for a quantised macro,
    arms it; pressing and releasing between two frames leaves a blip.
    """
    value = 0.0 if math.isnan(value) else min(1.0, max(0.0, value))
    if macro.kind != "level":
        value = 1.0 if value > 0.0 else 0.0
    if value == state.requested:
        return state
    if value > 0.0 and not state.on:
        return replace(state, requested=value, armed=macro.quantise != "none", starts=state.starts + 1)
    if value == 0.0:
        # A waiting start that is let go was never heard: forget it. One already heard shows for a frame at least.
        return replace(state, requested=0.0, armed=False, blip=state.envelope == 0.0 and not state.armed)
    return replace(state, requested=value)


def suppressed(macros: Mapping[str, MacroDef], states: Mapping[str, MacroState]) -> frozenset[str]:
    """Return the macros that a stronger one of their group holds down. Equal priorities do not exclude each other."""
    top: dict[str, int] = {}
    for name, state in states.items():
        macro = macros[name]
        if macro.group and state.on and not state.armed:
            top[macro.group] = max(top.get(macro.group, macro.priority), macro.priority)
    return frozenset(
        name for name in states if macros[name].group and macros[name].priority < top.get(macros[name].group, -(10**9))
    )


def step(macro: MacroDef, state: MacroState, delta: float, *, held_down: bool) -> MacroState:
    """Return ``state`` with its envelope moved on by ``delta`` s; ``held_down`` if a stronger macro is on."""
    target = 0.0 if state.armed or held_down else state.requested
    if state.blip:
        target = 1.0
    envelope = _towards(state.envelope, target, delta, macro.attack, macro.release)
    return replace(state, envelope=envelope, held_down=held_down, blip=False)


def _towards(value: float, target: float, delta: float, attack: float, release: float) -> float:
    """Move ``value`` linearly towards ``target``: the whole way 0 to 1 takes ``attack`` or ``release`` s."""
    if target > value:
        return target if attack <= 0.0 else min(target, value + max(delta, 1e-3) / attack)
    if target < value:
        return target if release <= 0.0 else max(target, value - delta / release)
    return value
