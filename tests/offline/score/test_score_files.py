"""Score files: what is read, what is refused and how, and what a track makes of them."""

import re
from collections.abc import Callable

import pytest

from vjengine.config import load_looks, load_macros
from vjengine.core.params import PARAMS
from vjengine.errors import ConfigError
from vjengine.offline.score.expressions import FUNCTIONS, SIGNALS
from vjengine.offline.score.model import Score
from vjengine.offline.score.music import BeatGrid, Music
from vjengine.offline.score.reader import load_score
from vjengine.offline.score.timeline import Timeline, plan_score
from vjengine.resources import resource_dir

Scores = Callable[[str], Score]
MACROS = load_macros(resource_dir("macros"))
LOOKS, _ = load_looks(resource_dir("presets"), MACROS)


def plan(score: Score, duration: float = 60.0) -> Timeline:
    return plan_score(score, Music(duration, BeatGrid.steady(120.0, 0.0)), LOOKS, MACROS, "default")


def test_the_example_is_a_score_for_any_track_with_its_sections() -> None:
    example = load_score(resource_dir("presets") / "scores" / "example.yaml")
    assert example.listens
    assert len(example.scenes) == 7
    assert example.seed == 7
    words = set(re.findall(r"\w+", example.path.read_text(encoding="utf-8")))
    assert words >= {*SIGNALS, *FUNCTIONS}, "the example lists what expressions know"


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("scnes: []", "scnes", "did you mean 'scenes'"),
        ("scenes: 3", "scenes", "a list of"),
        ("scenes: [{look: silk}]", r"scenes\[1\].at", "to be given"),
        ("scenes: [{at: 0, transition: wipe}]", r"scenes\[1\].transition", "one of cut, fade, dip"),
        ("scenes: [{at: 0, transition: {length: 2}}]", r"transition.kind", "to be given"),
        ("scenes: [{at: 0, palette: pink}]", r"palette", "one of neon"),
        ("scenes: [{at: 0, parameters: {gen.hew: 1}}]", r"gen.hew", "did you mean 'gen.hue'"),
        ("parameters: {turbo.strength: 7}", r"turbo.strength", "0.05 to 1"),
        ("parameters: {turbo.strength: 0.3 + lwo}", r"turbo.strength", "did you mean 'low'.* at character 7"),
        ("parameters: {gen.hue: []}", r"gen.hue", "at least one keyframe"),
        ("parameters: {gen.hue: [{at: 0}]}", r"gen.hue\[1\].value", "to be given"),
        ("parameters: {gen.hue: [{at: 0, value: 0, then: fast}]}", r"then", "one of hold, linear, smooth"),
        ("prompts: [{at: 0}]", r"prompts\[1\].prompt", "to be given"),
        ("prompts: [{at: 0, prompt: {sea: -1}}]", r"prompt.sea", "0 to 10"),
        ("prompts: [{at: 0, prompt: {sea: 0}}]", r"prompt", "above 0"),
        ("prompts: [{at: 0, prompt: ''}]", r"prompt", "a prompt"),
        ("cues: [{at: 0}]", r"cues\[1\]", "one of macro, parameter or trigger"),
        ("cues: [{at: 0, macro: DROP, trigger: cut}]", r"cues\[1\]", "one of macro"),
        ("cues: [{at: 0, trigger: explode}]", r"trigger", "one of reseed"),
        ("cues: [{at: 0, trigger: cut, over: 2}]", r"over", "belongs to a parameter"),
        ("cues: [{at: 0, parameter: gen.hue}]", r"value", "to be given"),
        ("cues: [{at: 0, macro: DROP, level: 2}]", r"level", "0 to 1"),
        ("cues: [{at: 0, macro: DROP, state: off, for: 4b}]", r"for", "switched off"),
        ("cues: [{at: 0, macro: DROP, until: 3}]", r"until", "every:"),
        ("first_bar: 2", r"first_bar", "tempo:"),
        ("seed: -1", r"seed", "whole number"),
        ("tempo: .nan", r"tempo", "30 to 300"),
        ("a: &x 1\nb: *x", r"line 2", "valid YAML"),
    ],
)  # fmt: skip
def test_errors_name_file_key_and_what_was_expected(score: Scores, text: str, key: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=rf"score\.yaml: .*{key} = (?s:.*)expected (?s:.*){expected}"):
        score(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scenes: [{at: 0, look: slik}]", "did you mean 'silk'"),
        ("scenes: [{at: 4}, {at: 2}]", r"after 4\.000 s"),
        ("cues: [{at: 0, macro: DRPO}]", "did you mean 'DROP'"),
        ("cues: [{at: drop, macro: DROP}]", "a section of this track"),
        ("cues: [{at: 0, trigger: cut, every: 0}]", "a longer time"),
        ("parameters: {gen.hue: [{at: 4, value: 0}, {at: 2b, value: 0}]}", r"after 4\.000 s"),
    ],
)
def test_names_and_order_are_checked_on_the_track(score: Scores, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plan(score(text))


def test_what_lies_past_the_end_is_a_named_warning_and_no_error(score: Scores) -> None:
    found = plan(score("cues: [{at: 2:00, macro: DROP}]\nscenes: [{at: 0}, {at: 90}]"))
    assert len(found.warnings) == 2
    assert any("cues[1].at: 120 is 120.0 s, past the end of the track at 60.0 s" in line for line in found.warnings)
    assert any("scenes[2].at" in line for line in found.warnings)


def test_cues_repeat_and_are_let_go(score: Scores) -> None:
    found = plan(score("cues: [{at: 4|, macro: drop, for: 1b, every: 4|, until: 16|}, {at: 1, trigger: cut}]"))
    assert [(cue.time, cue.words) for cue in found.cues] == [
        (1.0, "cut"),
        (8.0, "DROP on"), (8.5, "DROP off"),
        (16.0, "DROP on"), (16.5, "DROP off"),
        (24.0, "DROP on"), (24.5, "DROP off"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "listens"),
    [
        ("scenes: [{at: 0}, {at: 12.5}]\nparameters: {gen.hue: 0.2*low + t}", False),
        ("scenes: [{at: 4|}]", True),
        ("tempo: 126\nscenes: [{at: 4|}]\nparameters: {gen.hue: phase}", False),
        ("tempo: 126\nscenes: [{at: drop}]", True),
        ("parameters: {gen.hue: beat/16}", True),
        ("cues: [{at: 0, trigger: cut, every: 8b}]", True),
        ("scenes: [{at: 0, transition: {kind: fade, length: 4b}}]", True),
    ],
)
def test_a_track_is_listened_to_only_where_that_is_needed(score: Scores, text: str, listens: bool) -> None:
    assert score(text).listens is listens


def test_a_choice_a_switch_and_a_number_are_what_their_rows_say(score: Scores) -> None:
    found = score("parameters: {gen.palette: ice, crowd.lock: true, gen.symmetry: 6}")
    values = {name: keys[0].value for name, keys in found.parameters.items()}
    assert values == {"gen.palette": float(PARAMS["gen.palette"].choices.index("ice")), "crowd.lock": 1.0,
                      "gen.symmetry": 6.0}  # fmt: skip
