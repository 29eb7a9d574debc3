"""The turbo generator: one model, drawn under a plan that fits and shrinks when it must, as a generator."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import cast

import numpy as np

from vjengine.errors import GeneratorError, MissingDependency, VJError

try:
    import torch
except ModuleNotFoundError as missing:
    raise MissingDependency("PyTorch", "pip install 'vjengine[turbo]'") from missing
except ImportError as broken:
    # It is there, and cannot be loaded: no memory just now, or a part of it is broken. Trying again may help.
    raise GeneratorError(f"PyTorch cannot be loaded: {broken}; free memory, or install it again") from broken

from vjengine.core.frame import Pixels
from vjengine.core.generation import GeneratorParams
from vjengine.generate.base import DETAIL, NOBODY, GeneratorSpec, Host, Ticket
from vjengine.generate.turbo.accel.ladder import fastest_first
from vjengine.generate.turbo.catalogue import read_name
from vjengine.generate.turbo.device import (
    FAULTS,
    chosen_device,
    chosen_precision,
    faults_in_words,
    first_line,
    give_memory_back,
    use_threads,
)
from vjengine.generate.turbo.loading import load_parts
from vjengine.generate.turbo.loop import LoopState
from vjengine.generate.turbo.memory import (
    FACTS,
    estimate,
    facts_of,
    fitting_plan,
    free_memory,
    gigabytes,
    is_out_of_memory,
    peak,
    step_down,
)
from vjengine.generate.turbo.options import TurboOptions, read_options
from vjengine.generate.turbo.parts import ModelKind
from vjengine.generate.turbo.plan import FramePlan, RungName, nearest_size
from vjengine.generate.turbo.quiet import silence_libraries
from vjengine.generate.turbo.rig import Order, Rig
from vjengine.generate.turbo.transfer import Outbox

log = logging.getLogger(__name__)

# Random models of the published shapes take what those take.
_PUBLISHED: dict[str, ModelKind] = {"sd-turbo": "sd", "sd15-lcm": "sd", "sdxl-turbo": "sdxl"}

_SETTLED = 60  # frames after which the memory in use is logged


class TurboGenerator:
    """Draws by diffusion on its own last picture.

    Args:
        spec: size, seed and options, see :class:`~vjengine.generate.turbo.options.TurboOptions`.
        host: told what is loaded and built, and of trouble. If it is not live, nothing is built in the background and
            ``auto`` is the rung ``graph``: neither timing nor what was built before decides a picture.

    Raises:
        UsageError: if an option is wrong.
        MissingDependency: if a library is not installed.
        GeneratorError: if model, device or rung cannot be had: why and what to do.
    """

    name = "turbo"
    flowing = True
    """Its pictures follow from one another: their motion can be measured and shown in between."""
    feeds_back = True
    """Each picture is made of the last one: see :func:`~vjengine.generate.base.feeds_back`."""

    def __init__(self, spec: GeneratorSpec, host: Host = NOBODY) -> None:
        silence_libraries()
        options = read_options(spec)
        device = chosen_device(options)
        use_threads(options, device, live=host.live)
        precision = chosen_precision(options, device)
        self._host = host
        self._size = spec.size
        self._full_vae = options.vae == "full"
        self._frames = 0
        self._rig: Rig | None = None
        self._outbox: Outbox | None = None
        self._pixels = np.empty((spec.size[1], spec.size[0], 4), np.uint8)
        self._plan = FramePlan(nearest_size(spec.size), device, precision, loras=len(options.loras))
        free = free_memory(device)
        self._foretell(options, free)
        with faults_in_words("the model cannot be loaded"):
            parts = load_parts(
                options.model,
                device=device,
                precision=precision,
                full_vae=self._full_vae,
                loras=options.loras,
                alive=host.alive,
            )
        self._order = Order(spec, options, parts, host)
        self._fit(free)
        with faults_in_words("the turbo generator cannot start"):
            self._start(None)
        for note in getattr(parts.lora, "notes", ()):
            host.say("lora", "warn", note)

    @property
    def plan(self) -> FramePlan:
        """Size, place and precision in use now."""
        return self._plan

    @property
    def rung(self) -> RungName:
        """The rung in use now."""
        return self._running.program.networks.rung

    def generate(self, params: GeneratorParams) -> Pixels:
        """Return the picture for ``params``; the array is written over by the next call.

        Raises:
            GeneratorError: if the device failed, or memory is short however small the picture.
        """
        with faults_in_words("the picture cannot be drawn"):
            self._draw(params)
            np.copyto(self._pixels, self._running.program.output.cpu().numpy())
        return self._pixels

    def begin(self, params: GeneratorParams, into: Pixels) -> Ticket:
        """Begin the picture for ``params``; it travels to ``into`` while the next one is begun.

        Raises:
            GeneratorError: as for :meth:`generate`.
        """
        with faults_in_words("the picture cannot be drawn"):
            self._draw(params)
            if self._outbox is None:
                self._outbox = Outbox(self._size, self._plan.device)
            return self._outbox.send(self._running.program.output, into)

    def resume(self, pixels: Pixels) -> None:
        """Go on from ``pixels``, ``(H, W, 4)`` uint8 of any size, as if they had been drawn last."""
        picture = torch.from_numpy(np.array(pixels[..., :3])).permute(2, 0, 1)[None].to(torch.float32) / 255.0
        self._running.loop.resume(picture)

    def close(self) -> None:
        """Give back the model, the rungs and the device's memory; a second call does nothing."""
        rig, self._rig = self._rig, None
        if rig is None:
            return
        rig.close()
        if self._outbox is not None:
            self._outbox.close()
        del self._order
        give_memory_back(self._plan.device)

    @property
    def _running(self) -> Rig:
        if self._rig is None:
            raise GeneratorError("the turbo generator is closed")
        return self._rig

    def _draw(self, params: GeneratorParams) -> None:
        while True:
            try:
                self._running.frame(params)
                break
            except FAULTS as error:
                if not is_out_of_memory(error):
                    raise
                self._complain(error)
            # Out here nothing holds on to the tensors of the frame that failed.
            self._step_down()
        self._frames += 1
        if self._frames == _SETTLED:
            used = gigabytes(peak(self.plan.device))
            log.info("%s on %s: at most %s in use", self._order.parts.name, self.rung, used)
            self._host.say(DETAIL, "ok", f"{self._running.words}, at most {used}")

    def _step_down(self) -> None:
        """Make everything smaller and go on from the same picture."""
        rig, self._rig = self._running, None
        state = rig.loop.carry("cpu")
        rig.close()
        del rig
        self._shrink()
        self._start(state)

    def _start(self, state: LoopState | None) -> None:
        """Build all for the plan and go on from ``state``, stepping down as often as memory runs out."""
        while self._rig is None:
            try:
                self._rig = Rig(self._order, self._plan, state)
            except (*FAULTS, VJError) as error:
                if not is_out_of_memory(error):
                    raise
                self._complain(error)
            if self._rig is None:
                self._shrink()

    def _shrink(self) -> None:
        """Take the next smaller plan.

        Raises:
            GeneratorError: if there is none.
        """
        give_memory_back(self._plan.device, thoroughly=True)
        found = step_down(self._plan, self._full_vae)
        if found is None:
            width, height = self._plan.size
            raise GeneratorError(
                f"out of memory even at {width}x{height}: close other programs or take a smaller model"
            )
        self._plan, words = found
        self._host.say("memory", "warn", words)

    def _complain(self, error: BaseException) -> None:
        log.warning("out of memory at %dx%d: %s", *self._plan.size, first_line(error))

    def _foretell(self, options: TurboOptions, free: int) -> None:
        """Say what the model will take before it is loaded, where its size is known by its name."""
        source = read_name(options.model)
        kind = _PUBLISHED.get(source.random) if source.row is None else source.row.kind
        if kind is None:
            return
        needed = estimate(FACTS[kind], self._plan, self._likely_rung(options), self._full_vae).total
        self._host.alive(f"loading {options.model}: about {gigabytes(needed)}, {gigabytes(free)} free")

    def _likely_rung(self, options: TurboOptions) -> RungName:
        return fastest_first(self._plan.device)[0] if options.rung == "auto" else cast(RungName, options.rung)

    def _fit(self, free: int) -> None:
        """Plan no more than fits into the ``free`` bytes that there were before the model was loaded."""
        options, parts = self._order.options, self._order.parts
        rung = self._likely_rung(options)
        fit = fitting_plan(facts_of(parts), self._plan, rung, self._full_vae, free)
        log.info("%s needs about %s; %s are free", parts.name, gigabytes(fit.estimate.total), gigabytes(free))
        if fit.words:
            self._host.say("memory", "warn", fit.words)
        self._plan = fit.plan
        if fit.rung != rung and options.rung == "auto":
            self._order = replace(self._order, options=replace(options, rung=fit.rung))
