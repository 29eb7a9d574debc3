"""Control states in, OSC datagrams of the feed out. No sockets and no threads."""

from __future__ import annotations

import re
from collections import deque

import numpy as np

from vjengine.core.control import ControlState
from vjengine.core.osc_said import FeedRow, Tick, said_address, tick_rows
from vjengine.core.osc_write import bundles, float_bytes, float_head, text_message
from vjengine.core.params import PARAMS

REFRESH = 1.0
"""s after which parameters and texts are sent again although they did not change."""
FPS_WINDOW = 1.0
"""s over which frames a second are counted."""


class FeedWriter:
    """Turns control states into datagrams of numbers. No sockets: states and times in, bytes out."""

    def __init__(self) -> None:
        self._macros: tuple[str, ...] = ()
        self._rows: list[tuple[FeedRow, bytes]] = []
        self._params = [float_head(said_address(row)) for row in PARAMS]
        self._shown = np.full(len(PARAMS), np.nan)
        self._refreshed = -1e9
        self._last: ControlState | None = None
        self._drawn: deque[tuple[float, int]] = deque()

    def write(self, state: ControlState, now: float) -> list[bytes]:
        """Return the datagrams of the tick at ``now`` (s)."""
        tick = self._compare(state, now)
        if not self._rows or tuple(state.macros) != self._macros:
            self._macros = tuple(state.macros)
            self._rows = [(row, float_head(row.address)) for row in tick_rows(self._macros)]
        elements = [head + float_bytes(row.read(tick)) for row, head in self._rows]
        return bundles([*elements, *self._changed_params(state, now)])

    def _compare(self, state: ControlState, now: float) -> Tick:
        """Compare with the last tick's state, so that no edge between two ticks is lost."""
        last = self._last if self._last is not None else state
        self._last = state
        self._drawn.append((now, state.time.index))
        while now - self._drawn[0][0] > FPS_WINDOW:
            self._drawn.popleft()
        since, first = self._drawn[0]
        return Tick(
            state,
            beat=state.beat_count > last.beat_count,
            bar=state.beat_running and state.bar_phase < last.bar_phase - 0.5,
            onset=state.features.onset_count > last.features.onset_count,
            fps=(state.time.index - first) / (now - since) if now > since else 0.0,
        )

    def _changed_params(self, state: ControlState, now: float) -> list[bytes]:
        values = state.values.array
        if now - self._refreshed >= REFRESH:
            self._refreshed = now
            changed = list(range(len(values)))
        else:
            changed = np.flatnonzero(values != self._shown).tolist()
        self._shown = values
        return [self._params[i] + float_bytes(PARAMS.rows[i].to_unit(float(values[i]))) for i in changed]


class TextWriter:
    """Turns control states into datagrams of text: what changed, and all of it every second."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[str, ...]] = {}
        self._refreshed = -1e9

    def write(self, state: ControlState, now: float) -> list[bytes]:
        """Return the messages of the tick at ``now`` (s)."""
        texts: dict[str, tuple[str, ...]] = {
            "/vj/text/look": (state.look.name,),
            "/vj/text/prompt": (state.prompt[0] or state.look.prompt,),
        }
        for name, status in state.status.items():
            texts[_status_address(name)] = (status.level, status.message)
        # A component that is well again has left the state: it is said once more, and kept.
        for address in self._shown:
            texts.setdefault(address, ("ok", ""))
        everything = now - self._refreshed >= REFRESH
        if everything:
            self._refreshed = now
        changed = [a for a, said in texts.items() if everything or self._shown.get(a) != said]
        self._shown = texts
        return [text_message(address, *texts[address]) for address in changed]


def _status_address(component: str) -> str:
    """Return the address of a component's status; what addresses may not hold becomes an underscore."""
    return "/vj/text/status/" + (re.sub(r"[^A-Za-z0-9_.-]", "_", component)[:60] or "_")
