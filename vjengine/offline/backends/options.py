"""Options of the servers as settings.yaml and the command line write them, read strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from vjengine.errors import BackendError
from vjengine.offline.backends.comfyui import ComfySettings, ComfyUI
from vjengine.offline.backends.replicate import ReplicateModel, ReplicateSettings
from vjengine.offline.backends.wire import server_address
from vjengine.strict_yaml import Place, Reader, number, read_fields, text, whole

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NESTED = ("values", "input", "first_input")
_MOST_VALUES = 100


def _address(place: Place, value: Any) -> str:
    try:
        return server_address(text(500)(place, value))
    except BackendError:
        place.refuse(value, "a server's address like http://127.0.0.1:8188")


def _path(place: Place, value: Any) -> Path:
    return value if isinstance(value, Path) else Path(text(1000)(place, value)).expanduser()


def _values(place: Place, value: Any) -> dict[str, str | int | float | bool]:
    if not isinstance(value, dict) or len(value) > _MOST_VALUES:
        place.refuse(value, "a mapping of placeholders to values, like {steps: 25}")
    for name, item in value.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            place.refuse(name, "a placeholder's name of letters, digits and _")
        if not isinstance(item, str | int | float | bool):
            place.at(name).refuse(item, "a text, a number, true or false")
    return dict(value)


def _input(place: Place, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value) or len(value) > _MOST_VALUES:
        place.refuse(value, "the model's own input, like {image: '{{image}}', seed: '{{seed}}'}")
    return dict(value)


COMFYUI: Mapping[str, Reader] = {
    "server": _address,
    "workflow": _path,
    "first": _path,
    "values": _values,
    "frames": whole(1, 1000),
    "skip": whole(0, 100),
    "seconds": number(1, 86400, "s"),
    "patience": number(1, 86400, "s"),
    "tries": whole(1, 20),
    "pause": number(0, 60, "s"),
    "poll": number(0.05, 60, "s"),
}
"""Options of ComfyUI, by key."""

REPLICATE: Mapping[str, Reader] = {
    "model": text(300),
    "input": _input,
    "first_model": text(300),
    "first_input": _input,
    "values": _values,
    "frames": whole(1, 1000),
    "skip": whole(0, 100),
    "token_file": _path,
    "price": number(0, 1e6),
    "api": _address,
    "seconds": number(1, 86400, "s"),
    "poll": number(0.05, 60, "s"),
    "tries": whole(1, 20),
    "pause": number(0, 60, "s"),
}
"""Options of Replicate, by key."""


def make_comfyui(options: Mapping[str, object]) -> ComfyUI:
    """Make ComfyUI's continuation from options: those of :data:`COMFYUI`; nested ones may be written ``values.steps``.

    Raises:
        ConfigError: an option that is not known, or makes no sense.
        BackendError: a template that cannot work.
    """
    return ComfyUI(ComfySettings(**read_fields(Place(Path("comfyui")), _nest(options, COMFYUI), COMFYUI)))


def make_replicate(options: Mapping[str, object]) -> ReplicateModel:
    """Make Replicate's continuation from options: those of :data:`REPLICATE`; nested ones as ``input.image``.

    Raises:
        ConfigError: an option that is not known, or makes no sense.
        BackendError: no model, no token, or an input that nothing fills in.
    """
    fields = read_fields(Place(Path("replicate")), _nest(options, REPLICATE), REPLICATE)
    return ReplicateModel(ReplicateSettings(**fields))


def _nest(options: Mapping[str, object], table: Mapping[str, Reader]) -> dict[str, Any]:
    """Return options with ``values.steps`` put into ``values``, and numbers that came as text as numbers."""
    nested: dict[str, Any] = {}
    for key, value in options.items():
        outer, dot, inner = key.partition(".")
        if dot and outer in _NESTED:
            nested.setdefault(outer, {})[inner] = _number(value)
        elif key in nested and isinstance(value, Mapping):
            nested[key].update(value)
        else:
            asks_number = key in table and key not in ("model", "first_model", "server", "api")
            nested[key] = _number(value) if asks_number else value
    return nested


def _number(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    return read if isinstance(read, int | float) else value
