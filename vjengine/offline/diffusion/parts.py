"""A loaded video model: torch modules and the few facts about them that making films needs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from math import prod
from pathlib import Path
from typing import Any

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.folder import component_files, load_component, weight_files
from vjengine.generate.turbo.pieces import read_config
from vjengine.generate.turbo.weights import fingerprint_file, read_header, read_tensors
from vjengine.offline.diffusion.films import Place, SamplerName
from vjengine.offline.diffusion.sampling import Levels
from vjengine.offline.diffusion.thrift import Facts

Alive = Callable[[str, float], None]
_COMPONENTS = ("unet", "vae", "image_encoder")
_PIPELINE = "StableVideoDiffusionPipeline"
_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a video model before it is loaded.

    Attributes:
        place: where it is.
        fingerprint: stands for the bytes of its weights.
        facts: its sizes.
        frames: pictures at a time.
        sampler: what it is made for.
        steps: of denoising that it is made for.
        levels: of noise.
        mean, deviation: of the image encoder's pictures, a channel.
    """

    place: Place
    fingerprint: str
    facts: Facts
    frames: int
    sampler: SamplerName
    steps: int
    levels: Levels = field(default_factory=Levels)
    mean: tuple[float, ...] = _MEAN
    deviation: tuple[float, ...] = _DEVIATION


def read_card(place: Place, precision: str, vae_precision: str) -> Card:
    """Read what can be known of a model without loading it; no torch.

    Raises:
        UsageError: there is no such random model.
        GeneratorError: a file is missing or broken, or the model is none that this can run.
    """
    sizes = {"float32": 4, "bfloat16": 2, "float16": 2}
    if place.folder is None:
        card = _random_card(place)
    else:
        card = _folder_card(place, place.folder)
    return replace(card, facts=replace(card.facts, bytes=sizes[precision], vae_bytes=sizes[vae_precision]))


def _random_card(place: Place) -> Card:
    from vjengine.offline.diffusion.random_svd import SHAPES, random_modules

    # Tiny ones are small enough to be counted by making them.
    if place.random in SHAPES and not place.random.startswith("tiny"):
        facts = Facts()
    else:
        unet, vae, encoder = random_modules(place.random)
        counts = [sum(weight.numel() for weight in module.parameters()) for module in (unet, encoder, vae)]
        widths = int(unet.config.block_out_channels[0]), int(vae.config.block_out_channels[0])
        facts = Facts(counts[0], counts[1], counts[2], *widths)
    key = f"random {place.random} {_version('torch')}"
    frames = SHAPES[place.random].frames
    return Card(place, hashlib.sha256(key.encode()).hexdigest(), facts, frames, "euler", 25)


def _folder_card(place: Place, folder: Path) -> Card:
    index = folder / "model_index.json"
    if not index.is_file():
        raise GeneratorError(f"{folder} is no model in diffusers' layout: it has no model_index.json")
    kind = read_config(index).get("_class_name")
    if kind != _PIPELINE:
        raise GeneratorError(f"{folder} is a {kind}; films are made with a {_PIPELINE} (SVD, SVD-XT and their kin)")
    unet = read_config(folder / "unet" / "config.json")
    vae = read_config(folder / "vae" / "config.json")
    scheduler = read_config(folder / "scheduler" / "scheduler_config.json")
    if scheduler.get("prediction_type", "v_prediction") != "v_prediction":
        raise GeneratorError(f"{folder / 'scheduler'}: prediction {scheduler['prediction_type']!r}, not v_prediction")
    sampler: SamplerName = "euler"
    steps = 25
    if place.film is not None:
        sampler, steps = place.film.sampler, place.film.steps
    elif any(word in str(scheduler.get("_class_name")) for word in ("LCM", "Consistency", "StochasticIterative")):
        sampler, steps = "consistency", 4
    files = component_files(folder, _COMPONENTS)
    if place.unet is not None:
        files["unet/replaced"] = place.unet
    prints = [f"{name} {fingerprint_file(path)}" for name, path in sorted(files.items())]
    look = folder / "feature_extractor" / "preprocessor_config.json"
    seen = read_config(look) if look.is_file() else {}
    facts = Facts(
        _parameters(folder / "unet"),
        _parameters(folder / "image_encoder"),
        _parameters(folder / "vae"),
        int(unet["block_out_channels"][0]),
        int(vae["block_out_channels"][0]),
    )
    return Card(
        place,
        hashlib.sha256("\n".join(prints).encode()).hexdigest(),
        facts,
        int(unet.get("num_frames", 25)),
        sampler,
        steps,
        Levels(float(scheduler.get("sigma_min") or 0.002), float(scheduler.get("sigma_max") or 700.0)),
        tuple(seen.get("image_mean", _MEAN)),
        tuple(seen.get("image_std", _DEVIATION)),
    )


def _parameters(folder: Path) -> int:
    """Return the numbers in the weights of a component, by the headers of its files."""
    headers = [read_header(path)[0] for path in weight_files(folder)]
    return sum(prod(entry["shape"]) for header in headers for key, entry in header.items() if key != "__metadata__")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


@dataclass(slots=True)
class SvdParts:
    """The networks, in eval mode and without gradients, wherever :meth:`to` put them last.

    Attributes:
        card: what is known of the model.
        unet: ``UNetSpatioTemporalConditionModel``.
        vae: ``AutoencoderKLTemporalDecoder``.
        encoder: ``CLIPVisionModelWithProjection``.
    """

    card: Card
    unet: Any
    vae: Any
    encoder: Any

    def to(self, device: str) -> None:
        """Put all networks on ``device``."""
        for module in (self.unet, self.vae, self.encoder):
            _moved(module, device)


def _moved(module: Any, device: str) -> None:
    import torch

    # The plain method: diffusers' own warns of modules to keep in float32, of which these have none.
    torch.nn.Module.to(module, device=device)


def load_parts(card: Card, *, device: str, precision: str, vae_precision: str, alive: Alive) -> SvdParts:
    """Load the model of ``card``, on ``device`` or, for a real one, on the CPU.

    Args:
        card: of the model.
        device: torch's name; random full-size models are made there.
        precision: of UNet and image encoder.
        vae_precision: of the autoencoder.
        alive: told what goes on, and how far it is.

    Raises:
        GeneratorError: a file is missing or broken.
        RuntimeError: torch's own, if memory runs out.
    """
    import torch

    dtype, vae_dtype = getattr(torch, precision), getattr(torch, vae_precision)
    place = card.place
    if place.folder is None:
        from vjengine.offline.diffusion.random_svd import random_modules

        alive(f"making the model random:{place.random}", 0.2)
        unet, vae, encoder = random_modules(place.random, device=device, dtype=dtype)
        torch.nn.Module.to(vae, dtype=vae_dtype)
        return SvdParts(card, unet, vae, encoder)
    alive("loading the image encoder", 0.1)
    encoder = load_component("CLIPVisionModelWithProjection", place.folder / "image_encoder", dtype)
    alive("loading the autoencoder", 0.3)
    vae = load_component("AutoencoderKLTemporalDecoder", place.folder / "vae", vae_dtype)
    alive("loading the UNet", 0.4)
    unet = load_component("UNetSpatioTemporalConditionModel", place.folder / "unet", dtype)
    if place.unet is not None:
        alive(f"loading {place.unet.name}", 0.8)
        _replace_weights(unet, place.unet)
    for module in (unet, vae, encoder):
        module.requires_grad_(False).eval()
    return SvdParts(card, unet, vae, encoder)


def _replace_weights(unet: Any, path: Path) -> None:
    tensors, _ = read_tensors(path)
    try:
        unet.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        line = str(error).strip().split("\n")[1:2] or [str(error)]
        raise GeneratorError(f"{path} does not fit the UNet: {line[0].strip()[:200]}") from error
