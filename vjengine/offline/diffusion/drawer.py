"""The turbo loop's networks, driven one picture at a time, of text alone or of another picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vjengine.generate.turbo.accel.base import TextState
from vjengine.generate.turbo.accel.ladder import RUNGS
from vjengine.generate.turbo.device import give_memory_back
from vjengine.generate.turbo.loading import load_parts
from vjengine.generate.turbo.noise import SLOTS, NoiseMix, draw_field, slerp_weights
from vjengine.generate.turbo.plan import FramePlan, Precision
from vjengine.generate.turbo.program import Dials, FrameProgram
from vjengine.generate.turbo.schedule import MAX_STEPS, Schedule
from vjengine.generate.turbo.text import TextEncoder
from vjengine.generate.turbo.warp import identity
from vjengine.offline.continuation import Pixels16
from vjengine.offline.diffusion.pictures import drawn_size, to_pixels, to_tensor

Alive = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Dream:
    """How one picture is made.

    Attributes:
        strength: how much of it is new, 0-1.
        steps: of denoising.
        guidance: pull of the prompt.
        seeds: noise is on its way between these two ...
        position: ... 0-1.
    """

    strength: float
    steps: int
    guidance: float
    seeds: tuple[int, int]
    position: float = 0.0


class Drawer:
    """A turbo model, ready to draw pictures of one size.

    Args:
        model: as the turbo generator's ``--model``.
        size: (width, height) of the film; any.
        device: torch's name.
        precision: of all networks.
        full_vae: the model's own autoencoder instead of the small one.
        tiled: decode in tiles, with a full autoencoder.
        alive: told what is loaded.

    Raises:
        GeneratorError, UsageError, MissingDependency: as :func:`~vjengine.generate.turbo.loading.load_parts`.
        RuntimeError: torch's own.
    """

    def __init__(
        self,
        model: str,
        size: tuple[int, int],
        *,
        device: str,
        precision: Precision,
        full_vae: bool = False,
        tiled: bool = False,
        alive: Alive,
    ) -> None:
        self._size = size
        self._parts = load_parts(model, device=device, precision=precision, full_vae=full_vae, alive=alive)
        self.plan = FramePlan(drawn_size(size), device, precision, tiled=tiled)
        self._schedule = Schedule(self._parts.alphas, self._parts.sampling, self._parts.prediction)
        self._encoder = TextEncoder(self._parts, self.plan)
        self._texts: dict[str, TextState] = {"": self._encoder.empty}
        networks = RUNGS["graph"].load(self._parts, self.plan, Path())
        networks.set_text(self._encoder.empty)
        if self._parts.wants_guidance:
            networks.set_text(self._encoder.empty, negative=True)
        self._program = FrameProgram(networks, self._parts, self.plan)
        self._held: list[int | None] = [None] * SLOTS
        self._fields = [np.zeros(self.plan.latent_shape[1:], np.float32)] * SLOTS

    @property
    def fingerprint(self) -> str:
        """Stands for the model's weights."""
        return self._parts.fingerprint

    def say(self, texts: tuple[str, str], negative: str, part: float = 1.0) -> None:
        """Set the prompt: ``part`` 0-1 of the way from the first of ``texts`` to the second."""
        old, new = (self._text(text) for text in texts)
        networks = self._program.networks
        networks.set_text(new if part >= 1.0 else _between(old, new, part))
        if self._parts.wants_guidance:
            networks.set_text(self._text(negative), negative=True)

    def draw(self, picture: Pixels16 | None, dream: Dream) -> Pixels16:
        """Return a picture ``(H, W, 3)`` made of ``picture``, or of nothing.

        Raises:
            GeneratorError: if the model drew numbers that are none.
            RuntimeError: torch's own.
        """
        program = self._program
        program.restart(None if picture is None else to_tensor(picture))
        steps = min(max(dream.steps, 1), MAX_STEPS)
        guidance = dream.guidance if self._parts.wants_guidance else 1.0
        program.write_dials(
            Dials(
                motion=identity(),
                noise=self._noise(dream),
                rows=self._schedule.rows(1.0 if picture is None else dream.strength, steps),
                guidance=guidance,
            )
        )
        program.run(steps, guidance > 1.0)
        with torch.inference_mode():
            drawn: Pixels16 = to_pixels(program.picture, self._size)[0]
            return drawn

    def close(self) -> None:
        """Give everything back."""
        self._program.close()
        self._texts.clear()
        del self._parts, self._encoder, self._program
        give_memory_back(self.plan.device)

    def _text(self, text: str) -> TextState:
        if text not in self._texts:
            if len(self._texts) > 16:
                self._texts = {"": self._encoder.empty}
            self._texts[text] = self._encoder.encode(text)
        return self._texts[text]

    def _noise(self, dream: Dream) -> NoiseMix:
        for slot, seed in enumerate(dream.seeds):
            if self._held[slot] != seed:
                field = draw_field((seed, 0, 0), 0, self.plan.latent_shape[1:])
                self._program.write_field(slot, field)
                self._held[slot], self._fields[slot] = seed, field
        weights = np.zeros(SLOTS, np.float32)
        weights[0], weights[1] = slerp_weights(self._fields[0], self._fields[1], dream.position)
        still = identity().reshape(6)
        return NoiseMix(weights, np.array([still, still], np.float32), np.array([1.0, 0.0], np.float32))


def _between(old: TextState, new: TextState, part: float) -> TextState:
    pooled = None
    if old.pooled is not None and new.pooled is not None:
        pooled = torch.lerp(old.pooled, new.pooled, part)
    return TextState(torch.lerp(old.embeds, new.embeds, part), pooled, new.size_ids)
