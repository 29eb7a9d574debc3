from __future__ import annotations

from pathlib import Path

import pytest

from vjengine.config import load_macros
from vjengine.core.macros import MacroDef
from vjengine.errors import ConfigError
from vjengine.inputs.midi_map import LookTarget, MacroTarget, MidiMap, ParamTarget, TempoTarget, TriggerTarget
from vjengine.resources import resource_dir

MACROS = {
    "DROP": MacroDef("DROP", note=36),
    "AUDIO": MacroDef("AUDIO", kind="toggle", note=39),
    "ENERGY": MacroDef("ENERGY", kind="level", cc=7),
}
DEFAULT = resource_dir("presets") / "midi" / "default.yaml"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "map.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_macros_bring_their_own_keys_and_faders() -> None:
    mapping = MidiMap.from_macros(MACROS)
    assert mapping.find(mapping.notes, 5, 36) == MacroTarget("DROP", "momentary")
    assert mapping.find(mapping.notes, 1, 39) == MacroTarget("AUDIO", "toggle")
    assert mapping.find(mapping.controls, 16, 7) == MacroTarget("ENERGY", "level")
    assert mapping.find(mapping.notes, 1, 35) is None


def test_shipped_defaults_are_the_promised_ones() -> None:
    mapping = MidiMap.load(DEFAULT, load_macros(resource_dir("macros")))
    for note, name in {36: "DROP", 37: "BUILD", 38: "CHILL", 39: "AUDIO"}.items():
        target = mapping.find(mapping.notes, 1, note)
        assert isinstance(target, MacroTarget)
        assert target.macro == name
    for control, name in {10: "INTENSITY", 7: "ENERGY"}.items():
        assert mapping.find(mapping.controls, 1, control) == MacroTarget(name, "level")


def test_shipped_file_takes_no_macro_its_key_and_needs_no_macro() -> None:
    macros = load_macros(resource_dir("macros"))
    wanted = MidiMap.from_macros(macros)
    loaded = MidiMap.load(DEFAULT, macros)
    assert {key: loaded.notes[key] for key in wanted.notes} == dict(wanted.notes)
    assert {key: loaded.controls[key] for key in wanted.controls} == dict(wanted.controls)
    assert MidiMap.load(DEFAULT, {}).notes[0, 50] == TempoTarget("tap")


def test_every_kind_of_row(tmp_path: Path) -> None:
    mapping = MidiMap.load(
        write(
            tmp_path,
            """
            channels: [1, 10]
            notes:
              36: null
              40: {tempo: nudge, ms: -10}
              41: {look: next}
              42: {look: ember}
              43: {trigger: panic}
              44: {param: out.black, position: 1}
              ch10/60: {macro: DROP}
            controls: {20: {param: feedback.mix}}
            programs: {3: {look: previous}}
            """,
        ),
        MACROS,
        ["ember"],
    )
    notes = mapping.notes
    assert mapping.find(notes, 1, 36) is None
    assert mapping.find(notes, 1, 40) == TempoTarget("nudge", -10.0)
    assert mapping.find(notes, 1, 41) == LookTarget(step=1)
    assert mapping.find(notes, 1, 42) == LookTarget("ember")
    assert mapping.find(notes, 1, 43) == TriggerTarget("panic")
    assert mapping.find(notes, 1, 44) == ParamTarget("out.black", 1.0)
    assert mapping.find(notes, 10, 60) == MacroTarget("DROP", "momentary")
    assert mapping.find(notes, 9, 60) is None
    assert mapping.find(mapping.controls, 1, 20) == ParamTarget("feedback.mix")
    assert mapping.find(mapping.controls, 1, 7) == MacroTarget("ENERGY", "level"), "defaults stay"
    assert mapping.find(mapping.programs, 1, 3) == LookTarget(step=-1)
    assert [channel for channel in range(1, 17) if mapping.hears(channel)] == [1, 10]


def test_defaults_can_be_left_out(tmp_path: Path) -> None:
    mapping = MidiMap.load(write(tmp_path, "defaults: false\nnotes: {1: {tempo: tap}}"), MACROS)
    assert dict(mapping.notes) == {(0, 1): TempoTarget("tap")}
    assert not mapping.controls


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("notes: {36: {macro: DORP}}", "notes.36.macro", "did you mean 'DROP'"),
        ("notes: {36: {param: feedback.mx}}", "notes.36.param", "feedback.mix"),
        ("notes: {128: {macro: DROP}}", "notes.128", "0 to 127"),
        ("notes: {ch17/3: {macro: DROP}}", "notes.ch17/3", "ch16"),
        ("notes: {36: DROP}", "notes.36", "mapping of"),
        ("notes: {36: {macro: DROP, look: next}}", "notes.36", "exactly one of"),
        ("notes: {36: {}}", "notes.36", "exactly one of"),
        ("notes: {36: {tempo: faster}}", "notes.36.tempo", "tap"),
        ("notes: {36: {tempo: nudge}}", "notes.36", "ms"),
        ("notes: {36: {tempo: nudge, ms: 1000}}", "notes.36.ms", "-250 to 250"),
        ("notes: {36: {param: out.black, position: 2}}", "notes.36.position", "0 to 1"),
        ("notes: {36: {macro: DROP, position: 1}}", "notes.36.position", "param"),
        ("notes: {36: {look: nowhere}}", "notes.36.look", "ember"),
        ("notes: {36: {trigger: boom}}", "notes.36.trigger", "reseed"),
        ("notes: {36: {makro: DROP}}", "notes.36.makro", "did you mean 'macro'"),
        ("programs: {1: {macro: DROP}}", "programs.1", "not held"),
        ("programs: {1: {param: out.black}}", "programs.1", "position"),
        ("channels: [0]", "channels", "1 to 16"),
        ("notez: {}", "notez", "did you mean 'notes'"),
        ("notes: {36: {tempo: tap}, 36: {tempo: tap}}", "36", "once"),
        ("notes: [1]", "notes", "mapping"),
    ],
)
def test_wrong_files_name_key_value_and_remedy(tmp_path: Path, text: str, key: str, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        MidiMap.load(path, MACROS, ["ember"])
    assert str(path) in str(caught.value)
    assert caught.value.key.endswith(key)
    assert says in caught.value.expected


def test_missing_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="readable"):
        MidiMap.load(tmp_path / "none.yaml", MACROS)
