"""The live macro folder on disk: a file named like a macro means the macro is on, its content is a level's value.

This is the whole contract, without threads: the running engine, the command line and any script meet here. Reading is
bounded: whatever lies in the folder, no call blocks, follows a loop or reads more than :data:`MAX_BYTES`.
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from vjengine.core.macros import MacroDef

MAX_BYTES = 64
"""Largest content of a level's file, bytes."""
MAX_ENTRIES = 256
"""Entries of the folder that are looked at; beyond them only the macros' usual names are."""
_NOT_MACROS = (".md", "~", ".ini", ".db")
"""Endings of files that live in folders without meaning anything: notes, back-ups, file managers' own."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the folder says of one macro.

    Attributes:
        value: 1 for on, 0 for off, a level's value; ``None`` if the file cannot be understood.
        blank: True if a level's file is empty, which is full on, or the first half of being written.
        faults: ``(file name, what is wrong with it)``.
    """

    value: float | None
    blank: bool = False
    faults: tuple[tuple[str, str], ...] = ()


class MacroFolder:
    """The folder ``path`` as the place where the macros ``macros`` are switched."""

    def __init__(self, path: Path, macros: Mapping[str, MacroDef]) -> None:
        self.path = path
        self._macros = macros
        self._spellings: dict[str, set[str]] = {name: set(_usual(name)) for name in macros}

    def macro_of(self, file_name: str) -> str | None:
        """Return the macro a file name stands for, or ``None``: ``DROP``, ``drop`` and ``Drop.txt`` are DROP."""
        stem = file_name[:-4] if file_name.lower().endswith(".txt") else file_name
        macro = stem.upper()
        if macro not in self._macros:
            return None
        if len(self._spellings[macro]) < 16:
            self._spellings[macro].add(file_name)
        return macro

    def scan(self) -> tuple[set[str], list[str]]:
        """Return the macros that have an entry in the folder, and the names of entries that mean nothing.

        Raises:
            OSError: if the folder is missing or cannot be listed.
        """
        with os.scandir(self.path) as entries:
            names = [entry.name for entry in islice(entries, MAX_ENTRIES + 1)]
        found: set[str] = set()
        strange: list[str] = []
        for name in names[:MAX_ENTRIES]:
            macro = self.macro_of(name)
            if macro is not None:
                found.add(macro)
            elif not name.startswith(".") and not name.lower().endswith(_NOT_MACROS):
                strange.append(name)
        if len(names) > MAX_ENTRIES:
            found.update(self._macros)
        return found, strange

    def read(self, macro: str) -> Reading:
        """Return what the folder says of ``macro``, trying its usual name first."""
        level = self._macros[macro].kind == "level"
        faults: list[tuple[str, str]] = []
        unknown = False
        for name in sorted(self._spellings[macro], key=lambda name: (name != macro, name)):
            try:
                content = _regular(self.path / name, read=level)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                faults.append((name, f"cannot be read ({error.strerror or error})"))
                unknown = True
                continue
            if content is None:
                faults.append((name, "is not a plain file, so it switches nothing"))
                continue
            if not level:
                return Reading(1.0, faults=tuple(faults))
            value = parse_level(content)
            if value is None:
                faults.append((name, "holds no number from 0 to 1, so it moves nothing"))
                unknown = True
                continue
            return Reading(value, not content.strip(), tuple(faults))
        return Reading(None if unknown else 0.0, faults=tuple(faults))

    def write(self, macro: str, value: float) -> None:
        """Switch ``macro`` to ``value``: 0 removes its file, anything else writes it whole, in one step.

        Raises:
            OSError: if the folder cannot be written to.
        """
        if value <= 0.0:
            self.remove(macro)
            return
        text = show_level(value) if self._macros[macro].kind == "level" else "1"
        target = self.path / macro
        partial = self.path / f".{macro}.{os.getpid()}.partial"
        try:
            partial.write_text(text + "\n", encoding="ascii")
            partial.replace(target)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        # Another spelling would keep the macro on when this file goes.
        for other in self._spellings[macro] - {macro}:
            path = self.path / other
            if _is_file(path) and not _same(path, target):
                path.unlink(missing_ok=True)

    def remove(self, macro: str) -> None:
        """Switch ``macro`` off: remove its file in every spelling. A folder of that name is left alone.

        Raises:
            OSError: if a file cannot be removed.
        """
        for name in self._spellings[macro]:
            path = self.path / name
            if _is_file(path):
                path.unlink(missing_ok=True)


def _usual(macro: str) -> tuple[str, ...]:
    return macro, f"{macro}.txt", macro.lower(), f"{macro.lower()}.txt"


def _is_file(path: Path) -> bool:
    """Return True if ``path`` is there and no folder; a link counts as itself."""
    try:
        return not stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _same(one: Path, other: Path) -> bool:
    """Return True if both names are one entry, as on file systems that do not tell case."""
    try:
        return one.lstat().st_ino == other.lstat().st_ino and one.samefile(other)
    except OSError:
        return False


def _regular(path: Path, *, read: bool) -> bytes | None:
    """Return the start of a plain file (``b""`` unless ``read``), or ``None`` if it is something else.

    A pipe would block whoever opens it and a device could do anything, so the kind is asked for before opening, and
    again afterwards in case it was swapped meanwhile.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    if not read:
        return b""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
    handle = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        return os.read(handle, MAX_BYTES + 1)
    finally:
        os.close(handle)


def parse_level(content: bytes) -> float | None:
    """Return the level 0–1 that a file's content means, or ``None``. Nothing at all means full on.

    Takes UTF-16 too: that is what ``echo 0.7 > ENERGY`` writes in Windows PowerShell.
    """
    if len(content) > MAX_BYTES:
        return None
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding).strip()
        value = float(text) if text else 1.0
    except ValueError:
        return None
    return value if math.isfinite(value) and 0.0 <= value <= 1.0 else None


def show_level(value: float) -> str:
    """Return a level as its file holds it: up to four decimals."""
    return f"{value:.4f}".rstrip("0").rstrip(".")
