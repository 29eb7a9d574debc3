"""What some families prepare before they are drawn: a running reaction, a cloud of points, weights, constants."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import moderngl
import numpy as np
import numpy.typing as npt

from vjengine.generate.procedural_gl import Pass, PingPong, Target, UniformValue

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
        low: level of the low bands, 0–1.
        dice: sixteen numbers 0–1 that make this variation.
        fresh: True on the first frame of a variation.
    """

    uniforms: Mapping[str, UniformValue]
    travel: float
    kick: float
    morph: float
    low: float
    dice: tuple[float, ...]
    fresh: bool


class Layer(Protocol):
    """Draws or computes what one family's picture needs beside the shared uniforms."""

    def prepare(self, moment: Moment, textures: Textures) -> tuple[Uniforms, Textures]:
        """Return further uniforms and textures for the picture of this moment."""
        ...


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

# Feed and kill rates between which the culture never comes to rest.
REGIMES: tuple[tuple[float, float], ...] = (
    (0.0290, 0.0570),
    (0.0367, 0.0630),
    (0.0460, 0.0610),
    (0.0390, 0.0600),
    (0.0300, 0.0560),
)


def _pick(dice: float, count: int) -> int:
    return min(int(dice * count), count - 1)


class Network:
    """Weights of the pattern network, ``cppn``."""

    def __init__(self) -> None:
        self._seed = -1
        self._weights = self.weights(0)

    def prepare(self, moment: Moment, textures: Textures) -> tuple[Uniforms, Textures]:
        """Return the weights of this variation, and what its slow latent inputs add to the first layer."""
        seed = CPPN_SEEDS[_pick(moment.dice[15], len(CPPN_SEEDS))]
        if seed != self._seed:
            self._seed, self._weights = seed, self.weights(seed)
        t = 0.14 * moment.travel
        latent = np.array([math.sin(0.71 * t), math.cos(0.53 * t), math.sin(0.37 * t + 2.0), self._pose(moment)])
        # Matrices lie column by column, as GLSL reads them: each row here is a column.
        first, second = (latent @ self._weights[index] for index in (1, 3))
        return {
            "uWeights": self._weights[[0, 2, *range(4, 14)]].tobytes(),
            "uBiasA": tuple(map(float, first)),
            "uBiasB": tuple(map(float, second)),
        }, {}

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
        place, radius = JULIA_PLACES[_pick(moment.dice[15], len(JULIA_PLACES))]
        angle = 0.21 * moment.travel + math.tau * moment.dice[14]
        # The circle breathes with a second, slower one, so that it does not visibly repeat.
        radius *= 0.75 + 0.25 * math.sin(0.083 * moment.travel)
        return {"uConstant": (place.real + radius * math.cos(angle), place.imag + radius * math.sin(angle))}, {}


class Mirrors:
    """The mirrors of ``lattice``: the wedge and the circle that make one triangle of the tiling {p, q}."""

    def prepare(self, moment: Moment, textures: Textures) -> tuple[Uniforms, Textures]:
        """Return circle centre and radius squared, and the wedge's cosine and sine."""
        p, q = TILINGS[_pick(moment.dice[15], len(TILINGS))]
        centre_squared = math.cos(math.pi / q) ** 2 / (math.cos(math.pi / q) ** 2 - math.sin(math.pi / p) ** 2)
        wedge = math.cos(math.pi / p), math.sin(math.pi / p)
        return {"uMirror": (math.sqrt(centre_squared), centre_squared - 1.0, *wedge)}, {}


class Reaction:
    """The Gray–Scott culture of ``reaction``: it advances with the travel, whatever the frame rate."""

    SIZE = (256, 144)
    STEPS_PER_SECOND = 210.0
    MOST_STEPS = 24
    FIRST_STEPS = 140

    def __init__(self, ctx: moderngl.Context, shaders: Path) -> None:
        self._seed = Pass(ctx, shaders, "reaction_seed.glsl")
        self._step = Pass(ctx, shaders, "reaction_step.glsl")
        self._state = PingPong(ctx, self.SIZE, dtype="f4", repeat=True)
        self._done = 0
        self._kick = 0.0
        self._strikes = 0

    def prepare(self, moment: Moment, textures: Textures) -> tuple[Uniforms, Textures]:
        """Advance the culture to this travel and return its state."""
        uniforms: Uniforms = {**moment.uniforms, "uSize": (float(self.SIZE[0]), float(self.SIZE[1]))}
        uniforms["uRegime"] = REGIMES[_pick(moment.dice[15], len(REGIMES))]
        due = math.floor(moment.travel * self.STEPS_PER_SECOND)
        if moment.fresh:
            self._seed.set(uniforms)
            self._seed.draw(self._state.next, textures)
            self._state.swap()
            self._run(self.FIRST_STEPS, uniforms, textures, 0.0)
        elif due > self._done:
            strike = max(0.0, moment.kick - self._kick)
            self._run(min(due - self._done, self.MOST_STEPS), uniforms, textures, strike)
        self._done = due
        self._kick = moment.kick
        return {"uStateSize": uniforms["uSize"]}, {"uState": self._state.last}

    def _run(self, steps: int, uniforms: Uniforms, textures: Textures, strike: float) -> None:
        if strike > 0.05:
            self._strikes += 1
        # Strikes fall evenly over the plane, never twice in one place.
        uniforms["uBurst"] = (self._strikes * 0.754877666 % 1.0, self._strikes * 0.569840291 % 1.0)
        uniforms["uStrike"] = min(1.0, 1.2 * strike) if strike > 0.05 else 0.0
        uniforms["uStir"] = float(steps)
        self._step.set(uniforms)
        for step in range(steps):
            # Only stirring reads between texels; on a CPU a nearest look costs a quarter of a smooth one.
            if step == 1:
                self._step.set({"uStir": 0.0})
                self._state.smooth(False)
            self._step.draw(self._state.next, {**textures, "uState": self._state.last})
            self._state.swap()
        self._state.smooth(True)


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


def make_layer(family: str, ctx: moderngl.Context, shaders: Path, size: tuple[int, int]) -> Layer | None:
    """Return what ``family`` needs prepared, or None."""
    match family:
        case "cppn":
            return Network()
        case "orbits":
            return JuliaConstant()
        case "lattice":
            return Mirrors()
        case "reaction":
            return Reaction(ctx, shaders)
        case "particles":
            return Cloud(ctx, shaders, size)
        case _:
            return None
