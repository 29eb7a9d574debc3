"""Features on disk, so that a second render of a track does not listen again.

A file of the cache is keyed by the sound's own bytes, every analysis setting and the format's version; it holds each
field of every hop as an array, exactly.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjengine.audio.features import AnalysisSettings
from vjengine.audio.track import features_of, to_mono
from vjengine.core.signals import AudioFeatures, BeatClock

log = logging.getLogger(__name__)

VERSION = 2
"""Raise it whenever the analyser says something else about the same sound."""

_FIELDS = tuple(f.name for f in dataclasses.fields(AudioFeatures) if f.name != "beat")
_BEAT_FIELDS = tuple(f.name for f in dataclasses.fields(BeatClock))


def cache_key(samples: NDArray[np.float32], settings: AnalysisSettings) -> str:
    """Return the name under which the features of these samples are kept."""
    digest = hashlib.blake2b(digest_size=20)
    digest.update(repr((VERSION, dataclasses.astuple(settings), samples.shape)).encode())
    digest.update(np.ascontiguousarray(samples).data)
    return digest.hexdigest()


def cached_features(
    folder: Path,
    samples: NDArray[np.float32],
    settings: AnalysisSettings,
    progress: Callable[[float], None] | None = None,
) -> list[AudioFeatures]:
    """Return the features of every hop of ``samples`` ``(n,)`` or ``(n, 2)``, from ``folder`` if they are there.

    A file that is damaged or from another version is ignored with a log line and written anew; a folder that cannot
    be written costs time, not the render. ``progress`` is told the share done, 0–1.
    """
    path = folder / f"{cache_key(samples, settings)}.npz"
    kept = load_features(path)
    if kept is not None:
        if progress:
            progress(1.0)
        return kept
    features = list(features_of(to_mono(samples), settings, progress))
    try:
        save_features(path, features)
    except OSError as error:
        log.warning("features are not kept: %s", error)
    return features


def save_features(path: Path, features: Sequence[AudioFeatures]) -> None:
    """Write ``features`` to ``path``: to a temporary file first, so that no reader ever sees half of one.

    Raises:
        OSError: the folder cannot be made or written.
    """
    columns = {name: np.array([getattr(f, name) for f in features]) for name in _FIELDS}
    # The clock stays the same for many hops: each is kept once, and a hop says which.
    clocks: list[BeatClock] = []
    index = np.zeros(len(features), np.int32)
    for i, hop in enumerate(features):
        if not clocks or hop.beat != clocks[-1]:
            clocks.append(hop.beat)
        index[i] = len(clocks) - 1
    for name in _BEAT_FIELDS:
        columns[f"beat_{name}"] = np.array([getattr(clock, name) for clock in clocks])
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, beat_index=index, **columns)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_features(path: Path) -> list[AudioFeatures] | None:
    """Return the features kept in ``path``, or ``None`` if there are none or they cannot be trusted."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as data:
            columns: dict[str, list[Any]] = {name: data[name].tolist() for name in data.files}
        return _rows(columns)
    except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, zipfile.BadZipFile) as error:
        log.warning("kept features %s are damaged and will be made anew: %s", path.name, error)
        return None


def _rows(columns: dict[str, list[Any]]) -> list[AudioFeatures]:
    clocks = [
        BeatClock(**dict(zip(_BEAT_FIELDS, row, strict=True)))
        for row in zip(*(columns[f"beat_{name}"] for name in _BEAT_FIELDS), strict=True)
    ]
    rows = []
    for index, *values in zip(columns["beat_index"], *(columns[name] for name in _FIELDS), strict=True):
        fields: dict[str, Any] = {
            n: tuple(v) if isinstance(v, list) else v for n, v in zip(_FIELDS, values, strict=True)
        }
        rows.append(AudioFeatures(**fields, beat=clocks[index]))
    return rows
