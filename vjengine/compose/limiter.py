"""The flash limiter's hands: what is about to be shown, in small, and its running mean to calm it with.

Judging (:mod:`vjengine.compose.flash`) reads the picture *before* limiting, so that the limiter stays on for as long
as what is behind it flashes. What it does is exchange the picture's coarse light for that light's running mean: the
fine structure stays sharp while the flashing stops.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import moderngl

from vjengine.compose.flash import GRID, FlashState, luminance, observe
from vjengine.compose.passes import Pass, Target, UniformValue, Variants, unbind
from vjengine.compose.readback import Readback
from vjengine.compose.shaders import ShaderLibrary

CALM_TIME = 1.0
"""s: time constant of the running mean."""
RETURN_TIME = 1.5
"""s in which the master brightness may come back while the limiter acts; going dark is never delayed."""
DELAY = 2
"""Frames between a picture and its judgement; fixed, so that offline renders repeat exactly."""

Tag = tuple[float, float, float]
"""Time (s), length (s) and master brightness of a probed frame."""


class FlashLimiter:
    """Watches the finished picture in small and says how much to calm it."""

    def __init__(self, ctx: moderngl.Context, library: ShaderLibrary) -> None:
        self._ctx = ctx
        self._reduce = Pass(ctx, library.shader("compositor/reduce.frag.glsl"))
        self._probe = Variants(
            ctx,
            library,
            "compositor/finish.frag.glsl",
            ("PROBE", "PROBE BLOOM", "PROBE BLOOM GRADE", "PROBE BLOOM GRADE KALEIDO CHROMA GAMMA"),
        )
        self._small = Target(ctx, GRID)
        self._now = Target(ctx, GRID, "f1")
        self._calm = [Target(ctx, GRID), Target(ctx, GRID)]
        self._drawn = [ctx.framebuffer([self._now.texture, calm.texture]) for calm in self._calm]
        self._readback: Readback[Tag] = Readback(ctx, GRID, DELAY)
        self._started = False
        self._master = 1.0
        self.state = FlashState()

    @property
    def ready(self) -> bool:
        """False while one of its shaders never compiled."""
        return self._reduce.ready and self._probe.ready

    def warm(self, picture: moderngl.Texture, bloom: moderngl.Texture) -> None:
        """Draw everything once, with textures like those of the show."""
        self._reduce.draw(self._small.framebuffer, {"picture": picture}, {})
        before = self._calm[1].texture
        self._probe.warm(self._drawn[0], {"picture": self._small.texture, "bloom": bloom, "calm_before": before})
        for target in (*self._calm, self._now):
            target.framebuffer.clear()

    def master(self, wanted: float, delta: float) -> float:
        """Return the master brightness to show: ``wanted``, but slow in coming back while the limiter acts."""
        if wanted > self._master and self.state.amount > 0.0:
            wanted = min(wanted, self._master + delta / (RETURN_TIME * self.state.amount))
        self._master = wanted
        return wanted

    def watch(
        self,
        features: tuple[str, ...],
        textures: Mapping[str, moderngl.Texture],
        values: Mapping[str, UniformValue],
        tag: Tag,
    ) -> None:
        """Look at the picture that ``textures`` and ``values`` make when drawn by the finish pass."""
        done = self._readback.finish()
        if done is not None:
            (time, delta, master), pixels = done
            self.state = observe(self.state, luminance(pixels, master), time, delta)
        picture = textures["picture"]
        self._reduce.draw(self._small.framebuffer, {"picture": picture}, {"cell": (1.0 / GRID[0], 1.0 / GRID[1])})
        self._calm.reverse()
        self._drawn.reverse()
        share = math.exp(-tag[1] / CALM_TIME) if self._started else 0.0
        self._started = True
        self._probe.pick("PROBE", *features).draw(
            self._drawn[0],
            {**textures, "picture": self._small.texture, "calm_before": self._calm[1].texture},
            {**values, "calm_share": share},
        )
        self._readback.start(self._now.framebuffer, tag)

    def textures(self) -> dict[str, moderngl.Texture]:
        """Return what the finish pass calms the picture with."""
        return {"now": self._now.texture, "calm": self._calm[0].texture}

    def release(self) -> None:
        """Free everything."""
        unbind(self._ctx)
        self._readback.release()
        self._probe.release()
        self._reduce.release()
        for framebuffer in self._drawn:
            framebuffer.release()
        for target in (self._small, self._now, *self._calm):
            target.release()
