"""What a family's layer is told each frame, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import moderngl

from vjengine.generate.procedural_gl import UniformValue

Uniforms = dict[str, UniformValue]
Textures = dict[str, moderngl.Texture]


@dataclass(frozen=True, slots=True)
class Moment:
    """What a layer is told each frame.

    Attributes:
        uniforms: the values all families share.
        travel: motion so far, s at pace 1, wrapped as the shaders see it.
        kick: 0–1.
        morph: ``gen.morph``.
        detail: ``gen.detail``.
        zoom: ``gen.zoom``.
        low: level of the low bands, 0–1.
        dice: sixteen numbers 0–1 that make this variation.
        mirrored: True if the plane is folded by mirrors.
        fresh: True on the first frame of a variation.
    """

    uniforms: Mapping[str, UniformValue]
    travel: float
    kick: float
    morph: float
    detail: float
    zoom: float
    low: float
    dice: tuple[float, ...]
    mirrored: bool
    fresh: bool


def pick(dice: float, count: int) -> int:
    """Return the index among ``count`` that ``dice`` (0-1) stands for."""
    return min(int(dice * count), count - 1)


class Layer(Protocol):
    """Draws or computes what one family's picture needs beside the shared uniforms."""

    def prepare(self, moment: Moment, textures: Textures) -> tuple[Uniforms, Textures]:
        """Return further uniforms and textures for the picture of this moment."""
        ...
