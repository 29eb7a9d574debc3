"""Pixels back from the graphics card without waiting for it."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import moderngl
import numpy as np

from vjengine.core.frame import Pixels

Tag = TypeVar("Tag")


class Readback(Generic[Tag]):
    """A ring of pixel buffers: what is started now is fetched a fixed number of frames later.

    Once a frame call :meth:`finish`, then :meth:`start`: pictures come out ``depth`` frames after they went in, none
    is lost, and the delay is the same on every machine.
    """

    def __init__(self, ctx: moderngl.Context, size: tuple[int, int], depth: int = 2) -> None:
        """Make ``depth`` buffers for RGBA8 pictures of ``size`` (width, height)."""
        self._shape = (size[1], size[0], 4)
        self._free = deque(ctx.buffer(reserve=size[0] * size[1] * 4) for _ in range(depth))
        self._pending: deque[tuple[Tag, moderngl.Buffer]] = deque()
        self._staging = bytearray(size[0] * size[1] * 4)

    def start(self, source: moderngl.Framebuffer | moderngl.Texture, tag: Tag) -> None:
        """Begin to fetch ``source``; ``tag`` comes back with its pixels.

        Raises:
            ValueError: if ``source`` has another size.
            RuntimeError: if every buffer is waiting to be fetched; call :meth:`finish` first.
        """
        if (source.size[1], source.size[0], 4) != self._shape:
            raise ValueError(f"expected {self._shape[1]}×{self._shape[0]} px, got {source.size[0]}×{source.size[1]}")
        if not self._free:
            raise RuntimeError("all read-back buffers are in use: call finish() once a frame before start()")
        buffer = self._free.popleft()
        if isinstance(source, moderngl.Framebuffer):
            source.read_into(buffer, components=4)
        else:
            source.read_into(buffer)
        self._pending.append((tag, buffer))

    def finish(self) -> tuple[Tag, Pixels] | None:
        """Return the oldest picture if the ring is full, else ``None``.

        Pixels are ``(H, W, 4)`` uint8, read-only, top row first, and the caller's to keep.
        """
        return None if self._free else self._fetch()

    def flush(self) -> list[tuple[Tag, Pixels]]:
        """Return everything still on its way, oldest first."""
        return [self._fetch() for _ in range(len(self._pending))]

    def _fetch(self) -> tuple[Tag, Pixels]:
        tag, buffer = self._pending.popleft()
        buffer.read_into(self._staging)
        self._free.append(buffer)
        rows = np.frombuffer(self._staging, np.uint8).reshape(self._shape)
        # OpenGL's first row is the lowest.
        pixels: Pixels = np.array(rows[::-1], order="C")
        pixels.flags.writeable = False
        return tag, pixels

    def release(self) -> None:
        """Free the buffers; what was on its way is lost."""
        for buffer in (*self._free, *(buffer for _, buffer in self._pending)):
            buffer.release()
        self._free.clear()
        self._pending.clear()
