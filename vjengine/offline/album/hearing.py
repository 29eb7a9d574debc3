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

from vjengine.audio.cache import VERSION
from vjengine.audio.features import AnalysisSettings
from vjengine.audio.files import probe, samples_of
from vjengine.audio.sections import Section
from vjengine.audio.track import BeatHeard, TrackAnalysis, TrackListener

log = logging.getLogger(__name__)

_FORMAT = 1


@dataclass(frozen=True)
class Heard:
    """A track as heard.

    Attributes:
        samples: how many it has, counted.
        analysis: of all of them.
    """

    samples: int
    analysis: TrackAnalysis

    def summary(self, rate: int) -> dict[str, Any]:
        """Return tempo (BPM, its median), number of beats and sections, for a report."""
        tempos = [bpm for _, bpm in self.analysis.tempo if bpm]
        return {
            "duration": round(self.samples / rate, 6),
            "tempo": round(float(np.median(tempos)), 2) if tempos else 0.0,
            "beats": len(self.analysis.beats),
            "onsets": len(self.analysis.onsets),
            "sections": [
                {"start": round(s.start, 3), "end": round(s.end, 3), "energy": round(s.energy, 4), "label": s.label}
                for s in self.analysis.sections
            ],
        }


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
        told = (_FORMAT, VERSION, sha256, start, duration, rate, dataclasses.astuple(settings))
        path = cache / f"{hashlib.sha256(repr(told).encode()).hexdigest()[:40]}.npz"
        kept = load_heard(path)
        if kept is not None:
            return kept
    heard = _listen(track, start, duration, settings, progress or (lambda share: None))
    if path is not None:
        try:
            save_heard(path, heard)
        except OSError as error:
            log.warning("what was heard in %s is not kept: %s", track.name, error)
    return heard


def _listen(
    track: Path, start: float, duration: float | None, settings: AnalysisSettings, progress: Callable[[float], None]
) -> Heard:
    wanted = None if duration is None else round(duration * settings.sample_rate)
    length = duration or probe(track).duration - start
    listener = TrackListener(settings)
    count = 0
    for piece in samples_of(track, settings.sample_rate, start):
        if wanted is not None:
            piece = piece[: wanted - count]
        listener.hear(piece)
        count += len(piece)
        progress(min(1.0, listener.heard / length) if length > 0 else 0.0)
        if count == wanted:
            break
    return Heard(count, listener.finish())


def save_heard(path: Path, heard: Heard) -> None:
    """Write ``heard`` to ``path`` (.npz), which appears whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    known = heard.analysis
    facts = {
        "samples": heard.samples,
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


def load_heard(path: Path) -> Heard | None:
    """Return what was kept in ``path``; None if there is nothing, or nothing that can be trusted."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as data:
            facts = json.loads(str(data["facts"]))
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
