"""What OSC in says of itself: the first fault of a kind in full in the log, the latest one on the HUD, all counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

from vjengine.core.clock import Clock
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue

log = logging.getLogger(__name__)

SAY_EVERY = 1.0
"""s between two words about faults."""
WELL_AFTER = 5.0
"""s without a fault after which all is said to be well again."""


class Words:
    """Says how OSC in is, seldom enough for a flood of faults.

    Args:
        clock: session clock.
        events: where status goes.
        well: what is said while there is no fault.
        counts: the faults so far, in words.
    """

    def __init__(self, clock: Clock, events: EventQueue, well: Callable[[], str], counts: Callable[[], str]) -> None:
        self._clock, self._events = clock, events
        self._well_words, self._counts = well, counts
        self._logged: set[str] = set()
        self._fault_text = ""
        self._fault_time = -1e9
        self._said_time = -1e9
        self._well = True

    def fault(self, kind: str, text: str, now: float) -> None:
        """Take a fault of ``kind`` at session time ``now`` (s)."""
        if kind not in self._logged:
            self._logged.add(kind)
            log.warning("OSC in: %s (counting from here on)", text)
        self._fault_text, self._fault_time, self._well = text, now, False
        self.report(now)

    def report(self, now: float) -> None:
        """Say the latest fault, or that all is well again, if it is time to."""
        if self._well or now - self._said_time < SAY_EVERY:
            return
        if now - self._fault_time > WELL_AFTER:
            self._well = True
            self.say("ok", self._well_words())
        elif self._fault_time > self._said_time:
            self._said_time = now
            self.say("warn", f"{self._fault_text} ({self._counts()})")

    def say(self, level: Literal["ok", "warn", "error"], message: str) -> None:
        """Say it now."""
        self._events.put(
            StatusChanged(time=self._clock.now(), source="osc", component="osc in", level=level, message=message)
        )
