"""Clips and films, looked at by programs that did not make them."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import wave
import zipfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from vjengine.errors import RecordError, UnreadableAudio
from vjengine.offline.clips import (
    CARRIED,
    Chapter,
    ClipWriter,
    add_chapters,
    add_sound,
    clip_info,
    join,
    load_carried,
    read_clip,
    read_clip16,
    save_carried,
    to8,
    to16,
)
from vjengine.offline.continuation import Carried

av = pytest.importorskip("av", reason="PyAV is not installed")

SIZE = (64, 36)
NTSC = Fraction(30000, 1001)
needs_ffprobe = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed (apt: ffmpeg)")


def flat(level: int) -> npt.NDArray[np.uint8]:
    return np.full((36, 64, 3), level, np.uint8)


def clip(path: Path, levels: Sequence[int], fps: Fraction | int = NTSC, **settings: Any) -> Path:
    with ClipWriter(path, SIZE, fps, **settings) as writer:
        for level in levels:
            writer.write(flat(level))
    return path


def levels(path: Path, *span: int) -> list[int]:
    return [round(float(picture.mean())) for picture in read_clip(path, *span)]


def tone(path: Path, seconds: float, rate: int = 48_000, channels: int = 2, level: float = 0.5) -> Path:
    wave_form = level * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(np.round(wave_form * 32767).astype("<i2"), channels).tobytes())
    return path


def heard(path: Path) -> npt.NDArray[np.float32]:
    """What a player hears of the left channel, from time 0 on."""
    parts: list[npt.NDArray[np.float32]] = []
    with av.open(str(path)) as film:
        for frame in film.decode(audio=0):
            block = frame.to_ndarray()
            left = block[0] if frame.format.is_planar else block[0, ::2]
            if left.dtype.kind == "i":
                left = left / np.float32(np.iinfo(left.dtype).max)
            skip = max(0, round(-frame.time * frame.sample_rate)) if not parts else 0
            parts.append(left[skip:].astype(np.float32))
    return np.concatenate(parts)


def probe(path: Path) -> dict[str, Any]:
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-show_streams", "-show_chapters", "-show_format", "-of", "json", str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    found = json.loads(done.stdout)
    return {**{stream["codec_type"]: stream for stream in found["streams"]}, **found}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 pictures at 30000/1001: 1.001 s."""
    return clip(tmp_path_factory.mktemp("film") / "film.mkv", [8 * n for n in range(30)])


class TestClips:
    def test_are_what_was_written(self, film: Path) -> None:
        info = clip_info(film)
        assert (info.size, info.fps, info.frames, info.codec, info.audio) == (SIZE, NTSC, 30, "h264", False)
        assert info.duration == Fraction(1001, 1000)
        assert np.abs(np.array(levels(film)) - 8 * np.arange(30)).max() <= 2

    def test_from_any_picture_on(self, film: Path) -> None:
        whole = levels(film)
        for start, stop in ((0, 1), (7, 19), (29, 30), (4, 4)):
            assert levels(film, start, stop) == whole[start:stop]
        assert levels(film, 12) == whole[12:]

    def test_from_behind_a_later_key_picture(self, tmp_path: Path) -> None:
        long = clip(tmp_path / "long.mkv", [n * 2 for n in range(110)], fps=12)
        whole = levels(long)
        for start in (23, 24, 25, 71, 72, 100):
            assert levels(long, start, start + 3) == whole[start : start + 3]

    def test_the_same_pictures_give_the_same_bytes(self, film: Path, tmp_path: Path) -> None:
        again = clip(tmp_path / "again.mkv", [8 * n for n in range(30)])
        assert again.read_bytes() == film.read_bytes()

    @pytest.mark.parametrize(("hdr16", "dtype"), [(False, np.uint8), (True, np.uint16)])
    def test_lossless_is_lossless(self, tmp_path: Path, hdr16: bool, dtype: type[np.unsignedinteger[Any]]) -> None:
        pictures = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (3, 36, 64, 3), dtype=dtype, endpoint=True)
        with ClipWriter(tmp_path / "exact.mkv", SIZE, 12, quality="lossless", hdr16=hdr16) as writer:
            for picture in pictures:
                writer.write(picture)
        read = read_clip16 if hdr16 else read_clip
        assert np.array_equal(np.stack(list(read(tmp_path / "exact.mkv"))), pictures)

    def test_colours_and_top_stay(self, tmp_path: Path) -> None:
        picture = flat(0)
        picture[:18] = (220, 40, 60)
        picture[18:] = (30, 90, 200)
        with ClipWriter(tmp_path / "c.mkv", SIZE, 12) as writer:
            writer.write(to16(picture))
        seen = next(read_clip(tmp_path / "c.mkv")).astype(int)
        assert np.abs(seen[4, 30] - (220, 40, 60)).max() <= 4
        assert np.abs(seen[30, 30] - (30, 90, 200)).max() <= 4

    @pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
    def test_others_see_the_same_colours(self, tmp_path: Path) -> None:
        with ClipWriter(tmp_path / "c.mkv", SIZE, 12) as writer:
            writer.write(np.full((36, 64, 3), (220, 40, 60), np.uint8))
        command = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "c.mkv"), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        done = subprocess.run(command, capture_output=True, check=True, timeout=60)
        seen = np.frombuffer(done.stdout, np.uint8).reshape(36, 64, 3)[18, 32].astype(int)
        assert np.abs(seen - (220, 40, 60)).max() <= 4

    def test_depths_round_and_come_back(self) -> None:
        codes = np.arange(65536, dtype=np.uint16)
        assert np.array_equal(to8(codes), np.round(codes / 257).astype(np.uint8))
        assert np.array_equal(to8(to16(np.arange(256, dtype=np.uint8))), np.arange(256))

    @pytest.mark.parametrize("size", [(65, 36), (64, 37), (8, 8), (64, 20_000)])
    def test_impossible_sizes_are_refused(self, tmp_path: Path, size: tuple[int, int]) -> None:
        with pytest.raises(RecordError, match=r"must be even; take (66x36|64x38)|sides go from"):
            ClipWriter(tmp_path / "odd.mkv", size, 12)
        assert list(tmp_path.iterdir()) == []

    def test_odd_sizes_are_fine_without_loss(self, tmp_path: Path) -> None:
        with ClipWriter(tmp_path / "odd.mkv", (65, 37), 12, quality="lossless") as writer:
            writer.write(np.full((37, 65, 3), 77, np.uint8))
        assert clip_info(tmp_path / "odd.mkv").size == (65, 37)

    def test_other_pictures_are_refused(self, tmp_path: Path) -> None:
        with ClipWriter(tmp_path / "a.mkv", SIZE, 12) as writer:
            writer.write(flat(1))
            for wrong in (np.zeros((36, 64, 4), np.uint8), np.zeros((64, 36, 3), np.uint8), np.zeros((36, 64, 3))):
                with pytest.raises(RecordError, match="takes 64x36 pictures"):
                    writer.write(wrong)  # type: ignore[arg-type]

    def test_no_pictures_no_film(self, tmp_path: Path) -> None:
        writer = ClipWriter(tmp_path / "none.mkv", SIZE, 12)
        assert writer.close() == 0
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(RecordError, match="no such film"):
            clip_info(tmp_path / "none.mkv")
        with pytest.raises(RecordError, match="there are no clips"):
            join([], tmp_path / "none.mp4", 12)

    def test_a_fault_leaves_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError), ClipWriter(tmp_path / "a.mkv", SIZE, 12) as writer:
            writer.write(flat(1 // len(list(tmp_path.glob("nothing")))))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("content", [b"", b"this is no film" * 50])
    def test_broken_files_are_named(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "bad.mkv").write_bytes(content)
        for read in (clip_info, lambda path: next(read_clip(path))):
            with pytest.raises(RecordError, match=r"bad\.mkv"):
                read(tmp_path / "bad.mkv")

    def test_a_cut_off_clip_ends_with_an_error(self, film: Path, tmp_path: Path) -> None:
        shutil.copy(film, tmp_path / "cut.mkv")
        os.truncate(tmp_path / "cut.mkv", film.stat().st_size * 2 // 3)
        assert 0 < clip_info(tmp_path / "cut.mkv").frames < 30
        with pytest.raises(RecordError, match=r"cut\.mkv (ends after|is broken after)"):
            levels(tmp_path / "cut.mkv", 0, 30)


class TestJoining:
    @pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
    def test_nothing_is_lost_or_shown_twice(self, tmp_path: Path, suffix: str) -> None:
        clips = [clip(tmp_path / f"{n}.mkv", [80 * n + 5 * k for k in range(5 + n)]) for n in range(3)]
        told: list[int] = []
        target = tmp_path / f"film{suffix}"
        assert join(clips, target, NTSC, told.append) == 18
        assert told == [1, 2, 3]
        assert levels(target) == list(itertools.chain.from_iterable(levels(one) for one in clips))
        with av.open(str(target)) as film:
            times = [frame.time for frame in film.decode(video=0)]
        wanted = [float(n / NTSC) for n in range(18)]
        assert np.abs(np.array(times) - wanted).max() < (1e-9 if suffix != ".mkv" else 6e-4)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["0.mkv", "1.mkv", "2.mkv", target.name]

    def test_the_index_is_in_front_and_the_bytes_are_the_same(self, film: Path, tmp_path: Path) -> None:
        join([film, film], tmp_path / "a.mp4", NTSC)
        join([film, film], tmp_path / "b.mp4", NTSC)
        data = (tmp_path / "a.mp4").read_bytes()
        assert 0 < data.index(b"moov") < data.index(b"mdat")
        assert data == (tmp_path / "b.mp4").read_bytes()

    def test_reordered_pictures_keep_their_places(self, tmp_path: Path) -> None:
        """Clips of an encoder that refers to later pictures, as films from elsewhere do."""
        clips = []
        for n in range(2):
            path = tmp_path / f"{n}.mkv"
            with av.open(str(path), "w") as file:
                stream = file.add_stream("libx264", rate=25, options={"bf": "3", "b-adapt": "0", "b-pyramid": "none"})
                stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
                for k in range(11):
                    file.mux(stream.encode(av.VideoFrame.from_ndarray(flat(100 * n + 9 * k), format="rgb24")))
                file.mux(stream.encode(None))
            clips.append(path)
        assert join(clips, tmp_path / "film.mp4", 25) == 22
        with av.open(str(tmp_path / "film.mp4")) as film:
            frames = [(frame.time, frame.to_ndarray(format="gray").mean()) for frame in film.decode(video=0)]
        assert [time for time, _ in frames] == [n / 25 for n in range(22)]
        assert all(a < b for (_, a), (_, b) in itertools.pairwise(frames)), "each is lighter than the one before"

    def test_clips_that_do_not_fit_are_refused(self, film: Path, tmp_path: Path) -> None:
        with ClipWriter(tmp_path / "large.mkv", (128, 72), NTSC) as writer:
            writer.write(np.zeros((72, 128, 3), np.uint8))
        with pytest.raises(RecordError, match=r"large\.mkv \(h264 128x72\) does not fit"):
            join([film, tmp_path / "large.mkv"], tmp_path / "film.mp4", NTSC)
        assert not list(tmp_path.glob("film*"))

    def test_a_folder_that_is_not_there(self, film: Path, tmp_path: Path) -> None:
        with pytest.raises(RecordError, match="cannot write"):
            join([film], tmp_path / "nowhere" / "film.mp4", NTSC)
        with pytest.raises(RecordError, match="must end in"):
            join([film], tmp_path / "film.avi", NTSC)


@needs_ffprobe
class TestSound:
    @pytest.mark.parametrize(
        ("rate", "channels", "seconds", "name", "sound"),
        [
            (48_000, 2, 3.0, "f.mp4", "aac"),
            (44_100, 1, 0.4, "f.mp4", "aac"),
            (96_000, 2, 1.2, "f.mp4", "aac"),
            (44_100, 2, 0.4, "f.mov", "pcm"),
            (96_000, 1, 3.0, "f.mkv", "flac"),
        ],
    )
    def test_is_as_long_as_the_film_to_the_sample(
        self, film: Path, tmp_path: Path, rate: int, channels: int, seconds: float, name: str, sound: Any
    ) -> None:
        audio = tone(tmp_path / "t.wav", seconds, rate, channels)
        wanted = round(Fraction(1001, 1000) * rate)
        assert add_sound(film, audio, tmp_path / name, sound=sound) == wanted
        found = probe(tmp_path / name)
        assert found["audio"]["sample_rate"] == str(rate)
        assert found["audio"]["channels"] == 2
        if not name.endswith(".mkv"):
            assert found["audio"]["duration_ts"] == wanted
            assert abs(float(found["audio"]["duration"]) - float(found["video"]["duration"])) <= 1 / rate
        assert float(found["format"]["duration"]) == pytest.approx(1.001, abs=1 / 30)
        wave_form = heard(tmp_path / name)
        end = min(len(wave_form), round(seconds * rate), wanted)
        middle = wave_form[rate // 10 : end - rate // 10]
        assert np.abs(middle).max() == pytest.approx(0.5, abs=0.02), "loudness stays, also of mono"
        if seconds < 1.0:
            assert np.abs(wave_form[end + rate // 20 :]).max() < 1e-3, "then silence"
        assert levels(tmp_path / name) == levels(film)

    def test_a_short_one_begins_again_without_a_gap(self, film: Path, tmp_path: Path) -> None:
        audio = tone(tmp_path / "t.wav", 0.25)  # 110 whole periods
        add_sound(film, audio, tmp_path / "f.mov", sound="pcm", fit="loop")
        got = heard(tmp_path / "f.mov")
        wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(got)) / 48_000)
        assert len(got) == 48_048
        assert np.abs(got - wanted).max() < 1e-3

    def test_from_the_middle_of_a_track(self, film: Path, tmp_path: Path) -> None:
        quiet, loud = np.zeros(48_000, "<i2"), np.full(48_000, 10_000, "<i2")
        with wave.open(str(tmp_path / "t.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(48_000)
            file.writeframes(np.concatenate([quiet, loud]).tobytes())
        add_sound(film, tmp_path / "t.wav", tmp_path / "f.mov", sound="pcm", start=0.5)
        got = heard(tmp_path / "f.mov")
        assert np.flatnonzero(got > 0.1)[0] == 24_000
        with pytest.raises(UnreadableAudio, match="ends before 5 s"):
            add_sound(film, tmp_path / "t.wav", tmp_path / "g.mov", start=5.0)
        assert not list(tmp_path.glob("g*"))

    def test_same_bytes_chapters_and_tags(self, film: Path, tmp_path: Path) -> None:
        audio = tone(tmp_path / "t.wav", 2.0)
        chapters = [Chapter(0, "Aube"), Chapter(Fraction(1, 2), "Été")]
        for name in ("a.mp4", "b.mp4"):
            add_sound(film, audio, tmp_path / name, chapters=chapters, metadata={"title": "Nuit", "artist": "Nous"})
        assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
        data = (tmp_path / "a.mp4").read_bytes()
        assert 0 < data.index(b"moov") < data.index(b"mdat")
        found = probe(tmp_path / "a.mp4")
        assert [chapter["tags"]["title"] for chapter in found["chapters"]] == ["Aube", "Été"]
        assert float(found["chapters"][1]["start_time"]) == 0.5
        assert float(found["chapters"][1]["end_time"]) == pytest.approx(1.001, abs=1e-3)
        assert found["format"]["tags"]["title"] == "Nuit"

    def test_chapters_later_keep_the_sound(self, film: Path, tmp_path: Path) -> None:
        add_sound(film, tone(tmp_path / "t.wav", 2.0), tmp_path / "a.mp4")
        before = heard(tmp_path / "a.mp4")
        add_chapters(tmp_path / "a.mp4", tmp_path / "b.mp4", [Chapter(0, "One"), Chapter(0.6, "Two")], {"title": "T"})
        found = probe(tmp_path / "b.mp4")
        assert [chapter["tags"]["title"] for chapter in found["chapters"]] == ["One", "Two"]
        assert found["audio"]["duration_ts"] == 48_048
        assert np.array_equal(heard(tmp_path / "b.mp4"), before)
        assert levels(tmp_path / "b.mp4") == levels(film)
        for wrong in ([Chapter(0.5, "b"), Chapter(0.1, "a")], [Chapter(2.0, "behind the end")]):
            with pytest.raises(RecordError, match="must follow one another"):
                add_chapters(film, tmp_path / "c.mp4", wrong)
        assert not list(tmp_path.glob("c*"))

    def test_bad_sound_leaves_no_film(self, film: Path, tmp_path: Path) -> None:
        (tmp_path / "bad.wav").write_bytes(b"RIFF no sound at all")
        for audio in (tmp_path / "bad.wav", tmp_path / "missing.wav", tone(tmp_path / "zero.wav", 0.0)):
            with pytest.raises(UnreadableAudio):
                add_sound(film, audio, tmp_path / "f.mp4")
        with pytest.raises(RecordError, match="MP4 has no PCM"):
            add_sound(film, tone(tmp_path / "t.wav", 1.0), tmp_path / "f.mp4", sound="pcm")
        assert not list(tmp_path.glob("f*"))


class TestCarried:
    def test_every_bit_and_the_same_file(self, tmp_path: Path) -> None:
        frames = np.random.default_rng(3).integers(0, 65536, (2, 36, 64, 3), dtype=np.uint16)
        state = {"z": np.arange(6, dtype=np.float16).reshape(2, 3), "a": np.float32([1.5])}
        save_carried(tmp_path, Carried(frames, frames[0], state))
        back = load_carried(tmp_path)
        assert np.array_equal(back.frames, frames)
        assert np.array_equal(back.anchor, frames[0])
        assert {name: (array.dtype, array.tolist()) for name, array in back.state.items()} == {
            name: (array.dtype, array.tolist()) for name, array in state.items()
        }
        first = (tmp_path / CARRIED).read_bytes()
        save_carried(tmp_path, Carried(frames, frames[0], dict(reversed(state.items()))))
        assert (tmp_path / CARRIED).read_bytes() == first
        with zipfile.ZipFile(tmp_path / CARRIED) as archive:
            assert {entry.date_time[0] for entry in archive.infolist()} == {1980}, "no clock in its bytes"

    @pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 half"])
    def test_damage_is_said(self, tmp_path: Path, content: bytes | None) -> None:
        if content is not None:
            (tmp_path / CARRIED).write_bytes(content)
        with pytest.raises(RecordError, match="is missing or damaged"):
            load_carried(tmp_path)
