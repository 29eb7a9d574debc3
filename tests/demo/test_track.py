"""The bundled track is what its JSON says it is, and its script makes the same one every time."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vjengine.audio.files import decode
from vjengine.demo.arrangement import Section
from vjengine.demo.drums import kick
from vjengine.demo.dsp import RATE, ducking, fast_length, filtered, sweep
from vjengine.demo.mastering import integrated_lufs, momentary_lufs, true_peak
from vjengine.demo.synth import PLAN, main, render, truth, write

SHORT = (Section("intro", "intro", 1), Section("build", "build", 1), Section("drop", "drop", 1))


@lru_cache(maxsize=1)
def bundled() -> tuple[np.ndarray[Any, np.dtype[np.float32]], dict[str, Any]]:
    folder = Path(str(files("vjengine.demo")))
    facts = json.loads((folder / "track.json").read_text(encoding="utf-8"))
    return np.ascontiguousarray(decode(folder / "track.opus").samples.T), facts


def section(name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    samples, facts = bundled()
    found = next(part for part in facts["sections"] if part["name"] == name)
    return samples[:, round(found["start"] * RATE) : round(found["end"] * RATE)]


def test_it_is_two_minutes_and_small() -> None:
    samples, facts = bundled()
    assert samples.shape[1] / RATE == pytest.approx(facts["duration"], abs=0.05)
    assert 115 < facts["duration"] < 130
    assert Path(str(files("vjengine.demo"))).joinpath("track.opus").stat().st_size < 3_000_000


def test_the_json_is_the_scripts_own() -> None:
    samples, facts = bundled()
    written = truth(PLAN, samples.shape[1])
    assert {**written, "duration": 0} == {**facts, "duration": 0}
    assert [part["kind"] for part in facts["sections"]] == [
        "intro", "build", "drop", "breakdown", "build", "drop", "outro",
    ]  # fmt: skip
    ends = [part["end"] for part in facts["sections"]]
    assert [part["start"] for part in facts["sections"]][1:] == ends[:-1]


def test_kicks_fall_on_the_beats_of_the_truth() -> None:
    samples, facts = bundled()
    # The kick itself is looked for, by correlation, within 40 ms around each beat.
    shape = filtered(kick(), high=220.0)[: RATE // 8]
    low = filtered(samples.mean(axis=0), high=220.0)
    reach = RATE // 25
    for name in ("intro", "drop", "drop 2", "outro"):
        part = next(part for part in facts["sections"] if part["name"] == name)
        offsets = []
        for beat in range(1, 4 * part["bars"]):
            if name.startswith("drop") and beat % 32 == 31:
                continue  # a fill
            at = round((part["start"] + beat * 60.0 / facts["tempo"]) * RATE)
            found = np.correlate(low[at - reach : at + reach + len(shape)], shape, "valid")
            offsets.append((int(found.argmax()) - reach) / RATE)
        assert abs(float(np.median(offsets))) < 0.003, name
        assert np.mean(np.abs(offsets) < np.float64(0.006)) > 0.95, name


def test_sections_differ_in_loudness() -> None:
    loud = {part.name: integrated_lufs(section(part.name)) for part in PLAN}
    assert loud["drop"] - loud["intro"] > 2.5
    assert loud["drop"] - loud["breakdown"] > 4.0
    assert loud["drop 2"] - loud["build 2"] > 1.0
    assert loud["drop 2"] >= loud["drop"] - 0.5
    # The drop is louder than what leads up to it.
    assert momentary_lufs(section("drop"))[:20].mean() > momentary_lufs(section("build"))[-20:].max()


def test_the_breakdown_has_no_kick_and_the_drop_has() -> None:
    def share_of_bass(name: str) -> float:
        sound = section(name)
        return float((filtered(sound, high=110.0) ** 2).mean() / (sound**2).mean())

    assert share_of_bass("drop") > 0.35
    assert share_of_bass("breakdown") < 0.3


def test_it_is_loud_wide_and_unclipped() -> None:
    samples, _ = bundled()
    assert -11.5 < integrated_lufs(samples) < -9.5
    assert true_peak(samples).max() < 0.97
    left, right = samples
    assert 0.3 < np.corrcoef(left, right)[0, 1] < 0.98
    assert np.abs(samples.mean(axis=1)).max() < 1e-3
    assert np.abs(samples[:, : RATE // 5]).max() < 0.02  # silence before the first beat
    assert np.abs(samples[:, -RATE // 20 :]).max() < 0.01  # and the end is no click


def test_a_render_is_the_same_every_time() -> None:
    first, second = render(SHORT), render(SHORT)
    assert first.tobytes() == second.tobytes()
    assert np.isfinite(first).all()
    assert true_peak(first).max() < 0.9
    assert first.shape[0] == 2


def test_it_writes_what_its_extension_says(tmp_path) -> None:
    sound = (0.1 * np.random.default_rng(0).standard_normal((2, RATE))).astype(np.float32)
    for name in ("a.opus", "a.m4a", "a.flac", "a.wav"):
        write(tmp_path / name, sound, "test")
        assert decode(tmp_path / name).duration == pytest.approx(1.0, abs=0.03)


def test_an_unknown_extension_is_refused_before_rendering(tmp_path, capsys) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["-o", str(tmp_path / "track.xyz")])
    assert exit_info.value.code == 2
    assert ".opus" in capsys.readouterr().err


def test_loudness_agrees_with_the_standards_example() -> None:
    # ITU-R BS.1770: a 997 Hz sine at 0 dBFS in one channel reads -3.01 LUFS.
    sine = np.sin(2 * np.pi * 997 * np.arange(5 * RATE) / RATE).astype(np.float32)
    assert integrated_lufs(np.stack([sine, np.zeros_like(sine)])) == pytest.approx(-3.01, abs=0.1)


def test_a_sweep_that_is_wide_open_changes_nothing() -> None:
    noise = np.random.default_rng(5).standard_normal((2, 20000)).astype(np.float32)
    assert np.allclose(sweep(noise, np.full(4, 40000.0)), noise, atol=1e-4)
    shut = sweep(noise, np.full(4, 100.0))
    assert (shut**2).mean() < 0.02 * (noise**2).mean()


def test_filters_cut_where_they_say() -> None:
    time = np.arange(RATE) / RATE
    tones = np.stack([np.sin(2 * np.pi * 100 * time), np.sin(2 * np.pi * 5000 * time)]).astype(np.float32)
    low = (filtered(tones, low=1000.0, order=4) ** 2).mean(axis=1)
    high = (filtered(tones, high=1000.0, order=4) ** 2).mean(axis=1)
    assert low[0] < 1e-4 < 0.45 < low[1]
    assert high[1] < 1e-4 < 0.45 < high[0]


def test_ducking_dips_at_the_kick_and_returns() -> None:
    gain = ducking(RATE, [0, RATE // 2], 0.8)
    assert gain[RATE // 2 + 200] == pytest.approx(0.2, abs=0.02)
    assert gain[RATE // 2 - 1] == pytest.approx(1.0)
    assert gain.min() >= 0.19


@pytest.mark.parametrize("count", [1, 7, 1000, 5_857_142])
def test_fast_lengths_are_long_enough_and_smooth(count: int) -> None:
    length = fast_length(count)
    assert count <= length <= 1.1 * count + 1
    for prime in (2, 3, 5):
        while length % prime == 0:
            length //= prime
    assert length == 1
