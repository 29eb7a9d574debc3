"""Real parts for the hands: a JACK server of our own and a MIDI controller in a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vjengine.core.clock import LiveClock
from vjengine.core.events import Event
from vjengine.core.exchange import EventQueue

CONTROLLER = textwrap.dedent(
    """
    import sys, time, rtmidi
    out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=sys.argv[1])
    out.open_virtual_port("out")
    print("ready", flush=True)
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "ramp":                       # ramp COUNT PER_SECOND: a fader moved, then note 1 as the end mark
            count, rate = int(rest[0]), float(rest[1])
            start = time.perf_counter()
            for i in range(count):
                while time.perf_counter() < start + i / rate:
                    time.sleep(0.0002)
                out.send_message([0x90, i % 128, 1 + i % 127])
        else:
            out.send_message([int(byte, 16) for byte in (word, *rest)])
        print("sent", flush=True)
    """
)

LISTENER = textwrap.dedent(
    """
    import sys, rtmidi
    # Named like the engine, so that the engine leaves it alone. No callback: rtmidi itself keeps the messages.
    port = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name="vjengine-yardstick", queue_size_limit=100000)
    names = port.get_ports()
    port.open_port(next(i for i, name in enumerate(names) if name.startswith(sys.argv[1])))
    print("ready", flush=True)
    for line in sys.stdin:
        count = 0
        while port.get_message():
            count += 1
        print(count, flush=True)
    """
)


SURFACE = textwrap.dedent(
    """
    import sys, threading, rtmidi
    # A controller with lights: what it is told is written to standard output, in hexadecimal.
    lock = threading.Lock()
    def say(text):
        with lock:
            print(text, flush=True)
    port = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name=sys.argv[1] + " lights", queue_size_limit=10000)
    port.ignore_types(sysex=False)
    port.open_virtual_port("in")
    out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=sys.argv[1])
    out.open_virtual_port("out")
    stop = threading.Event()
    def hear():
        while not stop.wait(0.002):
            while (event := port.get_message()) is not None:
                say(bytes(event[0]).hex())
    threading.Thread(target=hear, daemon=True).start()
    say("ready")
    for line in sys.stdin:
        out.send_message([int(byte, 16) for byte in line.split()])
        say("sent")
    """
)


class Jack:
    """A private JACK server with a dummy device. Stopped by SIGTERM it gives its slot in the registry back."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.env = {
            "JACK_DEFAULT_SERVER": name,
            "JACK_NO_AUDIO_RESERVATION": "1",
            "JACK_NO_START_SERVER": "1",
            "MIDO_BACKEND": "mido.backends.rtmidi/UNIX_JACK",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # Long cycles: on a busy machine JACK throws out whoever misses one.
        command = ["jackd", "-n", self.name, "--no-realtime", "-d", "dummy", "-r", "48000", "-p", "1024"]
        self.process = subprocess.Popen(
            [*command, "-C", "0", "-P", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **self.env},
        )
        wait = subprocess.run(
            ["jack_wait", "-s", self.name, "-w", "-t", "20"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **self.env},
            timeout=30,
        )
        if wait.returncode or self.process.poll() is not None:
            self._terminate()
            pytest.skip("jackd does not start on this machine")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End the server. One that was killed keeps one of the machine's eight slots until its name starts again."""
        if self.process is not None and not self._terminate():
            self.start()
            self._terminate()
        if sys.platform == "linux":
            for left in Path("/dev/shm").glob(f"jack_sem.*_{self.name}_*"):
                left.unlink(missing_ok=True)

    def _terminate(self) -> bool:
        """Return True if the server tidied up after itself."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode == 0


class Controller:
    """A MIDI controller: another process with a virtual output port ``NAME:out``."""

    def __init__(self, name: str, jack: Jack) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CONTROLLER, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **jack.env},
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def send(self, command: str) -> None:
        """Send one message in hexadecimal, or ``ramp COUNT PER_SECOND``."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "sent\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:
                continue


class Surface:
    """A MIDI controller with lights: another process with ports ``NAME:out`` and ``NAME lights:in``."""

    def __init__(self, name: str, jack: Jack) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SURFACE, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **jack.env},
        )
        self.heard: list[str] = []
        self._sent = 0
        self._acknowledged = 0
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._ready.wait(20.0), "the controller does not start"

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word = line.strip()
            if word == "ready":
                self._ready.set()
            elif word == "sent":
                self._acknowledged += 1
            else:
                self.heard.append(word)

    def send(self, message: str) -> None:
        """Send one message in hexadecimal."""
        assert self.process.stdin is not None
        self.process.stdin.write(message + "\n")
        self.process.stdin.flush()
        self._sent += 1
        end = time.monotonic() + 20.0
        while self._acknowledged < self._sent:
            assert time.monotonic() < end, "the controller does not send"
            time.sleep(0.001)

    @staticmethod
    def lights(heard: list[str]) -> dict[int, int]:
        """Return the value of every note sent, by number."""
        notes = [bytes.fromhex(message) for message in heard if message.startswith("90")]
        return {message[1]: message[2] for message in notes}

    def waits(self, seen: Callable[[list[str]], object], timeout: float) -> bool:
        """Return True as soon as ``seen(all heard so far)`` is true, False after ``timeout`` s."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if seen(list(self.heard)):
                return True
            time.sleep(0.005)
        return False

    def until(self, seen: Callable[[list[str]], object], timeout: float = 20.0) -> None:
        """Wait until ``seen(all heard so far)`` is true; fail after ``timeout`` s (a liveness limit)."""
        assert self.waits(seen, timeout), f"not seen within {timeout} s; heard {self.heard[-20:]}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(5.0)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:
                continue


class Collector:
    """Drains an event queue until something has been seen."""

    def __init__(self, events: EventQueue) -> None:
        self.queue = events
        self.events: list[Event] = []

    def until(self, seen: Callable[[list[Event]], object], timeout: float = 15.0) -> list[Event]:
        """Collect until ``seen(all events so far)`` is true; fail after ``timeout`` s (a liveness limit)."""
        end = time.monotonic() + timeout
        while True:
            self.events.extend(self.queue.drain())
            if seen(self.events):
                return self.events
            assert time.monotonic() < end, f"not seen within {timeout} s; got {self.events[-20:]}"
            time.sleep(0.005)

    def clear(self) -> None:
        self.queue.drain()
        self.events.clear()


@pytest.fixture
def clock() -> LiveClock:
    return LiveClock()


@pytest.fixture
def events() -> EventQueue:
    return EventQueue()


@pytest.fixture
def collector(events: EventQueue) -> Collector:
    return Collector(events)


def _need_jack() -> None:
    pytest.importorskip("rtmidi", reason="python-rtmidi is not installed (it has no wheel for Python 3.13)")
    for tool in ("jackd", "jack_wait"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed (apt-get install jackd2)")


@pytest.fixture(scope="module")
def shared_jack() -> Iterator[Jack]:
    """One server for the tests that leave it alone."""
    _need_jack()
    server = Jack(f"vjshared{os.getpid()}")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def jack(shared_jack: Jack, monkeypatch: pytest.MonkeyPatch) -> Jack:
    """The module's JACK server, put into the environment."""
    for key, value in shared_jack.env.items():
        monkeypatch.setenv(key, value)
    return shared_jack


@pytest.fixture
def own_jack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jack]:
    """A JACK server that the test may kill, put into the environment; it is running."""
    _need_jack()
    server = Jack(f"vjown{os.getpid()}")
    for key, value in server.env.items():
        monkeypatch.setenv(key, value)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def controller(request: pytest.FixtureRequest) -> Iterator[Callable[..., Controller]]:
    """Start controllers by name, on the module's server unless told another; they are killed at the end."""
    started: list[Controller] = []
    if "own_jack" not in request.fixturenames:
        request.getfixturevalue("jack")

    def start(name: str, server: Jack | None = None) -> Controller:
        started.append(Controller(name, server or request.getfixturevalue("jack")))
        return started[-1]

    yield start
    for one in started:
        one.kill()
    # The server takes a moment to see that a client has died; the next one of that name would meet its ghost.
    time.sleep(1.0)


@pytest.fixture
def surface(jack: Jack) -> Iterator[Callable[[str], Surface]]:
    """Start controllers with lights by name; they are killed at the end."""
    started: list[Surface] = []

    def start(name: str) -> Surface:
        started.append(Surface(name, jack))
        return started[-1]

    yield start
    for one in started:
        one.kill()
    # As above: the server takes a moment to forget them.
    time.sleep(1.0)


@pytest.fixture
def listener(jack: Jack) -> Iterator[Callable[[str], Callable[[], int]]]:
    """Start a bare listener to a controller; it returns a function that counts the messages heard since last asked."""
    started: list[subprocess.Popen[str]] = []

    def start(controller: str) -> Callable[[], int]:
        process = subprocess.Popen(
            [sys.executable, "-c", LISTENER, controller],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **jack.env},
        )
        started.append(process)
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None
        assert stdout.readline() == "ready\n"

        def count() -> int:
            stdin.write("\n")
            stdin.flush()
            return int(stdout.readline())

        return count

    yield start
    for process in started:
        process.kill()
        process.communicate()
