"""Init pictures from real files, written here, and from FFmpeg's test picture, which comes as a camera's does."""

import struct
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest
from PIL import Image

from vjengine.core.generation import GeneratorParams
from vjengine.errors import GeneratorError
from vjengine.generate.turbo.cover import covering
from vjengine.generate.turbo.init_camera import CameraInit, Device
from vjengine.generate.turbo.init_source import InitSource, open_init
from vjengine.generate.turbo.init_video import LAG, RETRY

SIZE = (128, 64)
FPS = 10
FRAMES = 20


class Ear:
    """A host that remembers."""

    live = True

    def __init__(self) -> None:
        self.said: list[tuple[str, str, str]] = []

    def alive(self, doing: str = "", fraction: float = -1.0) -> None: ...

    def say(self, component: str, level: Literal["ok", "warn", "error"], message: str = "") -> None:
        self.said.append((component, level, message))


def at(source: InitSource, time: float) -> np.ndarray:
    picture = source.read(GeneratorParams(time=time))
    assert picture is not None
    assert picture.shape == (64, 128, 3)
    assert picture.dtype == np.uint8
    assert not picture.flags.writeable
    return picture


def until(condition: Callable[[], bool]) -> None:
    """Wait, with a limit that only something dead reaches."""
    wait = threading.Event()
    for _ in range(1000):
        if condition():
            return
        wait.wait(0.02)
    pytest.fail("it never came")


def halves(width: int = 300, height: int = 200) -> Image.Image:
    """Red on the left, blue on the right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 255
    pixels[:, width // 2 :, 2] = 255
    return Image.fromarray(pixels)


def write_video(path: Path, frames: int = FRAMES, size: tuple[int, int] = (160, 90), codec: str = "mpeg4") -> Path:
    """Write a video whose frame number n is grey of level 10 n + 20; with many frames, it begins anew after 20."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 5
        for n in range(frames):
            grey = np.full((size[1], size[0], 3), 10 * (n % FRAMES) + 20, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())
    return path


def number(picture: np.ndarray) -> int:
    return round((float(picture.mean()) - 20) / 10)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "clip.mp4")


class TestImages:
    @pytest.mark.parametrize("given", [(300, 200), (2000, 100), (37, 911), (1, 1), (128, 64)])
    def test_any_size_covers_the_picture(self, tmp_path: Path, given: tuple[int, int]) -> None:
        halves(*given).save(tmp_path / "a.png")
        picture = at(open_init(str(tmp_path / "a.png"), SIZE), 0.0)
        if given[0] > 1:
            assert picture[:, :40].mean((0, 1)).tolist() == pytest.approx([255, 0, 0], abs=3)
            assert picture[:, -40:].mean((0, 1)).tolist() == pytest.approx([0, 0, 255], abs=3)

    def test_the_middle_is_kept_undistorted(self, tmp_path: Path) -> None:
        pixels = np.zeros((400, 400, 3), np.uint8)
        pixels[150:250, 150:250] = 255
        Image.fromarray(pixels).save(tmp_path / "a.png")
        white = at(open_init(str(tmp_path / "a.png"), SIZE), 0.0)[..., 0] > 127
        assert white[32].sum() == white[:, 64].sum() == 32

    def test_a_photo_taken_sideways_stands_upright(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6  # turn right by 90 degrees to see it
        halves(200, 400).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.jpg", exif=exif)
        picture = at(open_init(str(tmp_path / "a.jpg"), SIZE), 0.0)
        assert picture[:, :40, 0].mean() > 200
        assert picture[:, -40:, 2].mean() > 200

    @pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "I;16", "1"])
    def test_every_kind_of_pixel_is_read_and_what_is_clear_is_black(self, tmp_path: Path, mode: str) -> None:
        path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
        if mode == "I;16":
            Image.fromarray(np.full((64, 128), 32768, np.uint16)).save(path)
        elif mode in ("LA", "RGBA"):
            grey = halves().convert("RGBA")
            grey.putalpha(0)
            grey.convert(mode).save(path)
        else:
            Image.new("RGB", (300, 200), (128, 128, 128)).convert(mode).save(path)
        level = at(open_init(str(path), SIZE), 0.0).mean()
        assert level == 0 if mode in ("LA", "RGBA") else abs(level - 128) < 6

    def test_it_is_the_same_object_until_there_is_news(self, tmp_path: Path) -> None:
        halves().save(tmp_path / "a.png")
        source = open_init(str(tmp_path / "a.png"), SIZE)
        assert at(source, 0.0) is at(source, 5.0)
        source.close()
        source.close()


class TestWhatCannotBeRead:
    @pytest.mark.parametrize("text", ["", "nothing/here.png", "~/never/was.mp4", "cam"])
    def test_a_missing_file_is_named_with_what_would_do(self, text: str) -> None:
        with pytest.raises(GeneratorError, match="no such file; give an image or video file, 'camera'"):
            open_init(text, SIZE)

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(GeneratorError, match="that is a folder"):
            open_init(str(tmp_path), SIZE)

    def test_a_truncated_image(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(1).integers(0, 255, (200, 300, 3), np.uint8)
        for name in ("a.png", "a.jpg"):
            Image.fromarray(noise).save(tmp_path / name)
            whole = (tmp_path / name).read_bytes()
            (tmp_path / name).write_bytes(whole[: len(whole) // 3])
            with pytest.raises(GeneratorError, match=rf"{name} is broken .* export it anew"):
                open_init(str(tmp_path / name), SIZE)

    def test_an_enormous_image(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
        halves().save(tmp_path / "a.png")
        with pytest.raises(GeneratorError, match="scale it down first"):
            open_init(str(tmp_path / "a.png"), SIZE)

    def test_a_truncated_video(self, tmp_path: Path, video: Path) -> None:
        broken = tmp_path / "clip.mp4"
        broken.write_bytes(video.read_bytes()[:2000])
        with pytest.raises(GeneratorError, match=r"clip.mp4"):
            open_init(str(broken), SIZE)

    @pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 4096])
    def test_something_else(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.bin").write_bytes(content)
        with pytest.raises(GeneratorError, match=r"a\.bin.*give an image or a video"):
            open_init(str(tmp_path / "a.bin"), SIZE)

    def test_a_file_with_sound_only(self, tmp_path: Path) -> None:
        path = tmp_path / "a.wav"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
        with pytest.raises(GeneratorError, match="holds no pictures"):
            open_init(str(path), SIZE)


class TestVideos:
    def test_the_frame_of_the_time_in_every_loop(self, video: Path) -> None:
        source = open_init(str(video), SIZE)
        seen = [number(at(source, 0.05 + n / FPS)) for n in range(2 * FRAMES + 5)]
        assert seen == [n % FRAMES for n in range(2 * FRAMES + 5)]
        source.close()

    def test_times_that_jump_skip_and_go_back(self, video: Path) -> None:
        source = open_init(str(video), SIZE)
        for time in (0.0, 0.05, 0.85, 7.35, 7.36, 0.25, 100.05, 101.95, 103.85, 3600.05):
            assert number(at(source, time)) == int(time * FPS + 1e-6) % FRAMES, time
        source.close()

    def test_the_same_object_until_the_next_frame(self, video: Path) -> None:
        source = open_init(str(video), SIZE)
        assert at(source, 0.31) is at(source, 0.39)
        assert at(source, 0.31) is not at(source, 0.41)
        source.close()

    @pytest.mark.parametrize(("name", "codec"), [("a.mkv", "mpeg4"), ("a.avi", "mjpeg"), ("a.gif", "gif")])
    def test_other_containers(self, tmp_path: Path, name: str, codec: str) -> None:
        path = tmp_path / name
        if codec == "gif":
            greys = [Image.new("L", (160, 90), 10 * n + 20) for n in range(FRAMES)]
            greys[0].save(path, save_all=True, append_images=greys[1:], duration=1000 // FPS, loop=0)
        else:
            with av.open(str(path), "w") as container:
                stream = container.add_stream(codec, rate=FPS)
                stream.width, stream.height, stream.pix_fmt = 160, 90, "yuvj420p" if codec == "mjpeg" else "yuv420p"
                for n in range(FRAMES):
                    grey = np.full((90, 160, 3), 10 * n + 20, np.uint8)
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
                container.mux(stream.encode())
        source = open_init(str(path), SIZE)
        times = [0.05, 0.95, 1.55, 2.05, 3.95, 30.05]
        assert [number(at(source, time)) for time in times] == [0, 9, 15, 0, 19, 0]
        source.close()

    def test_one_that_breaks_off_loops_where_it_ends_and_says_so(self, tmp_path: Path) -> None:
        whole = write_video(tmp_path / "whole.mkv", FRAMES * 2).read_bytes()
        path = tmp_path / "cut.mkv"
        path.write_bytes(whole[: len(whole) * 35 // 100])
        ear = Ear()
        source = open_init(str(path), SIZE, ear, patience=60.0)
        seen = [number(at(source, 0.05 + n / FPS)) for n in range(FRAMES * 3)]
        end = next(n for n in range(1, len(seen)) if seen[n] == 0)
        assert 5 < end < FRAMES
        assert seen == [n % end % FRAMES for n in range(FRAMES * 3)]
        assert [(level, "breaks off" in message) for _, level, message in ear.said] == [("warn", True)]
        source.close()

    def test_one_that_vanishes_keeps_its_last_picture_says_so_and_comes_back(self, tmp_path: Path, video: Path) -> None:
        path = tmp_path / "usb.mp4"
        path.write_bytes(video.read_bytes())
        ear = Ear()
        source = open_init(str(path), SIZE, ear, patience=60.0)
        at(source, 0.05)
        path.unlink()
        last = at(source, 50.05)
        assert at(source, 50.15) is last
        assert at(source, 50.25) is last
        assert [(component, level) for component, level, _ in ear.said] == [("init", "warn")]
        assert "usb.mp4" in ear.said[0][2]
        path.write_bytes(video.read_bytes())
        assert number(at(source, 50.25 + RETRY)) == 2
        assert ear.said[-1][:2] == ("init", "ok")
        source.close()

    def test_a_live_one_never_waits_and_catches_up(self, video: Path) -> None:
        ear = Ear()
        source = open_init(str(video), SIZE, ear)
        assert number(at(source, 1.25)) == 0, "what is there"
        until(lambda: number(at(source, 1.25)) == 12)
        # Far behind: it leaves pictures out and is on time again while time goes on.
        clock = count(1.25 + LAG * 1.8, 0.02)

        def on_time() -> bool:
            time = next(clock)
            return number(at(source, time)) == int(time * FPS) % FRAMES

        until(on_time)
        source.close()

    def test_a_video_held_upright_is_seen_upright(self, tmp_path: Path) -> None:
        stored = np.asarray(halves(256, 128).transpose(Image.Transpose.ROTATE_90))
        path = tmp_path / "phone.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=FPS)
            stream.width, stream.height, stream.pix_fmt = 128, 256, "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(stored), format="rgb24")))
            container.mux(stream.encode())
        # What a phone writes: "turn right by 90 degrees to see it", in the track header (ISO 14496-12, 8.3.2).
        raw = bytearray(path.read_bytes())
        matrix = raw.index(b"tkhd") + 4 + 36
        raw[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 256 << 16, 0, 1 << 30)
        path.write_bytes(raw)
        source = open_init(str(path), SIZE)
        picture = at(source, 0.0)
        assert picture[:, :40, 0].mean() > 200
        assert picture[:, -40:, 2].mean() > 200
        source.close()


class TestCameras:
    def test_a_test_picture_moves_as_a_camera_does(self) -> None:
        source = open_init("test", SIZE)
        until(lambda: source.read(GeneratorParams()) is not None)
        first = at(source, 0.0)
        assert first.std() > 20, "colour bars"
        until(lambda: at(source, 0.0) is not first)
        source.close()
        source.close()

    def test_one_that_goes_keeps_its_last_picture_and_is_found_again(self) -> None:
        ear = Ear()
        there = [True]

        def find() -> str:
            if not there[0]:
                raise LookupError("the camera is not there")
            return "testsrc=size=128x64:rate=30:duration=0.2,realtime"

        source = CameraInit(Device("the camera", "lavfi", find), SIZE, ear)
        until(lambda: source.read(GeneratorParams()) is not None)
        there[0] = False
        until(lambda: any(level == "warn" for _, level, _ in ear.said))
        last = at(source, 0.0)
        assert ear.said[-1][:2] == ("init", "warn")
        assert "its last picture stays" in ear.said[-1][2]
        there[0] = True
        until(lambda: ear.said[-1][:2] == ("init", "ok"))
        until(lambda: at(source, 0.0) is not last)
        source.close()

    @pytest.mark.skipif(sys.platform != "linux", reason="v4l2")
    def test_one_that_is_not_there_is_waited_for_in_words(self) -> None:
        ear = Ear()
        source = open_init("camera: No Such Camera", SIZE, ear)
        until(lambda: bool(ear.said))
        assert source.read(GeneratorParams()) is None
        assert "'No Such Camera' is not there" in ear.said[0][2]
        assert "it is waited for" in ear.said[0][2]
        source.close()
        assert len(ear.said) == 1


@pytest.mark.parametrize("given", [(1920, 1080), (1080, 1920), (1, 999), (127, 63), (128, 64)])
def test_covering_never_leaves_a_gap(given: tuple[int, int]) -> None:
    width, height = covering(given, SIZE)
    assert width >= SIZE[0]
    assert height >= SIZE[1]
    assert width == SIZE[0] or height == SIZE[1]
