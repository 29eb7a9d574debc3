"""A file as a live source, without any device: pace, places, ends."""

from __future__ import annotations

import time

import numpy as np
import pytest

from vjengine.audio.capture import FileSource, Hop, SilentSource
from vjengine.core.clock import LiveClock
from vjengine.core.exchange import EventQueue
from vjengine.errors import UnreadableAudio

RATE, HOP = 48000, 256


def ramp(seconds: float) -> np.ndarray:
    """A sound whose every sample tells its place."""
    line = np.linspace(0.0, 0.9, int(seconds * RATE))
    return np.stack([line, -line], axis=1).astype(np.float32)


def collect(source, seconds: float) -> list[Hop]:
    hops: list[Hop] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end and not source.ended:
        hop = source.read(0.1)
        if hop is not None:
            hops.append(hop)
    return hops


def test_plays_the_whole_file_once_in_real_time(music) -> None:
    samples = ramp(1.5)
    clock = LiveClock()
    source = FileSource(music("ramp.wav", samples, RATE, "pcm_f32le"), clock, EventQueue(), output=None)
    source.start()
    begun = clock.now()
    hops = collect(source, 20.0)
    took = clock.now() - begun
    source.close()
    assert source.ended
    played = np.concatenate([hop.samples for hop in hops])
    assert np.array_equal(played[: len(samples)], samples)
    assert [hop.index for hop in hops] == list(range(len(hops)))
    assert took >= 1.45
    steps = np.diff([hop.time for hop in hops])
    assert (steps > 0).all()
    assert np.median(steps) == pytest.approx(HOP / RATE, rel=1e-3)
    assert all(not hop.samples.flags.writeable for hop in hops)


def test_a_hop_is_given_only_after_it_sounded(music) -> None:
    clock = LiveClock()
    source = FileSource(music("ramp.wav", ramp(2.0)), clock, EventQueue(), output=None)
    source.start()
    for _ in range(100):
        hop = source.read(1.0)
        assert hop is not None
        assert clock.now() >= hop.time
    source.close()


def test_starts_where_it_is_told(music) -> None:
    samples = ramp(6.0)
    source = FileSource(
        music("ramp.wav", samples, RATE, "pcm_f32le"), LiveClock(), EventQueue(), start=4.5, output=None
    )
    source.start()
    hop = source.read(2.0)
    assert hop is not None
    assert hop.samples[0, 0] == pytest.approx(samples[int(4.5 * RATE), 0], abs=1e-6)
    assert source.position == pytest.approx(4.5 + HOP / RATE)
    source.close()


def test_a_loop_begins_again_and_never_ends(music) -> None:
    samples = ramp(0.2)
    source = FileSource(
        music("short.wav", samples, RATE, "pcm_f32le"), LiveClock(), EventQueue(), loop=True, output=None
    )
    source.start()
    hops = []
    while len(hops) < 120:
        hop = source.read(2.0)
        assert hop is not None
        hops.append(hop)
    assert not source.ended
    source.close()
    assert source.ended
    once = -(-len(samples) // HOP)
    assert np.array_equal(hops[once].samples, hops[0].samples)
    assert np.array_equal(hops[3 * once + 5].samples, hops[5].samples)


def test_a_reader_that_slept_goes_where_the_music_is(music) -> None:
    clock = LiveClock()
    source = FileSource(music("ramp.wav", ramp(5.0)), clock, EventQueue(), output=None)
    source.start()
    assert source.read(1.0) is not None
    time.sleep(0.6)
    late = collect(source, 1.0)
    source.close()
    assert clock.now() - late[-1].time < 0.5
    assert (np.diff([hop.time for hop in late]) > 0).all()


def test_close_ends_a_waiting_read_and_is_harmless_twice(music) -> None:
    source = FileSource(music("ramp.wav", ramp(2.0)), LiveClock(), EventQueue(), output=None)
    source.start()
    source.close()
    source.close()
    assert source.read(5.0) is None


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text"])
def test_what_cannot_be_played_raises_at_once(kind, tmp_path) -> None:
    path = tmp_path / "song.mp3"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("no music")
    with pytest.raises(UnreadableAudio, match=r"song\.mp3"):
        FileSource(path, LiveClock(), EventQueue(), output=None)


def test_a_start_behind_the_end_raises_at_start(music) -> None:
    source = FileSource(music("ramp.wav", ramp(1.0)), LiveClock(), EventQueue(), start=30.0, output=None)
    with pytest.raises(UnreadableAudio, match="ends before"):
        source.start()
    source.close()


def test_silence_comes_at_the_pace_of_the_clock() -> None:
    clock = LiveClock()
    source = SilentSource(clock)
    source.start()
    begun = clock.now()
    hops = [source.read(1.0) for _ in range(60)]
    took = clock.now() - begun
    source.close()
    assert source.read(1.0) is None
    assert all(hop is not None and not hop.samples.any() for hop in hops)
    assert took >= 60 * HOP / RATE * 0.99
    assert np.diff([hop.time for hop in hops if hop]) == pytest.approx(HOP / RATE)
