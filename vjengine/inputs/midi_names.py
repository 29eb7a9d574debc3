"""Names of MIDI ports: as a performer knows them, and which output belongs to which input."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BRIDGES = ("a2j", "midi-bridge", "alsa_midi", "system")
"""JACK clients that stand for all hardware: the controller's own name comes after their colon."""
_DIRECTION = re.compile(r"\b(?:capture|playback|input|output|in|out|midiin|midiout)(?:_?[0-9]+)?\b|[()\[\]]")
_INDEX = re.compile(r"\s+[0-9]+$")


def short(port: str) -> str:
    """Return a port's name as a performer knows it, and as it is after the next plug: without clients and indices."""
    client, colon, rest = port.partition(":")
    name = rest if colon and client.strip().lower() in _BRIDGES else client
    name = re.split(r"\s*[\[(:]", name.strip())[0]
    return _INDEX.sub("", name) or port


def partner(port: str, outputs: Sequence[str], patterns: Sequence[str] = ()) -> str | None:
    """Return the output among ``outputs`` that leads to the controller whose input is ``port``; ``None`` if none does.

    Args:
        port: name of the input.
        outputs: names of all outputs.
        patterns: parts of output names, any case, where a maker gives the output another name.
    """
    if port in outputs:
        return port
    for same in (_bare, lambda name: short(name).lower()):
        for name in outputs:
            if same(name) == same(port):
                return name
    for pattern in sorted(patterns, key=len, reverse=True):
        for name in outputs:
            if pattern.lower() in name.lower():
                return name
    return None


def _bare(name: str) -> str:
    """Return ``name`` without the words that tell an input from an output."""
    return " ".join(_INDEX.sub("", _DIRECTION.sub(" ", name.lower())).split())
