"""Bloom: bright light spills over its edges, through a chain of ever smaller pictures."""

from __future__ import annotations

import moderngl

from vjengine.compose.canvas import beside_powers
from vjengine.compose.passes import Pass, Target, unbind
from vjengine.compose.shaders import ShaderLibrary

SMALLEST = 6
"""px: height at which the chain ends, so that the spread is the same share of the picture at any resolution."""


class Bloom:
    """The chain for one size of picture; it starts at a quarter of it."""

    def __init__(self, ctx: moderngl.Context, library: ShaderLibrary, size: tuple[int, int]) -> None:
        """Make the chain for pictures of ``size`` px in a programme of that size."""
        self._bright = Pass(ctx, library.shader("compositor/bloom_bright.frag.glsl"))
        self._down = Pass(ctx, library.shader("compositor/bloom_down.frag.glsl"))
        self._up = Pass(ctx, library.shader("compositor/bloom_up.frag.glsl"))
        self._ctx = ctx
        self._narrowing: list[Target] = []
        self._widening: list[Target] = []
        self.resize(size, size)

    def resize(self, size: tuple[int, int], programme: tuple[int, int]) -> None:
        """Make the chain anew for pictures of ``size`` in a programme of size ``programme``."""
        self._free()
        sizes = levels(size)
        self._narrowing = [Target(self._ctx, each) for each in sizes]
        self._widening = [Target(self._ctx, each) for each in sizes[:-1]]
        # Levels that a smaller picture lacks count for its largest one, so that the spread stays the same.
        self._missing = max(0, len(levels(programme)) - len(sizes))

    @property
    def ready(self) -> bool:
        """False while one of its shaders never compiled."""
        return self._bright.ready and self._down.ready and self._up.ready

    @property
    def light(self) -> moderngl.Texture:
        """What :meth:`draw` drew last."""
        return (self._widening or self._narrowing)[0].texture

    def draw(self, picture: moderngl.Texture, threshold: float, radius: float) -> moderngl.Texture:
        """Return the spilled light of ``picture``, in linear light at a quarter of its size."""
        self._bright.draw(
            self._narrowing[0].framebuffer,
            {"picture": picture},
            {"pixel": _pixel(picture), "threshold": threshold},
        )
        for wide, narrow in zip(self._narrowing, self._narrowing[1:], strict=False):
            self._down.draw(narrow.framebuffer, {"wide": wide.texture}, {"pixel": _pixel(wide.texture)})
        light = self._narrowing[-1].texture
        scatter = 0.35 + 0.6 * radius
        for level in reversed(range(len(self._widening))):
            self._up.draw(
                self._widening[level].framebuffer,
                {"narrow": light, "wide": self._narrowing[level].texture},
                {"pixel": _pixel(light), "scatter": scatter if level else scatter ** (1 + self._missing)},
            )
            light = self._widening[level].texture
        return light

    def _free(self) -> None:
        unbind(self._ctx)
        for target in (*self._narrowing, *self._widening):
            target.release()
        self._narrowing, self._widening = [], []

    def release(self) -> None:
        """Free the chain and its passes."""
        self._free()
        for each in (self._bright, self._down, self._up):
            each.release()


def levels(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the sizes of the chain for pictures of ``size``: a quarter, and halves of it down to the smallest."""
    width, height = max(1, -(-size[0] // 4)), max(1, -(-size[1] // 4))
    found = [(beside_powers(width), beside_powers(height))]
    while min(width, height) // 2 >= SMALLEST:
        width, height = (width + 1) // 2, (height + 1) // 2
        found.append((beside_powers(width), beside_powers(height)))
    return found


def _pixel(texture: moderngl.Texture) -> tuple[float, float]:
    """Return the size of one of ``texture``'s pixels in uv."""
    return 1.0 / texture.width, 1.0 / texture.height
