"""The plan of a film: everything that decides its bytes, as one hash; the seeds in it; what changed, in words."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import PurePath
from typing import Any

import numpy as np

_SHOWN = 8  # differences named in a message


def plan_hash(plan: Mapping[str, Any]) -> str:
    """Return the SHA-256 of ``plan`` as canonical JSON, in hexadecimal: order of keys and spelling do not count.

    Tuples, fractions, paths, enumerations, dataclasses and numpy's numbers may stand in it.

    Raises:
        TypeError: for anything else that JSON does not know.
        ValueError: for numbers that are not finite.
    """
    text = json.dumps(plain(plan), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def derive_seed(*parts: object) -> int:
    """Return a seed (0 to 2**63 - 1) from the run's own and whatever names the use: ``derive_seed(7, "chunk", 3, 0)``.

    Neighbouring numbers give unrelated seeds, on every machine the same.
    """
    text = json.dumps([plain(part) for part in parts], ensure_ascii=False, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def plain(value: Any) -> Any:
    """Return ``value`` as JSON keeps it.

    Raises:
        TypeError: if it cannot be kept.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, np.generic):
        return plain(value.item())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    raise TypeError(f"a plan cannot hold {type(value).__name__}: {value!r:.80}")


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return in words what differs between two plans as JSON keeps them: ``"fps: 12 -> 24; seed: 1 -> 2"``."""
    old, new = _flat(before), _flat(now)
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    shown = "; ".join(f"{key}: {old.get(key, 'not set')} -> {new.get(key, 'not set')}" for key in changed[:_SHOWN])
    if len(changed) > _SHOWN:
        shown += f"; and {len(changed) - _SHOWN} more"
    return shown


def _flat(value: Any, name: str = "") -> dict[str, str]:
    """Return every leaf of a plan under its dotted name, as text; short lists are leaves."""
    if isinstance(value, Mapping) and value:
        return {k: v for key in value for k, v in _flat(value[key], f"{name}.{key}" if name else str(key)).items()}
    if isinstance(value, list) and any(isinstance(entry, Mapping | list) for entry in value):
        return {k: v for at, entry in enumerate(value) for k, v in _flat(entry, f"{name}[{at}]").items()}
    text = json.dumps(value, ensure_ascii=False)
    return {name: text if len(text) <= 60 else f"{text[:40]}…#{hashlib.sha256(text.encode()).hexdigest()[:8]}"}
