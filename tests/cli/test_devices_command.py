"""``vjengine devices`` and the probes: real answers in time, whatever a driver does."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

from vjengine.cli import devices, probes
from vjengine.cli.probes import Answer


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    devices.add_parser(parser.add_subparsers())
    args = parser.parse_args(["devices", *words])
    return int(args.func(args))


def test_every_kind_of_device_has_its_section(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    sections = capsys.readouterr().out.split("\n\n")
    assert [section.splitlines()[0] for section in sections] == [
        "audio inputs",
        "audio outputs",
        "MIDI inputs",
        "monitors",
    ]
    assert all(len(section.splitlines()) >= 2 for section in sections)


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data) == {"audio", "midi", "monitors"}
    assert all(set(part) == {"devices", "problem"} for part in data.values())


def test_tables_line_up_and_mark_the_default() -> None:
    audio = Answer(
        data=[
            {"name": "Scarlett 2i2", "host_api": "ALSA", "inputs": 2, "outputs": 2, "sample_rate": 48000,
             "default_input": True, "default_output": False},
            {"name": "HDMI", "host_api": "ALSA", "inputs": 0, "outputs": 8, "sample_rate": 44100,
             "default_input": False, "default_output": True},
        ]
    )  # fmt: skip
    text = devices._audio(audio)
    assert text.splitlines() == [
        "audio inputs",
        "  *  Scarlett 2i2  2 ch  48000 Hz  ALSA",
        "",
        "audio outputs",
        "     Scarlett 2i2  2 ch  48000 Hz  ALSA",
        "  *  HDMI          8 ch  44100 Hz  ALSA",
    ]


@pytest.mark.real
@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="xvfb-run is not installed")
def test_a_monitor_is_listed_under_a_real_x_server() -> None:
    done = subprocess.run(
        ["xvfb-run", "-a", "-s", "-screen 0 800x600x24", sys.executable, "-m", "vjengine.cli.probes", "monitors"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    answer = Answer(**json.loads(done.stdout.splitlines()[-1]))
    assert answer.problem == ""
    assert answer.data[0]["size"] == [800, 600]
    assert "800x600" in devices._monitors(answer)


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("import time; time.sleep(60)", Answer(problem="does not answer: a driver or a server hangs")),
        ("import os; os._exit(7)", Answer(problem="the driver crashed (exit status 7)")),
        ("print('chatter of a driver')", Answer(problem="the driver crashed (exit status 0)")),
        ('print(\'chatter\'); print(\'{"data": [1], "problem": ""}\')', Answer(data=[1])),
    ],
)
def test_a_driver_that_hangs_crashes_or_chatters(code: str, answer: Answer) -> None:
    patience = 1.0 if "sleep" in code else 30.0
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen([sys.executable, "-c", code], stdout=output)
        assert probes._collect(child, output, time.monotonic() + patience) == answer
    assert child.poll() is not None
