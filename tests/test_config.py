"""Configuration: what ships loads, what is written means what it says, what is wrong is named."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjengine import config
from vjengine.core.clock import FrameTime
from vjengine.core.control import ControlState
from vjengine.core.events import Event, MacroLevel, MacroSet, MacroToggle
from vjengine.core.macros import MacroDef, MacroEffect
from vjengine.core.params import PARAMS
from vjengine.core.reducer import control_step, initial_state
from vjengine.core.show import Show
from vjengine.core.signals import NO_AUDIO
from vjengine.errors import ConfigError
from vjengine.resources import resource_dir

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return _write


# ---------------------------------------------------------------- what ships


@cache
def bundled() -> Mapping[str, MacroDef]:
    return config.load_macros(resource_dir("macros"))


def test_shipped_macros_load_with_the_documented_controls() -> None:
    macros = bundled()
    assert {name: macros[name].note for name in ("DROP", "BUILD", "CHILL", "AUDIO")} == {
        "DROP": 36,
        "BUILD": 37,
        "CHILL": 38,
        "AUDIO": 39,
    }
    assert (macros["INTENSITY"].cc, macros["ENERGY"].cc) == (10, 7)
    kinds = {name: macro.kind for name, macro in macros.items()}
    assert kinds["DROP"] == kinds["BUILD"] == kinds["CHILL"] == kinds["STROBE"] == "momentary"
    assert kinds["AUDIO"] == kinds["BLACKOUT"] == kinds["FREEZE"] == "toggle"
    assert kinds["INTENSITY"] == kinds["ENERGY"] == "level"
    assert next(iter(macros)) == "DROP"


def test_shipped_sections_rank_drop_over_build_over_chill() -> None:
    macros = bundled()
    assert {macros[name].group for name in ("DROP", "BUILD", "CHILL")} == {"section"}
    assert macros["DROP"].priority > macros["BUILD"].priority > macros["CHILL"].priority


def test_shipped_macros_all_say_what_they_do_and_do_something() -> None:
    for macro in bundled().values():
        assert macro.summary
        assert macro.key
        assert macro.effects or macro.triggers


def test_shipped_safety_macros_act_at_once() -> None:
    macros = bundled()
    for name in ("DROP", "BLACKOUT", "FREEZE", "STROBE", "PANIC"):
        assert macros[name].attack == 0.0, name
        assert macros[name].quantise == "none", name
    rate = next(e for e in macros["STROBE"].effects if e.param == "strobe.rate")
    assert rate.value <= 3.0


def test_shipped_defaults_are_each_macros_own() -> None:
    macros = bundled().values()
    keys = [key for macro in macros for key in macro.key.split()]
    notes = [macro.note for macro in macros if macro.note is not None]
    controllers = [macro.cc for macro in macros if macro.cc is not None]
    for taken in (keys, notes, controllers):
        assert len(taken) == len(set(taken))


def test_shipped_qr_fades_in_and_lock_locks() -> None:
    _, invited = shipped(MacroToggle(macro="QR"), seconds=1.0)
    _, locked = shipped(MacroToggle(macro="LOCK"))
    assert (invited.values["qr.mix"], invited.values["crowd.lock"]) == (pytest.approx(1.0, abs=0.01), 0.0)
    assert (locked.values["qr.mix"], locked.values["crowd.lock"]) == (0.0, 1.0)
    assert bundled()["QR"].attack == bundled()["QR"].release == 0.4


def shipped(*events: Event, seconds: float = 0.0) -> tuple[ControlState, ControlState]:
    """Return the control states of the first frame and of one ``seconds`` after ``events``, with what ships."""
    show = Show(bundled(), {})
    before = control_step(initial_state(show), (), NO_AUDIO, FrameTime(0, 0.0, 0.0), show)
    after = control_step(before, events, NO_AUDIO, FrameTime(1, 1 / 60, 1 / 60), show)
    for n in range(2, 2 + round(seconds * 60)):
        after = control_step(after, (), NO_AUDIO, FrameTime(n, n / 60, 1 / 60), show)
    return before, after


@pytest.mark.parametrize("name", ["INTENSITY", "ENERGY"])
def test_shipped_levels_begin_where_the_look_is_as_written(name: str) -> None:
    macro = bundled()[name]
    assert macro.initial == macro.neutral == 0.5
    rows = {effect.param: PARAMS[effect.param] for effect in macro.effects}
    before, up = shipped(MacroLevel(macro=name, value=1.0), seconds=2.0)
    _, down = shipped(MacroLevel(macro=name, value=0.0), seconds=2.0)
    assert {param: before.values[param] for param in rows} == {param: row.default for param, row in rows.items()}
    for param, row in rows.items():
        assert up.values[param] > row.default, param
        # Nothing shakes less than not at all.
        assert down.values[param] < row.default or row.default == row.low, param
    for effect in macro.effects:
        row = rows[effect.param]
        assert effect.apply(row.default, 0.5) <= row.high, f"{effect.param}: the end of the fader does nothing"
        lowest = effect.apply(row.default, -0.5)
        assert lowest >= row.low or row.default == row.low, f"{effect.param}: the end of the fader does nothing"


def test_shipped_audio_is_on_at_the_start_and_lets_the_picture_follow() -> None:
    on, off = shipped(MacroToggle(macro="AUDIO"), seconds=1.0)
    assert on.values["audio.follow"] == 1.0
    assert off.values["audio.follow"] == 0.0


@pytest.mark.parametrize(
    ("macro", "parameter"),
    [("BLACKOUT", "out.black"), ("FREEZE", "out.freeze"), ("STROBE", "strobe.amount"), ("INVERT", "grade.invert")],
)
def test_shipped_switches_are_full_in_the_first_frame(macro: str, parameter: str) -> None:
    before, after = shipped(MacroSet(macro=macro))
    assert (before.values[parameter], after.values[parameter]) == (0.0, 1.0)


def test_shipped_drop_hits_in_its_first_frame_and_build_rises_for_seconds() -> None:
    before, drop = shipped(MacroSet(macro="DROP"))
    assert drop.values["feedback.zoom"] > before.values["feedback.zoom"] + 0.5
    assert drop.values["gen.speed"] > 1.5 * before.values["gen.speed"]
    assert (drop.reseed, drop.cut) == (before.reseed + 1, before.cut + 1)
    speeds = [shipped(MacroSet(macro="BUILD"), seconds=s)[1].values["gen.speed"] for s in (0.5, 4.0, 9.0)]
    assert speeds[0] < speeds[1] < speeds[2]
    assert speeds[0] < 1.2 * before.values["gen.speed"]


def test_shipped_drop_wins_over_build() -> None:
    _, both = shipped(MacroSet(macro="BUILD"), MacroSet(macro="DROP"), seconds=3.0)
    assert both.macros["BUILD"].held_down
    assert both.macros["DROP"].envelope == 1.0


def test_shipped_panic_brings_everything_home() -> None:
    before, after = shipped(
        MacroSet(macro="DROP"), MacroSet(macro="BLACKOUT"), MacroLevel(macro="ENERGY", value=1.0),
        MacroSet(macro="PANIC"), seconds=1.0,
    )  # fmt: skip
    assert after.values["out.black"] == 0.0
    assert {n: s.requested for n, s in after.macros.items()} == {n: s.requested for n, s in before.macros.items()}


# ---------------------------------------------------------------- macros


def test_macro_fields_mean_what_they_say(write: Write) -> None:
    path = write(
        "burn.yaml",
        "kind: momentary\nsummary: hot\ngroup: section\npriority: 4\nattack: 0.5\nrelease: 2\nquantise: bar\n"
        "triggers: [reseed, cut]\nprompt: embers\ndefault: {note: 60, cc: 20, key: q}\n"
        "effects:\n  feedback.zoom: {add: 0.5}\n  grade.saturation: {multiply: 1.3, add: 0.1}\n"
        "  gen.palette: {set: ember}\n  out.freeze: {set: on}\n",
    )
    assert config.load_macro(path) == MacroDef(
        name="BURN",
        kind="momentary",
        summary="hot",
        group="section",
        priority=4,
        attack=0.5,
        release=2.0,
        quantise="bar",
        effects=(
            MacroEffect("feedback.zoom", "add", 0.5),
            MacroEffect("grade.saturation", "multiply", 1.3),
            MacroEffect("grade.saturation", "add", 0.1),
            MacroEffect("gen.palette", "set", 1.0),
            MacroEffect("out.freeze", "set", 1.0),
        ),
        triggers=("reseed", "cut"),
        prompt="embers",
        note=60,
        cc=20,
        key="q",
    )


MACRO_FAULTS = [
    ("kind: momentry", "kind", "momentary, toggle, level"),
    ("kid: toggle", "kid", "did you mean 'kind'?"),
    ("attack: -1", "attack", "0 to 120 s"),
    ("attack: true", "attack", "a number"),
    ("attack: .nan", "attack", "a number"),
    ("attack: .inf", "attack", "a number"),
    ("attack: fast", "attack", "a number"),
    ("attack: [1]", "attack", "a number"),
    ("priority: 1.5", "priority", "a whole number"),
    ("priority: 0x" + "f" * 6000, "priority", "a whole number"),
    ("kind: momentary\ninitial: 1", "initial", "momentary"),
    ("kind: toggle\ninitial: 0.5", "initial", "0 or 1"),
    ("summary: 5", "summary", "text"),
    ("effects: {feedbak.zoom: {add: 1}}", "effects.feedbak.zoom", "did you mean 'feedback.zoom'?"),
    ("effects: {feedback.zoom: 0.5}", "effects.feedback.zoom", "{add: 0.5}"),
    ("effects: {feedback.zoom: {ad: 0.5}}", "effects.feedback.zoom.ad", "did you mean 'add'?"),
    ("effects: {feedback.zoom: {add: 9}}", "effects.feedback.zoom.add", "-4 to 4"),
    ("effects: {feedback.zoom: {set: 3}}", "effects.feedback.zoom.set", "-2 to 2"),
    ("effects: {feedback.zoom: {multiply: 99}}", "effects.feedback.zoom.multiply", "0 to 16"),
    ("effects: {gen.family: {add: 1}}", "effects.gen.family.add", "'set'"),
    ("effects: {gen.family: {set: feelds}}", "effects.gen.family.set", "one of fields"),
    ("effects: 3", "effects", "a mapping"),
    ("triggers: [explode]", "triggers", "reseed, cut, clear, panic"),
    ("triggers: reseed", "triggers", "a list"),
    ("default: {note: 128}", "default.note", "0 to 127"),
    ("default: {note: true}", "default.note", "0 to 127"),
    ("default: {key: space}", "default.key", "does not use itself"),
    ("default: {key: Q}", "default.key", "lower-case"),
    ("default: {key: a b}", "default.key", "only a level"),
    ("kind: level\ndefault: {key: a}", "default.key", "two keys"),
    ("name: OTHER", "name", "FAULTY"),
    ("a: 1\na: 2", "a", "each key once"),
    ("kind: [", "line 1", "valid YAML"),
    ("x: &a [1]\ny: *a", "line 2", "aliases"),
    ("x: " + "[" * 5000, "line 1", "nested too deeply"),
    ("when: 2020-13-45", "(file)", "valid YAML"),
    ("!!python/object/apply:os.system [echo]", "line 1", "valid YAML"),
    ("- 1", "(file)", "'key: value'"),
    ("", "(file)", "'key: value'"),
    ("a: 1\n---\nb: 2", "line 2", "valid YAML"),
    ("a: \x00", "(file)", "valid YAML"),
]


@pytest.mark.parametrize(("text", "key", "words"), MACRO_FAULTS, ids=[t[:24] for t, _, _ in MACRO_FAULTS])
def test_macro_faults_name_file_key_and_remedy(write: Write, text: str, key: str, words: str) -> None:
    path = write("faulty.yaml", text)
    with pytest.raises(ConfigError) as caught:
        config.load_macro(path)
    assert caught.value.file == str(path)
    assert caught.value.key == key
    assert words in str(caught.value)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize("name", ["con.yaml", "2fast.yaml", "dröp.yaml", "a b.yaml"])
def test_macro_file_names_that_cannot_be_live_files_are_refused(write: Write, name: str) -> None:
    with pytest.raises(ConfigError, match="a file name of letters"):
        config.load_macro(write(name, "kind: toggle"))


def test_oversized_and_binary_files_are_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    large.write_bytes(b"# " + b"x" * config_limit())
    with pytest.raises(ConfigError, match="at most"):
        config.load_macro(large)
    junk = tmp_path / "junk.yaml"
    junk.write_bytes(b"\xff\xfe\x00\x9c")
    with pytest.raises(ConfigError, match="UTF-8"):
        config.load_macro(junk)
    with pytest.raises(ConfigError, match="a readable file"):
        config.load_macro(tmp_path / "absent.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ConfigError, match="a readable file"):
        config.load_macro(tmp_path / "folder.yaml")


def config_limit() -> int:
    from vjengine.strict_yaml import MAX_BYTES

    return MAX_BYTES


def test_two_macros_cannot_share_a_control(write: Write, tmp_path: Path) -> None:
    write("one.yaml", "kind: toggle\ndefault: {note: 40, key: q}")
    write("two.yaml", "kind: level\ndefault: {cc: 40, key: e q}")
    macros, faults = config.scan_macros(tmp_path)
    assert list(macros) == ["ONE"]
    assert "ONE has this one" in str(faults[0])
    assert faults[0].key == "default.key"
    with pytest.raises(ConfigError):
        config.load_macros(tmp_path)


def test_a_broken_file_leaves_the_others(write: Write, tmp_path: Path) -> None:
    write("good.yaml", "kind: toggle")
    write("bad.yaml", "kind: 7")
    write(".hidden.yaml", "kind: 7")
    write("notes.txt", "kind: 7")
    macros, faults = config.scan_macros(tmp_path)
    assert list(macros) == ["GOOD"]
    assert [fault.key for fault in faults] == ["kind"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a folder of YAML files"):
        config.load_macros(tmp_path / "nowhere")


# ---------------------------------------------------------------- looks

LOOK = """
summary: bright
parameters:
  gen.family: tunnel
  gen: {palette: acid, hue: 0.25}
  feedback:
    mix: 0.5
  out.freeze: off
modulations:
  - {parameter: camera.zoom, source: bass.hit, amount: 0.06, curve: 1.5, release: 0.12}
  - {parameter: gen.hue, source: lfo, shape: triangle, period: 16 beats, amount: 0.2, phase: 0.25}
  - {parameter: gen.warp, source: lfo, period: 500 ms, amount: -0.1}
  - {parameter: gen.pulse, source: macro.DROP, amount: 1}
prompt: a cathedral of light
negative: ""
"""


def test_look_reads_flat_and_nested_parameters_and_wires(write: Write) -> None:
    look = config.load_look(write("dawn.yaml", LOOK), {"DROP": MacroDef("DROP")})
    assert (look.name, look.summary, look.prompt, look.negative) == ("dawn", "bright", "a cathedral of light", "")
    assert dict(look.values) == {
        "gen.family": 4.0,
        "gen.palette": 4.0,
        "gen.hue": 0.25,
        "feedback.mix": 0.5,
        "out.freeze": 0.0,
    }
    hit, lfo, quick, drop = look.modulations
    assert (hit.param, hit.source, hit.amount, hit.curve, hit.release) == ("camera.zoom", "bass.hit", 0.06, 1.5, 0.12)
    assert (lfo.shape, lfo.period, lfo.in_beats, lfo.phase) == ("triangle", 16.0, True, 0.25)
    assert (quick.period, quick.in_beats) == (0.5, False)
    assert drop.source == "macro.DROP"


LOOK_FAULTS = [
    ("parameters: {gen.hue: 2}", "parameters.gen.hue", "a number from 0 to 1 turns"),
    ("parameters: {gen.hue: .nan}", "parameters.gen.hue", "a number from 0 to 1"),
    ("parameters: {gen.hue: yes}", "parameters.gen.hue", "a number from 0 to 1"),
    ("parameters: {gen.huge: 1}", "parameters.gen.huge", "did you mean 'gen.hue'?"),
    ("parameters: {gen: {huge: 1}}", "parameters.gen.huge", "did you mean 'gen.hue'?"),
    ("parameters: {gen: {hue: {a: 1}}}", "parameters.gen.hue", "a number from 0 to 1"),
    ("parameters: {gen: 5}", "parameters.gen", "a parameter"),
    ("parameters: {gen.hue: 0, gen: {hue: 1}}", "parameters.gen.hue", "given twice"),
    ("parameters: {gen.symmetry: 2.5}", "parameters.gen.symmetry", "a whole number from 1 to 12"),
    ("parameters: {gen.family: 3}", "parameters.gen.family", "one of fields"),
    ("parameters: {out.freeze: 2}", "parameters.out.freeze", "on or off"),
    ("parameters: [1]", "parameters", "a mapping"),
    ("modulations: {a: 1}", "modulations", "a list"),
    ("modulations: [3]", "modulations[1]", "a mapping of parameter"),
    ("modulations: [{parameter: gen.hue, amount: 1}]", "modulations[1].source", "to be given"),
    ("modulations: [{parameter: gen.hoe, source: rms, amount: 1}]", "modulations[1].parameter", "'gen.hue'"),
    ("modulations: [{parameter: gen.hue, source: bas.hit, amount: 1}]", "modulations[1].source", "'bass.hit'"),
    ("modulations: [{parameter: gen.hue, source: macro.DORP, amount: 1}]", "modulations[1].source", "'macro.DROP'"),
    ("modulations: [{parameter: gen.hue, source: rms, amount: 5}]", "modulations[1].amount", "-1 to 1 turns"),
    ("modulations: [{parameter: gen.hue, source: rms, amount: 1, shape: sine}]", "modulations[1].shape", "lfo"),
    ("modulations: [{parameter: gen.hue, source: lfo, amount: 1, curve: 2}]", "modulations[1].curve", "lfo"),
    ("modulations: [{parameter: gen.hue, source: lfo, amount: 1, period: 8}]", "modulations[1].period", "'16 beats'"),
    ("modulations: [{parameter: gen.hue, source: lfo, amount: 1, period: 0 s}]", "modulations[1].period", "0.01"),
    ("modulations: [{parameter: gen.hue, source: lfo, amount: 1, shape: sin}]", "modulations[1].shape", "sine"),
    ("promt: x", "promt", "did you mean 'prompt'?"),
    ("prompt: 7", "prompt", "text"),
]


@pytest.mark.parametrize(("text", "key", "words"), LOOK_FAULTS, ids=[t[:60] for t, _, _ in LOOK_FAULTS])
def test_look_faults_name_file_key_and_remedy(write: Write, text: str, key: str, words: str) -> None:
    path = write("faulty.yaml", text)
    with pytest.raises(ConfigError) as caught:
        config.load_look(path, {"DROP": MacroDef("DROP")})
    assert caught.value.key == key
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_looks_of_a_folder_come_by_name_and_faults_beside_them(write: Write, tmp_path: Path) -> None:
    write("b.yaml", "summary: two")
    write("a.yaml", "summary: one")
    write("c.yaml", "sumary: three")
    write("a.yml", "summary: again")
    looks, faults = config.load_looks(tmp_path, first="a")
    assert list(looks) == ["a", "b"]
    assert [fault.key for fault in faults] == ["(file)", "sumary"]


def test_the_first_look_must_be_right(write: Write, tmp_path: Path) -> None:
    write("a.yaml", "summary: one")
    write("c.yaml", "sumary: three")
    with pytest.raises(ConfigError, match="sumary"):
        config.load_looks(tmp_path, first="c")


def test_the_first_look_may_be_a_file_elsewhere(write: Write, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    mine = str(write("mine.yaml", "summary: own"))
    looks, _ = config.load_looks(tmp_path / "folder", first=mine)
    assert looks[mine].summary == "own"
    assert looks[mine].name == mine
    with pytest.raises(ConfigError, match="a readable file"):
        config.load_looks(tmp_path / "folder", first=str(tmp_path / "absent.yaml"))


@given(value=st.one_of(st.floats(), st.integers(), st.booleans(), st.text(max_size=5), st.none()))
def test_no_value_gets_past_its_row(value: object) -> None:
    place = config.Place(Path("x.yaml"))
    for row in PARAMS:
        try:
            read = config.parameter_value(place, row, value)
        except ConfigError:
            continue
        assert math.isfinite(read)
        assert row.clamp(read) == read


# ---------------------------------------------------------------- the live folder


def test_active_folder_is_beside_the_macros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VJENGINE_ACTIVE", raising=False)
    assert config.active_dir(tmp_path) == tmp_path / "active"
    monkeypatch.setenv("VJENGINE_ACTIVE", str(tmp_path / "elsewhere"))
    assert config.active_dir(tmp_path) == tmp_path / "elsewhere"


def test_active_folder_of_an_unwritable_installation_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VJENGINE_ACTIVE", raising=False)
    missing = tmp_path / "no" / "such"
    assert "vjengine" in config.active_dir(missing).parts
