"""The OSC tree as OSCQuery describes it: JSON nodes with types, ranges and present values. No sockets.

Written after the OSCQuery proposal (https://github.com/Vidvox/OSCQueryProposal). Besides what is obeyed
(:mod:`vjengine.core.osc_tree`) it lists what the feed says (:mod:`vjengine.core.osc_said`), to be read only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from vjengine.core.macros import MacroDef, MacroKind
from vjengine.core.osc_said import FeedRow, feed_rows, said_address
from vjengine.core.osc_tree import OscAddress, Span, Value, osc_tree, real
from vjengine.core.params import PARAMS, ParamSpec

Object = dict[str, Any]
Read = Callable[[Object], Value | None]

_OURS = ("FULL_PATH", "CONTENTS", "TYPE", "VALUE", "RANGE", "ACCESS", "DESCRIPTION", "UNIT", "CLIPMODE")
ATTRIBUTES = frozenset((*_OURS, "TAGS", "EXTENDED_TYPE", "CRITICAL", "OVERLOADS", "HTML"))
"""Attributes that the proposal knows; those after CLIPMODE no node of ours has."""
EXTENSIONS: Mapping[str, bool] = {
    "ACCESS": True, "VALUE": True, "RANGE": True, "DESCRIPTION": True, "UNIT": True, "CLIPMODE": True, "LISTEN": True,
    "TAGS": False, "EXTENDED_TYPE": False, "CRITICAL": False, "OVERLOADS": False, "HTML": False,
    "PATH_CHANGED": False, "PATH_ADDED": False, "PATH_REMOVED": False, "PATH_RENAMED": False,
}  # fmt: skip
_UNITS: Mapping[str, str] = {"s": "time.second", "ms": "time.ms", "Hz": "time.hz", "BPM": "time.bpm", "dB": "gain.db"}
READ, WRITE = 1, 2


@dataclass(frozen=True, slots=True)
class Node:
    """One address: what describes it and never changes, and how its value is read from a snapshot."""

    fixed: Object
    read: Read | None = None

    def value(self, state: Object) -> Value | None:
        """Return the present value; None if it has none, or the show has said nothing yet."""
        return self.read(state) if self.read is not None and state else None


class Tree:
    """The nodes of a show by their paths.

    Args:
        schema: :func:`vjengine.web.view.schema`.
        obeyed: False if OSC is not listened for: then everything can only be read.
    """

    def __init__(self, schema: Object, *, obeyed: bool = True) -> None:
        macros = {
            row["name"]: MacroDef(row["name"], cast(MacroKind, row["kind"]), row["summary"])
            for row in schema.get("macros", ())
        }
        self.nodes: dict[str, Node] = {"/": Node({"DESCRIPTION": "vjengine"})}
        self._children: dict[str, list[str]] = {"/": []}
        for row in osc_tree(macros, schema.get("looks", ())):
            if row.kind not in ("subscribe", "unsubscribe"):
                self._add(row.address, Node(_described(row, obeyed=obeyed), _reader(row)))
        for said in feed_rows(macros):
            self._add(said.address, Node(_said(said), _SAID.get(said.address)))
        for name in macros:
            self._replace(f"/vj/macro/{name}", partial(_macro, name, 1))
        for spec in PARAMS:
            self._replace(said_address(spec), partial(_in_force, spec))
        for what in ("look", "prompt"):
            fixed = {"TYPE": "s", "ACCESS": READ, "DESCRIPTION": f"the {what} in force"}
            self._add(f"/vj/text/{what}", Node(fixed, partial(_text, what)))

    def described(self, path: str, state: Object) -> Object:
        """Return everything about the node at ``path``, which must exist, and below it."""
        node = self.nodes[path]
        found: Object = {"FULL_PATH": path, **node.fixed}
        value = node.value(state)
        if value is not None:
            found["VALUE"] = [value]
        if self._children[path]:
            found["CONTENTS"] = {
                child.rsplit("/", 1)[1]: self.described(child, state) for child in self._children[path]
            }
        return found

    def _add(self, path: str, node: Node) -> None:
        if path not in self._children:
            self._children[path] = []
            parent = path.rsplit("/", 1)[0] or "/"
            if parent not in self.nodes:
                self._add(parent, Node({"ACCESS": 0}))
            self._children[parent].append(path)
        self.nodes[path] = node

    def _replace(self, path: str, read: Read) -> None:
        self.nodes[path] = Node(self.nodes[path].fixed, read)


def _described(row: OscAddress, *, obeyed: bool) -> Object:
    access = (READ if row.readable else 0) | (WRITE if obeyed else 0)
    fixed: Object = {"TYPE": row.tags, "ACCESS": access, "DESCRIPTION": row.doc}
    ranges = [_range(span) for span in row.spans]
    if any(ranges):
        fixed["RANGE"] = ranges
        fixed["CLIPMODE"] = ["both" if span.clipped else "none" for span in row.spans]
    units = [_UNITS.get(span.unit, span.unit) for span in row.spans]
    if any(units):
        fixed["UNIT"] = units
    return fixed


def _range(span: Span) -> Object | None:
    if span.choices:
        return {"VALS": list(span.choices)}
    if span.low is None or span.high is None:
        return None
    kind = int if span.tag == "i" else float
    return {"MIN": kind(span.low), "MAX": kind(span.high)}


def _said(row: FeedRow) -> Object:
    fixed: Object = {"TYPE": "f", "ACCESS": READ, "DESCRIPTION": row.doc}
    if row.range.startswith(("0 to 1", "0 or 1")):
        fixed["RANGE"] = [{"MIN": 0.0, "MAX": 1.0}]
    elif row.range.startswith("0 up"):
        fixed["RANGE"] = [{"MIN": 0.0}]
    if row.unit in _UNITS:
        fixed["UNIT"] = [_UNITS[row.unit]]
    return fixed


# ---------------------------------------------------------------- values out of snapshots


def _reader(row: OscAddress) -> Read | None:
    readers: Mapping[str, Read] = {
        "macro": partial(_macro, row.name, 0),
        "param": partial(_place, row.name),
        "value": partial(_real, row.name),
        "look": partial(_text, "look"),
        "prompt": partial(_text, "prompt"),
        "crowd": lambda state: str(state["crowd"]["text"]),
    }
    return readers.get(row.kind)


def _text(what: str, state: Object) -> str:
    return str(state[what])


def _macro(name: str, field: int, state: Object) -> float | None:
    found = state["macros"].get(name)
    return float(found[field]) if found is not None else None


def _place(name: str, state: Object) -> float | None:
    found = state["params"].get(name)
    return float(found[0]) if found is not None else None


def _real(name: str, state: Object) -> Value | None:
    place = _place(name, state)
    return real(PARAMS[name], PARAMS[name].from_unit(place)) if place is not None else None


def _in_force(spec: ParamSpec, state: Object) -> float | None:
    found = state["params"].get(spec.name)
    return spec.to_unit(float(found[1])) if found is not None else None


_SAID: Mapping[str, Read] = {
    "/vj/audio/rms": lambda state: float(state["rms"]),
    "/vj/beat/tempo": lambda state: float(state["tempo"]),
    "/vj/beat/phase": lambda state: float(state["beats"]) % 1.0,
    "/vj/beat/bar_phase": lambda state: float(state["bar_phase"]),
    "/vj/beat/running": lambda state: float(state["beat_running"]),
    "/vj/engine/fps": lambda state: float(state["engine"]["fps"]),
    "/vj/engine/time": lambda state: float(state["time"]),
}
"""What snapshots hold of the feed; the rest is said by OSC only."""
