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
    files = [write_lora(folder / f"{seed}.safetensors", parts.unet, seed=seed) for seed in (1, 2)]
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
