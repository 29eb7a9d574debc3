"""``vjengine midi`` as a performer runs it, over a real JACK server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vjengine.cli.main import main


def test_profiles_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["midi", "profiles"]) == 0
    assert "Korg nanoKONTROL2" in capsys.readouterr().out
    assert main(["midi", "profiles", "pioneer-ddj"]) == 0
    shown = capsys.readouterr().out
    assert "crossfader" in shown
    assert "14 bits with 63" in shown
    assert "Not checked on real hardware" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["profiles", "korg"], "korg-nanokontrol2"),
        (["learn"], "learn what?"),
        (["learn", "DORP"], "did you mean 'DROP'"),
        (["learn", "tempo:quick"], "tap"),
        (["learn", "DROP", "--timeout", "0"], "above 0"),
        (["monitor", "pads"], "takes no name"),
        (["list", "--macros", "nowhere"], "no such folder"),
        (["list", "--midi-map", "nowhere.yaml"], "readable file"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VJENGINE_MIDI_LEARNT", str(tmp_path / "learnt.yaml"))
    assert main(["midi", *arguments]) in (1, 2)
    said = capsys.readouterr().err
    assert says in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.real
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_learning_in_a_shell_then_watching_it_play(
    surface: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VJENGINE_MIDI_LEARNT", str(tmp_path / "learnt.yaml"))
    pads = surface("pads")
    stop = threading.Event()

    def hit() -> None:
        while not stop.wait(0.1):
            pads.send("90 03 64")
            pads.send("80 03 00")

    hand = threading.Thread(target=hit)
    hand.start()
    vjengine = [sys.executable, "-m", "vjengine.cli.main", "midi"]
    try:
        learn = [*vjengine, "learn", "DROP", "--port", "pads", "--timeout", "60"]
        done = subprocess.run(learn, capture_output=True, text=True, timeout=90, check=True)
        assert "DROP is now note 3 ch1 of pads" in done.stdout
        listed = subprocess.run([*vjengine, "list", "--json"], capture_output=True, text=True, timeout=90, check=True)
        assert {"input": "pads:out", "profile": "", "lights": ""} in json.loads(listed.stdout)["inputs"]
        monitor = subprocess.Popen([*vjengine, "monitor", "--port", "pads", "--json"], stdout=subprocess.PIPE)
        assert monitor.stdout is not None
        row = json.loads(monitor.stdout.readline())
        assert row["target"] == "DROP"
        assert row["message"] in ("note 3 ch1 velocity 100", "note 3 ch1 off")
        os.kill(monitor.pid, signal.SIGINT)
        began = time.monotonic()
        monitor.communicate(timeout=30)
        assert monitor.returncode == 0
        assert time.monotonic() - began < 10.0
    finally:
        stop.set()
        hand.join()
