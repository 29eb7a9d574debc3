"""The command as it is given, the music it moves by, and bad input of all kinds."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from vjengine.cli.main import main
from vjengine.offline.clips import clip_info, read_clip
from vjengine.offline.continuation import Ask, Carried, Opening
from vjengine.offline.longcat.builtin import Builtin
from vjengine.offline.longcat.inks import palettes_of
from vjengine.offline.longcat.music import listen, pictures_of
from vjengine.offline.progress import Interrupt

SIZE = (64, 36)


def write_beat(path: Path, seconds: float, rate: int = 48000) -> Path:
    times = np.arange(round(seconds * rate)) / rate
    kick = np.sin(2 * np.pi * 60 * times) * np.exp(-(times % 0.5) / 0.08)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((kick * 25000).astype("<i2").tobytes())
    return path


def run(*words: str | Path) -> int:
    return main(["longcat", "--size", "64x36", *map(str, words)])


def test_the_built_in_one_moves_stays_in_colour_and_needs_no_chunks(tmp_path: Path) -> None:
    keeper = Interrupt("", lambda words: None)
    builtin = Builtin()
    carried = builtin.open(Opening("neon city", seed=2), SIZE, keeper)
    assert np.array_equal(carried.frames, Builtin().open(Opening("neon city", seed=2), SIZE, keeper).frames)
    ask = Ask(1, 10, seed=5, fps=Fraction(10), prompt="neon city")
    frames = builtin.extend(carried, ask, keeper).frames
    assert np.array_equal(frames, Builtin().extend(carried, ask, keeper).frames)
    assert not np.array_equal(frames, builtin.extend(carried, Ask(1, 10, seed=6, fps=Fraction(10)), keeper).frames)
    moves = np.abs(np.diff(frames.astype(float), axis=0)).mean(axis=(1, 2, 3)) / 257
    assert moves.min() > 0.3
    last = cv2.cvtColor((frames[-1] >> 8).astype(np.uint8), cv2.COLOR_RGB2HSV)
    assert last[..., 1].mean() > 60, "it does not turn grey"
    assert 10 < last[..., 2].mean() < 230


def test_the_built_in_one_begins_with_a_picture_and_keeps_its_colours() -> None:
    keeper = Interrupt("", lambda words: None)
    green = np.zeros((1, 36, 64, 3), np.uint16)
    green[..., 1] = np.linspace(5000, 60000, 64, dtype=np.uint16)
    carried = Builtin().open(Opening(pictures=green, seed=1), SIZE, keeper)
    assert np.array_equal(carried.frames, green)
    state = Carried(carried.frames, carried.anchor, carried.state)
    frames = Builtin().extend(state, Ask(1, 20, seed=1, fps=Fraction(5)), keeper).frames
    red, middle, blue = frames[-1].mean(axis=(0, 1))
    assert middle > 5 * max(red, blue)


def test_words_call_for_colours() -> None:
    assert palettes_of("a glacier at night")[0][0] == "ice"
    assert palettes_of("FIRE!")[0][0] == "ember"
    assert palettes_of("zxcv") == palettes_of("zxcv ")


def test_music_is_counted_to_the_sample_and_its_kicks_are_felt(tmp_path: Path) -> None:
    music = listen(write_beat(tmp_path / "beat.wav", 3.0), Fraction(20))
    assert music.samples == 3 * 48000
    assert len(music.pulse) == pictures_of(music.samples, music.rate, Fraction(20)) == 60
    assert music.pulse.max() > 0.4 > music.pulse[20:].min()


def test_a_film_is_as_long_as_its_track_and_sounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    track = write_beat(tmp_path / "beat.wav", 1.03)
    film = tmp_path / "film.mp4"
    words = ("rain", "-o", film, "--match-audio", track, "--fps", "10", "--metrics", tmp_path / "log.json")
    assert run(*words) == 0
    info = clip_info(film)
    assert (info.frames, info.fps, info.size, info.audio) == (10, 10, SIZE, True)
    first = film.read_bytes()
    assert run(*words) == 0, "again: nothing is made anew"
    assert film.read_bytes() == first
    assert "from an earlier run" in capsys.readouterr().out
    assert run(*words, "--seed", "2") == 1
    assert "seed: 1 -> 2" in capsys.readouterr().err


def test_an_image_begins_the_film(tmp_path: Path) -> None:
    image = np.zeros((60, 60, 3), np.uint8)
    image[:, :, 2] = 200
    cv2.imwrite(str(tmp_path / "red.png"), image)
    assert run("-o", tmp_path / "film.mkv", "--image", tmp_path / "red.png", "--frames", "2", "--fps", "10") == 0
    first = next(iter(read_clip(tmp_path / "film.mkv")))
    assert first.mean(axis=(0, 1)) == pytest.approx((200, 0, 0), abs=6)


def test_a_dry_run_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor does it listen to a track of hours: the length is enough."""
    assert run("sea", "-o", tmp_path / "film.mp4", "--seconds", "60", "--dry-run") == 0
    told = capsys.readouterr().out
    assert "1800 pictures of 64x36" in told
    assert "MiB" in told
    assert list(tmp_path.iterdir()) == []
    track = write_beat(tmp_path / "beat.wav", 1.5)
    assert run("sea", "-o", tmp_path / "film.mp4", "--match-audio", track, "--dry-run") == 0
    assert "1.50 s, 45 pictures" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [track]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("-o", "film.avi", "--seconds", "1"), 2, "must end in"),
        (("-o", "film.mp4"), 2, "how long?"),
        (("-o", "film.mp4", "--seconds", "1", "--continuation", "magic"), 2, "there are builtin, svd"),
        (("-o", "film.mp4", "--seconds", "0"), 2, "--seconds"),
        (("-o", "film.mp4", "--seconds", "1", "--image", "none.png"), 2, "no such file"),
        (("-o", "film.mp4", "--seconds", "1", "--image", "broken.png"), 2, "not a whole image"),
        (("-o", "film.mp4", "--seconds", "1", "--video", "junk.mp4"), 2, "junk.mp4"),
        (("-o", "film.mp4", "--match-audio", "none.wav"), 1, "there is no such file"),
        (("-o", "film.mp4", "--match-audio", "empty.wav"), 1, "holds no sound at all"),
        (("-o", "film.mp4", "--match-audio", "junk.mp4"), 1, "cannot be read as audio"),
        (("-o", "film.mp4", "--seconds", "1", "--prompts", "bad.yaml"), 1, "a time"),
        (("-o", "film.mp4", "--seconds", "1", "--motion", "music"), 2, "needs a track"),
        (("-o", "film.mp4", "--seconds", "1", "--option", "steps=2"), 2, "no options"),
    ],
)
def test_bad_input_is_told_in_one_line(
    words: tuple[str, ...],
    status: int,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    Path("junk.mp4").write_bytes(bytes(range(256)) * 20)
    Path("bad.yaml").write_text("later: a sea\n", encoding="utf-8")
    write_beat(Path("empty.wav"), 0.0)
    assert run(*words) == status
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert not Path("film.mp4").exists()
    assert not Path("film.run").exists()
