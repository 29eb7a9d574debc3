"""The rung ``openvino``: right to a thousandth in float32, and no visible step away in bfloat16."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")
pytest.importorskip("onnx")

from vjengine.errors import GeneratorError  # noqa: E402
from vjengine.generate.turbo.accel.base import TextState  # noqa: E402
from vjengine.generate.turbo.accel.eager import EagerNetworks  # noqa: E402
from vjengine.generate.turbo.accel.openvino import OpenVinoRung  # noqa: E402
from vjengine.generate.turbo.plan import FramePlan  # noqa: E402


def outputs(networks: Any, model: Any) -> dict[str, Any]:
    """What networks make of the same inputs."""
    numbers = torch.Generator().manual_seed(3)
    ports = {port.name: torch.Size(port.shape) for port in model.exported.networks["unet"].inputs}
    draw = {name: torch.randn(shape, generator=numbers) for name, shape in ports.items()}
    networks.set_text(TextState(draw["text"], draw.get("pooled"), draw.get("size_ids")))
    networks.set_text(TextState(-draw["text"], draw.get("pooled"), draw.get("size_ids")), negative=True)
    networks.set_lora([0.7, 0.2] if model.plan.loras else [])
    picture = torch.rand(model.plan.picture_shape, generator=numbers)
    made = {"encoded": networks.encode(picture).clone(), "decoded": networks.decode(draw["latents"]).clone()}
    for step in (1, 999):
        made[f"at {step}"] = networks.predict(draw["latents"], torch.tensor([step])).clone()
    made["negative"] = networks.predict(draw["latents"], torch.tensor([999]), negative=True).clone()
    return made


@pytest.mark.parametrize("fixture", ["exported_sd", "exported_sdxl"])
def test_float32_agrees_with_eager(request: pytest.FixtureRequest, fixture: str) -> None:
    model = request.getfixturevalue(fixture)
    networks = OpenVinoRung(precision="f32").open_networks(model.parts, model.plan, model.exported.folder)
    found, wanted = outputs(networks, model), outputs(EagerNetworks(model.parts, model.plan), model)
    for name, tensor in wanted.items():
        assert float((found[name] - tensor).abs().max()) <= 1e-3, name
    assert float((found["at 999"] - found["negative"]).abs().max()) > 1e-2
    again = outputs(networks, model)
    assert all(torch.equal(again[name], found[name]) for name in found)
    networks.close()


def test_bfloat16_pictures_look_the_same(exported_sdxl: Any) -> None:
    """Processors without the instructions compute bfloat16 as well, only slowly: the numbers are the same kind."""
    networks = OpenVinoRung(precision="bf16").open_networks(
        exported_sdxl.parts, exported_sdxl.plan, exported_sdxl.exported.folder
    )
    eager = EagerNetworks(exported_sdxl.parts, exported_sdxl.plan)
    found, wanted = outputs(networks, exported_sdxl), outputs(eager, exported_sdxl)
    difference = (found["decoded"] - wanted["decoded"]).abs()
    assert float(difference.mean()) < 0.005
    assert float(difference.max()) < 0.06
    # torch's own bfloat16 is 0.011-0.018 away; with the timestep itself in bfloat16 (999 is 1000 there), 0.06.
    for name in ("at 1", "at 999", "negative"):
        error = (found[name] - wanted[name]).square().mean().sqrt()
        assert float(error / wanted[name].std()) < 0.025, name


def test_prepared_once_it_is_ready_and_loads(one_level: tuple[Any, FramePlan], tmp_path: Path) -> None:
    parts, plan = one_level
    rung = OpenVinoRung()
    assert rung.missing(plan) == ""
    assert not rung.ready(parts.fingerprint, plan, tmp_path)
    with pytest.raises(GeneratorError, match=r"has not been built; build them: vjengine engine build"):
        rung.load(parts, plan, tmp_path)
    rung.prepare(parts, plan, tmp_path, lambda _doing, _part: None)
    assert rung.ready(parts.fingerprint, plan, tmp_path)
    networks = rung.load(parts, plan, tmp_path)
    assert networks.rung == "openvino"
    assert networks.decode(torch.zeros(plan.latent_shape)).shape == plan.picture_shape
    networks.close()
    networks.close()


def test_a_broken_graph_is_refused_in_words(exported_sdxl: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(exported_sdxl.exported.folder, tmp_path / "copy")
    (folder / "unet.onnx").write_bytes(b"not a graph")
    with pytest.raises(GeneratorError, match="OpenVINO cannot run random:tiny-sdxl on CPU"):
        OpenVinoRung().open_networks(exported_sdxl.parts, exported_sdxl.plan, folder)


def test_a_device_that_is_not_there_is_named(exported_sdxl: Any) -> None:
    with pytest.raises(GeneratorError, match=r"OpenVINO sees no NPU here; it sees .*CPU"):
        OpenVinoRung("NPU").open_networks(exported_sdxl.parts, exported_sdxl.plan, exported_sdxl.exported.folder)


def test_says_what_is_missing() -> None:
    assert "cuda:0" in OpenVinoRung().missing(replace(FramePlan((64, 64)), device="cuda:0"))


def test_computes_in_bfloat16_only_where_the_processor_can() -> None:
    import openvino

    core = openvino.Core()
    able = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert OpenVinoRung().precision(core) == ("bf16" if able else "f32")
    assert OpenVinoRung(precision="f32").precision(core) == "f32"
