"""Where each sample of a recording's sound lands."""

from __future__ import annotations

import numpy as np
import pytest

from vjengine.outputs.soundtrack import Samples, Soundtrack, stereo

RATE = 48_000


def ramp(start: int, n: int) -> Samples:
    """Samples that say their own position."""
    line = (np.arange(start, start + n) / 1e6).astype(np.float32)
    return np.stack([line, line], axis=1)


def laid(track: Soundtrack, blocks: list[tuple[Samples, float]]) -> Samples:
    out = [block for samples, time in blocks for block in track.place(samples, time)]
    joined = np.concatenate(out) if out else np.zeros((0, 2), np.float32)
    assert len(joined) == track.position
    return joined


@pytest.mark.parametrize("elastic", [False, True])
class TestBoth:
    def test_contiguous_blocks_stay_as_they_are(self, elastic: bool) -> None:
        track = Soundtrack(RATE, elastic=elastic)
        out = laid(track, [(ramp(i * 512, 512), i * 512 / RATE) for i in range(50)])
        assert np.array_equal(out, ramp(0, 50 * 512))
        assert track.filled == track.trimmed == 0

    def test_a_late_start_and_a_hole_become_silence(self, elastic: bool) -> None:
        track = Soundtrack(RATE, elastic=elastic)
        out = laid(track, [(ramp(1, 480), 0.5), (ramp(1, 480), 1.0)])
        assert (out[:24_000] == 0).all()
        assert np.array_equal(out[24_000:24_480], ramp(1, 480))
        assert (out[24_480:48_000] == 0).all()
        assert np.array_equal(out[48_000:], ramp(1, 480))

    def test_an_overlap_and_sound_before_the_start_are_trimmed(self, elastic: bool) -> None:
        track = Soundtrack(RATE, elastic=elastic)
        out = laid(track, [(ramp(-4800, 9600), -0.1), (ramp(0, 48_000), 0.0), (ramp(100, 50), 0.0)])
        assert np.array_equal(out, ramp(0, 48_000))

    def test_a_time_that_is_no_number_means_next(self, elastic: bool) -> None:
        out = laid(Soundtrack(RATE, elastic=elastic), [(ramp(0, 100), 0.0), (ramp(100, 100), float("nan"))])
        assert np.array_equal(out, ramp(0, 200))

    def test_padding_reaches_exactly(self, elastic: bool) -> None:
        track = Soundtrack(RATE, elastic=elastic)
        track.place(ramp(0, 100), 0.0)
        assert sum(map(len, track.pad_to(1000))) == 900
        assert track.pad_to(500) == []
        assert track.position == 1000


def test_exact_times_correct_a_single_sample() -> None:
    out = laid(Soundtrack(RATE, elastic=False), [(ramp(0, 100), 0.0), (ramp(101, 100), 101 / RATE)])
    assert len(out) == 201


def test_jitter_is_let_pass() -> None:
    rng = np.random.default_rng(3)
    track = Soundtrack(RATE, elastic=True)
    out = laid(track, [(ramp(i * 512, 512), i * 512 / RATE + rng.uniform(-0.004, 0.004)) for i in range(1, 2000)])
    assert track.trimmed == 0
    assert abs(len(out) - 2000 * 512) < 0.003 * RATE


@pytest.mark.parametrize("ppm", [-300, -50, 50, 300])
def test_an_hour_of_drift_stays_within_three_milliseconds(ppm: int) -> None:
    """Two clocks that disagree by some ppm: the sound follows the session clock, without holes."""
    track = Soundtrack(RATE, elastic=True)
    block = np.zeros((4096, 2), np.float32)
    worst = 0.0
    for i in range(int(3600 * RATE / 4096)):
        time = i * 4096 / RATE * (1 + ppm * 1e-6)
        worst = max(worst, abs(time - track.position / RATE))
        track.place(block, time)
    assert worst < 0.003
    assert track.filled == track.trimmed == 0


def test_stretching_keeps_the_tone() -> None:
    track = Soundtrack(RATE, elastic=True)
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE * 4) / RATE).astype(np.float32)
    blocks = [(stereo(tone[i : i + 512]), i / RATE + 0.01) for i in range(512, len(tone), 512)]
    out = np.concatenate(
        [b for samples, time in [(stereo(tone[:512]), 0.0), *blocks] for b in track.place(samples, time)]
    )
    assert len(out) > len(tone) + 200  # it was 10 ms short
    steps = np.abs(np.diff(out[:, 0]))
    assert steps.max() < 2 * np.pi * 1000 / RATE * 1.3, "a click"


class TestStereo:
    def test_mono_and_many_channels(self) -> None:
        assert np.array_equal(stereo(np.array([0.5, -0.5])), [[0.5, 0.5], [-0.5, -0.5]])
        assert np.array_equal(stereo(np.array([[0.1, 0.2, 0.3]], np.float32)), np.array([[0.1, 0.2]], np.float32))

    def test_wild_samples_are_tamed(self) -> None:
        out = stereo(np.array([np.nan, np.inf, -np.inf, 7.0], np.float32))
        assert out[:, 0].tolist() == [0.0, 1.0, -1.0, 1.0]

    def test_other_shapes_are_refused(self) -> None:
        with pytest.raises(ValueError, match="channels"):
            stereo(np.zeros((2, 2, 2), np.float32))
