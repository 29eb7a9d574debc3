"""A private PulseAudio with a null sink, and music files made on the spot."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PROBE = Path(__file__).with_name("source_probe.py")
SINK = ("module-null-sink", "sink_name=vj", "rate=48000", "channels=2", "norewinds=1")


class Pulse:
    """One PulseAudio server in its own runtime directory; killed by its own process id."""

    def __init__(self) -> None:
        # A socket path may have 107 characters at most, so not below pytest's own long folders.
        self.home = Path(tempfile.mkdtemp(prefix="vjpa"))
        self.env = dict(
            os.environ,
            XDG_RUNTIME_DIR=str(self.home),
            HOME=str(self.home),
            PULSE_SERVER=f"unix:{self.home}/pulse/native",
            PULSE_COOKIE=str(self.home / "cookie"),
            PULSE_SINK="vj",
            PULSE_SOURCE="vj.monitor",
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--daemonize=no", "--exit-idle-time=-1", f"--log-target=file:{self.home}/pa.log"]
        load = ["-L", "module-native-protocol-unix", "-L", " ".join(SINK)]
        self.process = subprocess.Popen(["pulseaudio", "-n", *options, *load], env=self.env)
        for _ in range(200):
            if self.ctl("info").returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError("pulseaudio did not start: " + (self.home / "pa.log").read_text())

    def ctl(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["pactl", *words], env=self.env, capture_output=True, timeout=10, check=False)

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            with contextlib.suppress(OSError):
                (self.home / "pulse" / "native").unlink()
            with contextlib.suppress(OSError):
                (self.home / "pulse" / "pid").unlink()

    def play(self, path: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["paplay", "--device=vj", "--latency-msec=100", str(path)], env=self.env)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)


class Probe:
    """tests/audio/source_probe.py in a process of its own, read line by line."""

    def __init__(self, env: dict[str, str], *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROBE), *words],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.seen: list[dict[str, Any]] = []
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._noise: list[str] = []
        threading.Thread(target=self._collect, daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()

    def _collect(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self._noise.extend(self.process.stderr)

    def until(self, wanted: Callable[[dict[str, Any]], bool], timeout: float = 15.0) -> dict[str, Any]:
        """Return the next line that ``wanted`` accepts."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                line = self._lines.get(timeout=0.2)
            except queue.Empty:
                continue
            if line is None:
                break
            self.seen.append(line)
            if wanted(line):
                return line
        raise AssertionError(f"not seen; the last lines were {self.seen[-5:]}; stderr: {''.join(self._noise)[-2000:]}")

    def finish(self, timeout: float = 10.0) -> list[dict[str, Any]]:
        """Let the probe end by itself and return all its lines."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.wait(timeout)
        while (line := self._lines.get(timeout=5)) is not None:
            self.seen.append(line)
        return self.seen

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def pulse() -> Iterator[Pulse]:
    """A running PulseAudio with the null sink ``vj``."""
    for program in ("pulseaudio", "pactl", "paplay"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (apt-get install pulseaudio pulseaudio-utils)")
    server = Pulse()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def probe() -> Iterator[Callable[..., Probe]]:
    """Starts source probes and takes them down."""
    started: list[Probe] = []

    def start(env: dict[str, str], *words: str) -> Probe:
        started.append(Probe(env, *words))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def music(tmp_path: Path) -> Callable[..., Path]:
    """Writes ``(n, channels)`` float32 samples, encoded by PyAV, and returns the path."""

    def write(
        name: str, samples: np.ndarray[Any, Any], rate: int = 48000, codec: str = "pcm_s16le", **options: str
    ) -> Path:
        import av

        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=rate, options=options)
            layout = "mono" if samples.shape[1] == 1 else "stereo"
            stream.layout = layout
            packed = np.ascontiguousarray(samples, dtype=np.float32).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
            frame.sample_rate = rate
            frame.pts = 0  # or the encoder's priming is not written down
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write
