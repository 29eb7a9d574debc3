"""MIDI messages of one port in, core events out. No device and no thread: bytes and a time in, values out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vjengine.core.events import (
    Event,
    LookSelected,
    MacroLevel,
    MacroSet,
    MacroToggle,
    ParamSet,
    Resync,
    Tap,
    TempoNudge,
    TempoScale,
    Trigger,
)
from vjengine.core.params import PARAMS
from vjengine.inputs.midi_map import (
    BankTarget,
    Control,
    LookTarget,
    MacroTarget,
    MidiMap,
    ParamTarget,
    Row,
    Target,
    TempoTarget,
    View,
)
from vjengine.inputs.midi_message import Message, decode
from vjengine.inputs.midi_values import FULL_FINE, NEAR, Hand, combined, shaped, ticks, unit

ALL_SOUND_OFF, ALL_NOTES_OFF = 120, 123

Present = Callable[[Target], tuple[float, float] | None]
"""Says where a macro or parameter is, 0–1, and when (session s) that was so; ``None`` if it is not known."""


@dataclass(frozen=True, slots=True)
class _Pressed:
    """A key that is down: what it did, and what it puts back when it comes up."""

    row: Row
    back: float | None = None


class MidiReader:
    """Knows a port's held keys, so that nothing stays on when the port goes away, where its faders are, and its bank.

    Args:
        mapping: what the keys and faders do.
        source: name put on the events, ``midi:PORT``.
        present: where macros and parameters are, for soft takeover and endless encoders; without it faders jump.

    Attributes:
        bank: number of the bank in force.
        view: its rows.
        touched: by control, the value last heard (seven or fourteen bits) and when (session s).
    """

    def __init__(self, mapping: MidiMap, source: str, present: Present = lambda target: None) -> None:
        self._map = mapping
        self._source = source
        self._present = present
        self._held: dict[str, set[Control]] = {}
        self._pressed: dict[Control, _Pressed] = {}
        self._flipped: set[Control] = set()
        self._hands: dict[Control, Hand] = {}
        self.touched: dict[Control, tuple[int, float]] = {}
        self.bank = mapping.bank_numbers[0]
        self.view: View = mapping.view(self.bank)

    def read(self, data: Sequence[int], time: float) -> list[Event]:
        """Return the events of one complete message, stamped ``time`` (session s).

        Raises:
            ValueError: if ``data`` is no MIDI message.
        """
        message = decode(data)
        if message is None or not self._map.hears(message.control.channel):
            return []
        self.touched[message.control] = message.value, time
        if message.control.kind == "control" and message.control not in self._pressed:
            row = self.view.find(message.control)
            if row is None:
                coarse = self.view.coarse(message.control)
                if coarse is not None:
                    return self._fine(coarse, message.value, time)
                if message.control.number in (ALL_SOUND_OFF, ALL_NOTES_OFF):
                    return self.release_all(time)
                return []
            if row.encoder is not None:
                return self._turned(row, message, time)
        return self._played(message, time)

    def release_all(self, time: float) -> list[Event]:
        """Return the events that let go of everything held: the port is gone, or asks for all notes off."""
        events = [event for control in list(self._pressed) for event in self._release(control, time)]
        self._held.clear()
        return events

    def go_to(self, bank: int) -> None:
        """Put bank number ``bank`` in force, if there is one of that number."""
        self._change_bank(BankTarget(bank))

    def remap(self, mapping: MidiMap, time: float) -> list[Event]:
        """Take another map, as a file was changed or a control learnt; return what lets go of everything held."""
        events = self.release_all(time)
        self._map = mapping
        self._use(self.bank if self.bank in mapping.bank_numbers else mapping.bank_numbers[0])
        return events

    # ------------------------------------------------------------ keys, pads and buttons

    def _played(self, message: Message, time: float) -> list[Event]:
        """Play what is not an encoder: a key, a fader, or a fader used as a button."""
        control, value, full = message
        if control in self._pressed:
            # What went down comes up, whatever the bank says by now.
            if value <= (0 if control.kind == "note" else _pressed_above(message)):
                return self._release(control, time)
            if control.kind != "note":
                return []
        row = self.view.find(control)
        if row is None:
            return []
        if control.kind in ("note", "program"):
            return self._press(row, control, value / full if row.velocity else 1.0, time) if value else []
        if row.continuous:
            if row.fine is not None:
                return self._coarse(row, control, value, time)
            return self._moved(row, control, unit(value, full, centred=_centred(row.target)), time)
        return self._press(row, control, value / full, time) if value > _pressed_above(message) else []

    def _press(self, row: Row, control: Control, strength: float, time: float) -> list[Event]:
        """Press a key or button; ``strength`` is how hard, 0–1.

        One that is down already, as far as was heard, is let go of first if the bank gives it something else to do.
        """
        down = self._pressed.get(control)
        if down is not None and down.row is not row:
            return [*self._release(control, time), *self._press(row, control, strength, time)]
        if control.kind != "program":
            self._pressed[control] = down or _Pressed(row, self._before(row))
        target = row.target
        if isinstance(target, MacroTarget | ParamTarget):
            return self._press_value(row, control, strength, time)
        if isinstance(target, LookTarget):
            return [LookSelected(time=time, source=self._source, look=target.look, step=target.step)]
        if isinstance(target, TempoTarget):
            return [self._tempo(target, time)]
        if isinstance(target, BankTarget):
            self._change_bank(target)
            return []
        return [Trigger(time=time, source=self._source, action=target.action)]

    def _press_value(self, row: Row, control: Control, strength: float, time: float) -> list[Event]:
        target = row.target
        if isinstance(target, MacroTarget) and target.kind != "level":
            if (row.mode or target.kind) == "toggle":
                return [MacroToggle(time=time, source=self._source, macro=target.macro)]
            self._held.setdefault(target.macro, set()).add(control)
            return [MacroSet(time=time, source=self._source, macro=target.macro, value=1.0)]
        if isinstance(target, ParamTarget) and target.position is not None:
            place, rest = target.position, row.low
        elif row.mode == "toggle":
            place, rest = row.high, row.low
        else:
            place, rest = shaped(strength, row), row.low
        if row.mode == "toggle" and self._is_at(target, place, control):
            place = rest
        self._flipped.symmetric_difference_update((control,))
        return self._set(target, place, time)

    def _is_at(self, target: Target, place: float, control: Control) -> bool:
        present = self._present(target)
        return control in self._flipped if present is None else abs(present[0] - place) <= NEAR

    def _before(self, row: Row) -> float | None:
        """Return what a momentary press of a level or parameter puts back afterwards."""
        level = isinstance(row.target, ParamTarget) or (
            isinstance(row.target, MacroTarget) and row.target.kind == "level"
        )
        if row.mode != "momentary" or not level:
            return None
        present = self._present(row.target)
        return row.low if present is None else present[0]

    def _release(self, control: Control, time: float) -> list[Event]:
        """Let go of a key. A macro that a second key still holds stays on."""
        pressed = self._pressed.pop(control, None)
        if pressed is None:
            return []
        target = pressed.row.target
        if pressed.back is not None:
            return self._set(target, pressed.back, time)
        if not isinstance(target, MacroTarget):
            return []
        holders = self._held.get(target.macro)
        if holders is None or control not in holders:
            return []
        holders.discard(control)
        if holders:
            return []
        del self._held[target.macro]
        return [MacroSet(time=time, source=self._source, macro=target.macro, value=0.0)]

    # ------------------------------------------------------------ faders and encoders

    def _hand(self, control: Control) -> Hand:
        hand = self._hands.get(control)
        if hand is None:
            hand = self._hands[control] = Hand()
        return hand

    def _coarse(self, row: Row, control: Control, value: int, time: float) -> list[Event]:
        hand = self._hand(control)
        whole = combined(value, hand.coarse, hand.fine)
        hand.coarse = value
        return self._moved(row, control, unit(whole, FULL_FINE, centred=_centred(row.target)), time)

    def _fine(self, control: Control, value: int, time: float) -> list[Event]:
        """Take the fine half of a pair; it means nothing before the coarse one came."""
        hand = self._hand(control)
        hand.fine = value
        row = self.view.find(control)
        if row is None or hand.coarse < 0 or not row.continuous:
            return []
        whole = hand.coarse << 7 | value
        return self._moved(row, control, unit(whole, FULL_FINE, centred=_centred(row.target)), time)

    def _moved(self, row: Row, control: Control, position: float, time: float) -> list[Event]:
        """Move a fader to ``position`` (0–1)."""
        hand = self._hand(control)
        value = shaped(position, row)
        soft = (row.pickup or self._map.pickup) == "soft"
        if not hand.moves(value, self._present(row.target) if soft else None):
            return []
        hand.sent, hand.sent_at = _shown(row.target, value), time
        return self._set(row.target, value, time)

    def _turned(self, row: Row, message: Message, time: float) -> list[Event]:
        """Turn an endless encoder."""
        assert row.encoder is not None
        steps, target = ticks(message.value, row.encoder), row.target
        if steps == 0:
            return []
        if row.continuous:
            hand = self._hand(message.control)
            value = hand.turned(steps, row, self._present(target), time, lambda place: _shown(target, place))
            hand.sent, hand.sent_at = value, time
            return self._set(target, value, time)
        if isinstance(target, LookTarget) and target.step:
            step = target.step if steps > 0 else -target.step
            return [LookSelected(time=time, source=self._source, step=step)]
        if isinstance(target, TempoTarget) and target.function == "nudge":
            return [TempoNudge(time=time, source=self._source, milliseconds=target.milliseconds * steps)]
        if isinstance(target, BankTarget) and target.step:
            self._change_bank(BankTarget(step=target.step if steps > 0 else -target.step))
            return []
        events = self._press(row, message.control, 1.0, time) if steps > 0 else []
        return events + self._release(message.control, time)

    def _set(self, target: Target, place: float, time: float) -> list[Event]:
        """Move a level macro or a parameter to ``place`` (0–1)."""
        if isinstance(target, MacroTarget):
            return [MacroLevel(time=time, source=self._source, macro=target.macro, value=place)]
        assert isinstance(target, ParamTarget)
        return [ParamSet(time=time, source=self._source, param=target.param, value=place)]

    def _tempo(self, target: TempoTarget, time: float) -> Event:
        if target.function == "tap":
            return Tap(time=time, source=self._source)
        if target.function == "resync":
            return Resync(time=time, source=self._source)
        if target.function == "nudge":
            return TempoNudge(time=time, source=self._source, milliseconds=target.milliseconds)
        return TempoScale(time=time, source=self._source, factor=2.0 if target.function == "double" else 0.5)

    # ------------------------------------------------------------ banks

    def _change_bank(self, target: BankTarget) -> None:
        numbers = self._map.bank_numbers
        if target.bank:
            chosen = target.bank if target.bank in numbers else self.bank
        else:
            chosen = numbers[(numbers.index(self.bank) + target.step) % len(numbers)]
        if chosen != self.bank:
            self._use(chosen)

    def _use(self, bank: int) -> None:
        self.bank = bank
        self.view = self._map.view(bank)
        for hand in self._hands.values():
            hand.let_go()


def _pressed_above(message: Message) -> int:
    """Return the value above which a fader used as a button is pressed; a pitch wheel at rest is in its middle."""
    return message.full * 3 // 4 if message.control.kind == "bend" else message.full // 2


def _centred(target: Target) -> bool:
    return isinstance(target, ParamTarget) and target.centred


def _shown(target: Target, place: float) -> float:
    """Return where a target says it is after it was moved to ``place``: stepped parameters stand on their steps."""
    if isinstance(target, ParamTarget):
        row = PARAMS[target.param]
        return row.to_unit(row.from_unit(place))
    return place
