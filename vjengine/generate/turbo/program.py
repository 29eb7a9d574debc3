"""The whole frame as one program over static buffers: recorded once, steered by numbers written in place.

    last picture → warp → (init picture) → correction → encode → latent feedback → noise → 1-4 steps → decode

Nothing here allocates after the constructor returns, nothing waits for the device, and nothing on the host decides
anything between the first kernel and the last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from vjengine.core.correction import NO_CORRECTION, Correction
from vjengine.core.frame import Pixels
from vjengine.errors import GeneratorError
from vjengine.generate.turbo.accel.base import Networks
from vjengine.generate.turbo.accel.capture import can_capture, capture
from vjengine.generate.turbo.controls import MAX_FEEDBACK
from vjengine.generate.turbo.keep import KEEP_DIALS, Keep, resized
from vjengine.generate.turbo.noise import SLOTS, Field, NoiseMix, mixed_noise, start_picture
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan
from vjengine.generate.turbo.schedule import COLUMNS, MAX_STEPS
from vjengine.generate.turbo.staging import Inlet
from vjengine.generate.turbo.warp import Affine, Warp, identity

MAX_LATENT = 16.0
"""Latents stay within this; real ones stay within 6. Beyond it a half-precision decoder overflows."""

_GREY = 0.5


@dataclass(frozen=True, slots=True)
class Dials:
    """The numbers of one frame.

    Attributes:
        motion: how the last picture moved, see :mod:`.warp`.
        noise: how the noise is mixed.
        rows: ``(MAX_STEPS, len(COLUMNS))`` float32 of :class:`~.schedule.Schedule`.
        feedback: share of the last latents, 0-1.
        init: share of the init picture, 0-1.
        guidance: pull away from the negative text.
        correction: what to do to the moved picture and its latents; number 0 for nothing.
    """

    motion: Affine
    noise: NoiseMix
    rows: npt.NDArray[np.float32]
    feedback: float = 0.0
    init: float = 0.0
    guidance: float = 1.0
    correction: Correction = NO_CORRECTION

    def packed(self, keep: Keep) -> npt.NDArray[np.float32]:
        """Return all of them in one ``(_DIALS,)`` float32 array, in the order that :class:`_Views` reads.

        Args:
            keep: of the program that they are for.
        """
        return np.concatenate(
            (
                self.motion.reshape(6),
                self.noise.maps.reshape(12),
                self.noise.layers,
                self.noise.weights,
                self.rows.reshape(-1),
                # Checked here too, whoever sets it: above the limit the picture is gone within seconds.
                (min(max(self.feedback, 0.0), MAX_FEEDBACK), min(max(self.init, 0.0), 1.0), self.guidance),
                keep.numbers(self.correction),
            ),
            dtype=np.float32,
        )


_DIALS = 6 + 12 + 2 + SLOTS + MAX_STEPS * len(COLUMNS) + 3 + KEEP_DIALS


class _Views:
    """The dials on the device: one static tensor, and names for its parts."""

    def __init__(self, device: torch.device) -> None:
        self.all = torch.zeros(_DIALS, device=device)
        sizes = [6, 12, 2, SLOTS, MAX_STEPS * len(COLUMNS), 1, 1, 1, KEEP_DIALS]
        parts = torch.split(self.all, sizes)
        motion, maps, self.layers, self.weights, rows, self.feedback, self.init, self.guidance, self.keep = parts
        self.motion, self.maps, self.rows = motion, maps.view(2, 6), rows.view(MAX_STEPS, len(COLUMNS))


class FrameProgram:
    """One rung's networks and everything around them, for one plan. Recorded as far as the rung allows.

    The networks must hold a text (and a negative one where guidance means something) before this is made: making it
    runs them.

    Args:
        networks: the rung.
        parts: the model.
        plan: what both were made for.
        size: (width, height) of the output, px; the plan's if None. Another size is reached by resampling.
        seed: of the picture that a new or broken loop starts from, and of the noise of corrections.

    Attributes:
        output: ``(H, W, 4)`` uint8 RGBA on the device, the last frame.
        picture: ``(1, 3, H, W)`` float32, 0-1: the loop's picture.
        latents: ``(1, 4, h, w)`` float32: what it was decoded from.
        kept: the anchor picture and the statistics of its latents; carries out corrections.
        unrecorded: why the frame plays unrecorded although the rung could be; empty otherwise.
    """

    def __init__(
        self,
        networks: Networks,
        parts: TurboParts,
        plan: FramePlan,
        *,
        size: tuple[int, int] | None = None,
        seed: int = 1,
    ) -> None:
        self.networks, self.plan = networks, plan
        self.size = plan.size if size is None else size
        self.unrecorded = ""
        self._device = torch.device(plan.device)
        self._wants_guidance = parts.wants_guidance
        picture, latent = plan.picture_shape, plan.latent_shape

        def empty(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.zeros(shape, dtype=dtype, device=self._device)

        self.picture = empty(*picture)
        self.latents = empty(*latent)
        self.output = empty(self.size[1], self.size[0], 4, dtype=torch.uint8)
        self._dials = _Views(self._device)
        self.kept = Keep(*plan.size, latent[1], self._dials.keep, seed)
        self._correcting = False
        self._moved = empty(*picture)
        self._origin = empty(*picture)
        self._init = empty(*picture)
        self._init_pixels = empty(plan.size[1], plan.size[0], 3, dtype=torch.uint8)
        self._fields = empty(SLOTS, *latent[1:])
        self._faults = empty(2)
        self._warp = Warp(*picture[2:], self._device)
        self._latent_warp = Warp(*latent[2:], self._device)
        self._dial_inlet, self._init_inlet = Inlet(self._dials.all), Inlet(self._init_pixels)
        self._field_inlets = [Inlet(one) for one in self._fields]
        self._seen_faults = torch.zeros(2, pin_memory=self._device.type == "cuda")
        self._played: dict[tuple[int, bool], Callable[[], None]] = {}
        self._origin.copy_(torch.from_numpy(start_picture((seed, 0, 0), plan.size)))
        self._record()
        self.restart()

    def write_dials(self, dials: Dials) -> None:
        """Set the numbers of the next frame."""
        self._correcting = dials.correction.number != 0
        self._dial_inlet.write(dials.packed(self.kept))

    def write_field(self, slot: int, noise: Field) -> None:
        """Put a noise field in its slot; see :class:`~.noise.NoiseFields`."""
        self._field_inlets[slot].write(noise)

    @torch.inference_mode()
    def write_init(self, pixels: Pixels) -> None:
        """Set the init picture: ``(H, W, 3)`` uint8 of the plan's size.

        Raises:
            GeneratorError: if it has another shape.
        """
        if pixels.shape != tuple(self._init_pixels.shape) or pixels.dtype != np.uint8:
            raise GeneratorError(f"an init picture is {tuple(self._init_pixels.shape)} uint8, not {pixels.shape}")
        self._init_inlet.write(pixels)
        self._init.copy_(self._init_pixels.permute(2, 0, 1)[None])
        self._init.div_(255.0)

    @torch.inference_mode()
    def restart(self, picture: torch.Tensor | None = None, latents: torch.Tensor | None = None) -> None:
        """Go on from ``picture`` ``(1, 3, any, any)`` and ``latents`` ``(1, 4, any, any)``, of any size and device.

        Without a picture the loop starts from its origin; without latents, from none.
        """
        if picture is None:
            self.picture.copy_(self._origin)
        else:
            self.picture.copy_(resized(picture, self.plan.picture_shape).clamp(0.0, 1.0))
        if latents is None:
            self.latents.zero_()
        else:
            self.latents.copy_(resized(latents, self.plan.latent_shape))

    @torch.inference_mode()
    def run(self, steps: int, guided: bool = False) -> None:
        """Enqueue one frame; :attr:`output` holds it once the device is done."""
        self._played[steps, guided and self._wants_guidance]()
        self._seen_faults.copy_(self._faults, non_blocking=True)

    @property
    def faults(self) -> tuple[int, int]:
        """Frames so far with (some, almost only) numbers that are none; a frame or two old, so as not to wait."""
        return int(self._seen_faults[0]), int(self._seen_faults[1])

    @property
    def buffers(self) -> dict[str, torch.Tensor]:
        """Every static tensor by name: their addresses never change."""
        found = {name.strip("_"): value for name, value in vars(self).items() if isinstance(value, torch.Tensor)}
        kept = {f"kept {name}": value for name, value in self.kept.buffers.items()}
        return {**found, **kept, "dials": self._dials.all}

    def close(self) -> None:
        """Drop the recordings, then the networks; a second call does nothing."""
        self._played.clear()
        self.networks.close()

    @torch.inference_mode()
    def _record(self) -> None:
        """Record every number of steps, so that none has to be recorded in the middle of a show."""
        neutral = np.tile(np.array([999, 0, 1, 0, 1, 0, 1, 0], np.float32), (MAX_STEPS, 1))
        still = np.tile(identity().reshape(6).astype(np.float32), (2, 1))
        weights, layers = np.zeros(SLOTS, np.float32), np.array([1, 0], np.float32)
        self.write_dials(Dials(identity(), NoiseMix(weights, still, layers), neutral))
        for guided in (False, True) if self._wants_guidance else (False,):
            for steps in range(1, MAX_STEPS + 1):
                self._played[steps, guided] = self._recorded(steps, guided)
        self._faults.zero_()

    def _recorded(self, steps: int, guided: bool) -> Callable[[], None]:
        # A recording holds the correction, and its dials say whether it counts; else it is left out where none is.
        def frame(always: bool) -> None:
            self._move(always or self._correcting)
            self._dream(steps, guided)

        try:
            return capture(partial(frame, can_capture(self.networks)), self.networks)
        except GeneratorError as error:
            self.unrecorded = str(error)
            return partial(frame, False)

    def _move(self, correct: bool) -> None:
        """From the last picture to the one that is encoded."""
        dials = self._dials
        moved = self._warp.sharp(self.picture, dials.motion)
        moved = torch.lerp(moved, self._init, dials.init)
        # Healed before it is corrected: there a single number that is none would spread over its neighbours.
        moved = torch.nan_to_num(moved, nan=_GREY).clamp_(0.0, 1.0)
        if correct:
            self.kept.correct(moved, self._moved)
        else:
            self._moved.copy_(moved)

    def _dream(self, steps: int, guided: bool) -> None:
        """From there to the next picture."""
        dials, networks = self._dials, self.networks
        moved = self._moved
        grid = self._latent_warp.grid(dials.motion)
        noise = mixed_noise(self._fields, self._latent_warp, dials.weights, dials.maps, dials.layers)
        kept = self._latent_warp.plain(self.latents, grid)
        x = torch.lerp(_own(networks.encode(moved.to(networks.dtype))), kept, dials.feedback)
        x = dials.rows[0, 1] * x + dials.rows[0, 2] * noise
        for step in range(steps):
            row = dials.rows[step]
            timestep = row[:1].to(torch.int64)
            found = self._predicted(x, timestep, guided)
            believed = row[3] * x + row[4] * found
            # Every step that noises anew takes another part of the field: it is as good as another field.
            height, width = noise.shape[2:]
            anew = noise.roll((height * (step + 1) // 3, width * (step + 2) // 5), dims=(2, 3))
            x = row[5] * x + row[6] * believed + row[7] * anew
        x = self.kept.steer(x)
        x = torch.nan_to_num(x, nan=0.0, posinf=MAX_LATENT, neginf=-MAX_LATENT).clamp_(-MAX_LATENT, MAX_LATENT)
        decoded = networks.decode(x.to(networks.dtype)).to(torch.float32)
        self._finish(decoded, x, moved)

    def _predicted(self, x: torch.Tensor, timestep: torch.Tensor, guided: bool) -> torch.Tensor:
        """Return the UNet's output, float32, pulled away from the negative text if ``guided``."""
        given = x.to(self.networks.dtype)
        found = self.networks.predict(given, timestep)
        if not guided:
            return found.to(torch.float32)
        towards = _own(found)  # the next call may write over what the networks returned
        away = self.networks.predict(given, timestep, negative=True).to(torch.float32)
        return torch.lerp(away, towards, self._dials.guidance)

    def _finish(self, decoded: torch.Tensor, latents: torch.Tensor, moved: torch.Tensor) -> None:
        """Carry the picture on, healed, and make the pixels of it.

        In a loop a number that is none would live for ever: single ones take the moved picture's place, and a picture
        of almost nothing else starts again from the origin.
        """
        finite = torch.isfinite(decoded)
        broken = 1.0 - finite.to(torch.float32).mean()
        lost = broken > 0.5
        picture = torch.where(finite, decoded.clamp(0.0, 1.0), moved)
        self.picture.copy_(torch.where(lost, self._origin, picture))
        self.latents.copy_(torch.where(lost, torch.zeros_like(latents), latents))
        self._faults.add_(torch.stack((broken > 0.0, lost)).to(torch.float32))
        shown = self.picture
        if self.size != self.plan.size:
            shown = functional.interpolate(shown, size=self.size[::-1], mode="bilinear", align_corners=False)
        self.output.fill_(255)
        self.output[..., :3].copy_((shown[0] * 255.0 + 0.5).permute(1, 2, 0))


def _own(tensor: torch.Tensor) -> torch.Tensor:
    """Return a float32 copy."""
    return tensor.to(torch.float32, copy=True)
