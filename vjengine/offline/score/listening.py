"""What an expression reads at a moment: the track's features, where the music is, and where in the score that is."""

from __future__ import annotations

import math

from vjengine.core.reducer import ONSET_DECAY
from vjengine.core.signals import AudioFeatures
from vjengine.offline.score.expressions import Signals
from vjengine.offline.score.music import BEATS_IN_BAR, Music


def signals_at(
    time: float,
    film_time: float,
    features: AudioFeatures,
    music: Music,
    scene: tuple[int, float, float] = (0, 0.0, 0.0),
) -> Signals:
    """Return the value of every name of :data:`~vjengine.offline.score.expressions.SIGNALS`.

    Args:
        time: s into the track.
        film_time: s into the film, the time of ``features``.
        features: what is heard.
        music: the whole track; without its beats, those heard so far are read.
        scene: number (from 1), s since it began, and how far in it that is, 0-1.
    """
    if music.grid is not None:
        beat, tempo = music.grid.beat_at(time), music.grid.tempo_at(time)
    else:
        clock = features.beat
        beat, tempo = (clock.beats_at(film_time) - clock.downbeat if clock.running else 0.0), clock.tempo
    bar = beat / BEATS_IN_BAR
    section, section_phase = music.section_at(time)
    sub, bass, lowmid, mids, high, air = features.bands
    hits = features.hits
    since = film_time - features.last_onset
    heard = features.onset_count > 0 and since >= 0.0
    return {
        "t": time,
        "progress": min(1.0, max(0.0, time / music.duration)) if music.duration > 0.0 else 0.0,
        "beat": beat,
        "bar": bar,
        "phase": beat - math.floor(beat),
        "bar_phase": bar - math.floor(bar),
        "tempo": tempo,
        "level": features.rms,
        "low": (sub + bass) / 2.0,
        "mid": (lowmid + mids) / 2.0,
        "high": (high + air) / 2.0,
        "low_hit": max(hits[0], hits[1]),
        "mid_hit": max(hits[2], hits[3]),
        "high_hit": max(hits[4], hits[5]),
        "onset": features.onset_strength * math.exp(-since / ONSET_DECAY) if heard else 0.0,
        "energy": sum(features.bands_slow) / 6.0,
        "bright": features.centroid,
        "section": float(section),
        "section_phase": section_phase,
        "section_energy": music.sections[section - 1].energy if section else 0.0,
        "scene": float(scene[0]),
        "scene_time": scene[1],
        "scene_phase": scene[2],
    }
