"""Small models of the real classes with random weights, saved once a session, and LoRAs for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vjengine.generate.turbo.quiet import silence_libraries

silence_libraries()


@pytest.fixture(scope="session")
def one_thread() -> None:
    """Sums come out the same, and the machine's other cores are somebody else's."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_parts(one_thread: None) -> Any:
    """The model ``random:tiny``; whoever changes it takes a deep copy."""
    from vjengine.generate.turbo.random_models import random_parts

    return random_parts("tiny")


@pytest.fixture(scope="session")
def tiny_sdxl_parts(one_thread: None) -> Any:
    """The model ``random:tiny-sdxl``; whoever changes it takes a deep copy."""
    from vjengine.generate.turbo.random_models import random_parts

    return random_parts("tiny-sdxl")


@pytest.fixture(scope="session")
def sd_folder(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder with the model ``tiny``."""
    from vjengine.generate.turbo.random_models import save_random_model

    return save_random_model("tiny", tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def sdxl_folder(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder with the model ``tiny-sdxl``."""
    from vjengine.generate.turbo.random_models import save_random_model

    return save_random_model("tiny-sdxl", tmp_path_factory.mktemp("models") / "tiny-sdxl")


@pytest.fixture(scope="session")
def write_lora() -> Callable[..., Path]:
    """Write a random LoRA for a UNet: ``write_lora(path, unet, spelling="kohya", rank=4, alpha=2.0, ...)``."""
    return _write_lora


def _write_lora(
    path: Path,
    unet: Any,
    *,
    spelling: str = "kohya",
    rank: int = 4,
    alpha: float | None = 2.0,
    seed: int = 1,
    strength: float = 0.5,
    only: str = "",
    text: bool = False,
) -> Path:
    """Write a LoRA that touches most linear and some convolution layers.

    Args:
        path: file to write.
        unet: whose layers.
        spelling: ``kohya``, ``sgm`` (kohya's for SDXL), ``peft`` or ``old`` (diffusers before peft).
        rank, alpha: as usual; no alpha means alpha = rank.
        seed: of the numbers.
        strength: about how strong it is.
        only: touch only layers with this in their name.
        text: carry a layer of the text encoder too.
    """
    import torch
    from safetensors.torch import save_file
    from torch import nn

    from vjengine.generate.turbo.lora_names import ldm_name

    numbers = torch.Generator().manual_seed(seed)
    tensors = {}

    def random(*shape: int) -> Any:
        return torch.randn(*shape, generator=numbers) * strength / max(shape[1:]) ** 0.5

    for name, module in unet.named_modules():
        attention = isinstance(module, nn.Linear) and ("attn" in name or ".ff." in name or "proj_" in name)
        convolution = isinstance(module, nn.Conv2d) and any(part in name for part in ("conv1", "samplers", "proj_"))
        if not (attention or (convolution and spelling != "old")) or only not in name:
            continue
        if isinstance(module, nn.Linear):
            down, up = random(rank, module.in_features), random(module.out_features, rank)
        else:
            down = random(rank, module.in_channels, *module.kernel_size)
            up = random(module.out_channels, rank, 1, 1)
        if spelling == "peft":
            keys = (f"unet.{name}.lora_A.weight", f"unet.{name}.lora_B.weight", f"unet.{name}.alpha")
        elif spelling == "old":
            keys = (f"unet.{name}.lora.down.weight", f"unet.{name}.lora.up.weight", f"unet.{name}.alpha")
        else:
            layer = (ldm_name(name, unet) if spelling == "sgm" else name).replace(".", "_")
            keys = (
                f"lora_unet_{layer}.lora_down.weight",
                f"lora_unet_{layer}.lora_up.weight",
                f"lora_unet_{layer}.alpha",
            )
        tensors[keys[0]], tensors[keys[1]] = down.contiguous(), up.contiguous()
        if alpha is not None and spelling in ("kohya", "sgm"):
            tensors[keys[2]] = torch.tensor(alpha)
    if text:
        layer = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
        tensors[f"{layer}.lora_down.weight"], tensors[f"{layer}.lora_up.weight"] = random(rank, 32), random(32, rank)
        tensors[f"{layer}.alpha"] = torch.tensor(2.0)
    save_file(tensors, path)
    return path
