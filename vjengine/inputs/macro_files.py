"""Macros as files: what a script puts into the live folder reaches the engine, and what the engine does shows there.

Two directions, one known state between them: what both sides last agreed on. A file that differs from it becomes an
event. An engine that differs from it, by MIDI, OSC, keys or panic, is known first and written second, so our own
writing never comes back as an event. Last word wins.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Mapping
from pathlib import Path

from vjengine.core.clock import Clock
from vjengine.core.control import ControlState
from vjengine.core.events import Event, MacroLevel, MacroSet, StatusChanged
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.macros import MacroDef
from vjengine.inputs.engine_mark import EngineMark
from vjengine.inputs.folder_watch import FolderWatch
from vjengine.inputs.macro_folder import MacroFolder, Reading

log = logging.getLogger(__name__)

COMPONENT = "macro files"
MIRROR_PERIOD = 1.0 / 30.0
"""s between two looks at the control state: a level's file is written at most this often."""
POLL_PERIOD = 0.2
"""s between two looks at the whole folder while hints come."""
CLAIM_PERIOD = 2.0
"""s between two tries to take over a folder that another engine uses."""
BLANK_SECONDS = 0.05
"""How long a level's file may be empty before that means full on: a shell empties a file before it writes to it."""
SETTLE_SECONDS = 0.15
"""By how much the control state must be newer than a macro's last file event before it may speak against it."""
RETRY_PERIOD = 1.0
"""s after which a file that could not be written is tried again."""
_SAME = 5e-5


class MacroFiles:
    """The live macro folder ``folder``, followed and written to.

    Args:
        folder: made if it is missing.
        macros: those that have a file.
        control: the engine's state, from which changes made elsewhere are mirrored as files.
        clock: session time.
        events: receives ``MacroSet`` and ``MacroLevel`` with source ``"file"``, and ``StatusChanged``.
    """

    def __init__(
        self,
        folder: Path,
        macros: Mapping[str, MacroDef],
        control: Latest[ControlState],
        clock: Clock,
        events: EventQueue,
    ) -> None:
        self.folder = folder
        self._macros = macros
        self._control = control
        self._clock = clock
        self._events = events
        self._disk = MacroFolder(folder, macros)
        self._watch = FolderWatch(folder, self._on_hint)
        self._mark: EngineMark | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        # All of these are guarded by the lock.
        self._known: dict[str, float] = dict.fromkeys(macros, 0.0)
        self._writing: set[str] = set()
        self._blank_since: dict[str, float] = {}
        self._told_at: dict[str, float] = {}
        # These belong to the thread alone, once it runs.
        self._try_again: dict[str, float] = {}
        self._mine: set[str] = set()
        self._write_faults: dict[str, str] = {}
        self._complaints: dict[str, str] = {}
        self._ready = False
        self._other: int | None = None
        self._next_claim = 0.0

    def start(self) -> None:
        """Clear what a dead run left, apply what is meant to last, and begin to follow.

        Never raises: a folder that cannot be used is reported and tried again.
        """
        if self._thread is not None:
            return
        self._stopping.clear()
        self._poll()
        self._thread = threading.Thread(target=self._run, name="macro files", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following; remove the files of momentary macros that this engine made, and its mark."""
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(2.0)
        self._watch.stop()
        for name in self._mine:
            if self._macros[name].kind == "momentary":
                with contextlib.suppress(OSError):
                    self._disk.remove(name)
        self._mine.clear()
        if self._mark is not None:
            self._mark.release()
            self._mark = None
        self._ready = False

    # ------------------------------------------------------------ start

    def _prepare(self) -> None:
        """Make the folder ours: the mark, no stale momentary files, a file for what starts switched on.

        Raises:
            OSError: if the folder cannot be made or listed. One that can only be read is followed all the same.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        present, _ = self._disk.scan()
        self._claim()
        for name in self._macros:
            try:
                known = self._settle(name, there=name in present)
            except OSError as error:
                known = 1.0 if name in present else 0.0
                self._write_faults["(folder)"] = f"{self.folder} cannot be written to ({error.strerror})"
            with self._lock:
                self._known[name] = known
        self._ready = True

    def _settle(self, name: str, *, there: bool) -> float:
        """Bring one macro's file into its state at the start; return what the engine knows of it by then."""
        macro = self._macros[name]
        if self._other is not None:
            return macro.initial
        if macro.kind == "momentary":
            self._disk.remove(name)
        elif macro.initial > 0.0 and not there:
            self._disk.write(name, macro.initial)
        return macro.initial

    def _claim(self) -> None:
        """Set this engine's mark, or note whose is there."""
        mark = EngineMark(self.folder)
        try:
            self._other = mark.claim()
        except OSError as error:
            self._other = None
            self._write_faults["(folder)"] = f"{self.folder} cannot be written to ({error.strerror})"
            return
        if self._other is None:
            self._mark = mark

    # ------------------------------------------------------------ from files

    def _on_hint(self, file_name: str, finished: bool) -> None:
        macro = self._disk.macro_of(file_name)
        if macro is not None:
            self._check(macro, finished=finished)

    def _check(self, macro: str, *, finished: bool = False) -> bool:
        """Compare a macro's file with what is known; return True if that made an event."""
        with self._lock:
            if macro in self._writing:
                return False
            reading = self._disk.read(macro)
            if reading.value is None or (reading.blank and not finished and not self._blank_settled(macro, reading)):
                return False
            self._blank_since.pop(macro, None)
            if abs(reading.value - self._known[macro]) < _SAME:
                return False
            now = self._clock.now()
            event: Event = (
                MacroLevel(time=now, source="file", macro=macro, value=reading.value)
                if self._macros[macro].kind == "level"
                else MacroSet(time=now, source="file", macro=macro, value=reading.value)
            )
            if not self._events.put(event):
                return False  # the queue is full; the next poll finds the difference again
            self._known[macro] = reading.value
            self._told_at[macro] = now
            return True

    def _blank_settled(self, macro: str, reading: Reading) -> bool:
        """Return True if a blank file has been so for long enough to be meant."""
        if self._known[macro] == reading.value:
            return True
        now = self._clock.now()
        return now - self._blank_since.setdefault(macro, now) >= BLANK_SECONDS

    def _poll(self) -> None:
        """Look at everything: the net under the hints, and the place where faults are told."""
        complaints = dict(self._write_faults)
        missed = False
        try:
            if not self._ready:
                self._prepare()
            self.folder.mkdir(parents=True, exist_ok=True)
            _, strange = self._disk.scan()
        except OSError as error:
            complaints["(folder)"] = f"{self.folder} cannot be used: {error.strerror or error}"
        else:
            complaints.update((name, f"{name!r} is no macro and is ignored") for name in strange)
            for name in self._macros:
                complaints.update((file, f"{file!r} {what}") for file, what in self._disk.read(name).faults)
                missed |= self._check(name)
        now = self._clock.now()
        if self._other is not None and now >= self._next_claim:
            self._next_claim = now + CLAIM_PERIOD
            self._claim()
        if self._other is not None:
            complaints["(engine)"] = f"another engine (process {self._other}) uses {self.folder}; nothing was cleared"
        self._watch.tend(now, missed=missed)
        if self._watch.problem and "(folder)" not in complaints:
            complaints["(watch)"] = self._watch.problem
        self._complain(complaints)

    def _complain(self, complaints: dict[str, str]) -> None:
        """Tell each new complaint once, and tell when the last one is gone."""
        before, self._complaints = self._complaints, complaints
        fresh = [text for key, text in complaints.items() if before.get(key) != text]
        for text in fresh[:8]:
            log.warning("%s: %s", COMPONENT, text)
        if fresh:
            more = f" (and {len(complaints) - 1} more)" if len(complaints) > 1 else ""
            self._tell(StatusChanged(component=COMPONENT, level="warn", message=fresh[0] + more))
        elif before and not complaints:
            self._tell(StatusChanged(component=COMPONENT, level="ok"))

    def _tell(self, status: StatusChanged) -> None:
        self._events.put(
            StatusChanged(
                time=self._clock.now(), source="file", component=COMPONENT, level=status.level, message=status.message
            )
        )

    # ------------------------------------------------------------ to files

    def _follow(self) -> None:
        """Write the files of macros that stand elsewhere in the engine than is known here."""
        if not self._ready:
            return
        state = self._control.read()
        for name, macro_state in state.macros.items():
            if name in self._known:
                self._mirror(name, round(macro_state.requested, 4), state.time.time)

    def _mirror(self, name: str, wanted: float, control_time: float) -> None:
        now = self._clock.now()
        with self._lock:
            before = self._known[name]
            if abs(wanted - before) < _SAME:
                self._write_faults.pop(name, None)
                return
            if now < self._try_again.get(name, 0.0):
                return
            if control_time < self._told_at.get(name, float("-inf")) + SETTLE_SECONDS:
                return  # the control state may not have seen the file's last word yet
            self._known[name] = wanted
            self._writing.add(name)
        try:
            self._disk.write(name, wanted)
        except OSError as error:
            with self._lock:
                self._known[name] = before
            self._try_again[name] = now + RETRY_PERIOD
            self._write_faults[name] = f"the file of {name} cannot be written ({error.strerror or error})"
        else:
            self._write_faults.pop(name, None)
            if wanted > 0.0:
                self._mine.add(name)
        finally:
            with self._lock:
                self._writing.discard(name)
        self._check(name, finished=True)

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        next_poll = 0.0
        faults = 0
        while not self._stopping.wait(MIRROR_PERIOD):
            try:
                self._follow()
                now = self._clock.now()
                if now >= next_poll:
                    next_poll = now + (POLL_PERIOD if not self._watch.problem else 0.0)
                    self._poll()
                else:
                    for name in list(self._blank_since):
                        self._check(name)
            except Exception:  # the guard of the whole thread: macros by file must outlive any surprise
                faults += 1
                if faults == 1:
                    log.exception("following the macro folder failed; further failures are only counted")
                    self._tell(StatusChanged(component=COMPONENT, level="warn", message="see the log; still trying"))
