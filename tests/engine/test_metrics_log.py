"""The log of a run's stability: what is in it, what a kill or a full disk costs."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue
from vjengine.engine import metrics_log
from vjengine.engine.metrics_log import GENERATOR, TRAIL, MetricsLog, SourceLog, Story, header
from vjengine.errors import RecordError
from vjengine.stabilise.verdict import Verdict

FIRST = header("turbo", 3, (768, 432))


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_happened_is_told_once() -> None:
    story = Story()
    told = [
        [event["event"] + ":" + str(event.get("alarm", event.get("level", ""))) for event in story.events(verdict)]
        for verdict in (
            Verdict(1),
            Verdict(2, anchored=True),
            Verdict(3, anchored=True, alarms=("colour", "dark"), level=1, response="colour, dark: stronger correction"),
            Verdict(4, anchored=True, alarms=("dark",), level=2, response="dark: more noise, a new seed"),
            Verdict(5, anchored=True, alarms=("dark",), level=2, response="dark: more noise, a new seed"),
            Verdict(6, anchored=False),
        )
    ]
    assert told == [
        [],
        ["anchor:"],
        ["alarm:colour", "alarm:dark", "response:1"],
        ["cleared:colour", "response:2"],
        [],
        ["cleared:dark", "response:0"],
    ]


def test_what_is_not_looked_at_any_more_has_no_alarm_left() -> None:
    story = Story()
    list(story.events(Verdict(3, anchored=True, alarms=("dark",), level=1, response="dark: stronger correction")))
    assert list(story.rest(2.5)) == [
        {"event": "cleared", "time": 2.5, "alarm": "dark"},
        {"event": "response", "time": 2.5, "level": 0, "words": ""},
    ]
    assert not list(story.rest(2.6))
    assert not list(story.events(Verdict(9, anchored=True)))


@pytest.mark.parametrize("live", [False, True])
def test_a_log_says_what_it_is_and_has_a_row_for_every_frame(tmp_path: Path, live: bool) -> None:
    path, events = tmp_path / "new" / "run.json", EventQueue()
    log = MetricsLog(path, FIRST, events, live=live)
    source = SourceLog(log, GENERATOR)
    for number in range(1, 400):
        source.write(Verdict(number, time=number / 30, w1=2.0, alarms=("burn",) if number > 300 else ()))
    source.note("generator", time=13.4, generator="procedural")
    log.close()
    first, *rows = lines(path)
    assert first == {"format": "vjengine-metrics", "version": 2, "generator": "turbo", "seed": 3, "size": [768, 432]}
    assert [row["number"] for row in rows if "event" not in row] == list(range(1, 400))
    told = [row for row in rows if "event" in row]
    assert told[0] == {
        "source": "generator",
        "event": "alarm",
        "time": round(301 / 30, 4),
        "number": 301,
        "alarm": "burn",
    }
    assert told[1] == {"source": "generator", "event": "generator", "time": 13.4, "generator": "procedural"}
    assert not log.lost
    assert not events.drain()


def test_each_source_has_its_own_story(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    log = MetricsLog(path, FIRST, EventQueue(), live=False)
    generator, trail = SourceLog(log, GENERATOR), SourceLog(log, TRAIL)
    generator.write(Verdict(1, anchored=True, alarms=("dark",)))
    trail.write(Verdict(1, anchored=True))
    generator.write(Verdict(2, anchored=True, alarms=("dark",)))
    log.close()
    trail.write(Verdict(2))
    told = [(row["source"], row.get("event", "")) for row in lines(path)[1:]]
    assert told == [
        ("generator", ""), ("generator", "anchor"), ("generator", "alarm"), ("trail", ""), ("trail", "anchor"),
        ("generator", ""),
    ]  # fmt: skip


def test_what_is_no_number_is_null_and_the_log_stays_json(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    log = MetricsLog(path, FIRST, EventQueue(), live=False)
    source = SourceLog(log, GENERATOR)
    source.write(Verdict(1, w1=math.nan, bands=(0.0, math.inf, 1.0)))
    log.close()
    assert "NaN" not in path.read_text()
    row = lines(path)[1]
    assert row["w1"] is None
    assert row["middle"] is None
    assert row["coarse"] == 1.0


def test_a_slow_disk_costs_lines_which_are_counted_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes to stand for a disk that hangs")
    monkeypatch.setattr(metrics_log, "_WAITING", 64)
    path, events = tmp_path / "pipe", EventQueue()
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = MetricsLog(path, FIRST, events, live=True)
    source = SourceLog(log, GENERATOR)
    # The pipe holds 64 KiB, then it hangs.
    for number in range(1, 1500):
        source.write(Verdict(number))
        if number % 50 == 0:
            time.sleep(0.002)
    assert log.lost > 100
    (status,) = [event for event in events.drain() if isinstance(event, StatusChanged)]
    assert (status.component, status.level) == ("metrics", "warn")
    os.set_blocking(reader, True)
    rest = b""
    closed = False
    while part := os.read(reader, 65536):
        rest += part
        if not closed:
            closed = True
            log.close()
    os.close(reader)
    assert json.loads(rest.splitlines()[-1]) == {"event": "lost", "lines": log.lost}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to stand for a full disk")
@pytest.mark.parametrize("live", [False, True])
def test_a_full_disk_costs_the_log_and_is_told_once(live: bool) -> None:
    events = EventQueue()
    log = MetricsLog(Path("/dev/full"), FIRST, events, live=live)
    source = SourceLog(log, GENERATOR)
    for number in range(1, 300):
        source.write(Verdict(number))
    log.close()
    (status,) = [event for event in events.drain() if isinstance(event, StatusChanged)]
    assert (status.component, status.level) == ("metrics", "error")
    assert "/dev/full cannot be written any more" in status.message
    assert log.problem


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open cannot be removed there")
@pytest.mark.parametrize("live", [False, True])
def test_a_folder_that_is_removed_in_the_show_is_told_once(tmp_path: Path, live: bool) -> None:
    path, events = tmp_path / "stick" / "run.json", EventQueue()
    log = MetricsLog(path, FIRST, events, live=live)
    source = SourceLog(log, GENERATOR)
    source.write(Verdict(1))
    shutil.rmtree(path.parent)
    source.write(Verdict(2, time=7.5))
    log.close()
    (status,) = [event for event in events.drain() if isinstance(event, StatusChanged)]
    assert (status.component, status.level) == ("metrics", "error")
    assert (status.time, status.message) == (7.5, f"{path} cannot be written any more: the file was removed")


def test_a_file_that_cannot_be_made_is_refused_before_the_show(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match="--metrics"):
        MetricsLog(tmp_path / "file" / "run.json", FIRST, EventQueue(), live=True)


KILLED = """
import sys
from pathlib import Path
from threading import Event
from vjengine.core.exchange import EventQueue
from vjengine.engine.metrics_log import MetricsLog, SourceLog, header
from vjengine.stabilise.verdict import Verdict
log = MetricsLog(Path(sys.argv[1]), header("turbo", 1, (64, 36)), EventQueue(), live=True)
source = SourceLog(log, "generator")
number = 0
while True:
    number += 1
    source.write(Verdict(number))
    print(number, flush=True)
    Event().wait(0.02)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is for POSIX")
def test_a_killed_process_loses_a_second_at_most(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        began = [(time.monotonic(), int(process.stdout.readline()))]
        while began[-1][0] - began[0][0] < 2.5:
            began.append((time.monotonic(), int(process.stdout.readline())))
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    kept = [line for line in path.read_text().splitlines() if line.endswith("}")]
    number = json.loads(kept[-1])["number"]
    at, last = began[-1]
    lost = at - next(moment for moment, written in began if written >= number)
    assert number < last + 2
    # Its promise is a second; the machine may be busy.
    assert lost < 1.5
