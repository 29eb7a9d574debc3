"""The continuation ``svd``: Stable Video Diffusion, chunk after chunk, for as long as the film is to be.

The model sees the scene's anchor and begins at the tail, so the one holds what the film is about and the other where it
stands. The first picture that it draws is its own idea of the one that it was given, not that picture: it is left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.device import chosen_device, chosen_precision, give_memory_back
from vjengine.generate.turbo.memory import free_memory
from vjengine.generate.turbo.options import TurboOptions
from vjengine.generate.turbo.quiet import silence_libraries
from vjengine.offline.continuation import Ask, Carried, Clip, Need, Opening, Pixels16, Watcher
from vjengine.offline.diffusion.conditioning import augmentation, begun, guidance_ramp, mixed, seen, told
from vjengine.offline.diffusion.decode import CELL, decode
from vjengine.offline.diffusion.denoise import Conditions, Predictor, denoise
from vjengine.offline.diffusion.drawer import Drawer, Dream
from vjengine.offline.diffusion.faults import told_apart
from vjengine.offline.diffusion.films import SamplerName, find
from vjengine.offline.diffusion.lean import make_lean
from vjengine.offline.diffusion.options import FRAMES_FLOOR, MAX_GUIDANCE, SvdOptions
from vjengine.offline.diffusion.parts import SvdParts, load_parts, read_card
from vjengine.offline.diffusion.pictures import drawn_size, fitted, mark_of, to_tensor
from vjengine.offline.diffusion.sampling import first_spread, schedule
from vjengine.offline.diffusion.thrift import LIGHTNESS, Thrift, estimate, unpacked

_CODE = 1
"""Number of this code's pictures: another one, and what was made before does not fit what is made after."""
_ROOM = 0.8
"""Share of the free memory that may be taken for speed alone."""
_LATENTS, _MARK = "latents", "mark"


class SvdContinuation:
    """See :class:`~vjengine.offline.continuation.Continuation`.

    Args:
        options: what to run, and how.

    Raises:
        UsageError: no model can have that name, or there is no such device.
        GeneratorError: the model is not here, or broken; the message says what to do.
    """

    name = "svd"
    tail = 1

    def __init__(self, options: SvdOptions | None = None) -> None:
        silence_libraries()
        self._options = options = options or SvdOptions()
        turbo = TurboOptions(device=options.device, precision=options.precision)
        self._device = chosen_device(turbo)
        self._precision = chosen_precision(turbo, self._device)
        self._on_gpu = self._device != "cpu"
        if options.threads:
            torch.set_num_threads(options.threads)
        self.card = card = read_card(find(options.model), self._precision, options.vae_precision)
        self._sampler: SamplerName = card.sampler if options.sampler == "auto" else options.sampler
        self._steps = options.steps or (card.steps if self._sampler == card.sampler else 25)
        self._most = min(MAX_GUIDANCE, card.place.film.guidance) if card.place.film else MAX_GUIDANCE
        self._thrift = Thrift(
            options.frames or card.frames,
            options.decode,
            options.together == "yes",
            options.tiled,
            options.offload and self._on_gpu,
        )
        self._undecided = options.together == "auto" and self._on_gpu
        self._parts: SvdParts | None = None
        self.chunk = self._thrift.frames - 1
        self.deterministic = not self._on_gpu
        self.version = self._version()

    def need(self, size: tuple[int, int], frames: int) -> Need:
        """Estimate the memory of a chunk of ``frames`` new pictures."""
        found = estimate(self.card.facts, self._for(frames), drawn_size(size), True, self._on_gpu)
        return replace(found, on=self._device)

    def open(self, opening: Opening, size: tuple[int, int], watcher: Watcher) -> Carried:
        """Begin with the pictures that there are, or with one that the turbo model draws of the text."""
        if opening.pictures is not None:
            frames = fitted(opening.pictures, size)
        else:
            self.close()  # there may not be room for both models

            def first() -> Pixels16:
                return first_picture(opening, size, self._options.picture_model, self._device, watcher)[None]

            frames = told_apart("the first picture cannot be drawn", self._device, first)
        return Carried(frames, frames[0])

    def extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
        """Make the pictures after the last one."""
        lighter = unpacked(carried.state)
        if lighter is not None:
            # A film goes on as it was made: what was given up, and what was decided, stays so.
            together = lighter.together and (self._undecided or self._thrift.together)
            self._take(replace(self._thrift.lightest(lighter), together=together))
            self._undecided = False
        if self._undecided:
            self._decide(carried.frames.shape[2], carried.frames.shape[1])
        return told_apart(
            f"{self._for(ask.frames).frames} pictures cannot be made at a time",
            self._device,
            lambda: self._extend(carried, ask, watcher),
        )

    def lighten(self) -> str:
        """Take less memory: one thing after the other gives way, the length of a chunk last."""
        self._undecided = False
        thrift, words = self._thrift.lighter(self._on_gpu)
        self._take(thrift)
        return words

    def close(self) -> None:
        """Let go of the model."""
        if self._parts is not None:
            self._parts = None
            give_memory_back(self._device, thoroughly=True)

    # ------------------------------------------------------------ a chunk

    @torch.inference_mode()
    def _extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
        began = time.perf_counter()
        parts, thrift = self._loaded(watcher), self._for(ask.frames)
        tail = carried.frames[-1]
        size = tail.shape[1], tail.shape[0]
        numbers = torch.Generator("cpu").manual_seed(ask.seed & (2**63 - 1))
        conditions = self._conditions(parts, carried, ask, thrift, numbers)
        width, height = drawn_size(size)
        shape = (1, thrift.frames, 4, height // CELL, width // CELL)

        def noise() -> torch.Tensor:
            # Drawn on the CPU: the same film on every device, as far as devices agree.
            return torch.randn(shape, generator=numbers).to(self._device)

        steps = schedule(self._sampler, self._steps, self.card.levels)

        def step(number: int) -> None:
            watcher.alive(f"chunk {ask.index + 1}: step {number + 1} of {len(steps)}", 0.9 * number / len(steps))

        with self._at_work(parts.unet), _heard(parts.unet, watcher):
            predictor = Predictor(parts.unet, conditions, together=thrift.together)
            x = noise() * first_spread(self._sampler, self.card.levels)
            x = denoise(predictor, conditions, x, steps, guided=self._options.guided, noise=noise, tell=step)
            del predictor

        def picture(done: int, total: int) -> None:
            watcher.alive(f"chunk {ask.index + 1}: decoding", 0.9 + 0.1 * done / total)

        with self._at_work(parts.vae):
            frames = decode(parts.vae, x[0], size, first=1, at_once=thrift.decode, tiled=thrift.tiled, tell=picture)
        state: dict[str, Any] = {LIGHTNESS: self._thrift.packed()}
        if self._options.handover == "latent":
            state[_LATENTS] = x[0, -1].cpu().numpy().astype(np.float32)
            state[_MARK] = mark_of(frames[-1])
        notes = {
            "seed": ask.seed,
            "sampler": self._sampler,
            "steps": self._steps,
            "motion_bucket": conditions.told[0, 1].item(),
            "noise": conditions.told[0, 2].item(),
            "guidance": [round(conditions.guidance[0], 4), round(conditions.guidance[-1], 4)],
            "seconds": round(time.perf_counter() - began, 3),
        }
        return Clip(frames, state, notes)

    def _conditions(
        self, parts: SvdParts, carried: Carried, ask: Ask, thrift: Thrift, numbers: torch.Generator
    ) -> Conditions:
        options, card, tail = self._options, self.card, carried.frames[-1]
        picture = to_tensor(tail)
        with self._at_work(parts.encoder):
            # What has no share in it is not looked at.
            views = [carried.anchor] * (options.anchor > 0.0) + [tail] * (options.anchor < 1.0)
            found = [seen(parts.encoder, to_tensor(view).to(self._device), card.mean, card.deviation) for view in views]
            embedding = mixed(found[0], found[-1], options.anchor)
        amount = augmentation(ask.noise)
        noise = torch.randn(picture.shape, generator=numbers)
        carried_latents = carried.state.get(_LATENTS)
        if carried_latents is not None and np.array_equal(carried.state[_MARK], mark_of(tail)):
            latents = torch.from_numpy(np.array(carried_latents, np.float32))[None].to(self._device)
            latents = latents / parts.vae.config.scaling_factor
            # The same noise at the latents' size: what a cell's pictures have in common would average out.
            coarse = noise[:, :, ::CELL, ::CELL].to(self._device)
            coarse = torch.cat((coarse, coarse[:, :1].roll(1, -1)), dim=1)
            latents = latents + amount * latents.std() * coarse
        else:
            with self._at_work(parts.vae):
                latents = begun(parts.vae, picture.to(self._device), noise.to(self._device), amount)
        return Conditions(
            embedding,
            latents,
            torch.tensor([told(float(ask.fps), ask.motion, ask.noise)], device=self._device),
            guidance_ramp(*ask.guidance, thrift.frames, self._most),
        )

    # ------------------------------------------------------------ parts and memory

    def _loaded(self, watcher: Watcher) -> SvdParts:
        if self._parts is None:
            parts = load_parts(
                self.card,
                device=self._device,
                precision=self._precision,
                vae_precision=self._options.vae_precision,
                alive=watcher.alive,
            )
            make_lean(parts.unet, parts.vae)
            parts.to("cpu" if self._thrift.offload else self._device)
            self._parts = parts
        return self._parts

    def _decide(self, width: int, height: int) -> None:
        """Ask for both halves of guidance in one pass if there is room for it."""
        self._undecided = False
        wanted = replace(self._thrift, together=True)
        held = 0.0
        if self._parts is not None:
            held = sum(getattr(self.card.facts, part) for part in ("unet", "encoder", "vae")) * self.card.facts.bytes
        need = estimate(self.card.facts, wanted, drawn_size((width, height)), True, self._on_gpu)
        if need.device * (1 << 20) < _ROOM * (free_memory(self._device) + held):
            self._take(wanted)

    def _take(self, thrift: Thrift) -> None:
        if thrift.offload and not self._thrift.offload and self._parts is not None:
            self._parts.to("cpu")
            give_memory_back(self._device)
        self._thrift = thrift
        self.chunk = thrift.frames - 1

    def _for(self, frames: int) -> Thrift:
        """Return how a chunk of ``frames`` new pictures is made: as many, if that are not too few for the model."""
        wanted = min(max(frames + 1, FRAMES_FLOOR), self._thrift.frames)
        return replace(self._thrift, frames=wanted)

    @contextmanager
    def _at_work(self, module: Any) -> Iterator[None]:
        """Have ``module`` on the device meanwhile."""
        if not self._thrift.offload:
            yield
            return
        torch.nn.Module.to(module, device=self._device)
        try:
            yield
        finally:
            torch.nn.Module.to(module, device="cpu")
            give_memory_back(self._device)

    def _version(self) -> str:
        import diffusers

        options, thrift = self._options, self._thrift
        facts = (
            self.card.fingerprint, self._sampler, self._steps, thrift.frames, options.anchor, options.handover,
            options.guided, self._precision, options.vae_precision, thrift.decode, thrift.tiled, options.together,
            options.picture_model, self._device.partition(":")[0], torch.__version__, diffusers.__version__,
        )  # fmt: skip
        return f"svd {_CODE}: " + " ".join(map(str, facts))


@contextmanager
def _heard(network: Any, watcher: Watcher) -> Iterator[None]:
    """Let the watcher in between any two blocks: a step of a large model takes a while, and Ctrl-C cannot wait."""

    def here(*_: object) -> None:
        watcher.alive("")

    blocks = [*network.down_blocks, network.mid_block, *network.up_blocks]
    hooks = [block.register_forward_pre_hook(here) for block in blocks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def first_picture(opening: Opening, size: tuple[int, int], model: str, device: str, watcher: Watcher) -> Pixels16:
    """Return the picture ``(H, W, 3)`` that the turbo model ``model`` draws of the opening's text.

    Raises:
        GeneratorError, UsageError: as the turbo generator; RuntimeError: torch's own.
    """
    if not opening.prompt.strip():
        raise GeneratorError("a film begins with a text, an image or a video: give one of them")
    precision = chosen_precision(TurboOptions(), device)
    drawer = Drawer(model, size, device=device, precision=precision, alive=watcher.alive)
    try:
        drawer.say((opening.prompt, opening.prompt), opening.negative)
        watcher.alive("drawing the first picture", -1.0)
        return drawer.draw(None, Dream(1.0, 4, 1.5, (opening.seed, opening.seed)))
    finally:
        drawer.close()
