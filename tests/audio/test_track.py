"""A whole track: beats that were known in time, sections, JSON and the picture."""

from __future__ import annotations

import json
import sys
from itertools import pairwise

import numpy as np
import pytest

from vjengine.audio.features import AnalysisSettings
from vjengine.audio.track import analyse_track, save_plot, to_mono
from vjengine.errors import MissingDependency

RATE = 48000


def drums(seconds, bpm=125.0, level=0.7):
    out = np.zeros(int(seconds * RATE))
    t = np.arange(int(0.25 * RATE)) / RATE
    kick = np.sin(2 * np.pi * (50 * t + 3 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / 0.08)
    hat = np.random.default_rng(1).standard_normal(t.size) * np.exp(-t / 0.03) * 0.2
    for i in range(int(seconds * bpm / 60 * 2) - 1):
        start = round(i * 30 / bpm * RATE)
        piece = kick if i % 2 == 0 else hat
        end = min(out.size, start + piece.size)
        out[start:end] += piece[: end - start]
    return (level * out).astype(np.float32)


def pad(seconds):
    t = np.arange(int(seconds * RATE)) / RATE
    return (0.03 * sum(np.sin(2 * np.pi * f * t) for f in (220.0, 277.2, 329.6))).astype(np.float32)


@pytest.fixture(scope="module")
def analysis():
    samples = np.concatenate([pad(12), drums(24), pad(16), drums(20)])
    told: list[float] = []
    result = analyse_track(np.stack([samples, samples], axis=1), progress=told.append)
    assert told[-1] == 1.0
    assert told == sorted(told)
    return result


def test_beats_are_listed_when_they_could_be_known(analysis):
    assert analysis.duration == pytest.approx(72.0)
    assert len(analysis.beats) > 60
    for beat in analysis.beats:
        assert -0.3 < beat.emitted - beat.time < 0.3
        assert 0.0 <= beat.confidence <= 1.0
    times = [beat.time for beat in analysis.beats]
    assert times == sorted(times)


def test_truncating_the_track_keeps_its_beats(analysis):
    samples = np.concatenate([pad(12), drums(24)])
    short = analyse_track(samples[: 30 * RATE])
    known = [b for b in analysis.beats if b.emitted <= 29.9]
    assert [b for b in short.beats if b.emitted <= 29.9] == known
    assert short.onsets == [t for t in analysis.onsets if t <= short.onsets[-1]]


def test_sections_cover_the_track_and_find_drop_and_breakdown(analysis):
    sections = analysis.sections
    assert sections[0].start == 0.0
    assert sections[-1].end == analysis.duration
    assert all(a.end == b.start for a, b in pairwise(sections))
    labels = {s.label: s for s in sections}
    assert sections[0].label == "intro"
    assert labels["drop"].energy > 2 * labels["breakdown"].energy
    assert labels["breakdown"].start == pytest.approx(36.0, abs=1.5)


def test_json_has_the_agreed_form(analysis):
    data = json.loads(json.dumps(analysis.to_json()))
    assert set(data) == {"duration", "tempo", "beats", "onsets", "sections", "bands"}
    assert {"time", "emitted", "confidence"} <= set(data["beats"][0])
    assert len(data["bands"]["sub"]) == len(data["bands"]["time"]) == 72 * 20
    assert all(len(point) == 2 for point in data["tempo"])
    assert data["tempo"][-1][1] == pytest.approx(125, abs=0.5)


def test_the_plot_shows_the_track(analysis, tmp_path):
    from PIL import Image

    path = tmp_path / "track.png"
    save_plot(analysis, path)
    pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.float64)
    assert pixels.shape[0] >= 900
    height, width = pixels.shape[:2]
    assert pixels[int(0.1 * height) : int(0.9 * height), int(0.1 * width) : int(0.9 * width)].std() > 20


def test_the_plot_says_what_to_install(analysis, tmp_path, monkeypatch):
    for name in [n for n in sys.modules if n.startswith("matplotlib")] + ["matplotlib", "matplotlib.figure"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependency, match="vjengine\\[plot\\]"):
        save_plot(analysis, tmp_path / "track.png")


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.3])
def test_very_short_tracks_are_analysed(seconds, tmp_path):
    result = analyse_track(np.zeros(int(seconds * RATE), np.float32))
    assert result.beats == []
    assert result.onsets == []
    save_plot(result, tmp_path / "short.png")
    json.dumps(result.to_json())


def test_silence_has_no_events():
    result = analyse_track(np.zeros(20 * RATE, np.float32), AnalysisSettings(hop=512))
    assert (result.beats, result.onsets, result.tempo) == ([], [], [])
    assert {s.label for s in result.sections} == {"silence"}


def test_mono_is_the_mean_and_other_shapes_are_refused():
    assert to_mono(np.array([[1.0, 0.0], [0.5, 0.5]], np.float32)).tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match="expected"):
        to_mono(np.zeros((2, 2, 2), np.float32))
