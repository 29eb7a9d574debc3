"""What the turbo loop hears of the control state. No torch."""

from __future__ import annotations

import numpy as np
import pytest

from vjengine.core.generation import GeneratorParams
from vjengine.core.params import PARAMS, ParamValues
from vjengine.generate.turbo.controls import KICK, MAX_FEEDBACK, read_controls


def params(**rows: float) -> GeneratorParams:
    return GeneratorParams(
        time=2.0, values=PARAMS.defaults().replaced({key.replace("__", "."): value for key, value in rows.items()})
    )


def test_speed_holds_every_motion_but_the_kick() -> None:
    moving = {"gen__drift": 0.4, "gen__rotate": 0.25, "turbo__x": 0.5, "turbo__y": -0.5}
    twice = read_controls(params(gen__speed=2.0, **moving))
    assert (twice.zoom, twice.spin, twice.x, twice.y) == (0.8, 0.5, 1.0, -1.0)
    held = read_controls(params(gen__speed=0.0, gen__pulse=0.5, **moving))
    assert (held.zoom, held.spin, held.x, held.y) == (0.5 * KICK, 0.0, 0.0, 0.0)


def test_guidance_is_only_for_models_that_want_it() -> None:
    asked = params(turbo__guidance=3.0)
    assert read_controls(asked).guidance == 1.0
    assert not read_controls(asked).guided
    assert read_controls(asked, wants_guidance=True).guidance == 3.0
    assert read_controls(asked, wants_guidance=True).guided
    assert not read_controls(params(turbo__guidance=1.0), wants_guidance=True).guided


def test_choices_and_counters_come_as_names_and_numbers() -> None:
    controls = read_controls(params(turbo__noise=2, turbo__steps=3, gen__seed=7))
    assert (controls.noise, controls.steps, controls.seed, controls.time) == ("carried", 3, 7, 2.0)


def test_every_lora_has_a_weight_with_or_without_a_fader() -> None:
    assert read_controls(params(turbo__lora1=0.5, turbo__lora2=-1.0), loras=6).loras == (0.5, -1.0, 1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_no_value_however_wrong_leaves_its_range(bad: float) -> None:
    wrong = GeneratorParams(time=bad, values=ParamValues(np.full(len(PARAMS), bad)))
    controls = read_controls(wrong, wants_guidance=True, loras=4)
    assert 0.05 <= controls.strength <= 1.0
    assert controls.steps in (1, 2, 3, 4)
    assert 0.0 <= controls.feedback <= MAX_FEEDBACK
    numbers = (controls.guidance, controls.init, controls.zoom, controls.spin, controls.x, controls.y, *controls.loras)
    assert np.isfinite([*numbers, controls.seed_travel]).all()
