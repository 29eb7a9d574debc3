"""A project is run, left, gone on with and taken over: the film is never lost."""

import importlib.util
import json
import sys
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vjengine.cli.main import main
from vjengine.errors import ResumeError, UsageError
from vjengine.offline.clips import clip_info
from vjengine.offline.progress import Interrupt
from vjengine.offline.project import runner
from vjengine.offline.project.assemble import assemble
from vjengine.offline.project.bundle import Project, read_project
from vjengine.offline.project.forecast import forecast
from vjengine.offline.project.new import new_project
from vjengine.offline.project.runner import Wanted, Ways, run_project
from vjengine.offline.project.state import State, read_state
from vjengine.offline.project.verify import verify_run

FAST = """\
film: {size: 64x36, fps: 12, frames: 4, cycles: 2, noise: 0, retries: 0, tries: 2, SET}
finish: {size: 128x72, fps: 24, encoder: x264}
comfyui: {server: "SERVER", frames: 4, tries: 1, pause: 0, poll: 0.1}
"""


def project(folder: Path, backend: str = "builtin", server: str = "http://127.0.0.1:9", more: str = "") -> Project:
    if not folder.exists():
        new_project(folder, "text", backend)
    text = FAST.replace("SERVER", server).replace(", SET", f", {more}" if more else "")
    (folder / "settings.yaml").write_text(text, encoding="utf-8")
    return read_project(folder)


def go(made: Project, name: str = "main", wanted: Wanted | None = None, **ways: Any) -> State:
    return run_project(made, name, wanted or Wanted(), Interrupt("again", lambda words: None), Ways(**ways))


@pytest.fixture
def comfy() -> Iterator[Any]:
    path = Path(__file__).parents[1] / "backends" / "comfy_server.py"
    spec = importlib.util.spec_from_file_location("comfy_server", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["comfy_server"] = module
    spec.loader.exec_module(module)
    server = module.LocalComfy()
    yield server
    server.close()


def test_more_cycles_are_added_to_a_run_and_the_film_is_the_same(tmp_path: Path) -> None:
    made = project(tmp_path / "ink")
    state = go(made)
    assert (state.cycles, state.frames) == (2, 9)
    clip = made.run_path("main") / "clips" / "0001.mkv"
    before = clip.read_bytes()
    state = go(made, wanted=Wanted(cycles=3))
    assert (state.cycles, state.frames) == (3, 13)
    assert clip.read_bytes() == before
    go(made, "at-once", Wanted(hours=13 / 12 / 3600))
    films = [assemble(made, name, final=False) for name in ("main", "at-once")]
    assert [film.state for film in films] == ["done", "done"]
    assert (made.run_path("main") / "base.mp4").read_bytes() == (made.run_path("at-once") / "base.mp4").read_bytes()
    names = [path.name for path in sorted((made.run_path("main") / "images").iterdir())]
    assert names == ["0000-first.png", "0001.png", "0002.png", "0003.png"]
    last = cv2.imread(str(made.run_path("main") / "images" / "0003.png"), cv2.IMREAD_UNCHANGED)
    assert (last.dtype, last.shape) == (np.uint16, (36, 64, 3))
    planned = forecast(made, "main", Wanted(cycles=1))
    assert (planned.cycles, planned.there) == (3, 3)  # what is there stays in the film
    again = go(made, wanted=Wanted(cycles=1, fresh=True))
    assert (again.cycles, again.film) == (1, "")
    assert len(list((made.run_path("main") / "clips").iterdir())) == 1


def test_what_was_edited_keeps_a_run_from_going_on(tmp_path: Path) -> None:
    made = project(tmp_path / "ink", more="seed: 4")
    go(made, wanted=Wanted(cycles=1))
    with pytest.raises(ResumeError, match=r"settings\.yaml: .*seed: 4.* -> .*seed: 5.*--as-begun.*-n NAME.*--fresh"):
        go(project(tmp_path / "ink", more="seed: 5"), wanted=Wanted(cycles=2))
    for cycles in (2, 3):  # and what it began with is still kept
        assert go(read_project(made.folder, made.run_path("main")), wanted=Wanted(cycles=cycles)).cycles == cycles
    with pytest.raises(UsageError, match="no run other"):
        assemble(made, "other")


def test_a_backend_that_fails_for_good_leaves_a_film_and_the_run_can_go_on(tmp_path: Path, comfy: Any) -> None:
    made = project(tmp_path / "ink", "comfyui", comfy.address)
    go(made, wanted=Wanted(cycles=1))
    comfy.faults.append("error")
    state = go(made, wanted=Wanted(cycles=2))
    assert (state.state, state.cycles) == ("failed", 1)
    assert "KSampler (node 5) failed" in state.error
    state = assemble(made, "main")
    assert state.state == "failed"
    film = clip_info(made.run_path("main") / state.film)
    assert (film.size, film.fps, film.frames) == ((128, 72), 24, 10)
    state = go(made, wanted=Wanted(cycles=2))
    assert (state.cycles, state.error) == (2, "")
    assert assemble(made, "main", final=False).state == "done"


def test_a_fault_that_passes_costs_nothing(tmp_path: Path, comfy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_PAUSE", 0.01)
    said: list[str] = []
    comfy.faults.append("empty")
    made = project(tmp_path / "ink", "comfyui", comfy.address)
    assert go(made, wanted=Wanted(cycles=1), say=said.append).cycles == 1
    assert "begun again" in said[0]


def test_the_built_in_one_takes_over_where_settings_say_so(tmp_path: Path, comfy: Any) -> None:
    made = project(tmp_path / "ink", "comfyui", comfy.address, "on_failure: builtin")
    go(made, wanted=Wanted(cycles=1))
    comfy.faults.append("error")
    state = go(made, wanted=Wanted(cycles=3))
    assert (state.cycles, state.standby) == (3, (2, 3))
    clip = made.run_path("main") / "clips" / "0002.mkv"
    assert clip_info(clip).frames == 4
    state = go(made, wanted=Wanted(cycles=4))  # the backend is well again
    assert (state.cycles, state.standby, state.error) == (4, (2, 3), "")


def test_leaving_keeps_what_is_finished(tmp_path: Path) -> None:
    made = project(tmp_path / "ink")
    keeper = Interrupt("again", lambda words: None)

    def tell(done: int, wanted: int, reused: int) -> None:
        if done == 1:
            keeper.ask()

    with pytest.raises(KeyboardInterrupt):
        run_project(made, "main", Wanted(cycles=5), keeper, Ways(tell=tell))
    state = read_state(made.run_path("main"))
    assert state
    assert (state.state, state.cycles, state.wanted) == ("stopped", 1, 5)
    assert assemble(made, "main", final=False).state == "stopped"


def test_with_a_track_the_film_is_as_long_as_it(tmp_path: Path) -> None:
    folder = tmp_path / "ink"
    new_project(folder)
    with wave.open(str(folder / "inputs" / "beat.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes((np.sin(np.arange(8000) / 9) * 9000).astype("<i2").tobytes())
    state = go(project(folder))
    assert (state.frames, state.cycles) == (12, 3)
    film = clip_info(folder / "runs" / "main" / assemble(project(folder), "main").film)
    assert (film.frames, film.duration, film.audio) == (24, Fraction(1), True)


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "ink"]) == 0
    project(tmp_path / "ink")
    monkeypatch.chdir(tmp_path / "ink")
    assert main(["run", "--dry-run", "--cycles", "3"]) == 0
    assert "3 cycles, 13 pictures" in capsys.readouterr().out
    assert not list((tmp_path / "ink" / "runs").iterdir())
    assert main(["single"]) == 0
    first, clip, sheet = capsys.readouterr().out.split()
    assert all(Path(path).is_file() for path in (first, clip, sheet))
    assert main(["run", "--cycles", "1", "--base-only"]) == 0
    capsys.readouterr()
    assert main(["status"]) == 0
    assert "still to be made" in " ".join(capsys.readouterr().out.split())
    assert main(["assemble"]) == 0
    assert "ink-main.mp4" in capsys.readouterr().out
    assert main(["status", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["run"], row["state"], row["cycles"]) for row in rows] == [
        ("main", "done", 1),
        ("single", "done", 1),
    ]
    assert [row["to_do"] for row in rows] == ["", ""]
    assert main(["status"]) == 0
    assert "to be made" not in capsys.readouterr().out
    assert main(["clean"]) == 0
    assert "delete it with --yes" in capsys.readouterr().out
    assert main(["clean", "--yes"]) == 0
    assert (tmp_path / "ink" / "runs" / "main" / "ink-main.mp4").is_file()
    assert main(["run", "..", "--cycles", "1"]) == 2
    assert main(["run", "-n", "a/b"]) == 2


def test_a_damaged_cycle_costs_no_film(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong is told; a film that is whole is not replaced by a shorter one; the run makes the cycle again."""
    made = project(tmp_path / "ink")
    folder = made.run_path("main")
    go(made, wanted=Wanted(cycles=3))
    assemble(made, "main", final=False)
    film = (folder / "base.mp4").read_bytes()
    assert verify_run(folder) == []
    clip = folder / "base.run" / "chunks" / "000002" / "clip.mkv"
    clip.write_bytes(clip.read_bytes()[:-1] + b"?")
    assert main(["status", str(made.folder), "--verify"]) == 1
    assert "chunks 2 is damaged (clip.mkv was changed)" in capsys.readouterr().out
    said: list[str] = []
    assemble(made, "main", final=False, say=said.append)
    assert "longer than what is left" in said[-1]
    assert (folder / "base.mp4").read_bytes() == film
    (folder / "base.mp4").write_bytes(film[:-1])
    assert "not the film that was made" in "".join(verify_run(folder))
    assemble(made, "main", final=False)
    assert clip_info(folder / "base.mp4").frames == 5
    go(made, wanted=Wanted(cycles=3))
    assemble(made, "main", final=False)
    assert (folder / "base.mp4").read_bytes() == film
