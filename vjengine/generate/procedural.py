"""The built-in generator: families of moving image in GLSL that need no download and run on a CPU.

Each frame is drawn in linear light over the last one (feedback), then softened, tone-mapped and read back. Motion comes
from the parameters alone, so the same parameters in the same order give the same bytes.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import moderngl
import numpy as np

from vjengine.core.frame import Pixels
from vjengine.core.generation import GeneratorParams
from vjengine.core.params import FAMILIES, ParamValues
from vjengine.errors import GeneratorError, UsageError
from vjengine.generate.base import GeneratorSpec
from vjengine.generate.noise import noise_tile
from vjengine.generate.palettes import palette_table
from vjengine.generate.procedural_gl import Pass, PingPong, Target, UniformValue, open_context
from vjengine.generate.procedural_layers import Layer, Moment, make_layer
from vjengine.resources import resource_dir

TRAVEL_WRAP = 4096.0
"""s of travel after which shaders start at 0 again (behind a dissolve): float32 stays smooth for whole nights."""

SCENE_DISSOLVE = 0.8
"""s in which one family or variation gives way to another."""

COLOUR_DISSOLVE = 0.3
"""s in which one palette or symmetry gives way to another."""

HALO_HEIGHT = 72
"""Height in px at which the soft glow is blurred: its reach is the same share of any picture."""


@dataclass(frozen=True, slots=True)
class _Scene:
    """What must not change without a dissolve."""

    family: str
    variation: tuple[int, int]
    cue: int
    lap: int
    palette: str
    symmetry: int

    def gap(self, before: _Scene) -> float:
        """Return the s over which to dissolve from ``before``; 0 for none."""
        if self == before:
            return 0.0
        same_drawing = (self.family, self.variation, self.cue, self.lap) == (
            before.family,
            before.variation,
            before.cue,
            before.lap,
        )
        return COLOUR_DISSOLVE if same_drawing else SCENE_DISSOLVE


class _Dissolve:
    """Gives way from the last picture to the new one, by the same curve at any frame rate.

    The picture is mixed into its own past, so what is left of the old one after frames with shares ``a`` is the
    product of ``1 - a``; shares are chosen such that this product follows the curve.
    """

    def __init__(self) -> None:
        self._length = 0.0
        self._left = 0.0

    def start(self, length: float) -> None:
        self._length = self._left = max(length, self._left)

    def share(self, elapsed: float) -> float:
        """Return the share of the new picture after ``elapsed`` s more."""
        if self._left <= 0.0:
            return 1.0
        before = self._remaining()
        self._left = max(0.0, self._left - elapsed)
        if self._left <= 0.0:
            return 1.0
        return 1.0 - self._remaining() / before

    def _remaining(self) -> float:
        x = self._left / self._length
        return x * x * (3.0 - 2.0 * x)


class ProceduralGenerator:
    """Draws the families of :data:`~vjengine.core.params.FAMILIES`.

    Args:
        spec: size, seed and options: ``family`` (compiled at once; the others on first use), ``threads`` (CPU threads
            of a software renderer), ``shaders`` (folder of the families' files, for shader authors).

    Raises:
        DisplayError: if there is no OpenGL 3.3.
        ShaderError: if a shader does not compile, with its file and line.
        UsageError: if an option is wrong.
    """

    name = "procedural"

    def __init__(self, spec: GeneratorSpec) -> None:
        self._size = spec.size
        self._seed = spec.seed
        options = dict(spec.options)
        first = str(options.pop("family", FAMILIES[0]))
        threads = options.pop("threads", None)
        self._shaders = Path(str(options.pop("shaders", resource_dir("shaders") / "generators")))
        if options or first not in FAMILIES:
            raise UsageError(
                f"procedural: cannot use {', '.join(options) or f'family {first!r}'}; options are threads, shaders, "
                f"family (one of {', '.join(FAMILIES)})"
            )
        try:
            bound = None if threads is None else int(threads)
        except ValueError:
            raise UsageError(f"procedural: threads = {threads!r}: expected a whole number") from None
        self._closed = False
        self._ctx: moderngl.Context | None = None
        # "Current" is a property of a thread: on a thread of its own this context never displaces the caller's.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="procedural")
        try:
            self._thread.submit(self._build, first, bound).result()
        except BaseException:
            self.close()
            raise

    def _build(self, first: str, threads: int | None) -> None:
        self._ctx = ctx = open_context(threads)
        self._programs: dict[str, Pass] = {}
        self._layers: dict[str, Layer | None] = {}
        self._palettes: dict[str, moderngl.Texture] = {}
        self._noise = self._tile(ctx, octaves=1, cells=16), self._tile(ctx, octaves=5, cells=4)
        self._picture = PingPong(ctx, self._size)
        self._shrink = Pass(ctx, self._shaders, "shrink.glsl")
        self._blur = Pass(ctx, self._shaders, "blur.glsl")
        self._present = Pass(ctx, self._shaders, "present.glsl")
        self._smaller = [Target(ctx, size) for size in _shrinking(self._size)]
        self._halo = PingPong(ctx, self._smaller[-1].texture.size if self._smaller else self._size)
        self._output = ctx.simple_framebuffer(self._size, components=4)
        self._bytes = np.zeros((self._size[1], self._size[0], 4), dtype=np.uint8)
        self._start()
        self._family(first)
        # The first draw of a program stalls while the driver finishes compiling it: not in front of the audience.
        self._draw(GeneratorParams(values=ParamValues.of({"gen.family": FAMILIES.index(first)})))
        self._start()

    def _start(self) -> None:
        self._scene: _Scene | None = None
        self._prepared: tuple[str, tuple[int, int]] | None = None
        self._dice: tuple[float, ...] = ()
        self._time = 0.0
        self._dissolve = _Dissolve()

    @staticmethod
    def _tile(ctx: moderngl.Context, octaves: int, cells: int) -> moderngl.Texture:
        tile = noise_tile(octaves, cells)
        texture = ctx.texture(tile.shape[1::-1], 4, tile.tobytes(), dtype="f2")
        texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        return texture

    def generate(self, params: GeneratorParams) -> Pixels:
        """Return the picture for ``params``: ``(H, W, 4)`` uint8, top row first, sRGB; valid until the next call.

        Raises:
            GeneratorError: after :meth:`close`.
            ShaderError: if the family's shader, compiled on first use, is wrong.
        """
        if self._closed:
            raise GeneratorError("this generator has been closed; make a new one")
        return self._thread.submit(self._generate, params).result()

    def reset(self) -> None:
        """Go on as if nothing had been drawn: no trails, and the next picture needs no dissolve."""
        if not self._closed:
            self._thread.submit(self._start).result()

    def close(self) -> None:
        """Release the context with all it holds; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._thread.submit(self._release).result()
            self._thread.shutdown()

    def _release(self) -> None:
        ctx, self._ctx = self._ctx, None
        if ctx is not None:
            ctx.release()

    def _generate(self, params: GeneratorParams) -> Pixels:
        self._draw(params)
        self._output.read_into(self._bytes, components=4)
        return self._bytes

    def _draw(self, params: GeneratorParams) -> None:
        values = params.values
        elapsed = 0.0 if self._scene is None else max(0.0, params.time - self._time)
        self._time = params.time
        share = self._enter(params, elapsed)
        assert self._scene is not None
        family = self._scene.family
        uniforms = self._uniforms(params, self._scene)
        textures = {"uPalette": self._palette(self._scene.palette), "uNoise": self._noise[0], "uCloud": self._noise[1]}

        program, layer = self._family(family)
        if layer is not None:
            prepared = family, self._scene.variation
            moment = Moment(
                uniforms=uniforms,
                travel=params.travel % TRAVEL_WRAP,
                kick=_kick(params),
                morph=values["gen.morph"],
                low=max(params.bands[:2]),
                dice=self._dice,
                fresh=prepared != self._prepared,
            )
            self._prepared = prepared
            more_uniforms, more_textures = layer.prepare(moment, textures)
            uniforms |= more_uniforms
            textures |= more_textures

        feedback = values["gen.feedback"]
        fade_time = 0.11 * feedback / (1.0 - feedback)
        uniforms |= {
            "uKeep": math.exp(-elapsed / fade_time) if fade_time > 0.0 else 0.0,
            "uDissolve": share,
            "uRescale": math.exp(values["gen.drift"] * min(elapsed, 0.25)),
            "uElapsed": min(elapsed, 0.25),
        }
        program.set(uniforms)
        program.draw(self._picture.next, {**textures, "uPrevious": self._picture.last})
        self._picture.swap()
        self._finish(uniforms)

    def _enter(self, params: GeneratorParams, elapsed: float) -> float:
        """Follow the scene that ``params`` ask for; return the share of the new picture in this frame."""
        values = params.values
        scene = _Scene(
            family=values.choice("gen.family"),
            variation=(int(values["gen.seed"]), params.reseed),
            cue=params.cue,
            lap=int(params.travel // TRAVEL_WRAP),
            palette=values.choice("gen.palette"),
            symmetry=int(values["gen.symmetry"]),
        )
        if self._scene is None:
            self._picture.clear()
        elif scene != self._scene:
            self._dissolve.start(scene.gap(self._scene))
        if self._scene is None or scene.variation != self._scene.variation:
            source = np.random.default_rng([self._seed, *scene.variation])
            self._dice = tuple(float(x) for x in source.random(16))
        self._scene = scene
        return self._dissolve.share(elapsed)

    def _uniforms(self, params: GeneratorParams, scene: _Scene) -> dict[str, UniformValue]:
        values, width, height = params.values, *self._size
        low, middle, high = (max(params.bands[i : i + 2]) for i in (0, 2, 4))
        hits = (max(params.hits[i : i + 2]) for i in (0, 2, 4))
        # Without a beat the picture keeps a calm pulse of its own.
        beats = params.beats if params.beat_running else params.travel
        return {
            "uSize": (float(width), float(height)),
            "uTravel": params.travel % TRAVEL_WRAP,
            "uTurn": math.tau * (params.turn % 1.0),
            "uZoom": values["gen.zoom"],
            "uWarp": values["gen.warp"],
            "uDetail": values["gen.detail"],
            "uMorph": values["gen.morph"],
            "uSymmetry": float(scene.symmetry),
            "uGlow": values["gen.glow"],
            "uKick": _kick(params),
            "uHue": values["gen.hue"],
            "uSpread": values["gen.spread"],
            "uContrast": values["gen.contrast"],
            "uLevels": (low, middle, high),
            "uHits": tuple(hits),
            "uBeats": beats % 64.0,
            "uDice": np.asarray(self._dice, dtype=np.float32).tobytes(),
        }

    def _finish(self, uniforms: dict[str, UniformValue]) -> None:
        """From the float picture to bytes: halo, tone, flip."""
        image = self._picture.last
        for target in self._smaller:
            self._shrink.set({"uSize": _floats(target.texture.size), "uTexel": _texel(image.size)})
            self._shrink.draw(target.framebuffer, {"uImage": image})
            image = target.texture
        across, up = _texel(self._halo.size)
        for reach in ((1.0 * across, 0.0), (0.0, 1.0 * up), (2.2 * across, 0.0), (0.0, 2.2 * up)):
            self._blur.set({"uSize": _floats(self._halo.size), "uStep": reach})
            self._blur.draw(self._halo.next, {"uImage": image})
            self._halo.swap()
            image = self._halo.last
        self._present.set(uniforms)
        self._present.draw(self._output, {"uImage": self._picture.last, "uHalo": image})

    def _family(self, family: str) -> tuple[Pass, Layer | None]:
        """Return the program and layer of ``family``, made on first use."""
        assert self._ctx is not None
        if family not in self._programs:
            self._layers[family] = make_layer(family, self._ctx, self._shaders, self._size)
            self._programs[family] = Pass(self._ctx, self._shaders, f"{family}.glsl")
        return self._programs[family], self._layers[family]

    def _palette(self, name: str) -> moderngl.Texture:
        assert self._ctx is not None
        if name not in self._palettes:
            table = palette_table(name)
            texture = self._ctx.texture(table.shape[1::-1], 4, table.tobytes(), dtype="f2")
            texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
            texture.repeat_y = False
            self._palettes[name] = texture
        return self._palettes[name]


def _kick(params: GeneratorParams) -> float:
    """How hard the picture is struck now, 0–1: the pulse that macros and modulation drive, and the music's own."""
    return min(1.0, params.values["gen.pulse"] + 0.6 * max(params.hits[:2]))


def _shrinking(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the sizes on the way from ``size`` to the halo's, none below a quarter of the one before."""
    sizes = []
    width, height = size
    while height > HALO_HEIGHT:
        smaller = max(HALO_HEIGHT, math.ceil(height / 4))
        width, height = max(1, round(width * smaller / height)), smaller
        sizes.append((width, height))
    return sizes


def _floats(size: tuple[int, int]) -> tuple[float, float]:
    return float(size[0]), float(size[1])


def _texel(size: tuple[int, int]) -> tuple[float, float]:
    return 1.0 / size[0], 1.0 / size[1]
