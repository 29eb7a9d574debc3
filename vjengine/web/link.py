"""The show's side of the web process: keeps it alive, tells it how the show is, and turns its orders into events.

Nothing here is waited for by the present loop, and nothing that the web process does costs more than its own pages:
killed, it comes back; frozen, it is replaced; flooding, it is read no faster than a show can bear.
"""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import IO, Any, Literal

from vjengine.core.clock import Clock
from vjengine.core.control import ControlState
from vjengine.core.events import MacroSet, StatusChanged
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.show import Show
from vjengine.errors import MissingDependency
from vjengine.web.child import Patience, end, spawn
from vjengine.web.orders import SOURCE, WrongOrder, event_of
from vjengine.web.settings import WebSettings
from vjengine.web.view import Engine, schema, snapshot
from vjengine.web.wire import packed, read_message

log = logging.getLogger(__name__)

SILENT_TOO_LONG = 10.0
"""A web process without a heartbeat for this long (s) is looked at, and replaced if it hangs."""
START_GRACE = 20.0
"""s more that it may take to say its first word."""
BACK_OFF = (0.25, 0.5, 1.0, 2.0, 5.0)
"""s to wait before it is started again, the last for good."""
FOLLOWED, UNFOLLOWED = 30.0, 4.0
"""Snapshots a second while somebody watches, and while only the crowd's queue needs one."""
PREVIEWS = 12.0
"""Pictures a second at most, while somebody looks."""
LONGEST_ORDER = 16 << 10
"""Bytes; reading more at once would hold the interpreter's lock for long enough to be seen."""
ORDERS_A_SECOND = 2000.0
"""The most that is read; a dozen fingers on faders make 720."""

Object = dict[str, Any]
Level = Literal["ok", "warn", "error"]


class WebLink:
    """Pages and OSCQuery for a running show.

    Args:
        settings: where to listen, and for whom.
        show: names that exist.
        control: the control state, as published.
        engine: how the engine is; called a few times a second on a thread of this link.
        clock: session clock.
        events: where what the pages ask for goes.
        preview: the programme's latest picture as a JPEG, None if there is none; called likewise.
        learn: there is a MIDI input that can learn.
        silent_too_long: see :data:`SILENT_TOO_LONG`.

    Attributes:
        urls: by page (``stage``, ``crowd``, ``oscquery``): how it is reached, with the secret or token in it.
        queue: (prompts that wait, text that plays, its author) of the crowd.
        watched: somebody looks at the preview.
        restarts: web processes that were replaced; ``wrong``: orders that were none.
        pid: of the web process; None while there is none.
    """

    def __init__(
        self,
        settings: WebSettings,
        show: Show,
        control: Latest[ControlState],
        engine: Callable[[], Engine],
        clock: Clock,
        events: EventQueue,
        preview: Callable[[], bytes | None],
        *,
        learn: bool = False,
        silent_too_long: float = SILENT_TOO_LONG,
    ) -> None:
        self._settings = settings
        self._show, self._control, self._engine = show, control, engine
        self._clock, self._events, self._preview = clock, events, preview
        self._learn = learn
        self._silent_too_long = silent_too_long
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._heard = 0.0
        self._followed = False
        self._held: set[str] = set()
        self._said: dict[str, tuple[Level, str]] = {}
        self.urls: Mapping[str, str] = {}
        self.queue: tuple[int, str, str] = (0, "", "")
        self.watched = False
        self.restarts = 0
        self.wrong = 0
        self.pid: int | None = None

    @property
    def settings(self) -> WebSettings:
        """The settings, with the ports that were taken where they said 0."""
        return self._settings

    def start(self) -> None:
        """Start the web process; returns at once and never raises for what goes wrong there."""
        if self._thread is not None:
            return
        self._stop.clear()
        self._thread = threading.Thread(target=self._supervise, name="web", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """End the web process and return within about ``timeout`` s."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout + 0.5)
            self._thread = None

    # ------------------------------------------------------------ the supervising thread

    def _supervise(self) -> None:
        attempt = 0
        while not self._stop.is_set():
            started = self._clock.now()
            try:
                reason = self._one_life()
            except OSError as error:
                reason = f"the web process cannot be started: {error}"
            self.watched = self._followed = False
            self._let_go()
            if self._stop.is_set() or reason == "":
                return
            attempt = 0 if self._clock.now() - started > 10.0 else attempt + 1
            self.restarts += 1
            self._say("web", "warn", f"{reason}; trying again")
            self._stop.wait(BACK_OFF[min(attempt, len(BACK_OFF) - 1)])

    def _one_life(self) -> str:
        """Run one web process to its end; return why it ended, or ``""`` if there is no use in another."""
        child = spawn(self._settings)
        assert child.stdin is not None
        assert child.stdout is not None
        self.pid = child.pid
        self._heard = self._clock.now() + START_GRACE
        told: list[str | None] = [None]
        over = threading.Event()
        reader = threading.Thread(target=self._read, args=(child.stdout, told, over), name="web-reader", daemon=True)
        writer = threading.Thread(target=self._write, args=(child, over), name="web-writer", daemon=True)
        reader.start()
        writer.start()
        hung, patience, heard = False, Patience(child.pid, self._silent_too_long), 0.0
        while not over.is_set() and not self._stop.is_set():
            if heard != self._heard:
                heard = self._heard
                patience.heard()
            if patience.is_over(self._clock.now() - heard):
                hung = True
                child.kill()
                break
            # Wakes at once when asked to stop, and soon enough after the process ended.
            self._stop.wait(0.1)
        over.set()
        # The writer closes the pipe. If it hangs in it, only the end of the process frees it.
        writer.join(0.5)
        end(child, 1.0 if not writer.is_alive() else 0.0)
        writer.join(1.0)
        reader.join(1.0)
        self.pid = None
        if not reader.is_alive():
            child.stdout.close()
        if hung:
            return "the web process did not answer"
        return told[0] if told[0] is not None else f"the web process ended (status {child.returncode})"

    # ------------------------------------------------------------ the writing thread

    def _write(self, child: subprocess.Popen[bytes], over: threading.Event) -> None:
        pipe = child.stdin
        assert pipe is not None
        try:
            pipe.write(packed({"kind": "hello", "schema": schema(self._show, learn=self._learn)}))
            self._send_states(pipe, over)
        except OSError:
            log.debug("the web process has hung up")
        except Exception:
            log.exception("the web process is told nothing more")
        finally:
            over.set()
            try:
                pipe.close()
            except OSError:
                log.debug("the web process had already hung up")

    def _send_states(self, pipe: IO[bytes], over: threading.Event) -> None:
        version, picture = -1, b""
        state_due = picture_due = self._clock.now()
        while not over.is_set() and not self._stop.is_set():
            now = self._clock.now()
            if now >= state_due:
                state_due = now + 1.0 / (FOLLOWED if self._followed else UNFOLLOWED)
                news, state = self._control.read_versioned()
                if news != version:
                    version = news
                    pipe.write(packed(snapshot(state, self._engine())))
                    pipe.flush()
            if self.watched and now >= picture_due:
                picture_due = now + 1.0 / PREVIEWS
                latest = self._preview()
                if latest is not None and latest is not picture:
                    picture = latest
                    pipe.write(packed(picture))
                    pipe.flush()
            # In steps, so that a page that opens does not wait for the slow rate to come round.
            until = min(state_due, picture_due) if self.watched else state_due
            over.wait(min(0.1, max(0.002, until - self._clock.now())))
            if self._followed:
                state_due = min(state_due, now + 1.0 / FOLLOWED)

    # ------------------------------------------------------------ the reading thread

    def _read(self, pipe: IO[bytes], told: list[str | None], over: threading.Event) -> None:
        allowance, then = ORDERS_A_SECOND, self._clock.now()
        try:
            while (message := read_message(pipe, LONGEST_ORDER)) is not None:
                now = self._clock.now()
                allowance = min(ORDERS_A_SECOND, allowance + (now - then) * ORDERS_A_SECOND) - 1.0
                then = now
                self._heard = now
                if isinstance(message, dict):
                    self._take(message, told)
                if allowance < 0.0 and over.wait(0.02):
                    return
        except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
            told[0] = f"the web process said something that is no message ({type(error).__name__})"
        except Exception:
            log.exception("the web process cannot be understood")
            told[0] = "the web process cannot be understood"
        finally:
            over.set()

    def _take(self, message: Object, told: list[str | None]) -> None:
        kind = message.get("kind")
        if kind == "alive":
            return
        if kind == "watched":
            self.watched = bool(message["value"])
        elif kind == "followed":
            self._followed = bool(message["value"])
        elif kind == "queue":
            self.queue = (int(message["waiting"]), str(message["text"]), str(message["author"]))
        elif kind == "status":
            if message["component"] in _COMPONENTS and message["level"] in ("ok", "warn", "error"):
                self._say(str(message["component"]), message["level"], str(message["message"]))
        elif kind == "listening":
            self._listening(message)
        elif kind == "missing":
            self._say("web", "error", str(MissingDependency(f"The pages ({message['message']})", _REMEDY)))
            told[0] = ""
        elif kind == "fault":
            log.error("web process: %s", message["message"])
            told[0] = str(message["message"]).strip().splitlines()[-1]
        else:
            self._order(message)

    def _order(self, message: Object) -> None:
        try:
            event = event_of(message, self._show, self._clock.now())
        except WrongOrder as error:
            self.wrong += 1
            if self.wrong == 1:
                log.warning("a page asked for something that is not there (%s); counting from here on", error)
            return
        if isinstance(event, MacroSet) and self._show.macros[event.macro].kind == "momentary":
            (self._held.add if event.value > 0.0 else self._held.discard)(event.macro)
        self._events.put(event)

    def _let_go(self) -> None:
        """Let go of what pages held: they cannot say so any more."""
        while self._held:
            self._events.put(MacroSet(time=self._clock.now(), source=SOURCE, macro=self._held.pop(), value=0.0))

    def _listening(self, message: Object) -> None:
        self.urls = {str(name): str(url) for name, url in message["urls"].items()}
        # The port that was free the first time is kept, so that a page finds its way back after a restart.
        given, taken = self._settings, message["ports"]
        if given.pages is not None and "pages" in taken:
            given = replace(given, pages=(given.pages[0], int(taken["pages"])))
        if given.oscquery is not None and "oscquery" in taken:
            given = replace(given, oscquery=(given.oscquery[0], int(taken["oscquery"])))
        self._settings = given

    def _say(self, component: str, level: Level, message: str) -> None:
        if self._said.get(component) == (level, message):
            return
        self._said[component] = (level, message)
        log.log(logging.INFO if level == "ok" else logging.WARNING, "%s", message)
        self._events.put(
            StatusChanged(time=self._clock.now(), source="web", component=component, level=level, message=message)
        )


_COMPONENTS = ("web", "stage", "crowd", "oscquery")
_REMEDY = "pip install 'starlette>=0.40' 'uvicorn>=0.35' 'websockets>=13' segno"
