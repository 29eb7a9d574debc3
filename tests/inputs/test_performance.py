"""Performances: what is written reads back, what is wrong is named, and a full disk costs no show."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjengine.core import events as ev
from vjengine.core.exchange import EventQueue
from vjengine.errors import ConfigError, RecordError
from vjengine.inputs import performance as pf

_VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=30),
    bool: st.booleans(),
    int: st.integers(-5, 5),
    float: st.floats(-1e6, 1e6),
}


def any_event() -> st.SearchStrategy[ev.Event]:
    def of(kind: type[ev.Event]) -> st.SearchStrategy[ev.Event]:
        hints = get_type_hints(kind)
        fields = {
            f.name: st.sampled_from(get_args(hints[f.name]))
            if get_origin(hints[f.name]) is Literal
            else _VALUES[hints[f.name]]
            for f in dataclasses.fields(kind)
            if f.name != "time"
        }
        times = st.integers(0, 10**9).map(lambda n: n / 1e4)
        return st.builds(kind, time=times, **fields)

    return st.one_of(*(of(kind) for kind in pf.RECORDED.values()))


@given(event=any_event())
def test_every_event_reads_back_as_it_was_written(event: ev.Event) -> None:
    line = pf.encode(event)
    assert line is not None
    assert "\n" not in line
    assert pf.decode(line) == event


def test_machines_own_words_are_not_recorded() -> None:
    assert pf.encode(ev.StatusChanged(component="midi", level="ok")) is None
    assert pf.encode(ev.Quit()) is None
    assert pf.encode(ev.MacroLevel(macro="ENERGY", value=float("nan"))) is None


def test_every_kind_a_hand_makes_is_in_the_table() -> None:
    defined = {kind for kind in vars(ev).values() if isinstance(kind, type) and issubclass(kind, ev.Event)}
    assert defined - set(pf.RECORDED.values()) == {ev.Event, ev.StatusChanged, ev.Quit, ev.TempoEvent, ev.LearnMidi}


FAULTS = [
    ("{", "line", "one JSON object"),
    ("[1]", "line", "an object"),
    ("[" * 100_000, "line", ""),
    ('{"t": 1}', "type", "a kind of event"),
    ('{"t": 1, "type": "MacroSte", "macro": "DROP"}', "type", "did you mean 'MacroSet'?"),
    ('{"t": 1, "type": "Quit"}', "type", "a kind of event"),
    ('{"type": "Tap"}', "t", "seconds from the start"),
    ('{"t": -1, "type": "Tap"}', "t", "seconds from the start"),
    ('{"t": NaN, "type": "Tap"}', "number", "a finite number"),
    ('{"t": 1e999, "type": "Tap"}', "t", "seconds from the start"),
    ('{"t": true, "type": "Tap"}', "t", "seconds from the start"),
    ('{"t": 1, "type": "MacroSet"}', "macro", "to be given"),
    ('{"t": 1, "type": "MacroSet", "macro": 5}', "macro", "text"),
    ('{"t": 1, "type": "MacroSet", "macro": "DROP", "value": "1"}', "value", "a finite number"),
    ('{"t": 1, "type": "MacroSet", "macro": "DROP", "vlaue": 1}', "vlaue", "did you mean 'value'?"),
    ('{"t": 1, "type": "LookSelected", "step": 1.5}', "step", "a whole number"),
    ('{"t": 1, "type": "ParamSet", "param": "gen.hue", "value": 1, "normalised": 1}', "normalised", "true or false"),
    ('{"t": 1, "type": "Trigger", "action": "explode"}', "action", "one of reseed, cut, clear, panic"),
    ('{"t": 1, "type": "Trigger", "action": ["cut"]}', "action", "one of reseed"),
]


@pytest.mark.parametrize(("line", "key", "words"), FAULTS, ids=[f[:50] for f, _, _ in FAULTS])
def test_faults_name_file_line_and_remedy(tmp_path: Path, line: str, key: str, words: str) -> None:
    path = tmp_path / "show.jsonl"
    path.write_text('# a set\n\n{"t": 0, "type": "Tap"}\n' + line + "\n")
    with pytest.raises(ConfigError) as caught:
        pf.load_performance(path)
    assert caught.value.file == f"{path}:4"
    assert caught.value.key == key
    assert words in str(caught.value)


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a readable file"):
        pf.load_performance(tmp_path / "absent.jsonl")
    with pytest.raises(ConfigError, match="a readable file"):
        pf.load_performance(tmp_path)
    (tmp_path / "binary").write_bytes(b"\x80\x81\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        pf.load_performance(tmp_path / "binary")


def test_a_line_cut_short_by_a_power_cut_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "show.jsonl"
    path.write_text('{"t": 1, "type": "Tap"}\n{"t": 2, "type": "Resy')
    assert pf.load_performance(path) == (ev.Tap(time=1.0),)


def test_events_come_in_order_of_time(tmp_path: Path) -> None:
    path = tmp_path / "show.jsonl"
    path.write_text('{"t": 2, "type": "Resync"}\n{"t": 1, "type": "Tap"}\n')
    assert pf.load_performance(path) == (ev.Tap(time=1.0), ev.Resync(time=2.0))


# ---------------------------------------------------------------- writing


def test_what_is_played_is_written_from_the_start_of_the_show(tmp_path: Path) -> None:
    path = tmp_path / "sets" / "show.jsonl"
    with pf.PerformanceWriter(path) as writer:
        writer.write([ev.MacroSet(time=12.5, macro="DROP", source="key"), ev.Quit(time=13.0)], started=10.0)
        writer.write([ev.Tap(time=9.0)], started=10.0)
    assert writer.written == 2
    assert pf.load_performance(path) == (ev.Tap(time=0.0), ev.MacroSet(time=2.5, macro="DROP", source="key"))
    writer.write([ev.Tap()])  # too late, and harmless
    writer.close()


def test_every_line_is_on_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "show.jsonl"
    with pf.PerformanceWriter(path) as writer:
        writer.write([ev.Tap(time=1.0)])
        deadline = time.monotonic() + 5.0
        while not path.read_text() and time.monotonic() < deadline:
            time.sleep(0.005)
        assert json.loads(path.read_text()) == {"t": 1.0, "type": "Tap"}


def test_a_performance_is_never_overwritten_by_accident(tmp_path: Path) -> None:
    path = tmp_path / "show.jsonl"
    path.write_text("precious\n")
    with pytest.raises(RecordError, match="choose another name"):
        pf.PerformanceWriter(path)
    assert path.read_text() == "precious\n"
    with pf.PerformanceWriter(path, overwrite=True) as writer:
        writer.write([ev.Tap()])
    assert len(pf.load_performance(path)) == 1


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot be written"):
        pf.PerformanceWriter(tmp_path / "file" / "show.jsonl")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to stand for a full disk")
def test_a_full_disk_is_told_once_and_costs_no_show() -> None:
    events = EventQueue()
    with pf.PerformanceWriter(Path("/dev/full"), events, overwrite=True) as writer:
        deadline = time.monotonic() + 5.0
        while not writer.problem and time.monotonic() < deadline:
            writer.write([ev.Tap()])
            time.sleep(0.005)
        for _ in range(20_000):
            writer.write([ev.Tap()])
    (status,) = events.drain()
    assert isinstance(status, ev.StatusChanged)
    assert (status.component, status.level) == ("performance", "error")
    assert "/dev/full" in status.message


# ---------------------------------------------------------------- replay

SHOW = (
    ev.MacroSet(time=1.0, macro="DROP", source="key"),
    ev.Tap(time=1.0),
    ev.MacroSet(time=2.0, macro="DROP", value=0),
)


def test_replay_gives_what_is_due_and_nothing_twice() -> None:
    events = EventQueue()
    player = pf.PerformancePlayer(SHOW, events)
    assert player.duration == 2.0
    assert player.advance(0.99) == 0
    assert player.advance(1.0) == 2
    assert player.advance(1.0) == 0
    assert player.advance(float("nan")) == 0
    assert not player.finished
    assert player.advance(100.0, started=5.0) == 1
    assert player.finished
    first, tap, last = events.drain()
    assert first == ev.MacroSet(time=1.0, macro="DROP", source="performance")
    assert tap == ev.Tap(time=1.0, source="performance")
    assert last.time == 7.0


def test_replay_waits_for_a_full_queue() -> None:
    events = EventQueue(capacity=1)
    player = pf.PerformancePlayer(SHOW, events)
    assert player.advance(5.0) == 1
    events.drain()
    assert player.advance(5.0) == 1
    events.drain()
    assert player.advance(5.0) == 1
    assert player.finished


def test_replay_does_not_depend_on_how_often_it_is_asked() -> None:
    def played(fps: int) -> list[ev.Event]:
        events = EventQueue()
        player = pf.PerformancePlayer(SHOW, events)
        for n in range(fps * 3):
            player.advance(n / fps)
        return events.drain()

    assert played(24) == played(144)


def test_an_empty_performance_is_finished() -> None:
    assert pf.PerformancePlayer((), EventQueue()).finished
