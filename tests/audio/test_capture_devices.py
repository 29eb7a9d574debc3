"""Input and output devices on a real sound server, through every way of losing them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.real
RATE = 48000


def sine(seconds: float, frequency: float = 1000.0, level: float = 0.5) -> np.ndarray:
    wave = level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)
    return np.stack([wave, wave], axis=1).astype(np.float32)


def test_captures_what_plays_with_even_times(pulse, probe, music) -> None:
    path = music("tone.wav", sine(20))
    ear = probe(pulse.env, "device", "pulse")
    opened = ear.until(lambda line: "started" in line or "error" in line)
    assert opened.get("channels") == 2
    player = pulse.play(path)
    try:
        heard = ear.until(lambda line: line.get("rms", 0.0) > 0.3)
        heard = ear.until(lambda line: line.get("rms", 0.0) > 0.3)
        ear.until(lambda line: line.get("hops", 0) >= 500)
    finally:
        player.kill()
        player.wait()
    seconds = 20 * 256 / opened["rate"]
    assert heard["crossings"] / 2 / seconds == pytest.approx(1000, rel=0.02)
    assert heard["rms"] == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    end = ear.finish()[-1]
    # Stamps rise evenly (the sd of a hop's step stays below a millisecond) and agree with the moment of arrival.
    assert end["step"][2] > 0.0
    assert end["settled"][0] < 0.001
    assert -0.02 < end["ages"][1] < 0.1
    assert end["overruns"] == 0


def test_a_file_is_heard_when_its_hops_say_so(pulse, probe, music) -> None:
    clicks = np.zeros((6 * RATE, 2), dtype=np.float32)
    clicks[2 * RATE : 2 * RATE + 48] = 0.9
    path = music("click.wav", clicks)
    ear = probe(pulse.env, "device", "pulse")
    ear.until(lambda line: "started" in line)
    player = probe(pulse.env, "file", str(path), "pulse")
    played = player.until(lambda line: line.get("peak", 0.0) > 0.5)
    heard = ear.until(lambda line: line.get("peak", 0.0) > 0.5)
    # Two processes have two session clocks; each says how long before its own report the click sounded.
    assert played["at"] - played["peak_time"] < 0.3
    assert heard["at"] - heard["peak_time"] < 0.3
    assert not [line for line in player.seen if "status" in line]
    player.finish()


def test_a_killed_server_is_a_warning_and_its_return_is_found_by_name(pulse, probe, music) -> None:
    ear = probe(pulse.env, "device", "pulse")
    ear.until(lambda line: line.get("hops", 0) >= 40)
    pulse.kill()
    lost = ear.until(lambda line: "status" in line)
    assert lost["status"] == "warn"
    assert "pulse" in lost["message"]
    time.sleep(1.0)
    pulse.start()
    back = ear.until(lambda line: "status" in line, timeout=10)
    assert back["status"] == "ok"
    player = pulse.play(music("tone.wav", sine(10)))
    try:
        ear.until(lambda line: line.get("rms", 0.0) > 0.3)
    finally:
        player.kill()
        player.wait()
    end = ear.finish()
    assert [line["status"] for line in end if "status" in line] == ["warn", "ok"]
    assert end[-1]["losses"] == 1
    assert end[-1]["step"][2] > 0.0


def test_a_frozen_server_is_noticed_and_comes_back_by_itself(pulse, probe) -> None:
    ear = probe(pulse.env, "device", "pulse")
    ear.until(lambda line: line.get("hops", 0) >= 40)
    pulse.freeze()
    try:
        lost = ear.until(lambda line: "status" in line, timeout=5)
        assert lost["status"] == "warn"
        assert "frozen" in lost["message"]
        time.sleep(3.0)  # long enough that the stream is given up and hangs in close()
    finally:
        pulse.thaw()
    assert ear.until(lambda line: "status" in line, timeout=10)["status"] == "ok"
    ear.until(lambda line: "rms" in line)
    ear.finish()


def test_a_frozen_server_does_not_hold_up_the_end(pulse, probe) -> None:
    ear = probe(pulse.env, "device", "pulse")
    ear.until(lambda line: line.get("hops", 0) >= 40)
    pulse.freeze()
    try:
        ear.until(lambda line: "status" in line, timeout=5)
        end = ear.finish(timeout=5)[-1]
        assert end["closed_in"] < 1.0
        assert ear.process.returncode == 0
    finally:
        pulse.thaw()


def test_an_unplugged_sink_is_waited_for(pulse, probe) -> None:
    ear = probe(pulse.env, "device", "pulse")
    ear.until(lambda line: line.get("hops", 0) >= 40)
    pulse.ctl("unload-module", "module-null-sink")
    assert ear.until(lambda line: "status" in line, timeout=5)["status"] == "warn"
    pulse.ctl("load-module", "module-null-sink", "sink_name=vj", "rate=48000", "channels=2", "norewinds=1")
    assert ear.until(lambda line: "status" in line, timeout=10)["status"] == "ok"
    ear.until(lambda line: "rms" in line)
    ear.finish()


def test_a_file_goes_on_unheard_when_its_output_dies(pulse, probe, music) -> None:
    player = probe(pulse.env, "file", str(music("tone.wav", sine(30))))
    player.until(lambda line: line.get("hops", 0) >= 60)
    pulse.kill()
    lost = player.until(lambda line: "status" in line)
    assert lost["status"] == "warn"
    assert "unheard" in lost["message"]
    before = player.until(lambda line: "rms" in line)
    after = player.until(lambda line: line.get("hops", 0) >= before["hops"] + 200)
    assert after["time"] - before["time"] == pytest.approx((after["hops"] - before["hops"]) * 256 / RATE, abs=0.05)
    assert after["rms"] > 0.3
    pulse.start()
    assert player.until(lambda line: "status" in line, timeout=10)["status"] == "ok"
    player.finish()


def test_no_such_device_names_those_there_are(pulse, probe) -> None:
    ear = probe(pulse.env, "device", "Scarlett 2i2")
    failed = ear.until(lambda line: "error" in line)
    assert failed["type"] == "DeviceNotFound"
    assert "Scarlett 2i2" in failed["error"]
    assert "'pulse'" in failed["error"]


def test_names_match_in_part_and_in_any_case(pulse, probe) -> None:
    ear = probe(pulse.env, "device", "PULS")
    assert "started" in ear.until(lambda line: "started" in line or "error" in line)
    ear.finish()


def bare_environment(tmp_path: Path) -> dict[str, str]:
    return dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path), HOME=str(tmp_path), PULSE_SERVER=f"unix:{tmp_path}/none")


def test_without_any_device_a_file_plays_unheard(probe, music, tmp_path) -> None:
    player = probe(bare_environment(tmp_path), "file", str(music("tone.wav", sine(1.5))), "No Such Card")
    status = player.until(lambda line: "status" in line)
    assert status["status"] == "warn"
    assert "unheard" in status["message"]
    end = player.until(lambda line: "closed_in" in line)
    assert end["ended"]
    assert end["hops"] == -(-int(1.5 * RATE) // 256)


def test_without_portaudio_the_message_says_what_to_install() -> None:
    code = """
import ctypes.util, sys
import importlib.abc
class Gone(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
sys.meta_path.insert(0, Gone())
from vjengine.audio.capture import list_devices
from vjengine.errors import MissingDependency
try:
    list_devices()
except MissingDependency as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert "libportaudio2" in done.stdout
