"""Loading a model that is one ``.safetensors`` file, as they are traded, without asking the network for anything.

Such a file holds weights under the names of the original code, and nothing else. The published configurations of the
three families are written down here. A folder beside the file with its name and no ending (``house.safetensors``,
``house/``) may hold diffusers configurations and a tokenizer, and then they count.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.folder import Alive, check_channels, load_tokenizer
from vjengine.generate.turbo.parts import ModelKind
from vjengine.generate.turbo.pieces import Pieces, read_config, read_manner, read_schedule
from vjengine.generate.turbo.store import Store
from vjengine.generate.turbo.weights import read_tensors

_CONTEXT = "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"
_FIRST = "model.diffusion_model.input_blocks.0.0.weight"
_CROSS, _PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
_CROSS_UP, _PLAIN_UP = "CrossAttnUpBlock2D", "UpBlock2D"


def _clip(width: int, layers: int, act: str) -> dict[str, Any]:
    return {
        "architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "vocab_size": 49408,
        "hidden_size": width, "intermediate_size": 4 * width, "projection_dim": width, "num_hidden_layers": layers,
        "num_attention_heads": width // 64, "max_position_embeddings": 77, "hidden_act": act, "layer_norm_eps": 1e-5,
        "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 1,
    }  # fmt: skip


def _vae(scale: float) -> dict[str, Any]:
    return {
        "_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2,
        "latent_channels": 4, "norm_num_groups": 32, "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4, "scaling_factor": scale,
    }  # fmt: skip


_FOUR = {
    "_class_name": "UNet2DConditionModel", "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2,
    "down_block_types": [_CROSS] * 3 + [_PLAIN], "up_block_types": [_PLAIN_UP] + [_CROSS_UP] * 3, "sample_size": 64,
}  # fmt: skip
_CONFIGS: dict[str, dict[str, dict[str, Any]]] = {
    "sd1": {
        "unet": {**_FOUR, "cross_attention_dim": 768, "attention_head_dim": 8},
        "vae": _vae(0.18215),
        "text_encoder": _clip(768, 12, "quick_gelu"),
    },
    "sd2": {
        "unet": {**_FOUR, "cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20],
                 "use_linear_projection": True},
        "vae": _vae(0.18215),
        "text_encoder": _clip(1024, 23, "gelu"),
    },
    "sdxl": {
        "unet": {
            "_class_name": "UNet2DConditionModel", "block_out_channels": [320, 640, 1280], "layers_per_block": 2,
            "down_block_types": [_PLAIN, _CROSS, _CROSS], "up_block_types": [_CROSS_UP, _CROSS_UP, _PLAIN_UP],
            "cross_attention_dim": 2048, "attention_head_dim": [5, 10, 20], "use_linear_projection": True,
            "transformer_layers_per_block": [1, 2, 10], "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816, "sample_size": 128,
        },
        "vae": _vae(0.13025),
        "text_encoder": _clip(768, 12, "quick_gelu"),
        "text_encoder_2": _clip(1280, 32, "gelu"),
    },
}  # fmt: skip
_WIDTHS = {768: "sd1", 1024: "sd2", 2048: "sdxl"}


@dataclass(frozen=True, slots=True)
class _Plan:
    kind: ModelKind
    configs: dict[str, dict[str, Any]]
    tokenizers: tuple[Any, ...]


def load_single_file(path: Path, *, dtype: Any, full_vae: bool, store: Store, alive: Alive) -> Pieces:
    """Load the model in the one file ``path``.

    Args:
        path: a ``.safetensors`` file with UNet, text encoder and autoencoder under the original code's names.
        dtype: torch type of the weights.
        full_vae: load its autoencoder too.
        store: where to find a tokenizer.
        alive: told what is being loaded, and how far it is.

    Raises:
        GeneratorError: naming the file: broken, not complete, or of a family that the loop does not run.
    """
    from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    alive(f"reading {path.name}", 0.2)
    tensors, _ = read_tensors(path)
    beside = path.with_suffix("")
    plan = _plan(path, beside, tensors, store)
    place = beside / "scheduler" / "scheduler_config.json"
    scheduler = read_config(place) if place.is_file() else _scheduler(path, tensors)
    alphas, prediction = read_schedule(scheduler, str(place))
    sampling, guidance = read_manner(scheduler, path.stem)
    vae = None
    with tempfile.TemporaryDirectory(prefix="vjengine-") as folder:
        for name, config in plan.configs.items():
            (Path(folder) / name).mkdir()
            (Path(folder) / name / "config.json").write_text(json.dumps(config), encoding="utf-8")
        options: dict[str, Any] = {"config": folder, "local_files_only": True, "torch_dtype": dtype}
        try:
            alive("loading the text encoder", 0.4)
            encoders = [create_diffusers_clip_model_from_ldm(CLIPTextModel, tensors, "text_encoder", **options)]
            if plan.kind == "sdxl":
                second = create_diffusers_clip_model_from_ldm
                encoders.append(second(CLIPTextModelWithProjection, tensors, "text_encoder_2", **options))
            alive("loading the UNet", 0.5)
            unet = UNet2DConditionModel.from_single_file(tensors, subfolder="unet", **options)
            if full_vae:
                vae = AutoencoderKL.from_single_file(tensors, subfolder="vae", **options)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
            reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
            raise GeneratorError(f"{path} cannot be loaded as a whole model: {reason}") from error
    for network in (unet, vae, *encoders):
        absent = [name for name, value in network.named_parameters() if value.is_meta] if network is not None else []
        if absent:
            raise GeneratorError(f"{path} is not a whole model: {type(network).__name__} lacks {absent[0]}")
    pieces = Pieces(plan.kind, prediction, alphas, sampling, guidance, unet, tuple(encoders), plan.tokenizers, vae)
    pieces.files = {"model": path}
    return pieces


def _plan(path: Path, beside: Path, tensors: dict[str, Any], store: Store) -> _Plan:
    """Return the family that ``tensors`` belong to, with its configurations and tokenizers."""
    if _FIRST not in tensors:
        raise GeneratorError(
            f"{path} is not a whole model: it has no UNet under the original code's names. A LoRA is given with "
            "--lora, a part of a diffusers pipeline belongs into its folder"
        )
    family = _WIDTHS.get(tensors[_CONTEXT].shape[1]) if _CONTEXT in tensors else None
    configs = _CONFIGS[family] if family else {}
    if (beside / "unet" / "config.json").is_file():
        names = ("unet", "vae", "text_encoder", "text_encoder_2")
        found = {name: beside / name / "config.json" for name in names}
        configs = {name: read_config(config) for name, config in found.items() if config.is_file()}
    if not configs:
        raise GeneratorError(f"{path} is neither SD 1.x, SD 2.x nor SDXL, the families that the loop runs")
    check_channels({"in_channels": tensors[_FIRST].shape[1]}, str(path))
    kind: ModelKind = "sdxl" if configs["unet"].get("addition_embed_type") == "text_time" else "sd"
    first = _tokenizer(beside / "tokenizer", store)
    # SD 2 and SDXL's second encoder were trained with prompts filled up by "!", SD 1 by the word that ends them.
    if family == "sd2":
        first = _tokenizer(beside / "tokenizer", store, pad_token="!")
    if kind == "sd":
        return _Plan(kind, configs, (first,))
    return _Plan(kind, configs, (first, _tokenizer(beside / "tokenizer_2", store, pad_token="!")))


def _tokenizer(beside: Path, store: Store, **options: Any) -> Any:
    """Return CLIP's tokenizer: every model of these families splits words alike, so that of any will do."""
    if beside.is_dir():
        return load_tokenizer(beside)
    for name in ("clip-tokenizer", "sd15-lcm", "sd-turbo", "sdxl-turbo"):
        lock = store.locks.read(name)
        if lock is not None and lock.complete:
            place = store.path(name)
            return load_tokenizer(place if (place / "vocab.json").is_file() else place / "tokenizer", **options)
    raise GeneratorError("a model that is one file brings no tokenizer; get it once with: vjengine models pull "
                         "clip-tokenizer")  # fmt: skip


def _scheduler(path: Path, tensors: dict[str, Any]) -> dict[str, Any]:
    """Return the schedule that the weights were trained for, as far as a file tells.

    A file that predicts velocity says so by a tensor, or is one of the 768 px models of SD 2, which cannot be told
    from the others by its weights: they have it in their name.
    """
    second = _CONTEXT in tensors and tensors[_CONTEXT].shape[1] == 1024
    velocity = "v_pred" in tensors or (second and "768" in path.stem)
    zero = "ztsnr" in tensors
    return {"prediction_type": "v_prediction" if velocity else "epsilon", "rescale_betas_zero_snr": zero}
