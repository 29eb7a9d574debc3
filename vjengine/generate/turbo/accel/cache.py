"""Built engines on disk: each under a key of everything that decides whether it may run, and never half written.

An entry is a folder named after its key's digest, with the engine files and ``entry.json``: the key's facts in plain
words, and length and SHA-256 of each file. It is filled under another name and renamed when it is whole, so a full
disk, a kill or a second process that builds the same leaves either a whole entry or none.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.plan import FramePlan, Precision, RungName

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of this layout and of what our exporters put into a network: an entry of another one is stale."""
FOLDER_VARIABLE = "VJENGINE_ENGINES"
MANIFEST = "entry.json"
CHECKED = "checked.json"
"""In an entry: length and time of change of each file when it was last read whole. Gigabytes are read once, then."""
BROKEN = "broken.txt"
"""In an entry whose files are not what was written: why. It is then not found again without a second reading."""
TIMING = "timing-"
"""Beginning of the names of timing caches, beside the entries."""
ATTEMPT = ".attempt-"
"""Beginning of the names of notes of failed builds."""
_STAGING = ".building-"  # then the builder's process id
_REPLACED = ".replaced-"  # then the process id of who replaced it


@dataclass(frozen=True, slots=True)
class EngineKey:
    """Everything that decides whether a built engine may run: another value of any of these is another engine.

    Attributes:
        rung: who made it.
        fingerprint: of the model's weights and LoRAs.
        size, precision, tiled, loras: of its :class:`~vjengine.generate.turbo.plan.FramePlan`.
        library: the distribution that built it: ``"tensorrt-rtx"``, ``"openvino"``, ``"onnxruntime"`` ...
        version: of that library.
        target: what it runs on: ``"sm89"``; ``"cpu"``.
        variant: what else there is to tell apart: ``"fp8"``; usually empty.
        format: :data:`FORMAT`.
    """

    rung: RungName
    fingerprint: str
    size: tuple[int, int]
    precision: Precision
    tiled: bool
    loras: int
    library: str
    version: str
    target: str
    variant: str = ""
    format: int = FORMAT

    @classmethod
    def of(
        cls, rung: RungName, fingerprint: str, plan: FramePlan, library: str, version: str, target: str,
        variant: str = "",
    ) -> EngineKey:  # fmt: skip
        """Return the key of an engine for ``plan``."""
        return cls(
            rung, fingerprint, plan.size, plan.precision, plan.tiled, plan.loras, library, version, target, variant
        )

    @property
    def digest(self) -> str:
        """32 hex digits, the same in every process."""
        facts = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Entry:
    """What lies in the cache, as :meth:`EngineCache.list` shows it.

    Attributes:
        folder: where.
        key: what it was built for; None if that cannot be read.
        model: the model as the performer named it.
        size_bytes: on disk.
        last_used: Unix time in s.
        fault: why it cannot be used; empty if it can.
    """

    folder: Path
    key: EngineKey | None
    model: str
    size_bytes: int
    last_used: float
    fault: str = ""

    @property
    def stale(self) -> bool:
        """True if nothing on this machine can use it any more: broken, or its library is gone or another version."""
        return bool(self.fault) or self.key is None or library_version(self.key.library) != self.key.version


class EngineCache:
    """A folder of built engines, shared by processes.

    Args:
        folder: need not exist yet; :func:`default_folder` gives the usual one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, key: EngineKey) -> bool:
        """True if there is an entry with files of the right lengths. Quick: contents are checked by :meth:`find`."""
        return self.fault(key, contents=False) == ""

    def find(self, key: EngineKey) -> Path | None:
        """Return the folder with the files of ``key``, checked to the last byte; None if there is no whole entry.

        A file that has not been touched since it was read whole is not read again.

        Of an entry that is there and cannot be used, the log says why (:meth:`fault` returns it); it is left alone.
        """
        fault = self.fault(key)
        if fault:
            if self._entry(key).exists():
                log.warning("a built engine in %s is not used: %s", self._entry(key), fault)
                if self.has(key):  # the lengths are right: only this reading has told
                    keep_aside(self._entry(key) / BROKEN, fault.encode())
            return None
        _note_checked(self._entry(key))
        with contextlib.suppress(OSError):  # a cache that can only be read still serves
            os.utime(self._entry(key) / MANIFEST)
        return self._entry(key)

    def fault(self, key: EngineKey, *, contents: bool = True) -> str:
        """Return why :meth:`find` will not return the entry of ``key``; empty if it will.

        Args:
            key: which.
            contents: read the files whole, and not only their lengths.
        """
        entry = self._entry(key)
        if not entry.is_dir():
            return "it has not been built"
        return _examine(entry, key, contents)

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """A fresh folder on the cache's own disk, to build in; gone afterwards, whatever happens.

        What a killed builder left there is swept away first.

        Raises:
            GeneratorError: if the folder cannot be written.
        """
        self.sweep()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=f"{_STAGING}{os.getpid()}-", dir=self.folder))
        except OSError as error:
            raise _cannot_write(self.folder, error) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def put(self, key: EngineKey, files: Mapping[str, bytes | Path], *, model: str = "") -> Path:
        """Store ``files`` under ``key``, all or nothing, and return their folder.

        If another process has stored a whole entry of the same key meanwhile, that one stays and ours is dropped.

        Args:
            key: what they are.
            files: content by file name. A path is moved, not copied: let it lie in :meth:`staging`.
            model: the model's name, for people.

        Raises:
            GeneratorError: if the disk is full or the folder cannot be written; nothing of it stays.
            ValueError: if a file name is not a plain name, or there is no file.
        """
        if not files or any(
            Path(name).name != name or name in ("", ".", "..", MANIFEST, CHECKED, BROKEN) for name in files
        ):
            raise ValueError(f"an engine's files need plain names, not {sorted(files)}")
        with self.staging() as folder:
            try:
                facts = {name: _store(folder / name, content) for name, content in files.items()}
                manifest = {"model": model, "key": dataclasses.asdict(key), "files": facts}
                _store(folder / MANIFEST, json.dumps(manifest, indent=2).encode())
                _note_checked(folder)
                self._install(folder, key)
            except OSError as error:
                raise _cannot_write(self.folder, error) from error
        return self._entry(key)

    def list(self) -> tuple[Entry, ...]:
        """Return all entries, the last used first. Lengths are checked, contents are not."""
        try:
            folders = [path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        except OSError:
            return ()
        entries = (_describe(folder) for folder in folders)
        return tuple(sorted(entries, key=lambda entry: (-entry.last_used, entry.folder.name)))

    def clean(self, unwanted: Callable[[Entry], bool] = lambda entry: entry.stale) -> tuple[Entry, ...]:
        """Delete the entries that are ``unwanted`` and what killed builders left; return what was deleted.

        Raises:
            GeneratorError: if one cannot be deleted.
        """
        self.sweep()
        gone = []
        for entry in self.list():
            if not unwanted(entry):
                continue
            try:
                # Without its manifest it is no entry any more, however far the deleting gets.
                (entry.folder / MANIFEST).unlink(missing_ok=True)
                shutil.rmtree(entry.folder)
            except OSError as error:
                raise GeneratorError(
                    f"{entry.folder} cannot be deleted ({error.strerror or error}); is a show using it? "
                    "Close it and try again"
                ) from error
            gone.append(entry)
        return tuple(gone)

    def clean_notes(self) -> None:
        """Delete what lies beside the entries: timings of kernels, notes of failed builds."""
        for path in (*self.folder.glob(f"{TIMING}*"), *self.folder.glob(f"{ATTEMPT}*")):
            with contextlib.suppress(OSError):
                path.unlink()

    def sweep(self) -> None:
        """Delete what builders left behind that are no longer alive."""
        for prefix in (_STAGING, _REPLACED):
            for path in self.folder.glob(f"{prefix}*"):
                owner = path.name.removeprefix(prefix).partition("-")[0]
                if owner.isdigit() and int(owner) != os.getpid() and not psutil.pid_exists(int(owner)):
                    shutil.rmtree(path, ignore_errors=True)

    def _entry(self, key: EngineKey) -> Path:
        return self.folder / f"{key.rung}-{key.digest}"

    def _install(self, folder: Path, key: EngineKey) -> None:
        """Give a finished folder its name."""
        entry = self._entry(key)
        for attempt in range(8):
            try:
                folder.rename(entry)  # a folder is never renamed onto one with files in it
            except OSError:
                if not entry.exists():
                    raise
                if not _examine(entry, key, contents=True):
                    return
            else:
                _sync_folder(self.folder)
                return
            broken = self.folder / f"{_REPLACED}{os.getpid()}-{attempt}-{entry.name}"
            with contextlib.suppress(FileNotFoundError):
                entry.rename(broken)
                shutil.rmtree(broken, ignore_errors=True)
        raise OSError(f"{entry} is being replaced by others again and again")


def default_folder() -> Path:
    """Return the folder of engines: ``$VJENGINE_ENGINES``, else one in the user's cache."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("vjengine", appauthor=False)) / "engines"


def keep_aside(file: Path, data: bytes) -> None:
    """Write ``data`` whole or not at all: something that only saves time next time, so failing is no trouble."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.write_bytes(data)
        draft.replace(file)
    except OSError as error:
        log.info("%s is not kept: %s", file, error)
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def library_version(distribution: str) -> str:
    """Return the installed version of ``distribution``, empty if it is not installed. Imports nothing of it."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _examine(entry: Path, key: EngineKey, contents: bool) -> str:
    """Return why ``entry`` is not a whole entry of ``key``; empty if it is."""
    try:
        manifest = _read_manifest(entry)
        found = _key(manifest)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"its {MANIFEST} cannot be read ({type(error).__name__})"
    if found != key:
        return f"it was built for something else ({_difference(found, key)})"
    if not contents and (entry / BROKEN).exists():
        return "its contents are not what was written"
    known = _read_checked(entry) if contents and not (entry / BROKEN).exists() else {}
    for name, facts in manifest["files"].items():
        path = entry / name
        try:
            length = path.stat().st_size
            if length != facts["bytes"]:
                return f"{name} is {length} bytes long and should be {facts['bytes']}: truncated or overwritten"
            if contents and known.get(name) != _traits(path) and _digest(path) != facts["sha256"]:
                return f"{name} is not what was written: its SHA-256 has changed"
        except (OSError, KeyError, TypeError) as error:
            return f"{name} cannot be read ({getattr(error, 'strerror', None) or error})"
    return ""


def _traits(path: Path) -> list[int]:
    """Return what changes when a file is written: its length, and when that was (ns)."""
    facts = path.stat()
    return [facts.st_size, facts.st_mtime_ns]


def _read_checked(entry: Path) -> dict[str, list[int]]:
    try:
        known = json.loads((entry / CHECKED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _note_checked(entry: Path) -> None:
    """Note that the files of ``entry`` are whole as they lie there now."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        traits = {name: _traits(entry / name) for name in _read_manifest(entry)["files"]}
        if traits != _read_checked(entry):
            keep_aside(entry / CHECKED, json.dumps(traits).encode())


def _difference(found: EngineKey, key: EngineKey) -> str:
    pairs = ((field.name, getattr(found, field.name), getattr(key, field.name)) for field in dataclasses.fields(key))
    return ", ".join(f"{name} {there}, not {wanted}" for name, there, wanted in pairs if there != wanted)


def _describe(folder: Path) -> Entry:
    size = 0
    used = 0.0
    with contextlib.suppress(OSError):
        size = sum(path.stat().st_size for path in folder.iterdir())
        used = folder.stat().st_mtime
        used = (folder / MANIFEST).stat().st_mtime
    try:
        manifest = _read_manifest(folder)
        key = _key(manifest)
        model = str(manifest.get("model", ""))
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Entry(folder, None, "", size, used, f"its {MANIFEST} cannot be read ({type(error).__name__})")
    fault = _examine(folder, key, contents=False)
    if not fault and folder.name != f"{key.rung}-{key.digest}":
        fault = "its folder has been renamed"
    return Entry(folder, key, model, size, used, fault)


def _read_manifest(entry: Path) -> dict[str, Any]:
    manifest = json.loads((entry / MANIFEST).read_text(encoding="utf-8"))
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict) or not manifest["files"]:
        raise ValueError("no list of files")
    return manifest


def _key(manifest: Mapping[str, Any]) -> EngineKey:
    facts = dict(manifest["key"])
    facts["size"] = tuple(facts["size"])
    return EngineKey(**facts)


def _store(path: Path, content: bytes | Path) -> dict[str, int | str]:
    """Bring ``content`` to ``path`` and to the disk; return its length and digest."""
    if isinstance(content, Path):
        shutil.move(content, path)
        digest = _digest(path)
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    else:
        digest = hashlib.sha256(content).hexdigest()
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    return {"bytes": path.stat().st_size, "sha256": digest}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Bring a rename to the disk, where folders can be opened (not on Windows)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _cannot_write(folder: Path, error: OSError) -> GeneratorError:
    return GeneratorError(
        f"engines cannot be stored in {folder} ({error.strerror or error}); make room there, or name another folder "
        f"in {FOLDER_VARIABLE}"
    )
