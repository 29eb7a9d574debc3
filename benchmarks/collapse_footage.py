"""Healthy footage: pictures that nothing is wrong with, and what the stabiliser makes of them.

Nothing is fed back here. Each picture is looked at, and the correction it led to is applied to the next one, which
needs none: what it changes there is the harm it does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import cv2
import numpy as np

from benchmarks.collapse_loops import FPS, SIZE, warped
from benchmarks.collapse_measures import ciede2000, lab
from benchmarks.collapse_scenes import SCENES, Picture, scene
from benchmarks.contact_sheet import performance
from vjengine.core.generation import GeneratorParams
from vjengine.core.params import FAMILIES, PALETTES, ParamValues
from vjengine.generate.base import GeneratorSpec
from vjengine.stabilise.apply import Applier
from vjengine.stabilise.stabiliser import Stabiliser

Clip = Iterator[tuple[Picture, GeneratorParams]]
SEEN_EVERY = 5
"""Frames between two whose change is measured."""


def params(index: int, cue: int = 0, **rows: float) -> GeneratorParams:
    """Return parameters of frame ``index``; rows with ``__`` for the dot."""
    values = ParamValues.of({name.replace("__", "."): value for name, value in rows.items()})
    return GeneratorParams(sequence=index + 1, time=index / FPS, values=values, cue=cue)


@cache
def _still(name: str, seed: int) -> Picture:
    return scene(name, SIZE, seed)


def moving(name: str, index: int, seed: int = 1) -> Picture:
    """Return scene ``name`` after ``index`` steps of the loops' motion swinging to and fro, drawn in one go."""
    still = _still(name, seed)
    width, height = SIZE
    turn, zoom = 12.0 * np.sin(0.02 * index), 1.25 + 0.2 * np.sin(0.03 * index)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, zoom)
    matrix[0, 2] += 12.0 * np.sin(0.05 * index)
    return warped(still, matrix)


def scene_changes(frames: int) -> Clip:
    """Six scenes in turn, each change told."""
    each = max(60, frames // len(SCENES))
    for index in range(frames):
        cue = index // each
        yield moving(SCENES[cue % len(SCENES)], index, 1 + cue // len(SCENES)), params(index, cue)


def flashes(frames: int) -> Clip:
    """A white frame on each beat, and for a second in four a strobe of ten a second: nobody tells."""
    for index in range(frames):
        picture = moving("carnival", index)
        beat, strobe = index % 15 == 0 and index > 30, index // 30 % 4 == 3 and index % 3 == 0
        yield (0.15 * picture + 0.85 if beat or strobe else picture), params(index)


def short_blacks(frames: int) -> Clip:
    """Six black frames every two seconds, as edits have them: nobody tells."""
    for index in range(frames):
        picture = moving("paper", index)
        yield (np.zeros_like(picture) if index % 60 < 6 and index > 60 else picture), params(index)


def blackouts(frames: int) -> Clip:
    """Two seconds of black in each eight, by the performer's hand."""
    for index in range(frames):
        picture, black = moving("forest", index), index % 240 >= 180
        yield (np.zeros_like(picture) if black else picture), params(index, out__black=1.0 if black else 0.0)


def hue_sweep(frames: int) -> Clip:
    """The hue goes once around in 20 s; ``gen.hue`` tells."""
    for index in range(frames):
        share = index / FPS / 20.0 % 1.0
        hls = cv2.cvtColor(moving("carnival", index), cv2.COLOR_RGB2HLS)
        hls[..., 0] = (hls[..., 0] + 360.0 * share) % 360.0
        yield cv2.cvtColor(hls, cv2.COLOR_HLS2RGB), params(index, gen__hue=share)


def family(name: str, frames: int, sweep: bool = False) -> Clip:
    """The procedural generator's own pictures to music; with ``sweep`` the faders of its drawing move all the time."""
    from vjengine.generate.registry import create_generator

    number = FAMILIES.index(name)
    values = {"gen.family": float(number), "gen.palette": float(number % len(PALETTES))}
    generator = create_generator(GeneratorSpec("procedural", SIZE, options={"family": name, "threads": 1.0}))
    try:
        for told in performance(values, 12.0, frames, music=True):
            if sweep:
                swing = 0.5 - 0.5 * np.cos(0.4 * (told.time - 12.0))
                rows = {"gen.warp": swing, "gen.detail": 1.0 - swing, "gen.morph": swing, "gen.zoom": 1.0 + swing}
                told = replace(told, values=ParamValues.of({**values, **rows}))
            pixels = generator.generate(told)
            yield pixels[..., :3].astype(np.float32) / np.float32(255.0), told
    finally:
        generator.close()


CLIPS: Mapping[str, Callable[[int], Clip]] = {
    "scene changes, told": scene_changes,
    "flashes and strobes": flashes,
    "short blacks": short_blacks,
    "black-outs, told": blackouts,
    "hue sweep, told": hue_sweep,
    **{f"procedural {name}": (lambda frames, name=name: family(name, frames)) for name in FAMILIES},  # type: ignore[misc]
    "procedural fields, faders moving": lambda frames: family("fields", frames, sweep=True),
    "procedural lattice, faders moving": lambda frames: family("lattice", frames, sweep=True),
}
"""Makers of clips by name, each for so many frames."""


@dataclass(slots=True)
class Watched:
    """What the stabiliser made of a clip.

    Attributes:
        name: of the clip.
        frames: how many.
        alarms: how often an alarm was raised, by its name.
        level: how far the response went.
        changed: median CIEDE2000 over the picture, one for each frame measured.
    """

    name: str
    frames: int
    alarms: dict[str, int] = field(default_factory=dict)
    level: int = 0
    changed: list[float] = field(default_factory=list)

    @property
    def false_alarms(self) -> int:
        """Alarms raised on a clip that nothing is wrong with."""
        return sum(self.alarms.values())


def watch(name: str, frames: int) -> Watched:
    """Show clip ``name`` to the stabiliser."""
    cv2.setNumThreads(1)
    print(f"footage: {name}", file=sys.stderr, flush=True)
    stabiliser, applier, found = Stabiliser(), Applier(), Watched(name, frames)
    standing: tuple[str, ...] = ()
    correction = GeneratorParams().correction
    for picture, told in CLIPS[name](frames):
        shown = np.rint(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8)
        if told.sequence % SEEN_EVERY == 0:
            changed = applier.apply(picture, correction)
            found.changed.append(float(np.median(ciede2000(lab(picture[::2, ::2]), lab(changed[::2, ::2])))))
        verdict = stabiliser.look(shown, told, told.sequence)
        for alarm in set(verdict.alarms) - set(standing):
            found.alarms[alarm] = found.alarms.get(alarm, 0) + 1
        standing, correction = verdict.alarms, verdict.correction
        found.level = max(found.level, verdict.level)
    return found
