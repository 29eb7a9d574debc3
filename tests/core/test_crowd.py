"""The crowd's part of the prompt: it comes in over time, on the bar if asked, and never against the performer."""

import pytest

from vjengine.core.clock import FrameTime
from vjengine.core.control import ControlState
from vjengine.core.crowd import SILENT, mixed, step, submit
from vjengine.core.events import CrowdPrompt, Event, LookSelected, ParamSet, PromptSubmitted, Trigger
from vjengine.core.looks import Look
from vjengine.core.reducer import control_step, generator_params, initial_state
from vjengine.core.show import Show
from vjengine.core.signals import NO_AUDIO

SHOW = Show({}, {"default": Look(name="default", prompt="a quiet sea"), "other": Look(name="other", prompt="a forest")})


def run(state: ControlState, seconds: float, *events: Event) -> ControlState:
    frames = round(seconds * 10)
    for k in range(frames):
        time = FrameTime(state.time.index + 1, state.time.time + 0.1, 0.1)
        state = control_step(state, events if k == 0 else (), NO_AUDIO, time, SHOW)
    return state


def prompts(state: ControlState) -> dict[str, float]:
    return {text: round(weight, 3) for text, weight in generator_params(state, 1, SHOW).prompts}


def test_a_crowd_prompt_comes_in_over_the_blend_and_keeps_to_its_share() -> None:
    state = run(initial_state(SHOW), 2.0, CrowdPrompt(text="neon city", author="Ann"))
    half = prompts(state)
    assert half["neon city"] == pytest.approx(0.3, abs=0.02)
    state = run(state, 4.0)
    assert prompts(state) == {"a quiet sea": 0.4, "neon city": 0.6}
    assert (state.crowd.author, state.crowd.taken, state.cue) == ("Ann", 1, 1)


def test_one_text_goes_out_while_the_next_comes_in() -> None:
    state = run(initial_state(SHOW), 5.0, CrowdPrompt(text="neon city"))
    state = run(state, 2.0, CrowdPrompt(text="coral reef"))
    both = prompts(state)
    assert both["neon city"] == pytest.approx(both["coral reef"], abs=0.03)
    assert sum(both.values()) == pytest.approx(1.0, abs=0.01)
    assert prompts(run(state, 3.0)) == {"a quiet sea": 0.4, "coral reef": 0.6}


def test_an_empty_text_takes_it_back() -> None:
    state = run(initial_state(SHOW), 5.0, CrowdPrompt(text="neon city"))
    assert prompts(run(state, 5.0, CrowdPrompt(text=""))) == {"a quiet sea": 1.0}


def test_a_locked_scene_is_the_performers_alone() -> None:
    locked = ParamSet(param="crowd.lock", value=1.0)
    state = run(initial_state(SHOW), 5.0, CrowdPrompt(text="neon city"))
    state = run(state, 5.0, locked, CrowdPrompt(text="coral reef"))
    assert prompts(state) == {"a quiet sea": 1.0}
    assert state.crowd.taken == 1
    # What waited comes in once the scene is open again.
    state = run(state, 5.0, ParamSet(param="crowd.lock", value=0.0))
    assert prompts(state) == {"a quiet sea": 0.4, "coral reef": 0.6}


def test_panic_and_the_performers_own_prompt_stand_above_the_crowd() -> None:
    state = run(initial_state(SHOW), 5.0, CrowdPrompt(text="neon city"))
    assert prompts(run(state, 0.1, Trigger(action="panic"))) == {"a quiet sea": 1.0}
    assert prompts(run(state, 0.1, PromptSubmitted(text="fire"))) == {"fire": 0.4, "neon city": 0.6}
    assert prompts(run(state, 0.1, LookSelected(look="other")))["a forest"] == 0.4


def test_at_the_bar_waits_for_the_bar() -> None:
    voice = submit(SILENT, "neon city", "Ann")
    assert step(voice, 0.1, 1.0, enter=False, locked=False).amount == 0.0
    assert step(voice, 0.1, 1.0, enter=True, locked=False).amount == pytest.approx(0.1)
    # Nothing waits where no beat is known.
    entry = ParamSet(param="crowd.entry", value=1.0)
    assert run(initial_state(SHOW), 1.0, entry, CrowdPrompt(text="neon city")).crowd.taken == 1


def test_strangers_cannot_weigh_their_words() -> None:
    state = run(initial_state(SHOW), 5.0, CrowdPrompt(text="gold::9 | rust\x00\n::1"))
    assert prompts(state) == {"a quiet sea": 0.4, "gold::9 | rust ::1": 0.6}


def test_a_flood_of_texts_stays_within_the_share() -> None:
    voice = SILENT
    for number in range(50):
        voice = step(submit(voice, f"text {number}", ""), 0.05, 4.0, enter=True, locked=False)
        assert len(voice.going) <= 2
        assert sum(weight for _, weight in mixed((("own", 1.0),), voice, 0.5)) == pytest.approx(1.0)
        assert mixed((("own", 1.0),), voice, 0.5)[0][1] >= 0.5
