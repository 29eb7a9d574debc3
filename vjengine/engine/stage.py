"""Where the picture goes: windows or an offscreen context, the preview with its HUD, and the recorder's readback."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vjengine.compose.context import Finisher, offscreen_context
from vjengine.compose.hud import Hud, HudData
from vjengine.compose.readback import Readback
from vjengine.core.clock import Clock
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue
from vjengine.engine.options import LiveOptions
from vjengine.errors import DisplayError
from vjengine.outputs.keyboard import KeyStroke
from vjengine.outputs.monitors import has_display, list_monitors
from vjengine.outputs.window import Window

if TYPE_CHECKING:
    import moderngl

log = logging.getLogger(__name__)
Picture = npt.NDArray[np.uint8]


class Stage:
    """The GL context, and all places where the programme is seen.

    Must be made and used on the main thread: that is where window systems want their windows.

    Attributes:
        ctx: the context everything is drawn in.
        headless: True if there is no window.
        reason: why there is none, in words; empty if there is one.
    """

    def __init__(self, options: LiveOptions, shaders: Path, clock: Clock, events: EventQueue) -> None:
        self._options = options
        self._clock, self._events = clock, events
        self._size = options.picture.size
        self._stack = ExitStack()
        self.programme: Window | None = None
        self.preview: Window | None = None
        self.reason = ""
        if options.headless:
            self.reason = "asked to run headless"
        elif not has_display():
            self.reason = "no display was found"
        self.headless = bool(self.reason)
        if self.headless:
            self.ctx = offscreen_context()
            self._stack.callback(self.ctx.release)
        else:
            self._open_windows()
        self._finish = Finisher(self.ctx)
        self._shown: moderngl.Texture | None = None
        self._seen: moderngl.Texture | None = None
        self._preview_target: moderngl.Framebuffer | None = None
        self.hud: Hud | None = None
        if self._wants_hud():
            self._preview_texture = self.ctx.texture(self._size, 4)
            self._preview_target = self.ctx.framebuffer([self._preview_texture])
            self.hud = Hud(self.ctx, self._size, shaders)
        self._readback: Readback[float] | None = None

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wants_hud(self) -> bool:
        options = self._options
        if options.record_hud:
            return True
        if self.headless or not options.hud:
            return False
        # A single fullscreen window is the programme: what the audience sees carries no HUD.
        return self.preview is not None or not options.fullscreen

    def _open_windows(self) -> None:
        options = self._options
        self.programme = Window(
            "vjengine",
            self._size,
            monitor=options.display,
            fullscreen=options.fullscreen,
            vsync=options.vsync,
            on_status=self._tell,
            clock=self._clock,
        )
        self._stack.callback(self.programme.close)
        self.ctx = self.programme.ctx
        if options.fullscreen and options.hud and len(list_monitors()) > 1:
            try:
                self.preview = Window("vjengine preview", self._size, share=self.programme)
                self._stack.callback(self.preview.close)
            except DisplayError as error:
                log.warning("no preview window: %s", error)

    def _tell(self, status: StatusChanged) -> None:
        self._events.put(status)

    def poll(self) -> list[KeyStroke]:
        """Return the keys hit since the last call."""
        strokes: list[KeyStroke] = []
        for window in (self.programme, self.preview):
            if window is not None:
                strokes.extend(window.poll())
        return strokes

    @property
    def focused(self) -> bool:
        """True while the keyboard is ours, or there is no window to lose it."""
        windows = [window for window in (self.programme, self.preview) if window is not None]
        return not windows or any(window.focused for window in windows)

    @property
    def closed(self) -> bool:
        """True once the performer has closed the programme's window."""
        return self.programme is not None and self.programme.closed

    def toggle_fullscreen(self) -> None:
        """Switch the programme between window and full screen."""
        if self.programme is not None:
            self.programme.toggle_fullscreen()

    def draw(self, programme: moderngl.Texture, source: moderngl.Framebuffer, hud: Callable[[], HudData]) -> None:
        """Draw the HUD over a copy of the programme, if there is a HUD, and wait until everything is drawn.

        Args:
            programme: the finished picture.
            source: the framebuffer it is attached to.
            hud: makes the HUD's data; called only if a HUD is drawn.
        """
        self._shown = self._seen = programme
        if self.hud is not None and self._preview_target is not None:
            self.ctx.copy_framebuffer(self._preview_target, source)
            self.hud.draw(self._preview_target, hud())
            self._seen = self._preview_texture
        # Everything is drawn here, with the interpreter free for the other threads; what follows finds it done.
        self._finish()

    def present(self) -> None:
        """Bring what was drawn to the windows."""
        if self._shown is None or self._seen is None:
            return
        if self.preview is not None and self.preview.closed:
            self.preview.close()
            self.preview = None
        if self.preview is not None and self.programme is not None:
            self.programme.show(self._shown)
            self.preview.show_from(self._seen)
        elif self.programme is not None:
            self.programme.show(self._seen if not self._options.fullscreen else self._shown)

    def start_readback(self, source: moderngl.Framebuffer, time: float) -> list[tuple[float, Picture]]:
        """Begin copying this frame out of GL; return frames that are complete by now as (time, pixels)."""
        if self._readback is None:
            self._readback = Readback(self.ctx, self._size)
        target = source
        if self._options.record_hud and self._preview_target is not None:
            target = self._preview_target
        done = []
        finished = self._readback.finish()
        if finished is not None:
            done.append(finished)
        self._readback.start(target, time)
        return done

    def flush_readback(self) -> list[tuple[float, Picture]]:
        """Return the frames still under way."""
        return list(self._readback.flush()) if self._readback is not None else []

    def close(self) -> None:
        """Close windows and the context."""
        if self.hud is not None:
            self.hud.release()
            self.hud = None
        self._stack.close()
