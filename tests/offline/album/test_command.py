"""``vjengine album`` as it is typed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vjengine.cli.main import main
from vjengine.errors import RecordError
from vjengine.offline.album.album import AlbumAsk, make_album
from vjengine.offline.album.setlist import read_setlist, with_tags
from vjengine.offline.score import rehearsal


@pytest.fixture
def setlist(tone, tmp_path: Path) -> Path:
    tone("a.wav", 19200)
    tone("b.wav", 48000 * 6)
    path = tmp_path / "set.yaml"
    path.write_text(
        'defaults: {size: 64x36, fps: 20, generator: still}\ntracks: [a.wav, {file: b.wav, title: "[/b] x"}]'
    )
    return path


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("none.yaml", "-o", "x.mp4"), 2, "no such setlist"),
        (("{set}", "-o", "x.avi"), 2, ".mp4, .mov or .mkv"),
        (("{set}", "-o", "x.mp4", "--workers", "0"), 2, "--workers '0'"),
        (("{set}", "-o", "x.mp4", "--workers", "1.5"), 2, "whole number"),
        (("{set}", "-o", "x.mp4", "--size", "31x30"), 2, "31x30"),
        (("{set}", "-o", "x.mp4", "--look", "nope"), 2, "no look 'nope'"),
    ],
)
def test_wrong_usage(setlist: Path, tmp_path: Path, capfd, arguments, status: int, words: str) -> None:
    given = [str(setlist) if a == "{set}" else str(tmp_path / a) if a.startswith("x.") else a for a in arguments]
    assert main(["album", *given]) == status
    assert words in capfd.readouterr().err
    assert not list(tmp_path.glob("x.*mp4"))


def test_a_dry_run_shows_the_plan_and_makes_nothing(setlist: Path, tmp_path: Path, capfd, monkeypatch) -> None:
    monkeypatch.setattr(rehearsal, "PATIENCE", 0.2)
    assert main(["album", str(setlist), "-o", str(tmp_path / "x.mp4"), "--dry-run", "--fps", "25"]) == 0
    said = capfd.readouterr().out
    assert "2 tracks, 0:06, about 160 frames of 64x36 at 25 fps" in said
    for words in (r"time +about .* frames to render", r"memory +about \d{2,4} MiB", r"disk +about 0\.\d MB .* MB more"):
        assert re.search(words, said), said
    assert not (tmp_path / "x.album").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_an_interrupted_album_says_how_to_go_on(setlist: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vjengine.cli.main", "album", str(setlist), "-o", str(tmp_path / "x.mp4")]
    kept = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    with subprocess.Popen(command, env=kept, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):  # until the second track is begun
            if list((tmp_path / "x.album").glob("track-*/000000")) or process.poll() is not None:
                break
            threading.Event().wait(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "To go on: vjengine album" in said
    assert len(list((tmp_path / "x.album").glob("track-*/000000/piece.json"))) == 1
    assert not list(tmp_path.rglob("*.part"))
    assert not (tmp_path / "x.mp4").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 14 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=14m", "none", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stops_the_album_and_loses_nothing(setlist: Path, small_disk: Path, grey) -> None:
    (small_disk / "ballast").write_bytes(bytes(8_000_000))
    tracks, ask = with_tags(read_setlist(setlist)), AlbumAsk(small_disk / "x.mp4")
    with pytest.raises(RecordError, match="is full"):
        make_album(tracks, ask, lambda jobs: grey)
    assert not list(small_disk.rglob("*.part*"))
    (small_disk / "ballast").unlink()
    assert make_album(tracks, ask, lambda jobs: grey).film.is_file()
