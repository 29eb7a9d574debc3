"""Where the music is: every beat of a track, from its first sound to its end, and its sections.

The analyser hears a track from front to back, as it does live: it knows of no beat in the first seconds, misses some
in a breakdown, and may mistake the 1 of a bar for a while. Here the whole track is known, so the beats heard are
joined up, carried on to both ends, and the bars are where most of them were heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from vjengine.audio.sections import Section
from vjengine.audio.track import CURVE_RATE, TrackAnalysis
from vjengine.offline.score.moments import Length, Moment

Times = npt.NDArray[np.float64]
BEATS_IN_BAR = 4
_SURE = 0.5
_NEAR = 16
_AUDIBLE = 2e-3


@dataclass(frozen=True)
class BeatGrid:
    """Every beat of a track.

    Attributes:
        times: ``(n,)`` s of beats, n at least 2, one after the other without holes.
        first: number of the beat at ``times[0]``; beat 0 is the 1 of the first bar.
    """

    times: Times
    first: int = 0

    @classmethod
    def steady(cls, tempo: float, first_bar: float) -> BeatGrid:
        """Return the beats of a track that keeps ``tempo`` BPM, its first bar at ``first_bar`` s."""
        return cls(first_bar + np.array([0.0, 60.0 / tempo]))

    def time_of(self, beat: float) -> float:
        """Return the time (s) of position ``beat``; beyond the ends the nearest beats' pace goes on."""
        at = beat - self.first
        last = self.times.size - 1
        if at <= 0.0:
            return float(self.times[0] + at * self._pace(0))
        if at >= last:
            return float(self.times[-1] + (at - last) * self._pace(-1))
        whole = int(at)
        return float(self.times[whole] + (at - whole) * (self.times[whole + 1] - self.times[whole]))

    def beat_at(self, time: float) -> float:
        """Return the position in beats at ``time`` s, the inverse of :meth:`time_of`."""
        times = self.times
        if time <= times[0]:
            return float(self.first + (time - times[0]) / self._pace(0))
        if time >= times[-1]:
            return float(self.first + times.size - 1 + (time - times[-1]) / self._pace(-1))
        at = int(np.searchsorted(times, time, side="right")) - 1
        return float(self.first + at + (time - times[at]) / (times[at + 1] - times[at]))

    def tempo_at(self, time: float) -> float:
        """Return beats a minute around ``time`` s."""
        beat = self.beat_at(time)
        return 60.0 * 4.0 / (self.time_of(beat + 2.0) - self.time_of(beat - 2.0))

    def _pace(self, end: int) -> float:
        steps = np.diff(self.times[:_NEAR] if end == 0 else self.times[-_NEAR:])
        return float(np.median(steps))


@dataclass(frozen=True)
class Music:
    """What a score needs to know of a track.

    Attributes:
        duration: s.
        grid: its beats; None if there are none, or nobody listened for them.
        sections: what it is made of; empty if nobody listened.
    """

    duration: float
    grid: BeatGrid | None = None
    sections: Sequence[Section] = field(default_factory=tuple)

    @classmethod
    def of(cls, analysis: TrackAnalysis) -> Music:
        """Return what ``analysis`` tells."""
        return cls(analysis.duration, beat_grid(analysis), tuple(analysis.sections))

    def section_at(self, time: float) -> tuple[int, float]:
        """Return the number (from 1) of the section at ``time`` s and how far in it that is, 0-1; 0, 0 for none."""
        for number, section in enumerate(self.sections, 1):
            if time < section.end or number == len(self.sections):
                length = max(section.end - section.start, 1e-9)
                return number, min(1.0, max(0.0, (time - section.start) / length))
        return 0, 0.0

    def seconds(self, moment: Moment) -> float:
        """Return ``moment`` in s of the track.

        Raises:
            LookupError: if it names a beat or a section that is not there; its text is what was expected instead.
        """
        if moment.base == "time":
            base = self._place(moment.at)
        elif moment.base in ("start", "end"):
            base = 0.0 if moment.base == "start" else self.duration
        else:
            base = self._section(moment).start
        return self.after(base, moment.shift)

    def after(self, time: float, length: Length) -> float:
        """Return the time (s) that is ``length`` after ``time``.

        Raises:
            LookupError: if it is in beats and there are none.
        """
        if length.unit == "s":
            return time + length.amount
        grid = self._beats()
        return grid.time_of(grid.beat_at(time) + _beats(length))

    def _place(self, length: Length) -> float:
        return length.amount if length.unit == "s" else self._beats().time_of(_beats(length))

    def _beats(self) -> BeatGrid:
        if self.grid is None:
            raise LookupError("seconds: no beat was found in the track (or give the score a tempo: and a first_bar:)")
        return self.grid

    def _section(self, moment: Moment) -> Section:
        found = [s for s in self.sections if moment.base in ("section", s.label)]
        if len(found) < moment.number:
            names = [f"{i} {s.label} at {s.start:.1f} s" for i, s in enumerate(self.sections, 1)]
            raise LookupError("a section of this track, which are: " + (", ".join(names) or "none"))
        return found[moment.number - 1]


def _beats(length: Length) -> float:
    return length.amount * (BEATS_IN_BAR if length.unit == "|" else 1)


def beat_grid(analysis: TrackAnalysis) -> BeatGrid | None:
    """Return every beat of the track, joined up from those that were heard; None if too few were."""
    heard = [beat for beat in analysis.beats if beat.confidence >= _SURE] or analysis.beats
    # A clock that is put right may announce one twice.
    heard = [b for a, b in pairwise([None, *heard]) if b is not None and (a is None or b.time - a.time > 0.15)]
    if len(heard) < 4:
        return None
    times = np.array([beat.time for beat in heard])
    gaps = np.diff(times)
    usual = float(np.median(gaps))
    numbers = [0]
    for i, gap in enumerate(gaps):
        near = gaps[max(0, i - _NEAR) : i + _NEAR + 1]
        near = near[near < 1.5 * usual]
        pace = float(np.median(near)) if near.size else usual
        numbers.append(numbers[-1] + max(1, round(float(gap) / pace)))
    whole = np.interp(np.arange(numbers[-1] + 1), numbers, times)
    votes = np.zeros(BEATS_IN_BAR)
    for number, beat in zip(numbers, heard, strict=True):
        votes[number % BEATS_IN_BAR] += beat.confidence * beat.downbeat
    one = int(np.argmax(votes))
    grid = BeatGrid(whole)
    # The first bar is the first one that begins with the sound, not in the silence before it.
    begin = int(np.ceil(grid.beat_at(_first_sound(analysis)) - 0.5))
    origin = begin + (one - begin) % BEATS_IN_BAR
    return BeatGrid(whole, -origin)


def _first_sound(analysis: TrackAnalysis) -> float:
    if not analysis.envelope.size:
        return 0.0
    loud = np.abs(analysis.envelope).max(axis=1)
    audible = np.flatnonzero(loud > _AUDIBLE * max(float(loud.max()), 1e-6))
    return float(audible[0]) / CURVE_RATE if audible.size else 0.0
