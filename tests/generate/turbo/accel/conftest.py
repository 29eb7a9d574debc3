"""Two small models and their networks as ONNX files, exported once a session; the CPU rungs are held against eager."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Model:
    """A model on the CPU and its exported networks."""

    parts: Any
    plan: Any
    exported: Any


@pytest.fixture(scope="session")
def exported_sd(write_lora: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Model:
    """SD with v-prediction, two LoRAs and a full autoencoder, 128x64, float32."""
    pytest.importorskip("torch")
    from vjengine.generate.turbo.lora import add_loras
    from vjengine.generate.turbo.random_models import random_parts

    folder = tmp_path_factory.mktemp("sd")
    parts = random_parts("tiny-v", full_vae=True)
    files = [write_lora(folder / f"{seed}.safetensors", parts.unet, seed=seed, only="up_blocks.1") for seed in (1, 2)]
    parts.lora = add_loras(parts.unet, files)
    return _exported(parts, folder / "networks")


@pytest.fixture(scope="session")
def exported_sdxl(tiny_sdxl_parts: Any, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """SDXL with TAESDXL, 128x64, float32."""
    return _exported(tiny_sdxl_parts, tmp_path_factory.mktemp("sdxl"))


def _exported(parts: Any, folder: Path) -> Model:
    pytest.importorskip("onnx")
    import torch

    from vjengine.generate.turbo.accel.export import export_networks
    from vjengine.generate.turbo.plan import FramePlan

    torch.set_num_threads(1)
    plan = FramePlan((128, 64), loras=0 if parts.lora is None else len(parts.lora.names))
    return Model(parts, plan, export_networks(parts, plan, folder, lambda _doing, _fraction: None))


@pytest.fixture(scope="session")
def one_level() -> tuple[Any, Any]:
    """A model with one level, and its plan: exported in a moment."""
    torch = pytest.importorskip("torch")
    from diffusers import UNet2DConditionModel

    from vjengine.generate.turbo.plan import FramePlan
    from vjengine.generate.turbo.random_models import random_parts

    parts = random_parts("tiny")
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(32,), attention_head_dim=2, layers_per_block=1, cross_attention_dim=32,
        norm_num_groups=8, use_linear_projection=True, down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
    )  # fmt: skip
    parts.unet = torch.nn.Module.to(unet, torch.float32).eval().requires_grad_(False)
    return parts, FramePlan((64, 64))
