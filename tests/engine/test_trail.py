"""The trail's stabiliser: a collapsing trail is answered, its own colours are left alone, a pause begins anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vjengine.core.clock import FrameTime
from vjengine.core.control import ControlState
from vjengine.core.correction import Correction
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue
from vjengine.core.generation import GeneratorParams
from vjengine.core.looks import Look
from vjengine.core.reducer import initial_state
from vjengine.core.show import Show
from vjengine.engine.trail import TrailKeeper
from vjengine.generate.noise import noise_tile
from vjengine.stabilise.verdict import Verdict

SHOW = Show({}, {"default": Look()})
STEP = 0.125


def scene(number: int, cast: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> np.ndarray:
    light = np.clip(128 + 80 * noise_tile(4, 6)[:144, :256, :3].astype(np.float32), 0, 255)
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
