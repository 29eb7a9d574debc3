"""The control step, driven as the engine drives it: a frame at a time, with real values."""

import itertools
from collections.abc import Iterable

import numpy as np
import pytest

from vjengine.core import events as ev
from vjengine.core.clock import FrameClock
from vjengine.core.control import ControlState
from vjengine.core.looks import Look
from vjengine.core.macros import MacroDef, MacroEffect
from vjengine.core.modulation import Modulation
from vjengine.core.reducer import control_step, generator_params, initial_state
from vjengine.core.show import Show
from vjengine.core.signals import NO_AUDIO, AudioFeatures, BeatClock

BEATING = BeatClock(anchor=0.0, period=0.5, count=0, downbeat=0, confidence=1.0, running=True)


def show() -> Show:
    macros = [
        MacroDef("DROP", group="section", priority=30, effects=(MacroEffect("gen.speed", "add", 2.0),)),
        MacroDef("CHILL", group="section", priority=10, effects=(MacroEffect("gen.speed", "multiply", 0.2),)),
        MacroDef("AUDIO", kind="toggle", initial=1.0, effects=(MacroEffect("audio.follow", "set", 1.0),)),
        MacroDef("HIT", quantise="bar", triggers=("reseed",), effects=(MacroEffect("out.flash", "set", 1.0),)),
        MacroDef("ENERGY", kind="level", initial=0.5, neutral=0.5, effects=(MacroEffect("gen.warp", "add", 0.2),)),
        MacroDef("BLACKOUT", kind="toggle", priority=99, effects=(MacroEffect("out.black", "set", 1.0),)),
        MacroDef("PANIC", triggers=("panic",)),
        MacroDef("WORDS", prompt="molten gold"),
    ]
    looks = [
        Look("default", values={"gen.warp": 0.2}, prompt="a forest"),
        Look("kick", modulations=(Modulation("camera.zoom", "bass.hit", 0.5),)),
        Look("wave", modulations=(Modulation("gen.hue", "lfo", 1.0, shape="saw", period=1.0),)),
    ]
    return Show({macro.name: macro for macro in macros}, {look.name: look for look in looks})


class Runner:
    """Steps a show at 60 fps."""

    def __init__(self, look: str = "default") -> None:
        self.show = show()
        self.clock = FrameClock(60)
        self.state: ControlState = initial_state(self.show, look)

    def step(self, *events: ev.Event, features: AudioFeatures = NO_AUDIO, n: int = 1) -> ControlState:
        pending: Iterable[ev.Event] = events
        for _ in range(n):
            self.state = control_step(self.state, pending, features, self.clock.frame(), self.show)
            self.clock.advance()
            pending = ()
        return self.state


def hearing(beat: BeatClock = BEATING, hop: int = 1, time: float = 1e9, **more: object) -> AudioFeatures:
    return AudioFeatures(time=time, hop=hop, silent=False, beat=beat, **more)  # type: ignore[arg-type]


def test_a_macro_changes_its_parameter_in_the_very_next_frame() -> None:
    run = Runner()
    assert run.step().values["gen.speed"] == 1.0
    assert run.step(ev.MacroSet(macro="DROP")).values["gen.speed"] == 3.0
    assert run.step(ev.MacroSet(macro="DROP", value=0)).values["gen.speed"] == 1.0


def test_drop_wins_over_chill_and_chill_comes_back() -> None:
    run = Runner()
    run.step(ev.MacroSet(macro="CHILL"))
    assert run.state.values["gen.speed"] == pytest.approx(0.2)
    run.step(ev.MacroSet(macro="DROP"))
    assert run.state.values["gen.speed"] == 3.0
    assert run.state.macros["CHILL"].held_down
    run.step(ev.MacroSet(macro="DROP", value=0))
    assert run.state.values["gen.speed"] == pytest.approx(0.2)


def test_press_and_release_in_one_frame_shows_for_one_frame() -> None:
    run = Runner()
    run.step()
    assert run.step(ev.MacroSet(macro="DROP"), ev.MacroSet(macro="DROP", value=0)).values["gen.speed"] == 3.0
    assert run.step().values["gen.speed"] == 1.0


def test_beats_fire_once_each_and_never_in_silence() -> None:
    run = Runner()
    beats = sum(run.step(features=hearing()).beat for _ in range(600))
    # Ten seconds at 120 BPM; the first frame only takes its bearings.
    assert beats == 19
    assert run.state.beat_count == 19
    assert sum(run.step().beat for _ in range(120)) == 0


def test_small_corrections_of_the_clock_neither_repeat_a_beat_nor_run_backwards() -> None:
    run = Runner()
    fired, last = 0, -1.0
    for i in range(600):
        wobble = BeatClock(anchor=0.02 * (-1) ** i, period=0.5, confidence=1.0, running=True)
        state = run.step(features=hearing(wobble))
        fired += state.beat
        assert state.beats >= last
        last = state.beats
    # From just before beat 0 to just after beat 20, each exactly once.
    assert fired == 21


def test_bars_begin_on_the_downbeat() -> None:
    run = Runner()
    shifted = BeatClock(anchor=0.0, period=0.5, downbeat=3, confidence=1.0, running=True)
    bars = [round(run.state.beats) % 4 for _ in range(600) if run.step(features=hearing(shifted)).bar]
    assert bars
    assert set(bars) == {3}


def test_a_quantised_macro_waits_for_its_bar() -> None:
    run = Runner()
    run.step(features=hearing(), n=15)
    run.step(ev.MacroSet(macro="HIT"), features=hearing())
    assert run.state.macros["HIT"].armed
    assert run.state.values["out.flash"] == 0.0
    assert run.state.reseed == 0
    waited = 0
    while run.state.macros["HIT"].armed:
        run.step(features=hearing())
        waited += 1
    assert run.state.bar
    assert run.state.values["out.flash"] == 1.0
    assert run.state.reseed == 1
    assert 90 < waited < 110


def test_a_press_just_after_the_bar_counts_as_on_it() -> None:
    run = Runner()
    run.step(features=hearing(), n=122)
    assert 4.0 <= run.state.beats < 4.1
    run.step(ev.MacroSet(macro="HIT"), features=hearing())
    assert not run.state.macros["HIT"].armed


def test_a_quantised_macro_does_not_wait_for_a_beat_that_is_not_there() -> None:
    run = Runner()
    assert run.step(ev.MacroSet(macro="HIT")).values["out.flash"] == 1.0


def test_audio_toggle_cuts_the_wire_from_music_to_picture() -> None:
    run = Runner("kick")
    loud = hearing(hits=(0.0, 1.0, 0.0, 0.0, 0.0, 0.0))
    assert run.step(features=loud).values["camera.zoom"] == pytest.approx(1.5)
    assert generator_params(run.state, 1, run.show).hits[1] == 1.0
    assert run.step(ev.MacroToggle(macro="AUDIO"), features=loud).values["camera.zoom"] == 1.0
    assert generator_params(run.state, 2, run.show).hits[1] == 0.0
    assert run.step(ev.MacroToggle(macro="AUDIO"), features=loud).values["camera.zoom"] == pytest.approx(1.5)


def test_hue_goes_round_instead_of_sticking() -> None:
    run = Runner("wave")
    seen = [run.step().values["gen.hue"] for _ in range(120)]
    assert min(seen) < 0.1
    assert max(seen) > 0.9
    assert sum(abs(a - b) < 0.05 for a, b in itertools.pairwise(seen)) > 100


def test_a_fader_glides_and_arrives() -> None:
    run = Runner()
    run.step()
    first = run.step(ev.ParamSet(param="gen.warp", value=1.0)).values["gen.warp"]
    assert 0.2 < first < 1.0
    assert run.step(n=60).values["gen.warp"] == pytest.approx(1.0, abs=1e-3)


def test_a_new_look_keeps_calibration_and_drops_the_rest() -> None:
    run = Runner()
    run.step(ev.ParamSet(param="gen.warp", value=1.0), ev.ParamSet(param="beat.offset", value=30, normalised=False))
    run.step(ev.LookSelected(look="kick"), n=200)
    assert run.state.look.name == "kick"
    assert run.state.cue == 1
    assert run.state.values["gen.warp"] == pytest.approx(0.5, abs=1e-3)
    assert run.state.values["beat.offset"] == 30.0
    assert run.step(ev.LookSelected(step=-1)).look.name == "default"


def test_beat_offset_moves_the_beat_in_the_asked_direction() -> None:
    def first_beat(offset: float) -> int:
        run = Runner()
        run.step(ev.ParamSet(param="beat.offset", value=offset, normalised=False), features=hearing(), n=20)
        frame = 20
        while not run.step(features=hearing()).beat:
            frame += 1
        return frame

    assert first_beat(100.0) - first_beat(0.0) == 6
    assert first_beat(0.0) - first_beat(-100.0) == 6


def test_panic_brings_everything_home() -> None:
    run = Runner()
    run.step(
        ev.MacroSet(macro="DROP"),
        ev.MacroToggle(macro="BLACKOUT"),
        ev.MacroLevel(macro="ENERGY", value=1.0),
        ev.ParamSet(param="gen.warp", value=1.0),
    )
    assert run.state.values["out.black"] == 1.0
    run.step(ev.MacroSet(macro="PANIC"))
    assert run.state.values["out.black"] == 0.0
    assert run.state.macros["ENERGY"].requested == 0.5
    assert not run.state.macros["DROP"].on
    assert run.state.clear == 1
    assert run.step(n=60).values["gen.warp"] == pytest.approx(0.2, abs=1e-3)


def test_unknown_names_and_numbers_that_are_none_are_counted_not_raised() -> None:
    run = Runner()
    run.step(
        ev.MacroSet(macro="NOPE"),
        ev.ParamSet(param="nope", value=1.0),
        ev.ParamSet(param="gen.warp", value=float("nan")),
        ev.LookSelected(look="nope"),
        ev.MacroSet(macro="DROP", value=float("inf")),
    )
    assert run.state.unknown == 5
    assert np.all(np.isfinite(run.state.values.array))


def test_an_ear_that_falls_silent_stops_acting_and_then_stops_beating() -> None:
    run = Runner("kick")
    old = hearing(time=0.0, hits=(0.0, 1.0, 0.0, 0.0, 0.0, 0.0))
    run.step(features=old, n=30)
    assert run.state.values["camera.zoom"] == pytest.approx(1.5)
    run.step(features=old, n=60)
    assert run.state.values["camera.zoom"] == 1.0
    assert run.state.beat_running
    run.step(features=old, n=200)
    assert not run.state.beat_running


def test_status_stays_until_the_component_is_well() -> None:
    run = Runner()
    run.step(ev.StatusChanged(component="audio", level="warn", message="lost"))
    assert run.step(n=5).status["audio"].message == "lost"
    assert not run.step(ev.StatusChanged(component="audio", level="ok")).status


def test_motion_is_the_same_at_any_frame_rate() -> None:
    travelled = []
    for fps in (24, 60, 144):
        run = Runner()
        run.clock = FrameClock(fps)
        run.step(ev.MacroSet(macro="DROP"), n=fps + 1)
        travelled.append(run.state.travel)
    assert travelled == pytest.approx([3.0, 3.0, 3.0], abs=0.01)


def test_generator_params_carry_prompts_and_counters() -> None:
    run = Runner()
    run.step(ev.MacroSet(macro="WORDS"), ev.Trigger(action="reseed"))
    params = generator_params(run.state, 7, run.show)
    assert params.prompts == (("a forest", 1.0), ("molten gold", 1.0))
    assert (params.sequence, params.reseed) == (7, 1)
    run.step(ev.PromptSubmitted(text="a desert"))
    assert generator_params(run.state, 8, run.show).prompts[0] == ("a desert", 1.0)
    assert run.state.cue == 1


def test_the_same_events_give_the_same_state() -> None:
    def play() -> ControlState:
        run = Runner("wave")
        run.step(ev.MacroSet(macro="DROP"), features=hearing(), n=50)
        return run.step(ev.ParamSet(param="gen.warp", value=0.9), features=hearing(), n=50)

    assert np.array_equal(play().values.array, play().values.array)


def test_a_level_at_its_neutral_value_is_the_look_as_written() -> None:
    run = Runner()
    assert run.step().values["gen.warp"] == pytest.approx(0.2)
    assert run.step(ev.MacroLevel(macro="ENERGY", value=1.0)).values["gen.warp"] == pytest.approx(0.3)
    assert run.step(ev.MacroLevel(macro="ENERGY", value=0.0)).values["gen.warp"] == pytest.approx(0.1)
