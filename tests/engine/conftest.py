"""Sounds and commands that the engine's tests share."""

import os
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def beat_wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds of kick and hat at 120 BPM, the first kick at 0."""
    rate = 48000
    samples = np.zeros(rate * 12)
    t = np.arange(int(rate * 0.18)) / rate
    kick = np.sin(2 * np.pi * (48 * t + 60 / 22 * (1 - np.exp(-22 * t)))) * np.exp(-t * 18)
    hat = np.random.default_rng(1).normal(0, 0.12, 1500) * np.exp(-np.arange(1500) / 260)
    for beat in range(24):
        at = beat * rate // 2
        samples[at : at + len(kick)] += 0.8 * kick[: len(samples) - at]
        samples[at + rate // 4 : at + rate // 4 + 1500] += hat
    path = tmp_path_factory.mktemp("sound") / "beat.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment without display, sound server or MIDI, and with a live folder of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PULSE_", "JACK_", "DISPLAY"))}
    kept.pop("WAYLAND_DISPLAY", None)
    return kept | {"VJENGINE_ACTIVE": str(tmp_path / "active"), "XDG_RUNTIME_DIR": str(tmp_path)}


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Start ``vjengine …`` as its user would; whatever still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def begin(*arguments: object, display: str = "") -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "vjengine.cli.main", *map(str, arguments)]
        surroundings = environment | ({"DISPLAY": display} if display else {})
        process = subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def vjengine(start: Start) -> Run:
    """Run ``vjengine …`` to its end."""

    def run(*arguments: object, timeout: float = 60.0) -> "subprocess.CompletedProcess[str]":
        process = start(*arguments)
        out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run
