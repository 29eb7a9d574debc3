from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjengine.core.events import (
    Event,
    LookSelected,
    MacroLevel,
    MacroSet,
    MacroToggle,
    ParamSet,
    Resync,
    Tap,
    TempoNudge,
    TempoScale,
    Trigger,
)
from vjengine.inputs.midi_map import (
    Control,
    LookTarget,
    MacroTarget,
    MidiMap,
    ParamTarget,
    Row,
    Target,
    TempoTarget,
    TriggerTarget,
)
from vjengine.inputs.midi_reader import MidiReader

KINDS = {"n": "note", "c": "control", "p": "program"}


def rows(**targets: Target) -> MappingProxyType[Control, Row]:
    return MappingProxyType(
        {Control(KINDS[key[0]], 0, int(key[1:])): Row(target) for key, target in targets.items()}  # type: ignore[arg-type]
    )


DROP = MacroTarget("DROP", "momentary")
MAPPING = MidiMap(
    rows(
        n36=DROP,
        n37=DROP,
        n39=MacroTarget("AUDIO", "toggle"),
        n40=MacroTarget("ENERGY", "level"),
        n50=TempoTarget("tap"),
        n51=TempoTarget("resync"),
        n52=TempoTarget("half"),
        n53=TempoTarget("nudge", -10.0),
        n56=LookTarget(step=1),
        n58=TriggerTarget("cut"),
        n59=ParamTarget("out.black", 1.0),
        n60=ParamTarget("feedback.mix"),
        c7=MacroTarget("ENERGY", "level"),
        c20=ParamTarget("feedback.mix"),
        c21=ParamTarget("gen.rotate"),
        c64=DROP,
        c65=MacroTarget("AUDIO", "toggle"),
        c66=TempoTarget("double"),
        p3=LookTarget("ember"),
    )
)


def play(*messages: list[int], reader: MidiReader | None = None) -> list[Event]:
    reader = reader or MidiReader(MAPPING, "midi:pads")
    return [event for message in messages for event in reader.read(message, 1.5)]


def test_momentary_is_on_while_held() -> None:
    assert play([0x90, 36, 100], [0x80, 36, 0]) == [
        MacroSet(time=1.5, source="midi:pads", macro="DROP", value=1.0),
        MacroSet(time=1.5, source="midi:pads", macro="DROP", value=0.0),
    ]


def test_note_on_of_velocity_0_lets_go() -> None:
    assert [event.value for event in play([0x90, 36, 1], [0x90, 36, 0]) if isinstance(event, MacroSet)] == [1.0, 0.0]


def test_a_second_key_keeps_the_macro_on() -> None:
    events = play([0x90, 36, 9], [0x90, 37, 9], [0x80, 36, 0], [0xB0, 64, 127], [0x80, 37, 0], [0xB0, 64, 0])
    assert [event.value for event in events if isinstance(event, MacroSet)] == [1.0, 1.0, 1.0, 0.0]


def test_a_release_without_a_press_is_nothing() -> None:
    assert play([0x80, 36, 0], [0xB0, 64, 0]) == []


def test_toggles_flip_on_the_press_only() -> None:
    events = play([0x90, 39, 100], [0x80, 39, 0], [0xB0, 65, 127], [0xB0, 65, 127], [0xB0, 65, 0], [0xB0, 65, 64])
    assert [type(event) for event in events] == [MacroToggle] * 3


def test_levels_follow_fader_and_velocity_at_once() -> None:
    events = play([0xB0, 7, 0], [0xB0, 7, 127], [0x90, 40, 127], [0x80, 40, 0])
    assert [event.value for event in events if isinstance(event, MacroLevel)] == [0.0, 1.0, 1.0]


def test_parameters_are_moved_normalised() -> None:
    events = play([0xB0, 20, 127], [0x90, 60, 127], [0x80, 60, 0], [0x90, 59, 1])
    assert [(event.param, event.value, event.normalised) for event in events if isinstance(event, ParamSet)] == [
        ("feedback.mix", 1.0, True),
        ("feedback.mix", 1.0, True),
        ("out.black", 1.0, True),
    ]


def test_a_centre_detent_is_exactly_the_middle() -> None:
    assert [event.value for event in play(*([0xB0, 21, n] for n in (0, 64, 127))) if isinstance(event, ParamSet)] == [
        0.0,
        0.5,
        1.0,
    ]


def test_tempo_looks_and_triggers() -> None:
    pressed = play(*([0x90, note, 90] for note in (50, 51, 52, 53, 56, 58)), [0xB0, 66, 127], [0xC0, 3])
    expected = [
        Tap, Resync, TempoScale, TempoNudge, LookSelected, Trigger, TempoScale, LookSelected,
    ]  # fmt: skip
    assert [type(event) for event in pressed] == expected
    assert isinstance(pressed[2], TempoScale)
    assert pressed[2].factor == 0.5
    assert isinstance(pressed[3], TempoNudge)
    assert pressed[3].milliseconds == -10.0
    assert isinstance(pressed[6], TempoScale)
    assert pressed[6].factor == 2.0
    assert isinstance(pressed[7], LookSelected)
    assert pressed[7].look == "ember"
    assert play(*([0x80, note, 0] for note in (50, 51, 52, 53, 56, 58))) == []


def test_other_channels_can_be_left_alone() -> None:
    reader = MidiReader(MidiMap(MAPPING.rows, channels=frozenset({10})), "midi:pads")
    assert play([0x90, 50, 90], reader=reader) == []
    assert play([0x99, 50, 90], reader=reader) == [Tap(time=1.5, source="midi:pads")]


def test_a_channel_row_beats_the_row_for_all() -> None:
    mapping = MidiMap(
        {Control("note", 0, 50): Row(TempoTarget("tap")), Control("note", 10, 50): Row(TempoTarget("resync"))}
    )
    events = play([0x90, 50, 90], [0x99, 50, 90], reader=MidiReader(mapping, ""))
    assert [type(event) for event in events] == [Tap, Resync]


def test_all_notes_off_and_a_lost_port_let_go() -> None:
    reader = MidiReader(MAPPING, "midi:pads")
    play([0x90, 36, 9], [0x90, 37, 9], reader=reader)
    assert play([0xB0, 123, 0], reader=reader) == [MacroSet(time=1.5, source="midi:pads", macro="DROP", value=0.0)]
    play([0x90, 36, 9], reader=reader)
    assert len(reader.release_all(2.0)) == 1
    assert reader.release_all(2.0) == []


@pytest.mark.parametrize("data", [[], [0x90], [0x90, 36], [36, 36, 36], [0x90, 36, 200], [0x90, 36, 1, 2], [0xF7]])
def test_what_is_not_midi_is_a_value_error(data: list[int]) -> None:
    with pytest.raises(ValueError):
        play(data)


@given(st.lists(st.lists(st.integers(0, 255), max_size=6), max_size=30))
def test_any_bytes_give_events_or_a_value_error(messages: list[list[int]]) -> None:
    reader = MidiReader(MAPPING, "")
    for message in messages:
        try:
            events = reader.read(message, 0.0)
        except ValueError:
            continue
        assert all(isinstance(event, Event) for event in events)
