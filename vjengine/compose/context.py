"""An OpenGL context without a window: for offline rendering, headless shows and tests."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

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
