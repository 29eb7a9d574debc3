"""The ladder: the show starts on what there is, climbs once something better is built, and trips over nothing."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import psutil
import pytest
import torch

from vjengine.errors import GeneratorError, UsageError
from vjengine.generate.base import NOBODY
from vjengine.generate.turbo.accel import build as build_module
from vjengine.generate.turbo.accel.attempts import MOST, Attempts
from vjengine.generate.turbo.accel.base import Networks, TextState
from vjengine.generate.turbo.accel.build import Build, Recipe
from vjengine.generate.turbo.accel.cache import EngineCache
from vjengine.generate.turbo.accel.eager import EagerNetworks
from vjengine.generate.turbo.accel.ladder import RUNGS, Ladder, fastest_first, rung_named
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan
from vjengine.generate.turbo.random_models import random_parts

PLAN = FramePlan(size=(64, 64))
BEST = "openvino"


class Listener:
    """A host that remembers what it was told, and when."""

    live = True

    def __init__(self) -> None:
        self.said: list[tuple[float, str, str]] = []
        self.doing: list[str] = []

    def alive(self, doing: str = "", fraction: float = -1.0) -> None:
        self.doing.append(doing)

    def say(self, component: str, level: Literal["ok", "warn", "error"], message: str = "") -> None:
        assert component == "engine"
        self.said.append((time.perf_counter(), level, message))

    @property
    def messages(self) -> str:
        return "\n".join(message for _, _, message in self.said)


def as_is(networks: Networks) -> Networks:
    return networks


def until(happened: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until ``happened`` answers with something true."""
    waiting = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if happened():
            return
        waiting.wait(0.02)
    pytest.fail("it never happened")


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture(scope="module")
def parts() -> TurboParts:
    torch.set_num_threads(1)
    return random_parts("tiny")


@pytest.fixture
def host() -> Listener:
    return Listener()


Climber = Callable[..., Ladder[Networks]]


@pytest.fixture
def ladder(parts: TurboParts, host: Listener, tmp_path: Path) -> Iterator[Climber]:
    made: list[Ladder[Networks]] = []

    def make(folder: Path = tmp_path, **options: object) -> Ladder[Networks]:
        ladder = Ladder(parts, PLAN, folder, host, **{"finish": as_is, **options})  # type: ignore[arg-type]
        made.append(ladder)
        return ladder

    yield make
    for ladder in made:
        ladder.close()


@pytest.fixture(scope="module")
def built(parts: TurboParts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what :data:`BEST` needs, built by a ladder in the background."""
    folder = tmp_path_factory.mktemp("engines")
    host = Listener()
    with contextlib.closing(Ladder(parts, PLAN, folder, host, finish=as_is)) as ladder:
        first = ladder.first()
        assert first.rung == "graph", "the show starts at once on what needs no building"
        better: list[Networks] = []
        # It builds at low priority: beside busy neighbours that takes its time.
        until(lambda: better.append(found) if (found := ladder.better()) else better, 100.0)
        assert better[0].rung == BEST
        assert ladder.better() is None, "it is handed over once"
        news = [moment for moment, _, message in host.said if message.startswith(f"building {BEST}")]
        assert news
        assert all(later - earlier >= 0.49 for earlier, later in itertools.pairwise(news))
        assert host.said[-1][1] == "ok", "the line leaves the HUD"
        _same_picture(parts, better[0])
    for networks in (first, better[0]):
        networks.close()
    return folder


@torch.inference_mode()
def _same_picture(parts: TurboParts, networks: Networks) -> None:
    """Compare with eager: a rung may be coarser, never different."""
    eager = EagerNetworks(parts, PLAN)
    text = TextState(torch.randn(1, 77, 32, generator=torch.Generator().manual_seed(1)))
    latents = torch.randn(PLAN.latent_shape, generator=torch.Generator().manual_seed(2))
    outputs = []
    for either in (eager, networks):
        either.set_text(text)
        outputs.append(either.predict(latents, torch.tensor([700])).clone().float())
    assert (outputs[0] - outputs[1]).abs().mean() < 0.05 * outputs[0].abs().mean()


def test_the_fastest_first() -> None:
    assert fastest_first("cuda:1") == ("tensorrt", "graph", "eager")
    assert fastest_first("cpu") == ("openvino", "onnx", "graph", "eager")
    assert fastest_first("mps") == ("graph", "eager")


@pytest.mark.parametrize("name", RUNGS)
def test_every_rung_knows_its_name(name: str) -> None:
    rung = rung_named(name)
    assert rung.name == name
    assert rung.doc
    assert isinstance(rung.missing(PLAN), str)


def test_a_rung_that_is_not_there_lists_those_that_are(ladder: Climber) -> None:
    with pytest.raises(UsageError, match="openvino"):
        ladder(wanted="warp")


def test_a_wanted_rung_that_cannot_run_says_why(ladder: Climber) -> None:
    with pytest.raises(GeneratorError, match="the rung tensorrt cannot run here: TensorRT needs an NVIDIA card"):
        ladder(wanted="tensorrt").first()


def test_a_wanted_rung_is_the_only_one(ladder: Climber, host: Listener) -> None:
    climbing = ladder(wanted="eager")
    assert climbing.first().rung == "eager"
    assert climbing.better() is None
    assert not [thread for thread in threading.enumerate() if thread.name == "rung ladder"]
    assert host.said == []


def test_without_building_no_timing_decides(ladder: Climber) -> None:
    climbing = ladder(build=False)
    assert climbing.first().rung == "graph"
    assert not [thread for thread in threading.enumerate() if thread.name == "rung ladder"]


def test_a_better_rung_is_built_meanwhile_and_handed_over_once(built: Path) -> None:
    (entry,) = EngineCache(built).list()
    assert entry.key is not None
    assert (entry.key.size, entry.model, entry.fault) == (PLAN.size, "random:tiny", "")


def test_what_is_built_is_where_the_next_show_starts(built: Path, ladder: Climber, host: Listener) -> None:
    climbing = ladder(folder=built)
    assert climbing.first().rung == BEST
    assert climbing.better() is None
    assert host.said == []


def test_a_broken_engine_costs_a_rung_and_not_the_show(
    built: Path, ladder: Climber, host: Listener, tmp_path: Path
) -> None:
    shutil.copytree(built, tmp_path / "copy")
    (entry,) = EngineCache(tmp_path / "copy").list()
    largest = max(entry.folder.iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 0xFF
    largest.write_bytes(data)
    assert ladder(folder=tmp_path / "copy", build=False).first().rung == "graph"
    assert f"{BEST} does not run" in host.messages
    (entry,) = EngineCache(tmp_path / "copy").list()
    assert entry.stale, "it is not tried again"


def test_networks_that_cannot_be_finished_cost_a_rung(ladder: Climber, host: Listener) -> None:
    def picky(networks: Networks) -> Networks:
        if networks.rung == "graph":
            raise RuntimeError("no room for a graph")
        return networks

    assert ladder(finish=picky, build=False).first().rung == "eager"
    assert "graph does not run: RuntimeError: no room for a graph" in host.messages


def test_the_last_rung_fails_with_its_own_words(ladder: Climber) -> None:
    def never(networks: Networks) -> Networks:
        raise RuntimeError(f"{networks.rung} is out of memory")

    with pytest.raises(RuntimeError, match="eager is out of memory"):
        ladder(finish=never, build=False).first()


def _builds() -> set[int]:
    """Return the processes of this one that build a rung: those of earlier tests may still be leaving."""
    found = set()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if any("accel.build" in word for word in child.cmdline()):
                found.add(child.pid)
    return found


def _build_pid(earlier: set[int]) -> int:
    """Wait for a build that was not there ``earlier``; return its process id."""
    until(lambda: _builds() - earlier)
    return max(_builds() - earlier)


def test_closing_ends_the_build_at_once(ladder: Climber, tmp_path: Path) -> None:
    earlier = _builds()
    climbing = ladder()
    climbing.first().close()
    pid = _build_pid(earlier)
    before = time.perf_counter()
    climbing.close()
    # A build takes far longer than this; on a quiet machine closing takes some tenths of a second.
    assert time.perf_counter() - before < 5.0
    until(lambda: gone(pid), 20.0)
    until(lambda: not list(tmp_path.iterdir()), 10.0)


def test_a_killed_build_is_told_and_not_begun_again(ladder: Climber, host: Listener) -> None:
    earlier = _builds()
    climbing = ladder()
    climbing.first().close()
    psutil.Process(_build_pid(earlier)).kill()
    until(lambda: "does not run" in host.messages, 20.0)
    assert f"{BEST} does not run: the build was killed" in host.messages or os.name == "nt"
    climbing.close()
    host.said.clear()
    again = ladder()
    again.first().close()
    until(lambda: f"{BEST} does not run: an earlier build failed" in host.messages, 10.0)
    assert "vjengine engine build random:tiny" in host.messages


def test_builds_that_end_without_a_word_are_counted(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path / "new", "f" * 64, PLAN, "openvino")
    for _ in range(MOST):
        assert attempts.refusal() == ""
        attempts.begin()
    assert "without a word" in attempts.refusal()
    assert Attempts(tmp_path / "new", "f" * 64, PLAN, "onnx").refusal() == "", "of another rung nothing is known"
    attempts.forget()
    assert attempts.refusal() == ""


def test_a_build_ends_with_whoever_asked_for_it(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from vjengine.generate.turbo.accel.build import Build, Recipe
from vjengine.generate.turbo.plan import FramePlan
build = Build(Recipe("random:tiny", FramePlan(size=(64, 64)), "openvino", Path(sys.argv[1])))
print(build.pid, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
    until(lambda: gone(pid), 20.0)


def test_a_recipe_survives_the_way(tmp_path: Path) -> None:
    plan = FramePlan(size=(768, 448), device="cuda:1", precision="float16", tiled=True, loras=2)
    recipe = Recipe("sd-turbo", plan, "tensorrt", tmp_path, ("a", "b"), full_vae=True, targets=("sm89",))
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model": 1}', '{"plan": {"size": [63, 64]}, "folder": "x"}'])
def test_a_bad_recipe_fails_in_words(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Recipe.from_json(text)


def test_a_build_by_hand_speaks_in_lines(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(Recipe("no/such model", PLAN, "eager", tmp_path).to_json(), encoding="utf-8")
    told = subprocess.run(
        [sys.executable, "-m", build_module.__name__, str(plan)], capture_output=True, text=True, check=False
    )
    assert told.returncode == 1
    assert "no/such model" in json.loads(told.stdout.splitlines()[-1])["error"]


def test_a_build_that_fails_says_why(tmp_path: Path) -> None:
    build = Build(Recipe("no/such model", PLAN, BEST, tmp_path))
    try:
        with pytest.raises(UsageError, match="no/such model"):
            build.follow(NOBODY.alive)
    finally:
        build.stop()
