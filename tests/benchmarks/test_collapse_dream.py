"""The diffusion loop of the collapse benchmark, on a model that has learnt nothing: what holds whatever it dreams."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from benchmarks import collapse_dream, collapse_loops  # noqa: E402
from benchmarks.collapse_codec import Codec  # noqa: E402
from benchmarks.collapse_dream import Dreamer, DreamLoop, noisy  # noqa: E402
from vjengine.core.correction import Correction  # noqa: E402
from vjengine.core.generation import GeneratorParams  # noqa: E402


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[DreamLoop]:
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        dreamer = Dreamer(Codec()).eval().requires_grad_(False)
    monkeypatch.setattr(collapse_dream, "load_dreamer", lambda: dreamer)
    yield DreamLoop("forest")
    torch.set_num_threads(threads)


def told(step: int, **asked: float) -> GeneratorParams:
    return GeneratorParams(sequence=step, time=step / 30.0, correction=Correction(step, **asked))  # type: ignore[arg-type]


def test_one_noise_dreams_one_picture_and_travelling_on_another(loop: DreamLoop) -> None:
    first = loop.begin()
    one = loop.step(first, told(1))
    loop.begin()
    assert np.array_equal(loop.step(first, told(1)), one)
    far = []
    for _ in range(8):
        loop.begin()
        far.append(float(np.abs(loop.step(first, told(1, travel=1.0)) - one).mean()))
    assert 0.0 < far[0] < 0.2 * far[-1], "a glide, no jump"
    assert all(later > earlier for earlier, later in pairwise(far))


def test_noise_put_in_keeps_the_variance() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        latents, noise = torch.randn(1, 32, 60, 60), torch.randn(1, 32, 60, 60)
    assert float(noisy(latents, noise).var()) == pytest.approx(1.0, abs=0.02)
    assert torch.equal(noisy(latents, 0.0 * noise), latents * float(np.sqrt(1.0 - collapse_dream.STRENGTH**2)))


def test_latents_are_held_to_those_of_the_picture_kept(loop: DreamLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collapse_loops, "LEAD_IN", 0)
    bright = loop.begin()
    kept = loop.step(bright, told(1))
    held = loop.step(0.4 * bright, told(2, keep=1, latents=1.0))
    loop.begin()
    alone = loop.step(0.4 * bright, told(2))
    assert abs(held.mean() - kept.mean()) < 0.5 * abs(alone.mean() - kept.mean())
