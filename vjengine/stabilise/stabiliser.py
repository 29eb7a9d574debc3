"""Looks at each picture of a generator that feeds on its own, and says what to do to the one it feeds back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vjengine.core.correction import Colour, Correction, Matrix3
from vjengine.core.generation import GeneratorParams
from vjengine.core.params import PARAMS
from vjengine.stabilise.anchor import Anchor
from vjengine.stabilise.colours import Floats
from vjengine.stabilise.copies import make_copies
from vjengine.stabilise.detail import Detail, DetailKeeper
from vjengine.stabilise.guard import RESPONSES, TOP, Guard
from vjengine.stabilise.intent import read_intent
from vjengine.stabilise.motion import Moved, Movement
from vjengine.stabilise.palette import band_change, detail_change, palette_distance
from vjengine.stabilise.restless import Restlessness
from vjengine.stabilise.statistics import Statistics, measure
from vjengine.stabilise.transfer import ColourKeeper, faded_by, to_oklab
from vjengine.stabilise.verdict import Verdict

_LEAVE_ALONE, _FULL = 0.5, 2.5
"""Palette distances up to which nothing is corrected, and from which a drift is taken back with the full share."""
_CALLED, _CALLED_FULLY = 1.5, 5.0
"""Palette distances from which the anchor picture is called in a little, and with the full ``stabilise.anchor``."""
_FADE_IN = 12
"""Frames over which corrections come in after an anchor was taken: nothing jumps."""
_MOVES = 0.5
"""8-bit values from one frame to the next above which a scene moves."""
_COLOURLESS = 3.0
"""CIELAB chroma below which an anchor counts as grey: it cannot lose its colour."""
_NEAR, _KEEP_EVERY = 3.0, 20.0
"""Palette distance below which a picture may be the one to come back to, and s between two of them."""
_TRAVEL = 0.6
"""seeds/s: a loop that found its fixed point is carried past it."""
_MORE_LATENTS = 2.0
_MORE_DREAM, _LESS_FEEDBACK, _MORE_NOISE = 0.15, 0.4, 1.6


@dataclass(frozen=True, slots=True)
class Shares:
    """The live parameters ``stabilise.*``, checked."""

    amount: float
    colour: float
    detail: float
    noise: float
    latents: float
    anchor: float
    glide: float


def read_shares(params: GeneratorParams) -> Shares:
    """Return the strengths that ``params`` ask for; a NaN becomes its row's default."""
    return Shares(
        **{
            name: PARAMS[f"stabilise.{name}"].clamp(params.values[f"stabilise.{name}"])
            for name in Shares.__dataclass_fields__
        }
    )


class Stabiliser:
    """Holds one generator's pictures to their scene. The same pictures and parameters give the same verdicts.

    Args:
        correct: False only watches: no correction is worked out and no response made.
        most: level that the response goes up to, see :data:`~.guard.RESPONSES`.
    """

    def __init__(self, *, correct: bool = True, most: int = TOP) -> None:
        self._correct = correct
        self._movement = Movement()
        self._anchor = Anchor()
        self._colour_keeper = ColourKeeper()
        self._detail = DetailKeeper()
        self._guard = Guard(most)
        self._restless = Restlessness()
        self._size: tuple[int, ...] = ()
        self._taken = 0
        self._restarts = 0
        self._keeps = 0
        self._kept_at = 0.0
        self._kept: Floats | None = None
        self._young = 0
        self._colours: tuple[Statistics, npt.NDArray[np.float64], npt.NDArray[np.float64]] | None = None

    def look(self, pixels: npt.NDArray[Any], params: GeneratorParams, number: int) -> Verdict:
        """Judge a finished picture.

        Args:
            pixels: ``(H, W, 3 or 4)`` uint8, or float32 in 0-1, sRGB code; any size, changing between calls.
            params: what it was made for.
            number: its sequence number, above 0.
        """
        if pixels.shape[:2] != self._size:
            # Detail is measured in px: at another size it is another detail.
            if self._size:
                self._anchor.reopen()
            self._size = pixels.shape[:2]
        shares, intent = read_shares(params), read_intent(params)
        copies = make_copies(pixels)
        found, moved = measure(copies), self._movement.step(copies)
        # What is drawn with other noise and less feedback is no measure for what is drawn once those are taken back.
        self._anchor.step(found, moved, intent, params.time, shares.glide, wait=self._guard.level > 1)
        if self._anchor.taken != self._taken:
            self._taken = self._anchor.taken
            self._keep(found, params.time)
            self._colour_keeper.reset()
            self._detail.reset()
            self._restless.reset()
            self._young = 0
        verdict = self._numbers(found, moved, params, number)
        if intent.dark:
            return replace(verdict, correction=self._standing(number=0)) if self._correct else verdict
        if not verdict.anchored:
            self._guard.forget()
        self._guard.step(verdict, params.time, moving=self._anchor.difference > _MOVES)
        if not self._correct:
            return replace(verdict, alarms=self._guard.alarms)
        if shares.amount <= 0.0:
            # Counters stay: a seed taken back would be another picture.
            counters = Correction(keep=self._keeps, reseed=self._guard.reseeds, restart=self._guard.restarts)
            return replace(verdict, alarms=self._guard.alarms, correction=counters)
        self._refresh(found, verdict)
        verdict = replace(
            verdict,
            alarms=self._guard.alarms,
            level=self._guard.level,
            response=self._words(),
            correction=self._correction(found, verdict, shares, number),
        )
        if self._guard.restarts != self._restarts:
            # What is drawn anew is a beginning: holding it to what was lost would drag it there again.
            self._restarts = self._guard.restarts
            self._anchor.reopen()
        return verdict

    def _numbers(self, found: Statistics, moved: Moved, params: GeneratorParams, number: int) -> Verdict:
        plain = Verdict(
            number=number,
            time=params.time,
            entropy=found.entropy,
            motion=moved.motion,
            difference=moved.difference,
            flicker=moved.flicker,
        )
        anchor = self._anchor.statistics
        if anchor is None:
            return plain
        restless = self._restless.step(found)
        fine, middle, coarse = (float(value) for value in band_change(found, anchor))
        return replace(
            plain,
            w1=palette_distance(found, anchor),
            detail=detail_change(found, anchor),
            exposure=found.lightness - anchor.lightness,
            clipped=found.clipped - anchor.clipped,
            chroma=found.chroma / anchor.chroma if anchor.chroma > _COLOURLESS else 1.0,
            restless=restless.pace,
            wandering=restless.surplus,
            flashing=restless.flashing,
            # What does not feed on itself cannot drift: it only changes.
            gliding=self._anchor.gliding or not self._correct,
            bands=(fine, middle, coarse),
            anchored=True,
        )

    def _keep(self, found: Statistics, time: float) -> None:
        """Have the picture seen last as the one to come back to."""
        self._keeps += 1
        self._kept_at = time
        self._kept = found.sample

    def _refresh(self, found: Statistics, verdict: Verdict) -> None:
        """Now and then, have a picture that is well kept as the one to come back to: it fits what is seen better.

        A worker that was started anew has none at all. What is well is judged by the scene's first frames as ever.
        """
        well = verdict.anchored and not verdict.alarms and self._guard.level == 0
        near = verdict.w1 < _NEAR and abs(verdict.detail) < 0.7 and abs(verdict.clipped) < 0.03
        if well and near and not 0.0 <= verdict.time - self._kept_at < _KEEP_EVERY:
            self._keep(found, verdict.time)

    def _words(self) -> str:
        level = self._guard.level
        return f"{', '.join(self._guard.alarms) or 'settling'}: {RESPONSES[level]}" if level else ""

    def _standing(self, number: int) -> Correction:
        """Return what the response asks for beside the picture: these hold until it is taken back."""
        level = self._guard.level
        return Correction(
            number=number,
            keep=self._keeps,
            travel=_TRAVEL if self._guard.stuck else 0.0,
            strength=_MORE_DREAM * min(max(level - 1, 0), 2),
            feedback=_LESS_FEEDBACK if level >= 3 else 1.0,
            reseed=self._guard.reseeds,
            restart=self._guard.restarts,
        )

    def _correction(self, found: Statistics, verdict: Verdict, shares: Shares, number: int) -> Correction:
        anchor = self._anchor.statistics
        standing = self._standing(number)
        if anchor is None:
            return replace(standing, number=0)
        self._young += 1
        amount = shares.amount * min(1.0, self._young / _FADE_IN)
        level = self._guard.level
        # A scene that changes by itself, or is meant to change, is not pulled at for it.
        drift = 0.0 if verdict.gliding else verdict.w1 - 0.5 * verdict.restless
        ease = min(max((drift - _LEAVE_ALONE) / (_FULL - _LEAVE_ALONE), 0.0), 1.0)
        share = amount * ease * min(1.0, shares.colour * (2.0 if level >= 1 else 1.0))
        called = amount * shares.anchor * (1.0 if level >= TOP - 1 else _pull(drift))
        colour = self._colour(found, anchor, share, faded_by(found.sample, self._kept, called))
        detail = self._detail.step(
            found.bands,
            anchor.bands,
            verdict.detail,
            amount * min(1.0, shares.detail * (1.5 if level >= 1 else 1.0)),
            amount * min(1.0, shares.noise * (_MORE_NOISE if level >= 2 else 1.0)),
            self._colour_keeper.gain,
        )
        return replace(
            standing,
            colour=colour,
            gains=detail.gains,
            ceiling=detail.ceiling,
            noise=detail.noise,
            tint=_flat(anchor.tint),
            anchor=called,
            latents=amount
            * min(1.0, shares.latents * (_MORE_LATENTS if level >= 1 else 1.0))
            * max(ease, _share_of(detail)),
        )

    def _colour(self, found: Statistics, anchor: Statistics, share: float, faded: float) -> Colour:
        if self._colours is None or self._colours[0] is not anchor:
            lab = to_oklab(anchor.sample)
            self._colours = anchor, lab.mean(axis=0), lab.std(axis=0)
        return self._colour_keeper.step(found.sample, self._colours[1], self._colours[2], share, faded)


def _pull(drift: float) -> float:
    """Return how far the anchor picture is called in before there is an alarm, 0-1.

    Mean and spread can be right and the palette still wrong: two colours have become the clouds between them.
    """
    return min(max((drift - _CALLED) / (_CALLED_FULLY - _CALLED), 0.0), 1.0)


def _share_of(detail: Detail) -> float:
    """Return 1 where the detail is far off, 0 where nothing is done about it."""
    return min(1.0, 4.0 * max(1.0 - gain for gain in detail.gains) + 20.0 * max(detail.noise))


def _flat(tint: npt.NDArray[np.float32]) -> Matrix3:
    a, b, c, d, e, f, g, h, i = (float(value) for value in tint.reshape(9))
    return a, b, c, d, e, f, g, h, i
