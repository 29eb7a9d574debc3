"""What there is to hear in a track: its exact length, beats and sections; kept, so that it is listened to once.

Kept under a key of the file's own bytes, the part that is taken of it, every setting of the analysis and the analyser's
version.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vjengine.audio.cache import VERSION
from vjengine.audio.features import AnalysisSettings
from vjengine.audio.files import samples_of
from vjengine.audio.sections import Section
from vjengine.audio.track import BeatHeard, TrackAnalysis, analyse_track

log = logging.getLogger(__name__)

LONGEST = 3600.0
"""s of a track that are analysed as a whole; a longer one is measured and shown, without sections."""

_FORMAT = 1


@dataclass(frozen=True)
class Heard:
    """A track as heard.

    Attributes:
        samples: how many it has, counted.
        analysis: of the whole track; None for one longer than :data:`LONGEST`.
    """

    samples: int
    analysis: TrackAnalysis | None

    def summary(self, rate: int) -> dict[str, Any]:
        """Return tempo (BPM, its median), number of beats and sections, for a report."""
        found: dict[str, Any] = {"duration": round(self.samples / rate, 6)}
        if self.analysis is not None:
            tempos = [bpm for _, bpm in self.analysis.tempo if bpm]
            found["tempo"] = round(float(np.median(tempos)), 2) if tempos else 0.0
            found["beats"] = len(self.analysis.beats)
            found["onsets"] = len(self.analysis.onsets)
            found["sections"] = [
                {"start": round(s.start, 3), "end": round(s.end, 3), "energy": round(s.energy, 4), "label": s.label}
                for s in self.analysis.sections
            ]
        return found


def hear(
    track: Path,
    sha256: str,
    *,
    start: float = 0.0,
    duration: float | None = None,
    rate: int = 48000,
    settings: AnalysisSettings | None = None,
    cache: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> Heard:
    """Listen to ``track`` from ``start`` (s) on, for at most ``duration`` s.

    Args:
        track: the file.
        sha256: hash of its bytes.
        start, duration: the part to listen to.
        rate: Hz at which samples are counted.
        settings: of the analysis.
        cache: folder to look in first; one that cannot be used costs time only.
        progress: told the share done, 0-1.

    Raises:
        UnreadableAudio: the file cannot be read, or holds no sound there.
    """
    settings = settings or AnalysisSettings(sample_rate=rate)
    path = None
    if cache is not None:
        told = (_FORMAT, VERSION, sha256, start, duration, rate, LONGEST, dataclasses.astuple(settings))
        path = cache / f"{hashlib.sha256(repr(told).encode()).hexdigest()[:40]}.npz"
        kept = _load(path)
        if kept is not None:
            return kept
    samples, mono = _collect(track, start, duration, rate)
    heard = Heard(samples, analyse_track(mono, settings, progress) if mono is not None else None)
    if path is not None:
        try:
            _save(path, heard)
        except OSError as error:
            log.warning("what was heard in %s is not kept: %s", track.name, error)
    return heard


def _collect(
    track: Path, start: float, duration: float | None, rate: int
) -> tuple[int, npt.NDArray[np.float32] | None]:
    """Count the samples, and return them as mono unless there are too many to hold."""
    wanted = None if duration is None else round(duration * rate)
    count = 0
    pieces: list[npt.NDArray[np.float32]] | None = []
    for piece in samples_of(track, rate, start):
        if wanted is not None:
            piece = piece[: wanted - count]
        count += len(piece)
        if pieces is not None:
            pieces.append(piece.mean(axis=1))
            if count > LONGEST * rate:
                pieces = None
        if count == wanted:
            break
    return count, np.concatenate(pieces) if pieces is not None else None


def _save(path: Path, heard: Heard) -> None:
    known = heard.analysis
    facts: dict[str, Any] = {"samples": heard.samples, "analysed": known is not None}
    arrays: dict[str, npt.NDArray[Any]] = {}
    if known is not None:
        facts |= {
            "duration": known.duration,
            "tempo": known.tempo,
            "onsets": known.onsets,
            "beats": [dataclasses.astuple(beat) for beat in known.beats],
            "sections": [dataclasses.astuple(section) for section in known.sections],
        }
        arrays = {name: getattr(known, name) for name in _CURVES}
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, facts=np.array(json.dumps(facts)), **arrays)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


_CURVES = ("curve_times", "loudness", "bands", "envelope")


def _load(path: Path) -> Heard | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as data:
            facts = json.loads(str(data["facts"]))
            if not facts["analysed"]:
                return Heard(int(facts["samples"]), None)
            analysis = TrackAnalysis(
                duration=facts["duration"],
                tempo=[(time, bpm) for time, bpm in facts["tempo"]],
                beats=[BeatHeard(*beat) for beat in facts["beats"]],
                onsets=facts["onsets"],
                sections=[Section(*section) for section in facts["sections"]],
                **{name: data[name] for name in _CURVES},
            )
            return Heard(int(facts["samples"]), analysis)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        log.warning("what was heard before is damaged (%s) and heard anew: %s", path.name, error)
        return None
