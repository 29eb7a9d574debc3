"""Remedies, judgement and tables of the collapse benchmark."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2]))

from benchmarks.collapse import parser, planned, several, sheet, summary, table
from benchmarks.collapse_footage import hue_sweep, scene_changes, short_blacks
from benchmarks.collapse_measures import Distance, distance, lab, look
from benchmarks.collapse_remedies import OURS, REMEDIES, ChromaLock, HistogramMatching, Nothing
from benchmarks.collapse_run import Job, Outcome, run
from benchmarks.collapse_scenes import scene
from benchmarks.common import Report
from vjengine.core.generation import GeneratorParams

cv2.setNumThreads(1)
PARAMS = GeneratorParams()


@pytest.fixture(scope="module")
def drifted():
    first = scene("paper", (128, 72))
    return first, np.clip(first * np.float32((0.82, 0.9, 0.75)) + np.float32(0.02), 0.0, 1.0)


def test_nothing_does_nothing(drifted):
    assert Nothing().feed(drifted[1], PARAMS) is drifted[1]


def test_histogram_matching_brings_the_palette_back(drifted):
    first, away = drifted
    remedy = HistogramMatching()
    assert np.array_equal(remedy.feed(first, PARAMS), first)
    before, after = (distance(look(each), look(first)).w1 for each in (away, remedy.feed(away, PARAMS)))
    assert before > 4.0
    assert after < 0.25 * before


def test_the_chroma_lock_brings_back_a_and_b_and_leaves_lightness(drifted):
    first, away = drifted
    remedy = ChromaLock()
    remedy.feed(first, PARAMS)
    mean = {name: lab(each).reshape(-1, 3).mean(axis=0) for name, each in (("first", first), ("away", away))}
    fixed = lab(remedy.feed(away, PARAMS)).reshape(-1, 3).mean(axis=0)
    assert np.abs(fixed - mean["first"])[1:].max() < 0.6
    assert abs(fixed[0] - mean["away"][0]) < 0.6
    assert abs(mean["away"][0] - mean["first"][0]) > 2.0


def outcome(detail=0.0, w1=1.0, moved=1.0, anew=0, steps=9000, rising=0.0):
    made = Outcome(Job("green", OURS, steps), anew=anew, steps=steps)
    for step in range(30, steps + 1, 30):
        made.at.append(step)
        made.found.append(Distance(w1 + rising * step / 1800.0, detail, 0.0))
        made.moved.append(moved)
    return made


@pytest.mark.parametrize(
    ("given", "missed"),
    [
        ({}, ()),
        ({"w1": 6.5}, ("W1",)),
        ({"detail": -1.2}, ("|R|",)),
        ({"detail": 1.2}, ("|R|",)),
        ({"rising": 0.5}, ("slope",)),
        ({"rising": 0.5, "steps": 600}, ()),
        ({"moved": 0.4}, ("motion",)),
        ({"moved": float("nan")}, ("motion",)),
        ({"anew": 1}, ("drawn anew",)),
    ],
)
def test_each_goal_is_judged(given, missed):
    assert outcome(**given).failures == missed


def test_what_happens_before_settling_does_not_count():
    made = outcome()
    made.found[0] = Distance(50.0, 9.0, 0.5)
    assert made.failures == ()


def test_a_run_without_a_remedy_collapses_and_is_told_and_drawn():
    told: list[str] = []
    found = run(Job("magenta", "nothing", 600, patience=60), told.append)
    assert found.collapsed_at is not None
    assert found.collapsed_at < 110
    assert found.stopped, "what is lost for good need not be watched"
    assert found.collapsed_at + 60 <= found.steps < 250
    assert f"stopped at step {found.steps}" in table([found])
    assert "W1" in found.failures
    assert any("collapsed" in line for line in told)
    assert found.end.shape == found.start.shape == (144, 256, 3)
    assert "fails: W1" in table([found])
    assert summary([found]) == "loops held: nothing: 0 of 1"
    assert np.asarray(sheet([found])).std() > 10


def test_the_same_job_gives_the_same_bytes_with_our_remedy():
    one, other = (run(Job("green", OURS, 40)) for _ in range(2))
    assert np.array_equal(one.end, other.end)
    assert not np.array_equal(one.end, run(Job("green", "nothing", 40), lambda text: None).end)


def test_footage_tells_what_it_says_it_tells():
    told = [params for _, params in scene_changes(360)]
    assert told[-1].cue == 5
    swept = [params.values["gen.hue"] for _, params in hue_sweep(30)]
    assert swept == sorted(swept)
    assert swept[-1] > 0.03
    assert sum(picture.max() == 0.0 for picture, _ in short_blacks(130)) == 11


def test_asked_for_so_many_steps_all_remedies_take_them():
    report = Report("collapse", as_json=True)
    asked, quick = (
        planned(parser().parse_args(["--loops", "green", *more]), report) for more in (["--steps", "90"], [])
    )
    assert {(job.steps, job.patience) for job in asked} == {(90, 0)}
    assert {job.patience > 0 for job in quick if job.remedy != OURS} == {True}


def test_the_command_line_names_what_there_is():
    options = parser().parse_args(["--loops", "green, blur", "--remedies", "a/b lock"])
    assert options.loops == ("green", "blur")
    assert options.remedies == ("a/b lock",)
    with pytest.raises(Exception, match="choose from"):
        several("gren", ("green",))
    assert set(REMEDIES) == {"nothing", "Lab histogram matching", "a/b lock", "vjengine"}
