"""The MIDI 1.0 channel messages that play a show: bytes in, one value out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from vjengine.inputs.midi_map import Control, Kind
from vjengine.inputs.midi_values import FULL, FULL_FINE

_DATA_BYTES = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}
_SYSTEM_DATA = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0, 0xF8: 0, 0xFA: 0, 0xFB: 0, 0xFC: 0, 0xFE: 0, 0xFF: 0}
STATUS = {"note": 0x90, "touch": 0xA0, "control": 0xB0, "program": 0xC0, "pressure": 0xD0, "bend": 0xE0}
"""Status byte of each kind on channel 1."""


class Message(NamedTuple):
    """One channel message: which control, how far of how much. A key let go has value 0, a program has the full one."""

    control: Control
    value: int
    full: int = FULL


def decode(data: Sequence[int]) -> Message | None:
    """Return the message in ``data``, or ``None`` for a system message (clock, SysEx …), which plays nothing.

    Raises:
        ValueError: if ``data`` is not exactly one complete MIDI message.
    """
    if not data or not 0x80 <= data[0] <= 0xFF:
        raise ValueError("no status byte")
    status, rest = data[0], data[1:]
    if status == 0xF0:
        if rest[-1:] != [0xF7] and tuple(rest[-1:]) != (0xF7,):
            raise ValueError("a system exclusive message without its end")
        rest = rest[:-1]
    else:
        wanted = _SYSTEM_DATA.get(status) if status >= 0xF0 else _DATA_BYTES[status >> 4]
        if wanted is None or len(rest) != wanted:
            raise ValueError("a MIDI message of the wrong length")
    if any(not 0 <= byte <= FULL for byte in rest):
        raise ValueError("a data byte above 127")
    if status >= 0xF0:
        return None
    high, channel = status >> 4, (status & 0x0F) + 1
    if high == 0xE:
        return Message(Control("bend", channel, 0), rest[0] | rest[1] << 7, FULL_FINE)
    if high == 0xD:
        return Message(Control("pressure", channel, 0), rest[0])
    if high == 0xC:
        return Message(Control("program", channel, rest[0]), FULL)
    if high == 0x8:
        return Message(Control("note", channel, rest[0]), 0)
    kind: Kind = "note" if high == 0x9 else "control" if high == 0xB else "touch"
    return Message(Control(kind, channel, rest[0]), rest[1])


def encode(control: Control, value: int) -> bytes:
    """Return the message that sets ``control`` (with a real channel) to ``value``; pitch bend takes 14 bits."""
    status = STATUS[control.kind] | (control.channel - 1)
    if control.kind == "bend":
        return bytes((status, value & 0x7F, value >> 7 & 0x7F))
    if control.kind in ("program", "pressure"):
        return bytes((status, value))
    return bytes((status, control.number, value))


def described(data: Sequence[int]) -> str:
    """Return a message as a performer reads it; broken ones too."""
    try:
        message = decode(data)
    except ValueError as error:
        return f"not MIDI: {error}: " + " ".join(f"{byte:02x}" for byte in data[:16])
    if message is None:
        return "system message " + " ".join(f"{byte:02x}" for byte in data[:16]) + (" …" if len(data) > 16 else "")
    control, value, _ = message
    if control.kind == "program":
        return str(control)
    if control.kind == "note":
        return f"{control} " + (f"velocity {value}" if value else "off")
    return f"{control} = {value}"
