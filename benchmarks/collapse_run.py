"""One loop with one remedy: run, measured against its first pictures, judged."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.collapse_loops import CORRECTS_INSIDE, FPS, INSIDE_ONLY, make_loop
from benchmarks.collapse_measures import HOLD, Distance, carried, distance, look, movement, pooled, slope, slope_error
from benchmarks.collapse_remedies import OURS, REMEDIES, Nothing, Ours, Remedy
from benchmarks.collapse_scenes import Picture
from vjengine.core.generation import GeneratorParams

FIRST = 8
"""Pictures that the others are held against."""
EVERY = 30
SETTLED = 300
LONG_ENOUGH = 9000
"""Steps from which a slope says something: W1 wanders by a few tenths within a minute; see ``slope_error``."""

GOALS = (
    ("W1", 6.0), ("|R|", 1.0), ("slope", 0.2), ("clipped", 0.05), ("motion", 0.5),
)  # fmt: skip
"""Limits: of the worst after settling; of the slope of W1 a minute; of the mean motion over the start's, the least."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to run.

    Attributes:
        loop, remedy: by name.
        steps: at most.
        scene: that it starts from; empty for the loop's usual one.
        seed: of the start picture.
        patience: steps on end that it must have been collapsed for to be stopped; 0 to run on.
    """

    loop: str
    remedy: str
    steps: int
    scene: str = ""
    seed: int = 1
    patience: int = 0


@dataclass(slots=True)
class Outcome:
    """What came of a job.

    Attributes:
        job: what was run.
        at: steps at which it was measured.
        found: distances from the start there.
        moved: motion there, over the start's.
        carried: correlation with the picture a second before, moved as the loop moves it, there.
        steps: how many were run.
        collapsed_at: step from which it had collapsed; None if it never did.
        why: what said so.
        anew: how often it was started afresh.
        start, end: the first and the last picture, ``(H, W, 3)`` uint8.
    """

    job: Job
    at: list[int] = field(default_factory=list)
    found: list[Distance] = field(default_factory=list)
    moved: list[float] = field(default_factory=list)
    carried: list[float] = field(default_factory=list)
    steps: int = 0
    collapsed_at: int | None = None
    why: str = ""
    anew: int = 0
    start: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros((1, 1, 3), np.uint8))
    end: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros((1, 1, 3), np.uint8))

    @property
    def final(self) -> Distance:
        """The last distance."""
        return self.found[-1]

    @property
    def worst(self) -> Distance:
        """The worst of each after settling; of detail the one furthest from 0."""
        kept = [one for step, one in zip(self.at, self.found, strict=True) if step > SETTLED] or self.found
        return Distance(
            max(one.w1 for one in kept),
            max((one.detail for one in kept), key=abs),
            max(one.clipped for one in kept),
        )

    @property
    def slope(self) -> float:
        """W1 a minute over the last two thirds."""
        return slope([step / FPS / 60.0 for step in self.at], [one.w1 for one in self.found])

    @property
    def slope_error(self) -> float:
        """Standard error of the slope."""
        return slope_error([step / FPS / 60.0 for step in self.at], [one.w1 for one in self.found])

    @property
    def structure(self) -> float:
        """Mean correlation with the picture a second before, over the last third; NaN if it is flat there."""
        known = [value for value in self.carried[-max(1, len(self.carried) // 3) :] if np.isfinite(value)]
        return float(np.mean(known)) if known else float("nan")

    @property
    def stopped(self) -> bool:
        """True if it was stopped early, collapsed for good."""
        return self.steps < self.job.steps

    @property
    def motion(self) -> float:
        """Mean motion over the last third, over the start's: the loops' own motion comes and goes within that."""
        return float(np.mean(self.moved[-max(1, len(self.moved) // 3) :]))

    @property
    def failures(self) -> tuple[str, ...]:
        """The goals that were missed."""
        worst = self.worst
        values = (worst.w1, abs(worst.detail), self.slope, worst.clipped, self.motion)
        missed = []
        for (name, limit), value in zip(GOALS, values, strict=True):
            if name == "slope" and self.steps < LONG_ENOUGH:
                continue
            held = value >= limit if name == "motion" else value < limit if name == "slope" else value <= limit
            if not held:
                missed.append(name)
        return (*missed, "drawn anew") if self.anew else tuple(missed)


def shown(picture: Picture) -> npt.NDArray[np.uint8]:
    """Return ``picture`` in 8 bit."""
    rounded: npt.NDArray[np.uint8] = np.rint(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8)
    return rounded


def remedy_for(job: Job) -> Remedy:
    """Return the remedy of ``job``, fit for its loop."""
    if job.remedy != OURS or job.loop not in CORRECTS_INSIDE:
        return REMEDIES[job.remedy]()
    return Nothing() if job.loop in INSIDE_ONLY else Ours(inside=True)


def run(job: Job, tell: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True)) -> Outcome:
    """Run ``job`` and measure it; ``tell`` hears of progress."""
    cv2.setNumThreads(1)
    loop, remedy, outcome = make_loop(job.loop, job.scene, job.seed, job.remedy == OURS), remedy_for(job), Outcome(job)
    label = f"{job.loop}, {job.remedy}"
    try:
        fed = picture = trace = loop.begin()
        first, speeds = [], []
        suspected: list[str] = []
        down: int | None = None
        for step in range(1, job.steps + 1):
            params = GeneratorParams(sequence=step, time=step / FPS, correction=remedy.correction)
            last, picture = picture, loop.step(fed, params)
            outcome.steps, trace = step, loop.moved(trace, params)
            fed = remedy.feed(picture, params)
            if remedy.anew + loop.anew != outcome.anew:
                outcome.anew = remedy.anew + loop.anew
                if job.loop not in CORRECTS_INSIDE:
                    fed = loop.begin(outcome.anew)
            if step <= FIRST:
                first.append(look(picture))
                outcome.start = shown(picture)
                if step > 1:
                    speeds.append(movement(picture, last))
                continue
            due = step % EVERY == 0 or step == job.steps
            early = outcome.collapsed_at is None and (bool(suspected) or due or (step <= 120 and step % 5 == 0))
            if not (due or early):
                continue
            found = distance(look(picture), pooled(first))
            if due:
                outcome.at.append(step)
                outcome.found.append(found)
                outcome.moved.append(movement(picture, last) / max(float(np.mean(speeds)), 1e-6))
                outcome.carried.append(carried(picture, trace))
                trace = picture
                down = (step if down is None else down) if found.collapsed else None
            if outcome.collapsed_at is None:
                suspected = [*suspected, found.collapsed] if found.collapsed else []
                if len(suspected) == HOLD:
                    outcome.collapsed_at, outcome.why = step - HOLD + 1, suspected[0]
                    tell(f"{label}: collapsed at step {outcome.collapsed_at} ({outcome.why})")
            if job.patience and down is not None and step - down >= job.patience:
                break
            if step % 1500 == 0:
                tell(f"{label}: {step} of {job.steps}, W1 {found.w1:.1f}, R {found.detail:+.2f}, anew {outcome.anew}")
        outcome.end = shown(picture)
        if outcome.found:
            final = outcome.final
            tell(f"{label}: done, W1 {final.w1:.2f}, R {final.detail:+.2f}, {', '.join(outcome.failures) or 'held'}")
    finally:
        loop.close()
    return outcome
