"""Loading a diffusers folder, component by component: nothing is imported or read that the loop does not run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.catalogue import PICKLES, WEIGHTS
from vjengine.generate.turbo.parts import ModelKind
from vjengine.generate.turbo.pieces import Pieces, read_config, read_manner, read_schedule
from vjengine.generate.turbo.weights import read_header

Alive = Callable[[str, float], None]
_UNETS = ("UNet2DConditionModel",)
LATENTS = 4


def load_folder(folder: Path, *, dtype: Any, full_vae: bool, alive: Alive) -> Pieces:
    """Load the diffusers pipeline in ``folder``: SD 1.x, 2.x, SDXL and their turbo and LCM kinds.

    Args:
        folder: as ``save_pretrained`` or a pull leaves it.
        dtype: torch type of the weights.
        full_vae: load its own autoencoder too.
        alive: told what is being loaded, and how far it is.

    Raises:
        GeneratorError: naming the file: missing, broken, or of a model that is none of these.
    """
    kind = _kind(folder)
    place = folder / "scheduler" / "scheduler_config.json"
    scheduler = read_config(place) if place.is_file() else {}
    alphas, prediction = read_schedule(scheduler, str(place))
    sampling, guidance = read_manner(scheduler, folder.name)
    alive("loading the text encoder", 0.2)
    names = ("text_encoder", "text_encoder_2") if kind == "sdxl" else ("text_encoder",)
    encoders = tuple(_text_encoder(folder / name, dtype) for name in names)
    tokenizers = tuple(load_tokenizer(folder / name.replace("text_encoder", "tokenizer")) for name in names)
    alive("loading the UNet", 0.4)
    unet = load_component("UNet2DConditionModel", folder / "unet", dtype)
    pieces = Pieces(kind, prediction, alphas, sampling, guidance, unet, encoders, tokenizers)
    pieces.files = component_files(folder, (*names, "unet"))
    own = folder / "vae" / "config.json"
    small = own.is_file() and read_config(own).get("_class_name") == "AutoencoderTiny"
    if full_vae and small:
        raise GeneratorError(f"{folder} has a small autoencoder only; play it without --full-vae")
    if small or (full_vae and own.is_file()):
        pieces.vae = load_component("AutoencoderTiny" if small else "AutoencoderKL", folder / "vae", dtype)
        pieces.files.update(component_files(folder, ("vae",)))
    return pieces


def _kind(folder: Path) -> ModelKind:
    index = read_config(folder / "model_index.json") if (folder / "model_index.json").is_file() else {}
    pipeline = str(index.get("_class_name", "model"))
    config = folder / "unet" / "config.json"
    if not config.is_file():
        raise GeneratorError(f"{folder} is a {pipeline} without a UNet: the loop runs SD 1.x, SD 2.x and SDXL models")
    unet = read_config(config)
    if unet.get("_class_name", _UNETS[0]) not in _UNETS:
        raise GeneratorError(f"{folder}: its UNet is a {unet['_class_name']}; the loop runs SD 1.x, SD 2.x and SDXL")
    check_channels(unet, str(folder))
    kind: ModelKind = "sdxl" if unet.get("addition_embed_type") == "text_time" else "sd"
    if not (folder / "text_encoder" / "config.json").is_file():
        raise GeneratorError(f"{folder} has no text encoder of its own (is it a refiner?): the loop cannot prompt it")
    return kind


def check_channels(unet: Any, where: str) -> None:
    """Refuse a UNet that wants more than latents.

    Raises:
        GeneratorError: naming ``where`` it is.
    """
    channels = unet.get("in_channels", LATENTS)
    if channels != LATENTS:
        raise GeneratorError(
            f"{where} wants {channels} channels, for a mask or a second picture; the loop feeds {LATENTS}. Take the "
            "plain model of the same family"
        )


def load_tokenizer(folder: Path, **options: Any) -> Any:
    """Return the CLIP tokenizer in ``folder``.

    Raises:
        GeneratorError: if there is none, or it knows no words.
    """
    from transformers import CLIPTokenizer

    if not any((folder / name).is_file() for name in ("vocab.json", "tokenizer.json")):
        raise GeneratorError(f"{folder} holds no tokenizer: the model is not complete")
    try:
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True, **options)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise GeneratorError(f"{folder} cannot be read ({_first_line(error)}): get the model again") from error
    # Given files it cannot use, it comes up with the two words that it needs itself, and every prompt is the same.
    if len(tokenizer) < 10:
        raise GeneratorError(f"{folder} knows no words: get the model again")
    return tokenizer


def _text_encoder(folder: Path, dtype: Any) -> Any:
    names = read_config(folder / "config.json").get("architectures") or ["CLIPTextModel"]
    if names[0] not in ("CLIPTextModel", "CLIPTextModelWithProjection"):
        raise GeneratorError(f"{folder} is a {names[0]}; the loop reads prompts with CLIP")
    wanted = "CLIPTextModelWithProjection" if folder.name.endswith("_2") else "CLIPTextModel"
    return load_component(wanted, folder, dtype)


def load_component(kind: str, folder: Path, dtype: Any) -> Any:
    """Return the network of class ``kind`` in ``folder``, from safetensors alone.

    Raises:
        GeneratorError: naming the file: missing, cut short, not of this network.
    """
    config, weights = folder / "config.json", weight_files(folder)
    read_config(config)
    for path in weights:
        read_header(path)
    variant = "fp16" if ".fp16" in weights[0].name else None
    cls, options = _class(kind), {"use_safetensors": True, "local_files_only": True, "output_loading_info": True}
    # transformers has renamed the argument; diffusers of all ages knows the old name.
    named = {"torch_dtype": dtype} if _from_diffusers(kind) else {"dtype": dtype}
    try:
        network, told = cls.from_pretrained(folder, variant=variant, **options, **named)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise GeneratorError(f"{folder} cannot be loaded ({_first_line(error)}): get the model again") from error
    missing = [*told["missing_keys"], *told["mismatched_keys"]]
    # Positions are counted, not learned: some files of old have them, newer ones do not.
    missing = [key for key in missing if not str(key).endswith("position_ids")]
    if missing:
        raise GeneratorError(f"{weights[0]} lacks {missing[0]} and {len(missing) - 1} more: get the model again")
    return network


def weight_files(folder: Path) -> list[Path]:
    """Return the weights of one component: half precision where there is one, whole or in shards.

    Raises:
        GeneratorError: if there is nothing, or nothing that is safe to read.
    """
    for stem in ("diffusion_pytorch_model", "model"):
        for variant in (".fp16", ""):
            whole = folder / f"{stem}{variant}{WEIGHTS}"
            if whole.is_file():
                return [whole]
            shards = sorted(folder.glob(f"{stem}{variant}-0*{WEIGHTS}"))
            if shards:
                return shards
    pickles = [path.name for path in folder.glob("*") if path.suffix in PICKLES] if folder.is_dir() else []
    if pickles:
        raise GeneratorError(f"{folder / pickles[0]} is a pickle, which can run code; get the {WEIGHTS} of this model")
    raise GeneratorError(f"{folder} holds no weights: the model is not complete")


def component_files(folder: Path, components: tuple[str, ...]) -> dict[str, Path]:
    """Return configuration and weights of ``components``, by their path inside ``folder``."""
    paths = [path for name in components for path in (folder / name / "config.json", *weight_files(folder / name))]
    return {path.relative_to(folder).as_posix(): path for path in paths}


def _from_diffusers(kind: str) -> bool:
    return not kind.startswith("CLIP")


def _class(kind: str) -> Any:
    # One by one: the packages' front doors import every model that there is.
    if kind == "UNet2DConditionModel":
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel as Class
    elif kind == "AutoencoderTiny":
        from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny as Class
    elif kind == "AutoencoderKL":
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL as Class
    elif kind == "UNetSpatioTemporalConditionModel":
        from diffusers.models.unets.unet_spatio_temporal_condition import UNetSpatioTemporalConditionModel as Class
    elif kind == "AutoencoderKLTemporalDecoder":
        from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder as Class
    elif kind == "CLIPVisionModelWithProjection":
        from transformers import CLIPVisionModelWithProjection as Class
    elif kind == "CLIPTextModel":
        from transformers import CLIPTextModel as Class
    else:
        from transformers import CLIPTextModelWithProjection as Class
    return Class


def _first_line(error: BaseException) -> str:
    return (str(error).strip().split("\n")[0] or type(error).__name__)[:200]
