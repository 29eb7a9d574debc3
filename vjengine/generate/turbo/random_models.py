"""Models with random weights: for rehearsal, tests and speed, where no download is wanted.

``random:tiny`` loads in a second and draws meaningless but living pictures; ``random:sd-turbo`` and its like have the
published shapes, so they cost exactly what the real ones cost. What is drawn means nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from vjengine.errors import UsageError
from vjengine.generate.turbo.parts import ModelKind, Prediction, Sampling, TurboParts
from vjengine.generate.turbo.plan import TEXT_TOKENS

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,-'"


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a model's parts, as its published configuration gives them."""

    kind: ModelKind
    sampling: Sampling
    prediction: Prediction
    channels: tuple[int, ...]
    heads: tuple[int, ...]
    text_width: int
    text_layers: int
    groups: int = 32
    layers: int = 2
    transformer_layers: tuple[int, ...] = (1, 1, 1, 1)
    text2_width: int = 0
    text2_layers: int = 0
    vae_channels: tuple[int, ...] = (64, 64, 64, 64)
    vae_blocks: int = 3
    linear: bool = True


SHAPES: dict[str, Shape] = {
    "tiny": Shape("sd", "turbo", "epsilon", (32, 32, 64, 64), (2, 2, 4, 4), 32, 2, 8, 1,
                  vae_channels=(8, 8, 8, 8), vae_blocks=1),
    "tiny-v": Shape("sd", "turbo", "v_prediction", (32, 32, 64, 64), (2, 2, 4, 4), 32, 2, 8, 1,
                    vae_channels=(8, 8, 8, 8), vae_blocks=1),
    "tiny-lcm": Shape("sd", "lcm", "epsilon", (32, 32, 64, 64), (2, 2, 4, 4), 32, 2, 8, 1,
                      vae_channels=(8, 8, 8, 8), vae_blocks=1, linear=False),
    "tiny-sdxl": Shape("sdxl", "turbo", "epsilon", (32, 32, 64), (2, 2, 4), 32, 2, 8, 1, (1, 1, 2), 48, 2,
                       vae_channels=(8, 8, 8, 8), vae_blocks=1),
    "small": Shape("sd", "turbo", "epsilon", (64, 128, 192, 192), (2, 4, 6, 6), 256, 4, 32, 1,
                   vae_channels=(32, 32, 32, 32), vae_blocks=2),
    "sd-turbo": Shape("sd", "turbo", "epsilon", (320, 640, 1280, 1280), (5, 10, 20, 20), 1024, 23),
    "sd15-lcm": Shape("sd", "lcm", "epsilon", (320, 640, 1280, 1280), (8, 8, 8, 8), 768, 12, linear=False),
    "sdxl-turbo": Shape("sdxl", "turbo", "epsilon", (320, 640, 1280), (5, 10, 20), 768, 12, 32, 2, (1, 2, 10),
                        1280, 32),
}  # fmt: skip
"""Random models by name, after ``random:``."""


def random_parts(
    name: str = "tiny", *, seed: int = 1, device: str = "cpu", precision: str = "float32", full_vae: bool = False
) -> TurboParts:
    """Build the random model ``name``: the same seed gives the same weights on every machine with this torch.

    Args:
        name: a key of :data:`SHAPES`.
        seed: of the weights.
        device: where to.
        precision: of the weights.
        full_vae: an ``AutoencoderKL`` instead of a TAESD.

    Raises:
        UsageError: listing the names there are.
    """
    if name not in SHAPES:
        raise UsageError(f"there is no random model {name!r}; there are: {', '.join(SHAPES)}")
    shape = SHAPES[name]
    dtype = getattr(torch, precision)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = _tokenizer()
        encoders = _text_encoders(shape, len(tokenizer))
        unet = _unet(shape)
        vae = _full_vae(shape) if full_vae else _tiny_vae(shape)
        if name.startswith(("tiny", "small")):
            # What is measured here becomes weights: sums over several threads would round in another order.
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                _liven(unet, vae, shape)
            finally:
                torch.set_num_threads(threads)
    for module in (unet, vae, *encoders):
        module.requires_grad_(False).eval()
        # The plain method: diffusers' own warns of modules to keep in float32, of which these have none.
        torch.nn.Module.to(module, device=device, dtype=dtype)
    key = f"random {name} {seed} {full_vae} {torch.__version__}"
    return TurboParts(
        name=f"random:{name}",
        fingerprint=hashlib.sha256(key.encode()).hexdigest(),
        kind=shape.kind,
        sampling=shape.sampling,
        prediction=shape.prediction,
        alphas=scaled_linear_alphas(),
        wants_guidance=shape.sampling == "lcm",
        unet=unet,
        vae=vae,
        tokenizers=(tokenizer,) * len(encoders),
        text_encoders=encoders,
    )


def scaled_linear_alphas() -> Any:
    """Return the cumulated alphas that all Stable Diffusion models share: ``(1000,)`` float64."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1.0 - betas, 0).numpy()


def save_random_model(name: str, folder: Path, *, seed: int = 1, full_vae: bool = False) -> Path:
    """Write the random model ``name`` as a diffusers folder, laid out like a downloaded one; return ``folder``."""
    from diffusers import (
        EulerDiscreteScheduler,
        LCMScheduler,
        StableDiffusionPipeline,
        StableDiffusionXLPipeline,
    )

    parts = random_parts(name, seed=seed, full_vae=full_vae)
    beta = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    scheduler = (
        LCMScheduler(**beta, prediction_type=parts.prediction)
        if parts.sampling == "lcm"
        else EulerDiscreteScheduler(**beta, prediction_type=parts.prediction, timestep_spacing="trailing")
    )
    common = {
        "vae": parts.vae, "unet": parts.unet, "scheduler": scheduler,
        "text_encoder": parts.text_encoders[0], "tokenizer": parts.tokenizers[0],
    }  # fmt: skip
    if parts.kind == "sdxl":
        pipeline: Any = StableDiffusionXLPipeline(
            **common, text_encoder_2=parts.text_encoders[1], tokenizer_2=parts.tokenizers[1], add_watermarker=False
        )
    else:
        pipeline = StableDiffusionPipeline(
            **common, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    pipeline.save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    tokens = [*_LETTERS, *(f"{letter}</w>" for letter in _LETTERS), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=TEXT_TOKENS)


def _text_encoders(shape: Shape, vocabulary: int) -> tuple[Any, ...]:
    def config(width: int, layers: int) -> CLIPTextConfig:
        return CLIPTextConfig(
            # As many words as the real ones only where weights are to weigh as much.
            vocab_size=49408 if width >= 768 else vocabulary,
            hidden_size=width,
            intermediate_size=4 * width,
            projection_dim=width,
            num_hidden_layers=layers,
            num_attention_heads=max(2, width // 64),
            max_position_embeddings=TEXT_TOKENS,
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
            pad_token_id=vocabulary - 1,
        )

    first = CLIPTextModel(config(shape.text_width, shape.text_layers))
    if not shape.text2_width:
        return (first,)
    return first, CLIPTextModelWithProjection(config(shape.text2_width, shape.text2_layers))


def _unet(shape: Shape) -> Any:
    crossed = [layers > 0 for layers in shape.transformer_layers[: len(shape.channels)]]
    if shape.kind == "sd":
        crossed[-1] = False  # the innermost level has no attention of its own
    else:
        crossed[0] = False
    extra: dict[str, Any] = {}
    width = shape.text_width + shape.text2_width
    if shape.kind == "sdxl":
        size_width = 256 if shape.text2_width >= 1280 else 8
        extra = {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": size_width,
            "projection_class_embeddings_input_dim": shape.text2_width + 6 * size_width,
            "transformer_layers_per_block": list(shape.transformer_layers[: len(shape.channels)]),
        }
    return UNet2DConditionModel(
        sample_size=64 if shape.kind == "sd" else 128,
        block_out_channels=shape.channels,
        attention_head_dim=shape.heads,
        layers_per_block=shape.layers,
        cross_attention_dim=width,
        norm_num_groups=shape.groups,
        use_linear_projection=shape.linear,
        down_block_types=tuple("CrossAttnDownBlock2D" if yes else "DownBlock2D" for yes in crossed),
        up_block_types=tuple("CrossAttnUpBlock2D" if yes else "UpBlock2D" for yes in reversed(crossed)),
        **extra,
    )


def _tiny_vae(shape: Shape) -> Any:
    blocks = shape.vae_blocks
    return AutoencoderTiny(
        encoder_block_out_channels=shape.vae_channels,
        decoder_block_out_channels=shape.vae_channels,
        num_encoder_blocks=(1, blocks, blocks, blocks),
        num_decoder_blocks=(blocks, blocks, blocks, 1),
    )


def _full_vae(shape: Shape) -> Any:
    small = shape.vae_channels[0] < 64
    return AutoencoderKL(
        block_out_channels=(16, 16, 32, 32) if small else (128, 256, 512, 512),
        norm_num_groups=8 if small else 32,
        layers_per_block=1 if small else 2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=512,
        scaling_factor=0.18215 if shape.kind == "sd" else 0.13025,
    )


@torch.no_grad()
def _liven(unet: Any, vae: Any, shape: Shape) -> None:
    """Scale the last layers so that latents and pictures use their range; random nets alone draw flat grey."""
    height = 16 if shape.kind == "sd" else 8
    latents = torch.randn(1, 4, height, height)
    picture = torch.rand(1, 3, 64, 64) * 2.0 - 1.0
    if type(vae).__name__ == "AutoencoderTiny":
        _standardise(vae.encoder.layers[-1], lambda: vae.encode(picture).latents, 0.0, 1.0)
        _standardise(vae.decoder.layers[-1], lambda: vae.decode(latents).sample, 0.0, 0.5, gain=0.5)
    else:
        _standardise(vae.decoder.conv_out, lambda: vae.decode(latents / vae.config.scaling_factor).sample, 0.0, 0.5)
    width = shape.text_width + shape.text2_width
    added = None
    if shape.kind == "sdxl":
        added = {"text_embeds": torch.randn(1, shape.text2_width), "time_ids": torch.zeros(1, 6)}
    text = torch.randn(1, TEXT_TOKENS, width)
    _standardise(
        unet.conv_out,
        lambda: unet(latents, torch.tensor([700]), encoder_hidden_states=text, added_cond_kwargs=added).sample,
        0.0,
        1.0,
    )


def _standardise(layer: Any, run: Any, mean: float, deviation: float, gain: float = 1.0) -> None:
    """Give what ``run`` returns that mean and standard deviation a channel, by scaling its last ``layer``.

    ``gain`` is what is applied to the layer's output afterwards.
    """
    for _ in range(2):
        output = run()
        scale = deviation / output.std(dim=(0, 2, 3)).clamp_min(1e-6)
        layer.weight.mul_(scale[:, None, None, None] if layer.weight.shape[0] == len(scale) else scale.mean())
        if layer.bias is not None:
            layer.bias.mul_(scale)
            layer.bias.add_((mean - run().mean(dim=(0, 2, 3))) * gain)
