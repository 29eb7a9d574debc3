"""The bundled controller profiles, the choice among them, and the files of performers on top."""

from __future__ import annotations

from pathlib import Path

import pytest

from vjengine.config import load_looks, load_macros
from vjengine.core.macros import MacroDef
from vjengine.errors import ConfigError
from vjengine.inputs.midi_map import Control, LookTarget, MacroTarget
from vjengine.inputs.midi_names import partner, short
from vjengine.inputs.midi_profile import choose_profile, load_profiles, read_profile
from vjengine.inputs.midi_rig import MidiRig
from vjengine.resources import resource_dir

FOLDER = resource_dir("presets") / "midi" / "profiles"
MACROS = load_macros(resource_dir("macros"))
LOOKS = tuple(load_looks(resource_dir("presets"), MACROS)[0])
PROFILES, FAULTS = load_profiles(FOLDER, MACROS, LOOKS)


def test_all_bundled_profiles_can_be_read_and_say_what_was_not_checked() -> None:
    assert FAULTS == []
    assert len(PROFILES) >= 8
    for profile in PROFILES.values():
        assert profile.file == "generic" or "Not checked on real hardware" in profile.source, profile.file


@pytest.mark.parametrize("name", [name for name in PROFILES if name != "generic"])
def test_every_layout_plays_drop_and_calms_down_and_no_two_controls_send_the_same(name: str) -> None:
    profile = PROFILES[name]
    controls = [part.control for part in profile.parts.values()]
    assert len(set(controls)) == len(controls)
    rows = [*profile.layer.rows.values(), *(row for bank in profile.layer.banks.values() for row in bank.values())]
    macros = {row.target.macro for row in rows if row is not None and isinstance(row.target, MacroTarget)}
    assert {"DROP", "BUILD", "CHILL", "AUDIO", "BLACKOUT", "PANIC"} <= macros
    for row in rows:
        assert row is not None
        if isinstance(row.target, LookTarget) and row.target.look:
            assert row.target.look in LOOKS


@pytest.mark.parametrize("name", [name for name in PROFILES if name != "generic"])
def test_every_name_in_a_bundled_layout_is_known_here(name: str) -> None:
    """A stray name is left out when a profile is loaded, so that a show with macros of its own is not refused; ours
    have to exist, apart from those that come with other parts of the engine."""
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    named = {part.split("}")[0].split(",")[0].strip() for part in text.split("{macro: ")[1:]}
    assert named <= {*MACROS, "QR", "LOCK"}


@pytest.mark.parametrize(
    ("port", "name"),
    [
        ("APC MINI:APC MINI MIDI 1 24:0", "akai-apc-mini"),
        ("APC mini mk2:APC mini mk2 Control 28:0", "akai-apc-mini-mk2"),
        ("nanoKONTROL2 0", "korg-nanokontrol2"),
        ("nanoKONTROL2:nanoKONTROL2 nanoKONTROL2 _ CTR 20:0", "korg-nanokontrol2"),
        ("Launch Control XL:Launch Control XL MIDI 1 20:0", "novation-launch-control-xl"),
        ("Launchpad Mini MK3:Launchpad Mini MK3 LPMiniMK3 MI 20:1", "novation-launchpad-mini-mk3"),
        ("Launchpad X LPX MIDI Out", "novation-launchpad-x"),
        ("MPK mini 3", "akai-mpk-mini"),
        ("DDJ-400:DDJ-400 MIDI 1 20:0", "pioneer-ddj"),
        ("a2j:nanoKONTROL2 [20] (capture): nanoKONTROL2 MIDI 1", "korg-nanokontrol2"),
        ("Arturia KeyStep 32", None),
    ],
)
def test_profiles_are_chosen_by_port(port: str, name: str | None) -> None:
    found = choose_profile(PROFILES, port)
    assert (found.file if found else None) == name


def test_numbers_that_makers_publish() -> None:
    def sends(profile: str, part: str) -> Control:
        return PROFILES[profile].parts[part].control

    assert sends("akai-apc-mini", "pad 8/1") == Control("note", 1, 0)
    assert sends("akai-apc-mini", "pad 1/8") == Control("note", 1, 63)
    assert sends("akai-apc-mini-mk2", "side 8") == Control("note", 1, 119)
    assert sends("novation-launchpad-x", "pad 1/1") == Control("note", 1, 81)
    assert sends("novation-launchpad-x", "side 8") == Control("control", 1, 19)
    assert sends("novation-launch-control-xl", "fader 8") == Control("control", 9, 84)
    assert sends("korg-nanokontrol2", "record 8") == Control("control", 0, 71)
    assert PROFILES["pioneer-ddj"].parts["crossfader"].fine == 63
    assert PROFILES["novation-launchpad-mini-mk3"].hello == (bytes.fromhex("f0002029020d0e01f7"),)


def test_profile_then_map_file_then_what_was_learnt(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "notes: {ch1/56: {macro: CHILL}}\nports: {keystep: {profile: korg-nanokontrol2}, apc: {profile: none}}\n"
    )
    plain = MidiRig.load(MACROS, LOOKS)
    own = MidiRig.load(MACROS, LOOKS, map_file=mine)

    def macro(rig: MidiRig, port: str, note: int) -> str:
        setup = rig.for_port(port)
        row = setup.mapping.view(1).find(Control("note", 1, note))
        return row.target.macro if row is not None and isinstance(row.target, MacroTarget) else ""

    assert macro(plain, "unknown keys", 36) == "DROP", "the macro's own key"
    assert macro(plain, "APC MINI", 56) == "DROP", "the profile's first pad"
    assert macro(plain, "APC MINI", 36) == "", "its other pads are not the macros' own keys"
    assert macro(own, "nothing special", 56) == "CHILL"
    keystep = own.for_port("KeyStep 32").profile
    assert keystep is not None
    assert keystep.file == "korg-nanokontrol2"
    assert own.for_port("APC MINI").profile is None
    assert macro(own, "APC MINI", 36) == "DROP"


def test_on_and_off_need_no_quotes_as_names_of_lights(tmp_path: Path) -> None:
    """YAML takes an unquoted on for true."""
    path = tmp_path / "mine.yaml"
    path.write_text("name: a\nlights: {p: {off: 2, on: 3}}\ncontrols: {pad: {note: 1, light: p}}")
    light = read_profile(path, {}).parts["pad"].light
    assert light is not None
    assert (light.off, light.idle, light.on) == (2, 2, 3)


def test_a_map_file_that_names_no_profile_we_have_is_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("ports: {nano: {profile: korg-nanokontrol}}")
    with pytest.raises(ConfigError, match="did you mean 'korg-nanokontrol2'"):
        MidiRig.load(MACROS, LOOKS, map_file=mine)


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("ports: [x y]", "name", "name"),
        ("name: a\nports: [1]", "ports", "quotes"),
        ("name: a\ncontrols: {f 1..2: {control: 0..7}}", "control", "2 numbers"),
        ("name: a\ncontrols: {f: {control: 128}}", "control", "0 to 127"),
        ("name: a\ncontrols: {f: {control: 1, note: 2}}", "controls.f", "exactly one"),
        ("name: a\ncontrols: {f: {control: 1, light: red}}", "light", "lights"),
        ("name: a\ncontrols: {f 1..2: {note: 0..1}, f 1: {note: 3}}", "controls.f 1", "once"),
        ("name: a\nlights: {p: {glow: 3}}", "lights.p.glow", "known key"),
        ("name: a\nlights: {p: {'on': 128}}", "on", "0 to 127"),
        ("name: a\nlayout: {fader 1: {macro: DROP}}", "layout.fader 1", "name of a control"),
        ("name: a\ncontrols: {f: {note: 1}}\nlayout: {f: {encoder: twos, macro: DROP}}", "encoder", "controls"),
        ("name: a\nbanks: {x: {}}", "banks.x", "1 to 16"),
        ("name: a\nhello: [zz]", "hello", "hexadecimal"),
        ("name: a\nhello: ['F0 00 90 F7']", "hello", "below 80h"),
        ("name: a\ncontrols: [1]", "controls", "mapping"),
    ],
)
def test_wrong_profiles_name_key_value_and_remedy(tmp_path: Path, text: str, key: str, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_profile(path, {"DROP": MacroDef("DROP")})
    assert str(path) in str(caught.value)
    assert caught.value.key.endswith(key)
    assert says in caught.value.expected


@pytest.mark.parametrize(
    ("port", "name"),
    [
        ("nanoKONTROL2:nanoKONTROL2 MIDI 1 24:0", "nanoKONTROL2"),
        ("nanoKONTROL2 0", "nanoKONTROL2"),
        ("a2j:nanoKONTROL2 [20] (capture): nanoKONTROL2 MIDI 1", "nanoKONTROL2"),
        ("Midi-Bridge:APC MINI 3:(capture_0) APC MINI MIDI 1", "APC MINI"),
        ("pads:out", "pads"),
        (":odd", ":odd"),
    ],
)
def test_ports_have_short_names_that_outlive_a_replug(port: str, name: str) -> None:
    assert short(port) == name


@pytest.mark.parametrize(
    ("port", "outputs", "found"),
    [
        ("APC:APC 24:0", ["Other 20:0", "APC:APC 24:0"], "APC:APC 24:0"),
        ("pads:out", ["other:in", "pads:in"], "pads:in"),
        ("nanoKONTROL2 0", ["Microsoft GS Wavetable Synth 0", "nanoKONTROL2 1"], "nanoKONTROL2 1"),
        ("a2j:APC [20] (capture): APC", ["a2j:Thru [14] (playback): x", "a2j:APC [20] (playback): APC"],
         "a2j:APC [20] (playback): APC"),
        ("nanoKONTROL2 SLIDER/KNOB", ["Synth", "nanoKONTROL2 CTRL"], "nanoKONTROL2 CTRL"),
        ("keys:out", ["Synth"], None),
    ],
)  # fmt: skip
def test_lights_go_to_the_output_of_the_same_controller(port: str, outputs: list[str], found: str | None) -> None:
    assert partner(port, outputs, ("nanokontrol2",)) == found
