"""What a model is made of, before it is put together, and what its configuration files say about it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.parts import ModelKind, Prediction, Sampling

STEPS = 1000
"""Timesteps of every model that the loop runs."""
_PREDICTIONS: tuple[Prediction, ...] = ("epsilon", "v_prediction", "sample")


@dataclass(slots=True)
class Pieces:
    """The networks of a model as loaded, on the CPU.

    Attributes:
        kind, prediction, alphas, sampling, wants_guidance: as
            :class:`~vjengine.generate.turbo.parts.TurboParts` has them.
        unet, text_encoders, tokenizers: likewise.
        vae: its own autoencoder, if that was asked for or is a small one; None if another has to be found.
        files: what was read, in a fixed order, by a name that does not depend on where the model lies.
    """

    kind: ModelKind
    prediction: Prediction
    alphas: npt.NDArray[np.float64]
    sampling: Sampling
    wants_guidance: bool
    unet: Any
    text_encoders: tuple[Any, ...]
    tokenizers: tuple[Any, ...]
    vae: Any = None
    files: dict[str, Path] = field(default_factory=dict)


def read_config(path: Path) -> dict[str, Any]:
    """Return the JSON object in ``path``.

    Raises:
        GeneratorError: naming the file and what is wrong with it.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GeneratorError(f"{path} cannot be read ({error.strerror or error}): the model is not complete") from error
    except ValueError as error:
        raise GeneratorError(f"{path} is not JSON ({error}): get the model again") from error
    if not isinstance(data, dict):
        raise GeneratorError(f"{path} is not a configuration: get the model again")
    return data


def read_schedule(config: dict[str, Any], where: str) -> tuple[npt.NDArray[np.float64], Prediction]:
    """Return the cumulated alphas ``(1000,)`` and the prediction that a scheduler's ``config`` describes.

    Raises:
        GeneratorError: if it is one that the loop cannot follow; ``where`` names it.
    """
    prediction = config.get("prediction_type", "epsilon")
    if prediction not in _PREDICTIONS:
        raise GeneratorError(f"{where}: prediction {prediction!r} is none of {', '.join(_PREDICTIONS)}")
    if config.get("num_train_timesteps", STEPS) != STEPS:
        raise GeneratorError(f"{where}: the loop runs models of {STEPS} timesteps")
    start, end = float(config.get("beta_start", 0.00085)), float(config.get("beta_end", 0.012))
    schedule = config.get("beta_schedule", "scaled_linear")
    if config.get("trained_betas") is not None:
        betas = np.asarray(config["trained_betas"], np.float64)
    elif schedule == "scaled_linear":
        betas = np.linspace(math.sqrt(start), math.sqrt(end), STEPS, dtype=np.float64) ** 2
    elif schedule == "linear":
        betas = np.linspace(start, end, STEPS, dtype=np.float64)
    else:
        raise GeneratorError(f"{where}: noise schedule {schedule!r} is neither scaled_linear nor linear")
    if betas.shape != (STEPS,) or not np.all((betas > 0.0) & (betas < 1.0)):
        raise GeneratorError(f"{where}: its betas are not {STEPS} numbers between 0 and 1")
    alphas = np.asarray(np.cumprod(1.0 - betas), np.float64)
    if config.get("rescale_betas_zero_snr"):
        # Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed", 2023, algorithm 1.
        roots = np.sqrt(alphas)
        roots = (roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])
        # Exactly 0 would divide by 0 where epsilon is turned into a picture.
        alphas = np.asarray(np.maximum(roots**2, 2.0**-24), np.float64)
    return alphas, prediction


def read_manner(scheduler: dict[str, Any], name: str) -> tuple[Sampling, bool]:
    """Return how a model that is not in the catalogue wants to be sampled, and whether guidance means something to it.

    LCM models come with an LCM scheduler. Models distilled for one step come with trailing timesteps or say so in
    their name; to all others guidance means something.
    """
    if "LCM" in str(scheduler.get("_class_name", "")) or "lcm" in name.lower():
        return "lcm", True
    return "turbo", not (scheduler.get("timestep_spacing") == "trailing" or "turbo" in name.lower())
