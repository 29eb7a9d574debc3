"""Control states in, feedback for controllers out: the addresses that are obeyed, with their values, as they change."""

from __future__ import annotations

import numpy as np

from vjengine.core.control import ControlState
from vjengine.core.macros import MacroDef
from vjengine.core.osc_tree import OscAddress, Value, osc_tree, present
from vjengine.core.osc_write import bundles, element, message
from vjengine.core.params import PARAMS

REFRESH = 1.0
"""s after which everything is sent again although it did not change."""


class FaderWriter:
    """Turns control states into datagrams of faders, macros, look and prompts. No sockets and no threads."""

    def __init__(self) -> None:
        self._macros: tuple[str, ...] | None = None
        self._params: list[tuple[OscAddress, ...]] = []
        self._others: list[OscAddress] = []
        self._shown = np.full(len(PARAMS), np.nan)
        self._said: dict[str, Value | None] = {}
        self._refreshed = -1e9

    def forget(self) -> None:
        """Send everything with the next state: somebody new listens."""
        self._refreshed = -1e9

    def write(self, state: ControlState, now: float) -> list[bytes]:
        """Return the datagrams of the tick at ``now`` (s)."""
        if tuple(state.macros) != self._macros:
            self._index(tuple(state.macros))
        if now - self._refreshed >= REFRESH:
            self._refreshed = now
            self._shown = np.full(len(PARAMS), np.nan)
            self._said.clear()
        aimed = np.array(state.smoothed.array)
        for name, value in state.targets.items():
            aimed[PARAMS.index[name]] = value
        changed = np.flatnonzero(aimed != self._shown).tolist()
        self._shown = aimed
        found = [(row, present(row, state)) for index in changed for row in self._params[index]]
        for row in self._others:
            said = present(row, state)
            if said is not None and self._said.get(row.address) != said:
                self._said[row.address] = said
                found.append((row, said))
        return bundles(element(message(row.address, value)) for row, value in found if value is not None)

    def _index(self, macros: tuple[str, ...]) -> None:
        self._macros = macros
        rows = [row for row in osc_tree({name: MacroDef(name) for name in macros}) if row.readable]
        by_param: dict[str, list[OscAddress]] = {spec.name: [] for spec in PARAMS}
        for row in rows:
            if row.kind in ("param", "value"):
                by_param[row.name].append(row)
        self._params = [tuple(by_param[spec.name]) for spec in PARAMS]
        self._others = [row for row in rows if row.kind not in ("param", "value")]
