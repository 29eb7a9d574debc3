"""The loop: one program, and everything that is carried from frame to frame, in one value that can change programs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import torch

from vjengine.core.correction import NO_CORRECTION, Correction
from vjengine.generate.turbo.controls import Controls
from vjengine.generate.turbo.noise import NoiseFields, NoiseState
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.program import Dials, FrameProgram
from vjengine.generate.turbo.schedule import Schedule
from vjengine.generate.turbo.warp import MAX_STEP, motion


@dataclass(frozen=True, slots=True)
class LoopState:
    """All that a frame owes to the frames before it.

    Attributes:
        picture: ``(1, 3, H, W)`` float32, 0-1; None before the first frame.
        latents: ``(1, 4, h, w)`` float32 that the picture was decoded from; None without any.
        noise: where the noise stands.
        time: session time (s) of the last frame; None before the first.
        dreamt: False until a frame was made of something: that one is dreamt at full strength, for it has nothing
            to keep.
        anchor: ``(1, 3, H, W)`` float32: the anchor picture that corrections go back to; None without any.
        latent_anchor: spread and mean of its latents, as :attr:`.keep.Keep.latents`; None without any.
        anchored: True once an anchor was kept.
        corrected: number of the last correction that was carried out.
        keeps: anchors asked for so far; None before the first frame.
        restarts: fresh starts asked for so far.
    """

    picture: torch.Tensor | None = None
    latents: torch.Tensor | None = None
    noise: NoiseState = field(default_factory=NoiseState)
    time: float | None = None
    dreamt: bool = False
    anchor: torch.Tensor | None = None
    latent_anchor: torch.Tensor | None = None
    anchored: bool = False
    corrected: int = 0
    keeps: int | None = None
    restarts: int = 0


class TurboLoop:
    """Runs a program frame after frame.

    Args:
        program: what to run; the loop does not close it.
        parts: the model.
        seed: the spec's seed.
        state: what to go on from.
    """

    def __init__(self, program: FrameProgram, parts: TurboParts, seed: int, state: LoopState | None = None) -> None:
        schedule = Schedule(parts.alphas, parts.sampling, parts.prediction)
        # Faders rest most of the time.
        self._rows = lru_cache(maxsize=16)(schedule.rows)
        self._seed = seed
        self._fields: NoiseFields
        self._loras: tuple[float, ...] | None = None
        self._state = LoopState()
        self._begin(program, LoopState() if state is None else state)

    @property
    def program(self) -> FrameProgram:
        """The program that runs now."""
        return self._program

    @torch.inference_mode()
    def carry(self, device: str = "") -> LoopState:
        """Return the state as it is now, with tensors of its own, on ``device`` (where they are, if empty)."""

        def copied(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.detach().to(device or tensor.device, copy=True)

        program, state = self._program, self._state
        return replace(
            state,
            picture=copied(program.picture),
            latents=copied(program.latents),
            anchor=copied(program.kept.anchor) if state.anchored else None,
            latent_anchor=copied(program.kept.latents) if state.anchored else None,
        )

    def take(self, program: FrameProgram) -> None:
        """Go on with another program, of whatever size, rung and device; the old one is not closed."""
        self._begin(program, self.carry())

    def resume(self, picture: torch.Tensor) -> None:
        """Go on from ``picture``, ``(1, 3, any, any)`` float 0-1, as if it had been drawn last."""
        self._program.restart(picture)
        self._state = replace(self._state, dreamt=True)

    def step(self, controls: Controls) -> None:
        """Enqueue the frame of ``controls``; ``program.output`` holds it once the device is done.

        A correction is carried out once, however often it comes. A picture that starts from nothing is not corrected:
        what was worked out on another one does not fit it.
        """
        correction, program = controls.correction, self._program
        state = self._heed(correction)
        due = state.dreamt and correction.number not in (0, state.corrected)
        if not state.anchored:
            correction = replace(correction, anchor=0.0, latents=0.0)
        # A clock that was set back does not turn the picture back; a first frame has nothing behind it.
        elapsed = 0.0 if state.time is None else min(max(controls.time - state.time, 0.0), MAX_STEP)
        moved = motion(controls, elapsed, program.plan.size[0] / program.plan.size[1])
        noise = state.noise.travelled(controls.seed_travel * elapsed, moved)
        self._write_loras(controls.loras)
        program.write_dials(
            Dials(
                motion=moved,
                noise=self._fields.mix((self._seed, controls.seed, controls.reseed), noise, controls.noise),
                rows=self._rows(controls.strength if state.dreamt else 1.0, controls.steps),
                feedback=controls.feedback if state.dreamt else 0.0,
                init=controls.init,
                guidance=controls.guidance,
                correction=correction if due else Correction(latents=correction.latents),
            )
        )
        program.run(controls.steps, controls.guided)
        # Only now, when it has gone well: a frame that fails is tried again, on another program.
        corrected = correction.number or state.corrected
        self._state = replace(state, noise=noise, time=controls.time, dreamt=True, corrected=corrected)

    def _heed(self, correction: Correction) -> LoopState:
        """Do what the correction's counters ask for.

        Counters that are seen for the first time ask for nothing, and neither does a correction that is none.
        A performer who turns the stabiliser off and on does not get a new picture for it: fresh starts only count up.

        Returns:
            The state to go on from.
        """
        state, program = self._state, self._program
        if state.keeps is None:
            return replace(state, keeps=correction.keep, restarts=correction.restart)
        if correction == NO_CORRECTION:
            return state
        if correction.restart > state.restarts:
            # There is no finished picture to keep now: an anchor asked for at the same time is the next one.
            program.restart()
            return replace(state, dreamt=False, restarts=correction.restart)
        state = replace(state, restarts=correction.restart)
        if correction.keep == state.keeps or not state.dreamt:
            return state
        program.kept.take(program.picture)
        program.kept.take_latents(program.latents)
        return replace(state, keeps=correction.keep, anchored=True)

    def _begin(self, program: FrameProgram, state: LoopState) -> None:
        self._program = program
        self._fields = NoiseFields(program.plan.latent_shape[1:], program.write_field)
        self._loras = None
        program.restart(state.picture, state.latents)
        if state.anchor is not None:
            program.kept.take(state.anchor, state.latent_anchor)
        # The tensors live on in the program: keeping these too would hold a picture's memory for nothing.
        self._state = replace(state, picture=None, latents=None, anchor=None, latent_anchor=None)

    def _write_loras(self, weights: tuple[float, ...]) -> None:
        if weights != self._loras:
            self._program.networks.set_lora(weights)
            self._loras = weights
