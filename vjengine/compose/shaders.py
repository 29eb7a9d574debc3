"""Shaders as files: includes, errors that name the author's own line, and reload while the show runs.

A shader file carries no ``#version``; it may say ``#include "name.glsl"``, found beside the including file or in the
library's folder. Variants of one file are made with defines.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import moderngl

from vjengine.core.clock import LiveClock
from vjengine.errors import ShaderError

log = logging.getLogger(__name__)

VERSION = "#version 330 core"
FULLSCREEN = "compositor/fullscreen.vert.glsl"
POLL_INTERVAL = 0.1
"""s between looks at the files' modification times."""

_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
_OWN_VERSION = re.compile(r"^\s*#\s*version\b")
_MESSAGES = (
    re.compile(r"^\d+:(\d+)\(\d+\): (?:\w+ )?error:? *(.*)$"),  # Mesa
    re.compile(r"^ERROR: \d+:(\d+): *(.*)$"),  # AMD, Intel, Apple
    re.compile(r"^\d+\((\d+)\) : (?:fatal )?error *(.*)$"),  # NVIDIA
)

Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class ShaderText:
    """A shader with its includes in place.

    Attributes:
        text: what the compiler gets.
        origins: file and line that each line of ``text`` came from. The compiler counts the lines of ``text``:
            drivers disagree on what ``#line`` does to file numbers, so none is used.
        files: the files it is made of.
    """

    text: str
    origins: tuple[tuple[Path, int], ...]
    files: tuple[Path, ...]


def assemble(folder: Path, name: str, defines: Iterable[str] = ()) -> ShaderText:
    """Read ``folder/name`` and everything it includes.

    Args:
        folder: the library's folder, where includes are looked for after the including file's own.
        name: file, relative to ``folder``.
        defines: names to define before the first line.

    Raises:
        ShaderError: for a missing or unreadable file and for files that include each other, at the ``#include`` line.
    """
    files: list[Path] = []
    head = [VERSION, *(f"#define {define}" for define in defines)]
    lines = [(line, folder / name, 0) for line in head]
    _append(folder, folder / name, lines, files, ())
    origins = tuple((path, number) for _, path, number in lines)
    return ShaderText("".join(f"{line}\n" for line, _, _ in lines), origins, tuple(files))


def _append(
    folder: Path, path: Path, lines: list[tuple[str, Path, int]], files: list[Path], open_files: tuple[Path, ...]
) -> None:
    """Append the lines of ``path`` with their origins, includes in place."""
    files.append(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ShaderError(shown(folder, path), 0, f"cannot be read: {reason}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        include = _INCLUDE.match(line)
        if not include:
            lines.append(("" if _OWN_VERSION.match(line) else line, path, number))
            continue
        target = _find(folder, path, include[1])
        if target is None:
            raise ShaderError(shown(folder, path), number, f'included file "{include[1]}" does not exist')
        if target in (*open_files, path):
            raise ShaderError(shown(folder, path), number, f'"{include[1]}" includes itself')
        # What is already in place is not put in twice: every file may include what it needs.
        if target not in files:
            _append(folder, target, lines, files, (*open_files, path))


def _find(folder: Path, path: Path, name: str) -> Path | None:
    for candidate in (path.parent / name, folder / name):
        if candidate.is_file():
            return candidate
    return None


def shown(folder: Path, path: Path) -> str:
    """Return ``path`` as a performer knows it: from the shader folder on."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def explain(error: moderngl.Error, folder: Path, vertex: ShaderText, fragment: ShaderText) -> ShaderError:
    """Turn the driver's message into a :class:`ShaderError` at the author's own file and line."""
    message = str(error)
    source = vertex if "vertex_shader" in message else fragment
    for line in message.splitlines():
        for pattern in _MESSAGES:
            match = pattern.match(line.strip())
            if match and 0 < int(match[1]) <= len(source.origins):
                path, number = source.origins[int(match[1]) - 1]
                return ShaderError(shown(folder, path), number, match[2])
    words = " ".join(line.strip() for line in message.splitlines()[1:] if line.strip(" ="))
    return ShaderError(shown(folder, source.files[0]), 0, words or message)


@dataclass(slots=True)
class Shader:
    """One program that follows its files.

    Attributes:
        program: the last program that compiled; ``None`` while none ever did.
        version: counts programs; whoever holds something made from the program makes it anew when this changes.
        error: why the newest text is not in ``program``; ``None`` if it is.
    """

    vertex: str
    fragment: str
    defines: tuple[str, ...]
    program: moderngl.Program | None = None
    version: int = 0
    error: ShaderError | None = None
    files: frozenset[Path] = field(default_factory=frozenset)


class ShaderLibrary:
    """All shaders of a folder that are in use.

    A shader that does not compile never raises out of here: the last good program stays, and :attr:`errors` says
    what is wrong until the file is mended.
    """

    def __init__(self, ctx: moderngl.Context, folder: Path, *, hot_reload: bool = True) -> None:
        self._ctx = ctx
        self.folder = folder
        self._hot_reload = hot_reload
        self._shaders: list[Shader] = []
        self._stamps: dict[Path, Stamp] = {}
        self._unsettled: dict[Path, Stamp] = {}
        self._clock = LiveClock()
        self._next_look = 0.0

    @property
    def errors(self) -> tuple[ShaderError, ...]:
        """Current faults, each once."""
        found = {str(shader.error): shader.error for shader in self._shaders if shader.error is not None}
        return tuple(found.values())

    def shader(self, fragment: str, *, vertex: str = FULLSCREEN, defines: Iterable[str] = ()) -> Shader:
        """Return the shader of these files, compiled if they are sound. Names are relative to the folder."""
        shader = Shader(vertex, fragment, tuple(defines))
        self._shaders.append(shader)
        self._build(shader)
        return shader

    def built_in(self, vertex: str, fragment: str) -> Shader:
        """Return a shader from two complete texts of ours; it belongs to no file and is freed with the rest."""
        program = self._ctx.program(vertex_shader=vertex, fragment_shader=fragment)
        shader = Shader("", "", (), program=program, version=1)
        self._shaders.append(shader)
        return shader

    def poll(self) -> bool:
        """Look for changed files, at most ten times a second; return True if a program was exchanged.

        A changed file is compiled once it has stood still for one look, so that half-written files are passed over.
        """
        now = self._clock.now()
        if not self._hot_reload or now < self._next_look:
            return False
        self._next_look = now + POLL_INTERVAL
        settled = {path for path, stamp in self._stamps.items() if self._settled(path, stamp)}
        rebuilt = [shader for shader in self._shaders if not settled.isdisjoint(shader.files)]
        before = sum(shader.version for shader in rebuilt)
        for shader in rebuilt:
            self._build(shader)
        return sum(shader.version for shader in rebuilt) > before

    def _settled(self, path: Path, old: Stamp) -> bool:
        """Tell whether ``path`` has changed and then stood still for one look."""
        stamp = _stamp(path)
        if stamp == old:
            self._unsettled.pop(path, None)
            return False
        if path not in self._unsettled or self._unsettled[path] != stamp:
            self._unsettled[path] = stamp
            return False
        del self._unsettled[path]
        self._stamps[path] = stamp
        return True

    def _build(self, shader: Shader) -> None:
        """Compile ``shader`` from its files as they are now; keep its last good program if that fails."""
        try:
            vertex = assemble(self.folder, shader.vertex)
            fragment = assemble(self.folder, shader.fragment, shader.defines)
        except ShaderError as error:
            # Watch the two files themselves besides those known before, so that mending any of them is noticed.
            shader.files |= {self.folder / shader.vertex, self.folder / shader.fragment, self.folder / error.file}
            self._failed(shader, error)
        else:
            shader.files = frozenset((*vertex.files, *fragment.files))
            try:
                program = self._ctx.program(vertex_shader=vertex.text, fragment_shader=fragment.text)
            except moderngl.Error as failure:
                self._failed(shader, explain(failure, self.folder, vertex, fragment))
            else:
                if shader.program is not None:
                    shader.program.release()
                shader.program = program
                shader.version += 1
                shader.error = None
        for path in shader.files:
            self._stamps.setdefault(path, _stamp(path))

    def _failed(self, shader: Shader, error: ShaderError) -> None:
        if str(error) not in {str(known) for known in self.errors}:
            log.warning("shader: %s", error)
        shader.error = error

    def release(self) -> None:
        """Free all programs."""
        for shader in self._shaders:
            if shader.program is not None:
                shader.program.release()
        self._shaders.clear()


def _stamp(path: Path) -> Stamp:
    """Return what changes when a file does; ``None`` for a missing one."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
