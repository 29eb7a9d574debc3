"""The MIDI 1.0 channel messages that play a show: bytes in, one value out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mido
from mido.messages.specs import MIN_PITCHWHEEL

from vjengine.inputs.midi_map import Control, Kind
from vjengine.inputs.midi_values import FULL, FULL_FINE

_READ: dict[str, tuple[Kind, str, str]] = {
    "note_on": ("note", "note", "velocity"),
    "note_off": ("note", "note", ""),
    "polytouch": ("touch", "note", "value"),
    "control_change": ("control", "control", "value"),
    "program_change": ("program", "program", ""),
    "aftertouch": ("pressure", "", "value"),
    "pitchwheel": ("bend", "", "pitch"),
}
"""By mido's name: the kind, and where its number and its value are."""
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
    try:
        found = mido.Message.from_bytes(data)
    except (ValueError, IndexError, TypeError) as error:  # mido on a pitch wheel or song position cut short
        raise ValueError(f"no complete MIDI message ({error})") from None
    read = _READ.get(found.type)
    if read is None:
        return None
    channel = found.channel + 1
    if found.type == "pitchwheel":
        return Message(Control("bend", channel, 0), found.pitch - MIN_PITCHWHEEL, FULL_FINE)
    kind, number, value = read
    far = 0 if found.type == "note_off" else getattr(found, value) if value else FULL
    return Message(Control(kind, channel, getattr(found, number) if number else 0), far)


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
