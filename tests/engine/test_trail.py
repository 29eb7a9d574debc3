"""The trail's stabiliser: a collapsing trail is answered, its own colours are left alone, a pause begins anew."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from vjengine.core.clock import FrameTime
from vjengine.core.control import ControlState
from vjengine.core.correction import Correction
from vjengine.core.events import Event, MacroSet, ParamSet, StatusChanged
from vjengine.core.exchange import EventQueue
from vjengine.core.generation import GeneratorParams
from vjengine.core.looks import Look
from vjengine.core.macros import MacroDef, MacroEffect
from vjengine.core.modulation import Modulation
from vjengine.core.params import ParamValues
from vjengine.core.reducer import control_step, initial_state
from vjengine.core.show import Show
from vjengine.core.signals import NO_BANDS, AudioFeatures
from vjengine.engine.metrics_file import read_metrics
from vjengine.engine.metrics_log import MetricsLog, header
from vjengine.engine.trail import TrailKeeper
from vjengine.generate.noise import noise_tile
from vjengine.stabilise.intent import read_intent
from vjengine.stabilise.verdict import Verdict

SHOW = Show({}, {"default": Look()})
STEP = 0.125


@cache
def clouds() -> np.ndarray:
    return np.clip(128 + 80 * noise_tile(4, 6)[:144, :256, :3].astype(np.float32), 0, 255)


def scene(number: int, cast: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> np.ndarray:
    light = clouds()
    pixels = np.full((*light.shape[:2], 4), 255, np.uint8)
    pixels[..., :3] = np.clip(np.roll(light, 2 * number, axis=1) * cast, 0, 255)
    return pixels


def state(number: int, **values: float) -> ControlState:
    start = initial_state(SHOW, "default")
    asked = {"stabilise.trail": 1.0} | {key.replace("__", "."): value for key, value in values.items()}
    given = start.values.replaced(asked)
    return replace(start, values=given, time=FrameTime(number, number * STEP, STEP))


def test_a_trail_that_turns_green_is_corrected_and_said() -> None:
    events = EventQueue()
    trail = TrailKeeper(events, SHOW, live=False)
    numbers = []
    for number in range(140):
        drift = min(max(0, number - 24) / 36, 1.0)
        trail.look(scene(number, (1 - 0.7 * drift, 1.0, 1 - 0.7 * drift)), state(number))
        numbers.append(trail.correction().number)
    assert numbers[:10] == [0] * 10, "no anchor, no correction"
    last = trail.correction()
    # Towards the anchor: less green, more red.
    shift = np.array(last.colour).reshape(3, 4) @ (0.3, 0.6, 0.3, 1.0) - (0.3, 0.6, 0.3)
    assert shift[1] - shift[0] < -0.01
    words = [event for event in events.drain() if isinstance(event, StatusChanged)]
    assert words[-1].component == "trail"
    assert "colour" in words[-1].message
    assert trail.summary()["alarms"] >= 1


def test_a_trail_whose_hue_is_turned_is_not_held_to_its_first_colours() -> None:
    seen: list[GeneratorParams] = []

    class Listening:
        def look(self, pixels: np.ndarray, params: GeneratorParams, number: int) -> Verdict:
            seen.append(params)
            return Verdict(number, correction=Correction(number))

    trail = TrailKeeper(EventQueue(), SHOW, live=False, make=lambda correct: Listening())
    for number in range(60):
        trail.look(scene(0), state(number, feedback__hue=0.4))
    hues = np.array([params.values["gen.hue"] for params in seen])
    assert len(np.unique(np.round(hues / 0.02))) > 20
    assert np.ptp(hues) > 0.5, "round and round, within the row's range"
    seen.clear()
    for number in range(60, 70):
        trail.look(scene(0), state(number))
    assert len({params.values["gen.hue"] for params in seen}) == 1
    trail.look(scene(0), replace(state(70), clear=1))
    assert seen[-1].reseed == seen[-2].reseed + 1, "a cleared trail is a new scene"


def show_with_a_tunnel() -> Show:
    zoom = Modulation("feedback.zoom", "bass.slow", 1.5)
    tunnel = MacroDef("TUNNEL", attack=0.4, effects=(MacroEffect("feedback.zoom", "add", 1.2),))
    return Show(
        {"TUNNEL": tunnel}, {"default": Look(modulations=(zoom,), values={"stabilise.trail": 1.0, "audio.follow": 1.0})}
    )


@pytest.mark.parametrize("moved_by", ["music", "fader", "macro"])
def test_a_trail_that_is_moved_on_purpose_has_not_drifted(moved_by: str) -> None:
    show = show_with_a_tunnel()
    trail = TrailKeeper(EventQueue(), show, live=False)
    control = initial_state(show)
    events: dict[str, Event] = {
        "fader": ParamSet(param="feedback.zoom", value=1.2, normalised=False),
        "macro": MacroSet(macro="TUNNEL", value=1.0),
    }
    for number in range(80):
        told = [events[moved_by]] if number == 40 and moved_by in events else []
        loud = moved_by == "music" and number >= 40
        features = AudioFeatures(bands_slow=(1.0,) * 6 if loud else NO_BANDS, hop=number, time=number * STEP)
        control = control_step(control, told, features, FrameTime(number, number * STEP, STEP), show)
        turned = min(max(0, number - 40) / 8, 1.0)
        trail.look(scene(number, (1 - 0.7 * turned, 1.0, 1 - 0.7 * turned)), control)
    assert trail.keeper.verdict is not None
    # The music moves the trail all the time: that is no wish for other colours.
    wished = moved_by in events
    assert control.values["feedback.zoom"] > 1.0
    assert (trail.keeper.alarms == 0) == wished
    assert (trail.keeper.verdict.w1 < 2.0) == wished


def test_what_is_done_to_the_trail_does_not_move_the_anchor_of_the_generator() -> None:
    params = GeneratorParams()
    moved = replace(params, values=ParamValues.of({"feedback.zoom": 1.0, "feedback.half_life": 4.0}))
    assert read_intent(moved) == read_intent(params)


def test_a_trail_that_is_let_go_has_no_alarm_left_and_goes_on_where_it_was(tmp_path: Path) -> None:
    events = EventQueue()
    log = MetricsLog(tmp_path / "run.json", header("still", 1, (64, 36)), events, live=False)
    trail = TrailKeeper(events, SHOW, live=False, metrics=log)
    for number in range(80):
        trail.look(scene(number, (0.3, 1.0, 0.3) if number >= 30 else (1.0, 1.0, 1.0)), state(number))
    anchors, said = trail.correction().keep, events.drain()
    trail.leave(state(80))
    said += events.drain()
    trail.look(scene(82, (0.3, 1.0, 0.3)), state(82))
    said += events.drain()
    log.close()
    assert [event.level for event in said if isinstance(event, StatusChanged)] == ["warn", "ok", "warn"]
    assert trail.correction().keep == anchors, "the same trail, the same anchor"
    run = read_metrics(tmp_path / "run.json")
    assert (run.frames, run.trail is not None and run.trail.frames) == (0, 81)
    assert run.trail is not None
    assert [(span.alarm, span.end) for span in run.trail.spans] == [("colour", 10.0), ("colour", run.trail.end)]


def test_after_a_pause_it_is_another_trail() -> None:
    trail = TrailKeeper(EventQueue(), SHOW, live=False)
    for number in range(40):
        trail.look(scene(number), state(number))
    assert trail.keeper.verdict is not None
    assert trail.keeper.verdict.anchored
    trail.look(scene(40, (1.0, 0.3, 0.3)), state(100))
    assert not trail.keeper.verdict.anchored
    assert trail.correction().number == 0
    for number in range(101, 140):
        trail.look(scene(number, (1.0, 0.3, 0.3)), state(number))
    assert trail.keeper.verdict.anchored
    assert trail.keeper.verdict.w1 < 2.0
    assert trail.summary()["alarms"] == 0
