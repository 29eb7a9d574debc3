"""Hops of a device that came back at another rate."""

from __future__ import annotations

import numpy as np
import pytest

from vjengine.audio.resample import HopBuffer, HopResampler


@pytest.mark.parametrize("channels", [1, 2])
def test_another_rate_gives_the_same_tone_at_the_same_times(channels: int) -> None:
    rate_in, rate_out, hop = 44100, 48000, 256
    resampler = HopResampler(rate_in, rate_out, hop, channels)
    wave = np.sin(2 * np.pi * 1000 * np.arange(rate_in) / rate_in).astype(np.float32)
    out, times = [], []
    for first in range(0, rate_in - hop, hop):
        piece = np.stack([wave[first : first + hop]] * channels, axis=1)
        resampler.give(piece, 5.0 + (first + hop) / rate_in)
        while (ready := resampler.take()) is not None:
            assert ready[0].shape == (hop, channels)
            out.append(ready[0][:, 0])
            times.append(ready[1])
    assert len(out) == pytest.approx(rate_out / hop, abs=3)
    spectrum = np.abs(np.fft.rfft(np.concatenate(out)[:24000]))
    assert int(np.argmax(spectrum)) * rate_out / 24000 == pytest.approx(1000, abs=3)
    # The k-th hop ends k hops after the start, give or take the filter's own millisecond.
    expected = 5.0 + np.arange(1, len(out) + 1) * hop / rate_out
    assert np.abs(np.array(times) - expected).max() < 0.002


def test_the_buffer_loses_and_invents_nothing() -> None:
    buffer = HopBuffer(64)
    source = np.arange(1000, dtype=np.float32).reshape(-1, 1)
    out = []
    for first, last in ((0, 10), (10, 10), (10, 300), (300, 301), (301, 1000)):
        buffer.push(source[first:last])
        while (piece := buffer.pop()) is not None:
            out.append(piece)
    rest = buffer.rest()
    assert rest is not None
    joined = np.concatenate([*out, rest])
    assert np.array_equal(joined[:1000], source)
    assert not joined[1000:].any()
    assert buffer.rest() is None
