"""Exported networks compute what torch computes, and are whole or refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from diffusers import UNet2DConditionModel  # noqa: E402

from vjengine.errors import GeneratorError  # noqa: E402
from vjengine.generate.turbo.accel.base import TextState  # noqa: E402
from vjengine.generate.turbo.accel.eager import EagerNetworks  # noqa: E402
from vjengine.generate.turbo.accel.export import MANIFEST, Exported, export_networks, open_exported  # noqa: E402
from vjengine.generate.turbo.plan import FramePlan  # noqa: E402
from vjengine.generate.turbo.random_models import random_parts  # noqa: E402

TYPES = {"float32": torch.float32, "float16": torch.float16, "int64": torch.int64}


def quiet(_doing: str, _fraction: float) -> None:
    pass


def given(exported: Exported, network: str, seed: int = 1) -> dict[str, Any]:
    """Inputs for ``network``, in float32."""
    numbers = torch.Generator().manual_seed(seed)
    values = {port.name: torch.randn(port.shape, generator=numbers) for port in exported.networks[network].inputs}
    special = {
        "picture": lambda value: value.sigmoid(),
        "timestep": lambda _: torch.tensor([437]),
        "size_ids": lambda _: torch.tensor([[1024.0, 768.0, 0.0, 0.0, 1024.0, 768.0]]),
        "lora": lambda value: torch.linspace(0.8, 0.3, len(value)),
    }
    return {name: special[name](value) if name in special else value for name, value in values.items()}


def run(exported: Exported, network: str, values: dict[str, Any]) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(exported.path(network), options, providers=["CPUExecutionProvider"])
    types = {port.name: TYPES[port.dtype] for port in exported.networks[network].inputs}
    output: np.ndarray = session.run(None, {name: value.to(types[name]).numpy() for name, value in values.items()})[0]
    return output


def expected(parts: Any, plan: FramePlan, network: str, values: dict[str, Any]) -> np.ndarray:
    eager = EagerNetworks(parts, FramePlan(plan.size))
    if network == "unet":
        eager.set_text(TextState(values["text"], values.get("pooled"), values.get("size_ids")))
        if "lora" in values:
            eager.set_lora(values["lora"].tolist())
        return eager.predict(values["latents"], values["timestep"]).numpy()
    return (eager.encode(values["picture"]) if network == "encoder" else eager.decode(values["latents"])).numpy()


@pytest.mark.parametrize("network", ["encoder", "unet", "decoder"])
@pytest.mark.parametrize("model", ["exported_sd", "exported_sdxl"])
def test_computes_what_torch_computes(request: pytest.FixtureRequest, model: str, network: str) -> None:
    made = request.getfixturevalue(model)
    values = given(made.exported, network)
    found, wanted = run(made.exported, network, values), expected(made.parts, made.plan, network, values)
    assert found.dtype == np.float32
    assert wanted.std() > 0.01
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_lora_weights_are_read_at_every_run(exported_sd: Any) -> None:
    values = given(exported_sd.exported, "unet")
    seen = []
    for weights in ([0.0, 0.0], [1.0, 0.0], [0.5, 0.5]):
        values["lora"] = torch.tensor(weights)
        seen.append(run(exported_sd.exported, "unet", values))
        np.testing.assert_allclose(seen[-1], expected(exported_sd.parts, exported_sd.plan, "unet", values), atol=1e-4)
    assert abs(seen[0] - seen[1]).max() > 1e-2
    assert abs(seen[1] - seen[2]).max() > 1e-2


def test_exporting_leaves_the_model_as_it_was(exported_sd: Any) -> None:
    stack = exported_sd.parts.lora
    assert stack.weights.shape == (2,)
    assert stack.weights.device.type == "cpu"
    tensors = [*exported_sd.parts.unet.state_dict().values(), *exported_sd.parts.vae.state_dict().values()]
    assert all(0 not in tensor.stride() or tensor.numel() == 1 for tensor in tensors), "stand-ins were left in place"


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, FramePlan, Exported]:
    """A model with one level, in float16."""
    parts = random_parts("tiny", precision="float16")
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(32,), attention_head_dim=2, layers_per_block=1, cross_attention_dim=32,
        norm_num_groups=8, use_linear_projection=True, down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
    )  # fmt: skip
    parts.unet = torch.nn.Module.to(unet, torch.float16).eval().requires_grad_(False)
    plan = FramePlan((64, 64), precision="float16")
    return parts, plan, export_networks(parts, plan, tmp_path_factory.mktemp("half"), quiet)


@pytest.mark.parametrize("network", ["encoder", "unet", "decoder"])
def test_half_precision_is_half_throughout(half: tuple[Any, FramePlan, Exported], network: str) -> None:
    parts, plan, exported = half
    inferred = onnx.shape_inference.infer_shapes(onnx.load(exported.path(network)), strict_mode=True)
    floats = {tensor.data_type for tensor in inferred.graph.initializer}
    assert floats == {onnx.TensorProto.FLOAT16}
    values = given(exported, network)
    found = run(exported, network, values)
    assert found.dtype == np.float16
    for module in (parts.unet, parts.vae):
        torch.nn.Module.to(module, torch.float32)
    wanted = expected(parts, plan, network, values)
    for module in (parts.unet, parts.vae):
        torch.nn.Module.to(module, torch.float16)
    np.testing.assert_allclose(found, wanted, atol=2e-2)


def test_a_bfloat16_model_is_written_in_float32_with_progress_and_nothing_left(
    half: tuple[Any, FramePlan, Exported], tmp_path: Path
) -> None:
    (tmp_path / "other.txt").write_text("stays")
    news: list[float] = []
    parts = half[0]
    for module in (parts.unet, parts.vae):
        torch.nn.Module.to(module, torch.bfloat16)
    try:
        plan = FramePlan((64, 64), precision="bfloat16")
        exported = export_networks(parts, plan, tmp_path, lambda _doing, part: news.append(part))
    finally:
        for module in (parts.unet, parts.vae):
            torch.nn.Module.to(module, torch.float16)
    ports = [port for network in exported.networks.values() for port in (*network.inputs, network.output)]
    assert {port.dtype for port in ports} == {"float32", "int64"}
    assert run(exported, "decoder", given(exported, "decoder")).dtype == np.float32
    assert news == sorted(news)
    assert (news[0], news[-1]) == (0.0, 1.0)
    assert {path.name for path in tmp_path.iterdir()} == {*exported.files, MANIFEST, "other.txt"}


def test_what_was_written_is_read_back(exported_sdxl: Any) -> None:
    assert open_exported(exported_sdxl.exported.folder) == exported_sdxl.exported
    assert [port.name for port in exported_sdxl.exported.networks["unet"].inputs] == [
        "latents", "timestep", "text", "pooled", "size_ids",
    ]  # fmt: skip


def truncate(folder: Path) -> None:
    content = (folder / "unet.weights").read_bytes()
    (folder / "unet.weights").write_bytes(content[:-1])


def flip(folder: Path) -> None:
    content = bytearray((folder / "decoder.weights").read_bytes())
    content[-1] ^= 1
    (folder / "decoder.weights").write_bytes(content)


def describe_more(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["../elsewhere"] = {"bytes": 1, "sha256": ""}
    (folder / MANIFEST).write_text(json.dumps(manifest))


def age(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["format"] = 0
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (truncate, "unet.weights has"), (flip, "decoder.weights is not what was written"), (age, "format 0"),
        (lambda folder: (folder / "encoder.onnx").unlink(), "encoder.onnx cannot be read"),
        (lambda folder: (folder / MANIFEST).unlink(), "export.json cannot be read"),
        (lambda folder: (folder / MANIFEST).write_text("[1, 2]"), "export.json cannot be read"),
        (describe_more, "is not the name of a file"),
    ],
)  # fmt: skip
def test_what_is_not_whole_is_refused(
    half: tuple[Any, FramePlan, Exported], tmp_path: Path, spoil: Callable[[Path], None], why: str
) -> None:
    folder = shutil.copytree(half[2].folder, tmp_path / "copy")
    spoil(folder)
    with pytest.raises(GeneratorError, match=why):
        open_exported(folder)


def test_a_folder_that_cannot_be_written_is_named(half: tuple[Any, FramePlan, Exported], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GeneratorError, match="cannot be written"):
        export_networks(half[0], half[1], tmp_path / "file", quiet)


def test_a_number_too_large_for_half_precision_is_refused(tmp_path: Path) -> None:
    from vjengine.generate.turbo.accel.onnx_graph import to_half

    helper = onnx.helper
    one = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    two = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    large = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", onnx.TensorProto.FLOAT, [1], [1e6]))
    model = helper.make_model(helper.make_graph([large, helper.make_node("Add", ["x", "c"], ["y"])], "g", [one], [two]))
    with pytest.raises(GeneratorError, match="too large for half precision"):
        to_half(model)
