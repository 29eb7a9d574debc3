"""Loads what a turbo generator will need, for a spare process that waits for its turn."""

from __future__ import annotations

import importlib

from vjengine.generate.turbo.quiet import silence_libraries

_SLOW = (
    "vjengine.generate.turbo.generator",
    "diffusers.models.unets.unet_2d_condition",
    "diffusers.models.autoencoders.autoencoder_tiny",
    "transformers.models.clip.modeling_clip",
    "transformers.models.clip.tokenization_clip",
    "safetensors.torch",
)
"""Modules that the generator imports late, one by one: the packages' front doors import every model that there is."""


def warm_up() -> None:
    """Import the libraries.

    Raises:
        ImportError: if one is not installed; the generator says so in words when it is made.
    """
    silence_libraries()
    for name in _SLOW:
        importlib.import_module(name)
