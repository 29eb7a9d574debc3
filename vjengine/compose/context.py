"""An OpenGL context without a window: for offline rendering, headless shows and tests."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from vjengine.errors import DisplayError

if TYPE_CHECKING:
    import moderngl

MINIMUM_GL = 330
"""Lowest OpenGL version the shaders run on (3.3)."""


def offscreen_context() -> moderngl.Context:
    """Return a new standalone OpenGL 3.3 core context, current on the calling thread.

    On Linux it is made through EGL, which needs neither an X server nor a graphics card.

    Raises:
        DisplayError: if no context can be had; the message says what to install.
    """
    import moderngl

    linux = sys.platform.startswith("linux")
    remedy = (
        "install software OpenGL: apt-get install libegl1 libgl1-mesa-dri"
        if linux
        else "install or update the graphics driver"
    )
    try:
        if linux:
            return moderngl.create_context(require=MINIMUM_GL, standalone=True, backend="egl")  # type: ignore[arg-type]
        return moderngl.create_context(require=MINIMUM_GL, standalone=True)
    except Exception as error:  # The loaders raise bare Exception, OSError and ImportError alike.
        raise DisplayError(f"no OpenGL 3.3 context: {error}. To mend it, {remedy}") from error


def _gl_finish() -> Callable[[], None] | None:
    """Return the system's own ``glFinish``, called through ctypes; ``None`` where it is not found."""
    names = {
        "win32": ("opengl32",),
        "darwin": ("/System/Library/Frameworks/OpenGL.framework/OpenGL",),
    }.get(sys.platform, ("libGL.so.1", "libOpenGL.so.0"))
    for name in names:
        try:
            function = ctypes.CDLL(name).glFinish
        except (OSError, AttributeError):
            continue
        function.restype, function.argtypes = None, []
        return cast("Callable[[], None]", function)
    return None


class Finisher:
    """Waits for a context's drawing to be done, and lets every other thread run meanwhile.

    moderngl waits with the interpreter's lock held: a software renderer would stop the audio thread and all inputs for
    as long as it draws. A call through ctypes gives the lock away.
    """

    def __init__(self, ctx: moderngl.Context) -> None:
        self._finish = _gl_finish() or ctx.finish

    def __call__(self) -> None:
        """Return once everything drawn in the current context is done."""
        self._finish()
