"""Keys: every stroke means exactly one thing."""

from __future__ import annotations

import pytest

from vjengine import config
from vjengine.core import events as ev
from vjengine.core.macros import MacroDef, MacroState
from vjengine.inputs.keys import LEARN, SHORTCUTS, KeyMap
from vjengine.resources import resource_dir

MACROS = {
    "DROP": MacroDef("DROP", key="d"),
    "FREEZE": MacroDef("FREEZE", kind="toggle", key="z"),
    "ENERGY": MacroDef("ENERGY", kind="level", initial=0.5, key="1 2"),
    "MUTE": MacroDef("MUTE"),
}


def test_a_momentary_macro_follows_the_finger() -> None:
    keys = KeyMap(MACROS)
    assert keys.events("d", "press", 1.0) == [ev.MacroSet(time=1.0, source="key", macro="DROP", value=1.0)]
    assert keys.events("d", "repeat", 1.1) == []
    assert keys.events("D", "release", 1.2) == [ev.MacroSet(time=1.2, source="key", macro="DROP", value=0.0)]
    assert keys.events("d", "release", 1.3) == []


def test_a_toggle_flips_on_the_press_only() -> None:
    keys = KeyMap(MACROS)
    assert keys.events("z", "press", 0.0) == [ev.MacroToggle(source="key", macro="FREEZE")]
    assert keys.events("z", "repeat", 0.0) == []
    assert keys.events("z", "release", 0.0) == []


def test_a_level_has_a_key_down_and_a_key_up_and_stays_in_range() -> None:
    keys = KeyMap(MACROS)

    def value(key: str, action: str = "press") -> float:
        (event,) = keys.events(key, action, 0.0)  # type: ignore[arg-type]
        assert isinstance(event, ev.MacroLevel)
        return event.value

    assert value("2") == pytest.approx(0.55)
    assert value("2", "repeat") == pytest.approx(0.6)
    assert [value("1") for _ in range(20)][-1] == 0.0
    assert [value("2") for _ in range(40)][-1] == 1.0
    assert keys.events("2", "release", 0.0) == []


def test_a_level_moves_on_from_where_midi_left_it() -> None:
    (event,) = KeyMap(MACROS).events("2", "press", 0.0, {"ENERGY": MacroState(requested=0.9)})
    assert isinstance(event, ev.MacroLevel)
    assert event.value == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("space", ev.Tap(time=2.0, source="key")),
        ("enter", ev.Resync(time=2.0, source="key")),
        ("]", ev.TempoScale(time=2.0, source="key", factor=2.0)),
        ("[", ev.TempoScale(time=2.0, source="key", factor=0.5)),
        (",", ev.TempoNudge(time=2.0, source="key", milliseconds=-5.0)),
        (".", ev.TempoNudge(time=2.0, source="key", milliseconds=5.0)),
        ("right", ev.LookSelected(time=2.0, source="key", step=1)),
        ("left", ev.LookSelected(time=2.0, source="key", step=-1)),
        ("down", ev.Trigger(time=2.0, source="key", action="reseed")),
        ("up", ev.Trigger(time=2.0, source="key", action="cut")),
        ("backspace", ev.Trigger(time=2.0, source="key", action="clear")),
    ],
)
def test_the_engines_own_keys(key: str, expected: ev.Event) -> None:
    keys = KeyMap(MACROS)
    assert keys.events(key, "press", 2.0) == [expected]
    assert keys.events(key, "release", 2.1) == []
    assert len(keys.events(key, "repeat", 2.2)) == (1 if key in ",." else 0)


def test_escape_twice_ends_the_show_and_once_does_not() -> None:
    keys = KeyMap(MACROS)
    assert keys.events("escape", "press", 1.0) == []
    assert keys.events("escape", "repeat", 1.2) == []
    assert keys.events("escape", "press", 3.0) == []
    assert keys.events("escape", "press", 4.0) == [ev.Quit(time=4.0, source="key")]
    assert keys.events("escape", "press", 4.5) == []


def test_losing_the_keyboard_lets_go_of_what_is_held() -> None:
    keys = KeyMap(MACROS)
    keys.events("d", "press", 1.0)
    assert keys.release_all(2.0) == [ev.MacroSet(time=2.0, source="key", macro="DROP", value=0.0)]
    assert keys.release_all(2.1) == []
    assert keys.events("d", "release", 3.0) == []


def test_extra_keys_win_but_not_over_escape() -> None:
    keys = KeyMap(
        MACROS,
        {
            "d": lambda t: ev.Trigger(time=t, action="panic"),
            "q": lambda t: ev.ParamSet(time=t, param="gen.hue", value=0.1),
            "escape": lambda t: ev.Trigger(time=t, action="cut"),
        },
    )
    assert keys.events("d", "press", 0.0) == [ev.Trigger(action="panic")]
    assert keys.events("q", "press", 0.0) == [ev.ParamSet(param="gen.hue", value=0.1)]
    assert keys.events("escape", "press", 0.0) == []


def test_a_key_after_f2_is_learnt_and_not_played() -> None:
    keys = KeyMap(MACROS)

    def learnt(*strokes: str) -> list[ev.Event]:
        events = [event for key in strokes for event in keys.events(key, "press", 1.0)]
        return [event for event in events if not isinstance(event, ev.StatusChanged)]

    assert learnt("f2", "d") == [ev.LearnMidi(time=1.0, source="key", target="DROP")]
    assert learnt("f2", "2") == [ev.LearnMidi(time=1.0, source="key", target="ENERGY")]
    assert learnt("f2", "space") == [ev.LearnMidi(time=1.0, source="key", target="tempo:tap")]
    assert learnt("f2", "backspace") == [ev.LearnMidi(time=1.0, source="key", undo=True)]
    assert learnt("f2", "f2") == [ev.LearnMidi(time=1.0, source="key")], "twice stops it"
    assert learnt("f2", "up") == [ev.LearnMidi(time=1.0, source="key")], "there is nothing to learn"
    assert keys.events("f2", "release", 1.0) == []
    assert learnt("d") == [ev.MacroSet(time=1.0, source="key", macro="DROP", value=1.0)]


def test_what_is_held_while_learning_is_let_go() -> None:
    keys = KeyMap(MACROS)
    keys.events("d", "press", 1.0)
    keys.events("f2", "press", 1.1)
    assert keys.events("d", "release", 1.2) == [ev.MacroSet(time=1.2, source="key", macro="DROP", value=0.0)]


def test_unknown_keys_mean_nothing() -> None:
    assert KeyMap(MACROS).events("ß", "press", 0.0) == []
    assert KeyMap({}).events("", "press", 0.0) == []


def test_help_lists_every_key_of_the_shipped_macros_once() -> None:
    macros = config.load_macros(resource_dir("macros"))
    lines = KeyMap(macros).describe()
    listed = [key for line in lines for key in line.keys.split()]
    expected = {key for macro in macros.values() for key in macro.key.split()} | {row.key for row in SHORTCUTS}
    assert set(listed) == expected | {"escape", LEARN}
    assert len(listed) == len(expected) + 3
    assert LEARN in config.RESERVED_KEYS
    assert {row.key for row in SHORTCUTS} <= config.RESERVED_KEYS
