"""Memory in numbers, before and after: what there is, whether it is enough, what was taken, and what to do if not."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import psutil

from vjengine.errors import OutOfMemory
from vjengine.generate.turbo.memory import free_memory
from vjengine.offline.continuation import Ask, Carried, Clip, Continuation, Need, Watcher

MIB = 1024 * 1024
FLOOR = 2
"""Pictures of a chunk below which it is not halved again."""

RESERVE = 256.0
"""MiB that stay with the system."""

_EVERY = 0.02  # s between two looks at what is taken


@dataclass(frozen=True, slots=True)
class Have:
    """Memory that can be had now, MiB; -1 is not known (no device, or one that does not say)."""

    device: float = -1.0
    host: float = -1.0


def host_available() -> float:
    """Return the MiB that this process could still take: of the machine, and of its container, if it is in one."""
    return free_memory("cpu") / MIB


def available(device: str = "cpu") -> Have:
    """Return what can be had on torch's ``device`` and of the computer's own memory; a CPU is no device."""
    return Have(-1.0 if device.startswith("cpu") else free_memory(device) / MIB, host_available())


def host_used() -> float:
    """Return the MiB this process holds now (resident)."""
    return float(psutil.Process().memory_info().rss / MIB)


def gate(need: Need, have: Have | None = None) -> str:
    """Return why ``need`` will not fit into ``have``, in numbers; empty if it will, or if nobody knows.

    Args:
        need: an estimate, MiB.
        have: what there is; None asks the machine for its own memory and knows no device.
    """
    have = have if have is not None else Have(host=host_available())
    short = []
    if 0.0 <= have.device < need.device:
        short.append(f"{need.device:.0f} MiB on the device, where {have.device:.0f} MiB are free")
    if have.host >= 0.0 and have.host - RESERVE < need.host:
        short.append(f"{need.host:.0f} MiB of memory, of which {max(0.0, have.host - RESERVE):.0f} MiB are free")
    if not short:
        return ""
    words = f" ({need.words})" if need.words else ""
    return f"this takes about {' and '.join(short)}{words}: take a smaller --size, or end other programs"


def fitting(
    continuation: Continuation, size: tuple[int, int], have: Have | None = None, floor: int = FLOOR
) -> tuple[int, str]:
    """Return (the longest chunk that the gate lets through, what was changed in words or why nothing fits).

    Begins with the chunk the continuation likes best, makes the continuation lighter as far as it can be, and then
    halves the chunk down to ``floor``. 0 means that nothing fits.

    Args:
        continuation: what is to make it.
        size: (width, height), px.
        have: what there is; None asks the machine and the continuation's device.
        floor: pictures below which a chunk is not halved.
    """
    frames, floor = continuation.chunk, min(floor, continuation.chunk)
    need = continuation.need(size, frames)
    have = have if have is not None else available(need.on)
    first = gate(need, have)
    if not first:
        return frames, ""
    done = []
    while changed := continuation.lighten():
        done.append(changed)
        frames = min(frames, continuation.chunk)
        if not gate(continuation.need(size, frames), have):
            return frames, f"{', '.join(done)}: {first}"
    while frames > floor:
        frames = max(floor, frames // 2)
        if not gate(continuation.need(size, frames), have):
            return frames, f"chunks of {frames} pictures instead of {continuation.chunk}: {first}"
    return 0, gate(continuation.need(size, floor), have)


class Peak:
    """Measures the most memory that was taken while ``with`` it.

    Attributes:
        host: MiB of this process, resident.
        grown: MiB of that above what it held at the beginning.
        device: MiB on the device, if ``device`` was given.

    Args:
        device: returns the most MiB the device has held so far; asked at the end.
    """

    def __init__(self, device: Callable[[], float] | None = None) -> None:
        self.host = self.grown = 0.0
        self.device = -1.0
        self._ask = device
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._began = 0.0

    def __enter__(self) -> Peak:
        self._began = self.host = host_used()
        self._thread = threading.Thread(target=self._watch, name="memory peak", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._look()
        if self._ask is not None:
            self.device = self._ask()

    def report(self, need: Need) -> str:
        """Return what was taken beside what was expected, in one line."""
        parts = [f"memory: {self.grown:.0f} MiB taken, {need.host:.0f} MiB expected"]
        if self.device >= 0.0:
            parts.append(f"device: {self.device:.0f} MiB taken, {need.device:.0f} MiB expected")
        return "; ".join(parts)

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY):
            self._look()

    def _look(self) -> None:
        self.host = max(self.host, host_used())
        self.grown = self.host - self._began


def extend_or_halve(
    continuation: Continuation,
    carried: Carried,
    ask: Ask,
    watcher: Watcher,
    *,
    floor: int = FLOOR,
    say: Callable[[str], None] = lambda words: None,
) -> tuple[Clip, Ask]:
    """Make a chunk; if it does not fit into memory, make the continuation lighter, then the chunk shorter, and retry.

    Args:
        continuation: what makes it.
        carried: what it goes on from.
        ask: what is wanted.
        watcher: as in :meth:`~vjengine.offline.continuation.Continuation.extend`.
        floor: pictures below which the chunk is not halved.
        say: told what was changed.

    Returns:
        The clip, and what was asked for in the end: maybe fewer pictures. Keep asking for that many.

    Raises:
        OutOfMemory: if not even the shortest and lightest fits; says so in numbers.
    """
    floor = max(1, min(floor, ask.frames))
    while True:
        try:
            return continuation.extend(carried, ask, watcher), ask
        except (OutOfMemory, MemoryError) as error:
            fault = str(error) or "no memory is left"
        # Outside the handler: the fault holds on to everything that did not fit.
        gc.collect()
        if changed := continuation.lighten():
            say(f"out of memory with {ask.frames} pictures: {changed}")
        elif ask.frames > floor:
            frames = max(floor, ask.frames // 2)
            say(f"out of memory with {ask.frames} pictures a chunk: going on with {frames}")
            ask = replace(ask, frames=frames, pulse=ask.pulse[:frames])
        else:
            raise OutOfMemory(
                f"{continuation.name} does not fit into memory even with {ask.frames} pictures a chunk ({fault}); "
                f"{host_available():.0f} MiB of the computer's memory are free: take a smaller --size"
            )
