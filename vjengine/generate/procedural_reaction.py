"""The running culture of the family ``reaction``."""

from __future__ import annotations

import math
from pathlib import Path

import moderngl
import numpy as np

from vjengine.generate.procedural_gl import Pass, PingPong, Target
from vjengine.generate.procedural_moment import Moment, Textures, Uniforms, pick

# Feed and kill rates between which the culture never comes to rest.
REGIMES: tuple[tuple[float, float], ...] = (
    (0.0290, 0.0570),
    (0.0367, 0.0630),
    (0.0460, 0.0610),
    (0.0390, 0.0600),
    (0.0300, 0.0560),
)


class Reaction:
    """The Gray–Scott culture of ``reaction``: it advances with the travel, whatever the frame rate."""

    SIZE = (192, 108)
    PACE = 1.7
    STEPS_PER_SECOND = 124.0
    MOST_STEPS = 14
    FIRST_STEPS = 82

    def __init__(self, ctx: moderngl.Context, shaders: Path) -> None:
        self._seed = Pass(ctx, shaders, "reaction_seed.glsl")
        self._stir = Pass(ctx, shaders, "reaction_step.glsl", defines=("STIR",))
        self._step = Pass(ctx, shaders, "reaction_step.glsl")
        self._relief = Pass(ctx, shaders, "reaction_relief.glsl")
        self._shape = Target(ctx, self.SIZE, dtype="f4", repeat=True)
        self._state = PingPong(ctx, self.SIZE, dtype="f4", repeat=True)
        self._done = 0
        self._kick = 0.0
        self._strikes = 0

    def prepare(self, moment: Moment, textures: Textures) -> tuple[Uniforms, Textures]:
        """Advance the culture to this travel and return its state."""
        uniforms: Uniforms = {**moment.uniforms, "uSize": (float(self.SIZE[0]), float(self.SIZE[1]))}
        uniforms["uPace"] = self.PACE
        uniforms["uRegime"] = REGIMES[pick(moment.dice[15], len(REGIMES))]
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
        self._relief.set(uniforms)
        self._relief.draw(self._shape.framebuffer, {"uState": self._state.last})
        angle = 0.2 * moment.travel
        lamp = np.array([0.7 * math.cos(angle), 0.8, 0.55])
        return {"uLamp": tuple(map(float, lamp / np.linalg.norm(lamp)))}, {"uRelief": self._shape.texture}

    def _run(self, steps: int, uniforms: Uniforms, textures: Textures, strike: float) -> None:
        if strike > 0.05:
            self._strikes += 1
        # Strikes fall evenly over the plane, never twice in one place.
        uniforms["uBurst"] = (self._strikes * 0.754877666 % 1.0, self._strikes * 0.569840291 % 1.0)
        uniforms["uStrike"] = min(1.0, 1.2 * strike) if strike > 0.05 else 0.0
        uniforms["uStir"] = float(steps)
        self._stir.set(uniforms)
        self._step.set(uniforms)
        # Only stirring reads between texels; on a CPU a nearest look costs a quarter of a smooth one.
        for program in (self._stir, *[self._step] * (steps - 1)):
            program.draw(self._state.next, {**textures, "uState": self._state.last})
            self._state.swap()
            self._state.smooth(False)
        self._state.smooth(True)
