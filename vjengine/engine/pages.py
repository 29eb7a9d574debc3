"""The pages of a running show, with what they need of its present loop: a small picture, and a place for a QR code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from vjengine.core.clock import Clock
from vjengine.core.control import ControlState
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.show import Show
from vjengine.engine.invite import Invite, short
from vjengine.engine.preview import Preview
from vjengine.web.link import WebLink
from vjengine.web.settings import WebSettings
from vjengine.web.view import Engine

if TYPE_CHECKING:
    import moderngl


_WORDS = {"stage": "performer's page, open it yourself", "crowd": "crowd's page", "oscquery": "OSCQuery"}


class Pages:
    """The web process, the preview and the QR code as one. Use it as a context manager, on the present loop's thread.

    Args:
        settings: where to listen, and for whom.
        show: names that exist.
        control: the control state, as published.
        engine: how the engine is; called on a thread of the link.
        clock: session clock.
        events: where what the pages ask for goes.
        preview: makes the small pictures; it is started and ended here.
        invite: told where the crowd's page is.
        say: told where the pages are, for the performer's terminal alone: the links open them.
        learn: there is a MIDI input that can learn.

    Attributes:
        link: the way to the web process.
        preview, invite: as given.
    """

    def __init__(
        self,
        settings: WebSettings,
        show: Show,
        control: Latest[ControlState],
        engine: Callable[[], Engine],
        clock: Clock,
        events: EventQueue,
        preview: Preview,
        invite: Invite,
        say: Callable[[str], None],
        *,
        learn: bool = False,
    ) -> None:
        self._say = say
        self._said: Mapping[str, str] = {}
        self._crowd = settings.crowd
        self._engine = engine
        self._stack = ExitStack()
        self.preview, self.invite = preview, invite
        self.link = WebLink(settings, show, control, self._tell, clock, events, preview.latest, learn=learn)

    def __enter__(self) -> Pages:
        self._stack.enter_context(self.preview)
        self.link.start()
        self._stack.callback(self.link.stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def frame(self, programme: moderngl.Texture, now: float) -> None:
        """Show the pages the ``programme`` of session time ``now`` (s), if one of them looks.

        Call it once a frame on the thread of the GL context, after drawing and before waiting for it.
        """
        self.preview.wanted = self.link.watched
        self.preview.see(programme, now)

    @property
    def address(self) -> str:
        """The crowd's page, or else the performer's, as people type it; empty while there is none."""
        return short(self.link.urls.get("crowd" if self._crowd else "stage", ""))

    @property
    def waiting(self) -> int:
        """Prompts of the crowd that wait; below 0 if it has no page."""
        return self.link.queue[0] if self._crowd else -1

    def _tell(self) -> Engine:
        if self.link.urls != self._said:
            self._said = self.link.urls
            for page, url in self._said.items():
                self._say(f"{_WORDS.get(page, page)}: {url}")
        # On the link's thread, so that making the code of a new address costs the present loop nothing.
        if self._crowd:
            self.invite.tell(self.link.urls.get("crowd", ""))
        return self._engine()
