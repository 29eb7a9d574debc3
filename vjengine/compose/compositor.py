"""The programme: source, feedback, bloom, grade and light switches, drawn once a frame whatever the generator does."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from pathlib import Path

import moderngl

from vjengine.compose import colour, geometry
from vjengine.compose.bloom import Bloom
from vjengine.compose.canvas import SMALLEST_SCALE, Canvas
from vjengine.compose.fallback import plain_pass
from vjengine.compose.keep import TrailWatch
from vjengine.compose.keeper import Keeper
from vjengine.compose.limiter import FlashLimiter
from vjengine.compose.passes import Target, UniformValue, Variants
from vjengine.compose.qr import Modules, QrCode
from vjengine.compose.shaders import ShaderLibrary
from vjengine.compose.source import SourceFrames
from vjengine.core.control import ControlState
from vjengine.core.frame import Frame
from vjengine.core.params import ParamValues
from vjengine.errors import ShaderError

log = logging.getLogger(__name__)

GRAIN_RATE = 24.0
"""Grain pictures a second, as on film: the same texture at any frame rate."""
GOLDEN = 0.6180339887
"""Turn of the dither from frame to frame: no two that follow each other are alike."""
LONGEST_STEP = 1.0
"""s: after a longer pause the picture goes on as if this much time had passed."""
DIMMEST_TRAIL = 0.02
"""A trail is seen by at least this much; below it there is none."""
BLOOM_GAIN = 0.6
"""Share of the spilled light that is added at an amount of 1: wide bright areas glow, but keep their drawing."""
DISPLACE_SPEED = 0.6
"""Screen heights a second that full displacement moves the trail over a full step of brightness."""
DISPLACE_REACH = 0.012
"""Screen heights between the samples of that step."""

PICTURES = (
    "",
    "FADE",
    "FEEDBACK",
    "FADE FEEDBACK",
    "FEEDBACK HUE",
    "FADE FEEDBACK HUE",
    "FADE FEEDBACK HUE DISPLACE",
    "FADE MORPH",
    "FADE MORPH FEEDBACK",
    "FADE MORPH FEEDBACK HUE",
    "FADE MORPH FEEDBACK HUE DISPLACE",
)
FINISHES = (
    "",
    "BLOOM",
    "BLOOM GRADE",
    "BLOOM CHROMA",
    "BLOOM CHROMA GRADE",
    "BLOOM GRADE LIMIT",
    "BLOOM CHROMA GRADE GAMMA",
    "BLOOM CHROMA GRADE GAMMA KALEIDO LIMIT",
)
MOVING = frozenset(("CHROMA", "KALEIDO"))
"""Features of the finish that read the picture elsewhere than at their own pixel."""


@dataclass(slots=True)
class Motion:
    """What adds up over the frames besides the pixels."""

    kaleido_turn: float = 0.0
    strobe_phase: float = 0.0
    strobing: bool = False
    clear: int = 0

    def step(self, values: ParamValues, delta: float) -> None:
        """Move on by ``delta`` s."""
        self.kaleido_turn = (self.kaleido_turn + values["kaleido.rotate"] * delta) % 1.0
        # A strobe begins with its flash, in the frame in which it is switched on.
        was, self.strobing = self.strobing, values["strobe.amount"] > 0.0
        self.strobe_phase = (self.strobe_phase + values["strobe.rate"] * delta) % 1.0 if was else 0.0


@dataclass(slots=True)
class Finish:
    """All that the last finish pass was given, kept so that a frozen picture can be drawn again exactly."""

    features: tuple[str, ...] = ()
    textures: dict[str, moderngl.Texture] = field(default_factory=dict)
    values: dict[str, UniformValue] = field(default_factory=dict)


class Compositor:
    """Draws the programme. All calls belong to the thread on which ``ctx`` is current.

    What decides a pixel is in the control state and the frame, so live and offline make the same call.

    Attributes:
        flash_limit: keep below three flashes a second; on unless switched off.
    """

    def __init__(
        self,
        ctx: moderngl.Context,
        size: tuple[int, int],
        shaders: Path,
        *,
        hot_reload: bool = True,
        watch: TrailWatch | None = None,
    ) -> None:
        """Compile everything and draw it once, so that the show never waits for a compiler.

        Args:
            ctx: OpenGL 3.3 or newer.
            size: (width, height) of the programme in px.
            shaders: the folder that holds ``compositor/``.
            hot_reload: watch the shader files; see :meth:`poll_reload`.
            watch: who looks after a strong trail; without one nothing is read back or corrected.
        """
        self.ctx = ctx
        self.flash_limit = True
        self._library = ShaderLibrary(ctx, shaders, hot_reload=hot_reload)
        self._plain = plain_pass(ctx, self._library)
        self._pictures = Variants(
            ctx, self._library, "compositor/picture.frag.glsl", PICTURES, "compositor/picture.vert.glsl"
        )
        self._finishes = Variants(ctx, self._library, "compositor/finish.frag.glsl", FINISHES)
        self._limiter = FlashLimiter(ctx, self._library)
        self._bloom = Bloom(ctx, self._library, size)
        self._qr = QrCode(ctx, self._library)
        self._source = SourceFrames(ctx)
        self._motion = Motion()
        self._finish: Finish | None = None
        self._master = 1.0
        self._scale = 1.0
        self._canvas = Canvas(ctx, self._library, size)
        self._keeper = Keeper(ctx, self._library, watch, self._canvas) if watch is not None else None
        self._warm()

    def _warm(self) -> None:
        canvas, picture = self._canvas, self._canvas.picture
        # Compilers do not care for the size of a target, but drawing takes its time.
        light, code = Target(self.ctx, (8, 8)), Target(self.ctx, (8, 8), "f1")
        for textures in self._source.likely():
            self._pictures.warm(light.framebuffer, {**textures, "trail": canvas.last.texture})
        self._bloom.draw(picture.texture, 0.5, 0.5)
        self._limiter.warm(picture.texture, self._bloom.light)
        textures = {"picture": picture.texture, "bloom": self._bloom.light, **self._limiter.textures()}
        picture.filter(moderngl.NEAREST)
        self._finishes.warm(code.framebuffer, textures, without=MOVING)
        picture.filter(moderngl.LINEAR)
        self._finishes.warm(code.framebuffer, textures, having=MOVING)
        self._qr.warm()
        canvas.warm()
        light.release()
        code.release()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the programme in px."""
        return self._canvas.size

    @property
    def programme(self) -> moderngl.Framebuffer:
        """Framebuffer of the last picture, RGBA8 in sRGB code; :meth:`resize` replaces it."""
        return self._canvas.programme.framebuffer

    @property
    def scale(self) -> float:
        """Share of the programme's width and height at which it is drawn, 0.25–1; the last pass enlarges it.

        It may be set between any two frames: the next one that is not frozen follows, with its trail.
        """
        return self._scale

    @scale.setter
    def scale(self, wanted: float) -> None:
        # A NaN becomes 1: it fails both comparisons.
        self._scale = max(SMALLEST_SCALE, wanted) if wanted < 1.0 else 1.0

    @property
    def internal_size(self) -> tuple[int, int]:
        """(width, height) in px at which the last frame was drawn."""
        return self._canvas.internal

    @property
    def errors(self) -> tuple[ShaderError, ...]:
        """Shader faults that stand; the last good programs are in use meanwhile."""
        return self._library.errors

    @property
    def flash_amount(self) -> float:
        """How much the flash limiter acts now, 0–1."""
        return self._limiter.state.amount if self.flash_limit else 0.0

    def poll_reload(self) -> bool:
        """Take changed shader files over; cheap, to be called once a frame. Return True if a program was exchanged."""
        return self._library.poll()

    def set_qr(self, modules: Modules | None, caption: str = "") -> None:
        """Show this QR code wherever ``qr.mix`` asks for one; call it between frames, once for each code.

        Args:
            modules: ``(n, n)``, True where dark, top row first, without the quiet zone; None for none.
            caption: what stands below it, one line or more; the first is the largest.

        Raises:
            ValueError: if ``modules`` is not square.
        """
        self._qr.set(modules, caption, self.size)

    def resize(self, size: tuple[int, int]) -> None:
        """Make the programme ``size`` (width, height) px; trails start anew."""
        if size != self.size:
            self._canvas.resize(size, self._scale)
            self._follow_canvas()

    def _follow_scale(self) -> None:
        """Take a change of :attr:`scale` over."""
        if self._canvas.rescale(self._scale):
            self._follow_canvas()

    def _follow_canvas(self) -> None:
        """Make what depends on the inner size anew."""
        self._bloom.resize(self.internal_size, self.size)
        if self._keeper is not None:
            self._keeper.resize(self._canvas)
        self._finish = None

    def render(self, control: ControlState, frame: Frame | None) -> moderngl.Texture:
        """Draw the picture of ``control`` from the latest generator ``frame`` (``None`` before the first).

        Returns the programme's texture, RGBA8 in sRGB code. :attr:`programme` is left bound.
        """
        self.ctx.enable_only(moderngl.NOTHING)
        before = self._qr.look
        invited = self._qr.step(control.values, min(control.time.delta, LONGEST_STEP), self.size)
        if control.values["out.freeze"] >= 0.5 and self._finish is not None:
            self._hold(self._finish, control, invited, self._qr.look != before)
            return self._canvas.programme.texture
        self._follow_scale()
        self._source.take(frame, control)
        self._motion.step(control.values, control.time.delta)
        if self._pictures.ready and self._finishes.ready:
            self._draw_picture(control)
            self._draw_finish(control)
        else:
            _, textures, values = self._source.bindings(control, self.internal_size)
            self._plain.draw(self.programme, textures, {**values, "master": _master(control.values)})
            self._master = _master(control.values)
        if invited:
            self._qr.draw(self.programme, self._master)
        return self._canvas.programme.texture

    def _draw_picture(self, control: ControlState) -> None:
        """Draw the source and the feedback, in linear light."""
        values = control.values
        needed, textures, uniforms = self._source.bindings(control, self.internal_size)
        features = list(needed)
        displaced = values["feedback.displace"] > 0.0
        if displaced and not needed:
            # The variants that displace fade in any case.
            textures["previous"], uniforms["fade"] = textures["newest"], 1.0
            uniforms["previous_from_screen"] = uniforms["newest_from_screen"]
        self._canvas.swap()
        if control.clear != self._motion.clear:
            self._motion.clear = control.clear
            self._canvas.last.framebuffer.clear()
        share = 1.0
        if self._keeper is not None:
            self._keeper.begin(self._canvas, control)
            share = self._keeper.share
        if values["feedback.mix"] * share >= DIMMEST_TRAIL:
            features.append("FEEDBACK")
            if displaced:
                features.append("DISPLACE")
            if values["feedback.hue"] != 0.0:
                features.append("HUE")
            textures["trail"] = self._canvas.last.texture
            delta, aspect = min(control.time.delta, LONGEST_STEP), self.size[0] / self.size[1]
            uniforms |= trail_uniforms(values, delta, aspect, share)
            self._canvas.last.filter(moderngl.LINEAR)
        self._canvas.picture.filter(moderngl.LINEAR)
        self._pictures.pick(*features).draw(self._canvas.picture.framebuffer, textures, uniforms)
        if self._keeper is not None:
            self._keeper.end(self._canvas, control)

    def _draw_finish(self, control: ControlState) -> None:
        """Draw everything from linear light to the programme."""
        values = control.values
        # Variants with more features than asked for get them at zero, but must have something to read.
        textures = {"picture": self._canvas.picture.texture, "bloom": self._bloom.light, **self._limiter.textures()}
        features = []
        uniforms = finish_uniforms(control, self._motion, self.size[0] / self.size[1])
        if values["bloom.amount"] > 0.0 and self._bloom.ready:
            features.append("BLOOM")
            uniforms["bloom_amount"] = BLOOM_GAIN * values["bloom.amount"]
            textures["bloom"] = self._bloom.draw(
                self._canvas.picture.texture, values["bloom.threshold"], values["bloom.radius"]
            )
        if values["kaleido.mix"] > 0.0:
            features.append("KALEIDO")
        if values["chroma.shift"] > 0.0:
            features.append("CHROMA")
        if uniforms["colour"] != geometry.IDENTITY or uniforms["contrast"] != 1.0 or uniforms["invert"] != 0.0:
            features.append("GRADE")
        if values["grade.gamma"] != 1.0:
            features.append("GAMMA")
        master = _master(values)
        if self.flash_limit and self._limiter.ready:
            master = self._limiter.master(master, control.time.delta)
            tag = (control.time.time, control.time.delta, _master(values))
            self._limiter.watch(tuple(features), textures, uniforms, tag)
            if self._limiter.state.amount > 0.0:
                features.append("LIMIT")
                textures |= self._limiter.textures()
                uniforms["limit"] = self._limiter.state.amount
        # With the limiter's word in it, for what is drawn over the picture.
        self._master = master
        self._finish = Finish(tuple(features), textures, {**uniforms, "master": master})
        self._show(self._finish)

    def _show(self, finish: Finish) -> None:
        """Run the finish pass."""
        each = self._finishes.pick(*finish.features)
        # A pixel that is read at its own place needs no filtering, which is what costs most on a software renderer.
        self._canvas.picture.filter(moderngl.NEAREST if MOVING.isdisjoint(each.features) else moderngl.LINEAR)
        each.draw(self._canvas.finished.framebuffer, finish.textures, finish.values)
        self._canvas.present()

    def _hold(self, finish: Finish, control: ControlState, invited: bool, changed: bool) -> None:
        """Keep the picture; the master brightness still acts, so that a blackout works over a freeze.

        Likewise the QR code, if it is ``invited``; ``changed`` tells that it is not as it was in the last frame.
        """
        master = _master(control.values)
        if changed or master != finish.values["master"]:
            finish.values["master"] = master
            self._show(finish)
            if invited:
                self._qr.draw(self.programme, master)
        self.programme.use()

    def release(self) -> None:
        """Free everything that lives on the graphics card; the compositor is of no use afterwards."""
        self._canvas.release()
        self._source.release()
        self._bloom.release()
        self._limiter.release()
        self._qr.release()
        if self._keeper is not None:
            self._keeper.release()
        self._pictures.release()
        self._finishes.release()
        self._plain.release()
        self._library.release()


def _master(values: ParamValues) -> float:
    return values["out.level"] * (1.0 - values["out.black"])


def trail_uniforms(values: ParamValues, delta: float, aspect: float, share: float = 1.0) -> dict[str, UniformValue]:
    """Return the uniforms of ``trail.glsl`` for a step of ``delta`` s on a screen of ``aspect`` (width / height).

    ``share`` of the trail asked for is seen.
    """
    seen = share * values["feedback.mix"]
    decay = seen * 0.5 ** (delta / values["feedback.half_life"])
    move = DISPLACE_SPEED * values["feedback.displace"] * delta
    return {
        "trail_from_screen": geometry.trail_motion(
            aspect,
            math.exp(values["feedback.zoom"] * delta),
            values["feedback.rotate"] * delta,
            (values["feedback.x"] * delta, values["feedback.y"] * delta),
        ),
        "trail_gain": decay,
        "trail_colour": colour.flat(decay * colour.hue_rotation(values["feedback.hue"] * delta)),
        "trail_seen": seen,
        "frame_steps": 60.0 * delta,
        "displace": (move / aspect, move),
        "displace_reach": (DISPLACE_REACH / aspect, DISPLACE_REACH),
    }


def is_gain(matrix: geometry.Matrix) -> bool:
    """Tell whether ``matrix`` only multiplies all three channels by the same."""
    a, b, c, d, e, f, g, h, i = matrix
    return a == e == i and b == c == d == f == g == h == 0.0


def finish_uniforms(control: ControlState, motion: Motion, aspect: float) -> dict[str, UniformValue]:
    """Return the uniforms of ``finish.frag.glsl`` but for the master brightness; bloom and the limiter are off."""
    values = control.values
    lit = 0.0 <= motion.strobe_phase < 0.5
    strobe = values["strobe.amount"]
    matrix, white = colour.grade(values, 0.5 * strobe if lit else 0.0)
    plain = is_gain(matrix)
    return {
        "aspect": aspect,
        "gain": matrix[0] if plain else 1.0,
        "colour": geometry.IDENTITY if plain else matrix,
        "white": white,
        "contrast": values["grade.contrast"],
        "gamma": values["grade.gamma"],
        "invert": values["grade.invert"],
        "vignette": values["vignette.amount"],
        "grain": values["grain.amount"],
        "grain_seed": int(control.time.time * GRAIN_RATE) & 0xFFFFFFFF,
        "dither_turn": control.time.index * GOLDEN % 1.0,
        "strobe": 1.0 if lit else 1.0 - strobe,
        "flash": values["out.flash"],
        "bloom_amount": 0.0,
        "limit": 0.0,
        "chroma": values["chroma.shift"],
        "kaleido_sector": math.pi / values["kaleido.segments"],
        "kaleido_turn": math.tau * motion.kaleido_turn,
        "kaleido_mix": values["kaleido.mix"],
    }
