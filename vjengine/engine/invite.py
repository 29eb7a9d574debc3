"""The audience's way in: a page's address as a QR code, for the compositor to show."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import numpy as np

from vjengine.core.control import ControlState
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue, Latest

if TYPE_CHECKING:
    from vjengine.compose.compositor import Compositor
    from vjengine.compose.qr import Modules

log = logging.getLogger(__name__)

CALL = "scan · type · see it here"
LONGEST = 200
"""Characters of an address: what is longer makes a code too fine for the back of a room."""


def qr_modules(url: str) -> Modules:
    """Return the QR code of ``url``: ``(n, n)``, True where dark, no quiet zone.

    Error correction is M, or better where that takes no more modules: a hand, a lamp or a beam may cover a part.

    Raises:
        ValueError: if ``url`` is empty or longer than :data:`LONGEST`.
    """
    import segno

    if not 0 < len(url) <= LONGEST:
        raise ValueError(f"an address has 1 to {LONGEST} characters, this one {len(url)}")
    code = segno.make(url, error="m", micro=False)
    return np.array([[cell != 0 for cell in row] for row in code.matrix], dtype=np.bool_)


def short(url: str) -> str:
    """Return ``url`` as people type and say it: without scheme, token and trailing slash."""
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}".rstrip("/") or url


def caption(url: str) -> str:
    """Return the words below the code."""
    return f"{CALL}\n{short(url)}"


@dataclass(frozen=True, slots=True)
class _Offer:
    url: str = ""
    modules: Modules | None = None


class Invite:
    """Has the compositor show the page's present address. One thread tells, another draws.

    Args:
        events: told when a code is asked for and there is none.
    """

    def __init__(self, events: EventQueue) -> None:
        self._offer: Latest[_Offer] = Latest(_Offer())
        self._events = events
        self._taken = 0
        self._missed = False

    @property
    def url(self) -> str:
        """The address told last; empty for none."""
        return self._offer.read().url

    def tell(self, url: str) -> None:
        """Show ``url`` from now on; empty shows none, and so does one that is too long.

        It costs nothing if nothing changes. Making a code takes some 20 ms, of this thread: let it be any but the
        present loop's.
        """
        if url == self.url:
            return
        modules = None
        if url:
            try:
                modules = qr_modules(url)
            except ValueError as error:
                log.warning("the page's address makes no QR code: %s", error)
        self._offer.publish(_Offer(url, modules))

    def follow(self, compositor: Compositor, control: ControlState) -> None:
        """Hand a new address to ``compositor``; call it between frames, on its thread.

        Where ``control`` asks for a code and there is none, the performer is told why nothing comes.
        """
        version, offer = self._offer.read_versioned()
        if version != self._taken:
            self._taken = version
            compositor.set_qr(offer.modules, caption(offer.url))
        missed = offer.modules is None and control.values["qr.mix"] > 0.0
        if missed != self._missed:
            self._missed = missed
            level: Literal["ok", "warn"] = "warn" if missed else "ok"
            words = "the audience has no page to be shown the way to" if missed else ""
            self._events.put(StatusChanged(time=control.time.time, component="qr", level=level, message=words))
