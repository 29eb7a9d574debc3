"""When a work will be done, and how it is left."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from vjengine.offline.progress import Interrupt, Meter, Progress, span


class TestTheEstimate:
    def test_counts_only_what_was_made_now(self) -> None:
        assert Progress(950, 1000, 10.0, reused=900).remaining == pytest.approx(10.0)
        assert Progress(900, 1000, 10.0, reused=900).remaining is None, "nothing was made yet: nobody knows"
        assert Progress(1000, 1000, 10.0, reused=1000).remaining == 0.0
        assert Progress(0, 0, 0.0).fraction == 1.0

    def test_a_meter_goes_by_lately(self) -> None:
        now = 0.0
        meter = Meter(1000, reused=400, window=60.0, now=lambda: now)
        assert meter.at(400).remaining is None
        for second in range(1, 101):  # 4 pictures a second …
            now = float(second)
            quick = meter.at(400 + 4 * second)
        assert quick.remaining == pytest.approx(50.0)
        for second in range(1, 121):  # … and then another program takes the machine
            now = 100.0 + second
            slow = meter.at(800 + second // 2)
        assert slow.remaining == pytest.approx(280.0, rel=0.05)
        assert slow.elapsed == 220.0
        assert (slow.done, slow.fraction) == (860, 0.86)

    def test_words(self) -> None:
        assert [span(s) for s in (3.2, 75, 600, 5400, 11_100)] == ["3 s", "75 s", "10 min", "90 min", "3 h 05 min"]
        assert str(Progress(30, 120, 10.0, "chunk 3", rate=3.0)) == "chunk 3: 30 of 120 (25%), 30 s left"
        assert str(Progress(0, 120, 0.0)) == "0 of 120 (0%)"


class TestLeaving:
    def test_the_first_ctrl_c_asks_and_says_how_to_go_on(self) -> None:
        said: list[str] = []
        shown: list[tuple[str, float]] = []
        before = signal.getsignal(signal.SIGINT)
        with Interrupt("vjengine longcat --seconds 60", said.append, lambda w, f: shown.append((w, f))) as leave:
            leave.alive("chunk 1", 0.5)
            signal.raise_signal(signal.SIGINT)
            assert leave.asked
            with pytest.raises(KeyboardInterrupt):
                leave.alive("chunk 1", 0.6)
        assert shown == [("chunk 1", 0.5)]
        assert len(said) == 1
        assert said[0].endswith("To go on: vjengine longcat --seconds 60")
        assert signal.getsignal(signal.SIGINT) is before

    def test_the_second_one_leaves(self) -> None:
        with Interrupt("x", lambda words: None):
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)

    def test_whoever_does_not_ask_is_stopped_all_the_same(self) -> None:
        def stuck() -> None:
            signal.raise_signal(signal.SIGINT)
            threading.Event().wait(60.0)
            pytest.fail("nobody stopped it")

        with Interrupt("x", lambda words: None), pytest.raises(KeyboardInterrupt):
            stuck()

    def test_a_write_comes_to_its_end(self) -> None:
        written: list[str] = []

        def write(leave: Interrupt) -> None:
            with leave.finishing():
                signal.raise_signal(signal.SIGINT)
                threading.Event().wait(1.0)  # longer than the patience
                written.append("all of it")
            written.append("the next one")

        with Interrupt("x", lambda words: None) as leave, pytest.raises(KeyboardInterrupt):
            write(leave)
        assert written == ["all of it"]

    def test_waiting_ends_at_once(self) -> None:
        with Interrupt("x", lambda words: None) as leave:
            leave.wait(0.001)
            leave.ask()
            with pytest.raises(KeyboardInterrupt):
                leave.wait(30.0)

    def test_elsewhere_than_on_the_main_thread_it_takes_no_signals(self) -> None:
        seen: list[object] = []

        def other() -> None:
            with Interrupt("x", lambda words: None) as leave:
                seen.append(leave.asked)

        before = signal.getsignal(signal.SIGINT)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(20.0)
        assert seen == [False]
        assert signal.getsignal(signal.SIGINT) is before

    @pytest.mark.skipif(sys.platform == "win32", reason="no polite kill there")
    def test_a_polite_kill_is_a_ctrl_c(self) -> None:
        child = """
            import sys
            from vjengine.offline.progress import Interrupt
            with Interrupt("again", lambda words: print(words, flush=True)) as leave:
                print("ready", flush=True)
                try:
                    leave.wait(60.0)
                except KeyboardInterrupt:
                    sys.exit(130)
        """
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(child)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            process.terminate()
            rest, _ = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait(30)
        assert process.returncode == 130
        assert "To go on: again" in rest
