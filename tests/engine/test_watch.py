"""The stabiliser in a session: which parameters a frame is held against, who is corrected, what a fault costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vjengine.core.clock import LiveClock
from vjengine.core.correction import NO_CORRECTION, Correction
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue
from vjengine.core.frame import Frame
from vjengine.core.generation import GeneratorParams
from vjengine.engine.session import InlineFrames
from vjengine.engine.watch import REMEMBERED, ParamsMemory, Watch, watching
from vjengine.generate.base import GeneratorSpec
from vjengine.generate.supervisor import GeneratorProcess
from vjengine.stabilise.verdict import Verdict


def picture(shade: int = 100) -> np.ndarray:
    pixels = np.random.default_rng(shade).integers(0, 256, (36, 64, 4), np.uint8)
    pixels[..., 3] = 255
    return pixels


def frame(number: int, params: int = 0, generator: str = "turbo", pixels: np.ndarray | None = None) -> Frame:
    pixels = picture() if pixels is None else pixels
    return Frame(pixels, number, params or number, number / 30, number / 30, generator)


class Scripted:
    """Judges as it is told, and remembers what it was asked."""

    def __init__(self, correct: bool, script: Callable[[int], Verdict]) -> None:
        self.correct = correct
        self.seen: list[tuple[int, int]] = []
        self._script = script

    def look(self, pixels: np.ndarray, params: GeneratorParams, number: int) -> Verdict:
        self.seen.append((number, params.sequence))
        return self._script(number)


class Judges:
    """Makes :class:`Scripted` judges and keeps them."""

    def __init__(self, script: Callable[[int], Verdict]) -> None:
        self.made: list[Scripted] = []
        self._script = script

    def __call__(self, correct: bool) -> Scripted:
        self.made.append(Scripted(correct, self._script))
        return self.made[-1]


def plain(number: int) -> Verdict:
    return Verdict(number=number, time=number / 30, correction=Correction(number=number))


def statuses(events: EventQueue) -> list[tuple[str, str]]:
    return [(event.level, event.message) for event in events.drain() if isinstance(event, StatusChanged)]


def test_parameters_are_found_by_their_number_and_too_late_a_frame_gets_the_oldest() -> None:
    memory = ParamsMemory()
    assert memory.find(1) is None
    for sequence in range(1, REMEMBERED + 50):
        memory.keep(GeneratorParams(sequence=sequence))
    newest = REMEMBERED + 49
    for sequence in (newest, newest - 1, newest - REMEMBERED + 2):
        found = memory.find(sequence)
        assert found is not None
        assert found.sequence == sequence
    late = memory.find(3)
    assert late is not None
    assert newest - REMEMBERED < late.sequence <= newest - REMEMBERED + 2
    assert memory.find(newest + 1) is None, "a frame of parameters nobody submitted"
    assert memory.find(0) is None


def test_a_frame_is_held_against_the_parameters_it_was_made_for() -> None:
    judges = Judges(plain)
    watch = Watch(EventQueue(), live=False, make=judges)
    for sequence in range(1, 20):
        watch.attach(GeneratorParams(sequence=sequence))
    watch.see(frame(1, params=4))
    watch.see(frame(2, params=11))
    watch.see(frame(2, params=11))
    assert judges.made[0].seen == [(1, 4), (2, 11)], "each frame once"
    assert watch.attach(GeneratorParams(sequence=20)).correction.number == 2


def test_a_frame_drawn_for_nothing_that_was_submitted_is_not_judged() -> None:
    judges = Judges(plain)
    watch = Watch(EventQueue(), live=False, make=judges)
    watch.see(frame(1, params=7))
    assert judges.made[0].seen == []
    assert watch.attach(GeneratorParams(sequence=1)).correction == NO_CORRECTION


def test_another_generator_is_not_corrected_and_not_looked_at_without_a_log() -> None:
    events, judges = (
        EventQueue(),
        Judges(lambda n: Verdict(n, level=1, response="colour: more", correction=Correction(n))),
    )
    watch = Watch(events, live=False, make=judges)
    for sequence in range(1, 9):
        watch.attach(GeneratorParams(sequence=sequence))
    watch.see(frame(1))
    assert watch.attach(GeneratorParams(sequence=9)).correction.number == 1
    assert statuses(events) == [("warn", "colour: more")]
    watch.see(frame(2, generator="procedural"))
    assert watch.attach(GeneratorParams(sequence=10)).correction == NO_CORRECTION
    assert statuses(events) == [("ok", "")]
    assert [judge.seen for judge in judges.made] == [[(1, 1)]]


def test_with_a_log_any_generator_is_watched_but_not_corrected(tmp_path: Path) -> None:
    events, log = EventQueue(), tmp_path / "run.json"
    with watching(GeneratorSpec("still", (64, 36)), events, log, live=False) as watch:
        assert watch is not None
        for number in range(1, 40):
            params = watch.attach(GeneratorParams(sequence=number, time=number / 30))
            assert params.correction == NO_CORRECTION
            watch.see(frame(number, generator="still", pixels=picture(number // 2)))
    assert log.read_text().count('"w1"') == 39
    with watching(GeneratorSpec("still", (64, 36)), events, None, live=False) as watch:
        assert watch is None


def test_words_reach_the_hud_when_they_change_and_are_taken_back() -> None:
    levels = {1: (0, ""), 2: (1, "dark: more"), 3: (1, "dark: more"), 4: (2, "dark: still more"), 5: (0, "")}
    events = EventQueue()
    watch = Watch(events, live=False, make=Judges(lambda n: Verdict(n, level=levels[n][0], response=levels[n][1])))
    said = []
    for number in levels:
        watch.attach(GeneratorParams(sequence=number))
        watch.see(frame(number))
        said.append(statuses(events))
    assert said == [[], [("warn", "dark: more")], [], [("warn", "dark: still more")], [("ok", "")]]
    assert watch.summary()["responses"] == 2


def test_counters_of_a_correction_never_go_back() -> None:
    # A reseed taken back is another seed: the picture would jump when the stabiliser is turned off.
    given = {1: Correction(1, keep=1, reseed=2, restart=1), 2: NO_CORRECTION, 3: Correction(3, keep=2, reseed=2)}
    watch = Watch(EventQueue(), live=False, make=Judges(lambda n: Verdict(n, correction=given[n])))
    got = []
    for number in given:
        watch.attach(GeneratorParams(sequence=number))
        watch.see(frame(number))
        found = watch.attach(GeneratorParams(sequence=number)).correction
        got.append((found.number, found.keep, found.reseed, found.restart))
    assert got == [(1, 1, 2, 1), (0, 1, 2, 1), (3, 2, 2, 1)]


def test_a_fault_costs_the_correction_until_the_next_scene(caplog: pytest.LogCaptureFixture) -> None:
    def script(number: int) -> Verdict:
        if number in (3, 8):
            raise ZeroDivisionError("nothing there")
        return Verdict(number, correction=Correction(number, reseed=1))

    events, judges = EventQueue(), Judges(script)
    watch = Watch(events, live=False, make=judges)
    for number in range(1, 12):
        params = watch.attach(GeneratorParams(sequence=number, cue=number // 6))
        if number in (4, 5, 6, 9):
            assert params.correction == Correction(reseed=params.correction.reseed), number
        watch.see(frame(number))
    assert [judge.seen for judge in judges.made] == [[(1, 1), (2, 2), (3, 3)], [(6, 6), (7, 7), (8, 8)]]
    assert watch.keeper.faults == 2
    assert sum("the stabiliser failed" in record.message for record in caplog.records) == 1
    assert "ZeroDivisionError" in caplog.text
    assert watch.attach(GeneratorParams(sequence=12)).correction.reseed == 2, "they count on, not anew"
    (word,) = statuses(events)
    assert word[0] == "error"
    assert "nothing there" in word[1]


def test_live_looks_aside_takes_the_newest_and_holds_nobody_up() -> None:
    going, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def script(number: int) -> Verdict:
        going.set()
        assert go_on.wait(10)
        if number == 5:
            done.set()
        return plain(number)

    judges = Judges(script)
    watch = Watch(EventQueue(), live=True, make=judges)
    try:
        for sequence in range(1, 8):
            watch.attach(GeneratorParams(sequence=sequence))
        watch.see(frame(1))
        assert going.wait(10)
        for number in (2, 3, 4, 5):
            watch.see(frame(number))
        assert watch.attach(GeneratorParams(sequence=8)).correction == NO_CORRECTION
        go_on.set()
        assert done.wait(10)
    finally:
        go_on.set()
        watch.stop()
    assert judges.made[0].seen == [(1, 1), (5, 5)]
    assert watch.summary()["skipped"] == 3
    assert not any(thread.name == "stabiliser" for thread in threading.enumerate())


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_worker_costs_its_picture_and_not_the_anchor() -> None:
    events, clock, wait = EventQueue(), LiveClock(), threading.Event()
    watch = Watch(events, live=True, loops=lambda name: True, lives=lambda: process.restarts)
    process = GeneratorProcess(GeneratorSpec("still", (64, 36)), clock, events, fps_cap=60.0, on_frame=watch.see)
    seen: list[tuple[int, int, int]] = []
    anchored: list[bool] = []

    def run_until(done: Callable[[], bool]) -> None:
        end = clock.now() + 30
        while not done():
            assert clock.now() < end, (process.state, seen[-1])
            params = GeneratorParams(sequence=len(seen) + 1, time=clock.now())
            fix = watch.attach(params).correction
            process.submit(params)
            seen.append((fix.keep, fix.reseed, fix.restart))
            anchored.append(watch.keeper.verdict is not None and watch.keeper.verdict.anchored)
            wait.wait(0.01)

    process.start()
    try:
        run_until(lambda: bool(seen) and seen[-1] == (1, 0, 0))
        began, judged = len(seen), watch.keeper.cost.count
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        run_until(lambda: process.restarts == 1 and seen[-1] == (2, 0, 0))
        run_until(lambda: watch.keeper.cost.count > judged + 40)
    finally:
        process.stop()
        watch.stop()
    assert all(anchored[began:]), "the scene's anchor outlives the worker"
    assert set(seen) == {(0, 0, 0), (1, 0, 0), (2, 0, 0)}, "a picture to come back to for the new one, and only one"
    assert watch.keeper.alarms == watch.keeper.faults == 0


def dream(log: Path) -> bytes:
    """Return a film of eighteen frames that are dreamt and corrected, with its log."""
    from vjengine.generate.turbo.generator import TurboGenerator

    spec = GeneratorSpec("turbo", (64, 64), 1, {"model": "random:tiny", "rung": "eager", "threads": 1.0})
    made = TurboGenerator(spec)
    film, corrected = [], 0
    try:
        with watching(spec, EventQueue(), log, live=False) as watch:
            assert watch is not None
            frames = InlineFrames(made, on_frame=watch.see)
            for number in range(1, 22):
                params = watch.attach(
                    GeneratorParams(sequence=number, time=number / 30, travel=number / 30, prompts=(("a lake", 1.0),))
                )
                corrected += params.correction.number > 0
                frames.submit(params)
                last = frames.latest()
                assert last is not None
                film.append(last.pixels.tobytes())
    finally:
        made.close()
    assert corrected >= 3, "the anchor was found and corrections came of it"
    return b"".join(film)


def test_a_dream_with_corrections_repeats_to_the_byte_and_so_does_its_log(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    torch.set_num_threads(1)
    first, second = dream(tmp_path / "a.json"), dream(tmp_path / "b.json")
    assert first == second
    logs = [(tmp_path / name).read_bytes() for name in ("a.json", "b.json")]
    assert logs[0] == logs[1]
    assert logs[0].count(b'"w1"') == 21
    assert b'"anchor"' in logs[0]


def test_opencv_is_loaded_before_any_process_is_started() -> None:
    """While it is imported its folder leads sys.path: a process spawned then takes its typing for Python's."""
    code = (
        "import sys\n"
        "from vjengine.engine.live import LiveEngine\n"
        "from vjengine.engine.options import LiveOptions, PictureOptions\n"
        "from vjengine.generate.supervisor import GeneratorProcess\n"
        "def start(self):\n"
        "    print('cv2' in sys.modules, any(path.endswith('cv2') for path in sys.path), flush=True)\n"
        "    raise KeyboardInterrupt\n"
        "GeneratorProcess.start = start\n"
        "options = LiveOptions(picture=PictureOptions(size=(160, 90)), audio='none', headless=True, osc_in=None)\n"
        "try:\n"
        "    LiveEngine(options).run()\n"
        "except KeyboardInterrupt:\n"
        "    pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["True", "False"], done.stderr
