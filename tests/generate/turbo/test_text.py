"""Prompts through the text encoders, against diffusers' own pipelines built from the same parts."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline  # noqa: E402
from transformers import CLIPTextModel, CLIPTextModelWithProjection  # noqa: E402

from vjengine.errors import GeneratorError  # noqa: E402
from vjengine.generate.turbo.parts import TurboParts  # noqa: E402
from vjengine.generate.turbo.plan import FramePlan  # noqa: E402
from vjengine.generate.turbo.random_models import random_parts  # noqa: E402
from vjengine.generate.turbo.text import TextEncoder  # noqa: E402

PROMPTS = ["", "a red fox", "neon, rain 🔥 on glass", "word " * 60]
PLAN = FramePlan((128, 64))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def sd() -> TurboParts:
    return random_parts("tiny")


@pytest.fixture(scope="module")
def sdxl() -> TurboParts:
    return random_parts("tiny-sdxl")


@pytest.mark.parametrize("prompt", PROMPTS)
def test_stable_diffusion_reads_what_diffusers_reads(sd: TurboParts, prompt: str) -> None:
    pipeline = StableDiffusionPipeline(
        sd.vae, sd.text_encoders[0], sd.tokenizers[0], sd.unet, EulerDiscreteScheduler(steps_offset=1), None,
        None, requires_safety_checker=False,
    )  # fmt: skip
    theirs, _ = pipeline.encode_prompt(prompt, "cpu", 1, False)
    ours = TextEncoder(sd, PLAN).encode(prompt)
    torch.testing.assert_close(ours.embeds, theirs, atol=1e-5, rtol=1e-5)
    assert ours.pooled is None
    assert ours.size_ids is None


@pytest.mark.parametrize("prompt", PROMPTS)
def test_sdxl_reads_what_diffusers_reads(sdxl: TurboParts, prompt: str) -> None:
    pipeline = StableDiffusionXLPipeline(
        sdxl.vae, *sdxl.text_encoders, *sdxl.tokenizers, sdxl.unet, EulerDiscreteScheduler()
    )
    theirs, _, pooled, _ = pipeline.encode_prompt(prompt, device="cpu", do_classifier_free_guidance=False)
    ours = TextEncoder(sdxl, PLAN).encode(prompt)
    torch.testing.assert_close(ours.embeds, theirs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.pooled, pooled, atol=1e-5, rtol=1e-5)
    sizes = pipeline._get_add_time_ids((64, 128), (0, 0), (64, 128), torch.float32, 48)
    assert torch.equal(ours.size_ids, sizes)


def test_old_configurations_with_a_wrong_end_token_pool_the_right_one(sdxl: TurboParts) -> None:
    config = type(sdxl.text_encoders[1].config)(**{**sdxl.text_encoders[1].config.to_dict(), "eos_token_id": 2})
    old = CLIPTextModelWithProjection(config).eval()
    ours = TextEncoder(replace(sdxl, text_encoders=(sdxl.text_encoders[0], old)), PLAN).encode("a red fox")
    ids = sdxl.tokenizers[1]("a red fox", padding="max_length", max_length=77, return_tensors="pt").input_ids
    torch.testing.assert_close(ours.pooled, old(ids).text_embeds, atol=1e-5, rtol=1e-5)


def test_the_precision_of_the_plan_is_kept(sdxl: TurboParts) -> None:
    halves = tuple(deepcopy(encoder).to(torch.bfloat16) for encoder in sdxl.text_encoders)
    encoder = TextEncoder(replace(sdxl, text_encoders=halves), FramePlan((64, 64), precision="bfloat16"))
    state = encoder.encode("gold")
    assert {state.embeds.dtype, state.pooled.dtype, state.size_ids.dtype} == {torch.bfloat16}


def deeper(parts: TurboParts, layers: int) -> TurboParts:
    """Return ``parts`` with a text encoder of so many layers."""
    config = type(parts.text_encoders[0].config)(
        **{**parts.text_encoders[0].config.to_dict(), "num_hidden_layers": layers}
    )
    return replace(parts, text_encoders=(CLIPTextModel(config).eval(), *parts.text_encoders[1:]))


@pytest.mark.parametrize("layers", [1, 2, 5, 8])
@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_a_text_in_slices_is_the_same_text_and_no_slice_does_it_all(
    request: pytest.FixtureRequest, kind: str, layers: int
) -> None:
    parts = deeper(request.getfixturevalue(kind), layers)
    encoder = TextEncoder(parts, PLAN)
    at_once = encoder.encode("a red fox")
    calls: list[int] = []
    hooks: list[Any] = []
    for tower in parts.text_encoders:
        for path, module in tower.named_modules():
            if path.endswith("self_attn"):
                hooks.append(module.register_forward_hook(lambda *_: calls.append(1)))
    encoding = encoder.start("a red fox")
    work: list[int] = []
    state = None
    while state is None:
        before = len(calls)
        state = encoding.step()
        work.append(len(calls) - before)
    for hook in hooks:
        hook.remove()
    assert len(work) == encoder.slices == 4
    if kind == "sd":
        assert sum(work) == layers
        assert max(work) == -(-layers // 4)
    else:
        assert sum(work) == layers - 1 + 2, "nobody reads the last layer of the first encoder"
        assert max(work) <= 3
    assert torch.equal(state.embeds, at_once.embeds)


def test_a_text_too_long_tells_how_far_it_is_read(sd: TurboParts) -> None:
    encoder = TextEncoder(sd, PLAN)
    letters = "".join("abcdefghij"[n % 10] for n in range(100))  # the small vocabulary has a token a letter
    seen = encoder.seen(letters).replace(" ", "")
    assert seen
    assert letters[:75].endswith(seen)
    assert encoder.seen(letters[:75]) == ""
    assert encoder.seen("👩‍🚀" * 10) == "", "many bytes, yet few tokens"


def test_another_kind_of_text_encoder_is_refused_in_words(sd: TurboParts) -> None:
    class Strange(torch.nn.Module):
        config = sd.text_encoders[0].config

    with pytest.raises(GeneratorError, match=r"Strange.*use a model of the Stable Diffusion"):
        TextEncoder(replace(sd, text_encoders=(Strange(),)), PLAN)
