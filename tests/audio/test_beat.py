"""The beat clock on music whose beats are known."""

from __future__ import annotations

import importlib.util
import math
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from vjengine.audio.features import Analyser, AnalysisSettings
from vjengine.audio.taps import TapTempo
from vjengine.audio.track import BeatLog
from vjengine.core.events import Resync, Tap, TempoNudge, TempoRange, TempoScale
from vjengine.core.signals import AudioFeatures


@cache
def music() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "music.py"
    spec = importlib.util.spec_from_file_location("synthetic_music", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["synthetic_music"] = module
    spec.loader.exec_module(module)
    return module


@cache
def collection():
    return {piece.name: piece for piece in music().pieces(20.0)}


def listen(samples, rate=48000, hop=256, analyser=None, events=(), start=0) -> list[AudioFeatures]:
    """Return the features of all hops; ``events`` are (time, event), applied when their time has come."""
    analyser = analyser or Analyser(AnalysisSettings(sample_rate=rate, hop=hop))
    waiting = sorted(events, key=lambda pair: pair[0])
    out = []
    for i in range(len(samples) // hop):
        time = start + (i + 1) * hop / rate
        while waiting and waiting[0][0] <= time:
            analyser.apply(waiting.pop(0)[1])
        out.append(analyser.process(samples[i * hop : (i + 1) * hop], time))
    return out


def announced(features):
    log = BeatLog()
    return [beat for hop in features for beat in log.heard(hop)]


@cache
def heard(name, hop=256):
    """Features of a whole piece; many tests look at the same ones."""
    piece = collection()[name]
    return listen(piece.samples, piece.rate, hop)


def judged(piece, hop=256):
    beats = announced(heard(piece.name, hop))
    return music().f_measure(np.array([b.time for b in beats]), piece.beats, piece.judged_from)


@pytest.mark.parametrize(
    "name", ["house 128", "house 124 at 44.1 kHz", "techno 140", "hard 160", "loud hats 126", "house 128 at -30 dB",
             "house 128 in noise", "missing kicks, techno 138"]
)  # fmt: skip
def test_four_to_the_floor_is_on_the_beat(name):
    score, error = judged(collection()[name])
    assert score >= 0.95
    assert abs(error) <= 0.010


@pytest.mark.parametrize("name", ["drum & bass 174", "hip-hop 90 swung", "dubstep 140", "rock 105"])
def test_broken_beats_are_read_at_their_own_tempo(name):
    score, error = judged(collection()[name])
    assert score >= 0.9
    assert abs(error) <= 0.012


def test_long_hops_hear_the_same_beats():
    score, error = judged(collection()["house 128"], hop=512)
    assert score >= 0.95
    assert abs(error) <= 0.010


def test_a_first_beat_comes_within_four_seconds():
    assert announced(heard("house 128"))[0].emitted <= 4.0


def test_tempo_jump_is_followed_within_five_seconds():
    piece = collection()["jump 120 to 128"]
    features = heard(piece.name)
    assert features[int(9.5 * 187.5)].beat.tempo == pytest.approx(120, abs=0.5)
    assert features[int(15.0 * 187.5)].beat.tempo == pytest.approx(128, abs=1.0)
    beats = np.array([b.time for b in announced(features)])
    score, _ = music().f_measure(beats, piece.beats, skip=15.0)
    assert score >= 0.95


def test_pitch_fader_is_followed():
    piece = collection()["ramp 124 to 130"]
    features = heard(piece.name)
    score, error = judged(piece)
    assert score >= 0.95
    assert abs(error) <= 0.02
    assert features[-1].beat.tempo == pytest.approx(130, abs=1.5)


def test_breakdown_keeps_the_beat_with_falling_confidence():
    piece = collection()["breakdown, house 127"]
    features = heard(piece.name)
    score, _ = judged(piece)
    assert score >= 0.95
    before, inside = features[int(10.5 * 187.5)].beat, features[int(18.0 * 187.5)].beat
    assert inside.running
    assert inside.confidence < 0.6 * before.confidence


def test_the_clock_does_not_wobble():
    features = heard("house 128")[int(8 * 187.5) :]
    at = 30.0
    positions = np.array([hop.beat.beats_at(hop.time + 0.03) - hop.time * 128 / 60 for hop in features])
    assert np.abs(np.diff(positions)).max() < 0.004
    assert all(hop.beat.running for hop in features)
    assert np.ptp([hop.beat.tempo for hop in features]) < 0.2
    assert math.isfinite(features[-1].beat.beats_at(at))


@pytest.mark.parametrize("name", ["jump 120 to 128", "breakdown, house 127", "ambient intro, house 126"])
def test_beats_are_never_counted_twice_nor_announced_late(name):
    features = heard(name)
    counts = [hop.beat.count for hop in features]
    assert all(b >= a for a, b in pairwise(counts))
    beats = announced(features)
    assert all(b.time > a.time for a, b in pairwise(beats))
    assert all(abs(b.time - b.emitted) < 0.3 for b in beats)


def test_silence_stops_the_clock_and_music_resumes_it():
    loud = collection()["house 128"].samples[: 48000 * 10]
    features = listen(np.concatenate([loud, np.zeros(48000 * 6, np.float32), loud]))
    stopped = [hop.beat.running for hop in features[int(12.6 * 187.5) : int(15.9 * 187.5)]]
    assert not any(stopped)
    assert not [b for b in announced(features) if 12.6 < b.emitted < 15.9]
    assert features[int(17.0 * 187.5)].beat.running
    assert features[int(21.0 * 187.5)].beat.tempo == pytest.approx(128, abs=0.5)


def test_noise_alone_makes_no_confident_beat():
    noise = np.random.default_rng(0).standard_normal(48000 * 10).astype(np.float32) * 0.1
    assert max(hop.beat.confidence for hop in listen(noise)) < 0.5


def test_taps_set_tempo_and_phase():
    hum = (0.1 * np.sin(2 * np.pi * 200 * np.arange(48000 * 6) / 48000)).astype(np.float32)
    taps = [(t, Tap(time=t)) for t in (1.0, 1.5, 2.0, 2.5)]
    beat = listen(hum, events=taps)[-1].beat
    assert beat.running
    assert beat.tempo == pytest.approx(120, abs=0.5)
    assert min(beat.phase_at(3.0), 1 - beat.phase_at(3.0)) < 0.06


def test_a_missed_tap_counts_as_two_beats_and_a_pause_starts_afresh():
    taps = TapTempo()
    results = [taps.add(t) for t in (0.0, 0.5, 1.0, 2.0)]
    assert results[-1] is not None
    assert results[-1][0] == pytest.approx(0.5, abs=0.01)
    assert taps.add(10.0) is None


def test_scale_doubles_and_stays():
    piece = collection()["hip-hop 90 swung"]
    features = listen(piece.samples, events=[(8.0, TempoScale(time=8.0, factor=2.0))])
    assert features[int(7.9 * 187.5)].beat.tempo == pytest.approx(90, abs=0.5)
    assert features[-1].beat.tempo == pytest.approx(180, abs=1.0)


def test_range_moves_the_octave_at_once():
    piece = collection()["drum & bass 174"]
    features = listen(piece.samples, events=[(8.0, TempoRange(time=8.0, low=70.0, high=110.0))])
    assert features[int(8.1 * 187.5)].beat.tempo == pytest.approx(87, abs=0.5)
    assert features[-1].beat.tempo == pytest.approx(87, abs=0.5)


def test_nudge_shifts_the_clock():
    samples = collection()["house 128"].samples[: 48000 * 8]
    plain = listen(samples)[-1].beat
    moved = listen(samples, events=[(6.0, TempoNudge(time=6.0, milliseconds=40.0))])[-1].beat
    assert plain.beats_at(8.0) - moved.beats_at(8.0) == pytest.approx(0.040 / plain.period, abs=0.01)


def test_resync_puts_the_one_where_the_performer_says():
    piece = collection()["house 128"]
    one = float(piece.beats[18])
    features = listen(piece.samples, events=[(one + 0.02, Resync(time=one + 0.02))])
    bar = features[-1].beat.bar_phase_at(float(piece.beats[34]))
    assert min(bar, 1 - bar) < 0.03


@pytest.mark.parametrize(
    "event", [TempoRange(low=100.0, high=90.0), TempoRange(low=math.nan, high=90.0), TempoScale(factor=0.0),
              TempoScale(factor=math.inf), TempoNudge(milliseconds=math.nan), Tap(time=math.nan)]
)  # fmt: skip
def test_senseless_corrections_change_nothing(event):
    samples = collection()["house 128"].samples[: 48000 * 6]
    plain, disturbed = listen(samples)[-1], listen(samples, events=[(5.0, event)])[-1]
    assert disturbed.beat == plain.beat


def test_lost_audio_and_jittery_time_stamps_do_not_move_the_beat():
    piece = collection()["house 128"]
    analyser = Analyser()
    rng = np.random.default_rng(1)
    hop, last = 256, None
    for i in range(piece.samples.size // hop):
        time = (i + 1) * hop / 48000
        if 9.0 < time < 9.4:
            continue
        last = analyser.process(piece.samples[i * hop : (i + 1) * hop], time + rng.normal(0, 0.004))
    assert last is not None
    late = [last.beat.phase_at(t) for t in piece.beats[-4:]]
    assert max(min(p, 1 - p) for p in late) * last.beat.period < 0.02
