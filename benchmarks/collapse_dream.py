"""A small latent diffusion model, trained here, that dreams a little of its last picture anew, from one noise.

As a turbo model does it: encode, add noise, predict the clean latents in one step, decode. The auto-encoder is that of
:mod:`benchmarks.collapse_codec`; the denoiser learns from pictures of this benchmark. One step of a model that small
is the mean of what it could have been: softer and duller a picture, and drawn towards what the noise happens to hold.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from benchmarks.collapse_codec import LATENTS, RECIPE, Codec, cached, load
from benchmarks.collapse_loops import FPS, SIZE, PixelLoop
from benchmarks.collapse_scenes import SCENES, Picture, colours, draw
from vjengine.core.correction import Correction
from vjengine.core.generation import GeneratorParams

STRENGTH = 0.3
"""Share of the picture that is dreamt anew: the noise's standard deviation over that of noise and latents together."""
STEPS, BATCH, PICTURES, WIDTH = 350, 8, 96, 64
DREAM_RECIPE = f"dream-1-{STEPS}-{BATCH}-{PICTURES}-{WIDTH}-{STRENGTH}-{RECIPE}"
"""To be changed with anything that decides a weight."""


class Denoiser(nn.Module):
    """Clean latents from noisy ones at the one strength of the loop, both ``(n, 32, h, w)`` with variance 1."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(LATENTS, WIDTH, 3, padding=1)
        self.middle = nn.ModuleList(
            nn.Sequential(
                nn.SiLU(),
                nn.Conv2d(WIDTH, WIDTH, 3, padding=reach, dilation=reach),
                nn.SiLU(),
                nn.Conv2d(WIDTH, WIDTH, 1),
            )
            for reach in (1, 2, 4, 1)
        )
        self.last = nn.Conv2d(WIDTH, LATENTS, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        """Return the prediction."""
        x = self.first(noisy)
        for block in self.middle:
            x = x + block(x)
        clean: torch.Tensor = noisy + self.last(x)
        return clean


class Dreamer(nn.Module):
    """The codec, what its latents are divided by, and the denoiser."""

    mean: torch.Tensor
    spread: torch.Tensor

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.codec = codec
        self.denoiser = Denoiser()
        self.register_buffer("mean", torch.zeros(1, LATENTS, 1, 1))
        self.register_buffer("spread", torch.ones(1, LATENTS, 1, 1))

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return latents, in the mean over many pictures of mean 0 and variance 1."""
        found: torch.Tensor = (self.codec.analyse(pictures) + self.codec.encoder(pictures) - self.mean) / self.spread
        return found

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return pictures."""
        whole = latents * self.spread + self.mean
        found: torch.Tensor = self.codec.synthesise(whole) + self.codec.decoder(whole)
        return found


def noisy(latents: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Return ``latents`` with :data:`STRENGTH` of ``noise``; the variance stays."""
    return math.sqrt(1.0 - STRENGTH**2) * latents + STRENGTH * noise


def train() -> Dreamer:
    """Train from a fixed seed on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            dreamer, latents = Dreamer(load()), []
            random = np.random.default_rng(11)
            with torch.inference_mode():
                for number in range(PICTURES):
                    palette = colours(SCENES[number % len(SCENES)])
                    if number % 3 == 0:
                        palette = random.random((5, 3)).astype(np.float32)
                    picture = torch.from_numpy(draw(palette, SIZE, random)).permute(2, 0, 1)[None]
                    latents.append(dreamer.encode(picture))
            known = torch.cat(latents).clone()
            dreamer.mean.copy_(known.mean(dim=(0, 2, 3), keepdim=True))
            dreamer.spread.copy_(known.std(dim=(0, 2, 3), keepdim=True))
            known = (known - dreamer.mean) / dreamer.spread
            learnt = list(dreamer.denoiser.parameters())
            optimiser = torch.optim.AdamW(learnt, lr=1e-3)
            plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=STEPS)
            for _ in range(STEPS):
                clean = known[torch.randint(len(known), (BATCH,))]
                loss = (dreamer.denoiser(noisy(clean, torch.randn_like(clean))) - clean).square().mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                plan.step()
    finally:
        torch.set_num_threads(threads)
    return dreamer


def load_dreamer() -> Dreamer:
    """Return the trained model, trained now if it is not kept."""
    dreamer = cached(DREAM_RECIPE, lambda: Dreamer(Codec()), train, "the small diffusion model")
    assert isinstance(dreamer, Dreamer)
    return dreamer.requires_grad_(False)


class DreamLoop(PixelLoop):
    """Diffusion on its own last picture with one seed for as long as nobody asks to travel on to others.

    Latent statistics are held, and seeds travelled, as the engine does it. What is corrected on the picture is
    corrected outside, as in the other loops.
    """

    def __init__(self, start: str, seed: int = 1) -> None:
        torch.set_num_threads(1)
        super().__init__(self._dream, start, seed=seed)
        self._dreamer = load_dreamer()
        self._seed, self._shape = seed, (1, LATENTS, SIZE[1] // 8, SIZE[0] // 8)
        self._place = 0.0
        self._noise = self._drawn(0)
        self._correction = Correction()
        self._kept = 0
        self._anchor: tuple[torch.Tensor, torch.Tensor] | None = None
        self._latents: torch.Tensor | None = None

    def begin(self, again: int = 0) -> Picture:
        """Return the start picture, turned over ``again`` times."""
        self._anchor, self._latents = None, None
        return super().begin(again)

    def step(self, picture: Picture, params: GeneratorParams) -> Picture:
        """Move and dream."""
        self._correction = params.correction
        if params.correction.keep != self._kept and self._latents is not None:
            self._kept = params.correction.keep
            self._anchor = _statistics(self._latents)
        if params.correction.travel > 0.0:
            self._travel(params.correction.travel / FPS)
        return super().step(picture, params)

    def _drawn(self, number: int) -> torch.Tensor:
        """Return the noise of seed ``number``."""
        random = np.random.default_rng((self._seed, 9, number) if number else (self._seed, 9))
        return torch.from_numpy(random.standard_normal(self._shape, np.float32))

    def _travel(self, seeds: float) -> None:
        """Go on from seed to seed by so many, as the engine's generator answers a freeze; the variance stays."""
        self._place += seeds
        number = math.floor(self._place)
        angle = 0.5 * math.pi * (self._place - number)
        self._noise = math.cos(angle) * self._drawn(number) + math.sin(angle) * self._drawn(number + 1)

    def _dream(self, picture: Picture, step: int) -> Picture:
        with torch.inference_mode():
            latents = self._dreamer.encode(torch.from_numpy(picture).permute(2, 0, 1)[None])
            dreamt = self._dreamer.denoiser(noisy(latents, self._noise))
            share = self._correction.latents
            if self._anchor is not None and share > 0.0:
                mean, spread = _statistics(dreamt)
                steered = (dreamt - mean) / spread * self._anchor[1] + self._anchor[0]
                dreamt = torch.lerp(dreamt, steered, share)
            self._latents = dreamt
            back: Picture = self._dreamer.decode(dreamt)[0].permute(1, 2, 0).numpy()
        return back


def _statistics(latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    spread, mean = torch.std_mean(latents, dim=(2, 3), correction=0, keepdim=True)
    return mean, spread.clamp_min(1e-3)
