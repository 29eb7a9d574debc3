"""What can be said about a continuation by diffusion: read and checked before anything is loaded. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from vjengine.errors import UsageError
from vjengine.strict_yaml import suggest

Sampler = Literal["auto", "euler", "consistency"]
HandOver = Literal["picture", "latent"]

MAX_GUIDANCE = 2.0
"""More burns a chained film: colours saturate from chunk to chunk."""
BUCKETS = (60.0, 160.0)
"""Motion buckets that motion 0 and 1 stand for: below, pictures freeze; above, they tear in a chain."""
MAX_AUGMENTATION = 0.1
"""More noise on the conditioning picture, and the next chunk is of something else."""
FRAMES_FLOOR = 6
"""Pictures at a time below which a video model has no motion to speak of."""


@dataclass(frozen=True, slots=True)
class SvdOptions:
    """Options of the continuation ``svd``.

    Attributes:
        model: a name of :data:`~vjengine.offline.diffusion.films.FILMS`, a folder in diffusers' layout, a hub id that
            was pulled, or ``random:NAME``.
        steps: of denoising; 0 takes what the model is made for.
        sampler: ``euler`` or ``consistency`` (models distilled to few steps); ``auto`` takes the model's.
        frames: pictures that the model makes at a time, the one it began from included; 0 takes the model's own.
        anchor: share of the scene's anchor in what the model is told that it sees, 0-1; the rest is the last picture.
        handover: ``picture`` encodes the last picture anew; ``latent`` takes its latents as they came out of the last
            chunk, as long as nobody has touched the picture since.
        guided: share of the steps that are guided, 0-1, the first ones (Kynkäänniemi et al., 2024): less is faster.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: of UNet and image encoder: ``auto``, ``float32``, ``bfloat16``, ``float16``.
        vae_precision: of the autoencoder; half precision drifts when chained.
        decode: pictures decoded at a time.
        tiled: decode in tiles from the beginning.
        offload: keep on the device only what works.
        together: both halves of guidance in one pass, ``yes`` or ``no``: more memory, faster on a large card; ``auto``
            does so on a GPU where it fits.
        picture_model: what makes the first picture of a text: as ``--model`` of the turbo generator.
        threads: of the CPU; 0 takes torch's own choice.
    """

    model: str = "svd-xt"
    steps: int = 0
    sampler: Sampler = "auto"
    frames: int = 0
    anchor: float = 1.0
    handover: HandOver = "picture"
    guided: float = 1.0
    device: str = "auto"
    precision: str = "auto"
    vae_precision: str = "float32"
    decode: int = 8
    tiled: bool = False
    offload: bool = False
    together: Literal["auto", "yes", "no"] = "auto"
    picture_model: str = "sd-turbo"
    threads: int = 0

    def __post_init__(self) -> None:
        _in_range("svd", "steps", self.steps, 0, 200)
        _in_range("svd", "anchor", self.anchor, 0.0, 1.0)
        _in_range("svd", "guided", self.guided, 0.0, 1.0)
        _in_range("svd", "decode", self.decode, 1, 64)
        _in_range("svd", "threads", self.threads, 0, 256)
        if self.frames:
            _in_range("svd", "frames", self.frames, FRAMES_FLOOR, 64)
        _one_of("svd", "sampler", self.sampler, ("auto", "euler", "consistency"))
        _one_of("svd", "handover", self.handover, ("picture", "latent"))
        _one_of("svd", "together", self.together, ("auto", "yes", "no"))
        _one_of("svd", "precision", self.precision, ("auto", "float32", "bfloat16", "float16"))
        _one_of("svd", "vae_precision", self.vae_precision, ("float32", "bfloat16", "float16"))


@dataclass(frozen=True, slots=True)
class TurboFilmOptions:
    """Options of the continuation ``turbo``.

    Attributes:
        model: as ``--model`` of the turbo generator: ``sd-turbo``, a folder, ``random:tiny`` ...
        strength: how much of each picture is dreamt anew, 0.05-1.
        steps: of denoising, 1-4.
        guidance: pull of the prompt, for models that take one.
        vae: ``tiny`` or ``full``.
        inertia: share of the last motion that goes on, 0-0.95.
        drift: e-folds a second of zoom that full motion comes to.
        kick: e-folds a second of zoom that a full beat adds.
        chunk: pictures at a time.
        device: as for ``svd``.
        precision: of all networks.
        threads: of the CPU; 0 takes torch's own choice.
    """

    model: str = "sd-turbo"
    strength: float = 0.42
    steps: int = 2
    guidance: float = 1.0
    vae: Literal["tiny", "full"] = "tiny"
    inertia: float = 0.8
    drift: float = 0.25
    kick: float = 0.6
    chunk: int = 24
    device: str = "auto"
    precision: str = "auto"
    threads: int = 0

    def __post_init__(self) -> None:
        _in_range("turbo", "strength", self.strength, 0.05, 1.0)
        _in_range("turbo", "steps", self.steps, 1, 4)
        _in_range("turbo", "guidance", self.guidance, 1.0, 4.0)
        _in_range("turbo", "inertia", self.inertia, 0.0, 0.95)
        _in_range("turbo", "drift", self.drift, -2.0, 2.0)
        _in_range("turbo", "kick", self.kick, -4.0, 4.0)
        _in_range("turbo", "chunk", self.chunk, 1, 240)
        _in_range("turbo", "threads", self.threads, 0, 256)
        _one_of("turbo", "vae", self.vae, ("tiny", "full"))
        _one_of("turbo", "precision", self.precision, ("auto", "float32", "bfloat16", "float16"))


Options = TypeVar("Options", SvdOptions, TurboFilmOptions)


def read_options(kind: type[Options], name: str, given: Mapping[str, object]) -> Options:
    """Return the options ``kind`` that ``given`` says, whose values may be text from a command line.

    Args:
        kind: the options' class.
        name: of the continuation, for messages.
        given: values by key.

    Raises:
        UsageError: a key that is unknown, or a value that cannot be.
    """
    known = {field.name: field.default for field in fields(kind)}
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in known:
            raise UsageError(f"the continuation {name} has no option {key!r}; {suggest(key, list(known))}")
        values[key] = _as(name, key, value, known[key])
    return kind(**values)


def _as(name: str, key: str, value: object, like: object) -> object:
    """Return ``value`` as the type of the default ``like``."""
    text = f"{value:g}" if isinstance(value, float) else str(value).strip()
    if isinstance(like, bool):
        if text.lower() in ("1", "true", "yes", "on", "0", "false", "no", "off"):
            return text.lower() in ("1", "true", "yes", "on")
        raise UsageError(f"{name} option {key} = {value!r}: expected yes or no")
    if isinstance(like, str):
        return text
    try:
        number = float(text)
    except ValueError:
        raise UsageError(f"{name} option {key} = {value!r}: expected a number") from None
    if isinstance(like, int):
        if number != int(number):
            raise UsageError(f"{name} option {key} = {value!r}: expected a whole number")
        return int(number)
    return number


def _in_range(name: str, key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"{name} option {key} = {value:g}: expected {low:g} to {high:g}")


def _one_of(name: str, key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{name} option {key} = {value!r}: expected one of {', '.join(choices)}")
