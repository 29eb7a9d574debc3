"""Reads MIDI map files: rows for every controller, and rows for those whose name contains a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from vjengine.core.macros import MacroDef
from vjengine.inputs.midi_map import BANKS, Control, Kind, Layer, Pickup, Row
from vjengine.inputs.midi_rows import SECTIONS, RowReader, row_key, row_reader, switch
from vjengine.strict_yaml import Place, Reader, one_of, read_fields, read_yaml, text

PORTS = 64
"""Most controllers that one file may name."""


@dataclass(frozen=True, slots=True)
class MapFile:
    """What a map file says.

    Attributes:
        everywhere: for every controller.
        ports: for those whose port name contains the key, whatever the case, in the file's order.
    """

    everywhere: Layer = field(default_factory=Layer)
    ports: Mapping[str, Layer] = field(default_factory=dict)

    def for_port(self, port: str) -> list[Layer]:
        """Return the layers that hold for ``port``, the most general first."""
        low = port.lower()
        return [self.everywhere, *(layer for name, layer in self.ports.items() if name.lower() in low)]


def read_map(path: Path, macros: Mapping[str, MacroDef], looks: Sequence[str] = ()) -> MapFile:
    """Return what the map file ``path`` says.

    Args:
        path: YAML file; ``presets/midi/default.yaml`` explains its keys.
        macros: the macros it may name.
        looks: the looks it may name; empty accepts any name.

    Raises:
        ConfigError: naming file, key, value and what was expected.
    """
    return parse_map(Place(path), read_yaml(path), macros, looks)


def parse_map(place: Place, data: Any, macros: Mapping[str, MacroDef], looks: Sequence[str] = ()) -> MapFile:
    """Return what the raw YAML value ``data`` says. Raises ConfigError."""
    table = _layer_table(row_reader(macros, looks))

    def read_ports(place: Place, value: Any) -> dict[str, Layer]:
        if not isinstance(value, dict) or len(value) > PORTS:
            place.refuse(value, f"a mapping like {{nanoKONTROL2: {{controls: …}}}} of at most {PORTS} controllers")
        layers = {}
        for name, section in value.items():
            here = place.at(name)
            if not isinstance(name, str) or not name.strip():
                here.refuse(name, "part of a port's name as key (put it in quotes)")
            layers[name.strip()] = _layer(read_fields(here, section, {**table, "profile": text(60)}))
        return layers

    given = read_fields(place, data, {**table, "ports": read_ports})
    return MapFile(_layer(given), given.get("ports", {}))


def _layer_table(read_row: RowReader) -> dict[str, Reader]:
    sections: dict[str, Reader] = {name: rows_reader(kind, read_row) for name, kind in SECTIONS.items()}

    def read_banks(place: Place, value: Any) -> dict[int, dict[Control, Row | None]]:
        if not isinstance(value, dict):
            place.refuse(value, "a mapping like {1: {notes: …}, 2: {notes: …}}")
        banks = {}
        for key, section in value.items():
            here = place.at(key)
            if isinstance(key, bool) or not isinstance(key, int) or not 1 <= key <= BANKS:
                here.refuse(key, f"a bank from 1 to {BANKS} as key")
            banks[key] = _rows(read_fields(here, section, sections))
        return banks

    return {
        "channels": _channels,
        "defaults": switch,
        "pickup": one_of(*get_args(Pickup)),
        **sections,
        "banks": read_banks,
    }


def _layer(given: Mapping[str, Any]) -> Layer:
    return Layer(
        rows=_rows(given),
        banks=given.get("banks", {}),
        channels=given.get("channels"),
        pickup=given.get("pickup"),
        defaults=given.get("defaults", True),
        profile=given.get("profile", ""),
    )


def _rows(given: Mapping[str, Any]) -> dict[Control, Row | None]:
    rows: dict[Control, Row | None] = {}
    for section in SECTIONS:
        rows.update(given.get(section, {}))
    return rows


def rows_reader(kind: Kind, read_row: RowReader) -> Reader:
    """Return a reader of ``{number: {what: name}}``."""

    def read(place: Place, data: Any) -> dict[Control, Row | None]:
        if not isinstance(data, dict):
            place.refuse(data, "a mapping like {36: {macro: DROP}}")
        rows: dict[Control, Row | None] = {}
        for key, value in data.items():
            here = place.at(key)
            control = row_key(here, key, value, kind)
            rows[control] = None if value is None else read_row(here, value, kind)
        return rows

    return read


def _channels(place: Place, value: Any) -> frozenset[int]:
    listed = value if isinstance(value, list) else [value]
    for channel in listed:
        if isinstance(channel, bool) or not isinstance(channel, int) or not 1 <= channel <= 16:
            place.refuse(value, "a MIDI channel from 1 to 16, or a list of them")
    return frozenset(listed)
