"""From the float picture of the procedural generator to bytes: soft glow, film curve, flip, read-back."""

from __future__ import annotations

import math
from pathlib import Path

import moderngl
import numpy as np
import numpy.typing as npt

from vjengine.core.frame import Pixels
from vjengine.generate.procedural_gl import Pass, PingPong, Target

HALO_HEIGHT = 48
"""Height in px at which the soft glow is blurred: its reach is the same share of any picture."""

HALO_STEP = 1.58
"""Distance of the blur's taps in px of the halo."""

FILM_MIDDLE = 0.45
FILM_TERMS = 6

FloatArray = npt.NDArray[np.float64]


def film_curve(light: FloatArray, contrast: float) -> FloatArray:
    """Return what is seen, sRGB 0-1, of linear ``light``: a shoulder that never quite reaches white, a toe that lets
    the dark be dark, and an S of ``gen.contrast``.
    """
    colour = 1.0 - np.exp(-1.35 * light)
    toe = 0.004 + 0.056 * contrast
    colour = colour * colour * (1.0 + toe) / (colour + toe)
    curve = 1.055 * np.maximum(colour, 1e-6) ** (1.0 / 2.4) - 0.055
    seen = np.where(colour < 0.0031308, 12.92 * colour, curve)
    steeper = seen * seen * (3.0 - 2.0 * seen)
    return np.asarray(seen + (0.9 * contrast - 0.2) * (steeper - seen), dtype=np.float64)


class Film:
    """The film curve as a polynomial in ``sqrt(light / (light + FILM_MIDDLE))``.

    On a CPU a polynomial and a root cost a third of the exponentials and powers. The fit keeps within 4/255 of
    the curve, and is exact in black.
    """

    def __init__(self) -> None:
        place = np.linspace(0.0, 1.0, 401)[1:] * 0.98
        self._light = FILM_MIDDLE * place**2 / (1.0 - place**2)
        powers = place[:, None] ** np.arange(1, FILM_TERMS + 1)
        self._solve = np.asarray(np.linalg.pinv(powers), dtype=np.float64)

    def terms(self, contrast: float) -> npt.NDArray[np.float32]:
        """Return the factors of the powers from the first, ``(FILM_TERMS,)`` float32."""
        return (self._solve @ film_curve(self._light, contrast)).astype(np.float32)


class Finish:
    """Turns a float picture into the bytes of a frame.

    Args:
        ctx: the context, current.
        shaders: folder of the shader files.
        size: (width, height) of the pictures in px.
    """

    def __init__(self, ctx: moderngl.Context, shaders: Path, size: tuple[int, int]) -> None:
        self._shrink = Pass(ctx, shaders, "shrink.glsl")
        self._blur = Pass(ctx, shaders, "blur.glsl")
        self._present = Pass(ctx, shaders, "present.glsl")
        self._smaller = [Target(ctx, smaller) for smaller in _shrinking(size)]
        self._halo = PingPong(ctx, self._smaller[-1].texture.size if self._smaller else size)
        self._film = Film()
        self._output = ctx.simple_framebuffer(size, components=4)
        self._bytes = np.zeros((size[1], size[0], 4), dtype=np.uint8)
        self._size = float(size[0]), float(size[1])

    def draw(self, picture: moderngl.Texture, contrast: float, glow: float, kick: float) -> None:
        """Draw the finished frame of ``picture``."""
        image = picture
        for target in self._smaller:
            self._shrink.set({"uSize": target.size, "uTexel": _texel(image.size)})
            self._shrink.draw(target.framebuffer, {"uImage": image})
            image = target.texture
        across, up = _texel(self._halo.size)
        size = float(self._halo.size[0]), float(self._halo.size[1])
        for reach in ((HALO_STEP * across, 0.0), (0.0, HALO_STEP * up)):
            self._blur.set({"uSize": size, "uStep": reach})
            self._blur.draw(self._halo.next, {"uImage": image})
            self._halo.swap()
            image = self._halo.last
        self._present.set(
            {
                "uSize": self._size,
                "uHaloShare": (0.10 + 0.45 * glow) * (1.0 + 0.5 * kick),
                "uFilm": self._film.terms(contrast).tobytes(),
                "uFilmMiddle": FILM_MIDDLE,
            }
        )
        self._present.draw(self._output, {"uImage": picture, "uHalo": image})

    def read(self) -> Pixels:
        """Return the frame drawn last, ``(H, W, 4)`` uint8, top row first; valid until the next call."""
        self._output.read_into(self._bytes, components=4)
        return self._bytes


def _shrinking(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the sizes on the way from ``size`` to the halo's, none below a quarter of the one before."""
    sizes = []
    width, height = size
    while height > HALO_HEIGHT:
        smaller = max(HALO_HEIGHT, math.ceil(height / 4))
        width, height = max(1, round(width * smaller / height)), smaller
        sizes.append((width, height))
    return sizes


def _texel(size: tuple[int, int]) -> tuple[float, float]:
    return 1.0 / size[0], 1.0 / size[1]
