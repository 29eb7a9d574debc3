"""What each key, fader and button of a MIDI controller does: the rows of a map. Files are read by ``midi_map_file``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, NamedTuple

from vjengine.core.macros import MacroDef, MacroKind, TriggerName
from vjengine.core.params import PARAMS

TempoFunction = Literal["tap", "resync", "half", "double", "nudge"]
Kind = Literal["note", "control", "program", "bend", "pressure", "touch"]
"""Of a control: key or pad, controller (CC), program change, pitch bend, channel pressure, pressure of one key."""
Encoding = Literal["twos", "offset", "sign"]
"""How an endless encoder writes its steps: two's complement, 64 plus the steps, or bit 6 as the sign."""
Curve = Literal["linear", "exponential", "s-curve"]
Pickup = Literal["soft", "jump"]
"""``soft``: a fader moves nothing until it passes the present value. ``jump``: it moves at once."""
Mode = Literal["momentary", "toggle"]

ANY_CHANNEL = 0
"""Channel number of rows that hold on every channel; real channels are 1–16."""
BANKS = 16
"""Most banks of a map; they are numbered from 1."""


class Control(NamedTuple):
    """One control of a controller: its kind of message, its channel (1–16 or :data:`ANY_CHANNEL`) and its number.

    Pitch bend and channel pressure have no number: 0.
    """

    kind: Kind
    channel: int
    number: int

    @property
    def anywhere(self) -> Control:
        """The same control on any channel."""
        return Control(self.kind, ANY_CHANNEL, self.number)

    def __str__(self) -> str:
        words = {"control": "CC", "bend": "pitch bend", "touch": "key pressure"}
        name = words.get(self.kind, self.kind)
        number = "" if self.kind in ("bend", "pressure") else f" {self.number}"
        return f"{name}{number}" + (f" ch{self.channel}" if self.channel else "")


@dataclass(frozen=True, slots=True)
class MacroTarget:
    """A macro, with the kind that decides how a key or fader plays it."""

    macro: str
    kind: MacroKind

    def __str__(self) -> str:
        return self.macro


@dataclass(frozen=True, slots=True)
class ParamTarget:
    """A parameter. A fader moves it; a key sets it to ``position`` (0–1), or to its velocity if that is ``None``."""

    param: str
    position: float | None = None

    @property
    def centred(self) -> bool:
        """True if the range is symmetric, so that a fader's middle, 64 of 127, has to mean exactly the middle."""
        row = PARAMS[self.param]
        return row.low == -row.high

    def __str__(self) -> str:
        return self.param if self.position is None else f"{self.param} at {self.position:g}"


@dataclass(frozen=True, slots=True)
class TempoTarget:
    """A function of the beat clock; ``milliseconds`` is what ``nudge`` shifts by (positive: later)."""

    function: TempoFunction
    milliseconds: float = 0.0

    def __str__(self) -> str:
        return f"tempo {self.function}" + (f" {self.milliseconds:+g} ms" if self.function == "nudge" else "")


@dataclass(frozen=True, slots=True)
class LookTarget:
    """A look by name, or the next (+1) or previous (−1) one by ``step``."""

    look: str = ""
    step: int = 0

    def __str__(self) -> str:
        return f"look {self.look or ('next' if self.step > 0 else 'previous')}"


@dataclass(frozen=True, slots=True)
class TriggerTarget:
    """A one-shot."""

    action: TriggerName

    def __str__(self) -> str:
        return self.action


@dataclass(frozen=True, slots=True)
class BankTarget:
    """A bank of this map by number (from 1), or the next (+1) or previous (−1) one by ``step``, around the end."""

    bank: int = 0
    step: int = 0

    def __str__(self) -> str:
        return f"bank {self.bank or ('next' if self.step > 0 else 'previous')}"


Target = MacroTarget | ParamTarget | TempoTarget | LookTarget | TriggerTarget | BankTarget


@dataclass(frozen=True, slots=True)
class Row:
    """What one control does, and how.

    Attributes:
        target: what it acts on.
        fine: number of the controller that sends the low seven bits of a 14-bit pair; ``None`` for a 7-bit one.
        encoder: how an endless encoder writes its steps; ``None`` for a fader.
        step: how far one step of an encoder moves the target, of its range.
        acceleration: how much farther, at most, when it is turned fast: 1 doubles the step.
        curve: how the fader's travel maps to the target's.
        low, high: positions (0–1) of the target at the fader's two ends; ``low`` above ``high`` turns it round.
        pickup: soft takeover or not; ``None`` for the map's own.
        mode: what a key does: ``momentary`` or ``toggle``; ``None`` for what suits the target.
        velocity: False if how hard a key is hit makes no difference.
        colour: name of the colour of its light, where the controller has several.
    """

    target: Target
    fine: int | None = None
    encoder: Encoding | None = None
    step: float = 0.01
    acceleration: float = 0.0
    curve: Curve = "linear"
    low: float = 0.0
    high: float = 1.0
    pickup: Pickup | None = None
    mode: Mode | None = None
    velocity: bool = True
    colour: str = ""

    @property
    def continuous(self) -> bool:
        """True if the target follows a fader's every move."""
        if self.mode is not None:
            return False
        if isinstance(self.target, MacroTarget):
            return self.target.kind == "level"
        return isinstance(self.target, ParamTarget) and self.target.position is None


Rows = Mapping[Control, Row]


def _none() -> Rows:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Layer:
    """Rows to put on top of a map, as one file or one section of it gives them; ``None`` takes a row away.

    Attributes:
        rows: rows of every bank.
        banks: rows of one bank only, by its number.
        channels: channels listened to; ``None`` leaves what the map says.
        pickup: how faders take over; ``None`` leaves what the map says.
        defaults: False starts from nothing.
        profile: name of the controller profile to use, ``"none"`` for none, empty to choose it by the port's name.
    """

    rows: Mapping[Control, Row | None] = field(default_factory=dict)
    banks: Mapping[int, Mapping[Control, Row | None]] = field(default_factory=dict)
    channels: frozenset[int] | None = None
    pickup: Pickup | None = None
    defaults: bool = True
    profile: str = ""


@dataclass(frozen=True, slots=True)
class MidiMap:
    """The rows of one controller.

    Attributes:
        rows: rows in force in every bank.
        banks: rows in force in one bank only, by its number; they win over ``rows``.
        channels: channels listened to, 1–16; empty for all.
        pickup: how faders take over where the row says nothing.
    """

    rows: Rows = field(default_factory=_none)
    banks: Mapping[int, Rows] = field(default_factory=dict)
    channels: frozenset[int] = frozenset()
    pickup: Pickup = "jump"

    @classmethod
    def from_macros(cls, macros: Mapping[str, MacroDef]) -> MidiMap:
        """Return the map of the notes and controllers that the macros ask for themselves, on every channel."""
        rows: dict[Control, Row] = {}
        for macro in macros.values():
            row = Row(MacroTarget(macro.name, macro.kind))
            if macro.note is not None:
                rows[Control("note", ANY_CHANNEL, macro.note)] = row
            if macro.cc is not None:
                rows[Control("control", ANY_CHANNEL, macro.cc)] = row
        return cls(MappingProxyType(rows))

    def with_layer(self, layer: Layer) -> MidiMap:
        """Return this map with the rows of ``layer`` on top."""
        base = self if layer.defaults else MidiMap(channels=self.channels, pickup=self.pickup)
        banks = {
            number: _merged(base.banks.get(number, {}), layer.banks.get(number, {}))
            for number in sorted({*base.banks, *layer.banks})
        }
        return replace(
            base,
            rows=_merged(base.rows, layer.rows),
            banks=MappingProxyType(banks),
            channels=base.channels if layer.channels is None else layer.channels,
            pickup=layer.pickup or base.pickup,
        )

    @property
    def bank_numbers(self) -> tuple[int, ...]:
        """The numbers of the banks, in order; at least bank 1."""
        return tuple(sorted(self.banks)) or (1,)

    def hears(self, channel: int) -> bool:
        """Return True if ``channel`` (1–16) is listened to."""
        return not self.channels or channel in self.channels

    def view(self, bank: int) -> View:
        """Return the rows in force in ``bank``."""
        return View(_merged(self.rows, self.banks.get(bank, {})))


class View:
    """The rows in force in one bank, quick to look up."""

    __slots__ = ("_coarse", "rows")

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._coarse = {
            Control("control", control.channel, row.fine): control.number
            for control, row in rows.items()
            if row.fine is not None
        }

    def find(self, control: Control) -> Row | None:
        """Return the row of ``control``, which has a real channel; a row for that channel beats one for all."""
        row = self.rows.get(control)
        return row if row is not None else self.rows.get(control.anywhere)

    def coarse(self, control: Control) -> Control | None:
        """Return the control whose low seven bits ``control`` sends, or ``None`` if it is not one of a pair."""
        number = self._coarse.get(control, self._coarse.get(control.anywhere))
        return None if number is None else Control("control", control.channel, number)


def _merged(base: Rows, rows: Mapping[Control, Row | None]) -> Rows:
    merged = {**base, **rows}
    return MappingProxyType({control: row for control, row in merged.items() if row is not None})
