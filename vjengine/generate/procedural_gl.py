"""The OpenGL underside of the procedural generator: its own context, shader files with includes, float targets."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import moderngl

from vjengine.errors import DisplayError, ShaderError

UniformValue = float | int | tuple[float, ...] | bytes

_INCLUDE = re.compile(r"^\s*//!include\s+(\S+)\s*$")
# "0:12(3): error: words" (Mesa), "0(12) : error C1: words" (NVIDIA), "ERROR: 0:12: words" (AMD, Apple, Intel)
_COMPLAINT = re.compile(r"(?:ERROR:\s*)?\d+[:(](?P<line>\d+)\)?(?:\(\d+\))?\s*:\s*(?:error[^:]*:\s*)?(?P<words>.*)")


def open_context(threads: int | None = None) -> moderngl.Context:
    """Return a new offscreen context of OpenGL 3.3 or later; it is left current.

    ``threads`` bounds the CPU threads of a software renderer (llvmpipe); a GPU ignores it.

    Raises:
        DisplayError: if no context can be had.
    """
    with _renderer_threads(threads):
        try:
            if sys.platform.startswith("linux"):
                # EGL needs neither a display server nor an environment variable.
                return moderngl.create_context(standalone=True, backend="egl", require=330)  # type: ignore[arg-type]
            return moderngl.create_context(standalone=True, require=330)
        except Exception as error:
            # moderngl's backends raise bare Exception when a driver refuses.
            remedy = "install libegl1 and libgl1" if sys.platform.startswith("linux") else "update the graphics driver"
            raise DisplayError(f"no offscreen OpenGL 3.3 context ({error}); {remedy}") from error


@contextmanager
def _renderer_threads(threads: int | None) -> Iterator[None]:
    """Set llvmpipe's thread count while a context is made; it reads the environment only then."""
    name = "LP_NUM_THREADS"
    before = os.environ.get(name)
    if threads is not None:
        os.environ[name] = str(max(0, threads))
    try:
        yield
    finally:
        if threads is not None:
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before


class ShaderSource:
    """A shader file with its ``//!include NAME`` lines resolved (relative to the including file, each file once).

    ``defines`` are set right after the file's ``#version`` line.

    Compilers disagree about the file number of ``#line``, so none is written: :meth:`error` maps the flat line back.

    Raises:
        ShaderError: if a file is missing, with the file and line that asked for it.
    """

    def __init__(self, path: Path, defines: Iterable[str] = ()) -> None:
        self._origin: list[tuple[Path, int]] = []
        self._seen: set[Path] = set()
        self._path = path
        lines = list(self._lines(path, path, 0))
        for name in defines:
            lines.insert(1, f"#define {name}")
            self._origin.insert(1, (path, 1))
        self.text = "".join(line + "\n" for line in lines)

    def _lines(self, path: Path, asked_by: Path, asked_line: int) -> Iterator[str]:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ShaderError(asked_by, asked_line, f"cannot read {path.name}: {error}") from error
        self._seen.add(path)
        for number, line in enumerate(lines, start=1):
            include = _INCLUDE.match(line)
            if include is None:
                self._origin.append((path, number))
                yield line
            elif (target := path.parent / include[1]) not in self._seen:
                yield from self._lines(target, path, number)

    def error(self, message: str) -> ShaderError:
        """Turn a compiler's message into an error that names the author's file and line."""
        for text in message.splitlines():
            found = _COMPLAINT.match(text.strip())
            if found and 0 < int(found["line"]) <= len(self._origin):
                file, line = self._origin[int(found["line"]) - 1]
                return ShaderError(file, line, found["words"])
        lines = [text.strip() for text in message.splitlines() if text.strip(" =-\t")]
        return ShaderError(self._path, 0, " / ".join(lines[-3:]) or "does not compile")


class Pass:
    """One shader program that draws a full frame or a vertex-less set of points."""

    def __init__(
        self,
        ctx: moderngl.Context,
        folder: Path,
        fragment: str,
        vertex: str = "screen.glsl",
        defines: Iterable[str] = (),
    ) -> None:
        sources = ShaderSource(folder / vertex), ShaderSource(folder / fragment, defines)
        try:
            self.program = ctx.program(vertex_shader=sources[0].text, fragment_shader=sources[1].text)
        except moderngl.Error as error:
            message = str(error)
            raise sources[1 if "fragment_shader" in message else 0].error(message) from error
        self._array = ctx.vertex_array(self.program, [])
        # The compiler drops uniforms a family does not use.
        members = ((name, self.program[name]) for name in self.program)
        self._uniforms = {name: member for name, member in members if isinstance(member, moderngl.Uniform)}

    def set(self, values: Mapping[str, UniformValue]) -> None:
        """Set those of ``values`` that the program uses; ``bytes`` fill arrays and matrices."""
        for name in self._uniforms.keys() & values.keys():
            value, uniform = values[name], self._uniforms[name]
            if isinstance(value, bytes):
                # The compiler shortens arrays whose last members are never read.
                uniform.write(value[: 4 * uniform.dimension * uniform.array_length])
            else:
                uniform.value = value

    def draw(self, target: moderngl.Framebuffer, textures: Mapping[str, moderngl.Texture]) -> None:
        """Cover ``target`` with one triangle."""
        self._bind(target, textures)
        self._array.render(moderngl.TRIANGLES, vertices=3)

    def draw_points(self, target: moderngl.Framebuffer, textures: Mapping[str, moderngl.Texture], count: int) -> None:
        """Draw ``count`` points without vertex data; the shader knows them by ``gl_VertexID``."""
        self._bind(target, textures)
        self._array.render(moderngl.POINTS, vertices=count)

    def _bind(self, target: moderngl.Framebuffer, textures: Mapping[str, moderngl.Texture]) -> None:
        target.use()
        for unit, (name, texture) in enumerate((n, t) for n, t in textures.items() if n in self._uniforms):
            texture.use(unit)
            self._uniforms[name].value = unit


class MirroredPass:
    """A pass over the plane that families draw on: one program with mirrors and one without, each made on first use.

    A software renderer runs both sides of every branch, so that mirrors nobody asked for would cost as much as others.
    """

    def __init__(self, ctx: moderngl.Context, folder: Path, fragment: str, vertex: str = "family.glsl") -> None:
        self._make = partial(Pass, ctx, folder, fragment, vertex)
        self._passes: dict[bool, Pass] = {}

    def of(self, mirrored: bool) -> Pass:
        """Return the program with or without mirrors."""
        if mirrored not in self._passes:
            self._passes[mirrored] = self._make(("FOLDED",) if mirrored else ())
        return self._passes[mirrored]


class Target:
    """A float colour texture and the framebuffer that draws into it, cleared to black.

    Thirty-two bits throughout: a software renderer looks them up a quarter faster than sixteen, which it unpacks.
    """

    def __init__(
        self, ctx: moderngl.Context, size: tuple[int, int], *, dtype: str = "f4", repeat: bool = False, parts: int = 4
    ) -> None:
        self.texture = ctx.texture(size, parts, dtype=dtype)
        self.texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self.texture.repeat_x = self.texture.repeat_y = repeat
        self.size = float(size[0]), float(size[1])
        self.framebuffer = ctx.framebuffer([self.texture])
        self.framebuffer.clear()


class PingPong:
    """Two targets that take turns: the shader reads the last picture while it draws the next."""

    def __init__(
        self, ctx: moderngl.Context, size: tuple[int, int], *, dtype: str = "f4", repeat: bool = False, parts: int = 4
    ) -> None:
        self._targets = [Target(ctx, size, dtype=dtype, repeat=repeat, parts=parts) for _ in range(2)]
        self.size = size

    @property
    def last(self) -> moderngl.Texture:
        """The picture drawn last."""
        return self._targets[0].texture

    @property
    def next(self) -> moderngl.Framebuffer:
        """Where the next picture goes."""
        return self._targets[1].framebuffer

    def swap(self) -> None:
        """Make the picture just drawn the last one."""
        self._targets.reverse()

    def clear(self) -> None:
        """Make both pictures black."""
        for target in self._targets:
            target.framebuffer.clear()

    def smooth(self, on: bool) -> None:
        """Read between texels (``on``) or the nearest one."""
        filter_ = moderngl.LINEAR if on else moderngl.NEAREST
        for target in self._targets:
            target.texture.filter = (filter_, filter_)
