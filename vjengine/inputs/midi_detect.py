"""Which control was moved, and what kind of control it is, told from what it sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vjengine.inputs.midi_map import Control, Encoding
from vjengine.inputs.midi_message import Message
from vjengine.inputs.midi_rig import PortSetup

MOVED = 4
"""Steps of 127 that a fader has to move: some tremble by one or two at rest."""


@dataclass(slots=True)
class Moved:
    """What was heard of one control since learning began."""

    values: list[int] = field(default_factory=list)

    @property
    def travel(self) -> int:
        """How far it went, in its own steps."""
        return max(self.values) - min(self.values)


def counts(message: Message, moved: Moved) -> bool:
    """Return True if this message shows that its control was really moved."""
    if message.control.kind in ("note", "program"):
        return True
    ends = message.value in (0, message.full)
    return ends or moved.travel * 127 >= MOVED * message.full or encoding_of(moved) is not None


def weight(control: Control, moved: Moved) -> float:
    """Return how clearly a control was moved, for choosing among those that were heard."""
    if control.kind in ("note", "program"):
        return 1e6
    if encoding_of(moved) is not None:
        return 1000.0 + len(moved.values)
    return moved.travel / (127.0 if control.kind != "bend" else 16383.0) * 127.0 + len(moved.values) / 1000.0


def encoding_of(moved: Moved) -> Encoding | None:
    """Return how an endless encoder writes its steps, if this is one: it says the same again and again."""
    heard = set(moved.values)
    if len(moved.values) < 3 or not any(a == b for a, b in zip(moved.values, moved.values[1:], strict=False)):
        return None
    if heard <= {*range(1, 9), *range(120, 128)}:
        return "twos"
    if heard <= {*range(1, 9), *range(65, 73)} and heard & set(range(1, 9)):
        return "sign"
    return "offset" if heard <= {*range(56, 64), *range(65, 73)} else None


def nature(control: Control, moved: Moved, partners: set[int], setup: PortSetup) -> dict[str, Any]:
    """Return the options that what was moved needs: by its profile, else by what was heard of it."""
    if control.kind != "control":
        return {}
    part = setup.profile.part_of(control) if setup.profile is not None else None
    if part is not None:
        found: dict[str, Any] = {"fine": part.fine, "encoder": part.encoder}
        return {key: value for key, value in found.items() if value is not None}
    encoding = encoding_of(moved)
    if encoding is not None:
        return {"encoder": encoding}
    # MIDI 1.0 pairs controllers 0–31 with 32–63.
    if control.number < 32 and control.number + 32 in partners:
        return {"fine": control.number + 32}
    if 32 <= control.number < 64 and control.number - 32 in partners:
        return {"coarse": control.number - 32, "fine": control.number}
    return {}
