"""A small strict YAML reader: what is not understood is refused, and every refusal names file, key, value and remedy.

A file is described by a table of ``key -> reader``; a reader takes the raw value and its :class:`Place` and returns a
typed value or refuses. A new key is a new row of a table.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml

from vjengine.errors import ConfigError

MAX_BYTES = 1_000_000
"""Largest configuration file that is read, bytes."""
MAX_DEPTH = 16
"""Deepest nesting of a configuration file."""

Reader = Callable[["Place", Any], Any]
"""Turns one raw YAML value into a typed one, or refuses it at its place."""


class Place:
    """Where in a configuration a value stands; knows how to refuse it."""

    __slots__ = ("file", "key")

    def __init__(self, file: Path, key: str = "") -> None:
        self.file = file
        self.key = key

    def at(self, key: object) -> Place:
        """Return the place of ``key`` inside this one."""
        return Place(self.file, f"{self.key}.{key}" if self.key else str(key))

    def item(self, index: int) -> Place:
        """Return the place of the list item ``index``, counted from 1 as people do."""
        return Place(self.file, f"{self.key}[{index + 1}]")

    def refuse(self, value: object, expected: str) -> NoReturn:
        """Raise the ConfigError of this place."""
        if isinstance(value, int) and abs(value) >= 10**30:
            value = "a huge number"  # Python refuses to write out the largest ones
        raise ConfigError(self.file, self.key or "(file)", value, expected)


def suggest(word: object, known: Iterable[str]) -> str:
    """Return ``"did you mean 'X'?"`` for the nearest of ``known``, or the list of all when none is near."""
    names = list(known)
    lowered = {name.lower(): name for name in names}
    near = difflib.get_close_matches(str(word).lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f"did you mean {lowered[near[0]]!r}?"
    shown = ", ".join(names[:24]) + (", …" if len(names) > 24 else "")
    return f"one of {shown}" if names else "none is defined"


# ---------------------------------------------------------------- reading YAML


class _StrictLoader(yaml.SafeLoader):
    """A safe loader without aliases (they let a small file grow without bound), duplicate keys or deep nesting."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise _broken(self, "aliases (*name) are not supported; write it out")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _broken(self, "nested too deeply")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    raise _DuplicateKey(str(key), key_node.start_mark.line + 1)
                seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _broken(loader: yaml.SafeLoader, problem: str) -> yaml.MarkedYAMLError:
    mark = loader.peek_event().start_mark  # type: ignore[no-untyped-call]
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


class _DuplicateKey(Exception):
    def __init__(self, key: str, line: int) -> None:
        super().__init__(key)
        self.key, self.line = key, line


def read_yaml(path: Path) -> dict[Any, Any]:
    """Return the mapping in the YAML file ``path``.

    Raises:
        ConfigError: unreadable, over :data:`MAX_BYTES`, not UTF-8, not YAML (with its line), a duplicate key, or
            something else than a mapping.
    """
    place = Place(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        place.refuse(error.strerror or str(error), "a readable file")
    if len(raw) > MAX_BYTES:
        place.refuse("too large", f"at most {MAX_BYTES:,} bytes")
    try:
        data = yaml.load(raw.decode("utf-8-sig"), Loader=_StrictLoader)
    except UnicodeDecodeError as error:
        place.refuse(f"byte {error.start}", "text in UTF-8")
    except _DuplicateKey as error:
        place.at(error.key).refuse(f"line {error.line}", "each key once")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Place(path, f"line {mark.line + 1}" if mark else "")
        where.refuse(error.problem or "broken", "valid YAML")
    except (yaml.YAMLError, ValueError) as error:
        place.refuse(str(error).splitlines()[0], "valid YAML")
    if not isinstance(data, dict):
        place.refuse(data, "a list of 'key: value' lines")
    return data


def read_fields(place: Place, data: Any, table: Mapping[str, Reader]) -> dict[str, Any]:
    """Read the mapping ``data`` with one reader a key; a key without a value counts as not given."""
    if not isinstance(data, dict):
        place.refuse(data, "a mapping of " + ", ".join(table))
    result: dict[str, Any] = {}
    for key, value in data.items():
        if key not in table:
            place.at(key).refuse(value, f"a known key: {suggest(key, table)}")
        if value is not None:
            result[key] = table[key](place.at(key), value)
    return result


# ---------------------------------------------------------------- readers of single values


def text(limit: int) -> Reader:
    """Return a reader of text of at most ``limit`` characters."""

    def read(place: Place, value: Any) -> str:
        if not isinstance(value, str) or len(value) > limit:
            place.refuse(value, f"text of at most {limit} characters (put it in quotes)")
        return value.strip()

    return read


def number(low: float, high: float, unit: str = "") -> Reader:
    """Return a reader of a finite number ``low``–``high``."""
    return lambda place, value: bounded(place, value, low, high, f"{low:g} to {high:g} {unit}".strip())


def whole(low: int, high: int) -> Reader:
    """Return a reader of a whole number ``low``–``high``."""

    def read(place: Place, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            place.refuse(value, f"a whole number from {low} to {high}")
        return value

    return read


def one_of(*choices: str) -> Reader:
    """Return a reader of one of ``choices``."""

    def read(place: Place, value: Any) -> str:
        if value not in choices or not isinstance(value, str):
            place.refuse(value, "one of " + ", ".join(choices))
        return value

    return read


def bounded(place: Place, value: Any, low: float, high: float, wanted: str) -> float:
    """Return ``value`` if it is a number ``low``–``high``; else refuse it, naming the range ``wanted``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        # The comparison refuses NaN and infinity too.
        place.refuse(value, f"a number from {wanted}")
    return float(value)
