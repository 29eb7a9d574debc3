"""Decoding: every usual format, every usual way to be broken, and constant memory."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from vjengine.audio.files import blocks, decode, probe
from vjengine.errors import UnreadableAudio

FORMATS = [
    ("wav", "pcm_s16le", 44100),
    ("flac", "flac", 44100),
    ("mp3", "libmp3lame", 44100),
    ("opus", "libopus", 48000),
    ("m4a", "aac", 44100),
]


def tone(rate: int, seconds: float = 4.0, channels: int = 2) -> np.ndarray:
    time = np.arange(int(rate * seconds)) / rate
    # 440 Hz, with a burst at 2 s to align by.
    wave = 0.2 * np.sin(2 * np.pi * 440 * time)
    wave[int(2.0 * rate) : int(2.01 * rate)] *= 4
    return np.stack([wave] * channels, axis=1).astype(np.float32)


@pytest.mark.parametrize(("extension", "codec", "rate"), FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_decodes_to_the_same_sound(music, extension, codec, rate, channels) -> None:
    track = decode(music(f"t.{extension}", tone(rate, channels=channels), rate, codec))
    assert track.samples.dtype == np.float32
    assert track.samples.shape[1] == 2
    assert not track.samples.flags.writeable
    assert track.duration == pytest.approx(4.0, abs=0.06)
    steady = track.samples[48000 : 48000 + 9600]
    assert np.sqrt(np.mean(steady**2)) == pytest.approx(0.2 / np.sqrt(2), rel=0.1)
    spectrum = np.abs(np.fft.rfft(steady[:, 0]))
    assert np.argmax(spectrum) * 48000 / 9600 == pytest.approx(440, abs=5)
    loudest = np.argmax(np.convolve(track.samples[:, 1] ** 2, np.ones(480), mode="valid"))
    assert loudest / 48000 == pytest.approx(2.0, abs=0.01)


def test_probe_tells_length_and_title(music) -> None:
    info = probe(music("My Song.flac", tone(44100), 44100, "flac"))
    assert (info.sample_rate, info.channels, info.codec, info.title) == (44100, 2, "flac", "My Song")
    assert info.duration == pytest.approx(4.0, abs=0.01)


def test_blocks_are_the_decoded_file_cut_up(music) -> None:
    path = music("t.flac", tone(44100, 4.003), 44100, "flac")
    whole = decode(path).samples
    cut = list(blocks(path, 256))
    assert {block.shape for block in cut} == {(256, 2)}
    joined = np.concatenate(cut)
    assert np.array_equal(joined[: len(whole)], whole)
    assert len(joined) - len(whole) < 256
    assert not joined[len(whole) :].any()


@pytest.mark.parametrize(("extension", "codec"), [("flac", "flac"), ("mp3", "libmp3lame"), ("m4a", "aac")])
@pytest.mark.parametrize("start", [0.3, 2.7, 5.123])
def test_a_start_lands_on_the_right_sample(music, extension, codec, start) -> None:
    noise = np.random.default_rng(3).normal(0, 0.1, (48000 * 8, 2)).astype(np.float32)
    noise = np.cumsum(noise, axis=0) * 0.02  # brown: survives lossy codecs
    noise -= np.linspace(noise[0], noise[-1], len(noise))
    path = music(f"t.{extension}", noise.astype(np.float32), 48000, codec)
    whole = decode(path).samples
    late = np.concatenate(list(blocks(path, 512, start=start)))
    begin = round(start * 48000)
    window = whole[begin : begin + 24000, 0]
    scores = [float(np.dot(np.roll(late[:24000, 0], shift), window)) for shift in range(-30, 31)]
    assert abs(int(np.argmax(scores)) - 30) <= 1
    assert np.abs(late[:24000, 0] - window).max() < 0.05


def test_reading_the_same_file_twice_gives_the_same_bytes(music) -> None:
    path = music("t.mp3", tone(44100), 44100, "libmp3lame")
    assert decode(path).samples.tobytes() == decode(path).samples.tobytes()


def test_a_long_file_streams_in_little_memory(music) -> None:
    path = music("long.flac", np.tile(tone(44100, 10.0), (6, 1)), 44100, "flac")
    tracemalloc.start()
    count = sum(1 for _ in blocks(path, 4096))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == -(-60 * 48000 // 4096)
    assert peak < 2_000_000  # the whole would be 23 MB


def broken_file(kind: str, music, tmp_path):
    path = tmp_path / f"{kind}.mp3"
    if kind == "missing":
        return path
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("this is no music\n" * 100)
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(20000))
    elif kind == "header only":
        path.write_bytes(music("x.flac", tone(44100), 44100, "flac").read_bytes()[:60])
    return path


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text", "noise", "header only"])
def test_what_is_not_music_is_refused_by_name(kind, music, tmp_path) -> None:
    path = broken_file(kind, music, tmp_path)
    with pytest.raises(UnreadableAudio, match=r"\.mp3: "):
        decode(path)
    with pytest.raises(UnreadableAudio, match=r"\.mp3: "):
        next(blocks(path))


def test_a_video_without_sound_says_so(tmp_path) -> None:
    import av

    path = tmp_path / "mute.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), dtype=np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(UnreadableAudio, match="without sound"):
        probe(path)


@pytest.mark.parametrize(("name", "codec"), [("x.mp3", "libmp3lame"), ("x.flac", "flac")])
def test_a_truncated_file_gives_what_is_left_and_says_what_to_do(name, codec, music, tmp_path, caplog) -> None:
    data = music(name, tone(44100), 44100, codec).read_bytes()
    path = tmp_path / f"half-{name}"
    path.write_bytes(data[: len(data) // 2])
    assert 1.5 < decode(path).duration < 2.5
    assert "copy or download it again" in caplog.text
    assert "Errno" not in caplog.text


def test_damage_in_the_middle_costs_only_the_middle(music, tmp_path) -> None:
    data = bytearray(music("whole.mp3", tone(44100, 8.0), 44100, "libmp3lame").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = b"\xff" * 3000
    path = tmp_path / "scratched.mp3"
    path.write_bytes(bytes(data))
    assert decode(path).duration > 7.0


def test_floats_that_are_no_numbers_become_silence(music) -> None:
    samples = tone(48000)
    samples[1000:1010] = np.nan
    samples[2000:2010] = np.inf
    decoded = decode(music("wild.wav", samples, 48000, "pcm_f32le")).samples
    assert np.isfinite(decoded).all()
    assert np.abs(decoded).max() <= 8.0


def test_a_start_behind_the_end_is_said(music) -> None:
    path = music("short.wav", tone(48000))
    with pytest.raises(UnreadableAudio, match="ends before 60 s"):
        next(blocks(path, start=60.0))


def test_importing_the_decoder_loads_no_audio_library() -> None:
    code = "import sys, vjengine.audio.capture, vjengine.audio.listener, vjengine.audio.files; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert not {"av", "sounddevice", "aubio"} & set(done.stdout.split())
