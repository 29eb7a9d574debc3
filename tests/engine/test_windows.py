"""The live engine in real windows: keys, the HUD's place, the programme on its own monitor, a window closed."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

SHOW = ("--audio", "none", "--midi", "none", "--osc-in", "none", "--osc-out", "none", "--generator", "still")
pytestmark = pytest.mark.real


def x(display: str, *command: str) -> str:
    done = subprocess.run(command, env=os.environ | {"DISPLAY": display}, capture_output=True, text=True, timeout=20)
    return done.stdout.strip()


def until(condition: Callable[[], object], process: "subprocess.Popen[str]", timeout: float = 25.0) -> object:
    deadline = time.monotonic() + timeout
    while not (met := condition()):
        if process.poll() is not None:
            raise AssertionError(f"the engine ended with {process.returncode}: {process.communicate()}")
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return met


def geometry(display: str, window: str) -> tuple[int, int, int, int]:
    text = x(display, "xwininfo", "-id", window)
    found = [re.search(rf"{name}:\s+(-?\d+)", text) for name in
             ("Absolute upper-left X", "Absolute upper-left Y", "Width", "Height")]  # fmt: skip
    numbers = [int(match.group(1)) if match else -1 for match in found]
    return numbers[0], numbers[1], numbers[2], numbers[3]


def pixels(display: str, window: str, tmp_path: Path) -> np.ndarray:
    """The window as the X server shows it, (H, W, 3)."""
    from PIL import Image

    left, top, width, height = geometry(display, window)
    picture = tmp_path / "window.png"
    grab = ["ffmpeg", "-v", "error", "-y", "-f", "x11grab", "-video_size", f"{width}x{height}"]
    subprocess.run([*grab, "-i", f"{display}+{left},{top}", "-frames:v", "1", str(picture)], check=True, timeout=20)
    return np.asarray(Image.open(picture).convert("RGB"))


def test_keys_play_macros_and_escape_twice_ends_the_show(start, xvfb: str, tmp_path: Path) -> None:
    performance = tmp_path / "keys.jsonl"
    process = start("live", *SHOW, "--size", "640x360", "--save-performance", performance, display=xvfb)
    window = str(until(lambda: x(xvfb, "xdotool", "search", "--name", "^vjengine$"), process)).split()[0]
    x(xvfb, "xdotool", "windowfocus", "--sync", window)
    until(lambda: performance.exists(), process)
    time.sleep(1.0)
    x(xvfb, "xdotool", "keydown", "d", "sleep", "0.3", "keyup", "d", "key", "x", "key", "space")
    until(lambda: "BLACKOUT" in performance.read_text(), process)
    x(xvfb, "xdotool", "key", "Escape", "sleep", "0.2", "key", "Escape")
    _out, err = process.communicate(timeout=15)
    assert process.returncode == 0, err
    played = [json.loads(line) for line in performance.read_text().splitlines()]
    drops = [event for event in played if event.get("macro") == "DROP"]
    assert [event.get("value", 1.0) for event in drops] == [1.0, 0.0]
    assert any(event["type"] == "Tap" for event in played)


def corner_against_centre(seen: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Mean difference of two views of the same show, in the HUD's upper left corner and in the free middle."""
    from PIL import Image

    views = [np.asarray(Image.fromarray(view).resize((640, 360)), dtype=float) for view in (seen, other)]
    difference = np.abs(views[0] - views[1]).mean(axis=2)
    return float(difference[10:70, 10:150].mean()), float(difference[130:230, 240:400].mean())


def has_a_hud(seen: np.ndarray, other: np.ndarray) -> bool:
    """Tell whether the views differ where ``seen`` should have its HUD, and not elsewhere."""
    corner, centre = corner_against_centre(seen, other)
    return corner > 2 * centre + 8


def test_the_window_has_a_hud_and_no_hud_has_none(start, xvfb: str, tmp_path: Path) -> None:
    def window_of(process: "subprocess.Popen[str]") -> str:
        return str(until(lambda: x(xvfb, "xdotool", "search", "--name", "^vjengine$"), process)).split()[0]

    def end(process: "subprocess.Popen[str]") -> None:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=15)

    bare = start("live", *SHOW, "--size", "640x360", "--no-hud", display=xvfb)
    window = window_of(bare)
    # Before the generator's picture there is a dusk without contrast, and for a moment both.
    until(lambda: pixels(xvfb, window, tmp_path).std() > 30.0, bare)
    time.sleep(1.0)
    without = pixels(xvfb, window, tmp_path)
    end(bare)
    shown = start("live", *SHOW, "--size", "640x360", display=xvfb)
    window = window_of(shown)
    until(lambda: has_a_hud(pixels(xvfb, window, tmp_path), without), shown)
    end(shown)


def test_the_programme_fills_the_named_monitor_and_the_preview_keeps_the_hud(
    start, two_monitors: str, tmp_path: Path
) -> None:
    process = start("live", *SHOW, "--size", "640x360", "--display", "DUMMY1", "--fullscreen", display=two_monitors)

    def window(name: str) -> str:
        return str(until(lambda: x(two_monitors, "xdotool", "search", "--name", name), process)).split()[0]

    programme, preview = window("^vjengine$"), window("^vjengine preview$")
    until(lambda: geometry(two_monitors, programme) == (1920, 0, 1920, 1080), process)
    left, _top, width, _height = geometry(two_monitors, preview)
    assert left + width <= 1920
    until(
        lambda: has_a_hud(pixels(two_monitors, preview, tmp_path), pixels(two_monitors, programme, tmp_path)), process
    )
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=15)
    assert process.returncode == 130, err


def test_a_wrong_monitor_is_named_with_those_that_are_there(start, two_monitors: str) -> None:
    process = start("live", *SHOW, "--display", "HDMI-9", "--fullscreen", display=two_monitors)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "HDMI-9" in err
    assert "DUMMY0" in err
