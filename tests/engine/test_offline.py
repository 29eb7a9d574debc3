"""The offline twin: exact lengths, the same bytes twice, clear refusals, a clean interrupt."""

import json
import signal
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from vjengine.cli.main import main

ARGS = ("--size", "160x90", "--fps", "30", "--warm-up", "0")


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


def test_a_render_has_every_frame_and_all_the_sound(vjengine, beat_wav: Path, tmp_path: Path) -> None:
    film, stats = tmp_path / "film.mp4", tmp_path / "stats.json"
    done = vjengine("render", beat_wav, "-o", film, "--stats", stats, "--duration", 8, *ARGS)
    assert done.returncode == 0, done.stderr
    pictures = frames(film)
    assert len(pictures) == 240
    assert max(float(picture.std()) for picture in pictures) > 10.0
    with av.open(str(film)) as opened:
        sound = sum(frame.samples for frame in opened.decode(audio=0))
    assert abs(sound / 48000 - 8.0) < 0.05
    figures = json.loads(stats.read_text())
    assert figures["frames"] == 240
    assert abs(figures["tempo"] - 120) < 1.0
    assert figures["beats"] >= 6
    assert not list(tmp_path.glob("*.partial*"))


def test_two_renders_are_the_same_bytes(vjengine, beat_wav: Path, tmp_path: Path) -> None:
    films = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for film in films:
        done = vjengine(
            "render", beat_wav, "-o", film, "--start", 2, "--duration", 1, "--seed", 5, *ARGS, "--warm-up", 0.2
        )
        assert done.returncode == 0, done.stderr
    assert films[0].read_bytes() == films[1].read_bytes()


def test_a_film_begins_in_the_middle_of_a_show_with_its_own_sound_and_hits(beat_wav: Path, tmp_path: Path) -> None:
    """A cold start is an almost flat picture; a hit at 0 s is the film's, not lost before it."""
    hit = tmp_path / "hit.jsonl"
    hit.write_text('{"type": "MacroSet", "t": 0.0, "macro": "FLASH", "value": 1.0}\n')
    begin: dict[str, tuple[np.ndarray, bytes]] = {}
    for name, more in {
        "cold": (),
        "warm": ("--warm-up", "1"),
        "hit": ("--warm-up", "1", "--perform", str(hit)),
    }.items():
        film = tmp_path / f"{name}.mp4"
        assert main(["render", str(beat_wav), "-o", str(film), "--start", "3", "--duration", "0.1", *ARGS, *more]) == 0
        with av.open(str(film)) as opened:
            sound = b"".join(bytes(packet) for packet in opened.demux(audio=0))
        pictures = frames(film)
        assert len(pictures) == 3
        begin[name] = pictures[0], sound
    assert begin["warm"][0].std() > 2.0 * begin["cold"][0].std()
    assert begin["hit"][0].mean() > begin["warm"][0].mean() + 50.0
    assert begin["cold"][1] == begin["warm"][1]


def test_another_seed_is_another_film(vjengine, beat_wav: Path, tmp_path: Path) -> None:
    films = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for seed, film in enumerate(films):
        assert vjengine("render", beat_wav, "-o", film, "--duration", 0.5, "--seed", seed, *ARGS).returncode == 0
    assert films[0].read_bytes() != films[1].read_bytes()


def test_a_performance_is_played_back_in_the_film(vjengine, beat_wav: Path, tmp_path: Path) -> None:
    performance = tmp_path / "show.jsonl"
    lines = [
        {"type": "MacroSet", "t": 0.5, "macro": "BLACKOUT", "value": 1.0},
        {"type": "MacroSet", "t": 1.0, "macro": "BLACKOUT", "value": 0.0},
    ]
    performance.write_text("".join(json.dumps(line) + "\n" for line in lines))
    film = tmp_path / "film.mp4"
    done = vjengine("render", beat_wav, "-o", film, "--duration", 1.5, "--perform", performance, *ARGS)
    assert done.returncode == 0, done.stderr
    light = [float(picture.mean()) for picture in frames(film)]
    assert max(light[17:29]) < 3.0
    assert min(light[5:14]) > 3.0
    assert light[-1] > 3.0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("missing.wav", "-o", "x.mp4"), 1, "no such file"),
        (("{wav}", "-o", "x.txt"), 2, ".mp4"),
        (("{wav}", "-o", "x.mp4", "--preset", "nope"), 2, "nope"),
        (("{wav}", "-o", "x.mp4", "--start", "99"), 2, "past its end"),
        (("{wav}", "-o", "x.mp4", "--size", "17x3"), 2, "1280x720"),
        (("{wav}", "-o", "x.mp4", "--generator", "nope"), 2, "procedural"),
        (("{wav}", "-o", "{tmp}/no/such/folder/x.mp4"), 1, "folder"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    vjengine, beat_wav: Path, tmp_path: Path, arguments: tuple[str, ...], status: int, words: str
) -> None:
    filled = [text.format(wav=beat_wav, tmp=tmp_path) for text in arguments]
    done = vjengine("render", *filled)
    assert done.returncode == status, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("vjengine: ")
    assert words in last
    assert "Traceback" not in done.stderr


def test_ctrl_c_finalises_what_is_done(start, beat_wav: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    process = start("render", beat_wav, "-o", film, "--size", "640x360", "--fps", "60", "--warm-up", 0)
    partial = tmp_path / "film.partial.mkv"
    for _ in range(400):
        if partial.exists() and partial.stat().st_size > 20_000:
            break
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        break
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=10)
    assert process.returncode == 130, err
    assert len(frames(film)) > 5
