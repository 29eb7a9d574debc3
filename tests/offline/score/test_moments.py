"""Moments and lengths as written, and where beats, bars and sections of a track are."""

from pathlib import Path

import numpy as np
import pytest

from vjengine.audio.sections import Section
from vjengine.audio.track import BeatHeard, TrackAnalysis
from vjengine.errors import ConfigError
from vjengine.offline.score.moments import read_length, read_moment
from vjengine.offline.score.music import BeatGrid, Music, beat_grid
from vjengine.strict_yaml import Place

PLACE = Place(Path("score.yaml"), "at")
SECTIONS = (Section(0, 16, 0.4, "intro"), Section(16, 32, 1, "drop"), Section(32, 48, 0.3, "breakdown"),
            Section(48, 64, 1, "drop"))  # fmt: skip
MUSIC = Music(64.0, BeatGrid.steady(120.0, 0.25), SECTIONS)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (12.5, 12.5),
        ("12.5s", 12.5),
        ("1:02.5", 62.5),
        ("1:00:01", 3601.0),
        ("0b", 0.25),
        ("32b", 16.25),
        ("16|", 32.25),
        ("2.5|", 5.25),
        ("start", 0.0),
        ("end", 64.0),
        ("end - 8s", 56.0),
        ("end-4b", 62.0),
        ("drop", 16.0),
        ("Drop 2", 48.0),
        ("section 3", 32.0),
        ("drop 2 - 2|", 44.0),
        ("8| + 1.5", 17.75),
    ],
)
def test_moments_are_where_they_say(written: object, seconds: float) -> None:
    assert MUSIC.seconds(read_moment(PLACE, written)) == pytest.approx(seconds)


@pytest.mark.parametrize("written", ["", "dorp", "drop 0", "-3", -3, True, None, "3x", "1:2", "section", "end -", "1e9",
                                     "drop - - 2", "9" * 50, [1], float("nan"), "drop " + "9" * 400])  # fmt: skip
def test_what_is_no_moment_is_refused_with_what_would_be_one(written: object) -> None:
    with pytest.raises(ConfigError, match=r"score\.yaml: at = .*expected a moment like"):
        read_moment(PLACE, written)


def test_a_near_miss_is_told() -> None:
    with pytest.raises(ConfigError, match="did you mean 'drop'"):
        read_moment(PLACE, "dorp 2")


@pytest.mark.parametrize("written", ["", "4 bars", -1, True, None, "drop"])
def test_what_is_no_length_is_refused(written: object) -> None:
    with pytest.raises(ConfigError, match="a length like"):
        read_length(PLACE, written)


@pytest.mark.parametrize("moment", ["drop 3", "section 9", "outro"])
def test_a_section_that_is_not_there_lists_those_that_are(moment: str) -> None:
    with pytest.raises(LookupError, match=r"1 intro at 0\.0 s, 2 drop at 16\.0 s"):
        MUSIC.seconds(read_moment(PLACE, moment))


def test_without_a_beat_bars_are_refused_with_a_way_out() -> None:
    with pytest.raises(LookupError, match="tempo:"):
        Music(10.0).seconds(read_moment(PLACE, "4|"))


def heard(
    first: float, count: int, *, tempo: float = 120.0, holes: tuple[int, ...] = (), one: int = 0
) -> TrackAnalysis:
    """A track with a beat from ``first`` s on as a causal tracker hears it: late, with holes and slight errors."""
    rng = np.random.default_rng(3)
    beats = [
        BeatHeard(first + n * 60.0 / tempo + float(rng.normal(0, 0.002)), 0.0, 0.9, (n - one) % 4 == 0)
        for n in range(count)
        if n not in holes
    ]
    loud = np.zeros((800, 2))
    loud[:, 1] = 0.5
    return TrackAnalysis(40.0, beats=beats, envelope=loud)


def test_beats_reach_back_to_the_first_sound_and_over_holes() -> None:
    # The first beat that was heard is the 7th of the track; a breakdown hides 12 of them.
    grid = beat_grid(heard(3.0, 60, holes=tuple(range(20, 32)), one=2))
    assert grid is not None
    assert grid.time_of(0) == pytest.approx(0.0, abs=0.02)
    assert grid.time_of(6) == pytest.approx(3.0, abs=0.02)
    assert grid.time_of(6 + 25) == pytest.approx(15.5, abs=0.02)
    assert grid.time_of(6 + 70) == pytest.approx(38.0, abs=0.05)
    assert grid.beat_at(grid.time_of(33.25)) == pytest.approx(33.25)
    assert grid.tempo_at(20.0) == pytest.approx(120.0, abs=0.5)


def test_bars_are_where_most_of_them_were_heard_and_begin_with_the_sound() -> None:
    analysis = heard(5.0, 60, one=1)
    analysis.envelope[:60] = 0.0  # three seconds of silence
    grid = beat_grid(analysis)
    assert grid is not None
    # Bars begin at 5.5 + n * 2 s; the first one in the sound is at 3.5 s.
    assert grid.time_of(0) == pytest.approx(3.5, abs=0.02)


def test_a_track_without_beats_has_no_grid() -> None:
    assert beat_grid(TrackAnalysis(10.0)) is None
    assert beat_grid(heard(1.0, 3)) is None
