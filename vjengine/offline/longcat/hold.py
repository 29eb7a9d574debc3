"""The stabiliser in a film made of chunks: what is shown and what is carried on is held to its scene.

A loop that makes one picture at a time has each corrected before the next is made of it. A chunk is made in one go: the
harm of all its pictures adds up before any of it is seen. But then all of it is there, so it is taken back along its
course (:mod:`.steady`), and where a scene wears out it is renewed (:mod:`.renew`). The next chunk is made of the last
picture as it was shown; there is no jump where one ends, for what is done to the first picture is next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.core.correction import Correction
from vjengine.core.generation import GeneratorParams
from vjengine.core.params import PARAMS
from vjengine.engine.metrics_log import GENERATOR, Story
from vjengine.errors import ResumeError
from vjengine.offline.continuation import Pixels16
from vjengine.offline.longcat.curves import bends, bent
from vjengine.offline.longcat.remember import dump, restore
from vjengine.offline.longcat.renew import Renewal, Round
from vjengine.offline.longcat.steady import Fix, Looks, coloured, fixed, fixes, looks, recoloured, rounded
from vjengine.stabilise.guard import TOP
from vjengine.stabilise.palette import palette_distance
from vjengine.stabilise.stabiliser import Stabiliser
from vjengine.stabilise.statistics import measure
from vjengine.stabilise.verdict import Verdict

_COLOUR = (0.5, 2.5)
"""Palette distances up to which colours are left alone, and from which all of their drift is taken back."""
_DETAIL = (0.15, 0.5)
"""The same of detail: log2 of a band's variance over the anchor's, the worst of all bands."""
_FAR = (1.5, 5.0)
"""Palette distances from which the scene is renewed, and as fast as may be: its colours are right in the mean alone."""
_WORN = 1.5
"""log2 that a place may have been raised or lowered by, all in all, until it is renewed."""
_LOCK = (0.07, 0.2)
"""Share of a place whose wear is known that is taken from the scene's first picture a picture, at most: while the last
picture shown was as sharp as the first, and where it had become as soft as may be."""
_SOFT = (0.2, 1.0)
"""How much less fine detail than the scene's first picture that is, log2."""
_FASTEST, _SLOWEST = 1 / 54, 1 / 1500
"""Share of the scene that is renewed a picture, at most; and what counts as none."""


@dataclass(slots=True)
class Scene:
    """What pictures are held against: pixels of the scene's first, and what was asked for."""

    number: int
    prompt: str
    anchor: Pixels16


@dataclass(slots=True)
class Memory:
    """All that holding remembers from chunk to chunk.

    Attributes:
        stabiliser: what watches.
        story: what was told of it.
        number: of pictures seen.
        level: how far the response to an alarm went.
        scene: number of the scene that ``round`` belongs to.
        shown: looks of the picture shown last; None before the first.
        far: its palette distance from the scene's first.
        wear: share of the scene that is to be renewed a picture.
        round: how far that has come.
    """

    stabiliser: Stabiliser
    story: Story = field(default_factory=Story)
    number: int = 0
    level: int = 0
    scene: int = -1
    shown: Looks | None = None
    far: float = 0.0
    wear: float = 0.0
    round: Round = field(default_factory=Round)


class Holder:
    """Holds the pictures of one film, chunk after chunk.

    Args:
        seed: of where a scene is renewed first.
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
        values = PARAMS.defaults().replaced({"stabilise.amount": 1.0 if settled else 0.0})
        shown, steps = self._corrected(frames, scene) if self._correct and settled else (frames, [])
        rows: list[dict[str, Any]] = []
        for k, picture in enumerate(shown):
            memory.number += 1
            params = GeneratorParams(
                sequence=memory.number,
                time=times[k],
                values=values,
                cue=scene.number,
                prompts=((scene.prompt, 1.0),),
            )
            verdict = memory.stabiliser.look(_bytes(picture), params, memory.number)
            # The log tells what was done to this picture, not what a live loop would do to the next.
            step = replace(steps[k], number=memory.number) if steps else Correction()
            rows += self._told(replace(verdict, correction=step))
            memory.level = verdict.level
        if self._correct and not settled:
            memory.shown, memory.far, memory.wear = looks(frames[-1]), 0.0, 0.0
        return shown, rows

    def _corrected(self, frames: Pixels16, scene: Scene) -> tuple[Pixels16, list[Correction]]:
        memory = self.memory
        if memory.scene != scene.number:
            memory.scene, memory.wear, memory.far = scene.number, 0.0, 0.0
            memory.round.begin(scene.anchor)
        anchor, like = looks(scene.anchor), measure(_bytes(scene.anchor))
        before = memory.shown or anchor
        far = max(memory.far, palette_distance(measure(_bytes(frames[-1])), like))
        changed = max(float(np.abs(each.detail - anchor.detail).max()) for each in (before, looks(frames[-1])))
        colour, detail = _share(far, _COLOUR), _share(changed, _DETAIL)
        self._wear(before, frames)
        if memory.wear < _SLOWEST:
            # The scene's first picture alone wears nothing, and is where it is.
            if memory.shown is not None:
                memory.round.lose()
            renewal = None
        else:
            least, most = _LOCK
            lock = least + (most - least) * _share(float(anchor.detail[0] - before.detail[0]), _SOFT)
            lock *= memory.wear / _FASTEST
            renewal = Renewal(scene.anchor, memory.round, self._seed, memory.wear, lock)
        shown, shares = np.empty_like(frames), []
        # First so that what comes in fits in; then what has become of both.
        for k, matrix in enumerate(recoloured(frames, before, anchor, colour)):
            shown[k], share = coloured(frames[k], matrix), 0.0
            if renewal is not None:
                picture, share = renewal.put(shown[k].astype(np.float32), frames[k])
                shown[k] = rounded(picture)
            shares.append(share)
        todo = fixes(shown, before, anchor, colour, detail)
        for k, fix in enumerate(todo):
            shown[k] = fixed(shown[k], fix)
        for k, curves in enumerate(bends(shown, scene.anchor) if colour > 0.0 else ()):
            shown[k] = bent(shown[k], curves)
        steps = [_told(fix, share) for fix, share in zip(todo, shares, strict=True)]
        if renewal is not None:
            renewal.seen(shown[-1])
        memory.shown = looks(shown[-1])
        memory.far = palette_distance(measure(_bytes(shown[-1])), like)
        return shown, steps

    def _wear(self, before: Looks, frames: Pixels16) -> None:
        """Find how fast the scene wears: by what became of its detail, and by colours that are still wrong."""
        memory = self.memory
        # Of a variance, half the log2 is that of what is seen.
        detail = 0.5 * float(np.abs(looks(frames[-1]).detail - before.detail).max()) / len(frames) / _WORN
        wear = min(max(detail, _FASTEST * _share(memory.far, _FAR)), _FASTEST)
        memory.wear += (0.5 if memory.wear else 1.0) * (wear - memory.wear)

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


def _share(value: float, between: tuple[float, float]) -> float:
    low, high = between
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _told(fix: Fix, come: float) -> Correction:
    a, b, c, d, e, f, g, h, i, j, k, m = (float(value) for value in fix.colour.ravel())
    fine, _, middle, _, coarse = (float(gain) for gain in fix.gains)
    return Correction(colour=(a, b, c, d, e, f, g, h, i, j, k, m), gains=(fine, middle, coarse), anchor=come)


def _bytes(picture: Pixels16) -> npt.NDArray[np.uint8]:
    shown: npt.NDArray[np.uint8] = cv2.convertScaleAbs(picture, alpha=1 / 257)
    return shown
