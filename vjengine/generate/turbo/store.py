"""Models on this machine: where they are, whether they are whole, and getting them from the hub."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import platformdirs

from vjengine.errors import GeneratorError, UsageError
from vjengine.generate.turbo.catalogue import CATALOGUE, WEIGHTS, Source, read_name
from vjengine.generate.turbo.hub import Hub, Listing, RemoteFile, choose_files
from vjengine.generate.turbo.locks import Lock, Locks

RESERVE = 256 << 20
"""Bytes that a pull leaves free on the disk."""

State = Literal["complete", "partial", "missing"]


def models_folder() -> Path:
    """Return where models live: ``$VJENGINE_MODELS``, else a folder of the user's cache."""
    told = os.environ.get("VJENGINE_MODELS")
    if told:
        return Path(told).expanduser()
    return Path(platformdirs.user_cache_dir("vjengine", appauthor=False)) / "models"


def told_offline() -> bool:
    """True if the environment says that there is no network (``HF_HUB_OFFLINE``)."""
    return os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in ("1", "true", "yes", "on")


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What a pull will do.

    Attributes:
        locks: the repositories, in order.
        total: bytes of all their files.
        needed: bytes that are not here yet.
        free: bytes free on the disk.
        folder: where they go.
    """

    locks: tuple[Lock, ...]
    total: int
    needed: int
    free: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull or a verification is: the file, and bytes done of all."""

    stage: Literal["download", "check"]
    file: str
    done: int
    total: int


Tell = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Stored:
    """A line of the list.

    Attributes:
        name: to pull or play it by.
        state: whether it can be played.
        size: bytes when complete; with all parts while nothing is here, without what it shares afterwards.
        present: bytes that are here.
        commit: what it is pinned to; empty if that is not known yet.
        doc: one line.
        licence: in words.
        part: True for what only serves other models.
    """

    name: str
    state: State
    size: int
    present: int
    commit: str = ""
    doc: str = ""
    licence: str = ""
    part: bool = False


@dataclass(slots=True)
class Store:
    """The models of this machine.

    Attributes:
        folder: where they live.
        offline: True never asks the hub.
        endpoint: of the hub; None for the usual one.
    """

    folder: Path = field(default_factory=models_folder)
    offline: bool = field(default_factory=told_offline)
    endpoint: str | None = None

    @property
    def locks(self) -> Locks:
        """What was pulled."""
        return Locks(self.folder)

    # ------------------------------------------------------------ looking

    def models(self) -> list[Stored]:
        """Return every row of the catalogue, then everything else that was pulled."""
        names = dict.fromkeys(CATALOGUE)
        names.update(dict.fromkeys(lock.name for lock in self.locks.all()))
        return [self._stored(name) for name in names]

    def path(self, name: str) -> Path:
        """Return where the model ``name`` is: a folder, or a file if it is one.

        Only sizes are looked at; :meth:`verify` reads every byte.

        Raises:
            UsageError: no model can have that name.
            GeneratorError: it is not here, or not whole; the message says which command helps.
        """
        source = read_name(name)
        if source.kind == "random":
            raise UsageError(f"{name} is made up when it is played: it has no place on the disk")
        return source.path if source.path is not None else self._place(self.open(source.name))

    def open(self, name: str) -> Lock:
        """Return the lock of ``name`` after looking at every file's size.

        Raises:
            GeneratorError: as :meth:`path` does.
        """
        lock = self.locks.read(name)
        remedy = f"vjengine models pull {name}"
        if lock is None:
            row = CATALOGUE.get(name)
            about = f" ({size_words(row.size)})" if row else ""
            raise GeneratorError(f"the model {name} is not on this machine; get it with: {remedy}{about}")
        for file in lock.files if lock.complete else ():
            if not self.locks.whole(lock, file):
                path = self.locks.place(lock, file)
                was = f"has {path.stat().st_size} bytes, not {file.size}" if path.is_file() else "is gone"
                raise GeneratorError(f"{path} {was}; mend it with: {remedy}")
        if not lock.complete:
            raise GeneratorError(f"the model {name} is not whole; go on with: {remedy}")
        return lock

    def verify(self, name: str, progress: Tell | None = None) -> list[str]:
        """Read every byte of ``name`` and its parts; return what is wrong, empty if nothing is.

        What is wrong is marked, so that the next pull mends it.

        Raises:
            GeneratorError: it is not here at all.
        """
        locks: list[Lock] = []
        names = [name]
        for known in names:
            lock = self.locks.read(known)
            if lock is not None:
                locks.append(lock)
                names += [part for part in lock.parts if part not in names]
        if not locks or locks[0].name != name:
            raise GeneratorError(f"the model {name} is not on this machine; get it with: vjengine models pull {name}")
        wrong = []
        for lock, file in self._hashed(locks, progress):
            path = self.locks.place(lock, file)
            if file.size < 0:
                wrong.append(f"{path}: missing, or of the wrong size")
            elif file.sha256 != lock.file(file.path).sha256:
                wrong.append(f"{path}: its bytes are not those that were pulled")
            else:
                continue
            self.locks.write(replace(lock, complete=False))
        return wrong

    # ------------------------------------------------------------ getting

    def plan(self, name: str, *, update: bool = False) -> PullPlan:
        """Return what pulling ``name`` takes. Asks the hub only about what was never pulled.

        Args:
            name: of the catalogue or the hub.
            update: ask anew what the newest commit is, where none is pinned.

        Raises:
            UsageError: there is nothing to pull.
            GeneratorError: offline and not known, or what :meth:`~vjengine.generate.turbo.hub.Hub.listing` raises.
        """
        locks: dict[str, Lock] = {}
        waiting = [name]
        while waiting:
            lock = self._locked(waiting.pop(0), update=update)
            if lock.name not in locks:
                locks[lock.name] = lock
                waiting += lock.parts
        needed = sum(file.size - self.locks.here(lock, file) for lock in locks.values() for file in lock.files)
        total = sum(lock.size for lock in locks.values())
        return PullPlan(tuple(locks.values()), total, needed, _free(self.folder), self.folder)

    def pull(
        self,
        name: str,
        progress: Tell | None = None,
        *,
        told: Callable[[PullPlan], None] | None = None,
        update: bool = False,
    ) -> Path:
        """Bring ``name`` and its parts here, whole and checked; return where it is.

        Interrupted in any way, the next call goes on where it stopped. A model that is here costs no network.

        Args:
            name: of the catalogue or the hub.
            progress: told how far it is.
            told: told the plan before the first byte.
            update: as for :meth:`plan`.

        Raises:
            UsageError: there is nothing to pull.
            GeneratorError: offline, no room on the disk, or the transfer stopped.
        """
        plan = self.plan(name, update=update)
        if told is not None:
            told(plan)
        if plan.needed and plan.needed + RESERVE > plan.free:
            raise GeneratorError(
                f"{name} needs {size_words(plan.needed)} more, and {size_words(plan.free)} are free in {self.folder}: "
                "make room, or set VJENGINE_MODELS to a folder on a larger disk"
            )
        if plan.needed and self.offline:
            raise GeneratorError(_offline(name, plan.needed))
        if plan.needed or not all(lock.complete for lock in plan.locks):
            self._fetch(plan, progress)
        return self._place(self.open(plan.locks[0].name))

    def _fetch(self, plan: PullPlan, progress: Tell | None) -> None:
        import filelock

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self.folder / ".pull.lock", timeout=0):
                for lock in plan.locks:
                    self.locks.write(replace(lock, complete=False))
                for attempt in (1, 2):
                    self._transfer(plan, progress)
                    if self._settle(plan, progress, last=attempt == 2):
                        return
        except filelock.Timeout as error:
            raise GeneratorError(f"another pull into {self.folder} is under way: wait for it") from error
        except OSError as error:
            raise GeneratorError(f"{self.folder} cannot be written: {error.strerror or error}") from error

    def _transfer(self, plan: PullPlan, progress: Tell | None) -> None:
        """Download what is not here."""
        hub: Hub | None = None
        done = 0
        for lock in plan.locks:
            for file in lock.files:
                if not self.locks.whole(lock, file):
                    if self.offline:
                        raise GeneratorError(_offline(lock.name, file.size))
                    hub = hub or Hub(self.endpoint)
                    target = self.locks.place(lock, file)
                    target.unlink(missing_ok=True)
                    hub.download(lock.repo, lock.commit, file, target, _from(done, plan.total, file, progress))
                done += file.size

    def _settle(self, plan: PullPlan, progress: Tell | None, *, last: bool) -> bool:
        """Check every hash and mark what is whole as complete; throw away what is not, so that it comes anew."""
        found: dict[str, list[RemoteFile]] = {lock.name: [] for lock in plan.locks}
        bad: list[Path] = []
        for lock, file in self._hashed(plan.locks, progress):
            wanted = lock.file(file.path)
            same = file.sha256 == wanted.sha256 if wanted.sha256 else file.git_sha1 == wanted.git_sha1
            if file.size < 0 or not same:
                bad.append(self.locks.place(lock, file))
            found[lock.name].append(file)
        for path in bad:
            path.unlink(missing_ok=True)
        if bad and last:
            raise GeneratorError(f"{bad[0].name} came damaged from the hub, twice: try later, or another network")
        if bad:
            return False
        for lock in plan.locks:
            self.locks.write(replace(lock, files=tuple(found[lock.name]), complete=True))
        return True

    def _hashed(self, locks: Sequence[Lock], progress: Tell | None) -> Iterator[tuple[Lock, RemoteFile]]:
        total, done = sum(lock.size for lock in locks), 0
        for lock, file, read in self.locks.hashed(locks):
            done += read
            if progress is not None and read:
                progress(Progress("check", file.path, done, total))
            if file.sha256 or file.size < 0:
                yield lock, file

    def _locked(self, name: str, *, update: bool) -> Lock:
        """Return the lock of ``name``: as kept, or as the hub has it now."""
        source = read_name(name)
        if source.repo is None:
            where = "is made up when it is played" if source.kind == "random" else "is on this machine already"
            raise UsageError(f"{name} {where}: there is nothing to pull")
        kept = self.locks.read(source.name)
        pin = source.repo.revision
        # The pin of the catalogue can move with a newer vjengine; a name of the hub stays where it was first pulled.
        moved = kept is not None and source.row is not None and pin is not None and kept.commit != pin
        if kept is not None and (self.offline or not (update or moved)):
            return kept
        if self.offline:
            raise GeneratorError(_offline(name, source.row.size if source.row else 0))
        return _new_lock(source, Hub(self.endpoint).listing(source.repo.id, pin))

    def _stored(self, name: str) -> Stored:
        row, lock = CATALOGUE.get(name), self.locks.read(name)
        doc, licence = (row.doc, row.licence) if row else ("from the hub", "see its page on the hub")
        part = row is not None and row.kind is None and not row.film
        if lock is None:
            return Stored(name, "missing", row.size if row else 0, 0, "", doc, licence, part)
        whole = lock.complete and all(self.locks.whole(lock, file) for file in lock.files)
        present = sum(self.locks.here(lock, file) for file in lock.files)
        return Stored(name, "complete" if whole else "partial", lock.size, present, lock.commit, doc, licence, part)

    def _place(self, lock: Lock) -> Path:
        lone = len(lock.files) == 1 and lock.files[0].path.endswith(WEIGHTS)
        return self.locks.place(lock, lock.files[0]) if lone else self.locks.root(lock)


def size_words(size: int) -> str:
    """Return ``size`` bytes in words.

    >>> size_words(2_600_000_000)
    '2.6 GB'
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def _from(done: int, total: int, file: RemoteFile, progress: Tell | None) -> Callable[[int], None]:
    """Return what turns bytes of ``file`` into progress of the whole pull, of which ``done`` bytes came before."""

    def tell(here: int) -> None:
        if progress is not None:
            progress(Progress("download", file.path, done + here, total))

    return tell


def _new_lock(source: Source, listing: Listing) -> Lock:
    """Return the lock for what ``source`` names, out of what the hub lists."""
    assert source.repo is not None
    names = {file.path: file for file in listing.files}
    row = source.row
    wanted = source.repo.files or choose_files(listing.repo, names, ("vae",) if row and row.full_vae else ())
    absent = [name for name in wanted if name not in names]
    if absent:
        raise GeneratorError(f"{listing.repo} has no {absent[0]} at {listing.commit[:12]}")
    parts = row.parts if row else ()
    if row is None and "model_index.json" in wanted:
        parts = ("taesdxl",) if any(name.startswith("text_encoder_2/") for name in wanted) else ("taesd",)
    return Lock(source.name, listing.repo, listing.commit, tuple(names[name] for name in wanted), parts)


def _free(folder: Path) -> int:
    """Return the bytes free on the disk that ``folder`` is or will be on."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _offline(name: str, size: int) -> str:
    about = f" ({size_words(size)})" if size else ""
    return (
        f"{name} is not here{about}, and this run is offline: pull it while there is a network (without --offline and "
        "HF_HUB_OFFLINE), or copy the models' folder from another machine"
    )
