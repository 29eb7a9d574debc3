"""What some families prepare before they are drawn: a running reaction, a cloud of points, weights, constants."""

from __future__ import annotations

import math
from pathlib import Path

import moderngl
import numpy as np
import numpy.typing as npt

from vjengine.generate.procedural_gl import MirroredPass, Pass, Target
from vjengine.generate.procedural_moment import Layer, Moment, Textures, Uniforms, pick
from vjengine.generate.procedural_reaction import Reaction

# Networks chosen by eye out of a hundred: large shapes, a place to look at, room around it.
# fmt: off
CPPN_SEEDS: tuple[int, ...] = (
    10, 14, 15, 17, 23, 27, 31, 33, 34, 36, 37, 38, 40, 44, 48, 51,
    52, 60, 62, 67, 72, 73, 75, 76, 78, 80, 87, 88, 89, 90, 97, 99,
)
# fmt: on

# (constant, radius of its slow circle): places on the edge of the Mandelbrot set whose sets fill the frame.
JULIA_PLACES: tuple[tuple[complex, float], ...] = (
    (-0.790 + 0.150j, 0.020),
    (0.285 + 0.010j, 0.012),
    (-0.400 + 0.600j, 0.022),
    (-0.702 - 0.384j, 0.020),
    (-0.835 - 0.232j, 0.018),
    (-0.727 + 0.189j, 0.016),
    (0.355 + 0.355j, 0.014),
    (-0.123 + 0.745j, 0.030),
    (-0.512 + 0.521j, 0.020),
    (0.370 + 0.100j, 0.018),
    (-0.194 + 0.656j, 0.020),
    (-1.250 + 0.020j, 0.030),
)

# Schläfli symbols {p, q} of the hyperbolic tilings.
TILINGS: tuple[tuple[int, int], ...] = ((5, 4), (6, 4), (7, 3), (4, 5), (8, 3), (4, 6), (6, 5), (3, 8))


class Network:
    """The pattern network of ``cppn``, worked out at half size."""

    def __init__(self, ctx: moderngl.Context, shaders: Path, size: tuple[int, int]) -> None:
        self._seed = -1
        self._weights = self.weights(0)
        self._program = MirroredPass(ctx, shaders, "cppn_field.glsl")
        # Contours are drawn from differences between neighbours: sixteen bits would roughen them.
        self._field = Target(ctx, halved(size), dtype="f4")

    def prepare(self, moment: Moment, textures: Textures) -> tuple[Uniforms, Textures]:
        """Run the network of this variation, moved by its slow latent inputs, and return its field."""
        seed = CPPN_SEEDS[pick(moment.dice[15], len(CPPN_SEEDS))]
        if seed != self._seed:
            self._seed, self._weights = seed, self.weights(seed)
        t = 0.14 * moment.travel
        latent = np.array([math.sin(0.71 * t), math.cos(0.53 * t), math.sin(0.37 * t + 2.0), self._pose(moment)])
        # Matrices lie column by column, as GLSL reads them: each row here is a column.
        first, second = (latent @ self._weights[index] for index in (1, 3))
        field = self._program.of(moment.mirrored)
        field.set(
            {
                **moment.uniforms,
                "uSize": self._field.size,
                "uWeights": self._weights[[0, 2, *range(4, 14)]].tobytes(),
                "uBiasA": tuple(map(float, first)),
                "uBiasB": tuple(map(float, second)),
            }
        )
        field.draw(self._field.framebuffer, textures)
        return {}, {"uField": self._field.texture}

    @staticmethod
    def _pose(moment: Moment) -> float:
        """Return the latent input that ``gen.morph`` moves and the bass leans on."""
        return 2.0 * moment.morph - 1.0 + 0.12 * moment.low

    @staticmethod
    def weights(seed: int) -> npt.NDArray[np.float32]:
        """Return ``(14, 4, 4)`` float32: place and latent inputs, two hidden layers, output."""
        rng = np.random.default_rng(seed)
        scales = np.array([1.5, 0.55, 1.2, 0.45, *[0.85] * 8, 0.9, 0.9], dtype=np.float32)
        return rng.standard_normal((14, 4, 4), dtype=np.float32) * scales[:, None, None]


class JuliaConstant:
    """The wandering constant of ``orbits``."""

    def prepare(self, moment: Moment, textures: Textures) -> tuple[Uniforms, Textures]:
        """Return the constant at this travel."""
        place, radius = JULIA_PLACES[pick(moment.dice[15], len(JULIA_PLACES))]
        angle = 0.21 * moment.travel + math.tau * moment.dice[14]
        # The circle breathes with a second, slower one, so that it does not visibly repeat.
        radius *= 0.75 + 0.25 * math.sin(0.083 * moment.travel)
        return {"uConstant": (place.real + radius * math.cos(angle), place.imag + radius * math.sin(angle))}, {}


class Mirrors:
    """The mirrors of ``lattice``: the wedge and the circle that make one triangle of the tiling {p, q}."""

    def prepare(self, moment: Moment, textures: Textures) -> tuple[Uniforms, Textures]:
        """Return circle centre and radius squared, and the wedge's cosine and sine."""
        p, q = TILINGS[pick(moment.dice[15], len(TILINGS))]
        centre_squared = math.cos(math.pi / q) ** 2 / (math.cos(math.pi / q) ** 2 - math.sin(math.pi / p) ** 2)
        wedge = math.cos(math.pi / p), math.sin(math.pi / p)
        return {"uMirror": (math.sqrt(centre_squared), centre_squared - 1.0, *wedge)}, {}


class Curtains:
    """The curtains of ``ribbons``: a table of all that varies along them, and their soft rays at half size."""

    COLUMNS = 2048

    def __init__(self, ctx: moderngl.Context, shaders: Path, size: tuple[int, int]) -> None:
        self._hems = Pass(ctx, shaders, "ribbons_hems.glsl")
        self._veil = MirroredPass(ctx, shaders, "ribbons_veil.glsl")
        self._table = Target(ctx, (self.COLUMNS, 16), dtype="f4")
        if size[1] <= 720:
            # Columns are finer than pixels, and the nearest costs a software renderer half.
            self._table.texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self._rays = Target(ctx, halved(size))
        self._diagonal = math.hypot(size[0] / size[1], 1.0)

    def prepare(self, moment: Moment, textures: Textures) -> tuple[Uniforms, Textures]:
        """Fill the table, draw the rays and return both."""
        own: Uniforms = {"uReach": self._diagonal / moment.zoom, "uLayers": 3.0 + int(moment.detail * 4.0)}
        uniforms: Uniforms = {**moment.uniforms, **own}
        self._hems.set({**uniforms, "uSize": self._table.size})
        self._hems.draw(self._table.framebuffer, textures)
        table = {"uHems": self._table.texture}
        veil = self._veil.of(moment.mirrored)
        veil.set({**uniforms, "uSize": self._rays.size})
        veil.draw(self._rays.framebuffer, {**textures, **table})
        return own, {**table, "uVeil": self._rays.texture}


class Cloud:
    """The points of ``particles``, drawn with added light into a float picture of their own."""

    COUNT = 9000

    def __init__(self, ctx: moderngl.Context, shaders: Path, size: tuple[int, int]) -> None:
        self._ctx = ctx
        self._points = Pass(ctx, shaders, "particles_bead.glsl", vertex="particles_points.glsl")
        self._target = Target(ctx, size)

    def prepare(self, moment: Moment, textures: Textures) -> tuple[Uniforms, Textures]:
        """Draw the points and return the picture of them."""
        self._target.framebuffer.clear()
        self._points.set({**moment.uniforms, "uCount": float(self.COUNT)})
        self._ctx.enable(moderngl.BLEND | moderngl.PROGRAM_POINT_SIZE)
        self._ctx.blend_func = moderngl.ONE, moderngl.ONE
        self._points.draw_points(self._target.framebuffer, textures, self.COUNT)
        self._ctx.disable(moderngl.BLEND | moderngl.PROGRAM_POINT_SIZE)
        return {}, {"uPoints": self._target.texture}


def halved(size: tuple[int, int]) -> tuple[int, int]:
    """Return half of ``size``, at least one px."""
    return (size[0] + 1) // 2, (size[1] + 1) // 2


def make_layer(family: str, ctx: moderngl.Context, shaders: Path, size: tuple[int, int]) -> Layer | None:
    """Return what ``family`` needs prepared, or None."""
    match family:
        case "cppn":
            return Network(ctx, shaders, size)
        case "orbits":
            return JuliaConstant()
        case "lattice":
            return Mirrors()
        case "reaction":
            return Reaction(ctx, shaders)
        case "ribbons":
            return Curtains(ctx, shaders, size)
        case "particles":
            return Cloud(ctx, shaders, size)
        case _:
            return None
