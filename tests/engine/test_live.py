"""The live engine as its user starts it: a process of its own, a real worker, real files."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

SHOW = ("--headless", "--size", "160x90", "--generator-size", "64x36", "--midi", "none", "--osc-out", "none")
QUIET = ("--osc-in", "none")


def wait_for(condition: Callable[[], object], process: "subprocess.Popen[str]", timeout: float = 25.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if process.poll() is not None:
            raise AssertionError(f"the engine ended with {process.returncode}: {process.communicate()}")
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def growing(path: Path) -> Callable[[], bool]:
    return lambda: path.exists() and path.stat().st_size > 4000


def workers(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    found = []
    for child in psutil.Process(process.pid).children():
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def test_a_file_is_played_recorded_and_counted(vjengine, beat_wav: Path, tmp_path: Path) -> None:
    film, stats = tmp_path / "out.mp4", tmp_path / "out.json"
    done = vjengine(
        "live", *SHOW, *QUIET, "--audio", beat_wav, "--duration", 7, "--record", film, "--record-hud", "--stats", stats
    )
    assert done.returncode == 0, done.stderr
    assert str(film) in done.stderr
    figures = json.loads(stats.read_text())
    assert set(figures) >= {
        "frames", "seconds", "present_interval_ms", "generator", "audio_to_frame_ms", "tempo", "beats",
        "worker_restarts", "degradations", "dropped",
    }  # fmt: skip
    assert set(figures["present_interval_ms"]) == {"p50", "p95", "p99", "max"}
    assert abs(figures["tempo"] - 120) < 2
    assert figures["beats"] >= 3
    assert 6.5 < figures["seconds"] < 8.5
    with av.open(str(film)) as opened:
        pictures = sum(1 for _ in opened.decode(video=0))
    with av.open(str(film)) as opened:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in opened.decode(audio=0)])
    assert abs(pictures / 60 - figures["seconds"]) < 0.2
    assert abs(len(sound) / 48000 - pictures / 60) < 0.1
    assert float(np.abs(sound).max()) > 0.3


def test_a_show_ends_with_its_file(vjengine, beat_wav: Path, tmp_path: Path) -> None:
    begun = time.monotonic()
    done = vjengine("live", *SHOW, *QUIET, "--audio", beat_wav, "--start", 10)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begun < 15


def test_ctrl_c_ends_at_once_and_finalises_the_recording(start, beat_wav: Path, tmp_path: Path) -> None:
    film = tmp_path / "out.mp4"
    process = start("live", *SHOW, *QUIET, "--audio", beat_wav, "--record", film)
    wait_for(growing(tmp_path / "out.partial.mkv"), process)
    worker = workers(process)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    _out, err = process.communicate(timeout=10)
    # Its promise is a second on a quiet machine; here it shares two cores.
    assert time.monotonic() - begun < 4.0
    assert process.returncode == 130, err
    with av.open(str(film)) as opened:
        assert sum(1 for _ in opened.decode(video=0)) > 5
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in worker)


def test_ctrl_c_while_it_starts_leaves_cleanly(start) -> None:
    process = start("live", *SHOW, *QUIET, "--audio", "none")
    wait_for(lambda: workers(process), process)
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_a_killed_worker_comes_back_and_the_show_goes_on(start, tmp_path: Path) -> None:
    stats = tmp_path / "out.json"
    process = start("live", *SHOW, *QUIET, "--audio", "none", "--stats", stats)
    wait_for(lambda: workers(process), process)
    time.sleep(3)
    first = workers(process)[0]
    first.kill()
    wait_for(lambda: [child for child in workers(process) if child.pid != first.pid], process)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    figures = json.loads(stats.read_text())
    assert figures["worker_restarts"] >= 1
    assert any("generator" in line for line in figures["degradations"])
    assert figures["present_interval_ms"]["p50"] < 100


def test_a_macro_file_turns_the_recorded_picture_black(start, tmp_path: Path) -> None:
    film, active = tmp_path / "out.mp4", tmp_path / "active"
    process = start("live", *SHOW, *QUIET, "--audio", "none", "--generator", "still", "--record", film)
    wait_for(growing(tmp_path / "out.partial.mkv"), process)
    (active / "BLACKOUT").touch()
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    with av.open(str(film)) as opened:
        light = [float(frame.to_ndarray(format="gray").mean()) for frame in opened.decode(video=0)]
    assert max(light) > 20
    assert max(light[-20:]) < 4


def test_what_is_played_can_be_played_again(start, vjengine, tmp_path: Path) -> None:
    performance, active = tmp_path / "show.jsonl", tmp_path / "active"
    process = start("live", *SHOW, *QUIET, "--audio", "none", "--save-performance", performance)
    wait_for(lambda: (active / "AUDIO").exists() and performance.exists(), process)
    time.sleep(0.5)
    (active / "DROP").touch()
    wait_for(lambda: "DROP" in performance.read_text(), process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    played = [json.loads(line) for line in performance.read_text().splitlines()]
    assert any(event.get("macro") == "DROP" for event in played)
    again = tmp_path / "again.jsonl"
    done = vjengine(
        "live", *SHOW, *QUIET, "--audio", "none", "--perform", performance, "--save-performance", again,
        "--duration", max(event["t"] for event in played) + 1.0,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert any(json.loads(line).get("macro") == "DROP" for line in again.read_text().splitlines())


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--audio", "missing.wav"), 1, "no such file"),
        (("--audio", "No Such Device"), 1, "No Such Device"),
        (("--audio", "none", "--preset", "nope"), 2, "nope"),
        (("--audio", "none", "--generator", "nope"), 2, "procedural"),
        (("--audio", "none", "--record", "x.txt"), 2, ".mp4"),
        (("--audio", "none", "--record", "no/such/folder/x.mp4"), 1, "folder"),
        (("--audio", "none", "--perform", "missing.jsonl"), 1, "missing.jsonl"),
        (("--audio", "none", "--osc-out", "nonsense"), 2, "HOST:PORT"),
        (("--audio", "none", "--fps", "0"), 2, "--fps"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    vjengine, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = vjengine("live", "--headless", "--size", "160x90", "--midi", "none", *QUIET, *arguments)
    assert done.returncode == status, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("vjengine: ")
    assert words in last
    assert "Traceback" not in done.stderr


def test_a_wrong_preset_names_file_key_value_and_range(vjengine, tmp_path: Path) -> None:
    (tmp_path / "default.yaml").write_text("parameters: {feedback.mix: 7}\n")
    done = vjengine("live", "--headless", *QUIET, "--audio", "none", "--presets", tmp_path)
    assert done.returncode == 1
    assert "default.yaml" in done.stderr
    assert "feedback.mix = 7" in done.stderr
    assert "from 0 to 1" in done.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_ends_the_recording_and_not_the_show(start, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "none", str(disk)], check=False).returncode:
        pytest.skip("this machine does not let tests mount")
    try:
        stats = tmp_path / "out.json"
        process = start(
            "live", *SHOW, *QUIET, "--audio", "none", "--size", "640x360", "--duration", 8,
            "--record", disk / "out.mp4", "--stats", stats,
        )  # fmt: skip
        wait_for(growing(disk / "out.partial.mkv"), process)
        # Somebody else fills the disk.
        with contextlib.suppress(OSError), (disk / "photos").open("wb", buffering=0) as photos:
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while photos.write(bytes(size)) == size:
                        pass
        _out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        figures = json.loads(stats.read_text())
        assert figures["seconds"] > 7
        assert any("recorder" in line for line in figures["degradations"])
        left = [path for path in disk.iterdir() if path.suffix in (".mkv", ".mp4")]
        assert left
        with av.open(str(left[0])) as opened:
            assert sum(1 for _ in opened.decode(video=0)) > 10
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
