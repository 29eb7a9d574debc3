"""``vjengine engine``: what is built is listed and thrown away, and a wrong word gets a useful answer."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from vjengine.cli.main import main
from vjengine.generate.turbo.accel.cache import FOLDER_VARIABLE, EngineCache, EngineKey, library_version
from vjengine.generate.turbo.plan import FramePlan

PLAN = FramePlan(size=(768, 448), device="cuda:0", precision="float16", loras=1)
KEY = EngineKey.of("tensorrt", "f" * 64, PLAN, "numpy", library_version("numpy"), "sm89+sm120")
STALE = dataclasses.replace(KEY, version="0.1", size=(512, 512))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineCache:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "engines"))
    return EngineCache(tmp_path / "engines")


@pytest.fixture
def filled(cache: EngineCache) -> EngineCache:
    cache.put(KEY, {"unet.engine": bytes(3_000_000)}, model="sd-turbo")
    cache.put(STALE, {"unet.engine": bytes(1_000_000)}, model="sdxl-turbo")
    (cache.folder / "timing-x.cache").write_bytes(b"timings")
    return cache


def test_an_empty_list_says_how_to_build(cache: EngineCache, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "list"]) == 0
    assert "vjengine engine build sd-turbo" in capsys.readouterr().out


def test_the_list_names_model_size_card_and_trouble(filled: EngineCache, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "list"]) == 0
    shown = capsys.readouterr().out
    line = next(line for line in shown.splitlines() if "sd-turbo" in line and "768x448" in line)
    assert "sm89 sm120" in line
    assert "tensorrt" in line
    assert " 3 " in line
    assert "stale" in next(line for line in shown.splitlines() if "512x512" in line)
    assert str(filled.folder) in shown


def test_the_list_as_json(filled: EngineCache, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {engine["model"] for engine in told["engines"]} == {"sd-turbo", "sdxl-turbo"}
    assert all(engine["bytes"] > 1_000_000 for engine in told["engines"])


@pytest.mark.parametrize("words", [[], ["--stale"]])
def test_clean_keeps_what_can_be_used(filled: EngineCache, words: list[str]) -> None:
    assert main(["engine", "clean", *words]) == 0
    assert [entry.model for entry in filled.list()] == ["sd-turbo"]


def test_clean_by_model(filled: EngineCache, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "clean", "--model", "sd-turbo"]) == 0
    assert [entry.model for entry in filled.list()] == ["sdxl-turbo"]
    assert main(["engine", "clean", "--model", "sd-turbo"]) == 2
    assert "there are: sdxl-turbo" in capsys.readouterr().err


def test_clean_all_leaves_an_empty_folder(filled: EngineCache, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "clean", "--all"]) == 0
    assert list(filled.folder.iterdir()) == []
    assert "thrown away: 2 (4 MB); left: 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["random:tiny", "--size", "768x432"], "768x448"),
        (["random:tiny", "--size", "wide"], "WIDTHxHEIGHT"),
        (["random:tiny", "--for", "rtx4090"], "sm89 is RTX 40"),
        (["random:tiny", "--for", ""], "sm89 is RTX 40"),
        (["random:tiny", "--rung", "graph"], "need no building"),
        (["random:tiny", "--rung", "openvino", "--for", "sm89"], "leave one"),
    ],
)
def test_a_wrong_word_is_answered_before_anything_starts(
    cache: EngineCache, capsys: pytest.CaptureFixture[str], words: list[str], hint: str
) -> None:
    assert main(["engine", "build", *words]) == 2
    assert hint in capsys.readouterr().err
    assert not cache.folder.exists()


def test_help_list_and_clean_load_nothing_heavy(filled: EngineCache) -> None:
    script = """
import sys
from vjengine.cli.main import main
for words in (["engine", "list"], ["engine", "clean"], ["engine", "build", "--help"]):
    try:
        main(words)
    except SystemExit:
        pass
heavy = [name for name in ("torch", "diffusers", "onnx", "tensorrt_rtx", "openvino") if name in sys.modules]
print("heavy:", heavy)
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "heavy: []" in told.stdout
    assert "--for CARDS" in told.stdout


def runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.timeout(30)
def test_interrupting_a_build_leaves_nothing(cache: EngineCache) -> None:
    if sys.platform == "win32":
        pytest.skip("no SIGINT to send")
    words = ["engine", "build", "random:tiny", "--size", "64x64", "--for", "sm89"]
    with subprocess.Popen(
        [sys.executable, "-m", "vjengine.cli.main", *words], stderr=subprocess.PIPE, text=True
    ) as command:
        try:
            # Wait for its child, so that there is something to interrupt.
            process = psutil.Process(command.pid)
            children: list[psutil.Process] = []
            while not children and command.poll() is None:
                children = process.children()
            command.send_signal(signal.SIGINT)
            _, error = command.communicate(timeout=5)
        finally:
            command.kill()
    assert command.returncode == 130, error
    assert "interrupted" in error
    # It may have been interrupted before it knew of its child; that one leaves with it then.
    waiting = threading.Event()
    while any(map(runs, children)):
        waiting.wait(0.02)
    assert not cache.folder.exists() or list(cache.folder.iterdir()) == []
