"""Macros as files: scripts, the engine and a second engine agree about one folder, whatever lies in it."""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest

from vjengine.core.clock import FrameLatch, FrameTime, LiveClock
from vjengine.core.control import ControlState
from vjengine.core.events import Event, MacroLevel, MacroSet, StatusChanged
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.macros import MacroDef, MacroState, request
from vjengine.core.reducer import control_step, initial_state
from vjengine.core.show import Show
from vjengine.core.signals import NO_AUDIO
from vjengine.inputs.engine_mark import live_engine
from vjengine.inputs.macro_files import MacroFiles
from vjengine.inputs.macro_folder import MacroFolder, parse_level

LIVENESS = 5.0
MACROS = {
    "DROP": MacroDef("DROP"),
    "CHILL": MacroDef("CHILL"),
    "AUDIO": MacroDef("AUDIO", kind="toggle", initial=1.0),
    "FREEZE": MacroDef("FREEZE", kind="toggle"),
    "ENERGY": MacroDef("ENERGY", kind="level", initial=0.5),
}


class Stage:
    """A macro folder with a MacroFiles on it and a minimal engine behind: it applies events and publishes the state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = LiveClock()
        self.events = EventQueue()
        self.states = {name: MacroState(requested=m.initial) for name, m in MACROS.items()}
        self.control = Latest(ControlState(macros=MappingProxyType(dict(self.states))))
        self.files = MacroFiles(folder, MACROS, self.control, self.clock, self.events)
        self.seen: list[Event] = []

    def pump(self) -> None:
        """Do what an engine does in one frame."""
        for event in self.events.drain():
            self.seen.append(event)
            if isinstance(event, MacroSet | MacroLevel):
                self.ask(event.macro, event.value)
        frame = FrameTime(0, self.clock.now(), 0.0)
        self.control.publish(replace(self.control.read(), time=frame, macros=MappingProxyType(dict(self.states))))

    def ask(self, macro: str, value: float) -> None:
        self.states[macro] = request(MACROS[macro], self.states[macro], value)

    def until(self, happened: Callable[[], bool]) -> bool:
        """Run the engine until ``happened`` or for too long."""
        end = time.monotonic() + LIVENESS
        while time.monotonic() < end:
            self.pump()
            if happened():
                return True
            time.sleep(0.005)
        return happened()

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.pump()
            time.sleep(0.005)

    def moves(self, macro: str) -> list[float]:
        return [e.value for e in self.seen if isinstance(e, MacroSet | MacroLevel) and e.macro == macro]

    def statuses(self) -> list[StatusChanged]:
        return [e for e in self.seen if isinstance(e, StatusChanged)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "active"
    path.mkdir()
    return path


@pytest.fixture
def stage(folder: Path) -> Iterator[Stage]:
    before = set(threading.enumerate())
    stage = Stage(folder)
    yield stage
    stage.files.stop()
    left = [t for t in threading.enumerate() if t not in before and t.is_alive()]
    deadline = time.monotonic() + LIVENESS
    while left and time.monotonic() < deadline:
        time.sleep(0.01)
        left = [t for t in left if t.is_alive()]
    assert not left, f"threads left behind: {left}"


# ---------------------------------------------------------------- from files to the engine


def test_a_file_switches_its_macro_on_and_its_removal_off(stage: Stage) -> None:
    stage.files.start()
    (stage.folder / "DROP").touch()
    assert stage.until(lambda: stage.states["DROP"].on)
    (stage.folder / "DROP").unlink()
    assert stage.until(lambda: not stage.states["DROP"].on)
    assert stage.moves("DROP") == [1.0, 0.0]
    assert {e.source for e in stage.seen if isinstance(e, MacroSet)} == {"file"}


@pytest.mark.parametrize("name", ["DROP", "drop", "DROP.txt", "Drop.TXT"])
def test_spellings_of_a_name(stage: Stage, name: str) -> None:
    stage.files.start()
    (stage.folder / name).write_text("")
    assert stage.until(lambda: stage.states["DROP"].on)
    (stage.folder / name).unlink()
    assert stage.until(lambda: not stage.states["DROP"].on)


@pytest.mark.parametrize(
    ("content", "level"), [(b"0.7", 0.7), (b" 0.25\r\n", 0.25), (b"", 1.0), ("0.7\n".encode("utf-16"), 0.7)]
)
def test_a_levels_content_is_its_value(stage: Stage, content: bytes, level: float) -> None:
    stage.files.start()
    (stage.folder / "ENERGY").write_bytes(content)
    assert stage.until(lambda: stage.states["ENERGY"].requested == pytest.approx(level))


def test_a_shell_that_empties_a_file_before_writing_causes_no_jump(stage: Stage) -> None:
    stage.files.start()
    for _ in range(20):
        with (stage.folder / "ENERGY").open("w") as file:  # empty from here …
            stage.pump()
            time.sleep(0.005)
            file.write("0.2")  # … to here
        stage.run(0.01)
    assert stage.until(lambda: stage.states["ENERGY"].requested == pytest.approx(0.2))
    assert 1.0 not in stage.moves("ENERGY")


def test_a_rename_into_the_folder_counts(stage: Stage, tmp_path: Path) -> None:
    stage.files.start()
    (tmp_path / "new").write_text("0.9")
    (tmp_path / "new").replace(stage.folder / "ENERGY")
    assert stage.until(lambda: stage.states["ENERGY"].requested == pytest.approx(0.9))
    (stage.folder / "ENERGY").replace(tmp_path / "away")
    assert stage.until(lambda: stage.states["ENERGY"].requested == 0.0)


def test_hints_come_long_before_the_poll(stage: Stage) -> None:
    stage.files.start()
    delays = []
    for _ in range(15):
        (stage.folder / "CHILL").touch()
        started = stage.clock.now()
        assert stage.until(lambda: stage.states["CHILL"].on)
        event = [e for e in stage.seen if isinstance(e, MacroSet)][-1]
        delays.append(event.time - started)
        (stage.folder / "CHILL").unlink()
        assert stage.until(lambda: not stage.states["CHILL"].on)
        stage.run(0.02)
    # The poll alone would take 100 ms on average; half of that is liveness, not a measurement.
    assert sorted(delays)[len(delays) // 2] < 0.05


def test_a_folder_deleted_and_made_again_is_followed(stage: Stage) -> None:
    stage.files.start()
    for _ in range(3):
        shutil.rmtree(stage.folder)
        stage.run(0.05)
        stage.folder.mkdir(exist_ok=True)
        (stage.folder / "DROP").touch()
        assert stage.until(lambda: stage.states["DROP"].on)
        (stage.folder / "DROP").unlink()
        assert stage.until(lambda: not stage.states["DROP"].on)


def test_a_folder_that_vanished_is_made_again(stage: Stage) -> None:
    stage.files.start()
    shutil.rmtree(stage.folder)
    assert stage.until(stage.folder.is_dir)


# ---------------------------------------------------------------- what strangers leave in the folder


def test_strange_entries_are_told_once_and_harm_nothing(stage: Stage) -> None:
    stage.files.start()
    (stage.folder / "DROPP").touch()
    (stage.folder / "README.md").touch()
    (stage.folder / ".hidden").touch()
    assert stage.until(lambda: bool(stage.statuses()))
    stage.run(0.5)
    assert [s.level for s in stage.statuses()] == ["warn"]
    assert "'DROPP' is no macro" in stage.statuses()[0].message
    (stage.folder / "DROPP").unlink()
    assert stage.until(lambda: stage.statuses()[-1].level == "ok")


def test_a_directory_of_a_macros_name_switches_nothing(stage: Stage) -> None:
    stage.files.start()
    (stage.folder / "DROP").mkdir()
    assert stage.until(lambda: any("not a plain file" in s.message for s in stage.statuses()))
    assert stage.moves("DROP") == []
    # The engine's own change still goes through, and the directory is not touched.
    stage.ask("DROP", 1.0)
    stage.run(0.5)
    stage.ask("DROP", 0.0)
    stage.run(0.3)
    assert (stage.folder / "DROP").is_dir()
    (stage.folder / "CHILL").touch()
    assert stage.until(lambda: stage.states["CHILL"].on)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_does_not_block(stage: Stage) -> None:
    os.mkfifo(stage.folder / "ENERGY.txt")
    stage.files.start()
    assert stage.until(lambda: any("not a plain file" in s.message for s in stage.statuses()))
    (stage.folder / "DROP").touch()
    assert stage.until(lambda: stage.states["DROP"].on)


def test_a_symlink_loop_is_told(stage: Stage) -> None:
    stage.files.start()
    try:
        (stage.folder / "FREEZE").symlink_to(stage.folder / "FREEZE")
    except OSError:
        pytest.skip("this system makes no symbolic links")
    assert stage.until(lambda: any("'FREEZE'" in s.message for s in stage.statuses()))
    assert stage.moves("FREEZE") == []


def test_a_gigabyte_in_a_file_is_not_read(stage: Stage) -> None:
    stage.files.start()
    with (stage.folder / "ENERGY").open("wb") as file:
        file.truncate(10**9)
    with (stage.folder / "DROP").open("wb") as file:
        file.truncate(10**9)
    before = psutil.Process().memory_info().rss
    assert stage.until(lambda: stage.states["DROP"].on)
    assert stage.until(lambda: any("no number from 0 to 1" in s.message for s in stage.statuses()))
    assert stage.states["ENERGY"].requested == 0.5
    assert psutil.Process().memory_info().rss - before < 100e6


@pytest.mark.parametrize("content", [b"loud", b"1.5", b"-0.1", b"nan", b"\x00\xff\xfe\x01", b"0.5" + b" " * 100])
def test_a_level_that_is_no_number_moves_nothing(stage: Stage, content: bytes) -> None:
    stage.files.start()
    (stage.folder / "ENERGY").write_bytes(content)
    assert stage.until(lambda: any("no number from 0 to 1" in s.message for s in stage.statuses()))
    assert stage.states["ENERGY"].requested == 0.5
    (stage.folder / "ENERGY").write_bytes(b"0.3")
    assert stage.until(lambda: stage.states["ENERGY"].requested == pytest.approx(0.3))
    assert stage.until(lambda: stage.statuses()[-1].level == "ok")


def test_a_crowded_folder_still_works(stage: Stage) -> None:
    for i in range(600):
        (stage.folder / f"junk{i:04}").touch()
    stage.files.start()
    (stage.folder / "DROP").touch()
    assert stage.until(lambda: stage.states["DROP"].on)
    (stage.folder / "DROP").unlink()
    assert stage.until(lambda: not stage.states["DROP"].on)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to become somebody else")
def test_an_unreadable_level_is_told_and_moves_nothing(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from vjengine.core.macros import MacroDef\nfrom vjengine.inputs.macro_folder import MacroFolder\n"
        "os.setuid(65534)\n"
        "r = MacroFolder(Path(sys.argv[1]), {'ENERGY': MacroDef('ENERGY', kind='level')}).read('ENERGY')\n"
        "print(r.value, r.faults)"
    )
    shared = Path("/tmp") / f"vj-{os.getpid()}-unreadable"
    shared.mkdir()
    try:
        shared.chmod(0o755)
        (shared / "ENERGY").write_text("0.5")
        (shared / "ENERGY").chmod(stat.S_IWUSR)
        done = subprocess.run([sys.executable, "-c", code, str(shared)], capture_output=True, text=True, timeout=60)
        assert done.stdout.startswith("None"), done.stderr
        assert "cannot be read" in done.stdout
    finally:
        shutil.rmtree(shared)


def test_a_path_that_is_no_folder_is_told_and_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "active"
    path.write_text("in the way")
    stage = Stage(path)
    stage.files.start()
    try:
        assert stage.until(lambda: any("cannot be used" in s.message for s in stage.statuses()))
        path.unlink()
        assert stage.until(path.is_dir)
        # What lies in the folder when it is taken up is what was left there, not a press.
        assert stage.until(lambda: stage.statuses()[-1].level == "ok")
        (path / "DROP").touch()
        assert stage.until(lambda: stage.states["DROP"].on)
        assert (path / "AUDIO").exists()
    finally:
        stage.files.stop()


# ---------------------------------------------------------------- from the engine to files


def test_a_change_in_the_engine_becomes_a_file_and_no_event(stage: Stage) -> None:
    stage.files.start()
    stage.ask("DROP", 1.0)
    assert stage.until((stage.folder / "DROP").exists)
    stage.ask("ENERGY", 0.123456)
    assert stage.until(lambda: (stage.folder / "ENERGY").read_text() == "0.1235\n")
    stage.run(0.5)
    stage.ask("DROP", 0.0)
    assert stage.until(lambda: not (stage.folder / "DROP").exists())
    stage.ask("AUDIO", 0.0)
    assert stage.until(lambda: not (stage.folder / "AUDIO").exists())
    stage.run(0.5)
    assert [e for e in stage.seen if isinstance(e, MacroSet | MacroLevel)] == []


def test_off_removes_every_spelling(stage: Stage) -> None:
    stage.files.start()
    (stage.folder / "drop.txt").touch()
    assert stage.until(lambda: stage.states["DROP"].on)
    stage.run(0.2)
    stage.ask("DROP", 0.0)
    assert stage.until(lambda: not (stage.folder / "drop.txt").exists())


def test_a_fader_ends_where_it_stopped(stage: Stage) -> None:
    stage.files.start()
    for i in range(200):
        stage.ask("ENERGY", (i + 1) / 250)
        stage.pump()
        time.sleep(0.001)
    assert stage.until(lambda: (stage.folder / "ENERGY").read_text() == "0.8\n")
    assert stage.moves("ENERGY") == []
    assert not [p.name for p in stage.folder.iterdir() if "partial" in p.name]


def test_a_quick_tap_by_file_is_not_undone_by_the_mirror(stage: Stage) -> None:
    stage.files.start()
    for _ in range(10):
        (stage.folder / "DROP").touch()
        assert stage.until(lambda: stage.states["DROP"].on)
        (stage.folder / "DROP").unlink()  # while the mirror may still see the macro on
        assert stage.until(lambda: not stage.states["DROP"].on)
    stage.run(0.4)
    assert not (stage.folder / "DROP").exists()
    assert stage.moves("DROP") == [1.0, 0.0] * 10


def test_last_word_wins(stage: Stage) -> None:
    stage.files.start()
    (stage.folder / "FREEZE").touch()
    assert stage.until(lambda: stage.states["FREEZE"].on)
    stage.ask("FREEZE", 0.0)  # by MIDI, right after
    assert stage.until(lambda: not (stage.folder / "FREEZE").exists())
    assert not stage.states["FREEZE"].on


def test_a_macro_reset_in_the_frame_it_came_on_loses_its_file(stage: Stage) -> None:
    stage.files.start()
    (stage.folder / "DROP").touch()
    assert stage.until(lambda: stage.states["DROP"].on)
    # What panic does: off again, and only the count of starts tells that it was on.
    stage.states["DROP"] = replace(MacroState(), starts=stage.states["DROP"].starts)
    assert stage.until(lambda: not (stage.folder / "DROP").exists())


def test_panic_from_a_file_brings_folder_and_show_home(folder: Path) -> None:
    macros = {**MACROS, "PANIC": MacroDef("PANIC", triggers=("panic",))}
    show = Show(macros, {})
    clock, events, latch = LiveClock(), EventQueue(), FrameLatch()
    control = Latest(initial_state(show))
    files = MacroFiles(folder, macros, control, clock, events)

    def until(happened: Callable[[ControlState], bool]) -> bool:
        end = time.monotonic() + LIVENESS
        while time.monotonic() < end:
            control.publish(control_step(control.read(), events.drain(), NO_AUDIO, latch.latch(clock.now()), show))
            if happened(control.read()):
                return True
            time.sleep(0.005)
        return False

    files.start()
    try:
        for _ in range(2):
            (folder / "DROP").touch()
            (folder / "FREEZE").touch()
            (folder / "AUDIO").unlink()
            (folder / "ENERGY").write_text("0.9")
            assert until(lambda s: s.macros["DROP"].on and s.macros["FREEZE"].on and not s.macros["AUDIO"].on)
            assert until(lambda s: s.macros["ENERGY"].requested == pytest.approx(0.9))
            (folder / "PANIC").touch()
            assert until(lambda s: not s.macros["DROP"].on and s.macros["AUDIO"].on)
            assert until(lambda _: {p.name for p in folder.glob("[A-Z]*")} == {"AUDIO", "ENERGY"})
            assert until(lambda _: (folder / "ENERGY").read_text() == "0.5\n")
    finally:
        files.stop()


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_folder_and_engine_agree_in_the_end(stage: Stage, seed: int) -> None:
    dice = random.Random(seed)
    stage.files.start()
    for _ in range(60):
        name = dice.choice(list(MACROS))
        value = dice.choice((0.0, 0.0, 1.0, round(dice.random(), 3)))
        if MACROS[name].kind != "level":
            value = float(value > 0.0)
        path = stage.folder / dice.choice((name, name, name.lower() + ".txt"))
        match dice.randrange(4):
            case 0 | 1:
                stage.ask(name, value)
            case 2:
                path.write_text(str(value) if MACROS[name].kind == "level" else "")
            case 3:
                path.unlink(missing_ok=True)
        stage.run(dice.choice((0.0, 0.003, 0.02, 0.06)))

    def agree() -> bool:
        disk = MacroFolder(stage.folder, MACROS)
        return all(
            disk.read(name).value == pytest.approx(state.requested, abs=1e-4) for name, state in stage.states.items()
        )

    stage.run(0.5)
    assert stage.until(agree)
    heard = len([e for e in stage.seen if isinstance(e, MacroSet | MacroLevel)])
    stage.run(0.5)
    assert agree()
    assert len([e for e in stage.seen if isinstance(e, MacroSet | MacroLevel)]) == heard, "an echo goes on"


# ---------------------------------------------------------------- start, stop, second engine


def test_start_clears_stale_buttons_and_keeps_toggles_and_levels(stage: Stage) -> None:
    (stage.folder / "DROP").touch()
    (stage.folder / "chill.txt").touch()
    (stage.folder / "FREEZE").touch()
    (stage.folder / "ENERGY").write_text("0.8")
    stage.files.start()
    stage.run(0.3)
    assert not (stage.folder / "DROP").exists()
    assert not (stage.folder / "chill.txt").exists()
    assert stage.moves("DROP") == []
    assert stage.states["FREEZE"].on
    assert stage.states["ENERGY"].requested == pytest.approx(0.8)
    assert (stage.folder / "AUDIO").exists()
    assert stage.moves("AUDIO") == []


def test_stop_takes_its_own_buttons_with_it(stage: Stage) -> None:
    stage.files.start()
    stage.ask("DROP", 1.0)
    stage.ask("FREEZE", 1.0)
    (stage.folder / "CHILL").touch()
    assert stage.until((stage.folder / "DROP").exists)
    assert stage.until((stage.folder / "FREEZE").exists)
    stage.files.stop()
    assert not (stage.folder / "DROP").exists()
    assert (stage.folder / "CHILL").exists()
    assert (stage.folder / "FREEZE").exists()
    assert not (stage.folder / ".engine").exists()


def test_a_second_engine_clears_nothing_and_agrees(stage: Stage) -> None:
    stage.files.start()
    stage.ask("DROP", 1.0)
    stage.ask("AUDIO", 0.0)
    assert stage.until((stage.folder / "DROP").exists)
    assert stage.until(lambda: not (stage.folder / "AUDIO").exists())
    second = Stage(stage.folder)
    second.files.start()
    try:
        assert second.until(lambda: second.states["DROP"].on and not second.states["AUDIO"].on)
        assert any("another engine" in s.message for s in second.statuses())
        second.ask("DROP", 0.0)
        assert second.until(lambda: not (stage.folder / "DROP").exists())
        assert stage.until(lambda: not stage.states["DROP"].on)
        stage.files.stop()
        # The folder is free now; the second engine takes it over and has nothing to warn of.
        assert second.until(lambda: second.statuses()[-1].level == "ok")
        assert live_engine(stage.folder) == os.getpid()
    finally:
        second.files.stop()


@pytest.mark.parametrize("mark", ["", "junk", "1 2", "{ours} 1.0 x", "99999999 5.0 x", "9" * 500 + " 1.0 x"])
def test_a_dead_engines_mark_does_not_count(stage: Stage, mark: str) -> None:
    (stage.folder / ".engine").write_text(mark.format(ours=os.getpid()))
    (stage.folder / "DROP").touch()
    stage.files.start()
    stage.run(0.1)
    assert not (stage.folder / "DROP").exists()
    assert stage.statuses() == []
    assert live_engine(stage.folder) == os.getpid()


def test_starting_and_stopping_again_leaks_nothing(stage: Stage) -> None:
    handles = psutil.Process().num_fds() if hasattr(psutil.Process, "num_fds") else 0
    for _ in range(5):
        stage.files.start()
        stage.pump()
        stage.files.stop()
    after = psutil.Process().num_fds() if hasattr(psutil.Process, "num_fds") else 0
    assert after <= handles + 1


def test_levels_parse_strictly() -> None:
    assert parse_level(b"1") == 1.0
    assert parse_level(b"\xef\xbb\xbf0.5") == 0.5
    assert parse_level(b"0,5") is None
    assert parse_level(b"inf") is None
    assert parse_level(b"\xff\xfe0") is None
