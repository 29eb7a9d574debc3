"""LoRAs: what other people's tools write is read, and the faders do what they say without touching the model."""

from __future__ import annotations

import copy
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from vjengine.errors import GeneratorError, UsageError  # noqa: E402
from vjengine.generate.turbo.lora import add_loras, fuse_lora, read_lora  # noqa: E402

Write = Callable[..., Path]


def run(unet: Any) -> Any:
    """One step of ``unet`` on fixed numbers."""
    numbers = torch.Generator().manual_seed(7)
    latents = torch.randn(1, 4, 8, 16, generator=numbers)
    text = torch.randn(1, 77, unet.config.cross_attention_dim, generator=numbers)
    added = None
    if unet.config.addition_embed_type:
        added = {"text_embeds": torch.randn(1, 48, generator=numbers), "time_ids": torch.zeros(1, 6)}
    with torch.inference_mode():
        return unet(latents, torch.tensor([499]), encoder_hidden_states=text, added_cond_kwargs=added).sample


def diffusers_result(unet: Any, paths: list[Path], *settings: list[float]) -> list[Any]:
    """What diffusers with peft draws with the same files, at each setting of the weights."""
    from diffusers.loaders.lora_pipeline import StableDiffusionXLLoraLoaderMixin as Mixin

    unet = copy.deepcopy(unet)
    names = [f"lora{index}" for index in range(len(paths))]
    for name, path in zip(names, paths, strict=True):
        state, alphas = Mixin.lora_state_dict(load_file(path), unet_config=unet.config)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Already found a `peft_config`")
            unet.load_lora_adapter(state, prefix="unet", network_alphas=alphas, adapter_name=name)
    results = []
    for weights in settings:
        unet.set_adapters(names, weights)
        results.append(run(unet))
    return results


@pytest.mark.parametrize("spelling", ["kohya", "peft", "old"])
def test_every_spelling_draws_what_diffusers_draws(
    tiny_parts: Any, write_lora: Write, tmp_path: Path, spelling: str
) -> None:
    path = write_lora(tmp_path / "style.safetensors", tiny_parts.unet, spelling=spelling)
    unet = copy.deepcopy(tiny_parts.unet)
    stack = add_loras(unet, [path])
    stack.set([0.7])
    (wanted,) = diffusers_result(tiny_parts.unet, [path], [0.7])
    torch.testing.assert_close(run(unet), wanted, atol=2e-4, rtol=1e-4)
    assert (wanted - run(tiny_parts.unet)).abs().max() > 0.01  # the LoRA does something


def test_kohyas_names_for_sdxl_are_known(tiny_sdxl_parts: Any, write_lora: Write, tmp_path: Path) -> None:
    base = tiny_sdxl_parts.unet
    plain = write_lora(tmp_path / "plain.safetensors", base, spelling="kohya")
    sgm = write_lora(tmp_path / "sgm.safetensors", base, spelling="sgm")
    assert any("input_blocks" in key for key in load_file(sgm))
    assert read_lora(sgm, base).layers.keys() == read_lora(plain, base).layers.keys()
    unet = copy.deepcopy(base)
    add_loras(unet, [sgm]).set([1.0])
    torch.testing.assert_close(run(unet), diffusers_result(base, [sgm], [1.0])[0], atol=2e-4, rtol=1e-4)


def test_a_stack_of_different_ranks_adds_up_and_moves(tiny_parts: Any, write_lora: Write, tmp_path: Path) -> None:
    base = tiny_parts.unet
    paths = [
        write_lora(tmp_path / "a.safetensors", base, rank=4),
        write_lora(tmp_path / "b.safetensors", base, rank=8, seed=2, only="attn2", spelling="peft"),
    ]
    unet = copy.deepcopy(base)
    stack = add_loras(unet, paths)
    assert stack.names == ("a", "b")
    pointer = stack.weights.data_ptr()
    settings = ([0.5, -0.4], [0.0, 1.0], [1.2, 0.0])
    for weights, wanted in zip(settings, diffusers_result(base, paths, *settings), strict=True):
        stack.set(weights)
        torch.testing.assert_close(run(unet), wanted, atol=3e-4, rtol=1e-4)
    assert stack.weights.data_ptr() == pointer


def test_all_faders_down_is_exactly_the_model(tiny_parts: Any, write_lora: Write, tmp_path: Path) -> None:
    unet = copy.deepcopy(tiny_parts.unet)
    keys = unet.state_dict().keys()
    stack = add_loras(unet, [write_lora(tmp_path / "a.safetensors", unet)])
    assert torch.equal(run(unet), run(tiny_parts.unet))
    stack.set([1.0])
    assert not torch.equal(run(unet), run(tiny_parts.unet))
    stack.set([0.0])
    assert torch.equal(run(unet), run(tiny_parts.unet))
    assert unet.state_dict().keys() == keys  # weights are told apart from LoRAs


def test_weights_are_read_at_every_call_from_whatever_tensor_is_there(
    tiny_parts: Any, write_lora: Write, tmp_path: Path
) -> None:
    unet = copy.deepcopy(tiny_parts.unet)
    stack = add_loras(unet, [write_lora(tmp_path / "a.safetensors", unet)])
    stack.set([0.6])
    wanted = run(unet)
    kept, stack.weights = stack.weights, torch.tensor([0.6], dtype=torch.float64)
    assert torch.allclose(run(unet), wanted, atol=1e-6)
    stack.weights = kept
    twin = copy.deepcopy(unet)
    stack.set([0.0])
    assert torch.equal(run(twin), run(tiny_parts.unet))  # a copy obeys the same fader


def test_half_precision(tiny_parts: Any, write_lora: Write, tmp_path: Path) -> None:
    unet = copy.deepcopy(tiny_parts.unet)
    path = write_lora(tmp_path / "a.safetensors", unet)
    full = copy.deepcopy(unet)
    add_loras(full, [path]).set([0.5])
    unet.to(torch.bfloat16)
    stack = add_loras(unet, [path])
    stack.set([0.5])
    layers = [module for name, module in unet.named_modules() if name.endswith("attn2.to_k")]
    assert layers[0].down.dtype == torch.bfloat16
    text = torch.randn(1, 77, 32)
    exact = next(module for name, module in full.named_modules() if name.endswith("attn2.to_k"))(text)
    assert (layers[0](text.bfloat16()).float() - exact).abs().max() < 0.05


def test_fusing_is_the_same_as_a_fader_at_one(tiny_parts: Any, write_lora: Write, tmp_path: Path) -> None:
    path = write_lora(tmp_path / "lcm.safetensors", tiny_parts.unet)
    moved, fused = copy.deepcopy(tiny_parts.unet), copy.deepcopy(tiny_parts.unet)
    stack = add_loras(moved, [path])
    stack.set([1.0])
    assert fuse_lora(fused, path) == stack.fingerprint
    torch.testing.assert_close(run(fused), run(moved), atol=2e-4, rtol=1e-4)
    assert sum(1 for _ in fused.modules()) == sum(1 for _ in tiny_parts.unet.modules())


def test_peft_tells_its_alpha_in_the_header(tiny_parts: Any, write_lora: Write, tmp_path: Path) -> None:
    path = write_lora(tmp_path / "a.safetensors", tiny_parts.unet, spelling="peft")
    plain = read_lora(path, tiny_parts.unet).layers
    told = {"unet.r": 4, "unet.lora_alpha": 8, "unet.use_rslora": False}
    save_file(load_file(path), path, metadata={"lora_adapter_metadata": json.dumps(told), "format": "pt"})
    doubled = read_lora(path, tiny_parts.unet).layers
    for name, (down, up) in plain.items():
        assert torch.equal(doubled[name][0], down)
        assert torch.allclose(doubled[name][1], up * 2.0)


def test_what_a_lora_says_to_the_text_encoder_is_left_out_with_a_word(
    tiny_parts: Any, write_lora: Write, tmp_path: Path
) -> None:
    path = write_lora(tmp_path / "style.safetensors", tiny_parts.unet, text=True)
    stack = add_loras(copy.deepcopy(tiny_parts.unet), [path])
    assert stack.notes == ("the LoRA style also changes the text encoder; that part is left out",)


def test_a_lora_for_another_model_is_refused(
    tiny_parts: Any, tiny_sdxl_parts: Any, write_lora: Write, tmp_path: Path
) -> None:
    path = write_lora(tmp_path / "xl.safetensors", tiny_sdxl_parts.unet, spelling="sgm")
    with pytest.raises(GeneratorError, match=r"xl\.safetensors does not fit this model: .*SD-Turbo"):
        add_loras(copy.deepcopy(tiny_parts.unet), [path])
    other = {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": torch.zeros(4, 999),
             "lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": torch.zeros(64, 4)}  # fmt: skip
    save_file(other, path)
    with pytest.raises(GeneratorError, match=r"at mid_block\.attentions\.0\.proj_in it has \(4, 999\)"):
        add_loras(copy.deepcopy(tiny_parts.unet), [path])


@pytest.mark.parametrize(
    ("tensors", "answer"),
    [
        ({"lora_unet_mid_block_attentions_0_proj_in.hada_w1_a": 4}, "is a LoHa"),
        ({"lora_unet_mid_block_attentions_0_proj_in.lokr_w1": 4}, "is a LoKr"),
        ({"lora_unet_mid_block_attentions_0_proj_in.dora_scale": 4}, "is a DoRA"),
        ({"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": 4}, "only one of its two matrices"),
        ({"conv.weight": 4}, "does not fit this model"),
    ],
)
def test_other_sorts_and_halves_are_refused(
    tiny_parts: Any, tmp_path: Path, tensors: dict[str, int], answer: str
) -> None:
    path = tmp_path / "odd.safetensors"
    save_file({key: torch.zeros(size, size) for key, size in tensors.items()}, path)
    with pytest.raises(GeneratorError, match=re.escape(answer)) as caught:
        read_lora(path, tiny_parts.unet)
    assert "odd.safetensors" in str(caught.value)


def test_a_lora_cut_short_and_one_that_is_none(tiny_parts: Any, write_lora: Write, tmp_path: Path) -> None:
    path = write_lora(tmp_path / "short.safetensors", tiny_parts.unet)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(GeneratorError, match=r"short\.safetensors is cut short"):
        read_lora(path, tiny_parts.unet)
    path.write_bytes(b"PK\x03\x04 a pickle in disguise")
    with pytest.raises(GeneratorError, match="is not a safetensors file"):
        read_lora(path, tiny_parts.unet)


def test_as_many_numbers_as_loras(tiny_parts: Any, write_lora: Write, tmp_path: Path) -> None:
    stack = add_loras(copy.deepcopy(tiny_parts.unet), [write_lora(tmp_path / "a.safetensors", tiny_parts.unet)])
    for wrong in ([], [1.0, 2.0], [float("nan")]):
        with pytest.raises(UsageError, match="1 LoRA weights are needed"):
            stack.set(wrong)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU: there is none")
def test_a_captured_graph_replays_with_new_weights(tiny_parts: Any, write_lora: Write, tmp_path: Path) -> None:
    unet = copy.deepcopy(tiny_parts.unet).cuda()
    stack = add_loras(unet, [write_lora(tmp_path / "a.safetensors", unet)])
    latents, text = torch.randn(1, 4, 8, 8, device="cuda"), torch.randn(1, 77, 32, device="cuda")
    step = torch.tensor([499], device="cuda")
    with torch.inference_mode():

        def draw() -> Any:
            return unet(latents, step, encoder_hidden_states=text, return_dict=False)[0]

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                draw()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = draw()
        for weight in (0.0, 0.7, 0.0):
            stack.set([weight])
            graph.replay()
            torch.testing.assert_close(captured, draw(), atol=1e-3, rtol=1e-3)
