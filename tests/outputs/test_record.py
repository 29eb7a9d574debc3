"""Recordings, looked at by programs that did not make them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from vjengine.core.clock import LiveClock
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue
from vjengine.errors import MissingDependency, RecordError
from vjengine.outputs.codecs import choose_codec
from vjengine.outputs.record import Recorder, RecordReport
from vjengine.outputs.remux import remux
from vjengine.outputs.takes import MIN_FREE

av = pytest.importorskip("av", reason="PyAV is not installed")

SIZE = (128, 72)
RATE = 48_000
needs_ffprobe = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed (apt: ffmpeg)")


def picture(level: int, size: tuple[int, int] = SIZE) -> npt.NDArray[np.uint8]:
    pixels = np.full((size[1], size[0], 4), level, np.uint8)
    pixels[..., 3] = 255
    return pixels


def noise(size: tuple[int, int], n: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(n).integers(0, 255, (size[1], size[0], 4), dtype=np.uint8)


def beep(n: int) -> npt.NDArray[np.float32]:
    return (0.8 * np.sin(2 * np.pi * 1000 * np.arange(n) / RATE)).astype(np.float32)


def probe(path: Path) -> dict[str, dict[str, Any]]:
    """What ffprobe says of each stream, by kind."""
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return {stream["codec_type"]: stream for stream in json.loads(done.stdout)["streams"]}


def light(path: Path) -> list[tuple[float, float]]:
    """(time in s, mean brightness) of each frame."""
    with av.open(str(path)) as film:
        return [(float(f.time), float(f.to_ndarray(format="gray").mean())) for f in film.decode(video=0)]


def sound(path: Path) -> npt.NDArray[np.float32]:
    """The left channel as a player hears it: from time 0 on."""
    parts: list[npt.NDArray[np.float32]] = []
    with av.open(str(path)) as film:
        for frame in film.decode(audio=0):
            block = frame.to_ndarray()[0]
            skip = max(0, round(-frame.time * frame.sample_rate)) if not parts else 0
            parts.append(block[skip:])
    return np.concatenate(parts)


def flashes(path: Path) -> list[float]:
    seen = light(path)
    return [t for (_, before), (t, now) in itertools.pairwise(seen) if now > 128 >= before]


def beeps(path: Path) -> list[float]:
    loud = np.flatnonzero(np.abs(sound(path)) > 0.25)
    starts = loud[np.flatnonzero(np.diff(loud, prepend=-RATE) > RATE // 10)]
    return [float(start / RATE) for start in starts]


def statuses(events: EventQueue) -> list[StatusChanged]:
    return [event for event in events.drain() if isinstance(event, StatusChanged)]


def offline(path: Path, frames: int = 60, size: tuple[int, int] = SIZE, fps: int = 30, **settings: Any) -> RecordReport:
    """Record noise and a tone."""
    recorder = Recorder(path, size, fps, EventQueue(), realtime=False, sample_rate=RATE, **settings)
    step = RATE // fps
    for n in range(frames):
        recorder.write_frame(noise(size, n % 7), n / fps)
        recorder.write_audio(beep(step), n / fps)
    return recorder.close()


class TestTheFile:
    @needs_ffprobe
    def test_is_what_players_expect(self, tmp_path: Path) -> None:
        report = offline(tmp_path / "take.mp4", frames=61)
        assert report == RecordReport(tmp_path / "take.mp4", 61, 0, 0, pytest.approx(61 / 30), "")
        streams = probe(report.path)
        video, audio = streams["video"], streams["audio"]
        assert (video["codec_name"], video["pix_fmt"], video["color_space"]) == ("h264", "yuv420p", "bt709")
        assert (audio["codec_name"], audio["sample_rate"], audio["channels"]) == ("aac", str(RATE), 2)
        assert video["r_frame_rate"] == video["avg_frame_rate"] == "30/1"
        assert int(video["nb_read_frames"]) == 61
        assert float(video["start_time"]) == float(audio["start_time"]) == 0.0
        assert float(video["duration"]) == pytest.approx(61 / 30, abs=1e-3)
        assert float(audio["duration"]) == pytest.approx(61 / 30, abs=1 / 30)
        assert [path.name for path in tmp_path.iterdir()] == ["take.mp4"]

    def test_the_index_is_in_front(self, tmp_path: Path) -> None:
        data = offline(tmp_path / "take.mp4").path.read_bytes()
        assert 0 < data.index(b"moov") < data.index(b"mdat")

    @pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
    def test_colours_survive(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path / "c.mp4", SIZE, 30, EventQueue(), realtime=False, crf=8)
        colours = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (128, 128, 128), (255, 255, 255), (0, 0, 0)]
        for n, colour in enumerate(colours):
            pixels = picture(255)
            pixels[..., :3] = colour
            recorder.write_frame(pixels, n / 30)
        recorder.close()
        done = subprocess.run(
            ["ffmpeg", "-v", "error", "-i", tmp_path / "c.mp4", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
            capture_output=True,
            check=True,
            timeout=60,
        )
        film = np.frombuffer(done.stdout, np.uint8).reshape(len(colours), SIZE[1], SIZE[0], 3)
        for seen, colour in zip(film[:, 36, 64], colours, strict=True):
            assert np.abs(seen.astype(int) - colour).max() <= 4, (seen, colour)

    def test_top_row_is_on_top(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path / "t.mp4", SIZE, 30, EventQueue(), realtime=False)
        pixels = picture(0)
        pixels[:20] = 255
        recorder.write_frame(pixels, 0.0)
        recorder.close()
        with av.open(str(tmp_path / "t.mp4")) as film:
            grey = next(film.decode(video=0)).to_ndarray(format="gray")
        assert grey[5].mean() > 200 > 50 > grey[-5].mean()

    def test_two_runs_give_the_same_bytes(self, tmp_path: Path) -> None:
        first = offline(tmp_path / "one.mp4", frames=45).path.read_bytes()
        second = offline(tmp_path / "two.mp4", frames=45).path.read_bytes()
        assert first == second
        assert offline(tmp_path / "a.mkv").path.read_bytes() == offline(tmp_path / "b.mkv").path.read_bytes()

    @pytest.mark.parametrize("size", [(129, 73), (128, 73), (129, 72)])
    def test_odd_sizes_grow_by_a_pixel(self, tmp_path: Path, size: tuple[int, int]) -> None:
        recorder = Recorder(tmp_path / "odd.mp4", size, 30, EventQueue(), realtime=False, crf=8)
        recorder.write_frame(picture(200, size), 0.0)
        recorder.close()
        with av.open(str(tmp_path / "odd.mp4")) as film:
            frame = next(film.decode(video=0))
            assert (frame.width, frame.height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
            assert frame.to_ndarray(format="gray").min() > 180, "the added pixel repeats its neighbour"

    def test_a_fractional_rate_stays_exact(self, tmp_path: Path) -> None:
        fps = Fraction(30000, 1001)
        recorder = Recorder(tmp_path / "ntsc.mp4", SIZE, fps, EventQueue(), realtime=False)
        for n in range(60):
            recorder.write_frame(picture(n), float(n / fps))
        assert recorder.close().duplicated == 0
        with av.open(str(tmp_path / "ntsc.mp4")) as film:
            assert film.streams.video[0].average_rate == fps

    def test_mkv_stays_mkv(self, tmp_path: Path) -> None:
        assert offline(tmp_path / "take.mkv").path == tmp_path / "take.mkv"
        assert len(light(tmp_path / "take.mkv")) == 60


class TestSync:
    def test_flash_and_beep_come_back_together(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path / "sync.mp4", SIZE, 60, EventQueue(), realtime=False, sample_rate=RATE)
        marks = (30, 90, 210)
        for n in range(270):
            on = any(mark <= n < mark + 3 for mark in marks)
            recorder.write_frame(picture(255 if on else 0), n / 60)
            recorder.write_audio(beep(800) if on else np.zeros(800, np.float32), n / 60)
        recorder.close()
        seen, heard = flashes(tmp_path / "sync.mp4"), beeps(tmp_path / "sync.mp4")
        assert len(seen) == len(heard) == 3
        for mark, flash, tone in zip(marks, seen, heard, strict=True):
            assert flash == pytest.approx(mark / 60, abs=1e-3)
            assert tone == pytest.approx(mark / 60, abs=0.002)

    @needs_ffprobe
    def test_a_bad_night(self, tmp_path: Path) -> None:
        """Pictures that jitter and stay away, sound that starts late, drops out and comes back: still together."""
        rng = np.random.default_rng(5)
        path = tmp_path / "night.mp4"
        recorder = Recorder(path, SIZE, 60, EventQueue(), sample_rate=RATE)
        pause = threading.Event()
        marks = (0.5, 2.5, 4.5)
        for n in range(300):
            time = n / 60 + rng.uniform(-0.004, 0.004)
            if not (1.0 < time < 1.4 or n % 11 == 0):  # the show stalls; now and then a picture is missing
                on = any(mark <= n / 60 < mark + 0.1 for mark in marks)
                recorder.write_frame(picture(255 if on else 0), time)
            if n / 60 > 0.3 and not 3.0 < n / 60 < 4.2:  # the sound device is lost for 1.2 s
                line = n / 60 + np.arange(800) / RATE
                on_air = sum(((line >= mark) & (line < mark + 0.1)) for mark in marks)
                recorder.write_audio(on_air * beep(800), n / 60 + rng.uniform(-0.003, 0.003))
            pause.wait(0.004)
        report = recorder.close()
        assert report.error == ""
        assert report.duplicated >= 20
        seen, heard = flashes(path), beeps(path)
        assert len(seen) == len(heard) == 3, (seen, heard)
        for mark, flash, tone in zip(marks, seen, heard, strict=True):
            assert flash == pytest.approx(mark, abs=2 / 60)
            assert tone == pytest.approx(mark, abs=0.01)
        streams = probe(path)
        assert int(streams["video"]["nb_read_frames"]) == report.frames + report.duplicated
        assert streams["video"]["avg_frame_rate"] == "60/1"
        assert float(streams["audio"]["duration"]) == pytest.approx(float(streams["video"]["duration"]), abs=1 / 60)

    def test_sound_that_never_comes_is_silence(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path / "s.mp4", SIZE, 30, EventQueue(), realtime=False, sample_rate=RATE)
        for n in range(45):
            recorder.write_frame(picture(n), n / 30)
        recorder.close()
        heard = sound(tmp_path / "s.mp4")
        assert len(heard) >= 1.5 * RATE - 1
        assert np.abs(heard).max() < 1e-3

    def test_sound_longer_than_the_picture_is_cut(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path / "l.mp4", SIZE, 30, EventQueue(), realtime=False, sample_rate=RATE)
        recorder.write_audio(beep(4 * RATE), 0.0)
        for n in range(30):
            recorder.write_frame(picture(n), n / 30)
        recorder.close()
        assert len(sound(tmp_path / "l.mp4")) <= RATE + 1024


class TestPace:
    def test_live_never_waits_and_counts_what_it_drops(self, tmp_path: Path) -> None:
        size = (320, 180)
        events = EventQueue()
        recorder = Recorder(tmp_path / "fast.mp4", size, 60, events, preset="veryslow")
        pixels = noise(size, 1)
        clock = LiveClock()
        for n in range(400):
            recorder.write_frame(pixels, n / 60)
        spent = clock.now()
        said = statuses(events)
        report = recorder.close()
        assert report.dropped > 0
        assert report.frames + report.dropped == 400
        assert report.frames + report.duplicated == round(report.seconds * 60)
        assert spent < 10.0, "a caller was held up"
        assert any(s.level == "warn" and "pictures dropped" in s.message for s in said)

    def test_offline_loses_nothing(self, tmp_path: Path) -> None:
        size = (640, 360)
        recorder = Recorder(tmp_path / "all.mp4", size, 60, EventQueue(), realtime=False)
        for n in range(120):
            recorder.write_frame(picture(n, size), n / 60)
        report = recorder.close()
        assert (report.frames, report.duplicated, report.dropped) == (120, 0, 0)
        levels = [level for _, level in light(report.path)]
        assert levels == sorted(levels)

    def test_times_that_make_no_sense_are_dropped(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path / "t.mp4", SIZE, 30, EventQueue(), realtime=False)
        recorder.write_frame(picture(1), 0.0)
        for time in (float("nan"), float("inf"), -3.0, 1e9):
            recorder.write_frame(picture(2), time)
        recorder.write_frame(picture(3), 1 / 30)
        report = recorder.close()
        assert (report.frames, report.dropped) == (2, 4)

    def test_two_pictures_for_one_slot(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path / "t.mp4", SIZE, 30, EventQueue(), realtime=False)
        for n in range(60):
            recorder.write_frame(picture(n), n / 60)
        report = recorder.close()
        assert report.seconds == pytest.approx(1.0, abs=0.05)
        assert report.frames + report.dropped == 60

    def test_the_callers_array_may_change_at_once(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path / "t.mp4", SIZE, 30, EventQueue(), realtime=False)
        pixels = picture(0)
        for n in range(20):
            pixels[...] = 10 * n
            recorder.write_frame(pixels, n / 30)
            pixels[...] = 255
        recorder.close()
        for n, (_, level) in enumerate(light(tmp_path / "t.mp4")):
            assert level == pytest.approx(10 * n, abs=6)


class TestBadInput:
    @pytest.mark.parametrize(
        ("name", "settings", "says"),
        [
            ("missing/take.mp4", {}, "create it first"),
            ("take.avi", {}, r"ends in \.mp4"),
            ("take", {}, r"ends in \.mp4"),
            ("folder.mp4", {}, "it is a folder"),
            ("take.mp4", {"size": (0, 72)}, "16 to 8192"),
            ("take.mp4", {"size": (128, 100_000)}, "16 to 8192"),
            ("take.mp4", {"fps": 0}, "1 to 240"),
            ("take.mp4", {"fps": 100_000}, "1 to 240"),
            ("take.mp4", {"sample_rate": 44_000}, "44100"),
            ("take.mp4", {"codec": "h264_nothing"}, "use codec 'auto'"),
            ("take.mp4", {"preset": "warp"}, "cannot record"),
        ],
    )
    def test_is_refused_before_the_show(self, tmp_path: Path, name: str, settings: dict[str, Any], says: str) -> None:
        (tmp_path / "folder.mp4").mkdir()
        arguments: dict[str, Any] = {"size": SIZE, "fps": 30, "codec": "libx264", **settings}
        threads = threading.active_count()
        with pytest.raises(RecordError, match=says):
            Recorder(tmp_path / name, events=EventQueue(), **arguments)
        assert [path.name for path in tmp_path.iterdir()] == ["folder.mp4"]
        assert threading.active_count() == threads

    @pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder nobody can write to")
    def test_unwritable_folder(self) -> None:
        with pytest.raises(RecordError, match="/proc"):
            Recorder(Path("/proc/take.mp4"), SIZE, 30, EventQueue())

    def test_wrong_pixels_are_the_callers_fault(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path / "t.mp4", SIZE, 30, EventQueue())
        for wrong in (np.zeros((72, 128, 3), np.uint8), np.zeros((72, 128, 4), np.float32)):
            with pytest.raises(ValueError, match="this recording takes"):
                recorder.write_frame(wrong, 0.0)
        with pytest.raises(ValueError, match="audio is"):
            recorder.write_audio(np.zeros((2, 2, 2), np.float32), 0.0)
        recorder.close()

    def test_without_pyav_it_says_what_to_install(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "av", None)  # what an import finds where it is not installed
        with pytest.raises(MissingDependency, match="pip install av"):
            Recorder(tmp_path / "t.mp4", SIZE, 30, EventQueue())

    def test_nothing_recorded_leaves_nothing(self, tmp_path: Path) -> None:
        events = EventQueue()
        report = Recorder(tmp_path / "t.mp4", SIZE, 30, events, sample_rate=RATE).close()
        assert "no picture came" in report.error
        assert list(tmp_path.iterdir()) == []

    def test_closing_twice_and_writing_after(self, tmp_path: Path) -> None:
        threads = threading.active_count()
        recorder = Recorder(tmp_path / "t.mp4", SIZE, 30, EventQueue(), sample_rate=RATE)
        recorder.write_frame(picture(1), 0.0)
        report = recorder.close()
        recorder.write_frame(picture(1), 1.0)
        recorder.write_audio(beep(100), 1.0)
        assert recorder.close() == report
        assert threading.active_count() == threads

    def test_the_graphics_cards_encoder_is_tried_not_believed(self) -> None:
        chosen = choose_codec("auto", SIZE, Fraction(30))
        assert chosen in ("libx264", "h264_nvenc")
        assert choose_codec(chosen, SIZE, Fraction(30)) == chosen


class TestFaults:
    def test_an_unfinished_earlier_take_is_kept(self, tmp_path: Path) -> None:
        (tmp_path / "take.partial.mkv").write_bytes(b"yesterday's show")
        (tmp_path / "take.unfinished-1.mkv").write_bytes(b"the one before")
        offline(tmp_path / "take.mp4")
        assert (tmp_path / "take.unfinished-2.mkv").read_bytes() == b"yesterday's show"
        assert (tmp_path / "take.unfinished-1.mkv").read_bytes() == b"the one before"
        assert len(light(tmp_path / "take.mp4")) == 60

    @needs_ffprobe
    @pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
    def test_killed_in_the_middle(self, tmp_path: Path) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", ENDLESS, str(tmp_path / "take.mp4")], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        written = 0
        while written < 240:  # frames handed over: 4 s
            written = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        partial = tmp_path / "take.partial.mkv"
        assert [path.name for path in tmp_path.iterdir()] == [partial.name]
        streams = probe(partial)
        # What x264 looks ahead, half a second of cluster, and what waited in the queue may be lost.
        assert int(streams["video"]["nb_read_frames"]) > 60
        assert int(streams["audio"]["nb_read_frames"]) > 40
        remux(partial, tmp_path / "rescued.mp4")
        rescued = probe(tmp_path / "rescued.mp4")
        assert rescued["video"]["nb_read_frames"] == streams["video"]["nb_read_frames"]
        assert rescued["video"]["avg_frame_rate"] == "60/1"
        assert partial.exists()

    @pytest.mark.skipif(sys.platform == "win32", reason="resource limits")
    def test_a_write_that_fails_ends_the_recording_and_nothing_else(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, str(tmp_path / "take.mp4")],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert "recording stopped: File too large" in said["error"]
        assert "error" in said["levels"]
        left = Path(said["path"])
        assert left.is_file()
        assert len(light(left)) > 20

    @pytest.mark.real
    def test_a_full_disk(self, small_disk: Path) -> None:
        events = EventQueue()
        recorder = Recorder(small_disk / "take.mp4", (320, 180), 30, events, realtime=False, sample_rate=RATE, crf=1)
        clock = LiveClock()
        n = 0
        while not recorder.error:
            recorder.write_frame(noise((320, 180), n % 9), n / 30)
            recorder.write_audio(beep(1600), n / 30)
            n += 1
            assert clock.now() < 60
        for extra in range(n, n + 50):  # the show goes on
            recorder.write_frame(noise((320, 180), 1), extra / 30)
        report = recorder.close()
        assert "the disk is full" in report.error
        assert report.path.is_file()
        assert str(report.path) in "".join(s.message for s in statuses(events) if s.level == "error")
        seen = light(report.path)
        assert len(seen) == report.frames > 10
        with pytest.raises(RecordError, match="make room"):
            Recorder(small_disk / "next.mp4", SIZE, 30, events)

    @pytest.mark.real
    def test_a_disk_that_somebody_else_fills(self, small_disk: Path) -> None:
        events = EventQueue()
        recorder = Recorder(small_disk / "take.mp4", SIZE, 30, events, realtime=False, crf=1)
        for n in range(150):
            recorder.write_frame(noise(SIZE, n % 9), n / 30)
        clock, pause = LiveClock(), threading.Event()
        while recorder.seconds < 3 and clock.now() < 60:
            pause.wait(0.01)
        free = shutil.disk_usage(small_disk).free
        # The recording may take some of it first: then this file is the one that hits the end of the disk.
        with contextlib.suppress(OSError):
            (small_disk / "other").write_bytes(b"\0" * max(0, free - 4096))
        for n in range(150, 300):
            recorder.write_frame(noise(SIZE, n % 9), n / 30)
        report = recorder.close()
        assert "recording stopped" in report.error
        assert report.path.is_file()
        assert len(light(report.path)) > 30

    def test_remux_of_something_else_is_a_clear_error(self, tmp_path: Path) -> None:
        (tmp_path / "x.mkv").write_bytes(b"no film")
        with pytest.raises(RecordError, match=r"x\.mkv"):
            remux(tmp_path / "x.mkv", tmp_path / "x.mp4")
        assert [path.name for path in tmp_path.iterdir()] == ["x.mkv"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with a few MB more than a recording needs to start."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small disk can only be mounted on Linux as root")
    folder = tmp_path / "disk"
    folder.mkdir()
    size = MIN_FREE + 6 * 1024 * 1024
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


ENDLESS = """
import sys, threading
from pathlib import Path
import numpy as np
from vjengine.core.exchange import EventQueue
from vjengine.outputs.record import Recorder
recorder = Recorder(Path(sys.argv[1]), (128, 72), 60, EventQueue(), sample_rate=48000)
pause, rng, n = threading.Event(), np.random.default_rng(1), 0
while True:
    recorder.write_frame(rng.integers(0, 255, (72, 128, 4), dtype=np.uint8), n / 60)
    recorder.write_audio(np.zeros((800, 2), np.float32), n / 60)
    n += 1
    print(n, flush=True)
    pause.wait(1 / 60)
"""

LIMITED = """
import json, resource, sys
from pathlib import Path
import numpy as np
from vjengine.core.exchange import EventQueue
from vjengine.outputs.record import Recorder
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
events, rng = EventQueue(), np.random.default_rng(1)
recorder = Recorder(Path(sys.argv[1]), (160, 90), 30, events, realtime=False, crf=1)
levels = []
for n in range(300):
    recorder.write_frame(rng.integers(0, 255, (90, 160, 4), dtype=np.uint8), n / 30)
    levels += [event.level for event in events.drain()]
report = recorder.close()
levels += [event.level for event in events.drain()]
print(json.dumps({"error": report.error, "path": str(report.path), "levels": levels}))
"""
