"""The built-in generator: families of moving image in GLSL that need no download and run on a CPU.

Each frame is drawn in linear light over the last one (feedback), then softened, tone-mapped and read back. Motion comes
from the parameters alone, so the same parameters in the same order give the same bytes.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import moderngl
import numpy as np

from vjengine.core.frame import Pixels
from vjengine.core.generation import GeneratorParams
from vjengine.core.params import FAMILIES, ParamValues
from vjengine.errors import GeneratorError, UsageError
from vjengine.generate.base import NOBODY, GeneratorSpec, Host
from vjengine.generate.noise import noise_tile
from vjengine.generate.palettes import palette_table
from vjengine.generate.procedural_finish import Finish
from vjengine.generate.procedural_gl import MirroredPass, PingPong, UniformValue, open_context
from vjengine.generate.procedural_layers import make_layer
from vjengine.generate.procedural_moment import Layer, Moment
from vjengine.generate.procedural_scene import Dissolve, Scene
from vjengine.resources import resource_dir

TRAVEL_WRAP = 4096.0
"""s of travel after which shaders start at 0 again (behind a dissolve): float32 stays smooth for whole nights."""

TRAIL_FADES: dict[str, float] = {
    "cppn": 2.5, "lattice": 2.5, "orbits": 1.5, "reaction": 2.0, "ribbons": 1.3, "tunnel": 7.0,
}  # fmt: skip
"""Families that travel fast let their trails fade as many times faster."""

_VERTEX = {"tunnel": "tunnel_view.glsl"}


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

    def __init__(self, spec: GeneratorSpec, host: Host = NOBODY) -> None:
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
        self._programs: dict[str, MirroredPass] = {}
        self._layers: dict[str, Layer | None] = {}
        self._palettes: dict[str, moderngl.Texture] = {}
        self._noise = self._tile(ctx, octaves=1, cells=16), self._tile(ctx, octaves=5, cells=4)
        self._picture = PingPong(ctx, self._size)
        self._finish = Finish(ctx, self._shaders, self._size)
        self._start()
        self._family(first)
        # The first draw of a program stalls while the driver finishes compiling it: not in front of the audience.
        self._draw(GeneratorParams(values=ParamValues.of({"gen.family": FAMILIES.index(first)})))
        self._start()

    def _start(self) -> None:
        self._scene: Scene | None = None
        self._prepared: tuple[str, tuple[int, int]] | None = None
        self._dice: tuple[float, ...] = ()
        self._time = 0.0
        self._dissolve = Dissolve()
        self._cut = 0

    @staticmethod
    def _tile(ctx: moderngl.Context, octaves: int, cells: int) -> moderngl.Texture:
        tile = noise_tile(octaves, cells)
        texture = ctx.texture(tile.shape[1::-1], 4, tile.astype(np.float32).tobytes(), dtype="f4")
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
        return self._finish.read()

    def _draw(self, params: GeneratorParams) -> None:
        values = params.values
        elapsed = 0.0 if self._scene is None else max(0.0, params.time - self._time)
        self._time = params.time
        share = self._enter(params, elapsed)
        assert self._scene is not None
        family = self._scene.family
        uniforms = self._uniforms(params, self._scene)
        textures = {"uPalette": self._palette(self._scene.palette), "uNoise": self._noise[0], "uCloud": self._noise[1]}

        mirrored = self._scene.symmetry > 1
        family_pass, layer = self._family(family)
        program = family_pass.of(mirrored)
        if layer is not None:
            prepared = family, self._scene.variation
            moment = Moment(
                uniforms=uniforms,
                travel=params.travel % TRAVEL_WRAP,
                kick=_kick(params),
                morph=values["gen.morph"],
                detail=values["gen.detail"],
                zoom=values["gen.zoom"],
                low=max(params.bands[:2]),
                dice=self._dice,
                mirrored=mirrored,
                fresh=prepared != self._prepared,
            )
            self._prepared = prepared
            more_uniforms, more_textures = layer.prepare(moment, textures)
            uniforms |= more_uniforms
            textures |= more_textures

        feedback = values["gen.feedback"]
        fade_time = 0.11 * feedback / (1.0 - feedback) / TRAIL_FADES.get(family, 1.0)
        push = 0.02 * values["gen.warp"] * min(elapsed, 0.25)
        uniforms |= {
            "uKeep": math.exp(-elapsed / fade_time) if fade_time > 0.0 else 0.0,
            "uDissolve": share,
            "uRescale": math.exp(values["gen.drift"] * min(elapsed, 0.25)),
            "uPush": (push * self._size[1] / self._size[0], push),
        }
        program.set(uniforms)
        program.draw(self._picture.next, {**textures, "uPrevious": self._picture.last})
        self._picture.swap()
        self._finish.draw(self._picture.last, values["gen.contrast"], values["gen.glow"], _kick(params))

    def _enter(self, params: GeneratorParams, elapsed: float) -> float:
        """Follow the scene that ``params`` ask for; return the share of the new picture in this frame."""
        values = params.values
        scene = Scene(
            family=values.choice("gen.family"),
            variation=(int(values["gen.seed"]), params.reseed),
            cue=params.cue,
            lap=int(params.travel // TRAVEL_WRAP),
            palette=values.choice("gen.palette"),
            symmetry=int(values["gen.symmetry"]),
        )
        if self._scene is None or params.cut != self._cut:
            self._cut = params.cut
            self._picture.clear()
            self._dissolve.stop()
        elif scene != self._scene:
            self._dissolve.start(scene.gap(self._scene))
        if self._scene is None or scene.variation != self._scene.variation:
            source = np.random.default_rng([self._seed, *scene.variation])
            self._dice = tuple(float(x) for x in source.random(16))
        self._scene = scene
        return self._dissolve.share(elapsed)

    def _uniforms(self, params: GeneratorParams, scene: Scene) -> dict[str, UniformValue]:
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

    def _family(self, family: str) -> tuple[MirroredPass, Layer | None]:
        """Return the program and layer of ``family``, made on first use."""
        assert self._ctx is not None
        if family not in self._programs:
            self._layers[family] = make_layer(family, self._ctx, self._shaders, self._size)
            self._programs[family] = MirroredPass(
                self._ctx, self._shaders, f"{family}.glsl", _VERTEX.get(family, "family.glsl")
            )
        return self._programs[family], self._layers[family]

    def _palette(self, name: str) -> moderngl.Texture:
        assert self._ctx is not None
        if name not in self._palettes:
            table = palette_table(name)
            texture = self._ctx.texture(table.shape[1::-1], 4, table.astype(np.float32).tobytes(), dtype="f4")
            texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
            texture.repeat_y = False
            self._palettes[name] = texture
        return self._palettes[name]


def _kick(params: GeneratorParams) -> float:
    """How hard the picture is struck now, 0–1: the pulse that macros and modulation drive, and the music's own."""
    return min(1.0, params.values["gen.pulse"] + 0.6 * max(params.hits[:2]))
