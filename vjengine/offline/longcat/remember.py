"""What a film remembers from chunk to chunk, as bytes: our own classes and arrays, and nothing that runs code."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import cv2

from vjengine.errors import ResumeError


def _make_flow() -> Any:
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)


def _restore_flow(scale: int) -> Any:
    flow = _make_flow()
    flow.setFinestScale(scale)
    return flow


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, cv2.DISOpticalFlow):
            return _restore_flow, (obj.getFinestScale(),)
        return NotImplemented


_KNOWN: dict[str, Callable[[str], bool]] = {
    "vjengine": lambda name: True,
    "numpy": lambda name: name in ("_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer"),
    "collections": lambda name: name in ("deque", "OrderedDict"),
    "builtins": lambda name: name in ("set", "frozenset", "bytearray"),
}


class _Unpickler(pickle.Unpickler):
    """Makes nothing but our own values and arrays: a run folder may come from anywhere."""

    def find_class(self, module: str, name: str) -> Any:
        known = _KNOWN.get(module.partition(".")[0])
        if known is None or not known(name) or (module.startswith("vjengine") and not _ours(module)):
            raise pickle.UnpicklingError(f"{module}.{name} has no business here")
        found = super().find_class(module, name)
        if module.startswith("vjengine") and not isinstance(found, type) and found is not _restore_flow:
            raise pickle.UnpicklingError(f"{module}.{name} has no business here")
        return found


def _ours(module: str) -> bool:
    rooms = ("vjengine.stabilise.", "vjengine.core.", "vjengine.offline.longcat.", "vjengine.engine.metrics_log")
    return module.startswith(rooms)


def dump(value: object) -> bytes:
    """Return ``value``, made of our own classes and arrays, as bytes."""
    file = io.BytesIO()
    _Pickler(file, protocol=4).dump(value)
    return file.getvalue()


def restore(data: bytes) -> object:
    """Return what :func:`dump` was given.

    Raises:
        ResumeError: if it is something else, or of another version.
    """
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, TypeError, ValueError) as error:
        words = " ".join(str(error).split())[:120]
        raise ResumeError(f"a chunk's memory cannot be read ({words}): begin anew with --fresh") from error
