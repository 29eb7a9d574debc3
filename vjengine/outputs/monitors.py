"""The monitors that are there, and the one way this program talks to GLFW.

GLFW insists on the main thread for everything here (macOS kills a process that disobeys), so these functions refuse
any other.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

from vjengine.errors import DisplayError, MissingDependency

log = logging.getLogger(__name__)

_NO_DISPLAY = (
    "no display can be opened ({reason}). Render without one (--headless), or start inside a desktop session: on Linux "
    "DISPLAY or WAYLAND_DISPLAY must be set"
)


@dataclass(frozen=True, slots=True)
class Monitor:
    """One monitor.

    Attributes:
        name: as the system calls it; two alike monitors share a name.
        position: of its top left corner on the desktop, screen units.
        size: of its present mode, screen units.
        refresh_hz: of its present mode; 0 while unknown.
        primary: True for the system's main monitor.
    """

    name: str
    position: tuple[int, int]
    size: tuple[int, int]
    refresh_hz: float
    primary: bool


class _Errors:
    """What GLFW complained about: the last words for whoever just failed, each kind logged once and then counted."""

    def __init__(self) -> None:
        self.last = ""
        self.seen: Counter[int] = Counter()
        self.quiet = False

    def __call__(self, code: int, description: bytes | str) -> None:
        text = description.decode("utf-8", "replace") if isinstance(description, bytes) else str(description)
        self.last = text
        self.seen[code] += 1
        if not self.quiet and self.seen[code] == 1:
            log.warning("GLFW: %s (error %#x; further ones of this kind are only counted)", text, code)


errors = _Errors()
"""Complaints of GLFW so far."""


class _Changes:
    """Counts monitors that came or went, so that windows look at the list only then."""

    def __init__(self) -> None:
        self.count = 0
        self.installed: Any = None

    def __call__(self, monitor: Any, event: int) -> None:
        self.count += 1


changes = _Changes()
"""Comings and goings of monitors so far."""


def glfw_library() -> Any:
    """Return the ``glfw`` module, initialised.

    Raises:
        MissingDependency: if it is not installed.
        DisplayError: if there is no display, or this is not the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise DisplayError("windows and monitors can be used from the main thread only; call this from there")
    try:
        import glfw
    except ImportError as error:
        raise MissingDependency("the window library GLFW", "pip install glfw") from error
    # Ours instead of the package's own callback, which turns every complaint into a Python warning.
    glfw.set_error_callback(errors)
    errors.last, errors.quiet = "", True
    try:
        ready = bool(glfw.init())
    finally:
        errors.quiet = False
    if not ready:
        raise DisplayError(_NO_DISPLAY.format(reason=errors.last or "GLFW gave no reason"))
    if changes.installed is not glfw:
        glfw.set_monitor_callback(changes)
        changes.installed = glfw
    return glfw


def has_display() -> bool:
    """Tell whether a window can be opened here. Never raises."""
    try:
        glfw_library()
    except (DisplayError, MissingDependency):
        return False
    return True


def monitor_handles() -> list[tuple[Any, Monitor]]:
    """Return GLFW's handles beside their descriptions; monitors in the act of vanishing are left out."""
    glfw = glfw_library()
    primary = _address(glfw.get_primary_monitor())
    found = []
    for handle in glfw.get_monitors():
        try:
            mode = glfw.get_video_mode(handle)
        except ValueError:  # the package reads through a null pointer when GLFW has no mode
            continue
        name = glfw.get_monitor_name(handle) or b"unnamed"
        if isinstance(name, bytes):
            name = name.decode("utf-8", "replace")
        x, y = glfw.get_monitor_pos(handle)
        size = (int(mode.size.width), int(mode.size.height))
        refresh = float(mode.refresh_rate)
        found.append((handle, Monitor(name, (x, y), size, refresh, _address(handle) == primary)))
    return found


def _address(handle: Any) -> int | None:
    """Return where a handle points, since handles themselves do not compare."""
    import ctypes

    return ctypes.cast(handle, ctypes.c_void_p).value if handle else None


def list_monitors() -> tuple[Monitor, ...]:
    """Return all monitors, the primary one first.

    Raises:
        DisplayError: if there is no display.
    """
    return tuple(monitor for _, monitor in monitor_handles())


def choose_monitor(name: str, monitors: tuple[Monitor, ...]) -> int:
    """Return the place of the monitor called ``name`` in ``monitors``.

    ``name`` is its name, a part of it (upper and lower case are one) or its 1-based number.

    Raises:
        DisplayError: if none or more than one fits; the message lists what is there.
    """
    wanted = name.strip().casefold()
    there = ", ".join(f"{i}: {m.name} ({m.size[0]}x{m.size[1]})" for i, m in enumerate(monitors, 1)) or "none at all"
    # An exact name wins over a number and a part: HDMI-1 is not HDMI-10, and a monitor may be called "2".
    exact = [i for i, m in enumerate(monitors) if m.name.casefold() == wanted]
    if len(exact) == 1:
        return exact[0]
    if wanted.isdecimal():
        if 1 <= int(wanted) <= len(monitors):
            return int(wanted) - 1
        # Not a part of a name: 0 must not choose HDMI-10.
        wanted = ""
    partly = [i for i, m in enumerate(monitors) if wanted and wanted in m.name.casefold()]
    if len(partly) == 1 and not exact:
        return partly[0]
    if exact or partly:
        raise DisplayError(f"more than one monitor is called {name!r}; choose one by its number. There are: {there}")
    raise DisplayError(f"no monitor is called {name!r}. There are: {there}")


def find_monitor(name: str) -> Monitor:
    """Return the monitor called ``name``: see :func:`choose_monitor`.

    Raises:
        DisplayError: if there is no display, or none or more than one monitor fits.
    """
    monitors = list_monitors()
    return monitors[choose_monitor(name, monitors)]
