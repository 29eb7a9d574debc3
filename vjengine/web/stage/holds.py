"""Who holds which macro: nothing stays on because a page went away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Holds:
    """Momentary macros held by pages; the last that lets go switches off.

    Args:
        send: hands an order (:mod:`vjengine.web.orders`) to the show.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._held: dict[str, set[int]] = {}

    def hold(self, page: int, macro: str) -> None:
        """``page`` holds ``macro`` down."""
        pages = self._held.setdefault(macro, set())
        if page not in pages:
            pages.add(page)
            # Also while another page holds it: something else may have let it go in between.
            self._send({"kind": "macro", "name": macro, "value": 1.0})

    def let_go(self, page: int, macro: str) -> None:
        """``page`` lets go of ``macro``; that of a page which held nothing still reaches the show."""
        pages = self._held.get(macro, set())
        pages.discard(page)
        if not pages:
            self._held.pop(macro, None)
            self._send({"kind": "macro", "name": macro, "value": 0.0})

    def leave(self, page: int) -> None:
        """``page`` is gone, or has not been heard of for too long: let go of all that it held."""
        for macro in [macro for macro, pages in self._held.items() if page in pages]:
            self.let_go(page, macro)

    def held_by(self, page: int) -> frozenset[str]:
        """Return the macros that ``page`` holds."""
        return frozenset(macro for macro, pages in self._held.items() if page in pages)
