"""What the music does under each picture: heard once, as a stream, whatever its length."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from dataclasses import astuple, dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vjengine.audio.features import Analyser, AnalysisSettings
from vjengine.audio.files import probe, samples_of
from vjengine.errors import UnreadableAudio
from vjengine.offline import disk

Floats = npt.NDArray[np.float32]

_VERSION = 1
_LOOK = 1.0
"""s of music that a picture's share of motion is taken from, around it."""


@dataclass(frozen=True, slots=True)
class Music:
    """A track as a film sees it.

    Attributes:
        samples: counted, of one channel; ``rate``: Hz.
        level: ``(n,)`` 0-1, loudness under each picture.
        pulse: ``(n,)`` 0-1: jumps on beats and attacks of the low end, and falls.
        onsets: ``(n,)`` attacks a second, around each picture.
    """

    samples: int
    rate: int
    level: Floats
    pulse: Floats
    onsets: Floats

    def motion(self, start: int, stop: int) -> float:
        """Return how much is to move in the pictures from ``start`` to ``stop``, 0-1."""
        part = slice(min(start, len(self.level) - 1), max(stop, start + 1))
        lively = np.clip(self.onsets[part] / 8.0, 0.0, 1.0)
        return float(np.clip(0.10 + 0.60 * self.level[part].mean() + 0.30 * lively.mean(), 0.0, 1.0))

    def pulses(self, start: int, stop: int) -> tuple[float, ...]:
        """Return the pulse of the pictures from ``start`` to ``stop``."""
        return tuple(round(float(value), 4) for value in self.pulse[start:stop])


def pictures_of(samples: int, rate: int, fps: Fraction) -> int:
    """Return how many pictures a sound of ``samples`` lasts: to the nearest, at least one."""
    return max(1, math.floor(samples * fps / rate + Fraction(1, 2)))


def listen(track: Path, fps: Fraction, tell: Callable[[float], None] = lambda share: None) -> Music:
    """Listen to the whole of ``track``, in memory that grows by a few numbers a picture.

    Args:
        track: any file with sound.
        fps: pictures a second.
        tell: told the share done, 0-1; may raise to stop.

    Raises:
        UnreadableAudio: if it cannot be read or holds no sound.
    """
    settings = AnalysisSettings()
    analyser, hop, rate = Analyser(settings), settings.hop, settings.sample_rate
    length = max(probe(track).duration, 0.001)
    heard = _Heard(fps)
    waiting: Floats = np.zeros(0, np.float32)
    samples = hops = 0
    for piece in samples_of(track, rate):
        samples += len(piece)
        waiting = np.concatenate((waiting, piece.mean(axis=1, dtype=np.float32)))
        whole = len(waiting) // hop
        for k in range(whole):
            hops += 1
            features = analyser.process(waiting[k * hop : (k + 1) * hop], hops * hop / rate)
            low = max(features.hits[0], features.hits[1])
            beats = features.beat.beats_at(features.time) if features.beat.running else -math.inf
            heard.add(features.time, features.rms, low, beats, features.onset_count)
        waiting = waiting[whole * hop :]
        tell(min(1.0, samples / rate / length))
    if not samples:
        raise UnreadableAudio(f"{track}: it holds no sound at all")
    return heard.music(samples, rate)


class _Heard:
    """Gathers hops into pictures."""

    def __init__(self, fps: Fraction) -> None:
        self._fps = fps
        self._rows: list[tuple[float, float, float]] = []
        self._beat = self._flash = 0.0
        self._last_beat = -math.inf
        self._time = 0.0

    def add(self, time: float, level: float, low: float, beats: float, onsets: int) -> None:
        gone, self._time = time - self._time, time
        number = math.floor(beats) if math.isfinite(beats) else self._last_beat
        self._flash *= math.exp(-gone / 0.16)
        if number > self._last_beat:
            self._flash = max(self._flash, 0.75 if math.isfinite(self._last_beat) else 0.0)
            self._last_beat = number
        self._flash = max(self._flash, low * min(1.0, 2.0 * level))
        picture = int(time * self._fps)
        while len(self._rows) <= picture:
            self._rows.append((level, self._flash, float(onsets)))
        before = self._rows[picture]
        self._rows[picture] = (0.7 * before[0] + 0.3 * level, max(before[1], self._flash), float(onsets))

    def music(self, samples: int, rate: int) -> Music:
        count = pictures_of(samples, rate, self._fps)
        table = np.array(self._rows or [(0.0, 0.0, 0.0)], np.float64)
        table = np.concatenate((table, np.repeat(table[-1:], max(0, count - len(table)), axis=0)))[:count]
        width = max(1, round(_LOOK * self._fps))
        padded = np.pad(table[:, 2], (width // 2, width - width // 2), mode="edge")
        onsets = (padded[width:] - padded[:-width]) / (width / float(self._fps))
        level, pulse, around = (np.clip(row, 0.0, None).astype(np.float32) for row in (*table[:, :2].T, onsets))
        return Music(samples, rate, np.minimum(level, 1.0), np.minimum(pulse, 1.0), around[:count])


def music_of(
    track: Path, fps: Fraction, keep: Path, digest: str, tell: Callable[[float], None] = lambda share: None
) -> Music:
    """Return :func:`listen` of ``track``, from the file ``keep`` if that was heard of the same bytes in the same way.

    Args:
        track, fps, tell: as in :func:`listen`.
        keep: an ``.npz`` file; damaged or of something else, it is written anew.
        digest: SHA-256 of the track.

    Raises:
        UnreadableAudio: as in :func:`listen`.
        RecordError: if the file cannot be written.
    """
    key = repr((_VERSION, digest, fps, astuple(AnalysisSettings())))
    try:
        with np.load(keep, allow_pickle=False) as data:
            if str(data["key"]) == key:
                numbers = data["numbers"]
                return Music(int(numbers[0]), int(numbers[1]), data["level"], data["pulse"], data["onsets"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # not heard yet, or not to be trusted
    music = listen(track, fps, tell)
    part = keep.with_name(f"{keep.name}.part")
    try:
        with part.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                key=np.array(key),
                numbers=np.array([music.samples, music.rate], np.int64),
                level=music.level,
                pulse=music.pulse,
                onsets=music.onsets,
            )
        part.replace(keep)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise disk.failure(keep, error) from error
    return music
