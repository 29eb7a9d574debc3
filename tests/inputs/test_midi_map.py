from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from vjengine.config import load_macros
from vjengine.core.macros import MacroDef
from vjengine.errors import ConfigError
from vjengine.inputs.midi_map import (
    BankTarget,
    Control,
    Kind,
    LookTarget,
    MacroTarget,
    MidiMap,
    ParamTarget,
    Row,
    Target,
    TempoTarget,
    TriggerTarget,
)
from vjengine.inputs.midi_map_file import read_map
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


def load(path: Path, macros: Mapping[str, MacroDef] = MACROS, looks: tuple[str, ...] = ()) -> MidiMap:
    return MidiMap.from_macros(macros).with_layer(read_map(path, macros, looks).everywhere)


def found(mapping: MidiMap, kind: Kind, channel: int, number: int, bank: int = 1) -> Target | None:
    row = mapping.view(bank).find(Control(kind, channel, number))
    return None if row is None else row.target


def test_macros_bring_their_own_keys_and_faders() -> None:
    mapping = MidiMap.from_macros(MACROS)
    assert found(mapping, "note", 5, 36) == MacroTarget("DROP", "momentary")
    assert found(mapping, "note", 1, 39) == MacroTarget("AUDIO", "toggle")
    assert found(mapping, "control", 16, 7) == MacroTarget("ENERGY", "level")
    assert found(mapping, "note", 1, 35) is None


def test_shipped_defaults_are_the_promised_ones() -> None:
    mapping = load(DEFAULT, load_macros(resource_dir("macros")))
    for note, name in {36: "DROP", 37: "BUILD", 38: "CHILL", 39: "AUDIO"}.items():
        target = found(mapping, "note", 1, note)
        assert isinstance(target, MacroTarget)
        assert target.macro == name
    for control, name in {10: "INTENSITY", 7: "ENERGY"}.items():
        assert found(mapping, "control", 1, control) == MacroTarget(name, "level")


def test_shipped_file_takes_no_macro_its_key_and_needs_no_macro() -> None:
    macros = load_macros(resource_dir("macros"))
    wanted = MidiMap.from_macros(macros)
    loaded = load(DEFAULT, macros)
    assert {key: loaded.rows[key] for key in wanted.rows} == dict(wanted.rows)
    assert load(DEFAULT, {}).rows[Control("note", 0, 50)] == Row(TempoTarget("tap"))


def test_every_kind_of_row(tmp_path: Path) -> None:
    mapping = load(
        write(
            tmp_path,
            """
            channels: [1, 10]
            pickup: soft
            notes:
              36: null
              40: {tempo: nudge, ms: -10}
              41: {look: next}
              42: {look: ember}
              43: {trigger: panic}
              44: {param: out.black, position: 1}
              45: {bank: next}
              46: {bank: 2}
              47: {macro: DROP, mode: toggle, velocity: off}
              ch10/60: {macro: DROP}
            controls: {20: {param: feedback.mix}, 21: {param: bloom.amount, range: [0.5, 2], curve: s-curve}}
            programs: {3: {look: previous}}
            bends: {ch1: {param: grade.exposure}}
            pressures: {any: {macro: ENERGY}}
            touches: {36: {param: gen.warp}}
            banks:
              1: {notes: {50: {macro: AUDIO}}}
              2: {notes: {50: {macro: DROP}}, controls: {20: null}}
            """,
        ),
        looks=("ember",),
    )
    assert found(mapping, "note", 1, 36) is None
    assert found(mapping, "note", 1, 40) == TempoTarget("nudge", -10.0)
    assert found(mapping, "note", 1, 41) == LookTarget(step=1)
    assert found(mapping, "note", 1, 42) == LookTarget("ember")
    assert found(mapping, "note", 1, 43) == TriggerTarget("panic")
    assert found(mapping, "note", 1, 44) == ParamTarget("out.black", 1.0)
    assert found(mapping, "note", 1, 45) == BankTarget(step=1)
    assert found(mapping, "note", 1, 46) == BankTarget(2)
    assert mapping.rows[Control("note", 0, 47)] == Row(MacroTarget("DROP", "momentary"), mode="toggle", velocity=False)
    assert found(mapping, "note", 10, 60) == MacroTarget("DROP", "momentary")
    assert found(mapping, "note", 9, 60) is None
    assert found(mapping, "control", 1, 20) == ParamTarget("feedback.mix")
    assert mapping.rows[Control("control", 0, 21)] == Row(ParamTarget("bloom.amount"), low=0.25, curve="s-curve")
    assert found(mapping, "control", 1, 7) == MacroTarget("ENERGY", "level"), "defaults stay"
    assert found(mapping, "program", 1, 3) == LookTarget(step=-1)
    assert found(mapping, "bend", 1, 0) == ParamTarget("grade.exposure")
    assert found(mapping, "bend", 2, 0) is None
    assert found(mapping, "pressure", 7, 0) == MacroTarget("ENERGY", "level")
    assert found(mapping, "touch", 7, 36) == ParamTarget("gen.warp")
    assert found(mapping, "note", 1, 50, bank=1) == MacroTarget("AUDIO", "toggle")
    assert found(mapping, "note", 1, 50, bank=2) == MacroTarget("DROP", "momentary")
    assert mapping.bank_numbers == (1, 2)
    assert mapping.pickup == "soft"
    assert [channel for channel in range(1, 17) if mapping.hears(channel)] == [1, 10]


def test_several_controllers_each_have_their_own_rows(tmp_path: Path) -> None:
    file = read_map(
        write(tmp_path, 'notes: {1: {tempo: tap}}\nports: {"nanoKONTROL": {profile: none, notes: {1: {macro: DROP}}}}'),
        MACROS,
    )
    assert [layer.profile for layer in file.for_port("nanokontrol2:CTRL 24:0")] == ["", "none"]
    assert len(file.for_port("APC MINI")) == 1


def test_defaults_can_be_left_out(tmp_path: Path) -> None:
    mapping = load(write(tmp_path, "defaults: false\nnotes: {1: {tempo: tap}}"))
    assert dict(mapping.rows) == {Control("note", 0, 1): Row(TempoTarget("tap"))}


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
        ("programs: {1: {param: out.black, mode: momentary}}", "programs.1", "not held"),
        ("notes: {36: {bank: 17}}", "notes.36.bank", "1 to 16"),
        ("notes: {36: {macro: DROP, fine: 3}}", "notes.36.fine", "controls"),
        ("notes: {36: {macro: DROP, curve: linear}}", "notes.36.curve", "level"),
        ("controls: {1: {macro: ENERGY, step: 0.1}}", "controls.1.step", "encoder"),
        ("controls: {1: {macro: ENERGY, encoder: gray}}", "controls.1.encoder", "twos"),
        ("controls: {1: {macro: ENERGY, encoder: twos, fine: 33}}", "controls.1.fine", "either"),
        ("controls: {1: {macro: ENERGY, velocity: on}}", "controls.1.velocity", "notes"),
        ("controls: {1: {param: bloom.amount, range: [0, 3]}}", "controls.1.range", "0 to 2"),
        ("controls: {1: {param: bloom.amount, range: 3}}", "controls.1.range", "two numbers"),
        ("controls: {1: {param: bloom.amount, curve: log}}", "controls.1.curve", "s-curve"),
        ("controls: {1: {tempo: tap, mode: toggle}}", "controls.1.mode", "param"),
        ("bends: {1: {macro: ENERGY}}", "bends.1", "ch16"),
        ("banks: {0: {}}", "banks.0", "1 to 16"),
        ("banks: {1: {notes: {1: {macro: X}}}}", "banks.1.notes.1.macro", "DROP"),
        ("ports: {nano: {makro: 1}}", "ports.nano.makro", "known key"),
        ("pickup: sometimes", "pickup", "soft"),
        ("channels: [0]", "channels", "1 to 16"),
        ("notez: {}", "notez", "did you mean 'notes'"),
        ("notes: {36: {tempo: tap}, 36: {tempo: tap}}", "36", "once"),
        ("notes: [1]", "notes", "mapping"),
    ],
)
def test_wrong_files_name_key_value_and_remedy(tmp_path: Path, text: str, key: str, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_map(path, MACROS, ["ember"])
    assert str(path) in str(caught.value)
    assert caught.value.key.endswith(key)
    assert says in caught.value.expected


def test_missing_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="readable"):
        read_map(tmp_path / "none.yaml", MACROS)
