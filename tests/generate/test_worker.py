"""The supervised worker with real processes: whatever is done to it, frames come again by themselves."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from vjengine.core.clock import LiveClock
from vjengine.core.exchange import EventQueue
from vjengine.core.frame import Frame
from vjengine.core.generation import GeneratorParams
from vjengine.errors import GeneratorError, UsageError
from vjengine.generate.base import GeneratorSpec
from vjengine.generate.birth import WorkerProcess
from vjengine.generate.registry import create_generator
from vjengine.generate.supervisor import GeneratorProcess

MakeRig = Callable[..., "Rig"]  # noqa: F821 - the class lives in conftest.py

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def wait_until(condition: Callable[[], bool], limit: float = 20.0) -> bool:
    clock, pause = LiveClock(), threading.Event()
    while not condition():
        if clock.now() > limit:
            return False
        pause.wait(0.02)
    return True


class TestRunning:
    def test_frames_come_and_are_what_the_generator_draws(self, make_rig: MakeRig) -> None:
        rig = make_rig((160, 90))
        frame = rig.run_until_frame()
        for _ in range(5):
            frame = rig.run_until_frame(after=frame)
            sent = GeneratorParams(sequence=frame.params_sequence, travel=frame.params_sequence / 10)
            expected = create_generator(GeneratorSpec("still", (160, 90))).generate(sent)
            assert np.array_equal(frame.pixels, expected)
            assert frame.size == (160, 90)
            assert frame.generator == "still"
            assert 0 < frame.made_for <= frame.ready <= rig.clock.now()
        assert rig.process.state == "running"
        assert rig.levels()[-1] == "ok"
        assert rig.process.fps > 0

    def test_the_same_object_until_a_newer_frame(self, make_rig: MakeRig) -> None:
        rig = make_rig()
        rig.run_until_frame()
        pause = threading.Event()
        pause.wait(0.3)  # nothing is submitted, so nothing is drawn
        assert rig.process.latest() is rig.process.latest()

    def test_nothing_is_drawn_before_the_first_params(self, make_rig: MakeRig) -> None:
        rig = make_rig()
        assert not wait_until(lambda: rig.process.latest() is not None, limit=1.0)
        assert rig.process.restarts == 0
        rig.run_until_frame()

    def test_a_slow_generator_sees_the_latest_params_and_is_left_alone(self, make_rig: MakeRig) -> None:
        rig = make_rig(options={"delay": 0.4}, stall_timeout=0.3, ready_timeout=20.0)
        first = rig.run_until_frame()
        second = rig.run_until_frame(after=first)
        third = rig.run_until_frame(after=second)
        # Some 40 parameter sets were submitted in between: a backlog would have given the next one.
        assert third.params_sequence - second.params_sequence > 5
        assert third.sequence == second.sequence + 1
        assert rig.process.restarts == 0

    def test_the_cap_holds(self, make_rig: MakeRig) -> None:
        rig = make_rig(fps_cap=10.0)
        first = rig.run_until_frame()
        start = rig.clock.now()
        rig.run_until(lambda: rig.clock.now() - start > 2.0)
        last = rig.process.latest()
        assert last is not None
        assert (last.sequence - first.sequence) / (last.ready - first.ready) < 11.0

    def test_oversized_params_are_said_once_and_survived(self, make_rig: MakeRig) -> None:
        rig = make_rig()
        frame = rig.run_until_frame()
        for _ in range(3):
            rig.process.submit(GeneratorParams(sequence=10_000, prompts=(("x" * 100_000, 1.0),)))
        rig.run_until_frame(after=frame)
        assert rig.texts().count("bytes; at most") == 1


class TestFaults:
    @needs_signals
    def test_killed(self, make_rig: MakeRig) -> None:
        rig = make_rig()
        frame = rig.run_until_frame()
        pid = rig.signal(signal.SIGKILL)
        newer = rig.run_until_frame(after=rig.process.latest())
        assert newer.sequence > frame.sequence
        assert rig.process.pid != pid
        assert rig.process.restarts == 1
        assert "killed by SIGKILL" in rig.texts()
        rig.run_until(lambda: rig.levels()[-1] == "ok")

    @needs_signals
    def test_killed_again_and_again(self, make_rig: MakeRig) -> None:
        rig = make_rig()
        sequences = [rig.run_until_frame().sequence]
        for _ in range(3):
            rig.signal(signal.SIGKILL)
            sequences.append(rig.run_until_frame(after=rig.process.latest()).sequence)
        assert sequences == sorted(set(sequences))
        assert rig.process.restarts == 3

    @needs_signals
    def test_stopped(self, make_rig: MakeRig) -> None:
        rig = make_rig(stall_timeout=1.0)
        rig.run_until_frame()
        pid = rig.signal(signal.SIGSTOP)
        rig.run_until(lambda: rig.process.restarts == 1)
        rig.run_until_frame(after=rig.process.latest())
        assert "no sign of life" in rig.texts()
        assert gone(pid)

    @needs_signals
    def test_stopped_for_a_moment_only(self, make_rig: MakeRig) -> None:
        rig = make_rig(stall_timeout=8.0)
        rig.run_until_frame()
        pid = rig.signal(signal.SIGSTOP)
        rig.run_until(lambda: rig.process.state == "stalled")
        rig.signal(signal.SIGCONT)
        rig.run_until(lambda: rig.process.state == "running")
        assert rig.process.pid == pid
        assert rig.process.restarts == 0

    def test_raising(self, make_rig: MakeRig) -> None:
        rig = make_rig(options={"fail_after": 3.0})
        rig.run_until(lambda: rig.process.restarts >= 2)
        frame = rig.run_until_frame(after=rig.process.latest())
        assert frame.sequence >= 7
        assert "asked to fail after 3 frames" in rig.process.error
        assert "asked to fail" in rig.texts()

    def test_hanging(self, make_rig: MakeRig) -> None:
        rig = make_rig(options={"hang_after": 3.0}, stall_timeout=0.7)
        rig.run_until(lambda: rig.process.restarts >= 1)
        rig.run_until_frame(after=rig.process.latest())
        assert "inside a frame" in rig.texts()

    def test_hanging_in_the_first_frame(self, make_rig: MakeRig) -> None:
        rig = make_rig(options={"delay": 1000.0}, stall_timeout=0.2, ready_timeout=2.0)
        rig.run_until(lambda: rig.process.restarts >= 1)
        assert "no sign of life" in rig.texts()

    def test_failing_for_good_ends_with_an_error(self, make_rig: MakeRig) -> None:
        rig = make_rig(options={"dela": 1.0})
        rig.run_until(lambda: rig.process.state == "stopped")
        rig.run_until(lambda: "error" in rig.levels())
        assert "no option 'dela'" in rig.texts()
        assert rig.process.restarts == 0
        assert rig.process.latest() is None

    def test_a_last_frame_outlives_its_worker(self, make_rig: MakeRig) -> None:
        rig = make_rig(options={"fail_after": 2.0})
        rig.run_until(lambda: rig.process.restarts >= 1)
        frame = rig.process.latest()
        assert isinstance(frame, Frame)
        rig.process.stop()
        assert rig.process.latest() is not None
        assert frame.pixels.sum() > 0


class TestEnding:
    def test_nothing_is_left(self, make_rig: MakeRig, our_segments: Callable[[], set[str]]) -> None:
        segments, threads = our_segments(), threading.active_count()
        count_files = psutil.Process().num_handles if sys.platform == "win32" else psutil.Process().num_fds
        files = count_files()
        for _ in range(2):
            rig = make_rig()
            rig.run_until_frame()
            pid = rig.process.pid
            rig.process.stop()
            assert rig.process.state == "stopped"
            assert rig.process.pid is None
            assert pid is not None
            assert gone(pid)
        assert our_segments() == segments
        assert threading.active_count() == threads
        assert count_files() <= files + 2  # the resource tracker's own pipe, once a process

    @needs_signals
    def test_a_stopped_worker_does_not_hold_up_the_end(self, make_rig: MakeRig) -> None:
        rig = make_rig()
        rig.run_until_frame()
        pid = rig.signal(signal.SIGSTOP)
        rig.process.stop(timeout=10.0)
        assert rig.process.state == "stopped"
        assert gone(pid)

    def test_stop_before_start_twice_and_during_start(self, make_rig: MakeRig) -> None:
        never = make_rig(start=False)
        never.process.stop()
        never.process.stop()
        at_once = make_rig()
        at_once.process.stop(timeout=10.0)
        assert at_once.process.state == "stopped"

    def test_a_second_start_is_refused(self, make_rig: MakeRig) -> None:
        rig = make_rig()
        with pytest.raises(GeneratorError, match="started before"):
            rig.process.start()

    def test_submit_after_the_end_does_nothing(self, make_rig: MakeRig) -> None:
        rig = make_rig()
        rig.process.stop()
        rig.process.submit(GeneratorParams(sequence=1))
        assert rig.process.latest() is None

    @needs_signals
    def test_ctrl_c_leaves_the_worker_alone(self, make_rig: MakeRig) -> None:
        rig = make_rig()
        frame = rig.run_until_frame()
        pid = rig.signal(signal.SIGINT)
        for _ in range(3):
            frame = rig.run_until_frame(after=frame)
        assert rig.process.pid == pid
        assert rig.process.restarts == 0

    @needs_signals
    @pytest.mark.parametrize("how", ["idle", "hanging", "stopped"])
    def test_the_worker_follows_a_killed_engine(self, how: str) -> None:
        if how == "stopped" and sys.platform != "linux":
            pytest.skip("only Linux ends a stopped child with its parent")
        options = {"hang_after": 1.0} if how == "hanging" else {}
        engine = subprocess.Popen(
            [sys.executable, "-c", ENGINE, repr(options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert engine.stdout is not None
        worker, segment = engine.stdout.readline().split()
        assert psutil.pid_exists(int(worker))
        if how == "stopped":
            psutil.Process(int(worker)).suspend()
        engine.kill()
        engine.wait()
        assert wait_until(lambda: gone(int(worker)))
        if Path("/dev/shm").is_dir():
            assert wait_until(lambda: not Path("/dev/shm", segment).exists())
        engine.stdout.close()

    def test_a_clean_program_prints_no_warnings(self) -> None:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", ENGINE.replace("pause.wait()", "process.stop()"), "{}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0
        assert done.stderr == ""


class TestBadUse:
    def test_unknown_generator(self) -> None:
        with pytest.raises(UsageError, match="'nope'"):
            GeneratorProcess(GeneratorSpec("nope", (8, 8)), LiveClock(), EventQueue())

    @pytest.mark.parametrize("setting", ["fps_cap", "stall_timeout", "ready_timeout"])
    def test_settings_must_be_above_zero(self, setting: str) -> None:
        with pytest.raises(GeneratorError, match="above 0"):
            GeneratorProcess(GeneratorSpec("still", (8, 8)), LiveClock(), EventQueue(), **{setting: 0.0})


ENGINE = """
import ast, sys, threading
from vjengine.core.clock import LiveClock
from vjengine.core.exchange import EventQueue
from vjengine.core.generation import GeneratorParams
from vjengine.generate.base import GeneratorSpec
from vjengine.generate.supervisor import GeneratorProcess

if __name__ == "__main__":
    pause, clock = threading.Event(), LiveClock()
    process = GeneratorProcess(
        GeneratorSpec("still", (64, 36), options=ast.literal_eval(sys.argv[1])), clock, EventQueue(), stall_timeout=60
    )
    process.start()
    n = 0
    while process.latest() is None or n < 100:
        n += 1
        process.submit(GeneratorParams(sequence=n, time=clock.now()))
        pause.wait(0.01)
    print(process.pid, process._life.link.segment.name, flush=True)
    pause.wait()
"""


def test_effort_tells_a_stopped_worker_from_one_that_wants_to_run() -> None:
    """The two look alike from outside: no heartbeat. Only one of them is worth waiting for."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        life = WorkerProcess.__new__(WorkerProcess)
        life._process = busy  # type: ignore[assignment]  # has a pid, which is all that is asked of it
        deadline = time.monotonic() + 10
        while not ((first := life.effort()) and first[0] and first[1] > 0) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert first is not None
        assert first[0]
        busy.send_signal(signal.SIGSTOP)
        time.sleep(0.3)
        second = life.effort()
        assert second is not None
        assert not second[0]
    finally:
        busy.kill()
        busy.wait()
    assert life.effort() is None
