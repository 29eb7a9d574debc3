"""TensorRT for real, as far as it goes without a card: export, parse, build for RTX cards, keep; and good words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import save_file

from vjengine.errors import GeneratorError, MissingDependency, UsageError
from vjengine.generate.turbo.accel.base import TextState
from vjengine.generate.turbo.accel.cache import EngineCache
from vjengine.generate.turbo.accel.eager import EagerNetworks
from vjengine.generate.turbo.accel.export import export_networks
from vjengine.generate.turbo.accel.tensorrt import NETWORKS, TensorRTRung
from vjengine.generate.turbo.accel.tensorrt_build import build_engine
from vjengine.generate.turbo.accel.tensorrt_library import (
    card_target,
    check_targets,
    checked_targets,
    library_for,
    missing_for,
)
from vjengine.generate.turbo.lora import add_loras
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan
from vjengine.generate.turbo.random_models import random_parts

trt = pytest.importorskip("tensorrt_rtx", reason="pip install 'vjengine[tensorrt-rtx]'")

CARDS = ("sm86", "sm89", "sm120")
PLAN = FramePlan(size=(64, 64), device="cuda:0", precision="float16", loras=1)


def quiet(doing: str, fraction: float) -> None:
    """Listen to no progress."""


def small_unet() -> Any:
    """A UNet of one level: TensorRT takes its time for every layer, however small it is."""
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(32,), attention_head_dim=2, layers_per_block=1, cross_attention_dim=32,
        norm_num_groups=8, use_linear_projection=True, down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
    )  # fmt: skip
    return torch.nn.Module.to(unet, torch.float16).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> TurboParts:
    """A small model with a LoRA."""
    torch.set_num_threads(1)
    parts = random_parts("tiny", precision="float16")
    parts.unet = small_unet()
    layer = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    lora = tmp_path_factory.mktemp("loras") / "ink.safetensors"
    tensors = {f"{layer}.lora_A.weight": torch.randn(2, 32), f"{layer}.lora_B.weight": torch.randn(32, 2)}
    save_file(tensors, lora)
    parts.lora = add_loras(parts.unet, [lora])
    return parts


@pytest.fixture(scope="module")
def exported(parts: TurboParts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx")
    export_networks(parts, PLAN, folder, quiet)
    return folder


@pytest.fixture(scope="module")
def built(parts: TurboParts, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, float]]]:
    """The folder with engines of ``parts`` for all :data:`CARDS`, and what was said meanwhile."""
    folder = tmp_path_factory.mktemp("engines")
    news: list[tuple[str, float]] = []
    TensorRTRung(CARDS).prepare(parts, PLAN, folder, lambda doing, fraction: news.append((doing, fraction)))
    return folder, news


def test_engines_for_three_cards_are_built_and_kept(built: tuple[Path, list[tuple[str, float]]]) -> None:
    folder, _ = built
    (entry,) = EngineCache(folder).list()
    assert entry.key is not None
    assert (entry.fault, entry.stale, entry.model) == ("", False, "random:tiny")
    assert (entry.key.target, entry.key.precision, entry.key.size) == ("sm86+sm89+sm120", "float16", (64, 64))
    assert EngineCache(folder).find(entry.key) == entry.folder
    sizes = {name: (entry.folder / f"{name}.engine").stat().st_size for name in NETWORKS}
    assert all(size > 100_000 for size in sizes.values()), sizes
    assert [path.name for path in folder.iterdir()] == [entry.folder.name], "nothing is left beside it"


def test_progress_only_moves_on_and_reaches_the_end(built: tuple[Path, list[tuple[str, float]]]) -> None:
    fractions = [fraction for _, fraction in built[1]]
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.3
    assert 0.95 < fractions[-1] <= 1.0
    assert {"building encoder", "building unet", "building decoder"} <= {doing for doing, _ in built[1]}


def test_what_is_built_for_several_cards_serves_each(
    built: tuple[Path, list[tuple[str, float]]], parts: TurboParts
) -> None:
    assert TensorRTRung(CARDS).ready(parts.fingerprint, PLAN, built[0])
    assert TensorRTRung(("sm89",)).ready(parts.fingerprint, PLAN, built[0])
    assert not TensorRTRung(("sm80",)).ready(parts.fingerprint, PLAN, built[0])
    assert not TensorRTRung(CARDS).ready("another model", PLAN, built[0])
    other = FramePlan(size=(128, 64), device="cuda:0", precision="float16")
    assert not TensorRTRung(CARDS).ready(parts.fingerprint, other, built[0])


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("network", ["encoder", "decoder"])
def test_each_card_alone(exported: Path, tmp_path: Path, card: str, network: str) -> None:
    engine = tmp_path / f"{network}.engine"
    assert build_engine(library_for(card), exported / f"{network}.onnx", engine, (card,), quiet) == b""
    assert engine.stat().st_size > 100_000


def test_a_card_that_rtx_does_not_serve_is_told_what_to_install() -> None:
    with pytest.raises(MissingDependency, match="pip install tensorrt, from NVIDIA") as caught:
        library_for("sm90")
    assert "(sm90; tensorrt-rtx is here, but does not serve it)" in str(caught.value)
    assert missing_for("sm89") == ""


def test_rtx_is_not_asked_for_cards_it_does_not_know() -> None:
    library = library_for("sm89")
    check_targets(library, ("sm86", "sm120"), "")
    with pytest.raises(GeneratorError, match="cannot build for sm90"):
        check_targets(library, ("sm90",), "")
    with pytest.raises(GeneratorError, match="it knows sm80"):
        check_targets(library, ("sm75", "sm89"), "")


@pytest.mark.parametrize("text", ["", ",", "89", "sm8", "rtx4090", "sm89;sm120"])
def test_cards_have_one_spelling(text: str) -> None:
    with pytest.raises(UsageError, match="sm89 is RTX 40"):
        checked_targets(text)


def test_cards_are_sorted_and_counted_once() -> None:
    assert checked_targets("SM120, sm89,sm120") == ("sm89", "sm120")


WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in ("tensorrt", "tensorrt_rtx"):
            {how}
sys.meta_path.insert(0, Absent())
from vjengine.generate.turbo.accel.tensorrt_library import missing_for
print(missing_for("sm89"))
print(missing_for("sm90"))
print("torch" in sys.modules)
"""


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise ModuleNotFoundError(f'No module named {name!r}', name=name)", ""),
        ("raise ImportError('DLL load failed')", "DLL load failed"),
        ("raise OSError('libnvinfer.so.11: cannot open shared object file')", "libnvinfer.so.11"),
    ],
    ids=["absent", "broken", "without its libraries"],
)
def test_without_the_library_it_says_what_to_install(how: str, reason: str) -> None:
    told = subprocess.run([sys.executable, "-c", WITHOUT.format(how=how)], capture_output=True, text=True, check=True)
    rtx, data_centre, torch_loaded = told.stdout.splitlines()
    assert rtx.endswith("Install it with: pip install 'vjengine[tensorrt-rtx]'")
    assert data_centre.endswith("Install it with: pip install tensorrt, from NVIDIA")
    assert reason in rtx
    assert torch_loaded == "False"


def test_a_cpu_plan_is_told_that_a_card_is_needed() -> None:
    assert "needs an NVIDIA card" in TensorRTRung().missing(FramePlan(size=(64, 64)))
    assert card_target("cpu") == ""


@pytest.mark.parametrize("content", [b"", b"not a network"])
def test_a_network_that_cannot_be_read_fails_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "unet.onnx").write_bytes(content)
    with pytest.raises(GeneratorError, match=r"does not understand unet\.onnx"):
        build_engine(library_for("sm89"), tmp_path / "unet.onnx", tmp_path / "unet.engine", ("sm89",), quiet)
    assert not (tmp_path / "unet.engine").exists()


def inputs(onnx: Path) -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes of a network's inputs, as TensorRT reads them."""
    log = trt.Logger(trt.Logger.ERROR)
    network = trt.Builder(log).create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    assert trt.OnnxParser(network, log).parse_from_file(str(onnx))
    tensors = [network.get_input(index) for index in range(network.num_inputs)]
    return [(tensor.name, tuple(tensor.shape)) for tensor in tensors]


def test_whatever_a_performer_moves_is_an_input(exported: Path) -> None:
    assert inputs(exported / "encoder.onnx") == [("picture", PLAN.picture_shape)]
    assert inputs(exported / "decoder.onnx") == [("latents", PLAN.latent_shape)]
    assert sorted(inputs(exported / "unet.onnx")) == [
        ("latents", PLAN.latent_shape), ("lora", (1,)), ("text", (1, 77, 32)), ("timestep", (1,)),
    ]  # fmt: skip


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without a card")
def test_an_engine_without_a_card_fails_in_words(
    built: tuple[Path, list[tuple[str, float]]], parts: TurboParts
) -> None:
    from vjengine.generate.turbo.accel.tensorrt_networks import deserialise

    (entry,) = EngineCache(built[0]).list()
    with pytest.raises(GeneratorError, match=r"cannot use decoder\.engine here: .*Update the NVIDIA driver"):
        deserialise(library_for("sm89"), entry.folder / "decoder.engine")
    with pytest.raises(GeneratorError, match="needs an NVIDIA card"):
        TensorRTRung().load(parts, PLAN, built[0])
    with pytest.raises(GeneratorError, match="vjengine engine build MODEL --for sm89"):
        TensorRTRung().prepare(parts, PLAN, built[0], quiet)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA card here")
@torch.inference_mode()
def test_engines_draw_what_eager_draws(tmp_path: Path) -> None:
    from vjengine.generate.turbo.accel.tensorrt_networks import KERNELS

    parts = random_parts("tiny", device="cuda", precision="float16")
    plan = FramePlan(size=(128, 64), device="cuda:0", precision="float16")
    rung = TensorRTRung()
    if rung.missing(plan):
        pytest.skip(rung.missing(plan))
    rung.prepare(random_parts("tiny", precision="float16"), plan, tmp_path, quiet)
    networks = rung.load(parts, plan, tmp_path)
    eager = EagerNetworks(parts, plan)
    assert networks.capturable
    noise = torch.Generator("cuda").manual_seed(1)

    def drawn(shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(shape, generator=noise, device="cuda", dtype=torch.float16)

    texts = {negative: TextState(drawn((1, 77, 32))) for negative in (False, True)}
    picture, latents = drawn(plan.picture_shape).sigmoid(), drawn(plan.latent_shape)
    timestep = torch.tensor([700], device="cuda")
    results: list[list[torch.Tensor]] = []
    for either in (eager, networks):
        for negative, text in texts.items():
            either.set_text(text, negative=negative)
        outputs = [either.encode(picture).clone(), either.decode(latents).clone()]
        outputs += [either.predict(latents, timestep, negative=negative).clone() for negative in (False, True, False)]
        results.append(outputs)
    for expected, got in zip(*results, strict=True):
        assert (expected.float() - got.float()).abs().mean() < 0.02 * expected.float().abs().mean()
    # Recorded into a CUDA graph, it follows what is written in place.
    place = latents.clone()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = networks.predict(place, timestep)
    place.copy_(-latents)
    graph.replay()
    torch.cuda.synchronize()
    wanted = eager.predict(-latents, timestep)
    assert (wanted.float() - output.float()).abs().mean() < 0.02 * wanted.float().abs().mean()
    networks.close()
    networks.close()
    if library_for(card_target("cuda:0")).rtx:
        assert list(tmp_path.glob(f"*/{KERNELS}"))
