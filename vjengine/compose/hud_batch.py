"""The HUD's drawing: everything is a quad, and all quads go to the GPU in one instanced draw call."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import moderngl
import numpy as np

from vjengine.compose.text import Floats, GlyphAtlas
from vjengine.errors import ShaderError

Colour = tuple[float, float, float, float]
"""Red, green, blue, alpha, 0–1, alpha not multiplied in."""

Align = Literal["left", "right", "centre"]

_FIELDS = 12  # x y w h | u v | r g b a | radius stroke
_ROW = struct.Struct(f"{_FIELDS}f")
_GLYPH = (-1.0, 0.0)
_PLACED_KEPT = 2048


class QuadBatch:
    """A growing list of quads in the layout of ``shaders/hud/quad.vert.glsl``. Pixels count from the top left."""

    def __init__(self, atlas: GlyphAtlas, capacity: int = 512) -> None:
        self.atlas = atlas
        self.count = 0
        # Most lines stand where they stood last time: those are copied, not set anew.
        self._placed: dict[tuple[float, float, str, str, Colour, Align], tuple[Floats, int]] = {}
        self._bytes = bytearray(capacity * _ROW.size)
        self._rows: Floats = np.frombuffer(self._bytes, dtype=np.float32).reshape(-1, _FIELDS)

    @property
    def rows(self) -> Floats:
        """The quads so far, ``(count, 12)`` float32; valid until the next one is added."""
        return self._rows[: self.count]

    def clear(self) -> None:
        """Forget all quads and keep the memory."""
        self.count = 0

    def rect(
        self, x: float, y: float, w: float, h: float, colour: Colour, radius: float = 0.0, stroke: float = 0.0
    ) -> None:
        """Add a rectangle with rounded corners; ``stroke`` > 0 draws only an outline of that many px inside it."""
        if w <= 0.0 or h <= 0.0:
            return
        if self.count >= len(self._rows):
            self._grow(1)
        _ROW.pack_into(self._bytes, self.count * _ROW.size, x, y, w, h, 0.0, 0.0, *colour, radius, stroke)
        self.count += 1

    def bars(self, x: Floats, y: Floats, w: float, h: Floats, colour: Colour) -> None:
        """Add plain rectangles of one width: ``x``, ``y``, ``h`` are ``(n,)`` in px."""
        start = self._reserve(len(x))
        rows = self._rows[start : self.count]
        rows[:] = (0.0, 0.0, w, 0.0, 0.0, 0.0, *colour, 0.0, 0.0)
        rows[:, 0], rows[:, 1], rows[:, 3] = x, y, h

    def text(self, x: float, y: float, text: str, size: str, colour: Colour, align: Align = "left") -> int:
        """Add a line of text whose baseline starts, ends or is centred at ``x``, ``y``; return its width in px."""
        key = (x, y, text, size, colour, align)
        placed = self._placed.get(key)
        if placed is None:
            if len(self._placed) >= _PLACED_KEPT:
                self._placed.clear()
            placed = self._placed[key] = self._place(x, y, text, size, colour, align)
        rows, width = placed
        start = self._reserve(len(rows))
        self._rows[start : self.count] = rows
        return width

    def _place(self, x: float, y: float, text: str, size: str, colour: Colour, align: Align) -> tuple[Floats, int]:
        run = self.atlas.run(text, size)
        if align != "left":
            x -= run.width if align == "right" else run.width / 2
        rows = np.empty((len(run.quads), _FIELDS), dtype=np.float32)
        rows[:, :6] = run.quads
        rows[:, 6:10] = colour
        rows[:, 10:] = _GLYPH
        # Glyphs stand on whole pixels to stay sharp.
        rows[:, 0] += round(x)
        rows[:, 1] += round(y)
        return rows, run.width

    def _reserve(self, n: int) -> int:
        if self.count + n > len(self._rows):
            self._grow(n)
        start = self.count
        self.count += n
        return start

    def _grow(self, n: int) -> None:
        capacity = max(self.count + n, 2 * len(self._rows))
        kept = bytes(self._bytes[: self.count * _ROW.size])
        self._bytes = bytearray(capacity * _ROW.size)
        self._bytes[: len(kept)] = kept
        self._rows = np.frombuffer(self._bytes, dtype=np.float32).reshape(-1, _FIELDS)


def _program(ctx: moderngl.Context, shaders: Path) -> moderngl.Program:
    sources = [shaders / "hud" / f"quad.{stage}.glsl" for stage in ("vert", "frag")]
    try:
        vertex, fragment = (file.read_text(encoding="utf-8") for file in sources)
    except OSError as error:
        raise ShaderError(sources[0], 0, f"cannot be read ({error}); reinstall vjengine") from error
    try:
        return ctx.program(vertex_shader=vertex, fragment_shader=fragment)
    except moderngl.Error as error:
        raise ShaderError(sources[0].parent, 0, str(error)) from error


class QuadRenderer:
    """Draws batches with one call.

    Raises:
        ShaderError: if the HUD's shaders are missing or do not compile.
    """

    def __init__(self, ctx: moderngl.Context, shaders: Path, atlas: GlyphAtlas) -> None:
        self._ctx = ctx
        self._program = _program(ctx, shaders)
        self._texture = self._upload(atlas)
        self._capacity = 0
        self._staging: Floats = np.zeros((0, _FIELDS), dtype=np.float32)
        self._buffer: moderngl.Buffer | None = None
        self._array: moderngl.VertexArray | None = None
        self._resize(2048)

    def _upload(self, atlas: GlyphAtlas) -> moderngl.Texture:
        height, width = atlas.pixels.shape
        texture = self._ctx.texture((width, height), 1, atlas.pixels.tobytes(), alignment=1)
        texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        return texture

    def use_atlas(self, atlas: GlyphAtlas) -> None:
        """Draw with another atlas from now on."""
        self._texture.release()
        self._texture = self._upload(atlas)

    def _resize(self, capacity: int) -> None:
        for part in (self._array, self._buffer):
            if part is not None:
                part.release()
        self._capacity = capacity
        self._staging = np.zeros((capacity, _FIELDS), dtype=np.float32)
        self._buffer = self._ctx.buffer(reserve=capacity * _ROW.size, dynamic=True)
        layout = (self._buffer, "4f 2f 4f 2f/i", "in_rect", "in_texel", "in_colour", "in_shape")
        self._array = self._ctx.vertex_array(self._program, [layout])

    def draw(self, target: moderngl.Framebuffer, batches: Sequence[QuadBatch]) -> int:
        """Draw ``batches`` over ``target``, first one lowest; return the number of quads.

        Leaves blending off and the blend function at moderngl's default.
        """
        total = sum(batch.count for batch in batches)
        if not total:
            return 0
        if total > self._capacity:
            self._resize(max(total, 2 * self._capacity))
        assert self._buffer is not None
        assert self._array is not None
        start = 0
        for batch in batches:
            self._staging[start : start + batch.count] = batch.rows
            start += batch.count
        # A fresh store each time: the GPU may still be reading the last frame's.
        self._buffer.orphan()
        self._buffer.write(self._staging[:total])
        ctx = self._ctx
        target.use()
        ctx.viewport = (0, 0, target.width, target.height)
        ctx.enable_only(moderngl.BLEND)
        ctx.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        self._program["size"] = (float(target.width), float(target.height))
        self._texture.use(0)
        self._program["atlas"] = 0
        self._array.render(moderngl.TRIANGLE_STRIP, vertices=4, instances=total)
        ctx.enable_only(moderngl.NOTHING)
        ctx.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA  # the default
        return total

    def release(self) -> None:
        """Free all GL objects."""
        for part in (self._array, self._buffer, self._texture, self._program):
            if part is not None:
                part.release()
        self._array = self._buffer = None
