"""MIDI messages of one port in, core events out. No device and no thread: bytes and a time in, values out."""

from __future__ import annotations

from collections.abc import Sequence

import mido

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
from vjengine.inputs.midi_map import LookTarget, MacroTarget, MidiMap, ParamTarget, Target, TempoTarget

PRESSED_FROM = 64
"""A controller used as a button counts as pressed from this value on (MIDI 1.0, switch controllers)."""
ALL_SOUND_OFF, ALL_NOTES_OFF = 120, 123

_Press = tuple[str, int, int]


class MidiReader:
    """Knows a port's held keys, so that nothing stays on when the port goes away.

    Args:
        mapping: what the keys and faders do.
        source: name put on the events, ``midi:PORT``.
    """

    def __init__(self, mapping: MidiMap, source: str) -> None:
        self._map = mapping
        self._source = source
        self._held: dict[str, set[_Press]] = {}
        self._buttons: set[_Press] = set()

    def read(self, data: Sequence[int], time: float) -> list[Event]:
        """Return the events of one complete message, stamped ``time`` (session s).

        Raises:
            ValueError: if ``data`` is no MIDI message.
        """
        try:
            message = mido.Message.from_bytes(data)
        except IndexError as error:  # mido on a pitch wheel or song position cut short
            raise ValueError("a MIDI message was cut short") from error
        kind = message.type
        if kind not in ("note_on", "note_off", "control_change", "program_change"):
            return []
        channel = message.channel + 1
        if not self._map.hears(channel):
            return []
        if kind == "control_change":
            return self._control(channel, message.control, message.value, time)
        if kind == "program_change":
            target = MidiMap.find(self._map.programs, channel, message.program)
            return [] if target is None else self._press(target, ("program", channel, message.program), 127, time)
        target = MidiMap.find(self._map.notes, channel, message.note)
        if target is None:
            return []
        press = ("note", channel, message.note)
        # A note on of velocity 0 is a note off: keyboards with running status send it so.
        if kind == "note_on" and message.velocity > 0:
            return self._press(target, press, message.velocity, time)
        return self._release(target, press, time)

    def release_all(self, time: float) -> list[Event]:
        """Return the events that let go of everything held: the port is gone, or asks for all notes off."""
        held, self._held = self._held, {}
        self._buttons.clear()
        return [MacroSet(time=time, source=self._source, macro=macro, value=0.0) for macro in held]

    def _control(self, channel: int, number: int, value: int, time: float) -> list[Event]:
        target = MidiMap.find(self._map.controls, channel, number)
        if target is None:
            return self.release_all(time) if number in (ALL_SOUND_OFF, ALL_NOTES_OFF) else []
        if isinstance(target, MacroTarget) and target.kind == "level":
            return [MacroLevel(time=time, source=self._source, macro=target.macro, value=value / 127.0)]
        if isinstance(target, ParamTarget) and target.position is None:
            position = _centred(value) if target.centred else value / 127.0
            return [ParamSet(time=time, source=self._source, param=target.param, value=position)]
        press = ("control", channel, number)
        down = value >= PRESSED_FROM
        if down == (press in self._buttons):
            return []
        if down:
            self._buttons.add(press)
            return self._press(target, press, value, time)
        self._buttons.discard(press)
        return self._release(target, press, time)

    def _press(self, target: Target, press: _Press, velocity: int, time: float) -> list[Event]:
        if isinstance(target, MacroTarget):
            return self._press_macro(target, press, velocity, time)
        if isinstance(target, ParamTarget):
            position = velocity / 127.0 if target.position is None else target.position
            return [ParamSet(time=time, source=self._source, param=target.param, value=position)]
        if isinstance(target, LookTarget):
            return [LookSelected(time=time, source=self._source, look=target.look, step=target.step)]
        if isinstance(target, TempoTarget):
            return [self._tempo(target, time)]
        return [Trigger(time=time, source=self._source, action=target.action)]

    def _press_macro(self, target: MacroTarget, press: _Press, velocity: int, time: float) -> list[Event]:
        if target.kind == "toggle":
            return [MacroToggle(time=time, source=self._source, macro=target.macro)]
        if target.kind == "level":
            return [MacroLevel(time=time, source=self._source, macro=target.macro, value=velocity / 127.0)]
        self._held.setdefault(target.macro, set()).add(press)
        return [MacroSet(time=time, source=self._source, macro=target.macro, value=1.0)]

    def _release(self, target: Target, press: _Press, time: float) -> list[Event]:
        """Let go of a key. Only momentary macros care, and one that a second key still holds stays on."""
        if not isinstance(target, MacroTarget) or target.kind != "momentary":
            return []
        holders = self._held.get(target.macro)
        if holders is None or press not in holders:
            return []
        holders.discard(press)
        if holders:
            return []
        del self._held[target.macro]
        return [MacroSet(time=time, source=self._source, macro=target.macro, value=0.0)]

    def _tempo(self, target: TempoTarget, time: float) -> Event:
        if target.function == "tap":
            return Tap(time=time, source=self._source)
        if target.function == "resync":
            return Resync(time=time, source=self._source)
        if target.function == "nudge":
            return TempoNudge(time=time, source=self._source, milliseconds=target.milliseconds)
        return TempoScale(time=time, source=self._source, factor=2.0 if target.function == "double" else 0.5)


def _centred(value: int) -> float:
    """Map 0, 64, 127 to exactly 0, 0.5, 1: a centre detent sends 64, which is not half of 127."""
    return value / 128.0 if value <= 64 else 0.5 + (value - 64) / 126.0
