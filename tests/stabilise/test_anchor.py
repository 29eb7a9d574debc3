"""The anchor: taken from a scene's first frames, moved by the performer, never by drift or collapse."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vjengine.core.generation import GeneratorParams
from vjengine.core.params import ParamValues
from vjengine.stabilise.anchor import FRAMES, Anchor, fit
from vjengine.stabilise.intent import Intent, read_intent
from vjengine.stabilise.motion import Moved
from vjengine.stabilise.palette import palette_distance
from vjengine.stabilise.statistics import measure

_spec = importlib.util.spec_from_file_location("scenes", Path(__file__).with_name("scenes.py"))
assert _spec is not None
assert _spec.loader is not None
scenes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(scenes)

STILL = Moved(0.0, 2.0, 0.0)
NOW, LATER = Intent(scene=("one",), colours=(0,)), Intent(scene=("two",), colours=(0,))
BLUE = (0.25, 0.4, 1.3)


class Takes:
    """An anchor, and the frames it was shown, at 30 a second."""

    def __init__(self) -> None:
        self.anchor = Anchor()
        self.frame = 0

    def show(self, count: int, intent: Intent = NOW, seed: int = 1, glide: float = 1.0, **look: object) -> Takes:
        for _ in range(count):
            self.frame += 1
            time = self.frame / 30.0
            picture = look.get("picture")
            found = measure(scenes.scene(seed, time, **look) if picture is None else picture)
            self.anchor.step(found, STILL, intent, time, glide)
        return self


def distance(anchor: Anchor, picture: np.ndarray) -> float:
    assert anchor.statistics is not None
    return palette_distance(measure(picture), anchor.statistics)


def test_it_is_taken_from_the_first_frames_and_then_stays() -> None:
    takes = Takes().show(40)
    taken = takes.anchor.statistics
    assert taken is not None
    assert distance(takes.anchor, scenes.scene(1, 0.5)) < 3.0
    takes.show(60, tint=(1.0, 0.6, 0.6))
    assert takes.anchor.statistics is taken, "a drift is not followed"


def test_a_new_scene_takes_a_new_one() -> None:
    takes = Takes().show(40)
    takes.show(FRAMES + 4, LATER, tint=BLUE)
    assert takes.anchor.taken == 2
    assert distance(takes.anchor, scenes.scene(1, 1.0, BLUE)) < 4.0, "an intended blue scene is blue"


@pytest.mark.parametrize("picture", [scenes.flat(0, 0, 0), scenes.flat(255, 255, 255), scenes.flat(20, 220, 40)])
def test_it_is_never_taken_from_a_picture_that_is_none(picture: np.ndarray) -> None:
    assert not fit(measure(picture))
    takes = Takes().show(300, picture=picture)
    assert takes.anchor.statistics is None
    takes.show(FRAMES)
    assert takes.anchor.statistics is not None
    assert distance(takes.anchor, scenes.scene(1, takes.frame / 30.0)) < 5.0


def test_black_outs_and_flashes_of_the_performer_do_not_feed_it() -> None:
    takes = Takes().show(100, replace(NOW, dark=True))
    assert takes.anchor.statistics is None


def test_intended_colour_is_glided_to_and_detail_is_not() -> None:
    takes = Takes().show(40)
    detail = takes.anchor.statistics.detail  # type: ignore[union-attr]
    meant = replace(NOW, colours=(3,))
    takes.show(75, meant, tint=BLUE)
    assert not takes.anchor.gliding
    assert distance(takes.anchor, scenes.scene(1, takes.frame / 30.0, BLUE)) < 4.0
    assert takes.anchor.statistics.detail == detail  # type: ignore[union-attr]
    taken = takes.anchor.statistics
    takes.show(30, meant, tint=(1.0, 0.4, 0.4))
    assert takes.anchor.statistics is taken, "after the glide it holds again"


def test_intent_is_what_the_performer_does_and_not_what_the_music_does() -> None:
    base = GeneratorParams(prompts=(("moss", 1.0),))
    intent = read_intent(base)
    assert read_intent(replace(base, time=9.0, sequence=5, travel=3.0, rms=0.9, beats=17.0)) == intent
    assert read_intent(replace(base, cue=1)).scene != intent.scene
    assert read_intent(replace(base, reseed=1)).scene != intent.scene
    assert read_intent(replace(base, prompts=(("lava", 1.0),))).scene != intent.scene
    assert read_intent(replace(base, values=ParamValues.of({"gen.seed": 7}))).scene != intent.scene
    hue = read_intent(replace(base, values=ParamValues.of({"gen.hue": 0.3})))
    assert hue.scene == intent.scene
    assert hue.colours != intent.colours
    assert read_intent(replace(base, values=ParamValues.of({"out.black": 1.0}))).dark
