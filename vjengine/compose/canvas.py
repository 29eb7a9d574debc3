"""Where the compositor draws: at an inner size, below the programme's where the renderer is slow."""

from __future__ import annotations

import moderngl

from vjengine.compose.passes import Pass, Target, unbind
from vjengine.compose.shaders import ShaderLibrary

Size = tuple[int, int]

SMALLEST_SCALE = 0.25
SMALLEST_SIDE = 18
"""px: no side is made smaller than this by scaling."""


def internal_size(size: Size, scale: float) -> Size:
    """Return the (width, height) in px at which a programme of ``size`` is drawn; even below a ``scale`` of 1."""
    if scale >= 1.0:
        return size
    width, height = (max(SMALLEST_SIDE, 2 * round(side * scale / 2.0)) for side in size)
    return min(size[0], beside_powers(width, 2)), min(size[1], beside_powers(height, 2))


def beside_powers(side: int, step: int = 1) -> int:
    """Return ``side``, or the next by ``step`` if it is a power of two.

    Mesa's software renderer compiles a shader anew for textures with such sides, which would halt the show.
    """
    return side + step if side > 2 and side & (side - 1) == 0 else side


class Canvas:
    """The targets of one programme.

    Attributes:
        size: (width, height) of the programme in px.
        internal: (width, height) in px at which everything but the programme is drawn.
        picture: this frame's picture, linear light.
        last: the picture before it.
    """

    def __init__(self, ctx: moderngl.Context, library: ShaderLibrary, size: Size) -> None:
        self._ctx = ctx
        self._enlarge = Pass(ctx, library.shader("compositor/enlarge.frag.glsl"))
        self.size = self.internal = size
        self.picture, self.last = Target(ctx, size), Target(ctx, size)
        self._programme = Target(ctx, size, "f1")
        self._small: Target | None = None

    @property
    def programme(self) -> Target:
        """What is shown, RGBA8 at the full size."""
        return self._programme

    @property
    def finished(self) -> Target:
        """What to draw the finished picture into, RGBA8 at the inner size; then call :meth:`present`."""
        return self._small or self._programme

    def swap(self) -> None:
        """Begin a frame: the picture becomes the last one."""
        self.picture, self.last = self.last, self.picture

    def present(self) -> None:
        """Enlarge the finished picture to the programme, if it is smaller."""
        if self._small is not None:
            self._enlarge.draw(self._programme.framebuffer, {"picture": self._small.texture}, {})

    def resize(self, size: Size, scale: float) -> None:
        """Make the programme ``size`` px, drawn at ``scale``; the picture is lost."""
        self._free()
        self.size = self.internal = size
        self.picture, self.last = Target(self._ctx, size), Target(self._ctx, size)
        self._programme = Target(self._ctx, size, "f1")
        self.rescale(scale)

    def rescale(self, scale: float) -> bool:
        """Draw at ``scale`` from now on, taking the picture along; return True if the inner size changed."""
        internal = internal_size(self.size, scale)
        if internal == self.internal or not self._enlarge.ready:
            return False
        before = self.picture
        unbind(self._ctx)
        self.last.release()
        self.picture, self.last = Target(self._ctx, internal), Target(self._ctx, internal)
        before.filter(moderngl.LINEAR)
        self._enlarge.draw(self.picture.framebuffer, {"picture": before.texture}, {})
        unbind(self._ctx)
        before.release()
        if self._small is not None:
            self._small.release()
        self._small = None if internal == self.size else Target(self._ctx, internal, "f1")
        self.internal = internal
        return True

    def warm(self) -> None:
        """Draw what a change of scale will draw, and leave everything black."""
        self._enlarge.draw(self._programme.framebuffer, {"picture": self._programme.texture}, {})
        self.last.filter(moderngl.LINEAR)
        self._enlarge.draw(self.picture.framebuffer, {"picture": self.last.texture}, {})
        for target in (self.picture, self.last, self._programme):
            target.framebuffer.clear()

    def _free(self) -> None:
        unbind(self._ctx)
        for target in (self.picture, self.last, self._programme, self._small):
            if target is not None:
                target.release()
        self._small = None

    def release(self) -> None:
        """Free everything."""
        self._free()
        self._enlarge.release()
