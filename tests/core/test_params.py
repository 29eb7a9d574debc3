import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjengine.core.params import PARAMS, ParamSpec, ParamValues


@pytest.mark.parametrize("row", PARAMS.rows, ids=lambda row: row.name)
def test_every_row_is_sound(row: ParamSpec) -> None:
    assert row.low < row.high
    assert row.low <= row.default <= row.high
    assert row.clamp(row.default) == row.default
    assert row.doc
    assert row.curve != "exponential" or row.low > 0
    assert row.to_unit(row.low) == pytest.approx(0.0)
    assert row.to_unit(row.high) == pytest.approx(1.0)
    assert not row.choices or row.high == len(row.choices) - 1


@given(st.sampled_from(PARAMS.rows), st.floats(0.0, 1.0))
def test_fader_positions_round_trip(row: ParamSpec, position: float) -> None:
    value = row.from_unit(position)
    assert row.low <= value <= row.high
    if not row.discrete:
        assert row.to_unit(value) == pytest.approx(position, abs=1e-9)


@given(st.sampled_from(PARAMS.rows), st.floats(allow_nan=True, allow_infinity=True))
def test_no_number_gets_past_the_clamp(row: ParamSpec, value: float) -> None:
    clamped = row.clamp(value)
    assert row.low <= clamped <= row.high
    assert not math.isnan(clamped)


def test_values_are_frozen_and_travel_between_processes() -> None:
    values = ParamValues.of({"gen.warp": 0.25, "gen.family": 2})
    with pytest.raises(ValueError, match="read-only"):
        values.array[0] = 1.0
    copy = pickle.loads(pickle.dumps(values))
    assert np.array_equal(copy.array, values.array)
    assert copy.choice("gen.family") == "orbits"


def test_an_unknown_name_is_an_error_and_not_a_new_parameter() -> None:
    with pytest.raises(KeyError):
        ParamValues.of({"gen.wrap": 0.5})


def test_values_are_shown_with_their_unit() -> None:
    assert PARAMS["strobe.rate"].show(3.0) == "3 Hz"
    assert PARAMS["turbo.seed_travel"].show(6.8e-196) == "0 seeds/s"
    assert PARAMS["gen.family"].show(1.0) == "cppn"
    assert PARAMS["out.freeze"].show(1.0) == "on"
    assert "from 0.5 to 12 Hz" in PARAMS["strobe.rate"].expected
