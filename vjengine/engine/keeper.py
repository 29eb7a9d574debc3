"""A stabiliser at work: its correction for whoever holds the pixels, its words for the HUD, its faults for the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from vjengine.core.correction import NO_CORRECTION, Correction
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.generation import GeneratorParams
from vjengine.core.metrics import Ring
from vjengine.engine.metrics_log import SourceLog

if TYPE_CHECKING:
    from vjengine.stabilise.verdict import Verdict

log = logging.getLogger(__name__)


NEAR = 3.0
"""Palette distance (CIELAB) below which a picture may become the one that a new worker comes back to."""


class Judge(Protocol):
    """What looks at pictures: :class:`~vjengine.stabilise.stabiliser.Stabiliser`, or another that does as it does."""

    def look(self, pixels: npt.NDArray[np.uint8], params: GeneratorParams, number: int) -> Verdict:
        """Judge a finished picture."""
        ...


Make = Callable[[bool], Judge]
"""Makes a judge; called with whether it is to correct, or only to watch."""


def make_stabiliser(correct: bool) -> Judge:
    """Return a new stabiliser."""
    from vjengine.stabilise.stabiliser import Stabiliser

    return Stabiliser(correct=correct)


def use_one_thread() -> None:
    """Keep OpenCV in this process to the thread that calls it.

    The copies that statistics are made of are so small that waking a helper takes longer than the work; and helpers
    run on all cores at once, at any moment, those of the present loop and of a CPU's own drawing among them.
    """
    import cv2

    cv2.setNumThreads(1)


class Keeper:
    """Has one loop's pictures judged, one after another, on whatever thread it is called.

    A fault in the judge costs the correction, never the show: it is told once and counted, and with the next scene,
    whose first pictures are as good an anchor as any, a new judge begins.

    Args:
        component: its name in the HUD.
        events: where its words go.
        metrics: where its verdicts go; None for nowhere.
        make: makes a judge.

    Attributes:
        correction: the newest correction, for any thread.
        verdict: the last verdict; None before the first.
        cost: ms a look took.
        alarms, responses, faults: how many there were; a response counts when it goes up.
    """

    def __init__(
        self,
        component: str,
        events: EventQueue,
        *,
        metrics: SourceLog | None = None,
        make: Make = make_stabiliser,
    ) -> None:
        use_one_thread()
        self.correction: Latest[Correction] = Latest(NO_CORRECTION)
        self.verdict: Verdict | None = None
        self.cost = Ring(16384)
        self.alarms = self.responses = self.faults = 0
        self._component = component
        self._events = events
        self._metrics = metrics
        self._make = make
        self._judge: Judge | None = None
        self._correct = True
        self._base = NO_CORRECTION
        self._renewed = False
        self._standing: tuple[str, ...] = ()
        self._level = 0
        self._words = ""
        self._failed_in: tuple[int, int] | None = None

    def begin(self, *, correct: bool, time: float = 0.0) -> None:
        """Begin anew at session ``time`` (s), with no anchor; ``correct=False`` only watches."""
        self._judge, self._correct = self._make(correct), correct
        self._failed_in = None
        self._rest(time)

    def end(self, time: float) -> None:
        """Look at nothing until :meth:`begin`; what was said at the HUD is taken back."""
        self._judge, self._failed_in = None, None
        self._rest(time)

    def renew(self) -> None:
        """Have the next picture that is well kept as the anchor picture: whoever had it is gone."""
        self._renewed = True

    def pause(self, time: float) -> None:
        """Take back what was said and what stands, at session ``time`` (s): for now there is nothing to look at.

        The anchor stays, and with it the correction: where the same goes on soon, so does the judge.
        """
        self._quiet(time)

    def look(self, pixels: npt.NDArray[Any], params: GeneratorParams, number: int) -> None:
        """Have a picture judged that was made for ``params``; ``number`` is above 0 and goes up."""
        if self._judge is None:
            scene = params.cue, params.reseed
            if self._failed_in is None or self._failed_in == scene:
                return
            self.begin(correct=self._correct, time=params.time)
        assert self._judge is not None
        began = perf_counter()
        try:
            verdict = self._judge.look(pixels, params, number)
            self._take(verdict)
            if self._metrics is not None:
                self._metrics.write(verdict)
        except Exception as error:  # noqa: BLE001 - the outermost guard around the judge: a picture drifts, the show goes on
            self._fault(error, params)
            return
        self.cost.add((perf_counter() - began) * 1e3)

    def summary(self) -> dict[str, Any]:
        """Return the figures that ``--stats`` writes; those of the picture are None before the first verdict."""
        last = self.verdict
        return {
            "frames": self.cost.count,
            "w1": round(last.w1, 3) if last else None,
            "detail": round(last.detail, 3) if last else None,
            "alarms": self.alarms,
            "responses": self.responses,
            "faults": self.faults,
            "cost_ms": self.cost.percentiles().as_dict(),
        }

    def _take(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.alarms += sum(name not in self._standing for name in verdict.alarms)
        self.responses += max(0, verdict.level - self._level)
        self._standing, self._level = verdict.alarms, verdict.level
        if self._renewed and verdict.anchored and not verdict.alarms and not verdict.level and verdict.w1 < NEAR:
            self._renewed = False
            self._base = replace(self._base, keep=self._base.keep + 1)
        self._publish(verdict.correction)
        self._say("warn" if verdict.level else "ok", verdict.response if verdict.level else "", verdict.time)

    def _publish(self, correction: Correction) -> None:
        """Make ``correction`` the newest. Its counters never go back: a generator takes any move for a wish."""
        last, base = self.correction.read(), self._base
        self.correction.publish(
            replace(
                correction,
                keep=max(last.keep, base.keep + correction.keep),
                reseed=max(last.reseed, base.reseed + correction.reseed),
                restart=max(last.restart, base.restart + correction.restart),
            )
        )

    def _rest(self, time: float) -> None:
        """Ask for nothing, and count on from here."""
        self._base = self.correction.read()
        self._renewed = False
        self._publish(NO_CORRECTION)
        self._quiet(time)

    def _quiet(self, time: float) -> None:
        self._standing, self._level = (), 0
        if self._metrics is not None:
            self._metrics.rest(time)
        self._say("ok", "", time)

    def _fault(self, error: Exception, params: GeneratorParams) -> None:
        self.faults += 1
        if self.faults == 1:
            log.error("the stabiliser failed", exc_info=error)
        self.end(params.time)
        self._failed_in = params.cue, params.reseed
        what = " ".join(str(error).split())[:80] or type(error).__name__
        self._say("error", f"failed, pictures are not corrected until the next scene: {what}", params.time)

    def _say(self, level: Literal["ok", "warn", "error"], words: str, time: float) -> None:
        if words == self._words:
            return
        self._words = words
        self._events.put(StatusChanged(time=time, component=self._component, level=level, message=words))
