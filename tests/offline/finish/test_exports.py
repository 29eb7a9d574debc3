import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from vjengine.audio.sections import Section
from vjengine.errors import ConfigError
from vjengine.offline.clips import ClipWriter, clip_info, read_clip
from vjengine.offline.finish.exports import ExportSet, export
from vjengine.offline.finish.framing import interest_of
from vjengine.offline.finish.loop import find_seam, looped
from vjengine.offline.finish.music import chapters_of, strongest
from vjengine.offline.finish.thumbnail import best_picture, quality
from vjengine.offline.finish.youtube import metadata, read_chapters
from vjengine.offline.progress import Progress

SECTIONS = [
    Section(0.0, 20.0, 0.3, "intro"),
    Section(20.0, 50.0, 0.6, "build"),
    Section(50.0, 90.0, 1.0, "drop"),
    Section(90.0, 95.0, 0.4, "breakdown"),
    Section(95.0, 140.0, 0.95, "drop"),
    Section(140.0, 160.0, 0.2, "outro"),
]


def test_shorts_are_cut_at_the_drops() -> None:
    assert strongest(SECTIONS, 30.0, 2) == [(50.0, 80.0), (95.0, 125.0)]
    three = strongest(SECTIONS, 60.0, 3)
    assert all(a < b for a, b in three)
    assert all(one[1] <= two[0] for one, two in pairwise(three))
    assert strongest([], 30.0, 2) == []


def test_chapters_are_as_youtube_takes_them() -> None:
    marks = chapters_of(SECTIONS, 160.0)
    assert marks == ((0.0, "Intro"), (20.0, "Build"), (50.0, "Drop"), (90.0, "Breakdown"), (140.0, "Outro"))
    assert chapters_of(SECTIONS[:2], 50.0) == ()
    body = metadata("<Night>", "Us", marks, ["techno", " "], "", 160.0)
    assert body["snippet"]["title"] == "Us - (Night)"
    assert "0:00 Intro\n0:20 Build\n0:50 Drop" in body["snippet"]["description"]
    assert body["snippet"]["tags"] == ["techno"]
    short = metadata("Night", "", (), [], "", 8.4)
    assert short["snippet"]["description"] == "Night: a film of 0:08.\n\n0:00 Night"
    assert short["chapters"] == [{"start": 0.0, "title": "Night"}]
    named = metadata("Night", "Us", ((0.0, "In"), (30.0, "Out")), [], "At home.", 60.0)["snippet"]["description"]
    assert named == "At home.\nMusic: Us\n\n0:00 In\n0:30 Out"


def test_chapters_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "chapters.txt"
    path.write_text("# set\n0:00 In\n1:05 Middle part\n1:00:00 Out\n", encoding="utf-8")
    assert read_chapters(path) == ((0.0, "In"), (65.0, "Middle part"), (3600.0, "Out"))
    for text in ("", "0:00\n", "x In\n", "1:00 A\n0:30 B\n"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"chapters\.txt"):
            read_chapters(path)


def test_the_frame_follows_what_moves_without_haste() -> None:
    def scene(time: float) -> np.ndarray:
        picture = np.full((54, 96, 3), 60, np.uint8)
        x = round(70 - 60 * min(1.0, time / 6.0))
        picture[15:40, x : x + 14] = (250, 60, 30)
        return picture

    path = interest_of((scene(n / 10) for n in range(80)), 10.0, 0.3)
    assert len(path) == 80
    assert path.min() >= 0
    assert path.max() <= 0.7
    for n in (20, 40, 60):
        middle = (70 - 60 * min(1.0, n / 60) + 7) / 96
        assert abs(path[n] + 0.15 - middle) < 0.2
    assert np.abs(np.diff(path)).max() < 0.05


def test_a_loop_closes_without_a_jump(scenes: SimpleNamespace) -> None:
    def at(n: int) -> np.ndarray:
        return np.asarray(scenes.moment(0.4 * np.sin(2 * np.pi * n / 33.0), (48, 48)), np.uint8)

    film = [at(n) for n in range(100)]
    seam = find_seam(film, 10.0, 2.0, 6.0)
    assert abs(seam.stop - seam.start - 33) <= 1  # the swing's own length, found by itself
    loop = list(looped(lambda a, b: iter(film[a:b]), seam))
    assert len(loop) == seam.stop - seam.start
    steps = [float(np.abs(a.astype(int) - b).mean()) for a, b in pairwise([*loop, loop[0]])]
    assert steps[-1] <= 1.5 * float(np.median(steps[:-1])) + 0.5


def test_black_burnt_and_flat_pictures_stand_for_nothing(scenes: SimpleNamespace) -> None:
    good = quality(scenes.moment(0.0, (128, 72)))
    for value in (0, 255, 120):
        assert quality(np.full((72, 128, 3), value, np.uint8)) < 0.1 * good


def test_a_film_becomes_a_whole_set(tmp_path: Path, scenes: SimpleNamespace) -> None:
    film, music = tmp_path / "film.mkv", tmp_path / "music.wav"
    with ClipWriter(film, (64, 36), 8, quality="lossless") as writer:
        for n in range(32):
            flash = n in (10, 20)
            picture = scenes.moment(0.2 * np.sin(n / 5), (64, 36))
            writer.write(np.full_like(picture, 255) if flash else picture)
    with av.open(str(music), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=48000, layout="mono")
        wave = np.random.default_rng(1).integers(-8000, 8000, (1, 192000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        frame.sample_rate = 48000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    wanted = ExportSet(("shorts", "square", "thumbnail", "youtube"), title="Night", short=1.0, shorts=1, tall=(54, 96))
    made = {path.name for path in export(film, wanted, audio=music)}
    assert made == {
        "film-short-1.mp4", "film-square.mp4", "film-thumbnail.jpg", "film-youtube.json", "film-description.txt",
    }  # fmt: skip
    short, square = clip_info(tmp_path / "film-short-1.mp4"), clip_info(tmp_path / "film-square.mp4")
    assert (short.size, short.frames, short.audio) == ((54, 96), 8, True)
    assert (square.size, square.audio) == ((36, 36), False)
    assert json.loads((tmp_path / "film-youtube.json").read_text())["snippet"]["title"] == "Night"
    number, _ = best_picture(film, clip_info(film))
    assert number not in (10, 20)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({*made, "film.mkv", "music.wav"})
    assert next(read_clip(tmp_path / "film-square.mp4")).std() > 5


def test_a_short_opens_neither_on_a_flash_nor_on_nothing(tmp_path: Path, scenes: SimpleNamespace) -> None:
    film = tmp_path / "film.mkv"
    with ClipWriter(film, (64, 36), 12, quality="lossless") as writer:
        for n in range(24):
            picture = scenes.moment(n / 24, (64, 36))
            writer.write(np.full_like(picture, {0: 255, 1: 0}[n]) if n < 2 else picture)
    export(film, ExportSet(("shorts",), tall=(54, 96)))
    shown = list(read_clip(tmp_path / "film-short-1.mp4"))
    assert len(shown) == 22
    assert shown[0].std() > 10


def test_an_interrupted_set_goes_on_with_the_next(tmp_path: Path, scenes: SimpleNamespace) -> None:
    film, parts = tmp_path / "film.mkv", tmp_path / "film.parts"
    with ClipWriter(film, (64, 36), 8, quality="lossless") as writer:
        for n in range(16):
            writer.write(scenes.moment(n / 8, (64, 36)))
    wanted = ExportSet(("shorts", "square", "thumbnail"), tall=(54, 96))

    def leave(state: Progress) -> None:
        if state.words == "square loop":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(film, wanted, progress=leave, folder=parts)
    short = tmp_path / "film-short-1.mp4"
    before = short.stat().st_mtime_ns
    assert not (tmp_path / "film-square.mp4").exists()
    seen: set[str] = set()
    made = export(film, wanted, progress=lambda state: seen.add(state.words), folder=parts)
    assert seen == {"square loop", "thumbnail"}
    assert [path.name for path in made] == ["film-short-1.mp4", "film-square.mp4", "film-thumbnail.jpg"]
    assert short.stat().st_mtime_ns == before
    short.write_bytes(b"damaged")
    export(film, replace(wanted, wanted=("shorts",)), folder=parts)
    assert clip_info(short).frames == 16
