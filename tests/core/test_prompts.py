"""Prompts as they are typed, and how they reach a generator through the control step."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjengine.core import events as ev
from vjengine.core.clock import FrameClock
from vjengine.core.looks import Look
from vjengine.core.macros import MacroDef
from vjengine.core.prompts import MAX_PIECES, MAX_TEXT, MAX_WEIGHT, clean_text, parse_prompt, shares
from vjengine.core.reducer import control_step, generator_params, initial_state
from vjengine.core.show import Show
from vjengine.core.signals import NO_AUDIO


@pytest.mark.parametrize(
    ("typed", "pieces"),
    [
        ("a red fox", (("a red fox", 1.0),)),
        ("sunset over sea::2 | neon city::1", (("sunset over sea", 2.0), ("neon city", 1.0))),
        ("  sunset :: 0.5|neon  ", (("sunset", 0.5), ("neon", 1.0))),
        ("std::vector", (("std::vector", 1.0),)),
        ("a::b::3", (("a::b", 3.0),)),
        ("fire 🔥 and 👩‍🚀::2", (("fire 🔥 and 👩‍🚀", 2.0),)),
        ("one\nline\t\x07 only\x00", (("one line only", 1.0),)),
        ("half \ud83d surrogate", (("half surrogate", 1.0),)),
        ("", ()),
        (" | ::2 || ", ()),
        ("no say::0 | nor this::-3 | this", (("this", 1.0),)),
        ("a::nan | b::inf | c::-inf | d::1e999", (("a", 1.0), ("b", MAX_WEIGHT), ("d", MAX_WEIGHT))),
    ],
)
def test_what_is_typed_becomes_texts_and_weights(typed: str, pieces: tuple[tuple[str, float], ...]) -> None:
    assert parse_prompt(typed) == pieces


@given(st.text(alphabet=st.characters() | st.sampled_from("|:0123456789.-e \n"), max_size=200))
def test_anything_typed_is_bounded_and_never_raises(typed: str) -> None:
    pieces = parse_prompt(typed)
    assert len(pieces) <= MAX_PIECES
    for text, weight in pieces:
        assert 0 < len(text) <= MAX_TEXT
        assert text == clean_text(text)
        assert 0.0 < weight <= MAX_WEIGHT
        text.encode()


def test_ten_kilobytes_are_cut() -> None:
    assert parse_prompt("x" * 10_000) == (("x" * MAX_TEXT, 1.0),)
    many = parse_prompt(" | ".join(f"text {n}" for n in range(1000)))
    assert [text for text, _ in many] == [f"text {n}" for n in range(MAX_PIECES)]


def test_only_the_ratio_of_weights_counts() -> None:
    assert shares((("a", 6.0), ("b", 2.0))) == (("a", 0.75), ("b", 0.25))
    assert shares((("a", 6.0), ("b", 2.0)), 2.0) == (("a", 1.5), ("b", 0.5))
    assert shares((("a", 1.0),), math.nan) == (("a", 1.0),)
    assert shares((("a", 1.0),), math.inf) == (("a", MAX_WEIGHT),)
    assert shares((("a", 1.0),), -1.0) == ()
    assert shares(()) == ()


class Stage:
    """A show at 60 fps: what its generator is told."""

    def __init__(self, prompt: str) -> None:
        macros = {"GOLD": MacroDef("GOLD", attack=0.2, release=0.2, prompt="molten gold::3 | honey")}
        self.show = Show(macros, {"default": Look("default", prompt=prompt)})
        self.clock = FrameClock(60)
        self.state = initial_state(self.show)

    def prompts(self, *events: ev.Event) -> dict[str, float]:
        self.state = control_step(self.state, events, NO_AUDIO, self.clock.frame(), self.show)
        self.clock.advance()
        return dict(generator_params(self.state, 1, self.show).prompts)


def test_a_look_gives_a_weighted_list() -> None:
    assert Stage("sea::3 | sky").prompts() == {"sea": 0.75, "sky": 0.25}


def test_a_submitted_list_takes_the_looks_place_and_its_weight_scales_all() -> None:
    stage = Stage("sea")
    submitted = ev.PromptSubmitted(text="lava::1 | ash::3", weight=2.0)
    assert stage.prompts(submitted) == {"lava": 0.5, "ash": 1.5}
    assert stage.prompts(ev.PromptSubmitted(text="")) == {"sea": 1.0}
    assert stage.prompts(ev.PromptSubmitted(text=" | ")) == {"sea": 1.0}


@pytest.mark.parametrize("prompt", ["sea", ""])
def test_macro_words_fade_in_and_out_with_their_envelope(prompt: str) -> None:
    stage = Stage(prompt)
    assert "honey" not in stage.prompts()
    gold = [stage.prompts(ev.MacroSet(macro="GOLD"))] + [stage.prompts() for _ in range(20)]
    weights = [told["molten gold"] for told in gold]
    assert weights == sorted(weights)
    assert 0.0 < weights[0] < 0.2
    assert weights[-1] == pytest.approx(0.75, abs=0.01)
    assert gold[-1]["honey"] == pytest.approx(0.25, abs=0.01)
    assert all(told[prompt] == 1.0 for told in gold), "words are added to what is there"
    stage.prompts(ev.MacroSet(macro="GOLD", value=0))
    out = [stage.prompts().get("molten gold", 0.0) for _ in range(20)]
    assert out == sorted(out, reverse=True)
    assert out[-1] < 0.01
