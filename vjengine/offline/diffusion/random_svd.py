"""Video models of the published shapes, or tiny ones, with random weights: what they cost is true, what they draw is
not. The small ones make the whole path run on any machine, without a download.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vjengine.errors import UsageError
from vjengine.generate.turbo.quiet import quietly

SCHEDULER = {
    "_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "interpolation_type": "linear", "num_train_timesteps": 1000, "prediction_type": "v_prediction",
    "sigma_max": 700.0, "sigma_min": 0.002, "steps_offset": 1, "timestep_spacing": "leading",
    "timestep_type": "continuous", "use_karras_sigmas": True,
}  # fmt: skip
"""The published scheduler's settings."""
_CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a video model: see diffusers' classes for what each means."""

    frames: int
    channels: tuple[int, ...]
    heads: tuple[int, ...]
    layers: int
    time_width: int
    text_width: int
    vae_channels: tuple[int, ...]
    vae_layers: int
    vision_width: int
    vision_layers: int
    vision_heads: int
    patch: int


SHAPES: dict[str, Shape] = {
    "tiny-svd": Shape(7, (32, 64), (2, 4), 1, 32, 32, (32, 32, 32, 32), 1, 32, 1, 2, 32),
    "svd": Shape(14, (320, 640, 1280, 1280), (5, 10, 20, 20), 2, 256, 1024, (128, 256, 512, 512), 2, 1280, 32, 16, 14),
    "svd-xt": Shape(
        25, (320, 640, 1280, 1280), (5, 10, 20, 20), 2, 256, 1024, (128, 256, 512, 512), 2, 1280, 32, 16, 14
    ),
}
"""Random video models by name, after ``random:``."""


def random_modules(name: str, *, seed: int = 1, device: str = "cpu", dtype: Any = None) -> tuple[Any, Any, Any]:
    """Return (UNet, autoencoder, image encoder) of the random model ``name``: the same seed, the same weights.

    Args:
        name: of :data:`SHAPES`.
        seed: of the weights.
        device: where they are made: full-size ones take minutes on a CPU, and a second on a GPU.
        dtype: torch type of UNet and image encoder.

    Raises:
        UsageError: there is no such model.
    """
    from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    if name not in SHAPES:
        raise UsageError(f"there is no random video model {name!r}; there are: {', '.join(SHAPES)}")
    shape = SHAPES[name]
    depth = len(shape.channels)
    place = torch.device(device)
    devices = [place] if place.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.device(place):
        torch.manual_seed(seed)
        unet = UNetSpatioTemporalConditionModel(
            sample_size=96,
            block_out_channels=shape.channels,
            down_block_types=(*["CrossAttnDownBlockSpatioTemporal"] * (depth - 1), "DownBlockSpatioTemporal"),
            up_block_types=("UpBlockSpatioTemporal", *["CrossAttnUpBlockSpatioTemporal"] * (depth - 1)),
            num_attention_heads=shape.heads,
            layers_per_block=shape.layers,
            cross_attention_dim=shape.text_width,
            addition_time_embed_dim=shape.time_width,
            projection_class_embeddings_input_dim=3 * shape.time_width,
            num_frames=shape.frames,
        )
        vae = AutoencoderKLTemporalDecoder(
            block_out_channels=shape.vae_channels,
            down_block_types=("DownEncoderBlock2D",) * len(shape.vae_channels),
            layers_per_block=shape.vae_layers,
            latent_channels=4,
            sample_size=768,
        )
        encoder = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=shape.vision_width,
                intermediate_size=4 * shape.vision_width,
                projection_dim=shape.text_width,
                num_hidden_layers=shape.vision_layers,
                num_attention_heads=shape.vision_heads,
                image_size=224,
                patch_size=shape.patch,
                hidden_act="gelu",
            )
        )
        if name.startswith("tiny"):
            _liven(unet, vae)
    for module in (unet, vae, encoder):
        module.requires_grad_(False).eval()
    if dtype is not None:
        for module in (unet, encoder):
            torch.nn.Module.to(module, dtype=dtype)
    return unet, vae, encoder


def save_random_svd(name: str, folder: Path, *, seed: int = 1) -> Path:
    """Write the random model ``name`` as a folder laid out like a downloaded one; return ``folder``."""
    unet, vae, encoder = random_modules(name, seed=seed)
    with quietly():
        for module, part in ((unet, "unet"), (vae, "vae"), (encoder, "image_encoder")):
            module.save_pretrained(folder / part)
    index = {
        "_class_name": "StableVideoDiffusionPipeline",
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "unet": ["diffusers", "UNetSpatioTemporalConditionModel"],
        "vae": ["diffusers", "AutoencoderKLTemporalDecoder"],
    }
    extractor = {
        "image_processor_type": "CLIPImageProcessor",
        "crop_size": 224,
        "size": {"shortest_edge": 224},
        **_CLIP,
    }
    for part, data in (
        ("model_index.json", index),
        ("scheduler/scheduler_config.json", SCHEDULER),
        ("feature_extractor/preprocessor_config.json", extractor),
    ):
        path = folder / part
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data, indent=1), encoding="utf-8")
    return folder


@torch.no_grad()
def _liven(unet: Any, vae: Any) -> None:
    """Scale the last layers so that latents and pictures use their range; random networks alone draw flat grey."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        latents = torch.randn(1, 4, 8, 8)
        vae.decoder.time_conv_out.weight.zero_()
        vae.decoder.time_conv_out.bias.zero_()
        for channel in range(3):
            vae.decoder.time_conv_out.weight[channel, channel, 1] = 1.0
        decoded = vae.decode(latents / vae.config.scaling_factor, num_frames=1).sample
        gain = 0.4 / decoded.std(dim=(0, 2, 3)).clamp_min(1e-6)
        vae.decoder.conv_out.weight.mul_(gain[:, None, None, None])
        vae.decoder.conv_out.bias.sub_(decoded.mean(dim=(0, 2, 3))).mul_(gain)
        mean = vae.encode(torch.rand(1, 3, 64, 64) * 2.0 - 1.0).latent_dist.mode()
        vae.quant_conv.weight.mul_(3.0 / mean.std())
        sample = torch.randn(1, 3, 8, 8, 8)
        width = unet.config.cross_attention_dim
        found = unet(sample, torch.tensor(1.0), torch.randn(1, 1, width), torch.tensor([[6.0, 127.0, 0.02]])).sample
        unet.conv_out.weight.mul_(1.0 / found.std())
    finally:
        torch.set_num_threads(threads)
