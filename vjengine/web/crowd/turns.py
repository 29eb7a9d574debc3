"""Whose turn it is: what plays, for how long, and when the crowd has to hold still."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LINGER = 3.0
"""Turns that a prompt may have in a row while nobody else waits; then the scene is the performer's again."""
_NOT_TAKEN = 60.0
"""s after which a prompt counts as played even if the show never said so."""

Object = Mapping[str, Any]


@dataclass(slots=True)
class Playing:
    """The prompt that has its turn.

    Attributes:
        text, author: as sent to the show.
        guest: whose it is, as a salted hash; empty if nobody knows any more.
        played: s of its turn that are over.
        since: s since it was sent.
        taken: the show has let it in.
    """

    text: str
    author: str
    guest: str = ""
    played: float = 0.0
    since: float = 0.0
    taken: bool = False


class Turns:
    """Counts a turn's time by what the show says of itself.

    The show decides when a text comes in (at once, or with the bar) and takes all of them back on PANIC. Time stands
    still while the scene is locked, while it is black, and for a whole turn after the performer took a text back.

    Attributes:
        playing: None while nothing of the crowd's plays.
        held: the performer keeps the scene.
    """

    def __init__(self) -> None:
        self.playing: Playing | None = None
        self.held = False
        self.turn = 20.0
        self._rest = 0.0

    @property
    def left(self) -> float:
        """s until the next may come in."""
        if self.playing is None:
            return self._rest
        return max(0.0, self.turn - self.playing.played)

    def step(self, state: Object, delta: float, *, wanted: bool) -> str:
        """Move on by ``delta`` s; return what to do: ``next``, ``end`` or nothing.

        Args:
            state: the show's latest snapshot; empty if there is none.
            delta: s since the last step.
            wanted: another prompt may play.
        """
        self.held = not state or is_held(state)
        if not state:
            return ""
        self.turn = max(1.0, float(state["params"]["crowd.turn"][1]))
        if _panic(state):
            self.took_back()
        if self.held:
            return ""
        self._rest = max(0.0, self._rest - delta)
        if self.playing is None:
            return "next" if wanted and self._rest <= 0.0 else ""
        self._follow(self.playing, state["crowd"], delta)
        if self.playing is None:
            return ""
        if self.playing.played >= self.turn and wanted:
            return "next"
        return "end" if self.playing.played >= self.turn * LINGER else ""

    def begin(self, text: str, author: str, guest: str = "") -> None:
        """This one has its turn."""
        self.playing, self._rest = Playing(text, author, guest), 0.0

    def end(self) -> None:
        """The turn is over; the next may follow at once."""
        self.playing = None

    def took_back(self) -> None:
        """The performer does not want the crowd just now: a turn's pause."""
        self.playing, self._rest = None, self.turn

    def _follow(self, playing: Playing, crowd: Object, delta: float) -> None:
        playing.since += delta
        if crowd["text"] == playing.text:
            playing.taken = True
        elif playing.taken and not crowd["waiting"]:
            self.took_back()
            return
        if playing.taken or playing.since > _NOT_TAKEN:
            playing.played += delta


def is_held(state: Object) -> bool:
    """Return True while the scene is locked, black, or on its way to either by PANIC."""
    params = state["params"]
    return params["crowd.lock"][1] >= 0.5 or params.get("out.black", (0.0, 0.0))[1] >= 0.5 or _panic(state)


def _panic(state: Object) -> bool:
    return bool(state["macros"].get("PANIC", (0.0,))[0] > 0.0)
