"""A real auto-encoder, small enough to be trained here: a loop through it loses what every such round trip loses.

Eight times smaller a side, 32 channels: the principal components of 8 x 8 px, and convolutions that learn the rest.
Trained on pictures of this benchmark from one seed, kept in the platform's cache folder under the name of its recipe.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from benchmarks.collapse_loops import Harm
from benchmarks.collapse_scenes import SCENES, Picture, colours, draw
from vjengine.errors import MissingDependency

try:
    import torch
    from torch import nn
except ModuleNotFoundError as missing:
    raise MissingDependency("PyTorch", "pip install 'vjengine[turbo]'") from missing

LATENTS = 32
STEPS = 280
BATCH = 12
CROP = 64
RECIPE = f"codec-4-{LATENTS}-{STEPS}"
"""To be changed with anything that decides a weight."""


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x`` and what was found in it."""
        found: torch.Tensor = x + self.inner(x)
        return found


class Codec(nn.Module):
    """Pictures ``(n, 3, H, W)`` 0-1 through latents ``(n, 32, H/8, W/8)`` and back; sides are multiples of 8."""

    def __init__(self) -> None:
        super().__init__()
        self.analyse = nn.Conv2d(3, LATENTS, 8, stride=8)
        self.synthesise = nn.ConvTranspose2d(LATENTS, 3, 8, stride=8)
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(8), nn.Conv2d(192, 96, 1), _Block(96), nn.Conv2d(96, LATENTS, 3, padding=1)
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(LATENTS, 96, 3, padding=1),
            _Block(96),
            nn.Conv2d(96, 4 * 48, 1),
            nn.PixelShuffle(2),
            _Block(48),
            nn.Conv2d(48, 48, 3, padding=1),
            nn.PixelShuffle(4),
        )

    def start_from(self, crops: torch.Tensor) -> None:
        """Begin with the principal components of 8 x 8 px of ``crops``, the learnt part with nothing."""
        patches = crops.unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5).reshape(-1, 192)
        mean = patches.mean(dim=0)
        axes = torch.linalg.eigh(torch.cov(patches.T)).eigenvectors[:, -LATENTS:].T
        with torch.no_grad():
            self.analyse.weight.copy_(axes.reshape(LATENTS, 3, 8, 8))
            self.analyse.bias.copy_(-(axes @ mean))  # type: ignore[union-attr]
            self.synthesise.weight.copy_(axes.reshape(LATENTS, 3, 8, 8))
            self.synthesise.bias.copy_(mean.reshape(3, 64).mean(dim=1))  # type: ignore[union-attr]
            for last in (self.encoder[-1], self.decoder[-2]):
                nn.init.zeros_(last.weight)  # type: ignore[arg-type]
                nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return what comes back."""
        latents = self.analyse(pictures) + self.encoder(pictures)
        back: torch.Tensor = self.synthesise(latents) + self.decoder(latents)
        return back


def _batches() -> torch.Tensor:
    """Return crops of drawn pictures, in palettes of scenes and in random ones."""
    random = np.random.default_rng(7)
    crops: list[Any] = []
    for number in range(160):
        known = number % 2 == 0
        palette = colours(SCENES[number // 2 % len(SCENES)]) if known else random.random((5, 3)).astype(np.float32)
        picture = draw(palette, (256, 144), random)
        for _ in range(6):
            x, y = int(random.integers(256 - CROP)), int(random.integers(144 - CROP))
            crops.append(picture[y : y + CROP, x : x + CROP].transpose(2, 0, 1))
    return torch.from_numpy(np.stack(crops).astype(np.float32))


def train(steps: int = STEPS) -> Codec:
    """Train a codec from a fixed seed on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            codec, crops = Codec(), _batches()
            codec.start_from(crops)
            # The components stay: in so few steps they would only be spoilt.
            learnt = [*codec.encoder.parameters(), *codec.decoder.parameters()]
            optimiser = torch.optim.AdamW(learnt, lr=1e-3)
            plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.5e-3, total_steps=steps)
            for _ in range(steps):
                batch = crops[torch.randint(len(crops), (BATCH,))]
                error = codec(batch) - batch
                loss = error.abs().mean() + error.square().mean().sqrt()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                plan.step()
    finally:
        torch.set_num_threads(threads)
    return codec.eval()


def folder() -> Path:
    """Return where the trained codec is kept."""
    return Path(platformdirs.user_cache_dir("vjengine", appauthor=False)) / "benchmarks"


def cached(recipe: str, made: Callable[[], nn.Module], trained: Callable[[], nn.Module], what: str) -> nn.Module:
    """Return a trained network, trained now if it is not kept.

    Args:
        recipe: names the file that it is kept in.
        made: makes one that the kept weights are put into.
        trained: trains one.
        what: is being trained, in words.
    """
    path = folder() / f"{recipe}.pt"
    if path.is_file():
        network = made()
        network.load_state_dict(torch.load(path, weights_only=True))
        return network.eval()
    started = time.perf_counter()
    print(f"collapse: training {what} once ...", file=sys.stderr, flush=True)
    network = trained().eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    torch.save(network.state_dict(), part)
    part.replace(path)
    print(f"collapse: trained in {time.perf_counter() - started:.0f} s, kept in {path}", file=sys.stderr, flush=True)
    return network


def load() -> Codec:
    """Return the trained codec, trained now if it is not kept."""
    codec = cached(RECIPE, Codec, train, "the auto-encoder")
    assert isinstance(codec, Codec)
    return codec


def codec_harm() -> Harm:
    """Return one round trip through the auto-encoder as a loop's harm."""
    torch.set_num_threads(1)
    codec = load()

    def through(picture: Picture, step: int) -> Picture:
        with torch.inference_mode():
            there = torch.from_numpy(picture).permute(2, 0, 1)[None]
            back: Picture = codec(there)[0].permute(1, 2, 0).numpy()
        return back

    return through
