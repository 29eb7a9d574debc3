"""Windows: the preview with its HUD, and the programme, fullscreen on a monitor of its own.

A window is made, polled, shown and closed on the main thread; macOS allows no other.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from typing import Any, Literal

import moderngl

from vjengine.core.clock import Clock
from vjengine.core.events import StatusChanged
from vjengine.errors import DisplayError
from vjengine.outputs.keyboard import KeyStroke, key_stroke
from vjengine.outputs.monitors import Monitor, changes, choose_monitor, errors, glfw_library, monitor_handles

log = logging.getLogger(__name__)

Size = tuple[int, int]

_VERTEX = """
#version 330 core
out vec2 place;
void main() {
    // One triangle that covers the viewport.
    place = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0;
    gl_Position = vec4(place * 2.0 - 1.0, 0.0, 1.0);
}
"""
_FRAGMENT = """
#version 330 core
uniform sampler2D picture;
in vec2 place;
out vec4 colour;
void main() { colour = vec4(texture(picture, place).rgb, 1.0); }
"""


def letterbox(picture: Size, area: Size) -> tuple[int, int, int, int]:
    """Return the viewport ``(x, y, width, height)``, px, that shows all of ``picture`` in ``area``, aspect kept."""
    width, height = max(1, picture[0]), max(1, picture[1])
    scale = min(area[0] / width, area[1] / height)
    fitted = max(1, min(area[0], round(width * scale))), max(1, min(area[1], round(height * scale)))
    return (area[0] - fitted[0]) // 2, (area[1] - fitted[1]) // 2, *fitted


class _Loader:
    """Gives moderngl the OpenGL functions of the current GLFW context, whichever of GLX, EGL, WGL, NSGL made it."""

    def __init__(self, glfw: Any) -> None:
        self._glfw = glfw

    def load_opengl_function(self, name: str) -> int:
        return ctypes.cast(self._glfw.get_proc_address(name), ctypes.c_void_p).value or 0

    load = load_opengl_function

    def __enter__(self) -> _Loader:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def release(self) -> None:
        """Nothing to free: the window owns its context."""


class Window:
    """A window with an OpenGL 3.3 core context of its own.

    Textures are shared with the window given as ``share``; framebuffers, vertex arrays and programs are not. Whoever
    draws with a window's ``ctx`` calls :meth:`activate` first if there is more than one window. Making a window with
    ``share``, and :meth:`show_from`, leave the context of ``share`` current.

    Args:
        title: shown in its frame.
        size: of the windowed picture, screen units.
        monitor: name, part of a name or 1-based number of the monitor to stand on; ``None`` lets the system choose,
            or takes the main monitor when fullscreen.
        fullscreen: fill the monitor at its present mode; the pointer is hidden.
        share: a window whose textures this one may show.
        visible: False for a window that only lends its context.
        vsync: let :meth:`show` wait for the monitor. Off, the caller paces the frames.
        on_status: told when the monitor goes (``warn``) and comes back (``ok``), as component ``display``.
        clock: session time for these reports.

    Attributes:
        ctx: the moderngl context.

    Raises:
        DisplayError: if there is no display, no such monitor, no OpenGL 3.3, or this is not the main thread.
        MissingDependency: if GLFW is not installed.
    """

    def __init__(
        self,
        title: str,
        size: Size,
        *,
        monitor: str | None = None,
        fullscreen: bool = False,
        share: Window | None = None,
        visible: bool = True,
        vsync: bool = False,
        on_status: Callable[[StatusChanged], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        if min(size) < 1:
            raise DisplayError(f"a window cannot be {size[0]}x{size[1]}; ask for at least 1x1")
        self._glfw = glfw_library()
        self._on_status, self._clock = on_status, clock
        self._wanted = monitor
        self._size = size
        self._strokes: list[KeyStroke] = []
        self._share = share
        self._fullscreen = False
        self._name = ""
        self._lost: str | None = None
        self._changes = changes.count
        # Before the window is made: a wrong name must not flash one up.
        place = self._find(monitor) if monitor is not None or fullscreen else None
        self._handle: Any = self._create(title, size, share, visible)
        try:
            self._glfw.make_context_current(self._handle)
            self._glfw.swap_interval(1 if vsync else 0)
            self.ctx = self._context()
            self._prepare()
        except BaseException:
            self._glfw.destroy_window(self._handle)
            raise
        self._glfw.set_key_callback(self._handle, self._key)
        self._windowed = self._centred(place[1]) if place else self._geometry()
        if place and not fullscreen:
            self._glfw.set_window_pos(self._handle, *self._windowed[:2])
        if place and fullscreen:
            self._enter(*place)
        if share is not None:
            # Whoever draws with the first window goes on as if this one had not been made.
            share.activate()

    # Making it.

    def _create(self, title: str, size: Size, share: Window | None, visible: bool) -> Any:
        glfw = self._glfw
        glfw.default_window_hints()
        for hint, value in (
            (glfw.CONTEXT_VERSION_MAJOR, 3),
            (glfw.CONTEXT_VERSION_MINOR, 3),
            (glfw.OPENGL_PROFILE, glfw.OPENGL_CORE_PROFILE),
            (glfw.OPENGL_FORWARD_COMPAT, True),
            (glfw.VISIBLE, visible),
            (glfw.DEPTH_BITS, 0),
            (glfw.STENCIL_BITS, 0),
            # A click on another window must not minimise the picture on the projector.
            (glfw.AUTO_ICONIFY, False),
        ):
            glfw.window_hint(hint, int(value))
        errors.last, errors.quiet = "", True
        try:
            handle = glfw.create_window(*size, title, None, share._handle if share else None)
        finally:
            errors.quiet = False
        if not handle:
            reason = errors.last or "GLFW gave no reason"
            raise DisplayError(f"no window with OpenGL 3.3 can be opened ({reason}); update the graphics driver")
        return handle

    def _context(self) -> moderngl.Context:
        try:
            # moderngl's own type for this argument is narrower than what it takes.
            loader: dict[str, Any] = {"context": _Loader(self._glfw)}
            return moderngl.create_context(require=330, **loader)
        except (moderngl.Error, ValueError) as error:
            raise DisplayError(f"OpenGL 3.3 is not to be had here ({error}); update the graphics driver") from error

    def _prepare(self) -> None:
        self._program = self.ctx.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
        self._triangle = self.ctx.vertex_array(self._program, [])
        # A sampler leaves the texture's own settings alone, which belong to whoever made it.
        self._sampler = self.ctx.sampler(repeat_x=False, repeat_y=False, filter=(moderngl.LINEAR, moderngl.LINEAR))
        self._guests: dict[tuple[int, Size, int, str], moderngl.Texture] = {}
        flush = ctypes.cast(self._glfw.get_proc_address("glFlush"), ctypes.c_void_p).value
        self._flush: Callable[[], None] = ctypes.CFUNCTYPE(None)(flush or 0)

    # Showing.

    def activate(self) -> None:
        """Make this window's context the current one."""
        self._glfw.make_context_current(self._handle)

    @property
    def framebuffer_size(self) -> Size:
        """Width and height in px, which on HiDPI monitors are more than screen units; (0, 0) while minimised."""
        width, height = self._glfw.get_framebuffer_size(self._handle)
        return int(width), int(height)

    def show(self, texture: moderngl.Texture) -> None:
        """Show ``texture`` (row 0 at the bottom), letterboxed, and swap. Nothing is drawn while minimised.

        Raises:
            DisplayError: if the texture belongs to another window's context; use :meth:`show_from`.
        """
        if texture.ctx is not self.ctx:
            raise DisplayError("this texture belongs to another context; use show_from()")
        self.activate()
        self._draw(texture)

    def show_from(self, texture: moderngl.Texture) -> None:
        """Show a texture that belongs to the window this one shares with; that window's context is current again after.

        Raises:
            DisplayError: if the texture belongs to neither.
        """
        if self._share is None or texture.ctx is not self._share.ctx:
            raise DisplayError("the texture's window is not the one given as share= when this window was made")
        # Commands of one context are seen by another only once they are flushed.
        self._share._flush()
        self.activate()
        key = (texture.glo, texture.size, texture.components, texture.dtype)
        guest = self._guests.get(key)
        if guest is None:
            if len(self._guests) >= 16:
                self._guests.clear()
            guest = self._guests[key] = self.ctx.external_texture(*key[:3], 0, texture.dtype)
        self._draw(guest)
        if not self._share._destroyed:
            self._share.activate()

    def _draw(self, texture: moderngl.Texture) -> None:
        area = self.framebuffer_size
        if min(area) < 1:
            return
        screen = self.ctx.screen
        screen.use()
        self.ctx.enable_only(moderngl.NOTHING)
        self.ctx.viewport = (0, 0, *area)
        self.ctx.clear(0.0, 0.0, 0.0, 1.0)
        self.ctx.viewport = letterbox(texture.size, area)
        texture.use(0)
        self._sampler.use(0)
        self._program["picture"] = 0
        self._triangle.render(moderngl.TRIANGLES, vertices=3)
        self._sampler.clear(0)
        self._glfw.swap_buffers(self._handle)

    # Events.

    def poll(self) -> list[KeyStroke]:
        """Take in what the system has to say to all windows; return this window's key strokes, oldest first."""
        if self._destroyed:
            return []
        self._glfw.poll_events()
        if self._changes != changes.count:
            self._changes = changes.count
            self._monitors_changed()
        strokes, self._strokes = self._strokes, []
        return strokes

    def _key(self, window: Any, key: int, scancode: int, action: int, mods: int) -> None:
        stroke = key_stroke(self._glfw, key, scancode, action)
        if stroke is not None and len(self._strokes) < 1024:
            self._strokes.append(stroke)

    @property
    def _destroyed(self) -> bool:
        return self._handle is None

    @property
    def closed(self) -> bool:
        """True once the user has closed it, or after :meth:`close`."""
        return self._destroyed or bool(self._glfw.window_should_close(self._handle))

    @property
    def focused(self) -> bool:
        """True while the keyboard is this window's."""
        return not self._destroyed and bool(self._glfw.get_window_attrib(self._handle, self._glfw.FOCUSED))

    @property
    def fullscreen(self) -> bool:
        """True while it fills a monitor."""
        return self._fullscreen

    def set_title(self, title: str) -> None:
        """Change the title."""
        self._glfw.set_window_title(self._handle, title)

    # Monitors.

    def toggle_fullscreen(self) -> None:
        """Fill the monitor (the wanted one, else the one the window is mostly on), or go back to a window.

        A monitor that is not there leaves the window as it is and is reported as a warning.
        """
        self._lost = None
        if self._fullscreen:
            self._leave()
            return
        try:
            place = self._find(self._wanted if self._wanted is not None else self._nearest())
        except DisplayError as error:
            self._tell("warn", str(error))
            return
        self._windowed = self._geometry()
        self._enter(*place)

    def _find(self, name: str | None) -> tuple[Any, Monitor]:
        handles = monitor_handles()
        if not handles:
            raise DisplayError("no monitor is connected; connect one or run with --headless")
        return handles[0 if name is None else choose_monitor(name, tuple(m for _, m in handles))]

    def _nearest(self) -> str | None:
        """Return the number of the monitor that most of the window is on."""
        x, y, width, height = self._geometry()

        def overlap(monitor: Monitor) -> int:
            across = min(x + width, monitor.position[0] + monitor.size[0]) - max(x, monitor.position[0])
            down = min(y + height, monitor.position[1] + monitor.size[1]) - max(y, monitor.position[1])
            return max(0, across) * max(0, down)

        monitors = [monitor for _, monitor in monitor_handles()]
        return str(1 + max(range(len(monitors)), key=lambda i: overlap(monitors[i]))) if monitors else None

    def _geometry(self) -> tuple[int, int, int, int]:
        """Return position and size on the desktop; Wayland tells no position, which reads as 0, 0."""
        errors.quiet = True
        x, y = self._glfw.get_window_pos(self._handle)
        errors.quiet = False
        width, height = self._glfw.get_window_size(self._handle)
        return int(x), int(y), int(width), int(height)

    def _centred(self, monitor: Monitor) -> tuple[int, int, int, int]:
        width, height = (min(self._size[i], monitor.size[i]) for i in (0, 1))
        x = monitor.position[0] + (monitor.size[0] - width) // 2
        return x, monitor.position[1] + (monitor.size[1] - height) // 2, width, height

    def _enter(self, handle: Any, monitor: Monitor) -> None:
        glfw = self._glfw
        # Its present mode: no mode switch, so nothing else on the desktop moves and the projector does not re-sync.
        rate = round(monitor.refresh_hz) or glfw.DONT_CARE
        glfw.set_window_monitor(self._handle, handle, 0, 0, *monitor.size, rate)
        glfw.set_input_mode(self._handle, glfw.CURSOR, glfw.CURSOR_HIDDEN)
        self._fullscreen, self._name = True, monitor.name

    def _leave(self) -> None:
        glfw = self._glfw
        glfw.set_window_monitor(self._handle, None, *self._windowed, 0)
        glfw.set_input_mode(self._handle, glfw.CURSOR, glfw.CURSOR_NORMAL)
        self._fullscreen = False

    def _monitors_changed(self) -> None:
        """Fall back to a window when our monitor is gone, and return to it when it is back."""
        handles = monitor_handles()
        if self._fullscreen and not self._glfw.get_window_monitor(self._handle):
            # GLFW has already made it a window, of the size and at the place of the lost monitor.
            self._lost = self._name
            if handles:
                self._windowed = self._centred(handles[0][1])
            self._leave()
            self._tell("warn", f"monitor {self._lost} is gone: showing in a window until it is back")
        back = next((found for found in handles if found[1].name == self._lost), None)
        if back is not None:
            self._enter(*back)
            self._lost = None
            self._tell("ok", f"monitor {back[1].name} is back")

    def _tell(self, level: Literal["ok", "warn"], message: str) -> None:
        log.log(logging.WARNING if level == "warn" else logging.INFO, "%s", message)
        if self._on_status is not None:
            now = self._clock.now() if self._clock is not None else 0.0
            status = StatusChanged(component="display", level=level, message=message, time=now, source="window")
            self._on_status(status)

    def close(self) -> None:
        """Close it and free its context. Calling it again does nothing."""
        if self._destroyed:
            return
        self.activate()
        for part in (self._triangle, self._program, self._sampler):
            part.release()
        self._glfw.set_key_callback(self._handle, None)
        self._glfw.destroy_window(self._handle)
        self._handle = None
