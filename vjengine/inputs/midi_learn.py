"""MIDI learn: name a macro or parameter, move a control, and it is mapped, now and after the next start.

What was learnt is kept in one file of the performer's, in the format of every map file, to be edited by hand at will.
"""

from __future__ import annotations

import os
import queue
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from vjengine.core.events import LearnMidi
from vjengine.core.params import PARAMS
from vjengine.errors import ConfigError, InputError, UsageError, VJError
from vjengine.inputs.midi_detect import Moved, counts, nature, weight
from vjengine.inputs.midi_map import Control, Row, Target
from vjengine.inputs.midi_map_file import MapFile, parse_map
from vjengine.inputs.midi_message import decode
from vjengine.inputs.midi_names import short
from vjengine.inputs.midi_rig import MidiRig, PortSetup
from vjengine.inputs.midi_rows import SECTIONS, row_reader
from vjengine.strict_yaml import Place, read_yaml, suggest

WINDOW = 0.4
"""s for which movement is collected, from the first, before it is decided which control it was, and of what kind."""
LOOK_EVERY = 1.0
"""s between two looks at whether the file was edited by hand."""
UNDO = 32
SAY_FOR = 6.0
"""s for which a result is shown."""
HEADER = """\
# What `vjengine midi learn` has mapped, by controller. Edit it at will: a running show takes it over within a second,
# and presets/midi/default.yaml explains the rows. Learning writes this file anew and keeps no other comments.
"""
_SECTION_OF = {kind: name for name, kind in SECTIONS.items()}

Say = Callable[[Literal["ok", "warn", "error"], str], None]
Where = Callable[[str], tuple[PortSetup, int]]
"""Says what a port plays, and which bank it is in."""


def learnt_file() -> Path:
    """Return the performer's file of what was learnt; it need not exist yet. ``$VJENGINE_MIDI_LEARNT`` wins."""
    named = os.environ.get("VJENGINE_MIDI_LEARNT", "")
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_config_dir("vjengine", appauthor=False)) / "midi-learnt.yaml"


@dataclass(frozen=True, slots=True)
class Learnt:
    """One result.

    Attributes:
        port: name of the controller, as a performer knows it.
        control: what was moved, by its name.
        target: what it does now.
        was: what it did before; empty if nothing.
    """

    port: str
    control: str
    target: str
    was: str = ""

    def __str__(self) -> str:
        was = f" (it was {self.was}; undo brings that back)" if self.was else ""
        return f"{self.target} is now {self.control} of {self.port}{was}"


class Learner:
    """Waits for a control to be moved, and maps it. All of it may be called from any thread.

    Args:
        rig: what there is to map; its ``learnt_path`` is the file.
        say: told how it goes: ``warn`` while armed and for a result, ``ok`` when there is no more to say.
        where: says what a port plays.

    Attributes:
        armed: what a control is looked for; empty if for nothing.
        target: the same, as rows know it.
        result: what was learnt last; ``None`` if nothing yet.
        learnt: what the file says, or said last while it is wrong.
    """

    def __init__(self, rig: MidiRig, say: Say, where: Where) -> None:
        self._rig = rig
        self._say = say
        self._where = where
        self._lock = threading.RLock()
        self._orders: queue.SimpleQueue[LearnMidi] = queue.SimpleQueue()
        self._port = ""
        self._moved: dict[tuple[str, Control], Moved] = {}
        self._since: float | None = None
        self._before: deque[bytes | None] = deque(maxlen=UNDO)
        self._stamp: tuple[int, int] | None = None
        self._looked = -1e9
        self._quiet_at: float | None = None
        self.armed = ""
        self.target: Target | None = None
        self.result: Learnt | None = None
        self.learnt = MapFile()

    # ------------------------------------------------------------ orders

    def order(self, event: LearnMidi) -> None:
        """Take an order of the show; done by the next :meth:`tick`, so that no frame waits for a file."""
        self._orders.put(event)

    def arm(self, target: str, port: str = "") -> None:
        """Look for a control for ``target``: a macro, a parameter, or ``tempo:tap``, ``look:next``, ``bank:2`` ….

        Args:
            target: its name.
            port: listen to controllers whose name contains this only; empty for all.

        Raises:
            UsageError: there is no such target, or no file to keep it in.
        """
        with self._lock:
            if self._rig.learnt_path is None:
                raise UsageError("learning has no file to write to")
            self.target = self._row(target).target
            self.armed, self._port = target, port
            self._moved.clear()
            self._since = None
        self._tell("warn", f"learning {target}: move a fader, turn a knob or hit a pad")

    def cancel(self) -> None:
        """Look for nothing any more."""
        with self._lock:
            was, self.armed, self.target = self.armed, "", None
            self._moved.clear()
            self._since = None
        if was:
            self._tell("ok", "")

    def undo(self) -> None:
        """Bring back what the file was before it was last learnt into.

        Raises:
            UsageError: there is nothing to undo.
            InputError: the file cannot be written.
        """
        with self._lock:
            path = self._rig.learnt_path
            if not self._before or path is None:
                raise UsageError("there is nothing learnt to undo")
            before = self._before.pop()
            try:
                if before is None:
                    path.unlink(missing_ok=True)
                else:
                    _replace(path, before)
            except OSError as error:
                raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
            self._looked = -1e9
        self._tell("warn", "the last learnt control is as it was before", passing=True)

    # ------------------------------------------------------------ what is heard

    def hear(self, port: str, data: Sequence[int], time: float) -> bool:
        """Take a message; return True if it was for learning only and must not be played. Never raises."""
        if not self.armed:
            return False
        try:
            message = decode(data)
        except ValueError:
            return False
        if message is None or (self._port and self._port.lower() not in port.lower()):
            return False
        if message.control.kind == "note" and message.value == 0:
            return False  # what was held is still let go of
        with self._lock:
            moved = self._moved.setdefault((port, message.control), Moved())
            if len(moved.values) < 256:
                moved.values.append(message.value)
            if self._since is None and counts(message, moved):
                self._since = time
        return True

    def tick(self, time: float) -> bool:
        """Do what is due at ``time`` (session s); return True if the map has changed. Reads and writes the file."""
        while not self._orders.empty():
            self._obey(self._orders.get())
        if self.armed and self._due(time):
            self._decide()
        if self._quiet_at is not None and self._quiet_at <= 0.0:
            self._quiet_at = time + SAY_FOR
        elif self._quiet_at is not None and time >= self._quiet_at and not self.armed:
            self._quiet_at = None
            self._say("ok", "")
        if time - self._looked < LOOK_EVERY:
            return False
        self._looked = time
        return self._reload()

    def _obey(self, event: LearnMidi) -> None:
        try:
            if event.undo:
                self.undo()
            elif event.target:
                self.arm(event.target, event.port)
            else:
                self.cancel()
        except VJError as error:
            self._tell("warn", str(error), passing=True)

    def _due(self, time: float) -> bool:
        with self._lock:
            if self._since is None:
                return False
            return time - self._since >= WINDOW or any(
                control.kind in ("note", "program") for _, control in self._moved
            )

    def _decide(self) -> None:
        """Map the control that was moved most."""
        with self._lock:
            (port, control), moved = max(self._moved.items(), key=lambda item: weight(item[0][1], item[1]))
            partners = {c.number for p, c in self._moved if p == port and c[:2] == control[:2]}
            target = self.armed
        setup, bank = self._where(port)
        options = nature(control, moved, partners, setup)
        if control.kind == "control" and options.get("coarse") is not None:
            control = control._replace(number=options.pop("coarse"))
        try:
            learnt = self._keep(port, control, target, options, setup, bank)
        except VJError as error:
            self.cancel()
            self._tell("error", str(error), passing=True)
            return
        with self._lock:
            self.armed, self.target = "", None
            self._moved.clear()
            self._since = None
            self._looked = -1e9
            self.result = learnt
        self._tell("warn", str(learnt), passing=True)

    # ------------------------------------------------------------ the file

    def _keep(
        self, port: str, control: Control, target: str, options: dict[str, Any], setup: PortSetup, bank: int
    ) -> Learnt:
        path = self._rig.learnt_path
        assert path is not None
        words = _words(target, self._rig)
        wanted = Row(self._row(target).target)
        entry = {**words, **(options if wanted.continuous or "encoder" in options else {})}
        # What cannot be a row is refused before it reaches the file.
        row_reader(self._rig.macros, self._rig.looks)(Place(path, target), entry, control.kind)
        old = setup.mapping.view(bank).find(control)
        try:
            before = path.read_bytes() if path.exists() else None
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
        data = self._read(path)[0] if before is not None else {}  # a broken file is told, not overwritten
        place: list[Any] = ["ports", short(port), _SECTION_OF[control.kind]]
        if len(setup.mapping.banks) > 1:
            place[2:2] = ["banks", bank]
        key: str = f"ch{control.channel}"
        if control.kind not in ("bend", "pressure"):
            key += f"/{control.number}"
        _inside(data, place)[key] = entry
        text = HEADER + yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, text.encode())
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
        self._before.append(before)
        was = str(old.target) if old is not None and old.target != wanted.target else ""
        return Learnt(short(port), setup.name_of(control), target, was)

    def _row(self, target: str) -> Row:
        """Return a plain row for ``target``. Raises UsageError."""
        try:
            return row_reader(self._rig.macros, self._rig.looks)(
                Place(Path("learn")), _words(target, self._rig), "note"
            )
        except ConfigError as error:
            known = [*self._rig.macros, *PARAMS.index]
            raise UsageError(
                f"there is no macro or parameter {target!r}; {suggest(target, known)}"
                if ":" not in target
                else f"{target!r}: expected {error.expected}"
            ) from error

    def _reload(self) -> bool:
        path = self._rig.learnt_path
        if path is None:
            return False
        try:
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
        except OSError:
            stamp = None
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self.learnt = MapFile() if stamp is None else self._read(path)[1]
        except ConfigError as error:
            self._tell("error", f"what was learnt stays as it was: {error}")
            return False
        return True

    def _read(self, path: Path) -> tuple[dict[Any, Any], MapFile]:
        """Return what the file says, raw and read; nothing but comments says nothing. Raises ConfigError."""
        try:
            data = read_yaml(path)
        except ConfigError as error:
            if error.value is None:
                return {}, MapFile()
            raise
        return data, parse_map(Place(path), data, self._rig.macros, self._rig.looks)

    def _tell(self, level: Literal["ok", "warn", "error"], message: str, *, passing: bool = False) -> None:
        self._quiet_at = 0.0 if passing else None
        self._say(level, message)


def _inside(data: dict[Any, Any], place: Sequence[Any]) -> dict[Any, Any]:
    """Return the mapping at ``place``, made if it is not there; a key written without a value counts as not there."""
    for key in place:
        if data.get(key) is None:
            data[key] = {}
        data = data[key]
    return data


def _words(target: str, rig: MidiRig) -> dict[str, Any]:
    """Return the row that a target's name asks for, as a map file would have it."""
    kind, colon, name = target.partition(":")
    if colon:
        value: Any = int(name) if name.isascii() and name.isdigit() else name
        return {kind: value}
    if target in PARAMS:
        return {"param": target}
    upper = target.upper()
    return {"macro": upper if upper in rig.macros else target}


def _replace(path: Path, content: bytes) -> None:
    """Write ``path`` so that it is the old file or the new one, whatever happens in between. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
