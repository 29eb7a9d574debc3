"""What is known of a run without opening it: how far it is, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from vjengine.errors import RecordError, ResumeError
from vjengine.offline import disk
from vjengine.offline.lock import FolderLock

STATE, WORK = "state.json", "base.run"
PARTS = ".parts"
"""What the name of a folder ends in where a film is being finished."""
RUNNING, STOPPED, FAILED, DONE, KILLED = "running", "stopped", "failed", "done", "killed"
SINGLE = "single"
"""Name of the run of one cycle that is only looked at: no film is made of it."""
_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class State:
    """A run.

    Attributes:
        title, mode, backend: as prompt.md had them.
        state: ``running``, ``done``, ``stopped`` (by hand), ``failed``, ``killed`` (it says running, and nobody is).
        cycles: chunks made; ``wanted``: chunks asked for, 0 if that is not known yet.
        frames: pictures; ``fps``: a second.
        error: the last one, in words; kept until a cycle succeeds again.
        standby: cycles that the built-in continuation made because the backend failed.
        finished: what the final film was made of, to see whether it is of all there is.
        film: name of the final film; empty if there is none.
        sums: SHA-256 of its films, by name.
    """

    title: str = ""
    mode: str = ""
    backend: str = ""
    state: str = RUNNING
    cycles: int = 0
    wanted: int = 0
    frames: int = 0
    fps: float = 0.0
    error: str = ""
    standby: tuple[int, ...] = ()
    finished: str = ""
    film: str = ""
    sums: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """s of film there are."""
        return self.frames / self.fps if self.fps else 0.0

    def write(self, run: Path, **changes: Any) -> State:
        """Return this with ``changes``, as kept in the folder ``run``.

        Raises:
            RecordError: if the disk refuses; what was there stays.
        """
        state = replace(self, **changes)
        disk.write_json(run / STATE, asdict(state))
        return state


def read_state(run: Path) -> State | None:
    """Return the state in the folder ``run``; None if there is none that can be read."""
    try:
        with (run / STATE).open("rb") as file:
            data = json.loads(file.read(_MOST))
        known = {entry.name for entry in fields(State)}
        state = State(**{key: value for key, value in data.items() if key in known})
        sums = {str(name): str(digest) for name, digest in state.sums.items()}
        state = replace(state, standby=tuple(int(cycle) for cycle in state.standby), sums=sums)
        if not isinstance(state.frames, int) or not isinstance(state.fps, int | float):
            return None
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return replace(state, state=KILLED) if state.state == RUNNING and not at_work(run) else state


def to_be_made(run: Path, state: State) -> str:
    """Return in words what is missing though no cycle is being made; empty if there is nothing to tell.

    Cycles that are all made are no film yet: that is put together and finished after them.
    """
    if state.state == RUNNING or not state.frames or run.name == SINGLE:
        return ""
    if any(_held(folder) for folder in run.glob(f"*{PARTS}") if folder.is_dir()):
        return "the final film is being made"
    if state.finished and (run / state.film).is_file():
        return ""
    return f"the final film is still to be made: vjengine assemble -n {run.name}"


def at_work(run: Path) -> bool:
    """Return whether a process is at work in the folder ``run``: makes cycles, or finishes the film."""
    return any(_held(folder) for folder in (run / WORK, *run.glob(f"*{PARTS}")) if folder.is_dir())


def _held(folder: Path) -> bool:
    try:
        FolderLock(folder).release()
    except ResumeError:
        return True
    except RecordError:  # on a disk that cannot be written nobody is at work
        return False
    return False


def runs_of(folder: Path) -> Iterator[Path]:
    """Yield the runs in ``folder``, by name."""
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.is_dir() and ((path / STATE).is_file() or (path / WORK).is_dir()):
                yield path


def disk_use(path: Path) -> int:
    """Return the bytes that ``path`` takes; a file under two names counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for each in [path, *path.rglob("*")] if path.is_dir() else [path]:
        try:
            about = each.lstat()
        except OSError:
            continue
        if each.is_file() and (about.st_dev, about.st_ino) not in seen:
            seen.add((about.st_dev, about.st_ino))
            total += about.st_size
    return total
