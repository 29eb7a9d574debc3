"""What the supervisor does with a worker's words, and what plays when the generator cannot: real processes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

import psutil
import pytest

from vjengine.core.clock import LiveClock
from vjengine.core.exchange import EventQueue
from vjengine.errors import UsageError
from vjengine.generate import supervisor
from vjengine.generate.base import GeneratorSpec
from vjengine.generate.supervisor import GeneratorProcess

MakeRig = Callable[..., "Rig"]  # noqa: F821 - the class lives in conftest.py

SIZE = (96, 54)
STILL = GeneratorSpec("still", SIZE)

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


class TestLoading:
    def test_a_long_load_that_reports_is_waited_for(self, make_rig: MakeRig) -> None:
        rig = make_rig(options={"load": 4.0}, ready_timeout=2.5)
        rig.run_until_frame()
        rig.run_until(lambda: not rig.hud())
        assert rig.process.restarts == 0
        steps = [event.message for event in rig.said if event.component == "loading"]
        assert len(steps) > 10
        assert any(step.startswith("rehearsing a slow load 5") for step in steps)
        assert all(event.source == "generator" for event in rig.said)

    @needs_signals
    def test_a_load_without_a_sign_of_life_is_a_hang_and_its_words_go(self, make_rig: MakeRig) -> None:
        rig = make_rig(options={"load": 60.0}, ready_timeout=2.0)
        rig.run_until(lambda: "loading" in rig.hud())
        rig.signal(signal.SIGSTOP)
        rig.run_until(lambda: rig.process.restarts == 1)
        assert "while loading" in rig.texts()
        assert rig.levels("loading")[-1] == "ok"
        assert rig.hud()["generator"].startswith("warn: restarting: no sign of life")


class TestFallback:
    @needs_signals
    def test_killed_three_times(self, make_rig: MakeRig) -> None:
        rig = make_rig(fallback=GeneratorSpec("still", SIZE, seed=7))
        frame = rig.run_until_frame()
        for _ in range(3):
            rig.signal(signal.SIGKILL)
            frame = rig.run_until_frame(after=rig.process.latest())
        apology = "still failed three times (killed by SIGKILL): still plays instead"
        rig.run_until(lambda: rig.hud() == {"generator": f"error: {apology}"})
        assert rig.process.state == "running"
        assert rig.process.restarts == 3
        # Whatever happens to the fallback, it is the fallback that comes back, and the reason stays in sight.
        rig.signal(signal.SIGKILL)
        rig.run_until(lambda: rig.process.restarts == 4)
        assert rig.run_until_frame(after=rig.process.latest()).sequence > frame.sequence
        rig.run_until(lambda: rig.hud() == {"generator": f"error: {apology}"})

    def test_failing_three_times(self, make_rig: MakeRig) -> None:
        rig = make_rig(options={"fail_after": 1.0}, fallback=STILL)
        rig.run_until(lambda: rig.process.restarts == 3)
        frame = rig.run_until_frame(after=rig.process.latest())
        for _ in range(3):
            frame = rig.run_until_frame(after=frame)
        assert "asked to fail after 1 frames): still plays instead" in rig.hud()["generator"]

    def test_a_failure_for_good_at_once(self, make_rig: MakeRig) -> None:
        rig = make_rig(name="procedural", options={"family": "no such family"}, fallback=STILL)
        frame = rig.run_until_frame()
        assert frame.generator == "still"
        assert rig.process.running == "still"
        assert rig.process.spec.name == "procedural"
        assert rig.process.restarts == 1
        rig.run_until(lambda: "generator" in rig.hud())
        assert rig.hud()["generator"].startswith("error: procedural cannot run (")
        assert rig.hud()["generator"].endswith("): still plays instead")

    def test_an_unknown_fallback_is_refused_before_the_show(self) -> None:
        with pytest.raises(UsageError, match="'nope'"):
            GeneratorProcess(STILL, LiveClock(), EventQueue(), fallback=GeneratorSpec("nope", SIZE))


@needs_signals
class TestSpare:
    def test_it_takes_over_and_there_is_another(self, make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(supervisor, "SPARE_AFTER", 0.2)
        rig = make_rig(spare=True)
        rig.run_until_frame()
        rig.run_until(lambda: rig.process.spare_pid is not None)
        spare = rig.process.spare_pid
        rig.signal(signal.SIGKILL)
        rig.run_until_frame(after=rig.process.latest())
        assert rig.process.pid == spare
        rig.run_until(lambda: rig.process.spare_pid not in (None, spare))
        # A spare that died while it waited is no trouble.
        other = rig.process.spare_pid
        assert other is not None
        os.kill(other, signal.SIGKILL)
        rig.signal(signal.SIGKILL)
        rig.run_until_frame(after=rig.process.latest())
        assert rig.process.pid not in (None, spare, other)
        rig.run_until(lambda: rig.process.spare_pid is not None)
        last = rig.process.spare_pid
        rig.process.stop()
        assert last is not None
        assert rig.process.spare_pid is None
        assert not psutil.pid_exists(last) or psutil.Process(last).status() == psutil.STATUS_ZOMBIE
