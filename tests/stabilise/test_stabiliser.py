"""The whole: loops that collapse and are held, pictures that are well and are left alone, and bad input."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vjengine.core.correction import UNCHANGED
from vjengine.core.generation import GeneratorParams
from vjengine.core.params import ParamValues
from vjengine.stabilise.apply import Applier
from vjengine.stabilise.stabiliser import Stabiliser
from vjengine.stabilise.verdict import Verdict

_spec = importlib.util.spec_from_file_location("scenes", Path(__file__).with_name("scenes.py"))
assert _spec is not None
assert _spec.loader is not None
scenes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(scenes)

Image = npt.NDArray[np.uint8]
Bias = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]

BIASES: dict[str, Bias] = {
    "green": lambda x: x * np.float32((0.995, 1.006, 0.995)),
    "dark": lambda x: x * np.float32(0.99),
    "grey": lambda x: 0.985 * x + 0.015 * x.mean(axis=2, keepdims=True),
    "burn": lambda x: (x - 0.5) * np.float32(1.02) + np.float32(0.505),
    "blur": lambda x: cv2.GaussianBlur(x, (0, 0), 0.6),
    "sharp": lambda x: x + np.float32(0.15) * (x - cv2.GaussianBlur(x, (0, 0), 1.0)),
}


def moved(picture: Image, step: int) -> Image:
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0.15 * np.sin(step / 100), 1.004)
    return cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


def looped(bias: Bias, steps: int, *, amount: float = 1.0, delay: int = 1) -> tuple[list[Verdict], Image]:
    """Play a loop that feeds on itself; return all verdicts and the last picture."""
    watch, applier = Stabiliser(), Applier(seed=1)
    picture: Image = scenes.scene(3)
    verdicts: list[Verdict] = []
    values = ParamValues.of({"stabilise.amount": amount})
    for step in range(steps):
        fed = moved(picture, step)
        if len(verdicts) >= delay:
            fed = applier.apply(fed, verdicts[-delay].correction)
        code = bias(fed[..., :3].astype(np.float32) / 255.0)
        picture = np.dstack((np.clip(code * 255.0 + 0.5, 0, 255), fed[..., 3])).astype(np.uint8)
        params = GeneratorParams(sequence=step + 1, time=step / 30.0, values=values)
        verdicts.append(watch.look(picture, params, step + 1))
    return verdicts, picture


@pytest.mark.parametrize("name", BIASES)
def test_a_loop_that_collapses_alone_is_held(name: str) -> None:
    alone, _ = looped(BIASES[name], 120, amount=0.0)
    assert alone[-1].alarms, "it does collapse"
    held, _ = looped(BIASES[name], 160)
    assert max(verdict.w1 for verdict in held[100:]) <= 6.0
    assert max(abs(verdict.detail) for verdict in held[100:]) <= 1.0
    assert max(verdict.clipped for verdict in held[100:]) <= 0.05
    started, ended = (np.mean([v.difference for v in part]) for part in (held[2:20], held[-40:]))
    assert ended > 0.5 * started


def test_it_holds_through_a_delay_of_three_frames() -> None:
    held, _ = looped(BIASES["green"], 160, delay=3)
    assert max(verdict.w1 for verdict in held[100:]) <= 6.0
    assert not any(verdict.alarms for verdict in held)


def test_the_same_pictures_get_the_same_verdicts() -> None:
    first, one = looped(BIASES["grey"], 60)
    again, two = looped(BIASES["grey"], 60)
    assert first == again
    assert np.array_equal(one, two)


def test_a_healthy_scene_is_left_alone() -> None:
    watch = Stabiliser()
    for step in range(110):
        time = step / 30.0
        verdict = watch.look(scenes.scene(1, 0.4 * time), GeneratorParams(sequence=step + 1, time=time), step + 1)
        assert verdict.alarms == ()
        assert verdict.level == 0
    matrix = np.array(verdict.correction.colour).reshape(3, 4)
    assert np.abs(matrix - np.array(UNCHANGED).reshape(3, 4)).max() < 0.06


def test_cuts_that_are_told_and_flashes_that_are_not_raise_no_alarm() -> None:
    watch = Stabiliser()
    for step in range(160):
        cue = step // 40
        picture = scenes.scene(
            1 + cue, step / 60.0, ((1, 1, 1), (0.25, 0.4, 1.3), (1.3, 0.3, 0.2), (0.4, 0.4, 0.4))[cue]
        )
        if step % 40 < 3:
            picture = scenes.flat(255, 255, 255) if step % 80 < 3 else scenes.flat(0, 0, 0)
        verdict = watch.look(picture, GeneratorParams(sequence=step + 1, time=step / 30.0, cue=cue), step + 1)
        assert verdict.alarms == ()


def tinted(steps: int, far: Callable[[int], float]) -> list[Verdict]:
    """Watch a scene that gets redder and less green by ``far`` of the step."""
    watch, plain = Stabiliser(), scenes.scene(1)[..., :3].astype(np.float32)
    seen = []
    for step in range(steps):
        tint = np.float32((1.0 + 0.4 * far(step), 1.0 - 0.3 * far(step), 1.0))
        picture = np.clip(plain * tint, 0.0, 255.0).astype(np.uint8)
        seen.append(watch.look(picture, GeneratorParams(sequence=step + 1, time=step / 30.0), step + 1))
    return seen


def test_colours_that_come_and_go_are_no_alarm_and_colours_that_only_go_are_one() -> None:
    swinging = tinted(125, lambda step: (0.5 - 0.5 * float(np.cos(step / 12.0))) * min(1.0, step / 100.0))[85:]
    assert max(verdict.w1 for verdict in swinging) > 20.0
    assert not any(verdict.alarms for verdict in swinging), "this scene has been there before"
    leaving = tinted(80, lambda step: max(step - 30, 0) / 120.0)
    past = next(number for number, verdict in enumerate(leaving) if verdict.w1 > 8.0)
    first = next(number for number, verdict in enumerate(leaving) if verdict.alarms)
    assert first <= past + 14, "as far and as fast, but one way"


def test_switched_off_it_watches_and_does_nothing() -> None:
    alone, _ = looped(BIASES["dark"], 120, amount=0.0)
    assert alone[-1].alarms
    assert all(verdict.correction.number == 0 and verdict.level == 0 for verdict in alone)


def test_a_collapse_that_nothing_holds_is_answered_up_to_a_fresh_start() -> None:
    """A generator that goes green whatever it is told."""
    watch = Stabiliser()
    seen: list[Verdict] = []
    for step in range(400):
        picture = scenes.scene(1, step / 30.0) if step < 40 else scenes.flat(20, 220, 40)
        seen.append(watch.look(picture, GeneratorParams(sequence=step + 1, time=step / 30.0), step + 1))
    levels = [verdict.level for verdict in seen]
    assert {1, 2, 3, 4, 5} <= set(levels)
    assert seen[-1].correction.restart == 1
    assert seen[-1].correction.reseed >= 1
    assert not seen[-1].anchored, "one colour is no anchor"
    first_anchored = None
    for step in range(400, 520):
        last = watch.look(scenes.scene(1, step / 30.0), GeneratorParams(sequence=step + 1, time=step / 30.0), step + 1)
        if last.anchored and first_anchored is None:
            first_anchored = last
    assert first_anchored is not None
    assert first_anchored.level <= 1, "what is drawn under a response is no measure for what comes after it"
    assert last.anchored
    assert last.level == 0
    assert last.response == ""


BAD: dict[str, npt.NDArray[np.generic]] = {
    "black": scenes.flat(0, 0, 0),
    "white": scenes.flat(255, 255, 255),
    "one colour": scenes.flat(200, 10, 10),
    "nan": np.full((108, 192, 3), np.nan, np.float32),
    "inf": np.full((108, 192, 4), np.inf, np.float32),
    "1x1": np.full((1, 1, 4), 128, np.uint8),
    "thin": np.full((1, 300, 3), 90, np.uint8),
    "clear": np.zeros((108, 192, 4), np.uint8),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_pictures_first_last_and_in_between(name: str) -> None:
    watch, applier = Stabiliser(), Applier(seed=1)
    step = 0

    def look(picture: npt.NDArray[np.generic]) -> Verdict:
        nonlocal step
        step += 1
        return watch.look(picture, GeneratorParams(sequence=step, time=step / 30.0), step)

    for _ in range(20):
        verdict = look(BAD[name])
    assert verdict.correction.noise == (0.0, 0.0, 0.0)
    for i in range(60):
        look(scenes.scene(1, i / 30.0))
    for _ in range(3):
        verdict = look(BAD[name])
    assert all(np.isfinite(value) for value in (verdict.w1, verdict.detail, verdict.exposure, verdict.chroma))
    assert np.isfinite(verdict.correction.colour).all()
    if BAD[name].dtype == np.uint8:
        corrected = applier.apply(BAD[name], replace(verdict.correction, number=step))  # type: ignore[arg-type]
        assert corrected.shape == BAD[name].shape


def test_another_size_is_no_jump_and_no_alarm() -> None:
    watch = Stabiliser()
    for step in range(120):
        picture = scenes.scene(1, step / 60.0)
        if step >= 60:
            picture = cv2.resize(picture, (128, 72), interpolation=cv2.INTER_AREA)
        verdict = watch.look(picture, GeneratorParams(sequence=step + 1, time=step / 30.0), step + 1)
        assert verdict.alarms == ()
    assert verdict.anchored


def test_a_row_is_flat_and_plain() -> None:
    import json

    row = looped(BIASES["dark"], 40)[0][-1].row()
    assert json.loads(json.dumps(row)) == row
    assert {"w1", "detail", "alarms", "level", "response"} <= row.keys()
