"""What the performer wants of the picture: changes of it are not drift."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vjengine.core.generation import GeneratorParams
from vjengine.core.params import ParamValues

_SCENE = ("gen.family", "gen.seed", "turbo.noise")
"""Rows whose change makes another picture."""
_COLOUR = {
    "gen.palette": 1.0,
    "gen.hue": 0.02,
    "gen.spread": 0.1,
    "gen.contrast": 0.1,
    "gen.glow": 0.15,
    "turbo.init": 0.1,
    "turbo.guidance": 0.5,
    **{f"turbo.lora{n}": 0.1 for n in range(1, 5)},
}
"""Rows whose change makes other colours, and the steps in which it counts."""
_SHAPE = {
    "gen.warp": 0.1,
    "gen.detail": 0.1,
    "gen.morph": 0.1,
    "gen.zoom": 0.2,
    "gen.symmetry": 1.0,
    "gen.feedback": 0.1,
    "turbo.strength": 0.1,
    "turbo.steps": 1.0,
    "turbo.feedback": 0.1,
}
"""Rows whose change makes another detail, and the steps in which it counts."""
_TRAIL_COLOUR = {"feedback.hue": 0.02}
_TRAIL_SHAPE = {
    "feedback.mix": 0.1,
    "feedback.zoom": 0.1,
    "feedback.rotate": 0.02,
    "feedback.x": 0.05,
    "feedback.y": 0.05,
    "feedback.displace": 0.1,
}
"""The same for the compositor's trail; ``feedback.half_life`` counts in half octaves."""
_DARK = 0.9


@dataclass(frozen=True, slots=True)
class TrailParams(GeneratorParams):
    """What the performer wants of the compositor's trail: of the picture it trails, and of the trail itself.

    Attributes:
        wishes: all parameter values as hands, look and macros ask for them. A trail that is moved to the music is
            not asked for anew on every beat: what the music does to the rows of the trail is left out here.
    """

    wishes: ParamValues | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """What decides the look of a picture beside the picture before it.

    Attributes:
        scene: differs from scene to scene.
        colours: differs where other colours are wanted within a scene.
        shapes: differs where other detail is wanted within a scene.
        dark: True while the performer holds the picture black or white: it is not looked at.
    """

    scene: tuple[object, ...] = ()
    colours: tuple[int, ...] = ()
    shapes: tuple[int, ...] = ()
    dark: bool = False


def read_intent(params: GeneratorParams) -> Intent:
    """Return the intent that ``params`` tell."""
    values = params.values
    colours = [round(values[name] / step) for name, step in _COLOUR.items()]
    shapes = [round(values[name] / step) for name, step in _SHAPE.items()]
    if isinstance(params, TrailParams) and params.wishes is not None:
        wishes = params.wishes
        colours += [round(wishes[name] / step) for name, step in _TRAIL_COLOUR.items()]
        shapes += [round(wishes[name] / step) for name, step in _TRAIL_SHAPE.items()]
        shapes.append(round(2.0 * math.log2(wishes["feedback.half_life"])))
    words = tuple((text, round(4.0 * weight)) for text, weight in params.prompts if weight >= 0.05)
    return Intent(
        scene=(params.cue, params.reseed, words, params.negative, *(values[name] for name in _SCENE)),
        colours=tuple(colours),
        shapes=tuple(shapes),
        dark=values["out.black"] > _DARK or values["out.flash"] > _DARK,
    )
