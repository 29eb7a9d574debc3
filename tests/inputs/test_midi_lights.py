"""Lights, banks and learning over a real JACK server, with a controller that has lights, in its own process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from vjengine.core.clock import FrameTime, LiveClock
from vjengine.core.control import ControlState
from vjengine.core.events import Event, LearnMidi, LookSelected, MacroLevel, MacroSet, MacroToggle, StatusChanged
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.macros import MacroDef, MacroState
from vjengine.inputs.midi import MidiInput
from vjengine.inputs.midi_map import BankTarget, Control, Layer, LookTarget, MacroTarget, Row
from vjengine.inputs.midi_profile import Light, Part, Profile
from vjengine.inputs.midi_rig import MidiRig

MACROS = {
    "DROP": MacroDef("DROP", quantise="bar"),
    "AUDIO": MacroDef("AUDIO", kind="toggle"),
    "ENERGY": MacroDef("ENERGY", kind="level"),
}
DROP, AUDIO, ENERGY = (MacroTarget(name, macro.kind) for name, macro in MACROS.items())
HELLO, GOODBYE = bytes.fromhex("f000202901f7"), bytes.fromhex("f000202900f7")


def note(number: int) -> Control:
    return Control("note", 1, number)


def lamp(number: int, **options: Any) -> Light:
    return Light(note(number), **{"idle": 1, "on": 3, "blink": 4, **options})


PADS = Profile(
    "Test pads",
    "pads",
    ports=("pads",),
    outputs=("pads lights",),
    parts={
        "pad 1": Part("pad 1", note(36), light=lamp(36)),
        "pad 2": Part("pad 2", note(37), light=lamp(37, colours={"red": 5})),
        "bank": Part("bank", note(38), light=lamp(38)),
        "dead": Part("dead", note(39), light=lamp(39)),
        "fader": Part("fader", Control("control", 1, 7), light=Light(Control("control", 1, 7), level=True)),
    },
    layer=Layer(
        rows={
            note(36): Row(DROP),
            note(37): Row(AUDIO, colour="red"),
            note(38): Row(BankTarget(2)),
            Control("control", 1, 7): Row(ENERGY),
        },
        banks={1: {}, 2: {note(37): Row(LookTarget(step=1))}},
        pickup="soft",
    ),
    hello=(HELLO,),
    goodbye=(GOODBYE,),
)

Show_ = Callable[..., None]
Start = Callable[..., MidiInput]


@pytest.fixture
def control(clock: LiveClock) -> Latest[ControlState]:
    return Latest(ControlState(macros=MappingProxyType({name: MacroState() for name in MACROS})))


@pytest.fixture
def show(control: Latest[ControlState], clock: LiveClock) -> Show_:
    """Publish a control state with these macro states."""

    def publish(**macros: MacroState) -> None:
        state = control.read()
        time = FrameTime(state.time.index + 1, clock.now(), 0.0)
        control.publish(replace(state, time=time, macros=MappingProxyType({**state.macros, **macros})))

    return publish


@pytest.fixture
def listen(clock: LiveClock, events: EventQueue, control: Latest[ControlState], tmp_path: Path) -> Iterator[Start]:
    started: list[MidiInput] = []

    def start(profile: Profile | None = PADS) -> MidiInput:
        profiles = {} if profile is None else {profile.file: profile}
        rig = MidiRig(profiles=profiles, macros=MACROS, learnt_path=tmp_path / "config" / "learnt.yaml")
        started.append(MidiInput(rig, clock, events, control, poll_interval=0.05))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.stop()


def said(words: str) -> Callable[[list[Event]], bool]:
    return lambda events: any(isinstance(event, StatusChanged) and words in event.message for event in events)


@pytest.mark.real
def test_lights_follow_the_show_and_go_out_at_its_end(
    surface: Callable[[str], Any], listen: Start, show: Show_, collector: Any
) -> None:
    pads = surface("pads")
    midi = listen()
    dark = {36: 1, 37: 1, 38: 1, 39: 0}
    pads.until(lambda heard: pads.lights(heard) == dark and HELLO.hex() in heard)
    show(DROP=MacroState(requested=1.0, armed=True), AUDIO=MacroState(requested=1.0), ENERGY=MacroState(requested=0.5))
    pads.until(lambda heard: pads.lights(heard) == {**dark, 36: 4, 37: 5} and "b00740" in heard)
    show(DROP=MacroState(requested=1.0))
    pads.until(lambda heard: pads.lights(heard)[36] == 3)

    # Replugged, it is shown everything again.
    pads.kill()
    collector.until(said("pads is gone"))
    pads = surface("pads")
    pads.until(lambda heard: pads.lights(heard) == {**dark, 36: 3, 37: 5} and "b00740" in heard)

    # Another bank, other lights: the second pad calls the next look there.
    collector.clear()
    for _ in range(20):
        pads.send("90 26 64")
        pads.send("80 26 00")
        if pads.waits(lambda heard: pads.lights(heard)[38] == 3 and pads.lights(heard)[37] == 1, 1.0):
            break
    pads.until(lambda heard: pads.lights(heard) == {**dark, 36: 3, 38: 3})
    pads.send("90 25 64")
    collector.until(lambda events: any(isinstance(event, LookSelected) for event in events))

    midi.stop()
    pads.until(lambda heard: not any(pads.lights(heard).values()) and GOODBYE.hex() in heard)
    assert midi.feedback.sent < 200, "nothing is sent twice"


@pytest.mark.real
def test_a_control_is_learnt_kept_and_taken_back(
    surface: Callable[[str], Any], listen: Start, show: Show_, collector: Any, tmp_path: Path
) -> None:
    pads = surface("pads")
    midi = listen()
    pads.until(lambda heard: 36 in pads.lights(heard))
    midi.learn(LearnMidi(target="audio"))
    collector.until(said("learning audio"))
    # Where it is mapped already, it blinks.
    pads.until(lambda heard: pads.lights(heard)[37] == 4)
    collector.clear()
    for _ in range(20):
        pads.send("90 24 64")
        pads.send("80 24 00")
        if pads.waits(lambda heard: pads.lights(heard)[37] == 1, 1.0):
            break
    collector.until(said("audio is now pad 1 of pads (it was DROP"))
    assert not [event for event in collector.events if isinstance(event, MacroSet)], "it is not played meanwhile"

    def press(seen: Callable[[list[Event]], object]) -> None:
        collector.clear()
        for _ in range(20):
            pads.send("90 24 64")
            pads.send("80 24 00")
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                if seen(collector.until(lambda _: True)):
                    return
                time.sleep(0.01)
        pytest.fail(f"not seen: {collector.events}")

    press(lambda events: any(isinstance(event, MacroToggle) and event.macro == "AUDIO" for event in events))
    assert "ch1/36" in (tmp_path / "config" / "learnt.yaml").read_text()
    midi.stop()

    again = listen()
    collector.until(lambda _: again.connected == ("pads:out",))
    press(lambda events: any(isinstance(event, MacroToggle) and event.macro == "AUDIO" for event in events))
    again.stop()

    last = listen(None)
    last.learn(LearnMidi(target="ENERGY"))
    collector.until(lambda _: last.connected == ("pads:out",) and bool(last.learner.armed))
    for _ in range(20):
        for value in (0, 20, 60, 90, 127):
            pads.send(f"b0 50 {value:02x}")
        time.sleep(0.6)
        if not last.learner.armed:
            break
    collector.until(said("ENERGY is now CC 80 ch1 of pads"))
    collector.clear()
    for _ in range(20):
        pads.send("b0 50 7f")
        time.sleep(0.3)
        collector.until(lambda _: True)
        if any(isinstance(event, MacroLevel) and event.macro == "ENERGY" for event in collector.events):
            break
    else:
        pytest.fail("the learnt fader moves nothing")
    last.learn(LearnMidi(undo=True))
    collector.until(said("as it was before"))
    text = (tmp_path / "config" / "learnt.yaml").read_text()
    assert "ch1/36" in text
    assert "ch1/80" not in text
