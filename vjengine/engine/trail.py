"""The stabiliser of the compositor's trail: the same judge, for a loop that is drawn and not dreamt."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

from vjengine.core.clock import FrameTime
from vjengine.core.control import ControlState
from vjengine.core.correction import Correction
from vjengine.core.exchange import EventQueue
from vjengine.core.frame import Pixels
from vjengine.core.mixing import modulate
from vjengine.core.params import PARAMS, ParamValues
from vjengine.core.reducer import generator_params
from vjengine.core.show import Show
from vjengine.engine.aside import Aside, InPlace, OnThread
from vjengine.engine.keeper import Judge, Keeper, Make
from vjengine.engine.metrics_log import TRAIL, MetricsLog, SourceLog
from vjengine.stabilise.intent import TrailParams

PAUSE = 1.0
"""s without a look after which it is another trail: it was too weak to matter in between."""
FADES = 2.0
"""Half-lives of a trail in which a change of it is taken over, if that is longer than ``stabilise.glide``."""


def make_trail_stabiliser(correct: bool) -> Judge:
    """Return a stabiliser for a trail.

    A trail cannot run away: it lies between what it was and what is drawn over it. It is corrected, and never answered
    with less feedback or a fresh start, which would only take the picture away.
    """
    from vjengine.stabilise.stabiliser import Stabiliser

    return Stabiliser(correct=correct, most=1)


class TrailKeeper:
    """Looks at the trail, live on a thread of its own, offline in place; the compositor's ``TrailWatch``.

    Args:
        events: where its words go.
        show: tells what the performer wants of the picture.
        live: on a thread of its own.
        metrics: where its verdicts go; it stays the caller's.
        make: makes what judges the pictures.

    Attributes:
        keeper: what came of it.
    """

    def __init__(
        self,
        events: EventQueue,
        show: Show,
        *,
        live: bool,
        metrics: MetricsLog | None = None,
        make: Make = make_trail_stabiliser,
    ) -> None:
        source = SourceLog(metrics, TRAIL) if metrics is not None else None
        self.keeper = Keeper("trail", events, metrics=source, make=make)
        self._show = show
        self._number = 0
        self._last = -math.inf
        self._turned = 0.0
        look = self._look
        self._aside: Aside[tuple[Pixels | None, ControlState]] = OnThread(look, "trail") if live else InPlace(look)

    def look(self, pixels: Pixels, control: ControlState) -> None:
        """Take note of the trail ``pixels`` ``(H, W, 4)`` uint8, drawn for ``control``. Live this returns at once."""
        self._aside.hand((pixels, control))

    def leave(self, control: ControlState) -> None:
        """Take note that in the frame of ``control`` the trail is too weak to matter. Live this returns at once."""
        self._aside.hand((None, control))

    def correction(self) -> Correction:
        """Return the correction in force."""
        return self.keeper.correction.read()

    def stop(self) -> None:
        """Look at nothing more."""
        self._aside.stop()

    def summary(self) -> dict[str, Any]:
        """Return the figures that ``--stats`` writes."""
        return self.keeper.summary()

    def _look(self, seen: tuple[Pixels | None, ControlState]) -> None:
        pixels, control = seen
        now = control.time.time
        if pixels is None:
            self.keeper.pause(now)
            return
        if not 0.0 <= now - self._last <= PAUSE:
            self.keeper.begin(correct=True, time=now)
        else:
            self._turned += control.values["feedback.hue"] * (now - self._last)
        self._last = now
        self._number += 1
        self.keeper.look(pixels, self._wanted(control), self._number)

    def _wanted(self, control: ControlState) -> TrailParams:
        """Return what the performer wants of the trail: what is wanted of its source, and what is done to the trail.

        A trail that is cleared is a new scene; one whose hue is turned has other colours on purpose, all the time. A
        change shows only as the trail before it fades: until most of that is gone, it is being taken over.
        """
        params = generator_params(control, self._number, self._show)
        values = params.values
        if self._turned:
            hue = PARAMS["gen.hue"]
            turned = hue.low + (values["gen.hue"] + self._turned - hue.low) % (hue.high - hue.low)
            values = values.replaced({"gen.hue": turned})
        glide = max(values["stabilise.glide"], FADES * values["feedback.half_life"])
        values = values.replaced({"stabilise.amount": values["stabilise.trail"], "stabilise.glide": glide})
        told = {field.name: getattr(params, field.name) for field in fields(params)}
        told |= {"values": values, "reseed": params.reseed + control.clear}
        return TrailParams(**told, wishes=wishes(control, self._show))


def wishes(control: ControlState, show: Show) -> ParamValues:
    """Return the parameter values that hands, look and macros ask for, without what music and time do to them."""
    wires = [
        (wire, state)
        for wire, state in zip(control.look.modulations, control.followers, strict=True)
        if wire.source.startswith("macro.")
    ]
    values, _ = modulate(
        control.smoothed,
        replace(control.look, modulations=tuple(wire for wire, _ in wires)),
        control.macros,
        show,
        {f"macro.{name}": macro.envelope for name, macro in control.macros.items()},
        tuple(state for _, state in wires),
        # No time passes: followers stay where they are.
        FrameTime(0, 0.0, 0.0),
        control.beats,
    )
    return values
