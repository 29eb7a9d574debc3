"""The analysis on the bundled demo track, against the truth its script wrote down."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import vjengine
from vjengine.audio.features import AnalysisSettings
from vjengine.audio.files import decode
from vjengine.audio.track import analyse_track

FOLDER = Path(vjengine.__file__).parent / "demo"


@pytest.fixture(scope="module")
def truth():
    return json.loads((FOLDER / "track.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def analysis():
    # Twice the usual hop halves the time of the test; the beats are the same.
    return analyse_track(decode(FOLDER / "track.opus").samples, AnalysisSettings(hop=512))


def positions(analysis, truth, start=5.0):
    """Beat numbers, with their fractions, at which beats were announced after ``start`` s."""
    end = truth["sections"][-1]["end"]
    heard = [b for b in analysis.beats if start <= b.time <= end]
    return heard, np.array([(b.time - truth["first_beat"]) * truth["tempo"] / 60.0 for b in heard])


def test_every_beat_is_heard_where_it_is(analysis, truth):
    heard, at = positions(analysis, truth)
    right = np.abs(at - np.round(at)) * 60.0 / truth["tempo"] <= 0.07
    found = np.unique(np.round(at[right])).size
    expected = sum(truth["first_beat"] + n * 60.0 / truth["tempo"] >= 5.0 for n in range(truth["beats"]))
    assert 2.0 * found / (len(heard) + expected) >= 0.95
    assert abs(float(np.median(at - np.round(at)))) * 60.0 / truth["tempo"] <= 0.015
    assert analysis.beats[0].emitted <= 4.0


def test_breakdown_and_rolls_do_not_move_the_tempo(analysis, truth):
    tempos = [tempo for time, tempo in analysis.tempo if 5.0 <= time <= truth["sections"][-1]["end"]]
    assert min(tempos) == pytest.approx(truth["tempo"], abs=1.0)
    assert max(tempos) == pytest.approx(truth["tempo"], abs=1.0)


def test_most_downbeats_are_the_ones(analysis, truth):
    heard, at = positions(analysis, truth)
    assert (
        np.mean([(round(n) % truth["beats_per_bar"] == 0) == b.downbeat for n, b in zip(at, heard, strict=True)]) > 0.9
    )


def test_drops_and_breakdown_are_marked(analysis, truth):
    for true in truth["sections"]:
        middle = 0.5 * (true["start"] + true["end"])
        label = next(s.label for s in analysis.sections if s.start <= middle < s.end)
        if true["kind"] in ("drop", "breakdown"):
            assert label == true["kind"]
            assert min(abs(s.start - true["start"]) for s in analysis.sections) <= 2.0
