"""Timed edges from the outside world. Levels may be merged on their way; edges never are.

Every event carries ``time``, session seconds at which it happened, and ``source``, who sent it
(``"midi:nanoKONTROL2"``, ``"osc"``, ``"key"``, ``"file"`` …) for the HUD and for logs.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""

    time: float = 0.0
    source: str = ""

    @property
    def merge_key(self) -> Hashable | None:
        """Two waiting events with the same key are merged into the later one; ``None`` means never merge."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroSet(Event):
    """A macro is switched on (``value`` > 0) or off (0). An edge: never merged."""

    macro: str
    value: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroLevel(Event):
    """A level macro is moved to ``value``, 0–1. A fader: only the latest matters."""

    macro: str
    value: float

    @property
    def merge_key(self) -> Hashable | None:
        """Faders merge a macro at a time."""
        return ("macro", self.macro)


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroToggle(Event):
    """A toggle macro is flipped."""

    macro: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamSet(Event):
    """A parameter is moved. ``value`` is 0–1 along the row's curve if ``normalised``, else in the row's unit."""

    param: str
    value: float
    normalised: bool = True

    @property
    def merge_key(self) -> Hashable | None:
        """Faders merge a parameter at a time."""
        return ("param", self.param)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookSelected(Event):
    """A look is chosen by name, or the next (+1) or previous (−1) one by ``step``."""

    look: str = ""
    step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSubmitted(Event):
    """A text prompt for generators that read one.

    ``cue`` is False for a prompt that only moves on by a little, as one step of a long blend: no new scene begins.
    """

    text: str
    weight: float = 1.0
    cue: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdPrompt(Event):
    """A text from the audience, let in by the performer or by the queue; an empty one takes the present one back."""

    text: str
    author: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger(Event):
    """A one-shot: ``reseed`` (new generator seed), ``cut`` (next picture without cross-fade), ``clear`` (wipe the
    feedback), ``panic`` (everything back to the look as written)."""

    action: Literal["reseed", "cut", "clear", "panic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TempoEvent(Event):
    """Base of the performer's corrections of the beat clock; they go to the analyser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap(TempoEvent):
    """One tap of the tempo button, at ``time``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resync(TempoEvent):
    """``time`` is the 1 of a bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TempoScale(TempoEvent):
    """Read the tempo ``factor`` times as fast: 2 or 0.5."""

    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TempoNudge(TempoEvent):
    """Shift the beat by ``milliseconds`` (positive: later)."""

    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TempoRange(TempoEvent):
    """Accept tempos of ``low``–``high`` BPM only."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnMidi(Event):
    """The next MIDI control that is moved shall play ``target``: a macro, a parameter, ``tempo:tap``, ``look:next`` ….

    An empty target stops looking for one; with ``undo``, what was learnt last is taken back. ``port`` narrows it to
    controllers whose name contains it. It concerns the MIDI input; the control step ignores it.
    """

    target: str = ""
    undo: bool = False
    port: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged(Event):
    """A part of the engine says how it is; the HUD shows it.

    ``component`` is a short stable name (``"audio"``, ``"midi"``, ``"osc in"``, ``"generator"``, ``"recorder"`` …);
    ``level`` is ``"ok"`` (nothing to see), ``"warn"`` (degraded, working on it) or ``"error"`` (off until mended).
    """

    component: str
    level: Literal["ok", "warn", "error"]
    message: str = ""

    @property
    def merge_key(self) -> Hashable | None:
        """Only a component's latest word matters."""
        return ("status", self.component)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quit(Event):
    """The performer ends the show (Escape twice, or the window closed)."""
