"""The video models known by name, and how any other name is read. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vjengine.errors import GeneratorError, UsageError
from vjengine.generate.turbo.catalogue import read_name
from vjengine.generate.turbo.store import Store
from vjengine.strict_yaml import suggest

SamplerName = Literal["euler", "consistency"]


@dataclass(frozen=True, slots=True)
class Film:
    """A video model by name.

    Attributes:
        doc: one line.
        model: name in the model store of the pipeline (``vjengine models pull`` gets it).
        unet: name in the store of one file that takes the place of its UNet's weights; empty for none.
        sampler: what it is made for.
        steps: of denoising that it is made for.
        guidance: most guidance that it takes well.
        frames: pictures at a time.
    """

    name: str
    doc: str
    model: str
    unet: str = ""
    sampler: SamplerName = "euler"
    steps: int = 25
    guidance: float = 2.0
    frames: int = 25


_ROWS = (
    Film("svd", "Stable Video Diffusion, 14 pictures at a time", "svd", frames=14),
    Film("svd-xt", "Stable Video Diffusion XT, 25 pictures at a time", "svd-xt"),
    # Its makers publish the UNet's weights alone, for the pipeline that they were distilled from.
    Film("animatelcm-svd-xt", "SVD-XT distilled to 2-8 steps", "svd-xt",
         "wangfuyun/AnimateLCM-SVD-xt/AnimateLCM-SVD-xt.safetensors", "consistency", 4, 1.5),
)  # fmt: skip
FILMS: dict[str, Film] = {row.name: row for row in _ROWS}
"""Video models by name."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a video model is, and how it wants to be run.

    Attributes:
        name: as it was asked for.
        folder: of the pipeline; None for a random model.
        unet: a file with the UNet's weights instead; None for the pipeline's own.
        random: name of a random model; empty for a real one.
        film: its row; None for one that is not known by name.
    """

    name: str
    folder: Path | None = None
    unet: Path | None = None
    random: str = ""
    film: Film | None = None


def find(name: str, store: Store | None = None) -> Place:
    """Return where the video model ``name`` is on this machine.

    Raises:
        UsageError: no model can have that name.
        GeneratorError: it is not here, or not whole; the message says which command gets it.
    """
    store = store or Store()
    film = FILMS.get(name)
    if film is not None:
        folder = store.path(film.model)
        return Place(name, folder, store.path(film.unet) if film.unet else None, film=film)
    if name.startswith("random:"):
        return Place(name, random=name.removeprefix("random:"))
    try:
        source = read_name(name)
    except UsageError as error:
        if any(mark in name for mark in "/\\"):
            raise
        raise UsageError(
            f"there is no video model {name!r} ({suggest(name, FILMS)}); a folder in diffusers' layout or a hub id "
            "like owner/name will do as well"
        ) from error
    if source.row is not None:
        raise UsageError(f"{name} draws pictures, not films: take one of {', '.join(FILMS)}, or a folder")
    folder = store.path(name)
    if not folder.is_dir():
        raise GeneratorError(f"{folder} is one file; a video model is a folder in diffusers' layout")
    return Place(name, folder)
