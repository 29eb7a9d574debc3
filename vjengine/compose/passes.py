"""What every stage of the compositor is made of: a place to draw into, and a pass that draws."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import moderngl

from vjengine.compose.shaders import FULLSCREEN, Shader, ShaderLibrary

UniformValue = float | int | tuple[float, ...]


def unbind(ctx: moderngl.Context) -> None:
    """Bind no framebuffer of ours: releasing the one that is bound leaves an OpenGL error behind."""
    ctx.detect_framebuffer(0).use()


class Target:
    """A texture that can be drawn into.

    Args:
        ctx: the context.
        size: (width, height) in px.
        dtype: ``"f2"`` for 16-bit float light, ``"f1"`` for 8-bit display code.
        beside: textures of the same size drawn in the same pass, at attachments 1, 2 ...
    """

    def __init__(
        self,
        ctx: moderngl.Context,
        size: tuple[int, int],
        dtype: str = "f2",
        beside: Sequence[moderngl.Texture] = (),
    ) -> None:
        self.size = size
        self.texture = ctx.texture(size, 4, dtype=dtype)
        self._filter = moderngl.LINEAR
        self.texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self.texture.repeat_x = self.texture.repeat_y = False
        self.framebuffer = ctx.framebuffer([self.texture, *beside])
        self.framebuffer.clear()

    def filter(self, wanted: int) -> None:
        """Sample the texture with ``wanted``: ``moderngl.LINEAR`` or ``moderngl.NEAREST``."""
        if self._filter != wanted:
            self._filter = wanted
            self.texture.filter = (wanted, wanted)

    def release(self) -> None:
        """Free the texture and the framebuffer."""
        self.framebuffer.release()
        self.texture.release()


class Pass:
    """One full-screen draw of a shader.

    Uniforms are written only when they changed, and only where the compiler kept them.

    Attributes:
        features: what the shader was told to do by defines.
    """

    def __init__(self, ctx: moderngl.Context, shader: Shader) -> None:
        self._ctx = ctx
        self._shader = shader
        self.features = frozenset(shader.defines)
        self._version = 0
        self._vertices: moderngl.VertexArray | None = None
        self._uniforms: dict[str, moderngl.Uniform] = {}
        self._written: dict[str, UniformValue] = {}

    @property
    def ready(self) -> bool:
        """False while the shader never compiled."""
        return self._shader.program is not None

    def draw(
        self,
        target: moderngl.Framebuffer,
        textures: Mapping[str, moderngl.Texture],
        values: Mapping[str, UniformValue],
    ) -> bool:
        """Draw into ``target``, reading ``textures`` and uniform ``values`` by name; return False if not ready."""
        program = self._shader.program
        if program is None:
            return False
        if self._version != self._shader.version:
            self._adopt(program)
        for unit, (name, texture) in enumerate(textures.items()):
            if name in self._uniforms:
                texture.use(unit)
                self._write(name, unit)
        for name, value in values.items():
            self._write(name, value)
        target.use()
        assert self._vertices is not None
        self._vertices.render(moderngl.TRIANGLES, vertices=3)
        return True

    def _adopt(self, program: moderngl.Program) -> None:
        """Take a new program over: old uniforms and vertex arrays belong to the old one."""
        if self._vertices is not None:
            self._vertices.release()
        self._vertices = self._ctx.vertex_array(program, [])
        self._uniforms = {name: part for name in program if isinstance(part := program[name], moderngl.Uniform)}
        self._written = {}
        self._version = self._shader.version

    def _write(self, name: str, value: UniformValue) -> None:
        uniform = self._uniforms.get(name)
        if uniform is not None and self._written.get(name) != value:
            uniform.value = value
            self._written[name] = value

    def release(self) -> None:
        """Free what is not the shader's own."""
        if self._vertices is not None:
            self._vertices.release()
            self._vertices = None
            self._version = 0


class Variants:
    """One shader compiled with several sets of features, because a software renderer pays for branches not taken.

    All are compiled at the start, so that no performance stalls on a compiler: a combination that is not among them
    is drawn by the smallest one that contains it, with the surplus at zero.
    """

    def __init__(
        self,
        ctx: moderngl.Context,
        library: ShaderLibrary,
        fragment: str,
        sets: Sequence[str],
        vertex: str = FULLSCREEN,
    ) -> None:
        """Compile ``fragment`` once for each of ``sets``: feature names separated by spaces, smallest set first."""
        self._passes = [
            (frozenset(names.split()), Pass(ctx, library.shader(fragment, vertex=vertex, defines=names.split())))
            for names in sets
        ]

    @property
    def ready(self) -> bool:
        """True if every variant has compiled once."""
        return all(each.ready for _, each in self._passes)

    def pick(self, *features: str) -> Pass:
        """Return the smallest variant with all ``features``.

        Raises:
            KeyError: if no variant has them all.
        """
        for names, each in self._passes:
            if names.issuperset(features):
                return each
        raise KeyError(f"no variant with {', '.join(features)}")

    def warm(
        self,
        target: moderngl.Framebuffer,
        textures: Mapping[str, moderngl.Texture],
        *,
        having: Collection[str] = (),
        without: Collection[str] = (),
    ) -> None:
        """Draw variants once, because drivers put much of the compilation off until then.

        Args:
            target: what to draw into.
            textures: like those of the show: some drivers compile for their formats and filters.
            having: if given, only variants with one of these features.
            without: only variants with none of these.
        """
        for names, each in self._passes:
            if names.isdisjoint(without) and (not having or not names.isdisjoint(having)):
                each.draw(target, textures, {})

    def release(self) -> None:
        """Free what is not the shaders' own."""
        for _, each in self._passes:
            each.release()
