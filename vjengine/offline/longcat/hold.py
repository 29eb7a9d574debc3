"""The stabiliser in a film made of chunks: what is shown and what is carried on is held to its scene.

A loop that makes one picture at a time has each corrected before the next is made of it. A chunk is made in one go; so
the corrections of its pictures are gathered, and each picture gets all of those before it. Its last picture then is
what it would have been in such a loop; the next chunk is made of that picture as it was shown, and begins with no more
than the correction of that one picture.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from vjengine.core.correction import GAIN_RANGE, UNCHANGED, Colour, Correction, Three
from vjengine.core.generation import GeneratorParams
from vjengine.core.params import PARAMS
from vjengine.engine.metrics_log import GENERATOR, Story
from vjengine.errors import ResumeError
from vjengine.offline.continuation import Pixels16
from vjengine.stabilise.apply import apply_exactly
from vjengine.stabilise.guard import TOP
from vjengine.stabilise.stabiliser import Stabiliser
from vjengine.stabilise.verdict import Verdict

SHARES = {
    "stabilise.amount": 1.0,
    "stabilise.colour": 0.5,
    "stabilise.detail": 0.4,
    "stabilise.noise": 0.3,
    "stabilise.anchor": 0.12,
    "stabilise.glide": 2.0,
}
"""Strengths for a film: there is time to see each picture, so colour is taken back twice as fast as live."""
_MOST_NOISE, _MOST_ANCHOR = 0.05, 0.3
"""Gathered within a chunk: more would be seen as grain that stands still, or as a double picture."""


@dataclass(slots=True)
class Scene:
    """What pictures are held against: pixels of the scene's first, and what was asked for."""

    number: int
    prompt: str
    anchor: Pixels16


@dataclass(slots=True)
class Memory:
    """All that holding remembers from chunk to chunk."""

    stabiliser: Stabiliser
    story: Story = field(default_factory=Story)
    number: int = 0
    standing: Correction = field(default_factory=Correction)
    level: int = 0
    alarms: tuple[str, ...] = ()


class Holder:
    """Holds the pictures of one film, chunk after chunk.

    Args:
        seed: of the noise that gives lost detail back.
        correct: False only watches, and changes nothing.
    """

    def __init__(self, seed: int, *, correct: bool) -> None:
        self._seed = seed & 0xFFFF_FFFF
        self._correct = correct
        # The last resort of a live loop, a picture drawn from nothing, is left to the gates here.
        self.memory = Memory(Stabiliser(correct=correct, most=TOP - 1))

    @property
    def alarm(self) -> int:
        """How far the response to an alarm went, 0-4."""
        return self.memory.level

    def hold(
        self, frames: Pixels16, scene: Scene, times: list[float], *, settled: bool
    ) -> tuple[Pixels16, list[dict[str, Any]]]:
        """Return a chunk as it is to be shown and carried on, and its lines of the stability log.

        Args:
            frames: ``(n, H, W, 3)`` as made.
            scene: that they belong to.
            times: s into the film, each picture's.
            settled: False while one prompt becomes another: changes are meant then, and nothing is corrected.
        """
        memory = self.memory
        values = PARAMS.defaults().replaced({**SHARES, "stabilise.amount": 1.0 if settled else 0.0})
        anchor = scene.anchor.astype(np.float32) / np.float32(65535)
        gathered = memory.standing if settled else Correction()
        shown = frames if not self._correct else np.empty_like(frames)
        rows: list[dict[str, Any]] = []
        first = memory.number
        for k, frame in enumerate(frames):
            memory.number += 1
            picture = frame.astype(np.float32) / np.float32(65535)
            if self._correct:
                noise = np.random.Generator(np.random.Philox(key=(self._seed, first & 0xFFFF_FFFF)))
                picture = apply_exactly(picture, replace(gathered, number=memory.number), noise, anchor)
                shown[k] = np.rint(picture * np.float32(65535)).astype(np.uint16)
            params = GeneratorParams(
                sequence=memory.number,
                time=times[k],
                values=values,
                cue=scene.number,
                prompts=((scene.prompt, 1.0),),
            )
            verdict = memory.stabiliser.look(picture, params, memory.number)
            rows += self._told(verdict)
            if settled and verdict.correction.number:
                gathered = gather(gathered, verdict.correction)
                memory.standing = gather(Correction(), verdict.correction)
            else:
                memory.standing = Correction()
            memory.level, memory.alarms = verdict.level, tuple(verdict.alarms)
        return shown, rows

    def _told(self, verdict: Verdict) -> list[dict[str, Any]]:
        lines = [verdict.row(), *self.memory.story.events(verdict)]
        return [{"source": GENERATOR, **line} for line in lines]

    def save(self) -> bytes:
        """Return everything remembered."""
        return dump(self.memory)

    def load(self, data: bytes) -> None:
        """Go on from what :meth:`save` returned.

        Raises:
            ResumeError: if it is not that.
        """
        memory = restore(data)
        if not isinstance(memory, Memory):
            raise ResumeError("a chunk's memory is of something else: begin anew with --fresh")
        self.memory = memory


def gather(before: Correction, more: Correction) -> Correction:
    """Return one correction that does as ``before`` and then ``more`` do, as far as a chunk can bear it."""
    low, high = GAIN_RANGE
    a, b, c = (min(max(x * y, low), high) for x, y in zip(before.gains, more.gains, strict=True))
    noise: Three = tuple(  # type: ignore[assignment]
        min(float(np.hypot(x, y)), _MOST_NOISE) for x, y in zip(before.noise, more.noise, strict=True)
    )
    return Correction(
        number=more.number,
        colour=_after(before.colour, more.colour),
        gains=(a, b, c),
        ceiling=more.ceiling,
        noise=noise,
        tint=more.tint,
        anchor=min(1.0 - (1.0 - before.anchor) * (1.0 - more.anchor), _MOST_ANCHOR),
    )


def _after(first: Colour, second: Colour) -> Colour:
    a, b = (np.vstack((np.array(m, np.float64).reshape(3, 4), (0, 0, 0, 1))) for m in (first, second))
    both = (b @ a)[:3].reshape(12)
    return tuple(float(value) for value in both) if np.isfinite(both).all() else UNCHANGED  # type: ignore[return-value]


def _make_flow() -> Any:
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)


def _restore_flow(scale: int) -> Any:
    flow = _make_flow()
    flow.setFinestScale(scale)
    return flow


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, cv2.DISOpticalFlow):
            return _restore_flow, (obj.getFinestScale(),)
        return NotImplemented


_KNOWN: dict[str, Callable[[str], bool]] = {
    "vjengine": lambda name: True,
    "numpy": lambda name: name in ("_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer"),
    "collections": lambda name: name in ("deque", "OrderedDict"),
    "builtins": lambda name: name in ("set", "frozenset", "bytearray"),
}


class _Unpickler(pickle.Unpickler):
    """Makes nothing but our own values and arrays: a run folder may come from anywhere."""

    def find_class(self, module: str, name: str) -> Any:
        known = _KNOWN.get(module.partition(".")[0])
        if known is None or not known(name) or (module.startswith("vjengine") and not _ours(module)):
            raise pickle.UnpicklingError(f"{module}.{name} has no business here")
        found = super().find_class(module, name)
        if module.startswith("vjengine") and not isinstance(found, type) and found is not _restore_flow:
            raise pickle.UnpicklingError(f"{module}.{name} has no business here")
        return found


def _ours(module: str) -> bool:
    rooms = ("vjengine.stabilise.", "vjengine.core.", "vjengine.offline.longcat.", "vjengine.engine.metrics_log")
    return module.startswith(rooms)


def dump(value: object) -> bytes:
    """Return ``value``, made of our own classes and arrays, as bytes."""
    file = io.BytesIO()
    _Pickler(file, protocol=4).dump(value)
    return file.getvalue()


def restore(data: bytes) -> object:
    """Return what :func:`dump` was given.

    Raises:
        ResumeError: if it is something else, or of another version.
    """
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, TypeError, ValueError) as error:
        words = " ".join(str(error).split())[:120]
        raise ResumeError(f"a chunk's memory cannot be read ({words}): begin anew with --fresh") from error
