"""The stabiliser in a film made of chunks: what is shown and what is carried on is held to its scene.

A loop that makes one picture at a time has each corrected before the next is made of it. A chunk is made in one go; so
the corrections of its pictures are gathered, and each picture gets all of those before it: colours and gains multiply
up, and what was put in (grain, the anchor's picture) is moved along with the scene, as the loop would have moved it.
Its last picture then is what it would have been in such a loop; the next chunk is made of that picture as it was shown,
and begins with no more than the correction of that one picture. So there is no jump where a chunk ends.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.core.correction import GAIN_RANGE, UNCHANGED, Colour, Correction
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
_FLOW_SIDE = 384
"""px of the longer side at which the scene's motion is looked for: what is moved along by it is grain and clouds."""

Floats = npt.NDArray[np.float32]


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
        layer = Layer(scene.anchor, self._seed)
        gathered = step = memory.standing if settled else Correction()
        shown = frames if not self._correct else np.empty_like(frames)
        rows: list[dict[str, Any]] = []
        for k, frame in enumerate(frames):
            memory.number += 1
            picture = frame.astype(np.float32) / np.float32(65535)
            if self._correct:
                picture = layer.put(_locally(picture, gathered), frame, step)
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
            step = verdict.correction if settled and verdict.correction.number else Correction()
            gathered = gather(gathered, step)
            memory.standing = step
            memory.level = verdict.level
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


class Layer:
    """What is put into the pictures of one chunk, moved along with them.

    Args:
        anchor: the scene's first picture, ``(H, W, 3)`` 16 bit.
        seed: of the grain.
    """

    def __init__(self, anchor: Pixels16, seed: int) -> None:
        self._anchor = anchor.astype(np.float32) / np.float32(65535)
        self._seed = seed
        self._put: Floats | None = None
        self._last: npt.NDArray[np.uint8] | None = None
        # Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016.
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def put(self, picture: Floats, raw: Pixels16, step: Correction) -> Floats:
        """Return ``picture`` ``(H, W, 3)`` 0-1 with all that was put in so far, and what ``step`` puts in now.

        Args:
            picture: corrected in place already.
            raw: as it was made: the motion is looked for in these.
            step: the correction of the picture before; its noise and its share of the anchor count.
        """
        small = _grey(raw)
        if self._put is not None and self._last is not None:
            self._put = self._moved(self._put, small)
        self._last = small
        if any(step.noise):
            noise = np.random.Generator(np.random.Philox(key=(self._seed, step.number & 0xFFFF_FFFF)))
            plain = Correction(number=step.number, noise=step.noise, tint=step.tint)
            grain = apply_exactly(np.full_like(picture, 0.5), plain, noise) - np.float32(0.5)
            self._put = grain if self._put is None else self._put + grain
        if step.anchor > 0.0:
            before = np.zeros_like(picture) if self._put is None else self._put
            self._put = before + np.float32(step.anchor) * (self._anchor - picture - before)
        if self._put is None:
            return np.clip(picture, 0.0, 1.0)
        whole: Floats = np.clip(picture + self._put, 0.0, 1.0)
        self._put = whole - picture
        return whole

    def _moved(self, put: Floats, small: npt.NDArray[np.uint8]) -> Floats:
        assert self._last is not None
        height, width = put.shape[:2]
        flow = self._search.calc(small, self._last, None)
        back = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
        back *= np.array((width / small.shape[1], height / small.shape[0]), np.float32)
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        moved: Floats = cv2.remap(
            put, x + back[..., 0], y + back[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        return moved


def _grey(picture: Pixels16) -> npt.NDArray[np.uint8]:
    height, width = picture.shape[:2]
    share = min(1.0, _FLOW_SIDE / max(width, height))
    size = max(16, round(width * share)), max(16, round(height * share))
    grey = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    shown: npt.NDArray[np.uint8] = (grey >> 8).astype(np.uint8)
    return shown


def _locally(picture: Floats, gathered: Correction) -> Floats:
    """Return a picture with its colours and gains corrected: what needs nothing but the picture itself."""
    if gathered.number == 0:
        return picture
    return apply_exactly(picture, replace(gathered, noise=(0.0, 0.0, 0.0), anchor=0.0), np.random.default_rng(0))


def gather(before: Correction, more: Correction) -> Correction:
    """Return one correction of colours and gains that does as ``before`` and then ``more`` do."""
    if more.number == 0:
        return before
    low, high = GAIN_RANGE
    a, b, c = (min(max(x * y, low), high) for x, y in zip(before.gains, more.gains, strict=True))
    colour = _after(before.colour, more.colour)
    return Correction(number=more.number, colour=colour, gains=(a, b, c), ceiling=more.ceiling, tint=more.tint)


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
