"""Features on disk are exact, or they are not used."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from vjengine.audio import cache
from vjengine.audio.features import AnalysisSettings
from vjengine.audio.track import features_of

SETTINGS = AnalysisSettings(hop=512)


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    t = np.arange(48000 * 6) / 48000
    wave = 0.4 * np.sin(2 * np.pi * 60 * t) * np.exp(-((t * 2) % 1) * 8) + 0.01 * rng.standard_normal(t.size)
    return wave.astype(np.float32)


def test_round_trip_is_exact_and_reads_instead_of_listening(samples, tmp_path):
    first = cache.cached_features(tmp_path, samples, SETTINGS)
    assert first == list(features_of(samples, SETTINGS))
    told: list[float] = []
    again = cache.cached_features(tmp_path, samples, SETTINGS, told.append)
    assert again == first
    assert told == [1.0]
    assert [p.suffix for p in tmp_path.iterdir()] == [".npz"]
    assert type(again[0].hit_counts[0]) is int
    assert type(again[0].silent) is bool


def test_every_setting_and_every_sample_has_a_key_of_its_own(samples):
    changes = {"sample_rate": 44100, "hop": 256, "tempo_low": 80.0, "tempo_high": 170.0, "sensitivity": 2.0,
               "silence_db": -50.0}  # fmt: skip
    assert set(changes) == set(AnalysisSettings.__slots__)
    other = samples.copy()
    other[-1] += 0.001
    keys = {cache.cache_key(samples, SETTINGS), cache.cache_key(other, SETTINGS)}
    keys |= {cache.cache_key(samples, replace(SETTINGS, **{name: value})) for name, value in changes.items()}
    assert len(keys) == 2 + len(changes)


@pytest.mark.parametrize("damage", ["truncated", "rubbish", "empty"])
def test_damaged_files_are_made_anew(samples, tmp_path, damage, caplog):
    first = cache.cached_features(tmp_path, samples, SETTINGS)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[: len(whole) // 2], "rubbish": b"rubbish" * 99, "empty": b""}[damage])
    with caplog.at_level(logging.WARNING):
        assert cache.cached_features(tmp_path, samples, SETTINGS) == first
    assert "damaged" in caplog.text
    assert cache.load_features(path) == first


def test_a_folder_that_cannot_be_made_costs_only_time(samples, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert len(cache.cached_features(blocked / "cache", samples[:48000], SETTINGS)) == 94
    assert "not kept" in caplog.text
