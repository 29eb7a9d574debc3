"""The denoising loop of a video model: everything that stays the same is made once, before the first step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vjengine.offline.diffusion.sampling import Step


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a chunk is made of.

    Attributes:
        embedding: ``(1, 1, D)``, what is seen.
        latents: ``(1, 4, h, w)``, unscaled, where it begins.
        told: ``(1, 3)``: pictures a second less one, motion bucket, noise on the picture.
        guidance: of each picture; all 1 or less for none.
    """

    embedding: torch.Tensor
    latents: torch.Tensor
    told: torch.Tensor
    guidance: Sequence[float]

    @property
    def guided(self) -> bool:
        """True if the model has to be asked without its picture, too."""
        return max(self.guidance) > 1.0


class Predictor:
    """Asks the model with and without its picture, in one pass or in two.

    Args:
        unet: the UNet.
        conditions: of the chunk.
        together: both in one pass.
    """

    def __init__(self, unet: Any, conditions: Conditions, *, together: bool) -> None:
        weight = next(unet.parameters())
        place = {"device": weight.device, "dtype": weight.dtype}
        frames = len(conditions.guidance)
        self._unet, self._together = unet, together and conditions.guided
        with_it = conditions.embedding.to(**place), conditions.latents.to(**place)
        without = tuple(torch.zeros_like(given) for given in with_it)
        told = conditions.told.to(**place)
        self._place = place

        def given(embedding: torch.Tensor, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            every = latents[:, None].expand(-1, frames, -1, -1, -1)
            return embedding, every, told.expand(len(embedding), -1)

        self._with = given(*with_it)
        self._without = given(*without) if conditions.guided else None
        self._both = (
            given(torch.cat((without[0], with_it[0])), torch.cat((without[1], with_it[1]))) if self._together else None
        )
        self._guidance = torch.tensor(conditions.guidance, dtype=torch.float32, device=weight.device)
        self._guidance = self._guidance[None, :, None, None, None]

    def __call__(self, x: torch.Tensor, step: Step, *, guided: bool) -> torch.Tensor:
        """Return the model's output ``(1, n, 4, h, w)`` float32 for the noisy latents ``x``, float32."""
        scaled = (x * step.scale).to(self._place["dtype"])
        # As whole schedulers hand it over: a tensor on the device, which nothing has to wait for.
        time = torch.full((1,), step.time, dtype=torch.float32, device=x.device)
        if not guided or self._without is None:
            return self._ask(scaled, time, self._with)
        if self._both is not None:
            away, towards = self._ask(scaled.expand(2, -1, -1, -1, -1), time, self._both).chunk(2)
        else:
            towards = self._ask(scaled, time, self._with)
            away = self._ask(scaled, time, self._without)
        return away + self._guidance * (towards - away)

    def _ask(
        self, scaled: torch.Tensor, time: torch.Tensor, given: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        embedding, latents, told = given
        x = torch.cat((scaled, latents), dim=2)
        found: torch.Tensor = self._unet(
            x, time, encoder_hidden_states=embedding, added_time_ids=told, return_dict=False
        )[0]
        return found.to(torch.float32)


def denoise(
    predictor: Predictor,
    conditions: Conditions,
    x: torch.Tensor,
    steps: Sequence[Step],
    *,
    guided: float,
    noise: Callable[[], torch.Tensor],
    tell: Callable[[int], None],
) -> torch.Tensor:
    """Return the clean latents ``(1, n, 4, h, w)``, float32 and scaled, that ``x`` becomes.

    Args:
        predictor: asks the model.
        conditions: of the chunk.
        x: pure noise, of the deviation that the schedule begins with, float32, on the device.
        steps: what each step does.
        guided: share of the steps that are guided, the first ones.
        noise: gives new noise of the shape of ``x``, on its device.
        tell: told the number of each step before it is taken; may raise to leave.
    """
    until = math.ceil(guided * len(steps))
    for number, step in enumerate(steps):
        tell(number)
        found = predictor(x, step, guided=conditions.guided and number < until)
        believed = step.keep * x + step.take * found
        x = step.go_x * x + step.go_x0 * believed
        if step.go_noise:
            x = x + step.go_noise * noise()
    return x
