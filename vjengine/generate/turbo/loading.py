"""From a model's name to a model that runs: one function for every place that a model can come from.

Everything is read from this machine; what is not here is an error that says which command gets it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vjengine.errors import GeneratorError, MissingDependency, UsageError
from vjengine.generate.turbo.catalogue import CATALOGUE, CatalogueRow, Source, read_name
from vjengine.generate.turbo.folder import Alive, component_files, load_component, load_folder
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.pieces import Pieces, read_config
from vjengine.generate.turbo.quiet import quietly
from vjengine.generate.turbo.store import Store
from vjengine.generate.turbo.weights import fingerprint_file

if TYPE_CHECKING:
    import torch

PRECISIONS = ("float32", "bfloat16", "float16")


def _nobody(doing: str, fraction: float) -> None:
    """Nobody wants to know."""


def load_parts(
    name: str,
    *,
    device: str = "cpu",
    precision: str = "float32",
    full_vae: bool = False,
    loras: Sequence[str] = (),
    store: Store | None = None,
    alive: Alive = _nobody,
) -> TurboParts:
    """Load the model ``name``.

    Args:
        name: as :func:`~vjengine.generate.turbo.catalogue.read_name` reads it.
        device: torch's name of where it shall live.
        precision: of weights and activations: ``float32``, ``bfloat16``, ``float16``.
        full_vae: the model's own autoencoder instead of TAESD: finer, and many times slower.
        loras: files, or names of the catalogue or the hub; their weights start at 0.
        store: where pulled models are.
        alive: told what goes on and how far it is (0-1), so that silence is not taken for a hang.

    Raises:
        UsageError: no model can have that name, or that precision.
        GeneratorError: it is not here, not whole, broken, or none that the loop can run; the message names the file
            and what to do.
        MissingDependency: without torch, diffusers and transformers.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r} is none of {', '.join(PRECISIONS)}")
    store = store or Store()
    source = read_name(name)
    # Found out before the libraries are imported: what is missing is told at once.
    lora_paths = [_lora_path(lora, store) for lora in loras]
    place = None if source.kind == "random" else store.path(name)
    alive("waking the libraries", -1.0)
    try:
        with quietly():
            import torch
    except ModuleNotFoundError as error:
        raise MissingDependency(str(error.name or "torch"), "pip install 'vjengine[turbo]'") from error
    except ImportError as error:
        raise GeneratorError(
            f"{error.name or 'torch'} cannot be loaded: {error}; free memory, or install it again"
        ) from error
    # Whoever calls may be in inference mode, where faders could not be moved later.
    with quietly(), torch.inference_mode(False), torch.no_grad():
        if place is None:
            parts = _random(source, device=device, precision=precision, full_vae=full_vae)
        else:
            parts = _loaded(source, place, device, getattr(torch, precision), full_vae, store, alive)
        if lora_paths:
            from vjengine.generate.turbo.lora import add_loras

            alive("loading the LoRAs", 0.9)
            parts.lora = add_loras(parts.unet, lora_paths)
            parts.fingerprint = _digest([parts.fingerprint, parts.lora.fingerprint])
    alive("model loaded", 1.0)
    return parts


def _lora_path(name: str, store: Store) -> Path:
    source = read_name(name)
    if source.kind in ("random", "folder"):
        raise UsageError(f"{name} is not a LoRA: give a .safetensors file, or the hub id of one")
    path = store.path(name)
    if not path.is_file():
        raise GeneratorError(f"{name} is a whole model, not a LoRA; play it with --model {name}")
    return path


def _random(source: Source, **options: Any) -> TurboParts:
    from vjengine.generate.turbo.random_models import random_parts

    return random_parts(source.random, **options)


def _loaded(
    source: Source, place: Path, device: str, dtype: torch.dtype, full_vae: bool, store: Store, alive: Alive
) -> TurboParts:
    row = source.row
    if row is not None and row.film:
        raise UsageError(f"{source.name} makes films, offline; make one with vjengine longcat --model {source.name}")
    if row is not None and row.kind is None:
        raise UsageError(f"{source.name} is a part of models, not one; `vjengine models list` shows which are")
    if place.is_dir():
        own = full_vae and not (row and row.full_vae)
        pieces = load_folder(place, dtype=dtype, full_vae=own, alive=alive)
    else:
        from vjengine.generate.turbo.single_file import load_single_file

        pieces = load_single_file(place, dtype=dtype, full_vae=full_vae, store=store, alive=alive)
    if row is not None:
        _as_catalogued(pieces, row)
    alive("loading the autoencoder", 0.8)
    _give_vae(pieces, source, full_vae, dtype, store)
    extra = _fused(pieces, row, store)
    for network in (pieces.unet, pieces.vae, *pieces.text_encoders):
        network.requires_grad_(False).eval()
        # The plain method: diffusers' own warns of modules to keep in float32, of which these have none.
        _plain_to(network, device, dtype)
    prints = [f"{name} {fingerprint_file(path)}" for name, path in sorted(pieces.files.items())]
    return TurboParts(
        name=source.name,
        fingerprint=_digest([*prints, *extra, repr(pieces.alphas[::100].tolist()), pieces.prediction]),
        kind=pieces.kind,
        sampling=pieces.sampling,
        prediction=pieces.prediction,
        alphas=pieces.alphas,
        wants_guidance=pieces.wants_guidance,
        unet=pieces.unet,
        vae=pieces.vae,
        tokenizers=pieces.tokenizers,
        text_encoders=pieces.text_encoders,
        source=str(place),
    )


def _as_catalogued(pieces: Pieces, row: CatalogueRow) -> None:
    """Let the catalogue decide what a repository's files say nothing, or something else, about."""
    pieces.sampling, pieces.prediction, pieces.wants_guidance = row.sampling, row.prediction, row.wants_guidance


def _give_vae(pieces: Pieces, source: Source, full_vae: bool, dtype: torch.dtype, store: Store) -> None:
    """Find the autoencoder that is asked for, where the model did not bring it."""
    import torch

    overflows = (
        full_vae
        and pieces.kind == "sdxl"
        and dtype == torch.float16
        and (pieces.vae is None or pieces.vae.config.get("force_upcast", True))
    )
    if pieces.vae is not None and not overflows:
        return
    if full_vae and (overflows or pieces.vae is None) and pieces.kind == "sdxl":
        # The published one overflows half precision to black pictures; this is the same, rescaled.
        name = "sdxl-vae"
    elif full_vae:
        raise GeneratorError(f"{source.name} has no full autoencoder; play it without --full-vae")
    else:
        name = "taesdxl" if pieces.kind == "sdxl" else "taesd"
    try:
        folder = store.path(name)
    except GeneratorError as error:
        raise GeneratorError(f"{source.name} needs {CATALOGUE[name].doc}: {error}") from error
    kind = str(read_config(folder / "config.json").get("_class_name"))
    if kind not in ("AutoencoderTiny", "AutoencoderKL"):
        raise GeneratorError(f"{folder} is a {kind}, not an autoencoder: vjengine models pull {name}")
    pieces.vae = load_component(kind, folder, dtype)
    files = component_files(folder.parent, (folder.name,))
    pieces.files = {key: path for key, path in pieces.files.items() if not key.startswith("vae/")}
    pieces.files.update({f"vae/{path.name}": path for path in files.values()})


def _fused(pieces: Pieces, row: CatalogueRow | None, store: Store) -> list[str]:
    """Add the LoRA that belongs to the model for good; return what it adds to the fingerprint."""
    if row is None or not row.lora:
        return []
    from vjengine.generate.turbo.lora import fuse_lora

    return [fuse_lora(pieces.unet, store.path(row.lora))]


def _plain_to(network: Any, device: str, dtype: torch.dtype) -> None:
    import torch

    torch.nn.Module.to(network, device=device, dtype=dtype)


def _digest(words: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()
