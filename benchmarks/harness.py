"""A live engine under measurement: real threads, real worker, real pixels; something else acts while it plays."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vjengine.engine.live import LiveEngine, Presented
from vjengine.engine.options import LiveOptions, PictureOptions


def quiet_options(
    folder: Path, *, generator: str, size: tuple[int, int] = (640, 360), fps: float = 60.0
) -> LiveOptions:
    """Return options of a headless show without sound that touches nothing outside ``folder``."""
    return LiveOptions(
        picture=PictureOptions(size=size, fps=fps, generator=generator),
        audio="none",
        headless=True,
        midi=("none",),
        osc_in=None,
        osc_out=(),
        active=folder / "active",
    )


class Eye:
    """Looks at one pixel of every presented frame and remembers when it last changed between dark and light.

    The pixel is read from the programme after it was drawn and finished: what is measured is what is seen.
    """

    def __init__(self, dark: Callable[[bytes], bool] = lambda pixel: max(pixel) < 6) -> None:
        self._is_dark = dark
        self._changed = threading.Condition()
        self._dark: bool | None = None
        self._since = 0.0
        self.frames = 0
        self.engine: LiveEngine | None = None

    def __call__(self, presented: Presented) -> None:
        """Look at a frame; called by the engine."""
        assert self.engine is not None
        target = self.engine.session.compositor.programme
        width, height = target.size
        pixel = target.read((width // 2, height // 2, 1, 1), components=3)
        dark = self._is_dark(pixel)
        with self._changed:
            self.frames += 1
            if dark != self._dark:
                self._dark = dark
                self._since = presented.at
                self._changed.notify_all()

    def wait(self, dark: bool, timeout: float = 5.0) -> float:
        """Return the session time (s) of the first frame that is ``dark`` (or not); ``nan`` if none comes in time."""
        with self._changed:
            seen = self._changed.wait_for(lambda: self._dark is dark, timeout)
            return self._since if seen else float("nan")


def play(options: LiveOptions, act: Callable[[LiveEngine, Eye], None], eye: Eye | None = None) -> LiveEngine:
    """Run a show on this thread while ``act`` runs on another; the show ends when ``act`` returns.

    Raises:
        Exception: whatever ``act`` raised.
    """
    eye = eye or Eye()
    engine = LiveEngine(options, on_present=eye)
    eye.engine = engine
    failures: list[BaseException] = []

    def acting() -> None:
        deadline = time.monotonic() + 20.0
        while eye.frames < 60 and time.monotonic() < deadline:
            time.sleep(0.02)
        try:
            act(engine, eye)
        except BaseException as error:  # noqa: BLE001 - handed over to the caller below
            failures.append(error)
        finally:
            engine.stop()

    thread = threading.Thread(target=acting, daemon=True)
    thread.start()
    engine.run()
    thread.join(5.0)
    if failures:
        raise failures[0]
    return engine


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="vjengine-bench-") as name:
        yield Path(name)


@contextmanager
def server(
    command: Sequence[str], ready: Callable[[], bool], timeout: float = 8.0
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; wait until it is ``ready``.

    Raises:
        RuntimeError: if it is not ready in time.
    """
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + timeout
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start")
            time.sleep(0.05)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(3)


@contextmanager
def pulseaudio(folder: Path) -> Iterator[None]:
    """Run a private PulseAudio with one null sink, and point this process's environment at it.

    Raises:
        RuntimeError: if it is not installed or does not start.
    """
    if shutil.which("pulseaudio") is None:
        raise RuntimeError(
            "pulseaudio is not installed: apt-get install pulseaudio pulseaudio-utils libasound2-plugins"
        )
    native = folder / "pulse" / "native"
    environment = {
        "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder), "PULSE_SERVER": f"unix:{native}",
        "PULSE_COOKIE": str(folder / "cookie"), "PULSE_SINK": "vj", "PULSE_SOURCE": "vj.monitor",
    }  # fmt: skip
    before = dict(os.environ)
    os.environ.update(environment)
    command = [
        "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", f"--log-target=file:{folder}/pa.log",
        "-L", "module-native-protocol-unix",
        "-L", "module-null-sink sink_name=vj rate=48000 channels=2 norewinds=1",
    ]  # fmt: skip
    try:
        with server(command, native.exists):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def jack(name: str) -> Iterator[None]:
    """Run a private JACK server with a dummy driver, and point this process's environment at it.

    Raises:
        RuntimeError: if it is not installed or does not start.
    """
    if shutil.which("jackd") is None:
        raise RuntimeError("jackd is not installed: apt-get install jackd2")
    before = dict(os.environ)
    os.environ.update(
        JACK_DEFAULT_SERVER=name, JACK_NO_AUDIO_RESERVATION="1", JACK_NO_START_SERVER="1",
        MIDO_BACKEND="mido.backends.rtmidi/UNIX_JACK",
    )  # fmt: skip

    def answers() -> bool:
        return subprocess.run(["jack_lsp"], capture_output=True, check=False).returncode == 0

    command = [
        "jackd",
        "--name",
        name,
        "--no-realtime",
        "-d",
        "dummy",
        "-r",
        "48000",
        "-p",
        "128",
        "-C",
        "0",
        "-P",
        "0",
    ]
    try:
        with server(command, answers):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def with_midi(options: LiveOptions) -> LiveOptions:
    """Return ``options`` listening to all MIDI inputs."""
    return replace(options, midi=())
