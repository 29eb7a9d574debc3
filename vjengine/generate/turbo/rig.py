"""Everything of the turbo generator that is built for one plan: text desk, init pictures, rungs, the loop on them."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from typing import Any

import torch

from vjengine.core.generation import GeneratorParams
from vjengine.errors import VJError
from vjengine.generate.base import DETAIL, NOBODY, GeneratorSpec, Host
from vjengine.generate.turbo.accel.base import Networks
from vjengine.generate.turbo.accel.cache import default_folder
from vjengine.generate.turbo.accel.ladder import Ladder
from vjengine.generate.turbo.controls import Controls, read_controls
from vjengine.generate.turbo.init_source import InitSource, open_init
from vjengine.generate.turbo.loop import LoopState, TurboLoop
from vjengine.generate.turbo.options import TurboOptions
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan
from vjengine.generate.turbo.program import FrameProgram
from vjengine.generate.turbo.prompts import TextDesk

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """What stays the same whatever the plan.

    Attributes:
        spec: size of the output, seed.
        options: the spec's options, read.
        parts: the model.
        host: told of trouble.
    """

    spec: GeneratorSpec
    options: TurboOptions
    parts: TurboParts
    host: Host = NOBODY


def _wanted(order: Order) -> str:
    """Return the rung to play on. Offline, neither timing nor what was built before may choose it."""
    if order.options.rung == "auto" and not order.host.live:
        return "graph"
    return order.options.rung


class Rig:
    """Draws under one plan until that is closed, on ever better rungs.

    Args:
        order: what to draw with.
        plan: size, place and precision.
        state: what to go on from.

    Raises:
        GeneratorError: if no rung runs, or the init pictures cannot be read.
        RuntimeError: torch's own, if the device fails or its memory runs out.
    """

    def __init__(self, order: Order, plan: FramePlan, state: LoopState | None = None) -> None:
        self.plan = plan
        self._order = order
        self._faults = (0, 0)
        self._seen_init: object = None
        self._asked_for_init = False
        self._leaving: list[threading.Thread] = []
        self._desk = TextDesk(order.parts, plan, order.host)
        self._desk.prepare(order.options.prompts)
        self._ladder = Ladder(
            order.parts,
            plan,
            order.options.folder or default_folder(),
            order.host,
            wanted=_wanted(order),
            finish=self._finished,
            loras=order.options.loras,
            build=order.host.live,
        )
        self._init = self._opened_init(first=state is None)
        try:
            self.loop = TurboLoop(self._ladder.first(), order.parts, order.spec.seed, state)
        except BaseException:
            self._ladder.close()
            if self._init is not None:
                self._init.close()
            raise
        self._tell()

    @property
    def program(self) -> FrameProgram:
        """The program in use now."""
        return self.loop.program

    @property
    def words(self) -> str:
        """What is played on, in a few words."""
        width, height = self.plan.size
        return f"{self.program.networks.rung} {width}x{height}"

    def frame(self, params: GeneratorParams) -> None:
        """Enqueue the picture for ``params``; ``program.output`` holds it once the device is done."""
        self._climb()
        self._desk.step(params)
        networks, guided = self.program.networks, self._order.parts.wants_guidance
        if self._desk.changed:
            networks.set_text(self._desk.positive)
        if guided and self._desk.negative_changed:
            networks.set_text(self._desk.negative, negative=True)
        controls = read_controls(params, wants_guidance=guided, loras=len(self._order.options.loras))
        self.loop.step(self._with_init(controls, params))
        self._watch()

    def close(self) -> None:
        """Close all that belongs to the plan; a second call does nothing."""
        self._ladder.close()
        self.program.close()
        if self._init is not None:
            self._init.close()
        for thread in self._leaving:
            thread.join(1.0)

    def _finished(self, networks: Networks) -> FrameProgram:
        """Make a program of a rung's networks; the ladder calls it on whatever thread it builds."""
        self._set_texts(networks)
        order = self._order
        program = FrameProgram(networks, order.parts, self.plan, size=order.spec.size, seed=order.spec.seed)
        if program.unrecorded:
            log.warning("%s", program.unrecorded)
        return program

    def _set_texts(self, networks: Networks) -> None:
        networks.set_text(self._desk.positive)
        if self._order.parts.wants_guidance:
            networks.set_text(self._desk.negative, negative=True)

    def _climb(self) -> None:
        """Go over to a better rung if one is ready."""
        better = self._ladder.better()
        if better is None:
            return
        self._set_texts(better.networks)
        old = self.program
        self.loop.take(better)
        self._seen_init, self._faults = None, (0, 0)
        self._leave(old)
        log.info("from %s to %s", old.networks.rung, better.networks.rung)
        self._tell()

    def _tell(self) -> None:
        self._order.host.say(DETAIL, "ok", self.words)

    def _leave(self, program: FrameProgram) -> None:
        """Close ``program`` beside the show, once the device is done with it: giving engines back takes long."""
        done: Any = None
        if self.plan.device.startswith("cuda"):
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record()

        def leave() -> None:
            if done is not None:
                done.synchronize()
            program.close()

        thread = threading.Thread(target=leave, name="turbo-old-rung", daemon=True)
        thread.start()
        self._leaving.append(thread)

    def _opened_init(self, first: bool) -> InitSource | None:
        options, host = self._order.options, self._order.host
        if not options.init:
            return None
        try:
            return open_init(options.init, self.plan.size, host)
        except VJError as error:
            if first:
                raise
            # In the middle of a show, a file that has gone is no reason to end it.
            host.say("init", "error", str(error))
            return None

    def _with_init(self, controls: Controls, params: GeneratorParams) -> Controls:
        """Put the newest init picture in place; without one, let its fader do nothing."""
        if controls.init <= 0.0:
            return controls
        if self._init is None:
            if not self._asked_for_init and not self._order.options.init:
                self._asked_for_init = True
                self._order.host.say("init", "warn", "turbo.init has nothing to show: start with init=camera or a file")
            return replace(controls, init=0.0)
        picture = self._init.read(params)
        if picture is not None and picture is not self._seen_init:
            self.program.write_init(picture)
            self._seen_init = picture
        return controls if self._seen_init is not None else replace(controls, init=0.0)

    def _watch(self) -> None:
        """Tell the performer of pictures that had to be healed, when their number changes."""
        faults = self.program.faults
        if faults == self._faults:
            return
        if self._faults == (0, 0):
            log.warning("numbers overflowed in a picture: %s, %s", self.program.networks.rung, self.plan)
            self._order.host.say("picture", "warn", "numbers overflowed in a picture; it was mended")
        if faults[1] > self._faults[1]:
            self._order.host.say("picture", "warn", f"the picture was lost and begun anew, {faults[1]} times so far")
        self._faults = faults
