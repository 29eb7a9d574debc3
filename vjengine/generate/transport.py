"""How parameters and frames cross the wall between the engine and its generator process: through shared memory.

One segment a worker's life. Both directions use the same thing, :class:`NewestSlots`: a few slots written in turn by
one writer, each under a sequence lock, and a word that names the newest. Nobody ever waits for the other side, the
reader gets the newest value and never a backlog, and a value half written (because the writer was killed, or laps a
slow reader) is recognised and passed over.

Memory order: all words are aligned int64 or float64, which every processor of interest stores in one piece. x86 keeps
stores in order by itself; ARM does not, so :func:`_fence` stands wherever the lock protocol needs order.
"""

from __future__ import annotations

import math
import os
import pickle
import secrets
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
import numpy.typing as npt

from vjengine.core.frame import Flow, Frame, Pixels, flow_shape, frozen_pixels
from vjengine.core.generation import GeneratorParams
from vjengine.core.params import ParamValues
from vjengine.errors import GeneratorError

Words = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

LOADING, IDLE, GENERATING = 0, 1, 2
"""Phases of a worker, as written beside its heartbeat."""

PARAM_BYTES = 64 * 1024
PARAM_SLOTS = 3
FRAME_SLOTS = 4
"""One that is read, one that is newest, and two that a writer may have in hand: one travelling, one being drawn."""
USUAL_SLOTS = 3
"""So many are used until the writer says that it works ahead: every further one is memory that leaves the cache."""

_LINE = 64  # bytes: one cache line, so that the two sides' words never share one
_RETRIES = 4
_META = struct.Struct("<qqdddq")  # sequence, params_sequence, made_for, ready, seconds, bytes of flow after the pixels
_fence_lock = threading.Lock()


def _fence() -> None:
    """Keep memory operations before this call before those after it.

    Taking a lock has acquire order and giving it back release order; a release followed by an acquire of the same
    lock cannot swap, so the two pairs together let nothing cross in either direction. About 0.1 µs.
    """
    with _fence_lock:
        pass
    with _fence_lock:
        pass


class NewestSlots:
    """A newest-wins exchange of byte strings over a piece of shared memory; one writer, any number of readers.

    Args:
        memory: the shared bytes this exchange lives in, at least :meth:`size` of them, zeroed, 64-byte aligned.
        slots: 3 let a reader finish in peace while the writer fills the next two; one more for each that is begun
            ahead. More than :data:`USUAL_SLOTS` are used only after :meth:`widen`.
        capacity: largest value in bytes.
    """

    def __init__(self, memory: Bytes, slots: int, capacity: int) -> None:
        stride = self._stride(capacity)
        self._newest: Words = memory[:_LINE].view(np.int64)  # version, 1 if all slots are used
        self._head: list[Words] = []
        self._body: list[Bytes] = []
        for i in range(slots):
            slot = memory[_LINE + i * stride : _LINE + (i + 1) * stride]
            self._head.append(slot[:_LINE].view(np.int64))  # lock, version, length
            self._body.append(slot[_LINE : _LINE + capacity])
        self._slots = slots
        self.capacity = capacity

    @staticmethod
    def _stride(capacity: int) -> int:
        return _LINE + -(-capacity // _LINE) * _LINE

    @classmethod
    def size(cls, slots: int, capacity: int) -> int:
        """Return how many bytes an exchange of this shape takes."""
        return _LINE + slots * cls._stride(capacity)

    @property
    def version(self) -> int:
        """Number of the newest complete value; 0 before the first."""
        return int(self._newest[0])

    @property
    def _in_use(self) -> int:
        return self._slots if self._newest[1] else min(self._slots, USUAL_SLOTS)

    def widen(self) -> None:
        """Use all slots from now on; for the writer, before its second value: until then both ways of counting agree.

        Raises:
            ValueError: if it is too late for that.
        """
        if self.version >= USUAL_SLOTS - 1:
            raise ValueError("an exchange is widened before it is used")
        self._newest[1] = 1

    def begin(self, ahead: int = 0) -> Bytes:
        """Lock the next slot and return its body, to be filled; :meth:`publish` must follow.

        Args:
            ahead: how many slots that were begun before this one are yet to be published; they come first.

        Raises:
            ValueError: if that would lock the slot which readers are sent to.
        """
        if not 0 <= ahead < self._in_use - 1:
            raise ValueError(f"{ahead + 1} slots cannot be begun at once in an exchange of {self._in_use}")
        slot = (self.version + 1 + ahead) % self._in_use
        self._head[slot][0] |= 1  # odd: being written, also if an earlier writer died half-way
        _fence()
        return self._body[slot]

    def publish(self, length: int) -> int:
        """Unlock the first slot that :meth:`begin` gave, make it the newest, and return its version."""
        version = self.version + 1
        head = self._head[version % self._in_use]
        head[1] = version
        head[2] = length
        _fence()
        head[0] += 1
        _fence()
        self._newest[0] = version
        return version

    def read(self, after: int = 0) -> tuple[int, Bytes] | None:
        """Return ``(version, a copy of the value)`` of the newest value above version ``after``, or None.

        Also None if the writer lapped this reader again and again; it then asks again later.
        """
        for _ in range(_RETRIES):
            version = self.version
            if version <= after:
                return None
            slot = version % self._in_use
            head = self._head[slot]
            _fence()
            lock = int(head[0])
            if lock & 1 or int(head[1]) != version:
                continue
            length = int(head[2])
            if not 0 <= length <= self.capacity:
                continue
            _fence()
            value = self._body[slot][:length].copy()
            _fence()
            if int(head[0]) == lock and int(head[1]) == version:
                return version, value
        return None

    def release(self) -> None:
        """Let go of the memory."""
        self._newest = np.zeros(2, dtype=np.int64)
        self._head.clear()
        self._body.clear()


@dataclass(frozen=True, slots=True)
class Segment:
    """Where a worker finds its shared memory; it pickles."""

    name: str
    size: tuple[int, int]

    @property
    def pixel_bytes(self) -> int:
        """Bytes of a frame's facts and pixels."""
        return _LINE + self.size[0] * self.size[1] * 4

    @property
    def flow_bytes(self) -> int:
        """Bytes of a flow field."""
        return math.prod(flow_shape(self.size)) * 2

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame's slot: its facts, its pixels, and last, because not every frame has one, its flow."""
        return self.pixel_bytes + self.flow_bytes

    @property
    def total(self) -> int:
        """Bytes of the whole segment."""
        params = NewestSlots.size(PARAM_SLOTS, PARAM_BYTES)
        return _LINE + params + NewestSlots.size(FRAME_SLOTS, self.frame_bytes)


class Link:
    """One side of the wall. The engine side creates the segment and in the end unlinks it; the worker attaches."""

    def __init__(self, segment: Segment, memory: SharedMemory) -> None:
        self.segment = segment
        self._memory = memory
        everything: Bytes = np.frombuffer(memory.buf or b"", dtype=np.uint8, count=segment.total)
        self._pulse: npt.NDArray[np.float64] = everything[:8].view(np.float64)
        self._phase: Words = everything[8:16].view(np.int64)
        end = _LINE + NewestSlots.size(PARAM_SLOTS, PARAM_BYTES)
        self._params = NewestSlots(everything[_LINE:end], PARAM_SLOTS, PARAM_BYTES)
        self._frames = NewestSlots(everything[end:], FRAME_SLOTS, segment.frame_bytes)

    @classmethod
    def create(cls, size: tuple[int, int]) -> Link:
        """Make a segment for frames of ``size`` (width, height).

        Raises:
            GeneratorError: if there is not enough shared memory.
        """
        segment = Segment(f"vj{os.getpid():x}_{secrets.token_hex(4)}", size)
        try:
            memory = SharedMemory(segment.name, create=True, size=segment.total)
        except OSError as error:
            raise GeneratorError(_no_memory(segment, error)) from error
        try:
            _reserve(memory, segment.total)
        except OSError as error:
            memory.close()
            memory.unlink()
            raise GeneratorError(_no_memory(segment, error)) from error
        return cls(segment, memory)

    @classmethod
    def attach(cls, segment: Segment) -> Link:
        """Open a segment that the engine side made.

        Raises:
            FileNotFoundError: if it is gone already.
        """
        if sys.version_info >= (3, 13):
            return cls(segment, SharedMemory(segment.name, track=False))
        with _untracked():
            return cls(segment, SharedMemory(segment.name))

    def close(self, unlink: bool = False) -> None:
        """Unmap the segment; ``unlink`` gives its memory back once the other side has closed too."""
        self._params.release()
        self._frames.release()
        self._pulse = np.zeros(1)
        self._phase = np.zeros(1, dtype=np.int64)
        self._memory.close()
        if unlink:
            self._memory.unlink()

    # Heartbeat: the worker writes, the engine reads.

    def beat(self, now: float, phase: int) -> None:
        """Say that the worker's own loop is alive at session time ``now`` (s), in ``phase``."""
        self._phase[0] = phase
        self._pulse[0] = now

    def heartbeat(self) -> tuple[float, int]:
        """Return the session time (s) and the phase of the last beat."""
        return float(self._pulse[0]), int(self._phase[0])

    # Parameters: the engine writes, the worker reads.

    def write_params(self, params: GeneratorParams) -> None:
        """Make ``params`` the newest.

        Raises:
            ValueError: if they pickle to more than :data:`PARAM_BYTES`; the ones before stay the newest.
        """
        blob = _packed(params)
        if len(blob) > PARAM_BYTES:
            raise ValueError(f"parameters of {len(blob)} bytes; at most {PARAM_BYTES} cross to the generator")
        self._params.begin()[: len(blob)] = np.frombuffer(blob, dtype=np.uint8)
        self._params.publish(len(blob))

    def read_params(self, after: int) -> tuple[int, GeneratorParams] | None:
        """Return ``(version, params)`` newer than version ``after``, or None."""
        found = self._params.read(after)
        if found is None:
            return None
        return found[0], _unpacked(found[1].tobytes())

    # Frames: the worker writes, the engine reads.

    def work_ahead(self) -> None:
        """Make room for a picture that is begun before the last one is published; before the first is."""
        self._frames.widen()

    def place_frame(self, ahead: int = 0) -> Pixels:
        """Return the place of the next picture, ``(H, W, 4)`` uint8, to be filled; :meth:`publish_frame` must follow.

        Args:
            ahead: how many placed before are yet to be published; they come first. At most 1, after
                :meth:`work_ahead`.
        """
        width, height = self.segment.size
        return self._frames.begin(ahead)[_LINE : self.segment.pixel_bytes].reshape(height, width, 4)

    def publish_frame(
        self, sequence: int, params: GeneratorParams, ready: float, seconds: float, flow: Flow | None = None
    ) -> None:
        """Publish the first picture placed, ``ready`` at that session time (s) after ``seconds`` of work.

        Args:
            sequence: number of the frame.
            params: what it was drawn for.
            ready: session time (s) at which the pixels were whole.
            seconds: s of work.
            flow: its flow field, of :func:`~vjengine.core.frame.flow_shape`, if there is one.
        """
        body = self._frames.begin()  # locked already: this only finds it again
        length = self.segment.pixel_bytes
        flow_bytes = 0
        if flow is not None:
            flow_bytes = self.segment.flow_bytes
            shape = flow_shape(self.segment.size)
            np.copyto(body[length : length + flow_bytes].view(np.float16).reshape(shape), flow)
        _META.pack_into(body.data, 0, sequence, params.sequence, params.time, ready, seconds, flow_bytes)
        self._frames.publish(length + flow_bytes)

    def write_frame(
        self,
        pixels: Pixels,
        sequence: int,
        params: GeneratorParams,
        ready: float,
        seconds: float,
        flow: Flow | None = None,
    ) -> None:
        """Copy a finished picture and publish it; for the rest see :meth:`publish_frame`."""
        np.copyto(self.place_frame(), pixels)
        self.publish_frame(sequence, params, ready, seconds, flow)

    def leave(self, frame: Frame) -> int:
        """Leave the picture of an earlier life for the next one, before its worker is born; return its version."""
        facts = GeneratorParams(sequence=frame.params_sequence, time=frame.made_for)
        self.write_frame(frame.pixels, frame.sequence, facts, frame.ready, 0.0)
        return self._frames.version

    def read_frame(self, after: int, generator: str) -> tuple[int, Frame, float] | None:
        """Return ``(version, frame, seconds it took)`` newer than version ``after``, or None."""
        found = self._frames.read(after)
        if found is None:
            return None
        version, body = found
        sequence, params_sequence, made_for, ready, seconds, flow_bytes = _META.unpack_from(body.data, 0)
        width, height = self.segment.size
        end = self.segment.pixel_bytes
        pixels = frozen_pixels(body[_LINE:end].reshape(height, width, 4))
        flow: Flow | None = None
        if flow_bytes == self.segment.flow_bytes == len(body) - end:
            flow = body[end:].view(np.float16).reshape(flow_shape(self.segment.size))
            flow.flags.writeable = False
        frame = Frame(pixels, sequence, params_sequence, made_for, ready, generator, flow=flow)
        return version, frame, seconds


# Pickling the value array as an array takes ten times as long as everything else: its bytes travel as they are.
_PLAIN_FIELDS = tuple(field.name for field in fields(GeneratorParams) if field.name != "values")


def _packed(params: GeneratorParams) -> bytes:
    plain = tuple(getattr(params, name) for name in _PLAIN_FIELDS)
    return pickle.dumps((params.values.array.tobytes(), plain), protocol=5)


def _unpacked(blob: bytes) -> GeneratorParams:
    array, plain = pickle.loads(blob)
    values = ParamValues(np.frombuffer(array, dtype=np.float64))
    return GeneratorParams(values=values, **dict(zip(_PLAIN_FIELDS, plain, strict=True)))


def _no_memory(segment: Segment, error: OSError) -> str:
    megabytes = segment.total / 1e6
    return (
        f"no shared memory for frames of {segment.size[0]}x{segment.size[1]} ({megabytes:.0f} MB): {error.strerror}. "
        "Use a smaller --size, or give the machine (or container: --shm-size) more shared memory"
    )


def _reserve(memory: SharedMemory, size: int) -> None:
    """Claim the pages now. Where /dev/shm is too small, the first touch would otherwise kill us with SIGBUS."""
    allocate = getattr(os, "posix_fallocate", None)
    handle: Any = getattr(memory, "_fd", -1)
    if allocate is not None and sys.platform == "linux" and handle >= 0:
        allocate(handle, 0, size)


@contextmanager
def _untracked() -> Iterator[None]:
    """Attach without registering: before Python 3.13 the tracker believes every opener to be the owner.

    A worker shares the engine's tracker, so its entry would outlive the engine's own unlink and be reported as a leak.
    Only the worker attaches, before it starts any thread.
    """
    register = resource_tracker.register
    resource_tracker.register = lambda *_: None
    try:
        yield
    finally:
        resource_tracker.register = register
