"""The queue as the performer's page handles it, in the web process and on its event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

Mode = Literal["auto", "ask", "vote"]
"""auto: what comes in is let in; ask: the performer lets in; vote: the most wanted goes next, ties to the oldest."""

Object = dict[str, Any]


class CrowdDesk:
    """Lets in, sends away and puts in order. Every method is quick and called on the event loop."""

    @property
    def mode(self) -> Mode:
        """How prompts get in."""
        raise NotImplementedError

    def waiting(self) -> list[Object]:
        """Return the queue in the order it will play, JSON-ready.

        Each is ``{"id": int, "text": str, "author": str, "votes": int, "age": s, "state": …}``, the state one of
        "asked", "ready" and "pinned";
        "asked" waits for the performer, "ready" and "pinned" for their turn. No addresses, no cookies.
        """
        raise NotImplementedError

    def view(self) -> Object:
        """Return everything a performer's page shows, JSON-ready.

        ``{"mode": …, "waiting": waiting(), "playing": {"text", "author", "left": s} | None, "held": bool,
        "guests": int, "banned": [name…]}``; held: the turn stands still (locked scene, BLACKOUT or PANIC).
        """
        raise NotImplementedError

    def approve(self, number: int) -> bool:
        """Let the prompt of this id into the queue; return False if it is gone."""
        raise NotImplementedError

    def reject(self, number: int) -> bool:
        """Take the prompt out; return False if it is gone."""
        raise NotImplementedError

    def pin(self, number: int) -> bool:
        """Let the prompt in and play it next; return False if it is gone."""
        raise NotImplementedError

    def ban(self, number: int) -> bool:
        """Take out the prompt and all others of whoever sent it, and take none of theirs tonight; False if gone."""
        raise NotImplementedError

    def unban(self, name: str) -> bool:
        """Take the ban of the guest with this name back; return False if there is none."""
        raise NotImplementedError

    def set_mode(self, mode: Mode) -> None:
        """Choose how prompts get in."""
        raise NotImplementedError

    def skip(self) -> None:
        """End the turn of what plays; the next one comes in."""
        raise NotImplementedError

    def clear(self) -> None:
        """Empty the queue and take back what plays."""
        raise NotImplementedError

    def subscribe(self) -> AsyncIterator[Object]:
        """Yield :meth:`view` now and after each change; what changes while the reader is busy is skipped."""
        raise NotImplementedError
