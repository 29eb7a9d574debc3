"""Real X servers, for every test that opens a window."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_configure() -> None:
    """Take Ctrl-C as a terminal's foreground does: a shell's background job ignores it, and all it starts does too."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        with contextlib.suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGINT, signal.default_int_handler)


DUMMY_XORG = """
Section "Device"
    Identifier "card"
    Driver "dummy"
    VideoRam 256000
EndSection
Section "Monitor"
    Identifier "screen monitor"
    HorizSync 5-1000
    VertRefresh 5-200
    Modeline "1920x1080" 148.50 1920 2008 2052 2200 1080 1084 1089 1125 +Hsync +Vsync
    Modeline "1280x720" 74.25 1280 1390 1430 1650 720 725 730 750 +Hsync +Vsync
EndSection
Section "Screen"
    Identifier "screen"
    Device "card"
    Monitor "screen monitor"
    DefaultDepth 24
    SubSection "Display"
        Depth 24
        Virtual 3840 1080
        Modes "1920x1080" "1280x720"
    EndSubSection
EndSection
Section "ServerFlags"
    Option "AutoAddDevices" "false"
    Option "AutoAddGPU" "false"
EndSection
"""


def _start_x(command: list[str], log: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start an X server that chooses a free display number; return the process and its DISPLAY."""
    read, write = os.pipe()
    try:
        with log.open("wb") as out:
            server = subprocess.Popen([*command, "-displayfd", str(write)], pass_fds=[write], stdout=out, stderr=out)
    finally:
        os.close(write)
    with os.fdopen(read) as numbers:
        # Ends with the number, or with nothing once the server has given up.
        number = numbers.readline().strip()
    if not number:
        server.wait(10)
        pytest.skip(f"{command[0]} does not start here: {log.read_text(errors='replace')[-300:]}")
    return server, f":{number}"


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _need(*programs: str) -> None:
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture(scope="session")
def xvfb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """DISPLAY of an X server with one 1280×720 screen."""
    _need("Xvfb", "xdotool")
    log = tmp_path_factory.mktemp("xvfb") / "log"
    server, display = _start_x(["Xvfb", "-screen", "0", "1280x720x24", "-nolisten", "tcp", "-noreset"], log)
    yield display
    _stop(server)


@pytest.fixture
def two_monitors(tmp_path: Path) -> Iterator[str]:
    """DISPLAY of an X server with two 1920×1080 monitors side by side, DUMMY0 and DUMMY1."""
    _need("Xorg", "xrandr", "xdotool")
    config = tmp_path / "xorg.conf"
    config.write_text(DUMMY_XORG)
    command = ["Xorg", "-config", str(config), "-logfile", str(tmp_path / "xorg.log"), "-nolisten", "tcp", "-noreset"]
    server, display = _start_x(command, tmp_path / "log")
    try:
        for arguments in (
            ["--addmode", "DUMMY1", "1920x1080"],
            ["--output", "DUMMY1", "--mode", "1920x1080", "--right-of", "DUMMY0"],
            # Probes the outputs anew: until then the server calls DUMMY1 disconnected, though it shows a picture.
            ["--query"],
        ):
            done = subprocess.run(["xrandr", "-d", display, *arguments], capture_output=True, text=True, timeout=20)
            if done.returncode:
                pytest.skip(f"the dummy driver has no second monitor here: {done.stderr.strip()}")
        yield display
    finally:
        _stop(server)
