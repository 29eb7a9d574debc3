"""The rung ``onnx``: right to a thousandth, over buffers that stay where they are."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

from vjengine.errors import GeneratorError, UsageError  # noqa: E402
from vjengine.generate.turbo.accel.base import TextState  # noqa: E402
from vjengine.generate.turbo.accel.eager import EagerNetworks  # noqa: E402
from vjengine.generate.turbo.accel.onnx import OnnxRung, open_networks  # noqa: E402
from vjengine.generate.turbo.plan import FramePlan  # noqa: E402


@pytest.fixture(scope="module", params=["exported_sd", "exported_sdxl"])
def opened(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A model and its networks in ONNX Runtime."""
    model = request.getfixturevalue(request.param)
    return model, open_networks(onnxruntime, model.parts, model.plan, model.exported.folder)


def text(model: Any, seed: int) -> TextState:
    numbers = torch.Generator().manual_seed(seed)
    ports = {port.name: port for port in model.exported.networks["unet"].inputs}
    draw = {name: torch.randn(port.shape, generator=numbers) for name, port in ports.items() if name != "timestep"}
    return TextState(draw["text"], draw.get("pooled"), draw.get("size_ids"))


def test_agrees_with_eager(opened: tuple[Any, Any]) -> None:
    model, networks = opened
    eager = EagerNetworks(model.parts, model.plan)
    latents, picture = torch.randn(model.plan.latent_shape), torch.rand(model.plan.picture_shape)
    seen = []
    for each in (networks, eager):
        each.set_text(text(model, 1))
        each.set_text(text(model, 2), negative=True)
        each.set_lora([0.7, 0.2] if model.plan.loras else [])
        outputs = [each.encode(picture).clone(), each.decode(latents).clone()]
        outputs += [each.predict(latents, torch.tensor([step])).clone() for step in (1, 999)]
        outputs.append(each.predict(latents, torch.tensor([999]), negative=True).clone())
        seen.append(outputs)
    for found, wanted in zip(*seen, strict=True):
        assert float((found - wanted).abs().max()) <= 1e-3
    assert float((seen[0][3] - seen[0][4]).abs().max()) > 1e-2, "the negative text makes no difference"


def test_buffers_never_move(opened: tuple[Any, Any]) -> None:
    model, networks = opened
    latents, picture = torch.randn(model.plan.latent_shape), torch.rand(model.plan.picture_shape)
    step = torch.tensor([500])

    def frame() -> list[int]:
        outputs = (networks.encode(picture), networks.predict(latents, step), networks.decode(latents))
        return [output.data_ptr() for output in outputs]

    assert frame() == frame()


def test_takes_what_is_laid_out_otherwise_or_in_another_type(opened: tuple[Any, Any]) -> None:
    model, networks = opened
    picture = torch.rand(model.plan.picture_shape)
    plain = networks.encode(picture).clone()
    assert torch.equal(networks.encode(picture.contiguous(memory_format=torch.channels_last)), plain)
    assert torch.equal(networks.encode(picture.double()), plain)


def test_prepared_once_it_is_ready_and_loads(one_level: tuple[Any, FramePlan], tmp_path: Path) -> None:
    parts, plan = one_level
    rung, news = OnnxRung(), []
    assert rung.missing(plan) == ""
    assert not rung.ready(parts.fingerprint, plan, tmp_path)
    with pytest.raises(GeneratorError, match=r"has not been built; build them: vjengine engine build"):
        rung.load(parts, plan, tmp_path)
    rung.prepare(parts, plan, tmp_path, lambda doing, part: news.append((doing, part)))
    assert news[-1][1] == 1.0
    assert rung.ready(parts.fingerprint, plan, tmp_path)
    assert not rung.ready(parts.fingerprint, FramePlan((128, 128)), tmp_path)
    assert not rung.ready("0" * 64, plan, tmp_path)
    networks = rung.load(parts, plan, tmp_path)
    assert networks.rung == "onnx"
    networks.close()
    (weights,) = tmp_path.glob("*/unet.weights")
    weights.write_bytes(weights.read_bytes()[:-100])
    assert not rung.ready(parts.fingerprint, plan, tmp_path)
    with pytest.raises(GeneratorError, match=r"unet\.weights is .* truncated"):
        rung.load(parts, plan, tmp_path)


def test_a_broken_graph_is_refused_in_words(exported_sdxl: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(exported_sdxl.exported.folder, tmp_path / "copy")
    (folder / "unet.onnx").write_bytes(b"not a graph")
    with pytest.raises(GeneratorError, match="ONNX Runtime cannot run random:tiny-sdxl"):
        open_networks(onnxruntime, exported_sdxl.parts, exported_sdxl.plan, folder)


def test_says_what_is_missing() -> None:
    rung = OnnxRung()
    plan = FramePlan((64, 64))
    assert "float32" in rung.missing(replace(plan, precision="float16"))
    if not torch.cuda.is_available():
        assert "cuda:0" in rung.missing(replace(plan, device="cuda:0"))


def test_a_provider_that_is_not_there_is_named(exported_sdxl: Any, tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match=r"has no NowhereExecutionProvider; it has .*CPUExecutionProvider"):
        OnnxRung("NowhereExecutionProvider").load(exported_sdxl.parts, exported_sdxl.plan, tmp_path)


def test_wrong_use_is_refused(exported_sd: Any, exported_sdxl: Any) -> None:
    networks = open_networks(onnxruntime, exported_sd.parts, exported_sd.plan, exported_sd.exported.folder)
    with pytest.raises(UsageError, match="2 LoRA weights are needed"):
        networks.set_lora([1.0])
    networks.close()
    with pytest.raises(GeneratorError, match="closed"):
        networks.encode(torch.rand(exported_sd.plan.picture_shape))
    sdxl = open_networks(onnxruntime, exported_sdxl.parts, exported_sdxl.plan, exported_sdxl.exported.folder)
    state = text(exported_sdxl, 1)
    with pytest.raises(GeneratorError, match="pooled text"):
        sdxl.set_text(TextState(state.embeds))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_runs_on_cuda(tmp_path: Path) -> None:
    from vjengine.generate.turbo.random_models import random_parts

    plan = FramePlan((64, 64), device="cuda:0", precision="float16")
    rung = OnnxRung()
    if reason := rung.missing(plan):
        pytest.skip(reason)
    parts = random_parts("tiny", device="cuda:0", precision="float16")
    rung.prepare(parts, plan, tmp_path, lambda _doing, _part: None)
    networks = rung.load(parts, plan, tmp_path)
    picture = torch.rand(plan.picture_shape, device="cuda:0", dtype=torch.float16)
    found, wanted = networks.encode(picture), EagerNetworks(parts, plan).encode(picture)
    torch.cuda.synchronize()
    assert float((found - wanted).abs().max()) < 2e-2
