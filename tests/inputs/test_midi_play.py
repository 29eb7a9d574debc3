"""How rows play: soft takeover, 14-bit pairs, encoders, banks, modes, curves and ranges."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjengine.core.events import Event, LookSelected, MacroLevel, MacroSet, MacroToggle, ParamSet, Tap, TempoNudge
from vjengine.core.params import PARAMS
from vjengine.inputs.midi_map import (
    BankTarget,
    Control,
    Curve,
    Kind,
    LookTarget,
    MacroTarget,
    MidiMap,
    ParamTarget,
    Row,
    Target,
    TempoTarget,
)
from vjengine.inputs.midi_reader import MidiReader
from vjengine.inputs.midi_values import bent, combined, shaped, ticks, unit, unshaped

MIX = ParamTarget("feedback.mix")
DROP = MacroTarget("DROP", "momentary")


class Play:
    """A reader, and a show that follows it one frame later."""

    def __init__(self, rows: Mapping[Control, Row], banks: Mapping[int, Mapping[Control, Row]] | None = None,
                 soft: bool = False) -> None:  # fmt: skip
        self.places: dict[Target, float] = {}
        self.now = 0.0
        mapping = MidiMap(rows, banks or {}, pickup="soft" if soft else "jump")
        self.reader = MidiReader(mapping, "midi:test", self._present)

    def _present(self, target: Target) -> tuple[float, float] | None:
        return (self.places[target], self.now) if target in self.places else None

    def send(self, *data: int, wait: float = 0.01) -> list[Event]:
        self.now += wait
        events = self.reader.read(data, self.now)
        for event in events:
            if isinstance(event, ParamSet):
                row = PARAMS[event.param]
                self.places[ParamTarget(event.param)] = row.to_unit(row.from_unit(event.value))
            elif isinstance(event, MacroLevel):
                self.places[MacroTarget(event.macro, "level")] = event.value
        return events

    def moved(self, *data: int, wait: float = 0.01) -> float | None:
        """Return where the one message took its target, ``None`` if nowhere."""
        events = self.send(*data, wait=wait)
        assert len(events) <= 1
        return events[0].value if events and isinstance(events[0], ParamSet | MacroLevel) else None


def cc(number: int, channel: int = 0) -> Control:
    return Control("control", channel, number)


def key(number: int) -> Control:
    return Control("note", 0, number)


# ---------------------------------------------------------------- soft takeover


def test_a_soft_fader_moves_nothing_until_it_passes_the_present_value() -> None:
    play = Play({cc(20): Row(MIX)}, soft=True)
    play.places[MIX] = 0.5
    assert [play.moved(0xB0, 20, value) for value in (0, 20, 50)] == [None, None, None]
    assert play.moved(0xB0, 20, 70) == pytest.approx(70 / 127), "it has passed 0.5"
    assert play.moved(0xB0, 20, 10) == pytest.approx(10 / 127), "and is followed from there on"


def test_another_hand_takes_a_soft_fader_off_again() -> None:
    play = Play({cc(20): Row(MIX)}, soft=True)
    play.places[MIX] = 0.0
    assert play.moved(0xB0, 20, 0) == 0.0
    assert play.moved(0xB0, 20, 64) == pytest.approx(64 / 127)
    play.places[MIX] = 0.1
    assert play.moved(0xB0, 20, 66, wait=1.0) is None, "the page has moved it to 0.1 meanwhile"
    assert play.moved(0xB0, 20, 5) == pytest.approx(5 / 127)


def test_a_soft_fader_is_not_taken_off_by_a_show_that_lags() -> None:
    play = Play({cc(20): Row(MIX)}, soft=True)
    play.places[MIX] = 0.0
    reader = play.reader
    assert reader.read((0xB0, 20, 0), 1.0)
    play.now = 1.1  # what the show drew last is that old, and still says 0
    assert all(reader.read((0xB0, 20, value), 1.0 + value / 100) for value in range(1, 100))


def test_a_row_can_jump_where_the_map_is_soft() -> None:
    play = Play({cc(20): Row(MIX, pickup="jump")}, soft=True)
    play.places[MIX] = 0.9
    assert play.moved(0xB0, 20, 0) == 0.0


def test_banks_change_what_a_fader_moves_and_ask_for_takeover_again() -> None:
    zoom = ParamTarget("gen.warp")
    play = Play(
        {key(1): Row(BankTarget(step=1)), key(2): Row(BankTarget(1))},
        {1: {cc(20): Row(MIX)}, 2: {cc(20): Row(zoom)}},
        soft=True,
    )
    play.places.update({MIX: 1.0, zoom: 0.25})
    assert play.moved(0xB0, 20, 127) == 1.0
    assert play.send(0x90, 1, 100) == []
    assert play.reader.bank == 2
    assert play.moved(0xB0, 20, 120) is None, "the other parameter is at 0.25"
    assert play.moved(0xB0, 20, 20) == pytest.approx(20 / 127)
    play.send(0x90, 2, 100)
    assert play.reader.bank == 1
    assert play.moved(0xB0, 20, 30) is None
    play.send(0x90, 1, 100)
    play.send(0x80, 1, 0)
    play.send(0x90, 1, 100)
    assert play.reader.bank == 1, "next goes around the end"


def test_a_key_held_over_a_change_of_bank_comes_up() -> None:
    play = Play({key(1): Row(BankTarget(2))}, {1: {key(36): Row(DROP)}, 2: {key(36): Row(TempoTarget("tap"))}})
    assert [event.value for event in play.send(0x90, 36, 100) if isinstance(event, MacroSet)] == [1.0]
    play.send(0x90, 1, 100)
    assert [event.value for event in play.send(0x80, 36, 0) if isinstance(event, MacroSet)] == [0.0]
    assert [type(event) for event in play.send(0x90, 36, 100)] == [Tap]


# ---------------------------------------------------------------- fine faders, pitch bend, pressure


def test_a_14_bit_pair_never_overshoots_on_its_way() -> None:
    play = Play({cc(0): Row(MIX, fine=32)})
    places = []
    for value in [*range(0, 16384, 500), 16383, *range(16383, -1, -700), 0]:
        places.append((play.moved(0xB0, 0, value >> 7), play.moved(0xB0, 32, value & 127)))
        assert places[-1][1] == pytest.approx(value / 16383)
    for before, (first, then) in itertools.pairwise(places):
        low, high = sorted((before[1] or 0.0, then or 0.0))
        assert low - 1e-9 <= (first or 0.0) <= high + 1e-9


def test_a_pair_whose_fine_half_never_comes_reaches_both_ends() -> None:
    play = Play({cc(0): Row(MIX, fine=32)})
    assert [play.moved(0xB0, 0, value) for value in (127, 0)] == [1.0, 0.0]


def test_a_fine_half_alone_means_nothing() -> None:
    assert Play({cc(0): Row(MIX, fine=32)}).send(0xB0, 32, 5) == []


@pytest.mark.parametrize(
    ("kind", "data", "place"),
    [
        ("bend", (0xE0, 0, 64), 0.5),
        ("bend", (0xE0, 127, 127), 1.0),
        ("bend", (0xE0, 0, 0), 0.0),
        ("pressure", (0xD0, 127), 1.0),
    ],
)
def test_bend_and_pressure_move_parameters(kind: Kind, data: tuple[int, ...], place: float) -> None:
    play = Play({Control(kind, 1, 0): Row(ParamTarget("grade.exposure"))})
    assert play.moved(*data) == place
    assert play.send(data[0] | 1, *data[1:]) == [], "another channel"


def test_pressure_of_one_key_and_a_pitch_wheel_as_a_button() -> None:
    play = Play({Control("touch", 0, 36): Row(MIX), Control("bend", 0, 0): Row(DROP)})
    assert play.moved(0xA0, 36, 127) == 1.0
    assert play.send(0xE0, 0, 64) == [], "at rest"
    assert len(play.send(0xE0, 0, 127)) == 1
    assert len(play.send(0xE0, 0, 64)) == 1


# ---------------------------------------------------------------- encoders


@pytest.mark.parametrize(("encoding", "right", "left"), [("twos", 1, 127), ("offset", 65, 63), ("sign", 1, 65)])
def test_encoders_move_by_steps_from_where_the_target_is(encoding: str, right: int, left: int) -> None:
    play = Play({cc(20): Row(MIX, encoder=encoding, step=0.1)})  # type: ignore[arg-type]
    play.places[MIX] = 0.5
    assert play.moved(0xB0, 20, right) == pytest.approx(0.6)
    assert play.moved(0xB0, 20, left) == pytest.approx(0.5)
    play.places[MIX] = 0.0
    assert play.moved(0xB0, 20, right, wait=1.0) == pytest.approx(0.1), "another hand was at it"
    assert play.moved(0xB0, 20, left) == pytest.approx(0.0)
    assert play.moved(0xB0, 20, left) == 0.0, "there is an end"


def test_a_slow_encoder_gets_a_stepped_parameter_on() -> None:
    family = ParamTarget("gen.family")
    play = Play({cc(20): Row(family, encoder="twos", step=0.05)})
    play.places[family] = 0.0
    for _ in range(20):
        play.send(0xB0, 20, 1, wait=1.0)
    assert play.places[family] == 1.0


def test_turning_fast_goes_farther() -> None:
    play = Play({cc(20): Row(MIX, encoder="twos", step=0.01, acceleration=4.0)})
    play.places[MIX] = 0.0
    slow = play.moved(0xB0, 20, 1, wait=1.0)
    fast = (play.moved(0xB0, 20, 3, wait=0.002) or 0.0) - (slow or 0.0)
    assert slow == pytest.approx(0.01)
    assert fast == pytest.approx(3 * 0.01 * 5.0)


def test_encoders_browse_looks_and_nudge_the_beat() -> None:
    play = Play(
        {
            cc(1): Row(LookTarget(step=1), encoder="twos"),
            cc(2): Row(TempoTarget("nudge", 2.0), encoder="offset"),
            cc(3): Row(BankTarget(step=1), encoder="twos"),
        },
        {1: {}, 2: {}},
    )
    steps = [event.step for value in (1, 127) for event in play.send(0xB0, 1, value) if isinstance(event, LookSelected)]
    assert steps == [1, -1]
    shifts = [e.milliseconds for v in (66, 61) for e in play.send(0xB0, 2, v) if isinstance(e, TempoNudge)]
    assert shifts == [4.0, -6.0]
    play.send(0xB0, 3, 127)
    assert play.reader.bank == 2


@given(st.integers(0, 127))
def test_steps_are_small_whole_numbers(value: int) -> None:
    assert ticks(value, "twos") in range(-64, 64)
    assert ticks(value, "offset") in range(-64, 64)
    assert ticks(value, "sign") in range(-63, 64)


# ---------------------------------------------------------------- modes, velocity, curves, ranges


def test_a_momentary_macro_can_be_played_as_a_toggle_and_the_other_way_round() -> None:
    play = Play({key(1): Row(DROP, mode="toggle"), key(2): Row(MacroTarget("AUDIO", "toggle"), mode="momentary")})
    assert [type(event) for event in play.send(0x90, 1, 9) + play.send(0x80, 1, 0)] == [MacroToggle]
    held = play.send(0x90, 2, 9) + play.send(0x80, 2, 0)
    assert [event.value for event in held if isinstance(event, MacroSet)] == [1.0, 0.0]


def test_a_parameter_is_flipped_or_held() -> None:
    play = Play({key(1): Row(MIX, mode="toggle"), key(2): Row(MIX, mode="momentary", velocity=False)})
    play.places[MIX] = 0.3
    assert play.moved(0x90, 1, 9) == 1.0
    play.send(0x80, 1, 0)
    assert play.moved(0x90, 1, 9) == 0.0
    play.send(0x80, 1, 0)
    play.places[MIX] = 0.3
    assert play.moved(0x90, 2, 9) == 1.0
    assert play.moved(0x80, 2, 0) == 0.3, "what was there comes back"
    play.send(0x90, 2, 9)
    assert [event.value for event in play.reader.release_all(9.0) if isinstance(event, ParamSet)] == [0.3]


def test_velocity_counts_unless_told_not_to() -> None:
    play = Play({key(1): Row(MIX), key(2): Row(MIX, velocity=False)})
    assert play.moved(0x90, 1, 1) == pytest.approx(1 / 127)
    assert play.moved(0x90, 2, 1) == 1.0


def test_ranges_end_where_they_are_told_to_and_can_be_turned_round() -> None:
    play = Play({cc(1): Row(MIX, low=0.25, high=0.75), cc(2): Row(MIX, low=1.0, high=0.0)})
    assert [play.moved(0xB0, 1, value) for value in (0, 127)] == [0.25, 0.75]
    assert [play.moved(0xB0, 2, value) for value in (0, 127)] == [1.0, 0.0]


@given(st.sampled_from(["linear", "exponential", "s-curve"]), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_curves_keep_their_ends_rise_and_can_be_undone(curve: Curve, place: float, low: float, high: float) -> None:
    assert bent(0.0, curve) == 0.0
    assert bent(1.0, curve) == pytest.approx(1.0)
    assert bent(place, curve) <= bent(min(1.0, place + 0.01), curve)
    row = Row(MIX, curve=curve, low=low, high=high)
    if abs(high - low) > 1e-3:
        assert shaped(unshaped(shaped(place, row), row), row) == pytest.approx(shaped(place, row), abs=1e-3)


@given(st.integers(0, 127), st.integers(0, 127), st.none() | st.integers(0, 127))
def test_combined_halves_keep_the_coarse_one(coarse: int, before: int, fine: int | None) -> None:
    assert 0 <= combined(coarse, before, fine) <= 16383
    assert abs(unit(combined(coarse, before, fine), 16383, centred=False) - coarse / 127) < 0.01


@given(st.lists(st.tuples(st.sampled_from([0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0]), st.integers(0, 3),
                          st.integers(0, 127)), max_size=60))  # fmt: skip
def test_whatever_is_played_stays_in_range_and_is_let_go(messages: list[tuple[int, int, int]]) -> None:
    rows = {
        Control("control", 0, 0): Row(MIX, fine=2),
        Control("control", 0, 1): Row(ParamTarget("gen.family"), encoder="sign", step=1.0),
        Control("control", 0, 3): Row(DROP),
        key(0): Row(DROP),
        key(1): Row(MIX, mode="momentary"),
        key(2): Row(BankTarget(step=1)),
        Control("bend", 0, 0): Row(DROP),
        Control("program", 0, 1): Row(BankTarget(2)),
    }
    play = Play(rows, {1: {}, 2: {key(0): Row(MacroTarget("ENERGY", "level"))}}, soft=True)
    held = 0.0
    for status, number, value in messages:
        data = (status, value) if status in (0xC0, 0xD0) else (status, number, value)
        for event in play.send(*data):
            if isinstance(event, ParamSet | MacroLevel):
                assert 0.0 <= event.value <= 1.0
            if isinstance(event, MacroSet):
                held = event.value
    for event in play.reader.release_all(99.0):
        if isinstance(event, MacroSet):
            held = event.value
    assert held == 0.0
