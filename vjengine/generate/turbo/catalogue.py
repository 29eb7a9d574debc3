"""The models known by name, and how any other name is read. No torch here: commands and tests load it freely."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vjengine.errors import UsageError
from vjengine.generate.turbo.parts import ModelKind, Prediction, Sampling
from vjengine.strict_yaml import suggest

SourceKind = Literal["catalogue", "hub", "folder", "file", "random"]
DEFAULT_MODEL = "sd-turbo"
WEIGHTS = ".safetensors"
PICKLES = (".ckpt", ".bin", ".pt", ".pth", ".pkl", ".pickle")
"""Formats that can run code when they are read: refused by name, whatever is in them."""

_HUB_ID = re.compile(
    r"(?P<id>[\w][\w.-]*/[\w][\w.-]*)(?:@(?P<revision>[\w][\w./-]*?))?(?:/(?P<file>[\w][\w. /-]*\.safetensors))?"
)


@dataclass(frozen=True, slots=True)
class Repo:
    """A repository of the model hub.

    Attributes:
        id: ``owner/name``.
        revision: commit it is pinned to; None takes the newest, once, and remembers it.
        files: exactly these; empty: what a diffusers pipeline needs, in half precision where there is one.
    """

    id: str
    revision: str | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """A model by name.

    Attributes:
        doc: one line for the list.
        licence: in words, for people who get paid for a show.
        size: bytes to download, all parts together, near enough to plan with when there is no network.
        model: the pipeline.
        kind: None for a part that serves other models.
        sampling, prediction, wants_guidance: as :class:`~vjengine.generate.turbo.parts.TurboParts` says.
        tiny_vae: name of the row with its TAESD.
        full_vae: name of the row with its full autoencoder, where the pipeline's own cannot run in half precision.
        lora: name of the row with a LoRA that is always part of it.
        film: True for a video model: films are made with it, offline.
    """

    name: str
    doc: str
    licence: str
    size: int
    model: Repo
    kind: ModelKind | None = None
    sampling: Sampling = "turbo"
    prediction: Prediction = "epsilon"
    wants_guidance: bool = False
    tiny_vae: str = ""
    full_vae: str = ""
    lora: str = ""
    film: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the rows that are pulled with this one."""
        return tuple(name for name in (self.tiny_vae, self.full_vae, self.lora) if name)


_STABILITY = "Stability AI community licence: free below its revenue limit; read it before a paid show"
_VIDEO = (
    "model_index.json", "feature_extractor/preprocessor_config.json", "image_encoder/config.json",
    "image_encoder/model.fp16.safetensors", "scheduler/scheduler_config.json", "unet/config.json",
    "unet/diffusion_pytorch_model.fp16.safetensors", "vae/config.json", "vae/diffusion_pytorch_model.fp16.safetensors",
)  # fmt: skip
_ONE_MODEL = ("config.json", "diffusion_pytorch_model.safetensors")
_TAESD_SIZE = 9_800_000

_ROWS = (
    CatalogueRow(
        "sd-turbo", "Stable Diffusion 2.1 in one step: the fast default", _STABILITY, 2_600_000_000,
        Repo("stabilityai/sd-turbo", "b261bac6fd2cf515557d5d0707481eafa0485ec2"),
        kind="sd", tiny_vae="taesd",
    ),
    CatalogueRow(
        "sdxl-turbo", "SDXL in one step: finer pictures, about half the speed", _STABILITY, 7_120_000_000,
        Repo("stabilityai/sdxl-turbo", "71153311d3dbb46851df1931d3ca6e939de83304"),
        kind="sdxl", tiny_vae="taesdxl", full_vae="sdxl-vae",
    ),
    CatalogueRow(
        "sd15-lcm", "Stable Diffusion 1.5 with LCM-LoRA: 2-4 steps, thousands of LoRAs fit it",
        "CreativeML OpenRAIL-M: commercial use allowed, with use restrictions", 2_280_000_000,
        Repo("stable-diffusion-v1-5/stable-diffusion-v1-5", "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"),
        kind="sd", sampling="lcm", wants_guidance=True, tiny_vae="taesd", lora="lcm-lora-sd15",
    ),
    CatalogueRow(
        "svd", "Stable Video Diffusion: films of 14 pictures at a time, for vjengine longcat", _STABILITY,
        4_510_000_000,
        Repo("stabilityai/stable-video-diffusion-img2vid", "9cf024d5bfa8f56622af86c884f26a52f6676f2e", _VIDEO),
        film=True,
    ),
    CatalogueRow(
        "svd-xt", "Stable Video Diffusion XT: films of 25 pictures at a time, for vjengine longcat", _STABILITY,
        4_510_000_000,
        Repo("stabilityai/stable-video-diffusion-img2vid-xt", "9e43909513c6714f1bc78bcb44d96e733cd242aa", _VIDEO),
        film=True,
    ),
    CatalogueRow(
        "taesd", "the small autoencoder of SD 1.5, 2.1 and Turbo", "MIT", _TAESD_SIZE,
        Repo("madebyollin/taesd", "614f76814bbe30edbe2e627ace1c2234c81a2c0e", _ONE_MODEL),
    ),
    CatalogueRow(
        "taesdxl", "the small autoencoder of SDXL", "MIT", _TAESD_SIZE,
        Repo("madebyollin/taesdxl", "b20258aaef75ef61e659c1e0f14f251cf0ad153e", _ONE_MODEL),
    ),
    CatalogueRow(
        "sdxl-vae", "SDXL's full autoencoder, mended for half precision", "MIT", 335_000_000,
        Repo("madebyollin/sdxl-vae-fp16-fix", "207b116dae70ace3637169f1ddd2434b91b3a8cd", _ONE_MODEL),
    ),
    CatalogueRow(
        "lcm-lora-sd15", "makes any SD 1.5 model draw in 2-4 steps", "OpenRAIL++", 134_700_000,
        Repo("latent-consistency/lcm-lora-sdv1-5", "cf2fced511dbe7e26c8d1d397e728fbab875db4b",
             ("pytorch_lora_weights.safetensors",)),
    ),
    CatalogueRow(
        "clip-tokenizer", "splits prompts into tokens, for a model that is a single file", "MIT", 1_600_000,
        Repo("openai/clip-vit-large-patch14", "32bd64288804d66eefd0ccbe215aa642df71cc41",
             ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json")),
    ),
)  # fmt: skip

CATALOGUE: dict[str, CatalogueRow] = {row.name: row for row in _ROWS}
"""Models and parts of models by name."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a model's name means.

    Attributes:
        kind: what sort of place it is.
        name: as it was written, without blanks around it.
        row: for ``catalogue``.
        repo: for ``catalogue`` and ``hub``.
        path: for ``folder`` and ``file``.
        random: for ``random``: the name after the colon.
    """

    kind: SourceKind
    name: str
    row: CatalogueRow | None = None
    repo: Repo | None = None
    path: Path | None = None
    random: str = ""


def read_name(name: str) -> Source:
    """Return what ``name`` means.

    It is, tried in this order: ``random:NAME``; a name of the :data:`CATALOGUE`; a folder; a ``.safetensors`` file;
    ``owner/name``, ``owner/name@revision`` or ``owner/name/file.safetensors`` on the hub.

    Raises:
        UsageError: saying what it might have been.
    """
    name = name.strip()
    if name.startswith("random:"):
        return Source("random", name, random=name.removeprefix("random:"))
    if name in CATALOGUE:
        return Source("catalogue", name, row=CATALOGUE[name], repo=CATALOGUE[name].model)
    path = Path(name).expanduser()
    if name and path.is_dir():
        return Source("folder", name, path=path)
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        raise UsageError(
            f"{name} is a pickle, which can run code when it is read; get or make the {WEIGHTS} of the same model"
        )
    if path.is_file():
        if suffix != WEIGHTS:
            raise UsageError(f"{name} is not a model: a model file ends in {WEIGHTS}")
        return Source("file", name, path=path)
    match = _HUB_ID.fullmatch(name)
    if match and ".." not in name and (match["file"] or suffix != WEIGHTS):
        files = (match["file"],) if match["file"] else ()
        return Source("hub", name, repo=Repo(match["id"], match["revision"], files))
    if suffix == WEIGHTS or any(mark in name for mark in "/\\"):
        raise UsageError(f"there is no model {name}: neither a file, nor a folder, nor a hub id like owner/name")
    models = [row.name for row in _ROWS if row.kind]
    raise UsageError(
        f"there is no model {name!r} ({suggest(name, models)}); a diffusers folder, a {WEIGHTS} file or a hub id like "
        "owner/name will do as well"
    )
