"""What a model takes: estimates against what is really allocated, and the way down where it is too much."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.memory import (
    FACTS,
    ModelFacts,
    estimate,
    facts_of,
    fitting_plan,
    free_memory,
    gigabytes,
    is_out_of_memory,
    peak,
    step_down,
)
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan
from vjengine.generate.turbo.random_models import random_parts

GPU = FramePlan((512, 512), "cuda:0", "float16")
TINY_VAE, FULL_VAE = False, True


class Count(TorchDispatchMode):
    """Counts the bytes of all tensors that come to life inside and live at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                storage = leaf.untyped_storage()
                if storage.data_ptr() not in self._known:
                    self._known.add(storage.data_ptr())
                    self.now += storage.nbytes()
                    self.most = max(self.most, self.now)
                    weakref.finalize(storage, self._gone, storage.data_ptr(), storage.nbytes())
        return result

    def _gone(self, address: int, size: int) -> None:
        self._known.discard(address)
        self.now -= size


def most_bytes(act: Callable[[], object]) -> int:
    gc.collect()
    with torch.inference_mode(), Count() as count:
        act()
    return count.most


@pytest.fixture(scope="module")
def small() -> TurboParts:
    return random_parts("small")


class TestEstimate:
    def test_weights_are_counted(self, small: TurboParts) -> None:
        counted = sum(p.numel() for m in (small.unet, small.vae, *small.text_encoders) for p in m.parameters())
        taken = estimate(facts_of(small), FramePlan((256, 256)), "eager")
        assert taken.weights == counted * 4

    def test_activations_are_near_what_is_really_allocated(self, small: TurboParts) -> None:
        plan = FramePlan((256, 192))
        taken = estimate(facts_of(small), plan, "eager")
        text = torch.zeros(1, 77, small.unet.config.cross_attention_dim)
        latents = torch.randn(plan.latent_shape)
        drawn = most_bytes(lambda: small.unet(latents, torch.tensor([500]), encoder_hidden_states=text))
        decoded = most_bytes(lambda: small.vae.decode(latents))
        encoded = most_bytes(lambda: small.vae.encode(torch.rand(plan.picture_shape)))
        assert 0.5 < drawn / taken.activations < 1.3
        assert 0.5 < decoded / taken.decode < 1.3
        assert encoded <= 1.3 * taken.decode

    def test_a_full_autoencoder_too(self) -> None:
        parts = random_parts("tiny", full_vae=True)
        plan = FramePlan((128, 128))
        taken = estimate(facts_of(parts), plan, "eager", FULL_VAE)
        decoded = most_bytes(lambda: parts.vae.decode(torch.randn(plan.latent_shape)))
        assert 0.5 < decoded / taken.decode < 1.3
        assert taken.weights == estimate(facts_of(parts), plan, "eager").weights + 4 * (
            facts_of(parts).vae - facts_of(parts).tiny_vae
        )

    @pytest.mark.parametrize(("kind", "weights"), [("sd", 1.61), ("sdxl", 4.78)])
    def test_the_published_models_weigh_what_is_known_of_them(self, kind: Any, weights: float) -> None:
        assert FACTS[kind].unet * 2 / 2**30 == pytest.approx(weights, rel=0.01)

    def test_real_time_unets_have_small_activations(self) -> None:
        assert estimate(FACTS["sd"], GPU, "eager").activations < 0.1 * 2**30

    @pytest.mark.parametrize(
        ("more", "less"),
        [
            (estimate(FACTS["sdxl"], GPU, "eager"), estimate(FACTS["sd"], GPU, "eager")),
            (estimate(FACTS["sd"], GPU, "eager", FULL_VAE), estimate(FACTS["sd"], GPU, "eager")),
            (estimate(FACTS["sd"], GPU, "tensorrt"), estimate(FACTS["sd"], GPU, "graph")),
            (estimate(FACTS["sd"], GPU, "graph"), estimate(FACTS["sd"], GPU, "eager")),
            (
                estimate(FACTS["sd"], GPU, "eager", FULL_VAE),
                estimate(FACTS["sd"], FramePlan((512, 512), "cuda:0", "float16", tiled=True), "eager", FULL_VAE),
            ),
            (
                estimate(FACTS["sd"], FramePlan((512, 512), "cuda:0", "float32"), "eager"),
                estimate(FACTS["sd"], GPU, "eager"),
            ),
        ],
    )
    def test_what_takes_more_is_said_to_take_more(self, more: Any, less: Any) -> None:
        assert more.total > less.total > 0


class TestFitting:
    def test_what_fits_stays_as_it_is(self) -> None:
        fit = fitting_plan(FACTS["sd"], GPU, "graph", TINY_VAE, 24 * 10**9)
        assert (fit.plan, fit.rung, fit.words, fit.fits) == (GPU, "graph", "", True)
        assert fit.estimate == estimate(FACTS["sd"], GPU, "graph")

    def test_tiles_come_first(self) -> None:
        room = estimate(FACTS["sd"], FramePlan((768, 448), "cuda", "float16", tiled=True), "eager", FULL_VAE).total
        fit = fitting_plan(FACTS["sd"], FramePlan((768, 448), "cuda", "float16"), "eager", FULL_VAE, room)
        assert (fit.plan.size, fit.plan.tiled, fit.fits) == ((768, 448), True, True)
        assert fit.words.endswith(" GB free: decoding in tiles")

    def test_then_a_smaller_picture_of_the_same_proportions_in_numbers(self) -> None:
        plan = FramePlan((512, 320))
        heavy = ModelFacts(unet=10**8, text=10**7, tiny_channels=2000)
        room = estimate(heavy, FramePlan((448, 256)), "eager").total
        fit = fitting_plan(heavy, plan, "eager", TINY_VAE, room)
        asked = estimate(heavy, plan, "eager").total
        assert fit.plan.size == (448, 256)
        assert fit.words == f"needs {gigabytes(asked)}, {gigabytes(room)} free: 448x256 instead of 512x320"

    def test_then_a_rung_with_less_at_the_size_that_was_asked_for(self) -> None:
        room = estimate(FACTS["sd"], GPU, "eager").total
        fit = fitting_plan(FACTS["sd"], GPU, "tensorrt", TINY_VAE, room)
        assert (fit.plan, fit.rung, fit.fits) == (GPU, "eager", True)
        assert fit.words.endswith("free: eager instead of tensorrt")

    def test_where_nothing_fits_the_least_is_tried_and_said_so(self) -> None:
        fit = fitting_plan(FACTS["sdxl"], GPU, "tensorrt", FULL_VAE, 10**9)
        assert not fit.fits
        assert (fit.plan.size, fit.plan.tiled, fit.rung) == ((256, 256), True, "eager")
        assert "1.0 GB free: 256x256 instead of 512x512, decoding in tiles, eager instead of tensorrt" in fit.words
        least = fitting_plan(FACTS["sdxl"], FramePlan((64, 64)), "eager", TINY_VAE, 0)
        assert least.words.endswith("0.0 GB free: trying all the same")

    @pytest.mark.parametrize("size", [(512, 512), (768, 448), (1024, 576), (448, 768), (1920, 64)])
    def test_every_way_down_ends(self, size: tuple[int, int]) -> None:
        plan, said = FramePlan(size), []
        while (lower := step_down(plan, FULL_VAE)) is not None:
            smaller = lower[0]
            assert smaller.tiled
            assert smaller.size != plan.size or not plan.tiled
            assert smaller.size[0] * smaller.size[1] <= plan.size[0] * plan.size[1]
            proportion = (smaller.size[0] / smaller.size[1]) / (size[0] / size[1])
            assert 0.7 < proportion < 1.4 or min(size) == 64
            plan = smaller
            said.append(lower[1])
        assert max(plan.size) == 256
        assert said[0] == "out of memory: decoding in tiles"
        assert said[1].startswith("out of memory: ")
        assert said[1].endswith(f"instead of {size[0]}x{size[1]}")


class TestRunningOut:
    def test_every_way_of_saying_so_is_understood(self) -> None:
        causes: list[Callable[[], object]] = [
            lambda: torch.empty(1 << 60, dtype=torch.uint8),
            lambda: np.empty(1 << 60, np.uint8),
        ]
        for cause in causes:
            with pytest.raises((RuntimeError, MemoryError)) as caught:
                cause()
            assert is_out_of_memory(caught.value)
            wrapped = GeneratorError("the picture cannot be made")
            wrapped.__cause__ = caught.value
            assert is_out_of_memory(wrapped)
        assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))

    def test_other_faults_are_not(self) -> None:
        assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))
        assert not is_out_of_memory(ValueError("out of memory"))

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space of a process for certain")
    def test_a_process_that_really_has_too_little_says_so(self) -> None:
        done = subprocess.run([sys.executable, "-c", CRAMPED], capture_output=True, text=True, timeout=120, check=False)
        assert (done.returncode, done.stdout.strip()) == (0, "out of memory: True"), done.stderr


class TestAsking:
    def test_free_memory_of_this_machine(self) -> None:
        assert 0 < free_memory("cpu") <= psutil.virtual_memory().total

    def test_peak_is_no_less_than_what_is_held(self) -> None:
        ballast = np.ones(50_000_000, np.uint8)
        assert peak("cpu") >= 0.9 * psutil.Process().memory_info().rss > ballast.nbytes

    def test_an_estimate_needs_no_torch(self) -> None:
        code = (
            "import sys; from vjengine.generate.turbo import memory, plan;"
            "memory.fitting_plan(memory.FACTS['sd'], plan.FramePlan(), 'eager', False, memory.free_memory('cpu'));"
            "memory.peak('cpu'); sys.exit('torch' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    def test_a_gpu_answers(self) -> None:
        before = free_memory("cuda:0")
        held = torch.empty(1 << 28, dtype=torch.uint8, device="cuda:0")
        assert peak("cuda:0") >= held.nbytes
        assert free_memory("cuda:0") <= before - held.nbytes // 2


CRAMPED = """
import resource
import psutil
import torch
from vjengine.generate.turbo.memory import is_out_of_memory
layer = torch.nn.Conv2d(64, 64, 3).eval()
now = psutil.Process().memory_info().vms
resource.setrlimit(resource.RLIMIT_AS, (now + (96 << 20),) * 2)
side, kept = 64, []
try:
    with torch.inference_mode():
        while side < 65536:
            kept.append(layer(torch.zeros(1, 64, side, side)))
            side *= 2
except RuntimeError as error:
    print("out of memory:", is_out_of_memory(error), flush=True)
import os
os._exit(0)  # a process without memory may not even end in order
"""
