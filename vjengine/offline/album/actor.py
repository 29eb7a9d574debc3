"""A worker of a Ray cluster. It shares no disk with whoever asks: tracks come to it and clips go back as bytes."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vjengine import __version__
from vjengine.offline.album.job import Input, Job, TrackFilm
from vjengine.offline.album.work import Fault
from vjengine.offline.album.worker import attempt, share_processor
from vjengine.offline.manifest import file_hash

_DECIDING = ("numpy", "av", "opencv-python-headless", "moderngl")


def versions() -> dict[str, str]:
    """Return what decides a film's bytes and may differ from machine to machine."""
    found = {"vjengine": __version__, "machine": platform.machine()}
    for name in _DECIDING:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


class TrackActor:
    """Resident: its libraries are loaded once. Any number of tracks, one at a time.

    Args:
        threads: processors it may use; None all that there are.
    """

    def __init__(self, threads: int | None) -> None:
        if threads is not None:
            share_processor(threads)
        self._doing = ("waiting", 0, 0)

    def hello(self) -> dict[str, Any]:
        """Return the machine's name, this process's id, and versions."""
        return {"node": platform.node(), "pid": os.getpid(), "versions": versions()}

    def progress(self) -> tuple[int, str, int, int]:
        """Return process id, what is done, pictures made, and of how many."""
        return (os.getpid(), *self._doing)

    def missing(self, inputs: Sequence[Input]) -> list[str]:
        """Return the roles of those inputs that are not, or not the same, on this machine."""
        return [item.role for item in inputs if not _same(item)]

    def render(self, job: Job, sent: Mapping[str, bytes], token: str) -> tuple[str, TrackFilm | Fault, dict[str, int]]:
        """Do ``job`` in a folder of this machine.

        Args:
            job: what to do.
            sent: role -> bytes of those inputs that are missing here.
            token: names the job's folder; a job begun anew after a crash finds its own rubbish and clears it.

        Returns:
            what :func:`~vjengine.offline.album.worker.attempt` does, and the clips' names and sizes, bytes.
        """
        folder = _folder(token)
        shutil.rmtree(folder, ignore_errors=True)
        clips = folder / "clips"
        clips.mkdir(parents=True)
        places = {item.role: item.path for item in job.inputs}
        for role, data in sent.items():
            places[role] = folder / f"{role}{places[role].suffix}"
            places[role].write_bytes(data)
        here = job.at(places, cache=_base() / "heard")

        def tell(doing: str, done: int, total: int) -> None:
            self._doing = (doing, done, total)

        try:
            kind, result = attempt(here, clips, tell)
        finally:
            self._doing = ("waiting", 0, 0)
        return kind, result, {path.name: path.stat().st_size for path in sorted(clips.iterdir())}

    def fetch(self, token: str, name: str, offset: int, size: int) -> bytes:
        """Return ``size`` bytes of a clip from ``offset`` on."""
        with (_folder(token) / "clips" / Path(name).name).open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def forget(self, token: str) -> None:
        """Delete what was made for a job."""
        shutil.rmtree(_folder(token), ignore_errors=True)


def _base() -> Path:
    return Path(tempfile.gettempdir()) / "vjengine-album"


def _folder(token: str) -> Path:
    return _base() / token


def _same(item: Input) -> bool:
    try:
        return item.path.is_file() and file_hash(item.path) == item.sha256
    except OSError:
        return False
