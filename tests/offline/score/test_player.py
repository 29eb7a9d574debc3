"""A score in a show: what the control step makes of the events it plays, frame by frame."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from vjengine.config import load_looks, load_macros
from vjengine.core.clock import FrameClock
from vjengine.core.control import ControlState
from vjengine.core.generation import GeneratorParams
from vjengine.core.reducer import control_step, generator_params, initial_state
from vjengine.core.show import Show
from vjengine.core.signals import AudioFeatures
from vjengine.offline.score.model import Score
from vjengine.offline.score.music import BeatGrid, Music
from vjengine.offline.score.player import ScorePlayer
from vjengine.offline.score.staging import prompts_ahead
from vjengine.offline.score.timeline import plan_score
from vjengine.resources import resource_dir

Scores = Callable[[str], Score]
MACROS = load_macros(resource_dir("macros"))
SHOW = Show(MACROS, load_looks(resource_dir("presets"), MACROS)[0])
MUSIC = Music(60.0, BeatGrid.steady(120.0, 0.0))
FPS = 20


def play(
    score: Score, seconds: float, *, start: float = 0.0, low: Callable[[float], float] = lambda time: 0.0
) -> list[tuple[ControlState, GeneratorParams]]:
    """Return every frame's state, and what the generator is told."""
    timeline = plan_score(score, MUSIC, SHOW.looks, SHOW.macros, "default")
    player = ScorePlayer(timeline, SHOW.looks, start)
    state = initial_state(SHOW, timeline.look_at(start + 1e-7))
    clock = FrameClock(Fraction(FPS))
    frames = []
    for n in range(round(seconds * FPS)):
        time = clock.frame()
        level = low(start + time.time)
        features = replace(AudioFeatures(), time=time.time, hop=n, bands=(level, level, 0, 0, 0, 0), silent=False)
        state = control_step(state, player.events(time.time, features, state), features, time, SHOW)
        frames.append((state, generator_params(state, n + 1, SHOW)))
        clock.advance()
    assert state.unknown == 0
    return frames


def at(frames: Sequence[tuple[ControlState, GeneratorParams]], seconds: float) -> ControlState:
    return frames[round(seconds * FPS)][0]


def targets(frames: Sequence[tuple[ControlState, GeneratorParams]], name: str) -> list[float]:
    return [state.targets[name] for state, _ in frames if name in state.targets]


def test_an_expression_follows_the_music_in_the_same_frame(score: Scores) -> None:
    frames = play(score("parameters: {turbo.strength: 0.35 + 0.2*low}"), 2.0, low=lambda time: time / 2.0)
    expected = [0.35 + 0.2 * n / FPS / 2.0 for n in range(40)]
    assert targets(frames, "turbo.strength") == pytest.approx(expected)


@pytest.mark.parametrize(("then", "middle"), [("hold", 0.0), ("linear", 0.25), ("smooth", 0.15625)])
def test_keyframes_at_beats_go_over_as_they_say(score: Scores, then: str, middle: float) -> None:
    keys = f"[{{at: 1b, value: 0, then: {then}}}, {{at: 1|, value: 1}}]"
    frames = play(score(f"parameters: {{gen.morph: {keys}}}"), 3.0)
    assert "gen.morph" not in at(frames, 0.45).targets  # before its first keyframe the look's own value holds
    assert at(frames, 0.5).targets["gen.morph"] == pytest.approx(0.0, abs=1e-6)
    assert at(frames, 0.85).targets["gen.morph"] <= at(frames, 0.9).targets["gen.morph"]
    quarter = 0.5 + 1.5 / 4
    near = np.interp(quarter, [n / FPS for n in range(10, 60)], targets(frames, "gen.morph"))
    assert near == pytest.approx(middle, abs=0.005)
    assert at(frames, 2.0).targets["gen.morph"] == 1.0


def test_scenes_bring_their_looks_and_take_their_values_away_again(score: Scores) -> None:
    text = """
scenes:
  - {at: 0, look: deepsea, palette: ice, parameters: {gen.zoom: 1 + 0.1*scene_time}}
  - {at: 1, transition: cut}
  - {at: 2|, look: silk, transition: {kind: fade, length: 1|}, parameters: {gen.zoom: 2}}
"""
    frames = play(score(text), 8.0)
    assert [state.look.name for state, _ in (frames[0], frames[79], frames[80])] == ["deepsea", "deepsea", "silk"]
    assert at(frames, 0.5).targets["gen.zoom"] == pytest.approx(1.05)
    assert at(frames, 0.5).values.choice("gen.palette") == "ice"
    # The second scene goes on with the look as it is written, after a cut that wipes the trail.
    assert at(frames, 1.5).values.choice("gen.palette") == SHOW.bases["deepsea"].choice("gen.palette")
    assert at(frames, 3.0).values["gen.zoom"] == pytest.approx(SHOW.bases["deepsea"]["gen.zoom"], abs=0.01)
    assert (at(frames, 0.95).clear, at(frames, 1.0).clear) == (0, 1)
    # A fade moves over all there is, without a jump, and ends at the look with what the scene sets.
    for name in ("gen.zoom", "bloom.amount", "gen.warp"):
        first, last = SHOW.bases["deepsea"][name], 2.0 if name == "gen.zoom" else SHOW.bases["silk"][name]
        path = [state.targets.get(name, SHOW.bases[state.look.name][name]) for state, _ in frames[75:]]
        assert path[5] == pytest.approx(first, abs=1e-6)
        assert path[25] == pytest.approx((first + last) / 2)
        assert path[-1] == pytest.approx(last)
        assert max(abs(np.diff(path))) <= 0.04 * abs(last - first) + 1e-6


def test_a_dip_is_black_where_the_scene_changes(score: Scores) -> None:
    text = "scenes: [{at: 0}, {at: 2, look: silk, transition: {kind: dip, length: 1}}]"
    frames = play(score(text), 4.0)
    black = [state.values["out.black"] for state, _ in frames]
    assert black[40] == 1.0
    assert black[28] == black[52] == 0.0
    assert 0.2 < black[35] < 0.8


def test_a_prompt_goes_over_by_weight_and_is_one_cue_a_keyframe(score: Scores) -> None:
    text = """
prompts:
  - {at: 0, prompt: sea, then: linear}
  - {at: 4b, prompt: {storm: 3, sea: 1}, then: hold}
  - {at: 3, prompt: desert}
"""
    frames = play(score(text), 4.0)
    told = [dict(params.prompts) for _, params in frames]
    assert told[0] == {"sea": 1.0}
    assert told[20] == pytest.approx({"sea": 0.625, "storm": 0.375}, abs=1e-3)
    assert told[40] == told[59] == pytest.approx({"sea": 0.25, "storm": 0.75}, abs=1e-3)
    assert told[60] == {"desert": 1.0}
    assert [params.cue for _, params in frames] == [1] * 40 + [2] * 20 + [3] * 20
    # Who comes first decides whether it is another prompt: that must not change on the way.
    assert {next(iter(params.prompts))[0] for _, params in frames[:40]} == {"sea"}


def test_a_scene_has_its_own_words_then_the_schedule_then_the_look(score: Scores) -> None:
    text = """
scenes: [{at: 0, look: silk}, {at: 1, prompt: own words}, {at: 2, look: deepsea}]
prompts: [{at: 1.5, prompt: schedule}]
"""
    told = [params.prompts[0][0] for _, params in play(score(text), 3.0)]
    assert told[0] == SHOW.looks["silk"].prompt
    assert told[20] == told[39] == "own words"
    assert told[40] == told[59] == "schedule"


def test_cues_press_and_let_go_and_move(score: Scores) -> None:
    text = """
cues:
  - {at: 1, macro: BLACKOUT, for: 2b}
  - {at: 1, parameter: gen.hue, value: 0.5, over: 1}
  - {at: 1.5, trigger: reseed, every: 0.5, until: 2.6}
"""
    frames = play(score(text), 3.0)
    held = [state.macros["BLACKOUT"].on for state, _ in frames]
    assert held == [False] * 20 + [True] * 20 + [False] * 20
    base = SHOW.bases["default"]["gen.hue"]
    assert at(frames, 1.5).targets["gen.hue"] == pytest.approx((base + 0.5) / 2)
    assert at(frames, 2.95).targets["gen.hue"] == 0.5
    assert [at(frames, second).reseed for second in (1.45, 1.5, 2.0, 2.5, 2.95)] == [0, 1, 2, 3, 3]


def test_a_film_that_begins_inside_takes_up_what_stands(score: Scores) -> None:
    text = """
scenes: [{at: 0, look: silk}, {at: 4, look: deepsea, parameters: {gen.zoom: 1 + scene_time/10}}]
prompts: [{at: 0, prompt: sea}, {at: 10, prompt: storm}]
cues:
  - {at: 1, macro: KALEIDO}
  - {at: 2, macro: BLACKOUT, for: 1}
  - {at: 3, trigger: reseed}
  - {at: 4.5, parameter: gen.hue, value: 0.5, over: 1}
"""
    whole, part = play(score(text), 7.0), play(score(text), 2.0, start=5.0)
    for n in (0, 10, 39):
        late, early = whole[100 + n], part[n]
        assert early[0].look.name == late[0].look.name == "deepsea"
        assert early[0].targets["gen.zoom"] == pytest.approx(late[0].targets["gen.zoom"])
        assert early[0].targets["gen.hue"] == pytest.approx(late[0].targets["gen.hue"])
        assert dict(early[1].prompts) == pytest.approx(dict(late[1].prompts))
    assert part[0][0].macros["KALEIDO"].on
    assert not part[0][0].macros["BLACKOUT"].on
    assert part[-1][0].reseed == 0


def test_an_expression_without_a_value_keeps_the_last_and_says_so_once(
    score: Scores, caplog: pytest.LogCaptureFixture
) -> None:
    frames = play(score("parameters: {gen.morph: '0.5/(t < 1)'}"), 2.0)
    assert set(targets(frames, "gen.morph")) == {0.5}
    assert len([r for r in caplog.records if "gen.morph" in r.message]) == 1


def test_the_same_score_plays_the_same(score: Scores) -> None:
    text = "parameters: {gen.hue: 'noise(t*3)', gen.zoom: '1 + random(beat)'}\ncues: [{at: 1, macro: DROP, for: 1}]"
    first, second = play(score(text), 2.0), play(score(text), 2.0)
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a[0].values.array, b[0].values.array)


def test_prompts_are_known_before_they_are_wanted(score: Scores) -> None:
    written = score(
        "scenes: [{at: 0, prompt: sea}, {at: 10, prompt: fire}, {at: 20}]\n"
        "prompts: [{at: 0, prompt: dawn}, {at: 5, prompt: sea}, {at: 30, prompt: night}]"
    )
    timeline = plan_score(written, MUSIC, SHOW.looks, SHOW.macros, "default")
    assert prompts_ahead(timeline) == ("sea", "dawn", "fire", "night")
    assert prompts_ahead(timeline, 12.0) == ("fire", "sea", "night")
    assert prompts_ahead(plan_score(score("seed: 1"), MUSIC, SHOW.looks, SHOW.macros, "default")) == ()
