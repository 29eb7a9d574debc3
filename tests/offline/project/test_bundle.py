"""A new project can be read as it is; what is wrong in it is named; nothing is deleted that a film needs."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from vjengine.errors import ConfigError, UsageError
from vjengine.offline.lock import FolderLock
from vjengine.offline.project.bundle import edited, read_project, snapshot
from vjengine.offline.project.clean import delete, find_waste
from vjengine.offline.project.new import new_project
from vjengine.offline.project.probe import probe_backends
from vjengine.offline.project.settings import CONTINUATIONS
from vjengine.offline.project.state import State, read_state


@pytest.mark.parametrize("backend", CONTINUATIONS)
def test_a_new_project_can_be_read_as_it_is(tmp_path: Path, backend: str) -> None:
    project = read_project(new_project(tmp_path / "ink-sea", "text", backend))
    assert project.prompt.title == "Ink sea"
    assert project.prompt.backend == backend
    assert project.prompt.misplaced == ()
    assert project.settings.finish.size == (1920, 1080)
    assert project.settings.finish.fps == Fraction(60)
    assert project.settings.fps is None


def test_names_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for name in ("CON", "a.", "..", "nul.txt"):
        with pytest.raises(UsageError, match="everywhere"):
            new_project(tmp_path / name)
    with pytest.raises(UsageError, match="expected text, image, video"):
        new_project(tmp_path / "a", "sound")
    with pytest.raises(UsageError, match="expected builtin"):
        new_project(tmp_path / "a", "text", "sora")
    new_project(tmp_path / "a")
    with pytest.raises(UsageError, match="a project already"):
        new_project(tmp_path / "a")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not empty"):
        new_project(tmp_path / "full")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("seed: 1", "sede: 1", r"film\.sede.*did you mean 'seed'"),
        ("size: 1280x720", "size: wide", "1024x576 or 720p"),
        ("noise: 0.02", "noise: 7", r"film\.noise = 7"),
        ("on_failure: stop", "on_failure: panic", "stop, builtin"),
        ("guidance: [1, 2]", "guidance: 2", "two numbers"),
        ("stabilise: auto", "stabilise: maybe", "auto, true or false"),
        ("server: http://127.0.0.1:8188", "server: 'ftp://x'", "address"),
        ("interpolate: dis", "interpolate: magic", "dis"),
        ('grade: ""', "grade: gamma=3", "exposure="),
        ("lut: ", "lut: none.cube", "there is no"),
    ],
)
def test_what_is_wrong_in_settings_is_named(tmp_path: Path, before: str, after: str, words: str) -> None:
    path = new_project(tmp_path / "p") / "settings.yaml"
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        read_project(tmp_path / "p")


def test_inputs_are_found_by_themselves(tmp_path: Path) -> None:
    folder = new_project(tmp_path / "p", "image")
    with pytest.raises(UsageError, match="mode image begins with a picture"):
        read_project(folder)
    (folder / "inputs" / "a.png").write_bytes(b"")
    assert read_project(folder).settings.picture == folder / "inputs" / "a.png"
    (folder / "inputs" / "b.jpg").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"inputs\.picture.*one of them"):
        read_project(folder)
    with pytest.raises(UsageError, match="vjengine new"):
        read_project(tmp_path)


def test_what_was_edited_is_said(tmp_path: Path) -> None:
    folder, run = new_project(tmp_path / "p"), tmp_path / "p" / "runs" / "a"
    snapshot(read_project(folder), run)
    assert edited(folder, run) == []
    for name, before, after in (("settings.yaml", "seed: 1 ", "seed: 2 "), ("prompt.md", "people", "crowds")):
        text = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(text.replace(before, after), encoding="utf-8")
    said = edited(folder, run)
    assert said == [
        "prompt.md: text, watermark, people -> text, watermark, crowds",
        "settings.yaml: seed: 1 -> seed: 2",
    ]
    assert read_project(folder).settings.seed == 2
    assert read_project(folder, run).settings.seed == 1
    assert not list(folder.glob(".settings*"))


def fake_run(run: Path, film: str) -> None:
    for name in (
        "base.run/chunks/000000/clip.mkv",
        "clips/0001.mkv",
        "images/0001.png",
        "base.mp4",
        "config/prompt.md",
    ):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_bytes(b"x" * 1000)
    (run / "notes.txt").write_text("a performer's own")
    State(state="done" if film else "stopped", cycles=1, frames=10, fps=5.0).write(run, film=film)
    if film:
        (run / film).write_bytes(b"the film")


def test_cleaning_spares_films_and_what_films_are_not_yet_made_of(tmp_path: Path) -> None:
    fake_run(tmp_path / "done", "p-done.mp4")
    fake_run(tmp_path / "half", "")
    found = {waste.path.relative_to(tmp_path).as_posix() for waste in find_waste(tmp_path)}
    assert found == {"done/base.run", "done/base.mp4", "done/clips", "done/images", "half/clips", "half/images"}
    delete(find_waste(tmp_path))
    assert (tmp_path / "done" / "p-done.mp4").read_bytes() == b"the film"
    assert (tmp_path / "half" / "base.run" / "chunks" / "000000" / "clip.mkv").is_file()
    assert (tmp_path / "half" / "base.mp4").is_file()
    assert (tmp_path / "done" / "notes.txt").is_file()
    delete(find_waste(tmp_path, ["half"], all_of_it=True))
    assert [path.name for path in tmp_path.iterdir()] == ["done"]


def test_nothing_is_cleaned_where_a_film_is_being_finished(tmp_path: Path) -> None:
    fake_run(tmp_path / "main", "p-main.mp4")
    parts = tmp_path / "main" / "p-main.mp4.parts"
    parts.mkdir()
    lock = FolderLock(parts)
    assert find_waste(tmp_path) == []
    lock.release()
    assert parts in {waste.path for waste in find_waste(tmp_path)}


def test_a_run_that_says_running_and_is_not_was_killed(tmp_path: Path) -> None:
    State(cycles=3, frames=30, fps=10.0).write(tmp_path)
    state = read_state(tmp_path)
    assert state
    assert (state.state, state.seconds) == ("killed", 3.0)
    for broken in ("{", "[]", json.dumps({"frames": "many"})):
        (tmp_path / "state.json").write_text(broken)
        assert read_state(tmp_path) is None


def test_backends_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPLICATE_API_TOKEN", raising=False)
    given = {"comfyui": {"server": "http://127.0.0.1:9"}, "diffusers": {"model": "nobody/has-it"}}
    found = {each.name: each for each in probe_backends(given)}
    assert list(found) == list(CONTINUATIONS)
    assert found["builtin"].usable
    assert not found["comfyui"].usable
    assert not found["diffusers"].usable
    assert "start ComfyUI" in found["comfyui"].remedy
    assert "REPLICATE_API_TOKEN" in found["replicate"].remedy
