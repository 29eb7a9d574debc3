"""``vjengine stability``: logs that are long, cut short or not ours, and the picture drawn of them."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vjengine.cli.main import main
from vjengine.core.exchange import EventQueue
from vjengine.engine.metrics_file import BUCKETS, read_metrics
from vjengine.engine.metrics_log import GENERATOR, TRAIL, MetricsLog, SourceLog, header
from vjengine.engine.metrics_plot import clock
from vjengine.stabilise.verdict import Verdict

HEALTHY = Verdict(w1=1.0, motion=0.8, difference=6.0, entropy=4.0, anchored=True)
FPS = 30.0


def write(path: Path, frames: int = 3600, *, trouble: tuple[int, int] | None = None, slope: float = 0.0) -> Path:
    """Write a log of ``frames`` frames, with an alarm and a response from one frame to another."""
    log = MetricsLog(path, header("turbo", 7, (768, 432)), EventQueue(), live=False)
    source = SourceLog(log, GENERATOR)
    for number in range(1, frames + 1):
        time = number / FPS
        verdict = replace(HEALTHY, number=number, time=time, w1=1.0 + slope * time / 60, anchored=number > 16)
        if trouble is not None and trouble[0] <= number < trouble[1]:
            verdict = replace(verdict, w1=12.0, alarms=("colour",), level=2, response="colour: more noise, a new seed")
        source.write(verdict)
    log.close()
    return path


def test_a_log_is_read_with_its_alarms_responses_and_scenes(tmp_path: Path) -> None:
    run = read_metrics(write(tmp_path / "run.json", trouble=(900, 1200)))
    assert (run.generator, run.seed, run.size) == ("turbo", 7, (768, 432))
    assert (run.frames, run.anchored) == (3600, 3584)
    assert [(span.alarm, span.start, span.end, span.cleared) for span in run.spans] == [("colour", 30.0, 40.0, True)]
    assert [(mark.kind, mark.level, mark.time) for mark in run.marks] == [
        ("anchor", 0, 0.5667),
        ("response", 2, 30.0),
        ("response", 0, 40.0),
    ]
    assert (run.extremes["w1"].high, run.extremes["w1"].high_at) == (12.0, 30.0)
    assert run.within["w1"] == 3584 - 300
    assert (run.bad, run.cut) == (0, False)


def test_the_trail_is_told_beside_the_generator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    log = MetricsLog(path, header("turbo", 7, (768, 432)), EventQueue(), live=False)
    generator, trail = SourceLog(log, GENERATOR), SourceLog(log, TRAIL)
    for number in range(1, 301):
        generator.write(replace(HEALTHY, number=number, time=number / 10))
        if 100 <= number < 200:
            late = replace(HEALTHY, number=number - 99, time=number / 10 - 1.0, w1=12.0, alarms=("texture",), level=1)
            trail.write(late)
    trail.rest(20.0)
    log.close()
    run = read_metrics(path)
    assert run.trail is not None
    assert (run.frames, run.trail.frames, run.bad) == (300, 100, 0)
    assert (run.extremes["w1"].high, run.trail.extremes["w1"].high) == (1.0, 12.0)
    assert not run.spans
    assert [(span.alarm, span.start, span.end, span.cleared) for span in run.trail.spans] == [
        ("texture", 9.0, 20.0, True)
    ]
    assert main(["stability", "summary", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.index("turbo, seed 7") < out.index("alarms: none") < out.index("the trail: 100 looks in 0:10")
    assert "0:09 to 0:20  texture" in out
    assert main(["stability", "summary", str(path), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [len(data["alarms"]), len(data["trail"]["alarms"])] == [0, 1]


def test_a_log_of_the_first_version_tells_of_the_generator_only(tmp_path: Path) -> None:
    path = write(tmp_path / "run.json", 300, trouble=(100, 200))
    old = path.read_text().replace('"source": "generator", ', "").replace('"version": 2', '"version": 1')
    (tmp_path / "old.json").write_text(old)
    assert "source" not in old
    now, then = read_metrics(path), read_metrics(tmp_path / "old.json")
    assert (then.frames, then.spans, then.marks, then.bad) == (now.frames, now.spans, now.marks, 0)
    assert then.trail is None
    assert np.array_equal(then.curves.column("w1"), now.curves.column("w1"), equal_nan=True)


def test_the_slope_is_that_of_the_drift(tmp_path: Path) -> None:
    assert read_metrics(write(tmp_path / "a", slope=0.5)).slope == pytest.approx(0.5, abs=0.002)
    assert np.isnan(read_metrics(write(tmp_path / "b", 1500)).slope), "less than a minute says nothing"


def test_a_peak_of_one_frame_survives_a_long_run_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    first = json.dumps(header("turbo", 1, (768, 432)))
    row = json.dumps(replace(HEALTHY, time=-1.0, motion=0.5).row())
    with path.open("w") as file:
        file.write(first + "\n")
        for number in range(20_000):
            text = row.replace('"time": -1.0', f'"time": {number / 60:.3f}')
            if number == 12_345:
                text = text.replace('"motion": 0.5', '"motion": 31.25')
            file.write(text + "\n")
    tracemalloc.start()
    run = read_metrics(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.4 * path.stat().st_size, "buckets and one batch of rows"
    low, high, mean = run.curves.column("motion")
    assert BUCKETS // 2 <= len(low) <= BUCKETS
    assert high.max() == 31.25
    assert abs(run.curves.times[high.argmax()] - 12_345 / 60) < 0.5
    assert low.min() == 0.5
    assert mean[0] == 0.5
    assert run.frames == 20_000


def test_what_cannot_be_read_is_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "run.json", 200)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[50] = b'{"number": 50, "ti\x00\xff\n'
    lines[60] = b"[1, 2]\n"
    lines[70] = b'{"number": 1, "time": NaN, "anchored": true}\n'
    lines[80] = b'{"event": "alarm"}\n'
    lines[-1] = lines[-1][:40]
    path.write_bytes(b"".join(lines))
    run = read_metrics(path)
    # Line 18 is the scene's anchor: it is an event, not a frame.
    assert (run.frames, run.bad, run.cut) == (195, 4, True)
    assert main(["stability", "summary", str(path)]) == 0
    out, err = capsys.readouterr()
    assert "195 frames" in out
    assert "4 lines cannot be read" in err
    assert "cut short" in err


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 1, "vjengine live --metrics"),
        (b'{"frames": 12}\n', 1, "vjengine live --metrics"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 900, 1, "vjengine live --metrics"),
        (b'{"format": "vjengine-metrics", "version": 99}\n', 1, "newer vjengine"),
        (b'{"format": "vjengine-metrics", "version": 1, "size": 7}\n', 1, "vjengine live --metrics"),
        (b'{"format": "vjengine-metrics", "version": 1, "size": [64, 36]}\n', 2, "no frames"),
        (None, 1, "readable file"),
    ],
)
@pytest.mark.parametrize("action", ["plot", "summary"])
def test_what_is_no_log_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str, content: bytes | None, status: int, words: str
) -> None:
    path = tmp_path / "run.json"
    if content is not None:
        path.write_bytes(content)
    assert main(["stability", action, str(path)]) == status
    err = capsys.readouterr().err
    assert err.startswith("vjengine: ")
    assert words in err
    assert str(path) in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run.png").exists()


def test_the_summary_says_what_was_wrong_and_what_was_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "run.json", trouble=(900, 1200))
    assert main(["stability", "summary", str(path)]) == 0
    out = capsys.readouterr().out
    assert "0:30 to 0:40  colour" in out
    assert "0:30  2  colour: more noise, a new seed" in out
    assert "0:40  0  back to normal" in out
    assert "91.6 % of the frames" in out
    assert main(["stability", "summary", str(path), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    met = {goal["goal"]: goal["met"] for goal in data["goals"]}
    assert met.pop("W1 up to 6") is False
    assert all(met.values()), met
    assert data["alarms"] == [{"alarm": "colour", "start": 30.0, "end": 40.0, "cleared": True}]


def test_the_plot_shows_alarms_where_they_were(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    from PIL import Image

    path = write(tmp_path / "run.json", trouble=(1800, 2700))
    assert main(["stability", "plot", str(path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "run.png")
    pixels = np.asarray(Image.open(tmp_path / "run.png").convert("RGB")).astype(int)
    # The alarm's own colour, in the strip at the top: from half to three quarters of the time.
    pink = np.abs(pixels - (0xE8, 0x5D, 0x9C)).max(axis=2) < 12
    columns = np.flatnonzero(pink.any(axis=0))
    left, right = 0.14 * pixels.shape[1], 0.855 * pixels.shape[1]
    assert columns.min() == pytest.approx(left + 0.5 * (right - left), abs=0.01 * pixels.shape[1])
    assert columns.max() == pytest.approx(left + 0.75 * (right - left), abs=0.01 * pixels.shape[1])
    assert main(["stability", "plot", str(path), "-o", str(tmp_path / "run.svg")]) == 0
    assert "<svg" in (tmp_path / "run.svg").read_text()


def test_a_log_without_alarms_or_anchor_is_drawn_too(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    only = tmp_path / "trail.json"
    log = MetricsLog(only, header("turbo", 7, (768, 432)), EventQueue(), live=False)
    SourceLog(log, TRAIL).write(replace(HEALTHY, number=1, time=3.0))
    log.close()
    assert main(["stability", "plot", str(only), "-o", str(tmp_path / "c.png")]) == 0
    assert main(["stability", "plot", str(write(tmp_path / "short.json", 1)), "-o", str(tmp_path / "a.png")]) == 0
    assert main(["stability", "plot", str(write(tmp_path / "well.json", 600)), "-o", str(tmp_path / "b.png")]) == 0


def test_a_picture_that_cannot_be_written_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "run.json", 30)
    assert main(["stability", "plot", str(path), "-o", str(tmp_path / "run.mp4")]) == 2
    assert ".png" in capsys.readouterr().err
    pytest.importorskip("matplotlib")
    assert main(["stability", "plot", str(path), "-o", str(tmp_path / "no" / "run.png")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path) -> None:
    path = write(tmp_path / "run.json", 30)
    code = (
        "import sys\nsys.modules['matplotlib'] = None\nfrom vjengine.cli.main import main\n"
        f"sys.exit(main(['stability', 'plot', {str(path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("pip install 'vjengine[plot]'")
    assert "Traceback" not in done.stderr


def test_times_are_read_like_a_clock() -> None:
    assert [clock(value) for value in (0.0, 59.6, 61, 3600, 37_230)] == ["0:00", "1:00", "1:01", "1:00:00", "10:20:30"]
