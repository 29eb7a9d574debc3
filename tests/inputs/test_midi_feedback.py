"""Lights without a device: what they show, how they are sent, and that a frozen MIDI process holds nobody up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import MappingProxyType

import pytest

from vjengine.core.control import ControlState
from vjengine.core.exchange import Latest
from vjengine.core.looks import Look
from vjengine.core.macros import MacroState
from vjengine.core.params import PARAMS
from vjengine.inputs.midi_feedback import PORTION, SETTLING, Feedback
from vjengine.inputs.midi_lights import LightBoard, glow, place_of
from vjengine.inputs.midi_map import (
    BankTarget,
    Control,
    LookTarget,
    MacroTarget,
    MidiMap,
    ParamTarget,
    Row,
    TempoTarget,
    View,
)
from vjengine.inputs.midi_process import ROOM, Speaker
from vjengine.inputs.midi_profile import Light, Part, Profile
from vjengine.inputs.midi_reader import MidiReader
from vjengine.inputs.midi_rig import PortSetup

DROP = MacroTarget("DROP", "momentary")
MIX = ParamTarget("feedback.mix")


def note(number: int, channel: int = 1) -> Control:
    return Control("note", channel, number)


def state(**macros: MacroState) -> ControlState:
    return ControlState(macros=MappingProxyType({"DROP": MacroState(), **macros}))


def board(light: Light, control: Control) -> LightBoard:
    return LightBoard(Profile("x", parts={"part": Part("part", control, light=light)}))


PAD = note(36)


def shown(
    lights: LightBoard,
    row: Row,
    now: ControlState,
    *,
    dark: bool = False,
    touched: tuple[int, float] | None = None,
    control: Control = PAD,
) -> str:
    heard = {} if touched is None else {control: touched}
    found = lights.changes(View({control: row}), now, bank=1, now=10.0, dark_phase=dark, touched=heard)
    return " ".join(message.hex() for message in found.values())


def test_what_glows() -> None:
    on, armed = state(DROP=MacroState(requested=1.0)), state(DROP=MacroState(requested=1.0, armed=True))
    assert [glow(Row(DROP), each, 1) for each in (state(), on, armed)] == ["idle", "on", "blink"]
    assert glow(None, on, 1) == "off"
    assert glow(Row(MacroTarget("GONE", "toggle")), on, 1) == "idle"
    moved = replace(state(), targets=MappingProxyType({"feedback.mix": 0.5}))
    still = replace(state(), targets=MappingProxyType({"feedback.mix": 0.0}))
    assert [glow(Row(MIX), each, 1) for each in (moved, still)] == ["on", "idle"]
    assert [glow(Row(ParamTarget("feedback.mix", 0.5)), each, 1) for each in (moved, still)] == ["on", "idle"]
    assert glow(Row(LookTarget("ember")), replace(state(), look=Look("ember")), 1) == "on"
    assert [glow(Row(BankTarget(2)), state(), bank) for bank in (1, 2)] == ["idle", "on"]
    beat = replace(state(), beat_running=True, beats=4.1)
    assert [glow(Row(TempoTarget("tap")), each, 1) for each in (beat, replace(beat, beats=4.5))] == ["on", "idle"]


def test_places_are_those_of_the_hand_not_of_the_music() -> None:
    assert place_of(DROP, state(DROP=MacroState(requested=1.0, envelope=0.1))) == 1.0
    assert place_of(MIX, state()) == pytest.approx(PARAMS["feedback.mix"].default)
    assert place_of(TempoTarget("tap"), state()) is None


def test_lamps_blink_by_value_by_channel_or_by_us() -> None:
    armed = state(DROP=MacroState(requested=1.0, armed=True))
    row = Row(DROP, colour="red")
    colours = {"red": 5}
    by_value = board(Light(note(36), on=3, blink=4, colours=colours), note(36))
    by_channel = board(Light(note(36, 7), on=3, blink_channel=14, colours=colours), note(36))
    by_us = board(Light(note(36), idle=1, on=3, colours=colours), note(36))
    assert shown(by_value, row, armed) == "902404"
    assert shown(by_channel, row, armed) == "9d2405"
    assert [shown(by_us, row, armed, dark=dark) for dark in (False, True)] == ["902405", "902401"]


def test_nothing_is_sent_twice_until_it_is_forgotten() -> None:
    lights = board(Light(note(36), idle=1), note(36))
    found = lights.changes(View({note(36): Row(DROP)}), state(), bank=1, now=0.0, dark_phase=False)
    lights.sent(found)
    assert shown(lights, Row(DROP), state()) == ""
    lights.forget()
    assert shown(lights, Row(DROP), state()) == "902401"
    assert [message.hex() for message in lights.darkness()] == ["902400"]


def test_motors_follow_but_leave_a_fader_alone_that_a_hand_is_on() -> None:
    fader = Control("control", 1, 7)
    motor = board(Light(fader, level=True), fader)
    now = replace(state(), targets=MappingProxyType({"feedback.mix": 0.5}))
    assert shown(motor, Row(MIX), now, control=fader) == "b00740"
    assert shown(motor, Row(MIX, low=1.0, high=0.0), now, control=fader) == "b00740"
    assert shown(motor, Row(MIX, low=0.0, high=0.5), now, control=fader) == "b0077f"
    assert shown(motor, Row(MIX), now, control=fader, touched=(0, 9.9)) == "", "a hand is on it"
    assert shown(motor, Row(MIX), now, control=fader, touched=(64, 1.0)) == "", "it stands there"
    assert shown(motor, Row(MIX), now, control=fader, touched=(0, 1.0)) == "b00740"
    bend = board(Light(Control("bend", 3, 0), level=True), Control("bend", 3, 0))
    assert shown(bend, Row(MIX), now, control=Control("bend", 3, 0)) == "e20040"


class Ear:
    """A process that reads its standard input, and says what it read."""

    def __init__(self) -> None:
        code = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
        self.process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def line(self) -> list[object]:
        assert self.process.stdout is not None
        return list(json.loads(self.process.stdout.readline()))

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def test_a_new_controller_is_greeted_then_shown_everything_in_portions() -> None:
    ear = Ear()
    try:
        parts = {f"{i}": Part(f"{i}", note(i), light=Light(note(i), idle=1)) for i in range(PORTION + 5)}
        profile = Profile("x", parts=parts, hello=(b"\xf0\x01\xf7",), goodbye=(b"\xf0\x02\xf7",))
        mapping = MidiMap({note(0): Row(DROP)})
        feedback = Feedback(Latest(state()))
        speaker = Speaker(ear.process)
        feedback.begin(speaker)
        feedback.connect({"pads:out": PortSetup(mapping, profile)}, ["pads:in"])
        readers = {"pads:out": MidiReader(mapping, "")}
        for now in (0.0, SETTLING / 2, SETTLING, SETTLING + 0.1, SETTLING + 0.2):
            feedback.tick(now, readers, None)
        assert ear.line() == ["to", "pads:in", []], "opened first"
        assert ear.line() == ["to", "pads:in", ["f001f7"]]
        first, second = ear.line()[2], ear.line()[2]
        assert isinstance(first, list)
        assert isinstance(second, list)
        assert [len(first), len(second)] == [PORTION, 5]
        assert first[:2] == ["900001", "900100"]
        feedback.put_out()
        last = [message for _ in range(2) for message in ear.line()[2]]  # type: ignore[attr-defined]
        assert last == [*(f"90{i:02x}00" for i in range(PORTION + 5)), "f002f7"]
    finally:
        ear.end()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_frozen_midi_process_takes_only_so_much_and_holds_nobody_up() -> None:
    ear = Ear()
    try:
        speaker = Speaker(ear.process)
        assert speaker.say(["to", "x", []])
        speaker.took(len(b'["to","x",[]]\n'))
        assert speaker.idle
        os.kill(ear.process.pid, signal.SIGSTOP)
        line = ["to", "pads", ["902401"] * 20]
        said = 0
        began = time.monotonic()
        while speaker.say(line):
            said += 1
        assert 0 < said * len(json.dumps(line)) < 2 * ROOM
        assert not speaker.idle
        assert time.monotonic() - began < 10.0
    finally:
        ear.end()
    speaker.took(speaker._said)
    assert not speaker.say(["to", "pads", []]), "a dead one hears nothing, and that is no error"


def test_without_a_show_or_after_strikes_lights_are_left_alone() -> None:
    profile = Profile("x", parts={"a": Part("a", note(1), light=Light(note(1)))})
    mapping = MidiMap()
    for feedback in (Feedback(None), Feedback(Latest(state()))):
        feedback.begin(None)
        feedback.connect({"pads:out": PortSetup(mapping, profile)}, ["pads:in"])
        feedback.tick(1.0, {"pads:out": MidiReader(mapping, "")}, None)
        feedback.put_out()
        assert feedback.sent == 0
