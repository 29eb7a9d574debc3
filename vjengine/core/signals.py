"""What the ears hand to the rest: audio features of one hop, and a beat clock that can be read ahead of time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

BAND_NAMES: tuple[str, ...] = ("sub", "bass", "lowmid", "mid", "high", "air")
"""Names of the six bands, low to high."""

BAND_EDGES: tuple[tuple[float, float], ...] = (
    (20.0, 60.0),
    (60.0, 180.0),
    (180.0, 600.0),
    (600.0, 2000.0),
    (2000.0, 6000.0),
    (6000.0, 16000.0),
)
"""Edges in Hz of the bands of :data:`BAND_NAMES`."""

Bands = tuple[float, float, float, float, float, float]
NO_BANDS: Bands = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class BeatClock:
    """A musical clock extrapolated from the last tempo and phase estimate.

    Pictures trail sound, so nothing waits for a beat to be *detected*: whoever draws at time ``t`` asks this clock
    where in the music ``t`` will be.

    Attributes:
        anchor: session time (s) of a beat.
        period: s a beat.
        count: number of the beat at ``anchor``; counts up over the whole session.
        downbeat: number of some beat that is the 1 of a bar.
        confidence: 0–1, how well the clock explains what was heard lately.
        running: False before the first estimate and in silence: then no beat may fire.
        beats_per_bar: metre; 4 in nearly all dance music.
    """

    anchor: float = 0.0
    period: float = 0.5
    count: int = 0
    downbeat: int = 0
    confidence: float = 0.0
    running: bool = False
    beats_per_bar: int = 4

    @property
    def tempo(self) -> float:
        """Beats a minute; 0 while not running."""
        return 60.0 / self.period if self.running else 0.0

    def beats_at(self, time: float) -> float:
        """Position in beats at session time ``time`` (s): the whole part is the beat's number."""
        return self.count + (time - self.anchor) / self.period

    def time_of(self, beats: float) -> float:
        """Session time (s) of position ``beats``; the inverse of :meth:`beats_at`."""
        return self.anchor + (beats - self.count) * self.period

    def phase_at(self, time: float) -> float:
        """Position inside the beat at ``time``, 0–1."""
        beats = self.beats_at(time)
        return beats - math.floor(beats)

    def bar_phase_at(self, time: float) -> float:
        """Position inside the bar at ``time``, 0–1."""
        bars = (self.beats_at(time) - self.downbeat) / self.beats_per_bar
        return bars - math.floor(bars)


@dataclass(frozen=True, slots=True)
class AudioFeatures:
    """Everything the analyser knows after one hop. Levels are 0–1 after gain control.

    Attributes:
        time: session time (s) of the hop's last sample, from the device's ADC clock or a sample count.
        hop: number of the hop, from 0.
        rms: loudness of the hop, gain-controlled.
        peak: largest sample of the hop, gain-controlled.
        raw_rms: loudness before gain control, full scale = 1.
        bands: level a band, fast (about 30 ms).
        bands_slow: level a band, slow (about 1 s).
        hits: a band's transient: jumps to 0–1 on an attack and decays within about 150 ms.
        hit_counts: attacks so far, a band; a counter, so that a reader who skips hops loses none.
        centroid: spectral centroid, 0–1 on a log scale from 20 Hz to 16 kHz.
        flatness: spectral flatness, 0 (a tone) – 1 (noise).
        flux: positive spectral change, 0–1.
        onset_strength: strength of the last onset, 0–1.
        onset_count: onsets so far.
        last_onset: session time (s) of the last onset; negative before the first.
        silent: True while the silence gate is shut: nothing fires.
        gain_db: gain applied by the slow gain control, dB.
        beat: the beat clock.
    """

    time: float = 0.0
    hop: int = -1
    rms: float = 0.0
    peak: float = 0.0
    raw_rms: float = 0.0
    bands: Bands = NO_BANDS
    bands_slow: Bands = NO_BANDS
    hits: Bands = NO_BANDS
    hit_counts: tuple[int, int, int, int, int, int] = (0, 0, 0, 0, 0, 0)
    centroid: float = 0.0
    flatness: float = 0.0
    flux: float = 0.0
    onset_strength: float = 0.0
    onset_count: int = 0
    last_onset: float = -1.0
    silent: bool = True
    gain_db: float = 0.0
    beat: BeatClock = field(default_factory=BeatClock)


NO_AUDIO = AudioFeatures()
"""What readers see before the first hop and without any audio: silence."""
