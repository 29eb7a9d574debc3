"""The programme in small, back from the graphics card, a few times a second and without waiting for it."""

from __future__ import annotations

import math
from pathlib import Path

import moderngl

from vjengine.compose.canvas import Size, beside_powers
from vjengine.compose.passes import Pass, Target, unbind
from vjengine.compose.readback import Readback
from vjengine.compose.shaders import ShaderLibrary
from vjengine.core.frame import Pixels

MOST_TAPS = 6


def glance_size(size: Size, widest: int) -> Size:
    """Return ``size`` (width, height) px at most ``widest`` px wide and high, with its proportions; never larger."""
    share = min(1.0, widest / max(size))
    if share >= 1.0:
        return size
    # The next lower one, where a side is a power of two: never past the limit.
    width, height = (max(2, round(side * share)) for side in size)
    return beside_powers(width, -1), beside_powers(height, -1)


class Glance:
    """Shrinks pictures and fetches them, a step a frame: shrink, begin to fetch, have it. Nothing is waited for.

    Args:
        ctx: the context; all calls belong to its thread.
        size: (width, height) of the pictures in px.
        widest: px that the small picture's longer side may have.
        shaders: the folder that holds ``compositor/``.
        taps: most pixels, across and down, that one of the small picture is the mean of.

    Attributes:
        size: (width, height) of the small picture in px.
    """

    def __init__(self, ctx: moderngl.Context, size: Size, widest: int, shaders: Path, taps: int = MOST_TAPS) -> None:
        self._ctx = ctx
        self.size = glance_size(size, widest)
        self._cell = size[0] / self.size[0], size[1] / self.size[1]
        self._library = ShaderLibrary(ctx, shaders, hot_reload=False)
        taps = max(1, min(taps, math.ceil(max(self._cell))))
        self._pass = Pass(ctx, self._library.shader("compositor/glance.frag.glsl", defines=[f"TAPS {taps}"]))
        self._small = Target(ctx, self.size, "f1")
        self._readback: Readback[None] = Readback(ctx, self.size, depth=1)
        self._drawn = False
        # Drivers put much of the compilation off until the first draw.
        like = Target(ctx, (beside_powers(max(3, size[0] // 8)), beside_powers(max(3, size[1] // 8))), "f1")
        self._pass.draw(self._small.framebuffer, {"picture": like.texture}, {"cell": self._cell})
        unbind(ctx)
        like.release()

    def start(self, picture: moderngl.Texture) -> None:
        """Shrink ``picture``; :meth:`step` fetches it. What was on its way is dropped."""
        self._drawn = self._pass.draw(self._small.framebuffer, {"picture": picture}, {"cell": self._cell})

    def step(self) -> Pixels | None:
        """Go on with what :meth:`start` began; call it once a frame, before that.

        Returns a picture in the second frame after its start, ``(H, W, 4)`` uint8, top row first; otherwise None.
        """
        done = self._readback.finish()
        if self._drawn:
            # Begun now that it is drawn: a software renderer would draw it here, with the interpreter's lock held.
            self._drawn = False
            self._readback.start(self._small.framebuffer, None)
        return done[1] if done is not None else None

    def drop(self) -> None:
        """Forget what is on its way."""
        self._drawn = False
        self._readback.flush()

    def release(self) -> None:
        """Free everything."""
        unbind(self._ctx)
        self._readback.release()
        self._small.release()
        self._pass.release()
        self._library.release()
