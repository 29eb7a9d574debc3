"""What of a project's runs can be deleted, how much it is, and what is never deleted unasked."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vjengine.errors import RecordError
from vjengine.offline.project.bundle import CONFIG
from vjengine.offline.project.keep import BASE, CLIPS, IMAGES
from vjengine.offline.project.state import STATE, WORK, at_work, disk_use, read_state, runs_of


@dataclass(frozen=True, slots=True)
class Waste:
    """Something that may be deleted.

    Attributes:
        path: file or folder.
        size: bytes.
        words: what it is, and what goes with it.
    """

    path: Path
    size: int
    words: str


def find_waste(runs: Path, names: Sequence[str] = (), *, all_of_it: bool = False) -> list[Waste]:
    """Return what may be deleted in the folder ``runs``, never what a process is at work in.

    Args:
        runs: a project's runs.
        names: only these; all if there are none.
        all_of_it: whole runs, films and all, instead of what films can do without.
    """
    found: list[Waste] = []
    for run in runs_of(runs):
        if (names and run.name not in names) or at_work(run):
            continue
        state = read_state(run)
        if all_of_it:
            film = f", with the film {state.film}" if state and state.film else ""
            found.append(_waste(run, f"the whole run{film}"))
            continue
        film_there = bool(state and state.film and (run / state.film).is_file())
        for path in sorted(run.iterdir()):
            if path.name.endswith((".part", ".partial", ".parts")) or ".partial." in path.name:
                found.append(_waste(path, "left by an interrupted write"))
            elif path.name == CLIPS and path.is_dir():
                found.append(_waste(path, "clips of the cycles"))
            elif path.name == IMAGES and path.is_dir():
                found.append(_waste(path, "pictures of the cycles"))
            elif film_there and path.name == WORK:
                found.append(_waste(path, "the state: the run can then not go on"))
            elif film_there and path.name == BASE:
                found.append(_waste(path, "the base film: the final one stays"))
    return [waste for waste in found if waste.path.name not in (STATE, CONFIG)]


def delete(waste: Sequence[Waste]) -> None:
    """Delete what :func:`find_waste` found.

    Raises:
        RecordError: if the disk refuses; says what is left.
    """
    for each in waste:
        try:
            if each.path.is_dir():
                shutil.rmtree(each.path)
            else:
                each.path.unlink(missing_ok=True)
        except OSError as error:
            raise RecordError(f"{each.path} cannot be deleted: {error.strerror or error}; it is left there") from error


def _waste(path: Path, words: str) -> Waste:
    return Waste(path, disk_use(path), words)
