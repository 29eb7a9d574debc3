"""``vjengine doctor``: it looks with its own eyes, and everything missing comes with its remedy and its price."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pytest

from vjengine.cli import checks, doctor
from vjengine.cli.checks import Check, Library
from vjengine.cli.probes import Answer

NOTHING = Answer(problem="not here")


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    doctor.add_parser(parser.add_subparsers())
    args = parser.parse_args(["doctor", *words])
    return int(args.func(args))


def test_json_and_exit_status_agree(capsys: pytest.CaptureFixture[str]) -> None:
    status = run("--json")
    report = json.loads(capsys.readouterr().out)
    assert status == (0 if report["live"] else 1)
    assert report["live"] == all(check["state"] != "missing" for check in report["checks"])
    parts = {check["part"] for check in report["checks"]}
    assert {"Python", "OpenGL", "display", "PortAudio", "MIDI", "recording", "aubio", "watchdog", "disk"} <= parts
    assert {"torch", "diffusers", "tensorrt", "tensorrt_rtx", "aalink", "cyndilib", "matplotlib"} <= parts
    assert all(check["remedy"] for check in report["checks"] if check["state"] in ("missing", "absent"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="takes OpenGL away in the way Linux allows")
def test_without_opengl_live_cannot_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("__EGL_VENDOR_LIBRARY_FILENAMES", "/nowhere.json")
    monkeypatch.setenv("LIBGL_DRIVERS_PATH", "/nowhere")
    assert run() == 1
    said = capsys.readouterr().out
    assert "MISSING  OpenGL" in said
    assert "libegl1" in said
    assert "live cannot run yet: OpenGL missing" in said


def test_a_library_that_is_not_here_says_how_to_get_it() -> None:
    needed = checks.library(Library("no_such_module_here", "no-such", "lasers", "3 MB", needed=True), "core")
    assert (needed.state, needed.remedy, needed.cost) == ("missing", "pip install no-such", "3 MB")
    choice = checks.library(Library("no_such_module_here", "no-such", "lasers", "3 MB"), "extras")
    assert choice.state == "absent"
    assert checks.library(Library("json", "no-such", "lasers", "3 MB"), "core").state == "ok"


def test_what_probes_cannot_find_is_a_note_or_missing(tmp_path: Path) -> None:
    answers = dict.fromkeys(("gl", "monitors", "audio", "midi", "video"), NOTHING)
    states = {check.part: check.state for check in checks.all_checks(answers, tmp_path)}
    assert (states["OpenGL"], states["PortAudio"]) == ("missing", "missing")
    assert (states["display"], states["MIDI"], states["recording"]) == ("note", "note", "note")


def test_a_graphics_card_and_a_software_renderer_are_told_apart() -> None:
    info = {"renderer": "NVIDIA GeForce RTX 4090", "version": "4.6", "vendor": "NVIDIA", "draws": True}
    assert checks.graphics(Answer(data={**info, "software": False})).state == "ok"
    assert checks.graphics(Answer(data={**info, "software": True})).state == "note"
    assert checks.graphics(Answer(data={**info, "software": False, "draws": False})).state == "missing"


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32", "freebsd14"])
@pytest.mark.parametrize("part", ["gl", "portaudio", "sound", "midi"])
def test_every_platform_gets_a_remedy(monkeypatch: pytest.MonkeyPatch, platform: str, part: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    deed, _ = checks.remedy(part)
    assert deed


def test_the_report_puts_remedy_and_price_under_the_part() -> None:
    lines = doctor.report([Check("core", "laser", "missing", "none", "buy one", "900 MB")]).splitlines()
    assert lines[-2].split() == ["MISSING", "laser", "none"]
    assert lines[-1].strip() == "-> buy one   [900 MB]"
