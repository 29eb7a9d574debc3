"""The graph rung beside eager on the same weights: what it shares, what it takes over, what it refuses."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from vjengine.errors import GeneratorError  # noqa: E402
from vjengine.generate.turbo.accel.base import TextState  # noqa: E402
from vjengine.generate.turbo.accel.eager import EagerRung  # noqa: E402
from vjengine.generate.turbo.accel.graph import GraphRung  # noqa: E402
from vjengine.generate.turbo.accel.modules import is_plain  # noqa: E402
from vjengine.generate.turbo.lora import add_loras  # noqa: E402
from vjengine.generate.turbo.plan import FramePlan  # noqa: E402
from vjengine.generate.turbo.random_models import random_parts  # noqa: E402

PLAN = FramePlan((128, 64))
STEP = torch.tensor([499])


def text(seed: int = 1, width: int = 32) -> TextState:
    return TextState(torch.randn(1, 77, width, generator=torch.Generator().manual_seed(seed)))


def latents(seed: int = 2) -> Any:
    return torch.randn(PLAN.latent_shape, generator=torch.Generator().manual_seed(seed))


def test_eager_plays_on_unchanged_to_the_bit_while_graph_loads_beside_it() -> None:
    parts = random_parts("tiny", seed=5)
    eager = EagerRung().load(parts, PLAN, Path())
    eager.set_text(text())
    before = eager.predict(latents(), STEP).clone()
    with ThreadPoolExecutor(1) as beside:
        loading = beside.submit(GraphRung().load, parts, PLAN, Path())
        meanwhile = [eager.predict(latents(), STEP).clone() for _ in range(4)]
        loading.result()
    assert all(torch.equal(one, before) for one in (*meanwhile, eager.predict(latents(), STEP)))


def test_weights_are_held_once() -> None:
    parts = random_parts("tiny", seed=6)
    first = GraphRung().load(parts, PLAN, Path())
    second = GraphRung().load(parts, replace(PLAN, size=(64, 64)), Path())
    size = sum(parameter.numel() for parameter in parts.unet.parameters())
    storages = {parameter.untyped_storage().data_ptr(): parameter.untyped_storage().nbytes() // 4
                for parameter in parts.unet.parameters()}  # fmt: skip
    assert sum(storages.values()) == size
    for networks in (first, second):
        networks.set_text(text())
        networks.predict(torch.zeros(networks.plan.latent_shape), STEP)
    assert {parameter.untyped_storage().data_ptr() for parameter in parts.unet.parameters()} == set(storages)


def test_a_model_that_is_let_go_is_gone() -> None:
    parts = random_parts("tiny", seed=7)
    networks = GraphRung().load(parts, PLAN, Path())
    unet = weakref.ref(parts.unet)
    networks.close()
    del parts, networks
    gc.collect()
    assert unet() is None


def test_two_networks_of_one_model_hold_their_own_texts(tiny_parts: Any) -> None:
    one, other = (GraphRung().load(tiny_parts, PLAN, Path()) for _ in range(2))
    one.set_text(text(1))
    alone = one.predict(latents(), STEP).clone()
    other.set_text(text(9))
    other.predict(latents(), STEP)
    assert torch.equal(one.predict(latents(), STEP), alone)


@pytest.mark.parametrize("kind", ["tiny", "tiny-sdxl"])
@pytest.mark.parametrize("tiled", [False, True])
def test_the_full_autoencoder_agrees_with_eager(kind: str, tiled: bool) -> None:
    parts = random_parts(kind, full_vae=True)
    plan = replace(PLAN, size=(320, 64), tiled=tiled)
    picture = torch.rand(plan.picture_shape, generator=torch.Generator().manual_seed(3))
    rungs = [rung.load(parts, plan, Path()) for rung in (EagerRung(), GraphRung())]
    encoded = [networks.encode(picture) for networks in rungs]
    decoded = [networks.decode(encoded[0]) for networks in rungs]
    assert tuple(encoded[0].shape) == plan.latent_shape
    assert tuple(decoded[0].shape) == plan.picture_shape
    for one, other in (encoded, decoded):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=0.0)


def test_tiles_draw_about_the_same_picture_and_leave_the_model_alone() -> None:
    parts = random_parts("tiny", full_vae=True)
    plan = replace(PLAN, size=(320, 64))
    given = torch.randn(plan.latent_shape, generator=torch.Generator().manual_seed(4)) * 0.2
    whole = GraphRung().load(parts, plan, Path()).decode(given)
    tiled = GraphRung().load(parts, replace(plan, tiled=True), Path()).decode(given)
    assert not torch.equal(tiled, whole)
    assert float((tiled - whole).abs().mean()) < 0.5 * float(whole.std())
    assert torch.equal(GraphRung().load(parts, plan, Path()).decode(given), whole)


def test_bfloat16_stays_within_its_rounding_of_eager() -> None:
    plan = replace(PLAN, precision="bfloat16")
    parts = random_parts("tiny", precision="bfloat16")
    outputs = []
    for rung in (EagerRung(), GraphRung()):
        networks = rung.load(parts, plan, Path())
        networks.set_text(TextState(text().embeds.bfloat16()))
        outputs.append(networks.predict(latents().bfloat16(), STEP).float())
    assert outputs[0].dtype == outputs[1].dtype
    torch.testing.assert_close(outputs[1], outputs[0], atol=0.1, rtol=0.0)  # outputs of deviation 1, 8 bits each step


@pytest.mark.parametrize("only", ["attn1.to_q", "attn2.to_v", "conv1", "proj_in"])
def test_a_lora_on_any_one_layer_is_heard(
    tiny_parts: Any, write_lora: Callable[..., Path], tmp_path: Path, only: str
) -> None:
    parts = copy.deepcopy(tiny_parts)
    stack = add_loras(parts.unet, [write_lora(tmp_path / "one.safetensors", parts.unet, only=only)])
    parts.lora = stack
    plan = replace(PLAN, loras=1)
    eager, graph = (rung.load(parts, plan, Path()) for rung in (EagerRung(), GraphRung()))
    seen = []
    for weight in (0.0, 1.0):
        for networks in (eager, graph):
            networks.set_text(text())
            networks.set_lora([weight])
        one, other = (networks.predict(latents(), STEP).clone() for networks in (eager, graph))
        torch.testing.assert_close(other, one, atol=1e-4, rtol=0.0)
        seen.append(other)
    assert float((seen[1] - seen[0]).abs().max()) > 1e-3


def test_a_lora_on_the_time_embedding_is_heard(tiny_sdxl_parts: Any, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    parts = copy.deepcopy(tiny_sdxl_parts)
    tensors = {}
    numbers = torch.Generator().manual_seed(8)
    layers = ("time_embedding.linear_1", "add_embedding.linear_2", "down_blocks.0.resnets.0.time_emb_proj")
    for name in layers:
        layer = parts.unet.get_submodule(name)
        tensors[f"unet.{name}.lora_A.weight"] = torch.randn(4, layer.in_features, generator=numbers)
        tensors[f"unet.{name}.lora_B.weight"] = torch.randn(layer.out_features, 4, generator=numbers) * 0.1
    save_file(tensors, tmp_path / "time.safetensors")
    parts.lora = add_loras(parts.unet, [tmp_path / "time.safetensors"])
    plan = replace(PLAN, loras=1)
    state = TextState(
        torch.randn(1, 77, 80, generator=numbers), torch.randn(1, 48, generator=numbers),
        torch.tensor([[64.0, 128.0, 0.0, 0.0, 64.0, 128.0]]),
    )  # fmt: skip
    eager, graph = (rung.load(parts, plan, Path()) for rung in (EagerRung(), GraphRung()))
    seen = []
    for weight in (0.0, 1.0):
        for networks in (eager, graph):
            networks.set_text(state)
            networks.set_lora([weight])
        one, other = (networks.predict(latents(), STEP).clone() for networks in (eager, graph))
        torch.testing.assert_close(other, one, atol=1e-4, rtol=0.0)
        seen.append(other)
    assert float((seen[1] - seen[0]).abs().max()) > 1e-3


def test_a_hook_on_a_layer_is_not_passed_by(tiny_parts: Any) -> None:
    layer = copy.deepcopy(tiny_parts.unet.conv_in)
    assert is_plain(layer)
    layer.register_forward_hook(lambda _module, _inputs, output: output * 2.0)
    assert not is_plain(layer)


def test_a_unet_of_another_family_is_refused_in_words() -> None:
    parts = random_parts("tiny", seed=9)
    parts.unet.down_blocks[0].resnets[0].time_embedding_norm = "scale_shift"
    with pytest.raises(GeneratorError, match=r"does not know this UNet.*eager rung plays it"):
        GraphRung().load(parts, PLAN, Path())


def test_an_sdxl_model_without_its_conditions_says_what_is_missing(tiny_sdxl_parts: Any) -> None:
    networks = GraphRung().load(tiny_sdxl_parts, PLAN, Path())
    with pytest.raises(GeneratorError, match="pooled text and picture sizes"):
        networks.set_text(text(width=80))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card here")
def test_a_card_that_is_not_there_is_missing_in_words() -> None:
    rung = GraphRung()
    assert rung.missing(PLAN) == ""
    assert "CUDA" in rung.missing(replace(PLAN, device="cuda:0"))
