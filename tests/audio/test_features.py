"""Features of hops: levels, hits, onsets, silence, bad input."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vjengine.audio.bands import Spectrum
from vjengine.audio.features import Analyser, AnalysisSettings

RATE, HOP = 48000, 256


def listen(samples, settings=None):
    settings = settings or AnalysisSettings()
    analyser = Analyser(settings)
    hop, rate = settings.hop, settings.sample_rate
    return [
        analyser.process(samples[i * hop : (i + 1) * hop], (i + 1) * hop / rate) for i in range(len(samples) // hop)
    ]


def sine(pitch, seconds, level=0.3, rate=RATE):
    return (level * np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def drum(at, seconds=3.0, pitch=55.0, decay=0.08):
    """A drum at ``at`` s over a faint hiss."""
    out = np.random.default_rng(0).standard_normal(int(seconds * RATE)) * 1e-4
    t = np.arange(int(0.3 * RATE)) / RATE
    start = round(at * RATE)
    out[start : start + t.size] += (
        0.7 * np.sin(2 * np.pi * (pitch * t + 3 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / decay)
    )
    return out.astype(np.float32)


def pulses(seconds, every=0.5):
    """Steady drums."""
    out = np.zeros(int(seconds * RATE), np.float32)
    one = drum(0.0, 0.4)[: int(0.3 * RATE)]
    for start in range(0, out.size - one.size, round(every * RATE)):
        out[start : start + one.size] += one
    return out


@pytest.mark.parametrize(("pitch", "band"), [(40, 0), (110, 1), (330, 2), (1000, 3), (3500, 4), (9000, 5)])
@pytest.mark.parametrize("rate", [44100, 48000])
def test_a_tone_shows_in_its_band(pitch, band, rate):
    spectrum = Spectrum(rate, HOP)
    for block in sine(pitch, 1.0, rate=rate)[: rate // HOP * HOP].reshape(-1, HOP):
        spectrum.process(block)
    assert spectrum.bands[band] == pytest.approx(0.3 / np.sqrt(2), rel=0.25)
    assert np.delete(spectrum.bands, band).max() < 0.6 * spectrum.bands[band]


def test_fast_levels_lead_slow_ones():
    features = listen(np.concatenate([sine(110, 2.0), sine(110, 0.2, 1e-3)]))
    end = features[-1]
    assert end.bands[1] < 0.1
    assert end.bands_slow[1] > 0.3


def test_centroid_and_flatness_tell_tone_from_noise():
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.1
    tone, hiss = listen(sine(200, 1.0))[-1], listen(noise)[-1]
    assert hiss.centroid > tone.centroid + 0.2
    assert hiss.flatness > 0.6
    assert tone.flatness < 0.1


@pytest.mark.parametrize("offset", [0, 90, 200])
def test_a_kick_hits_within_15_ms(offset):
    samples = pulses(4.0)
    at = 4.5 + offset / RATE
    samples = np.concatenate([samples, drum(at - 4.0, 1.5)])
    features = listen(samples)
    before = [f.hit_counts[1] + f.hit_counts[0] for f in features if f.time < at][-1]
    first = next(f for f in features if f.hit_counts[0] + f.hit_counts[1] > before)
    assert 0.0 <= first.time - at <= 0.015
    assert max(first.hits[:2]) > 0.4


def test_a_hit_decays_within_about_150_ms():
    features = listen(np.concatenate([pulses(4.0), drum(0.5, 1.0)]))
    start = next(i for i, f in enumerate(features) if f.time > 4.4 and max(f.hits[:2]) > 0.4)
    assert max(features[start + round(0.16 * RATE / HOP)].hits[:2]) < 0.1


def test_each_kick_hits_once():
    features = listen(pulses(10.0))
    steady = features[-1].hit_counts[1] - features[round(2 * RATE / HOP)].hit_counts[1]
    assert 15 <= steady <= 17


def test_onsets_are_timed_and_reported_soon():
    at = 1.2
    features = listen(drum(at, 2.0))
    first = next(f for f in features if f.onset_count == 1 and f.last_onset > 1.0)
    assert abs(first.last_onset - at) < 0.02
    assert first.time - at < 0.03
    assert first.onset_strength > 0.3


def test_sensitivity_does_something():
    rng = np.random.default_rng(3)
    busy = (pulses(6.0) + np.repeat(rng.uniform(0, 0.05, 6 * 16), RATE // 16) * rng.standard_normal(6 * RATE)).astype(
        np.float32
    )
    low, high = (listen(busy, AnalysisSettings(sensitivity=s))[-1] for s in (0.3, 3.0))
    assert sum(high.hit_counts) > 1.5 * sum(low.hit_counts)
    assert high.onset_count >= low.onset_count


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_nothing_fires_in_silence(level):
    quiet = np.random.default_rng(0).standard_normal(RATE * 6).astype(np.float32) * level
    features = listen(np.concatenate([pulses(6.0), quiet]))[round(6.6 * RATE / HOP) :]
    assert all(f.silent for f in features)
    assert len({(f.hit_counts, f.onset_count) for f in features}) == 1
    assert max(f.rms for f in features[50:]) < 0.01
    assert not features[-1].beat.running


def test_hum_after_loud_music_counts_as_silence():
    features = listen(np.concatenate([pulses(6.0), sine(50, 4.0, 0.0008)]))
    assert features[-1].silent


def test_bad_samples_are_survived():
    samples = pulses(3.0)
    samples[1000:1200] = np.nan
    samples[20000] = np.inf
    samples[30000] = -np.inf
    samples[40000:41000] = 1e30
    for hop in listen(samples):
        numbers = np.array([hop.rms, hop.peak, hop.raw_rms, *hop.bands, *hop.hits, hop.centroid, hop.flux])
        assert np.isfinite(numbers).all()
        assert (numbers[:2] <= 1.0).all()
        assert all(0 <= v <= 1 for v in (*hop.bands, *hop.bands_slow, *hop.hits, hop.flatness, hop.flux, hop.centroid))


def test_direct_current_is_not_bass():
    features = listen(np.full(RATE * 6, 0.5, np.float32))
    assert features[-1].silent
    assert max(features[-1].bands) < 0.05


def test_clipped_music_still_hits():
    assert listen(np.clip(pulses(6.0) * 8, -1, 1))[-1].hit_counts[1] >= 8


def test_the_future_changes_nothing_of_the_past():
    samples = pulses(6.0)
    other = samples.copy()
    other[4 * RATE :] = np.random.default_rng(0).standard_normal(2 * RATE)
    cut = 4 * RATE // HOP
    assert listen(samples)[:cut] == listen(other)[:cut] == listen(samples[: cut * HOP])


def test_same_sound_same_features():
    samples = pulses(4.0)
    assert listen(samples) == listen(samples)


def test_blocks_of_another_length_are_refused():
    with pytest.raises(ValueError, match="expected \\(256,\\)"):
        Analyser().process(np.zeros(255, np.float32), 0.0)


@pytest.mark.parametrize(
    "change", [{"sample_rate": 8000}, {"hop": 8}, {"tempo_low": 200.0}, {"sensitivity": 0.0}, {"silence_db": np.nan}]
)  # fmt: skip
def test_settings_out_of_range_are_named(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        dataclasses.replace(AnalysisSettings(), **change)
