"""``vjengine macro``: what a performer types reaches the folder, and a wrong word gets a useful answer."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vjengine.cli import macro
from vjengine.config import load_macros
from vjengine.core.clock import LiveClock
from vjengine.core.control import ControlState
from vjengine.core.events import Event, MacroLevel, MacroSet
from vjengine.core.exchange import EventQueue, Latest
from vjengine.errors import InputError, UsageError
from vjengine.inputs.macro_files import MacroFiles
from vjengine.resources import resource_dir

Command = Callable[..., int]


@pytest.fixture
def active(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "active"
    monkeypatch.setenv("VJENGINE_ACTIVE", str(folder))
    return folder


@pytest.fixture
def command(active: Path) -> Command:
    def run(*words: str) -> int:
        parser = argparse.ArgumentParser()
        macro.add_parser(parser.add_subparsers())
        args = parser.parse_args(["macro", *words])
        return int(args.func(args))

    return run


def test_on_off_toggle_set_clear(command: Command, active: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("on", "DROP") == 0
    assert (active / "DROP").is_file()
    assert command("off", "drop") == 0
    assert not (active / "DROP").exists()
    assert command("toggle", "FREEZE") == 0
    assert (active / "FREEZE").is_file()
    assert command("toggle", "FREEZE") == 0
    assert not (active / "FREEZE").exists()
    assert command("set", "ENERGY", "0.8") == 0
    assert (active / "ENERGY").read_text() == "0.8\n"
    assert command("set", "ENERGY", "0") == 0
    assert not (active / "ENERGY").exists()
    assert command("on", "INTENSITY") == 0
    assert (active / "INTENSITY").read_text() == "1\n"
    assert command("set", "DROP", "0.4") == 0
    assert (active / "DROP").is_file()
    (active / "README.md").write_text("keep me")
    (active / "freeze.txt").touch()
    assert command("clear") == 0
    assert [path.name for path in active.iterdir()] == ["README.md"]
    said = capsys.readouterr().out
    assert "DROP on" in said
    assert "ENERGY 0.8" in said
    assert "no engine is running" in said
    assert "off: DROP, FREEZE, INTENSITY" in said


def test_list_shows_what_is_on(command: Command, active: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("on", "BLACKOUT")
    command("set", "HUE", "0.25")
    capsys.readouterr()
    assert command("list") == 0
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert rows["BLACKOUT"][1:4] == ["toggle", "on", "note41"]
    assert rows["HUE"][1:4] == ["level", "0.25", "cc11"]
    assert rows["DROP"][2] == "off"
    assert command("list", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["folder"] == str(active)
    assert data["engine"] is None
    assert {row["name"]: row["value"] for row in data["macros"]}["HUE"] == 0.25


def test_list_of_a_folder_that_is_not_there_yet(command: Command, active: Path) -> None:
    assert command("list") == 0
    assert command("clear") == 0
    assert not active.exists()


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("on", "DORP"), "did you mean 'DROP'?"),
        (("on",), "which macro"),
        (("on", "DROP", "1"), "macro set DROP"),
        (("set", "ENERGY"), "what value"),
        (("set", "ENERGY", "loud"), "a number from 0 to 1"),
        (("set", "ENERGY", "1.2"), "a number from 0 to 1"),
        (("set", "ENERGY", "nan"), "a number from 0 to 1"),
        (("clear", "DROP"), "macro off NAME"),
        (("list", "DROP"), "list takes no macro"),
        (("list", "--macros", "/nowhere/at/all"), "no such folder"),
    ],
)
def test_wrong_usage_is_answered_with_the_right_one(
    command: Command, active: Path, words: tuple[str, ...], answer: str
) -> None:
    with pytest.raises(UsageError) as caught:
        command(*words)
    assert answer in str(caught.value)
    assert not active.exists()


def test_an_unknown_action_is_wrong_usage(command: Command) -> None:
    with pytest.raises(SystemExit) as caught:
        command("explode", "DROP")
    assert caught.value.code == 2


def test_a_folder_that_cannot_be_used_is_named(command: Command, active: Path) -> None:
    active.write_text("in the way")
    with pytest.raises(InputError, match="cannot be used"):
        command("on", "DROP")


def test_a_broken_macro_does_not_keep_the_others(
    command: Command, active: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.yaml").write_text("kind: toggle")
    (tmp_path / "bad.yaml").write_text("kind: 5")
    assert command("on", "GOOD", "--macros", str(tmp_path)) == 0
    assert (active / "GOOD").exists()
    assert "bad.yaml: kind = 5" in capsys.readouterr().err


def test_a_running_engine_hears_the_command(command: Command, active: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = EventQueue()
    macros = load_macros(resource_dir("macros"))
    files = MacroFiles(active, macros, Latest(ControlState()), LiveClock(), events)
    files.start()
    heard: list[Event] = []

    def hears(kind: type[Event], name: str, value: float) -> bool:
        deadline = time.monotonic() + 5.0
        while time.monotonic() < deadline:
            heard.extend(events.drain())
            if any(isinstance(e, kind) and (e.macro, e.value) == (name, value) for e in heard):  # type: ignore[attr-defined]
                return True
            time.sleep(0.005)
        return False

    try:
        command("on", "DROP")
        assert hears(MacroSet, "DROP", 1.0)
        command("set", "ENERGY", "0.8")
        assert hears(MacroLevel, "ENERGY", 0.8)
        command("off", "DROP")
        assert hears(MacroSet, "DROP", 0.0)
        command("off", "AUDIO")
        assert hears(MacroSet, "AUDIO", 0.0)
        assert "no engine" not in capsys.readouterr().out
        command("list")
        assert f"process {os.getpid()}" in capsys.readouterr().out
    finally:
        files.stop()
