"""Learning without a device: which control was meant, of what kind it is, and the file in which it is kept."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from vjengine.core.events import LearnMidi
from vjengine.core.macros import MacroDef
from vjengine.errors import UsageError
from vjengine.inputs.midi_learn import HEADER, Learner, learnt_file
from vjengine.inputs.midi_map import Control, Kind, Layer, MacroTarget, MidiMap, Row
from vjengine.inputs.midi_map_file import read_map
from vjengine.inputs.midi_profile import Part, Profile
from vjengine.inputs.midi_rig import MidiRig

MACROS = {"DROP": MacroDef("DROP", note=36), "ENERGY": MacroDef("ENERGY", kind="level")}
JOG = Profile(
    "jog",
    "jog",
    ports=("jog",),
    parts={
        "wheel": Part("wheel", Control("control", 0, 33), encoder="offset"),
        "fader": Part("fader", Control("control", 0, 19), fine=51),
    },
    layer=Layer(banks={1: {}, 2: {}}),
)


class Desk:
    """A learner, what it said, and a clock that runs with what is heard."""

    def __init__(self, path: Path) -> None:
        self.rig = MidiRig(MidiMap.from_macros(MACROS), profiles={"jog": JOG}, macros=MACROS, learnt_path=path)
        self.said: list[tuple[str, str]] = []
        self.bank = 1
        self.path = path
        self.now = 0.0
        self.learner = Learner(
            self.rig,
            lambda level, message: self.said.append((level, message)),
            lambda port: (self.rig.for_port(port, self.learner.learnt), self.bank),
        )
        self.learner.tick(self.now)

    def hear(self, *messages: tuple[int, ...], port: str = "pads:out") -> None:
        for message in messages:
            self.now += 0.01
            self.learner.hear(port, message, self.now)
            self.learner.tick(self.now)

    def rest(self, seconds: float = 1.1) -> None:
        self.now += seconds
        self.learner.tick(self.now)
        self.learner.tick(self.now + 0.001)

    def row(self, kind: Kind, channel: int, number: int, port: str = "pads:out", bank: int = 1) -> Row | None:
        return self.rig.for_port(port, self.learner.learnt).mapping.view(bank).find(Control(kind, channel, number))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "vjengine" / "learnt.yaml")


def test_a_pad_is_mapped_at_once_and_a_conflict_is_told(desk: Desk) -> None:
    desk.learner.arm("ENERGY")
    desk.hear((0x99, 36, 100), (0x89, 36, 0))
    desk.rest()
    row = desk.row("note", 10, 36)
    assert row is not None
    assert row.target == MacroTarget("ENERGY", "level")
    assert desk.learner.armed == ""
    assert any("it was DROP; undo" in message for _, message in desk.said)
    assert desk.row("note", 9, 36) is not None, "another channel keeps its own"


def test_a_trembling_fader_is_not_taken_for_the_one_that_is_moved(desk: Desk) -> None:
    desk.learner.arm("feedback.mix")
    for value, tremble in zip(range(40, 80, 2), itertools.cycle((63, 64)), strict=False):
        desk.hear((0xB0, 5, tremble), (0xB0, 9, value))
    desk.rest()
    assert desk.row("control", 1, 9) is not None
    assert desk.row("control", 1, 5) is None


def test_a_trembling_fader_alone_ends_nothing(desk: Desk) -> None:
    desk.learner.arm("feedback.mix")
    for tremble in (63, 64, 63, 64, 64, 63):
        desk.hear((0xB0, 5, tremble))
    desk.rest()
    assert desk.learner.armed == "feedback.mix"


@pytest.mark.parametrize(
    ("values", "encoder"),
    [
        ((1, 1, 1, 2, 127, 127), "twos"),
        ((127, 127, 127), "twos"),
        ((65, 65, 66, 63), "offset"),
        ((65, 65, 65), "offset"),
        ((1, 1, 65, 65), "sign"),
        ((10, 20, 30, 40), None),
        ((0, 127), None),
    ],
)
def test_encoders_are_known_by_what_they_send(desk: Desk, values: tuple[int, ...], encoder: str | None) -> None:
    desk.learner.arm("feedback.mix")
    desk.hear(*((0xB0, 70, value) for value in values))
    desk.rest()
    row = desk.row("control", 1, 70)
    assert row is not None
    assert row.encoder == encoder


def test_a_pair_of_controllers_becomes_one_fine_fader(desk: Desk) -> None:
    desk.learner.arm("feedback.mix")
    for value in range(2000, 6000, 300):
        desk.hear((0xB0, 7, value >> 7), (0xB0, 39, value & 127))
    desk.rest()
    row = desk.row("control", 1, 7)
    assert row is not None
    assert row.fine == 39
    assert desk.row("control", 1, 39) is None


def test_a_profile_knows_better_and_rows_go_into_the_bank_in_force(desk: Desk) -> None:
    desk.bank = 2
    desk.learner.arm("feedback.mix")
    desk.hear(*((0xB0, 33, 65),) * 3, port="jog:out")
    desk.rest()
    row = desk.row("control", 1, 33, port="jog:out", bank=2)
    assert row is not None
    assert row.encoder == "offset"
    assert desk.row("control", 1, 33, port="jog:out", bank=1) is None
    assert any("is now wheel of jog" in message for _, message in desk.said)


def test_pitch_bend_program_changes_and_other_targets(desk: Desk) -> None:
    desk.learner.arm("grade.exposure")
    desk.hear((0xE0, 0, 64), (0xE0, 0, 90), (0xE0, 0, 127))
    desk.rest()
    assert desk.row("bend", 1, 0) is not None
    for target in ("tempo:tap", "look:next", "trigger:clear", "bank:2"):
        desk.learner.arm(target)
        desk.hear((0xC3, 5))
        desk.rest()
        row = desk.row("program", 4, 5)
        assert row is not None
        assert str(row.target).split()[-1] == target.split(":")[-1]


def test_what_a_program_change_cannot_play_is_told_and_not_kept(desk: Desk) -> None:
    desk.learner.arm("DROP")
    desk.hear((0xC0, 5))
    desk.rest()
    assert any(level == "error" and "not held" in message for level, message in desk.said)
    assert not desk.path.exists()
    assert desk.learner.armed == ""


def test_only_the_named_controller_is_listened_to(desk: Desk) -> None:
    desk.learner.arm("DROP", "keys")
    desk.hear((0x90, 1, 100))
    assert desk.learner.armed == "DROP"
    desk.hear((0x90, 1, 100), port="My Keys:out")
    assert desk.learner.armed == ""


def test_undo_goes_back_step_by_step_to_no_file_at_all(desk: Desk) -> None:
    for note in (1, 2):
        desk.learner.arm("DROP")
        desk.hear((0x90, note, 100))
        desk.rest()
    desk.learner.undo()
    desk.rest()
    assert desk.row("note", 1, 1) is not None
    assert desk.row("note", 1, 2) is None
    desk.learner.undo()
    desk.rest()
    assert not desk.path.exists()
    assert desk.row("note", 1, 1) is None
    with pytest.raises(UsageError, match="nothing learnt"):
        desk.learner.undo()


def test_the_file_can_be_edited_by_hand_and_a_slip_changes_nothing(desk: Desk) -> None:
    desk.learner.arm("DROP")
    desk.hear((0x90, 1, 100))
    desk.rest()
    text = desk.path.read_text(encoding="utf-8")
    assert text.startswith(HEADER)
    desk.path.write_text(text.replace("ch1/1", "ch1/77"), encoding="utf-8")
    desk.rest()
    assert desk.row("note", 1, 77) is not None
    desk.path.write_text("ports: {pads: {notes: {1: {macro: DORP}}}}", encoding="utf-8")
    desk.rest()
    assert desk.row("note", 1, 77) is not None, "what stood before still plays"
    assert any(level == "error" and "did you mean 'DROP'" in message for level, message in desk.said)
    desk.learner.arm("ENERGY")
    desk.hear((0x90, 5, 100))
    desk.rest()
    assert "DORP" in desk.path.read_text(encoding="utf-8"), "a broken file is not overwritten"
    desk.path.write_text(HEADER, encoding="utf-8")
    desk.rest()
    assert desk.row("note", 1, 77) is None


def test_it_is_read_again_at_the_next_start_and_leaves_nothing_beside_it(desk: Desk) -> None:
    desk.learner.arm("DROP")
    desk.hear((0x90, 1, 100))
    desk.rest()
    again = Desk(desk.path)
    assert again.row("note", 1, 1) is not None
    assert [path.name for path in desk.path.parent.iterdir()] == ["learnt.yaml"]
    assert read_map(desk.path, MACROS).ports.keys() == {"pads"}


def test_keys_without_a_value_in_a_hand_edited_file_are_filled_in(desk: Desk) -> None:
    desk.path.parent.mkdir(parents=True)
    desk.path.write_text("ports:\n  pads:\n    notes:\n", encoding="utf-8")
    desk.rest()
    desk.learner.arm("DROP")
    desk.hear((0x90, 1, 100))
    desk.rest()
    assert desk.row("note", 1, 1) is not None, desk.said


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    desk = Desk(tmp_path / "file" / "learnt.yaml")
    desk.learner.arm("DROP")
    desk.hear((0x90, 1, 100))
    desk.rest()
    assert any(level == "error" and "learnt.yaml" in message for level, message in desk.said)


@pytest.mark.parametrize("target", ["DORP", "", "tempo:faster", "bank:99", "look:", "magic:wand", "feedback"])
def test_what_cannot_be_learnt_is_refused_by_name(desk: Desk, target: str) -> None:
    with pytest.raises(UsageError):
        desk.learner.arm(target)
    assert desk.learner.armed == ""


def test_orders_of_a_running_show_are_done_by_the_next_look_and_never_raise(desk: Desk) -> None:
    for event in (LearnMidi(target="DORP"), LearnMidi(undo=True), LearnMidi(target="DROP"), LearnMidi()):
        desk.learner.order(event)
    desk.rest()
    assert desk.learner.armed == ""
    words = " ".join(message for _, message in desk.said)
    assert "did you mean 'DROP'" in words
    assert "nothing learnt" in words
    assert desk.said[-1] == ("ok", "")


def test_junk_while_learning_is_no_control(desk: Desk) -> None:
    desk.learner.arm("DROP")
    desk.hear((), (0x90,), (0x12, 0x34), (0xF8,), (0xF0, 1, 2, 0xF7), (0xF0, 1, 2), (0x90, 200, 1), (0x80, 1, 64))
    desk.rest()
    assert desk.learner.armed == "DROP"


def test_the_file_is_the_performers_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VJENGINE_MIDI_LEARNT", str(tmp_path / "x.yaml"))
    assert learnt_file() == tmp_path / "x.yaml"
    monkeypatch.delenv("VJENGINE_MIDI_LEARNT")
    assert "vjengine" in str(learnt_file())
