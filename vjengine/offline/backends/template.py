"""Templates of what is sent to a server: JSON in which ``{{name}}`` stands for what a chunk needs.

A text that is nothing but one placeholder becomes the value itself, a number stays a number; inside other text it is
written out. ``{{steps=20}}`` has a default. The names that every chunk fills in are :data:`KNOWN`; all others come from
settings.yaml or have a default, so that a workflow saved from ComfyUI needs no more than a few words changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from vjengine.errors import BackendError
from vjengine.offline.continuation import Ask
from vjengine.strict_yaml import suggest

KNOWN = (
    "image", "seed", "frames", "width", "height", "fps", "prompt", "negative", "motion", "motion_bucket",
    "guidance_first", "guidance_last", "noise", "index", "time",
)  # fmt: skip
"""Placeholders that are filled in for every chunk. ``image`` is the last picture as the server knows it."""

_PLACE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:=([^{}]*))?\}\}")
_DEEPEST = 24


def values_of(ask: Ask, size: tuple[int, int], image: str, extra_frames: int) -> dict[str, object]:
    """Return the value of every name in :data:`KNOWN`.

    Args:
        ask: the chunk.
        size: (width, height), px.
        image: the conditioning picture as the server knows it.
        extra_frames: pictures asked for beyond the new ones, thrown away later.
    """
    return {
        "image": image,
        "seed": ask.seed % (1 << 32),
        "frames": ask.frames + extra_frames,
        "width": size[0],
        "height": size[1],
        "fps": max(1, round(float(ask.fps))),
        "prompt": ask.prompt,
        "negative": ask.negative,
        "motion": round(ask.motion, 4),
        # 60-160 holds over many chunks; above it pictures tear, below they freeze.
        "motion_bucket": round(60 + 100 * min(max(ask.motion, 0.0), 1.0)),
        "guidance_first": round(ask.guidance[0], 3),
        "guidance_last": round(ask.guidance[1], 3),
        "noise": round(ask.noise, 4),
        "index": ask.index,
        "time": round(ask.time, 3),
    }


def placeholders(template: object) -> dict[str, bool]:
    """Return the names that ``template`` uses, each with whether it has a default everywhere."""
    found: dict[str, bool] = {}

    def walk(value: object, depth: int) -> None:
        if depth > _DEEPEST:
            raise BackendError("the template is nested too deeply")
        if isinstance(value, str):
            for match in _PLACE.finditer(value):
                found[match[1]] = found.get(match[1], True) and match[2] is not None
        elif isinstance(value, Mapping):
            for item in value.values():
                walk(item, depth + 1)
        elif isinstance(value, list):
            for item in value:
                walk(item, depth + 1)

    walk(template, 0)
    return found


def fill(template: Any, values: Mapping[str, object]) -> Any:
    """Return ``template`` with every placeholder replaced.

    Raises:
        BackendError: a placeholder has neither a value nor a default; the message says where to give one.
    """
    if isinstance(template, str):
        whole = _PLACE.fullmatch(template)
        if whole:
            return _value(whole, values)
        return _PLACE.sub(lambda match: str(_value(match, values)), template)
    if isinstance(template, Mapping):
        return {key: fill(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, values) for value in template]
    return template


def _value(match: re.Match[str], values: Mapping[str, object]) -> object:
    if match[1] in values:
        return values[match[1]]
    if match[2] is None:
        raise BackendError(
            f"nothing is known of {{{{{match[1]}}}}}: give it under `values:` in settings.yaml "
            f"(filled in by itself: {suggest(match[1], KNOWN)})"
        )
    try:
        return json.loads(match[2])
    except ValueError:
        return match[2].strip()
