"""MIDI controllers: heard by a process of their own, connected by name as they come and go, turned into core events.

:mod:`vjengine.inputs.midi_worker` says why there is a process. :class:`MidiInput` keeps it alive: whatever happens to
the MIDI system costs a moment of MIDI, never the show. When a controller vanishes, what it held is let go.
"""

from __future__ import annotations

import importlib.util
import logging
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Literal

from vjengine.core.clock import Clock, LiveClock
from vjengine.core.control import ControlState
from vjengine.core.events import LearnMidi, StatusChanged
from vjengine.core.exchange import EventQueue, Latest
from vjengine.inputs.midi_feedback import Feedback
from vjengine.inputs.midi_learn import Learner
from vjengine.inputs.midi_lights import present_in
from vjengine.inputs.midi_map import Control, MidiMap
from vjengine.inputs.midi_names import short
from vjengine.inputs.midi_process import Speaker, end, lines, list_midi_inputs, missing_rtmidi, spawn
from vjengine.inputs.midi_reader import MidiReader
from vjengine.inputs.midi_rig import MidiRig, PortSetup

__all__ = ["MidiInput", "list_midi_inputs"]

log = logging.getLogger(__name__)

SILENT_TOO_LONG = 4.0
"""A MIDI process without a heartbeat for this long (s) hangs and is replaced."""
START_GRACE = 8.0
"""s more that it may take to say its first word."""
BACK_OFF = (0.25, 0.5, 1.0, 2.0, 5.0)
"""s to wait before the MIDI process is started again, the last for good."""
TICK = 1.0 / 30.0
"""s between two looks at lights, learning and the process's health."""
STRIKES = 2
"""MIDI processes that may hang with lights being sent before lights are left off for the rest of the show."""
_RAW = LiveClock(0.0)

Tap = Callable[[str, Sequence[int], float], None]
"""Told of every message: port, bytes, session time (s)."""


class MidiInput:
    """All MIDI inputs, or those named.

    Args:
        rig: what keys and faders do, controller by controller; a single map holds for all of them.
        clock: session clock; events carry the time at which the message arrived in the MIDI process.
        events: where the events go.
        control: what the show is at, for soft takeover, endless encoders and lights; without it faders jump and
            nothing lights up.
        ports: substrings of port names, any case; empty takes every input except the system's through ports.
        poll_interval: s between two looks for controllers that came or went.
        api: MIDI system: ``ALSA``, ``JACK``, …; empty takes what the environment variable ``MIDO_BACKEND`` names
            (``mido.backends.rtmidi/UNIX_JACK``), else the platform's own, else JACK.
        tap: told of every message, on the reading thread.

    Attributes:
        connected: names of the ports heard now.
        received: messages so far; ``malformed``: those that were no MIDI; ``restarts``: MIDI processes that were
            replaced.
        learner: MIDI learn.
        feedback: the controllers' lights.
    """

    def __init__(
        self,
        rig: MidiRig | MidiMap,
        clock: Clock,
        events: EventQueue,
        control: Latest[ControlState] | None = None,
        *,
        ports: Sequence[str] = (),
        poll_interval: float = 0.25,
        api: str = "",
        tap: Tap | None = None,
    ) -> None:
        self._rig = MidiRig(rig) if isinstance(rig, MidiMap) else rig
        self._clock = clock
        self._events = events
        self._present = present_in(control) if control is not None else lambda target: None
        self._wanted = tuple(ports)
        self._options = {"ports": list(ports), "api": api, "poll": poll_interval}
        self._tap = tap
        self._stop = threading.Event()
        self._lock = threading.Lock()  # the reading thread plays, the supervising one remaps and lights
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._readers: dict[str, MidiReader] = {}
        self._setups: dict[str, PortSetup] = {}
        self._banks: dict[str, int] = {}
        self._armed = ""
        self._strikes = 0
        self._heard = 0.0
        self._latest = -1e9
        self._offset = _offset(clock)
        self._ever: set[str] = set()
        self.connected: tuple[str, ...] = ()
        self.received = 0
        self.malformed = 0
        self.restarts = 0
        self.learner = Learner(self._rig, self._say_learning, self._where)
        self.feedback = Feedback(control)

    def start(self) -> None:
        """Start listening. Never raises for want of MIDI: a StatusChanged says so and the show goes on."""
        if self._thread is not None:
            return
        if importlib.util.find_spec("rtmidi") is None:
            self._say("error", str(missing_rtmidi()))
            return
        self._stop.clear()
        self._thread = threading.Thread(target=self._supervise, name="midi", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """Let go of what is held, put the lights out, end the MIDI process; return within about ``timeout`` s."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout + 0.5)
            self._thread = None

    def learn(self, event: LearnMidi) -> None:
        """Do what a learning order says; returns at once."""
        self.learner.order(event)

    def setup(self, port: str) -> PortSetup:
        """Return what ``port`` plays now."""
        with self._lock:
            return self._setup(port)

    def target_of(self, port: str, control: Control) -> str:
        """Return what ``control`` of ``port`` does in the bank in force; empty for nothing."""
        with self._lock:
            view = self._reader(port).view
            row = view.find(control)
            coarse = view.coarse(control) if row is None and control.kind == "control" else None
            if coarse is not None and (whole := view.find(coarse)) is not None:
                return f"{whole.target} (low seven bits)"
        return "" if row is None else str(row.target)

    # ------------------------------------------------------------ the supervising thread

    def _supervise(self) -> None:
        attempt = 0
        while not self._stop.is_set():
            started = self._clock.now()
            try:
                reason = self._one_life()
            except OSError as error:
                reason = f"the MIDI process cannot be started: {error}"
            except Exception:  # the thread's outermost guard: a fault here costs a moment of MIDI, not all of it
                log.exception("a fault in the MIDI input")
                reason = "a fault in the MIDI input (see the log)"
            self._drop_ports(())
            if self._stop.is_set() or reason == "":
                return
            attempt = 0 if self._clock.now() - started > 10.0 else attempt + 1
            self.restarts += 1
            self._say("warn", f"{reason}; trying again")
            self._stop.wait(BACK_OFF[min(attempt, len(BACK_OFF) - 1)])

    def _one_life(self) -> str:
        """Run one MIDI process to its end; return why it ended, or ``""`` if there is no use in another."""
        child = self._child = spawn(self._options)
        speaker = Speaker(child)
        self.feedback.begin(speaker if self._strikes < STRIKES else None)
        self._heard = self._clock.now() + START_GRACE
        told: list[str | None] = [None]
        reader = threading.Thread(target=self._listen, args=(child, speaker, told), name="midi-reader", daemon=True)
        reader.start()
        hung = False
        try:
            while reader.is_alive() and not self._stop.is_set():
                if self._clock.now() - self._heard > SILENT_TOO_LONG:
                    hung = True
                    child.kill()
                    break
                self._tick()
                # Wakes at once when asked to stop, and soon enough after the process ended.
                self._stop.wait(TICK)
            if self._stop.is_set():
                self.feedback.put_out()
        finally:
            end(child, 0.5)
            reader.join(1.0)
            if child.stdout is not None and not reader.is_alive():
                child.stdout.close()
        if hung:
            return self._after_hanging(speaker)
        return told[0] if told[0] is not None else f"the MIDI process ended (status {child.returncode})"

    def _after_hanging(self, speaker: Speaker) -> str:
        """Count a MIDI process that hung while lights were on their way: that may be what it hangs on."""
        if not speaker.idle:
            self._strikes += 1
            if self._strikes == STRIKES:
                return "the MIDI system does not answer while lights are sent: they stay off from now on"
        return "the MIDI system does not answer"

    def _tick(self) -> None:
        """Learn, take over what was learnt, and keep the lights up to date."""
        now = self._clock.now()
        if self.learner.tick(now):
            self._remap(now)
        if self.learner.armed != self._armed:
            self._armed = self.learner.armed
            with self._lock:  # what is held while learning begins would never be seen to come up
                for reader in self._readers.values():
                    for event in reader.release_all(now):
                        self._events.put(event)
        self.feedback.tick(now, self._readers, self.learner.target)

    def _remap(self, now: float) -> None:
        with self._lock:
            self._setups.clear()
            for port, reader in self._readers.items():
                for event in reader.remap(self._setup(port).mapping, now):
                    self._events.put(event)

    # ------------------------------------------------------------ the reading thread

    def _listen(self, child: subprocess.Popen[bytes], speaker: Speaker, told: list[str | None]) -> None:
        assert child.stdout is not None
        for kind, *rest in lines(child.stdout):
            self._heard = self._clock.now()
            if kind == "midi":
                self._message(*rest)
            elif kind == "ports":
                self._set_ports(*rest)
            elif kind == "took":
                speaker.took(*rest)
            elif kind == "none":
                self._say("warn", f"no MIDI here: {rest[0]}. The show goes on; MIDI joins in when it appears")
            elif kind == "missing":
                self._say("error", str(missing_rtmidi()))
                told[0] = ""
            elif kind in ("lost", "fault"):
                log.log(logging.ERROR if kind == "fault" else logging.DEBUG, "MIDI process: %s", rest[0])
                told[0] = rest[0].strip().splitlines()[-1]

    def _message(self, stamp: float, port: str, data: list[int]) -> None:
        self.received += 1
        time = self._session_time(stamp)
        if self._tap is not None:
            self._tap(port, data, time)
        if self.learner.hear(port, data, time):
            return
        with self._lock:
            try:
                events = self._reader(port).read(data, time)
            except ValueError as error:
                self.malformed += 1
                if self.malformed == 1:
                    log.warning("%s sent something that is not MIDI (%s); counting from here on", port, error)
                return
            for event in events:
                self._events.put(event)

    def _reader(self, port: str) -> MidiReader:
        reader = self._readers.get(port)
        if reader is None:
            mapping = self._setup(port).mapping
            reader = self._readers[port] = MidiReader(mapping, f"midi:{short(port)}", self._present)
            reader.go_to(self._banks.get(short(port), reader.bank))
        return reader

    def _setup(self, port: str) -> PortSetup:
        setup = self._setups.get(port)
        if setup is None:
            setup = self._setups[port] = self._rig.for_port(port, self.learner.learnt)
        return setup

    def _where(self, port: str) -> tuple[PortSetup, int]:
        with self._lock:
            return self._setup(port), self._reader(port).bank

    def _session_time(self, stamp: float) -> float:
        """Return the session time of a reading of the machine's monotonic counter, which all processes share."""
        now = self._clock.now()
        time = min(now, stamp + self._offset)
        # A clock that does not run with the counter cannot tell: then the message happened now. What comes late on a
        # busy machine keeps its order all the same.
        self._latest = max(self._latest, time if now - time < 1.0 else now)
        return self._latest

    def _set_ports(self, connected: list[str], available: list[str], outputs: list[str]) -> None:
        self._drop_ports(connected)
        with self._lock:
            for port in connected:
                self._reader(port)
            self.feedback.connect({port: self._setup(port) for port in connected}, outputs)
        self.connected = tuple(connected)
        missing = [name for name in self._wanted if not any(name.lower() in port.lower() for port in connected)]
        here = {short(name) for name in connected}
        gone = sorted(self._ever - here)
        self._ever |= here
        if missing:
            there = ", ".join(available) or "none at all"
            self._say("warn", f"waiting for MIDI input {', '.join(missing)}; there is: {there}")
        elif gone:
            self._say("warn", f"{', '.join(gone)} is gone; it is taken up again when it comes back")
        else:
            self._say("ok", ", ".join(sorted(here)) or "no controller yet")

    def _drop_ports(self, connected: Sequence[str]) -> None:
        """Let go of what ports outside ``connected`` hold."""
        with self._lock:
            for name in [name for name in self._readers if name not in connected]:
                reader = self._readers.pop(name)
                self._banks[short(name)] = reader.bank  # it comes back in the bank in which it was unplugged
                for event in reader.release_all(self._clock.now()):
                    self._events.put(event)
        self.connected = tuple(name for name in self.connected if name in connected)

    # ------------------------------------------------------------ what is said

    def _say(self, level: Literal["ok", "warn", "error"], message: str, component: str = "midi") -> None:
        log.log(logging.INFO if level == "ok" else logging.WARNING, "%s", message)
        self._events.put(
            StatusChanged(time=self._clock.now(), source="midi", component=component, level=level, message=message)
        )

    def _say_learning(self, level: Literal["ok", "warn", "error"], message: str) -> None:
        self._say(level, message, "midi learn")


def _offset(clock: Clock) -> float:
    """Return s from the monotonic counter to session time, by the least disturbed of a few looks."""
    looks = []
    for _ in range(8):
        before, now, after = _RAW.now(), clock.now(), _RAW.now()
        looks.append((after - before, now - (before + after) / 2.0))
    return min(looks)[1]
