"""The demo track's composition: sections, harmony, melody and patterns, written into stems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from vjengine.demo import drums, voices
from vjengine.demo.dsp import RATE, Signal, filtered, place, seconds

TEMPO = 126.0
"""Beats a minute."""

LEAD_IN = 0.25
"""s before the first beat, so that no encoder swallows its attack."""

TAIL = 3.0
"""s after the last bar, for the reverb."""

Kind = Literal["intro", "build", "drop", "breakdown", "outro"]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the track: its name, what is played in it, and its length in bars of four beats.

    ``lift`` is how far the arrangement is thickened, 0 or 1: the second drop carries the lead from its first bar.
    """

    name: str
    kind: Kind
    bars: int
    lift: int = 0


PLAN: tuple[Section, ...] = (
    Section("intro", "intro", 8),
    Section("build", "build", 8),
    Section("drop", "drop", 16),
    Section("breakdown", "breakdown", 8),
    Section("build 2", "build", 8, lift=1),
    Section("drop 2", "drop", 12, lift=1),
    Section("outro", "outro", 4),
)

CHORDS: tuple[tuple[int, ...], ...] = (
    (57, 60, 64, 67, 71),  # Am9
    (53, 57, 60, 64, 67),  # Fmaj9 without its root's octave
    (55, 60, 62, 64, 67),  # C add 9 over G
    (55, 59, 62, 64, 69),  # G 6/9
)
ROOTS = (33, 29, 36, 31)
"""A1, F1, C2, G1: the bass of each chord."""

MELODY: tuple[tuple[tuple[float, float, int], ...], ...] = (
    ((0.0, 0.75, 76), (0.75, 0.75, 74), (1.5, 1.0, 72), (2.5, 0.5, 71), (3.0, 1.0, 72)),
    ((0.0, 0.75, 72), (0.75, 0.75, 76), (1.5, 1.5, 69), (3.0, 1.0, 72)),
    ((0.0, 0.75, 79), (0.75, 0.75, 76), (1.5, 1.0, 74), (2.5, 0.5, 72), (3.0, 1.0, 76)),
    ((0.0, 0.75, 74), (0.75, 0.75, 71), (1.5, 1.5, 67), (3.0, 0.5, 71), (3.5, 0.5, 74)),
)
"""One bar a chord: (beat, length in beats, MIDI note)."""

ARPEGGIO = (0, 2, 4, 1, 3, 2, 4, 3, 0, 4, 2, 3, 1, 4, 3, 2)
"""Which chord tone each sixteenth plays."""

STABS = (0, 3, 6, 8, 11, 14)
"""Sixteenths of a bar on which the drop's chords are struck."""

STEMS = ("kick", "drums", "roll", "bass", "chords", "pad", "arp", "lead", "fx")


def at(beat: float) -> int:
    """Return the sample on which ``beat`` falls, counted from the first beat of the track."""
    return round((LEAD_IN + beat * 60.0 / TEMPO) * RATE)


def span(beats: float) -> int:
    """Return the length of ``beats`` in samples."""
    return round(beats * 60.0 / TEMPO * RATE)


@dataclass(slots=True)
class Score:
    """The stems while they are written, and the curves that the mix reads.

    Attributes:
        length: samples in all.
        stems: stereo tracks by name.
        kicks: samples of every kick.
        curves: automation by name: (beat, value) points.
    """

    length: int
    stems: dict[str, Signal]
    kicks: list[int] = field(default_factory=list)
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def curve(self, name: str, steps: int = 2048) -> npt.NDArray[np.float64]:
        """Return automation ``name`` at ``steps`` even moments over the whole track, joined on a log axis."""
        points = sorted(self.curves[name])
        moments = np.linspace(0, self.length, steps)
        knots = [at(beat) for beat, _ in points]
        return np.exp(np.interp(moments, knots, np.log([value for _, value in points])))


def compose(plan: Sequence[Section] = PLAN) -> Score:
    """Write ``plan`` into stems. Deterministic: every chance is drawn from a seed of its own."""
    total = 4 * sum(section.bars for section in plan)
    length = at(total) + seconds(TAIL)
    score = Score(length, {name: np.zeros((2, length), dtype=np.float32) for name in STEMS})
    score.curves = {"chords": [], "arp": [], "kick": [], "bass": []}
    writers = {"intro": _intro, "build": _build, "drop": _drop, "breakdown": _breakdown, "outro": _outro}
    band = _Band()
    first = 0
    for section in plan:
        writers[section.kind](score, band, section, first)
        first += 4 * section.bars
    return score


class _Band:
    """The instruments, each struck once and kept."""

    def __init__(self) -> None:
        rng = np.random.default_rng(126)
        self.rng = rng
        self.kick = drums.kick()
        self.claps = [drums.clap(rng) for _ in range(4)]
        self.closed = [drums.hat(rng, 0.028) for _ in range(4)]
        self.open = [drums.hat(rng, 0.1, low=6000.0) for _ in range(3)]
        self.ride = drums.hat(rng, 0.24, tone=520.0, low=5000.0)
        self.shakers = [drums.shaker(rng) for _ in range(4)]
        self.impact = drums.impact(rng)
        self.crash = drums.hat(rng, 0.7, tone=335.0, low=3500.0)
        bar = span(4) + span(0.25)
        self.chords = [voices.chord(notes, bar, rng) for notes in CHORDS]
        self.stabs = [_stab(sound) for sound in self.chords]
        self.warm = [filtered(sound, high=900.0) for sound in self.chords]
        self.choirs = [voices.choir(notes[:4], bar, rng) for notes in CHORDS]


def _stab(sound: Signal) -> Signal:
    """Return a struck version of a held chord, about a dotted eighth long."""
    length = span(0.7)
    clock = np.arange(length) / RATE
    shape = np.minimum(1, clock / 0.004) * np.exp(-clock / 0.13) * np.minimum(1, (length / RATE - clock) / 0.03)
    return sound[:, :length] * shape.astype(np.float32)


def _held(sound: Signal) -> Signal:
    """Return a bar of chord whose ends cross-fade with its neighbours'."""
    edge = span(0.25)
    slope = np.sin(np.linspace(0, np.pi / 2, edge)).astype(np.float32)
    out = sound.copy()
    out[:, :edge] *= slope
    out[:, -edge:] *= slope[::-1]
    return out


def _kicks(score: Score, band: _Band, beats: Sequence[float], gain: float = 1.0) -> None:
    for beat in beats:
        place(score.stems["kick"], band.kick, at(beat), gain)
        score.kicks.append(at(beat))


def _hats(score: Score, band: _Band, first: float, bars: int, closed: float, opened: float, shaken: float) -> None:
    """Sixteenths with a groove: closed hats, open hats off the beat, a shaker that leans on the eighths."""
    stem = score.stems["drums"]
    lean = (0.55, 0.35, 0.8, 0.45)
    for step in range(bars * 16):
        beat = first + step / 4
        loud = lean[step % 4] * (1.0 + 0.12 * float(band.rng.standard_normal()))
        if closed:
            place(stem, band.closed[step % 4], at(beat), closed * loud, 0.25)
        if shaken:
            place(stem, band.shakers[step % 4], at(beat), shaken * loud, -0.35)
        if opened and step % 4 == 2:
            place(stem, band.open[step % 3], at(beat), opened, 0.1)


def _claps(score: Score, band: _Band, first: float, bars: int, gain: float) -> None:
    for bar in range(bars):
        for beat in (1, 3):
            place(score.stems["drums"], band.claps[(2 * bar + beat // 2) % 4], at(first + 4 * bar + beat), gain)


def _bass_line(score: Score, first: float, bars: int, gain: float, busy: bool = True) -> None:
    """A rolling bass between the kicks, with a step up at the end of every bar."""
    for bar in range(bars):
        root = ROOTS[bar % 4]
        for step in range(16):
            if step % 4 == 0 or (not busy and step % 4 != 2):
                continue
            note = root + (12 if step in (7, 15) else 7 if step == 14 and bar % 4 == 3 else 0)
            accent = step % 4 == 2
            sound = voices.bass(note, span(0.24), accent)
            place(score.stems["bass"], sound, at(first + 4 * bar + step / 4), gain * (1.0 if accent else 0.72))


def _arpeggio(score: Score, first: float, bars: int, gain: float, open_to: tuple[int, int], every: int = 1) -> None:
    """Sixteenths of plucked chord tones, whose brightness goes from one end of ``open_to`` (Hz) to the other."""
    for step in range(0, bars * 16, every):
        notes = CHORDS[step // 16 % 4]
        note = notes[ARPEGGIO[step % 16]] + (12 if step % 8 < 5 else 24)
        bright = open_to[0] + (open_to[1] - open_to[0]) * step / (bars * 16)
        loud = gain * (1.0 if step % 4 == 0 else 0.7)
        pan = 0.45 * (-1) ** (step // every)
        place(score.stems["arp"], voices.pluck(note, 400 * round(bright / 400) + 200), at(first + step / 4), loud, pan)


def _melody(score: Score, band: _Band, first: float, bars: int, gain: float, plucked: bool) -> None:
    for bar in range(bars):
        for beat, length, note in MELODY[bar % 4]:
            moment = at(first + 4 * bar + beat)
            if plucked:
                place(score.stems["lead"], voices.pluck(note, 3200, 0.26), moment, gain, 0.15 * (-1) ** int(beat))
            else:
                place(score.stems["lead"], voices.lead(note, span(length * 0.94), band.rng), moment, gain)


def _pads(score: Score, sounds: Sequence[Signal], first: float, bars: int, gain: float, stem: str = "pad") -> None:
    for bar in range(bars):
        place(score.stems[stem], _held(sounds[bar % 4]), at(first + 4 * bar), gain)


def _intro(score: Score, band: _Band, section: Section, first: int) -> None:
    bars, half = section.bars, first + 2 * section.bars
    _kicks(score, band, [first + beat for beat in range(4 * bars)], 0.76)
    _hats(score, band, first, bars // 2, 0.0, 0.0, 0.45)
    _hats(score, band, half, bars - bars // 2, 0.4, 0.4, 0.5)
    _pads(score, band.warm, first, bars, 0.5)
    _arpeggio(score, half, bars - bars // 2, 0.16, (400, 1200), every=2)
    place(score.stems["fx"], band.impact, at(first), 0.25)
    score.curves["kick"] += [(first, 260.0), (half, 1500.0), (first + 4 * bars, 16000.0)]
    score.curves["chords"] += [(first, 400.0)]
    score.curves["arp"] += [(first, 900.0), (first + 4 * bars, 2500.0)]
    score.curves["bass"] += [(first, 200.0)]


def _build(score: Score, band: _Band, section: Section, first: int) -> None:
    bars, end = section.bars, first + 4 * section.bars
    beats = 4 * bars
    calm = beats - min(8, beats // 2)  # the kick leaves for the last two bars
    _kicks(score, band, [first + beat for beat in range(calm)], 0.88)
    _hats(score, band, first, bars, 0.4, 0.4, 0.4)
    _claps(score, band, first, max(1, calm // 4), 0.5)
    _bass_line(score, first, max(1, calm // 4), 0.5, busy=False)
    _pads(score, band.chords, first, bars, 0.25, "chords")
    _pads(score, band.warm, first, bars, 0.16)
    _arpeggio(score, first, bars, 0.22 + 0.04 * section.lift, (600, 3800))
    if section.lift:
        _melody(score, band, first, bars // 2, 0.14, plucked=True)
    roll = min(16, beats)
    _snare_roll(score, band, end - roll, roll)
    rise = voices.riser(span(roll) - span(0.5), band.rng)
    place(score.stems["fx"], rise, at(end - roll), 0.2)
    score.curves["kick"] += [(first, 16000.0), (end, 16000.0)]
    score.curves["chords"] += [(first, 420.0), (first + beats / 2, 1300.0), (end - 0.5, 9000.0)]
    score.curves["arp"] += [(first, 2500.0), (end, 12000.0)]
    score.curves["bass"] += [(first, 300.0), (end - 1, 1500.0)]


def _snare_roll(score: Score, band: _Band, first: float, beats: int) -> None:
    """Quarters, eighths, sixteenths, thirty-seconds, louder and higher; nothing in the last half beat."""
    moments: list[float] = []
    for quarter, step in enumerate((1.0, 0.5, 0.25, 0.125)):
        start = beats * quarter / 4
        moments += [float(start + index * step) for index in range(int(beats / 4 / step))]
    for moment in moments:
        if moment < beats - 0.5:
            done = moment / beats
            sound = drums.snare(band.rng, 1.0 + 0.6 * done**2)
            place(score.stems["roll"], sound, at(first + moment), 0.14 + 0.24 * done, 0.2 * (-1) ** int(moment * 8))


def _drop(score: Score, band: _Band, section: Section, first: int) -> None:
    bars, end = section.bars, first + 4 * section.bars
    fills = [first + 4 * bar - 1 for bar in range(8, bars + 1, 8)]
    _kicks(score, band, [first + beat for beat in range(4 * bars) if first + beat not in fills])
    _claps(score, band, first, bars, 0.72)
    _hats(score, band, first, bars, 0.5, 0.62, 0.45)
    _bass_line(score, first, bars, 0.82)
    _pads(score, band.chords, first, bars, 0.3, "chords")
    for bar in range(bars):
        for step in STABS:
            place(score.stems["chords"], band.stabs[bar % 4], at(first + 4 * bar + step / 4), 0.62)
    half = 0 if section.lift else bars // 2
    rest = bars - half
    for beat in range(4 * rest):
        place(score.stems["drums"], band.ride, at(first + 4 * half + beat), 0.3, -0.2)
    _melody(score, band, first + 4 * half, rest, 0.62, plucked=False)
    _arpeggio(score, first + 4 * half, rest, 0.2 + 0.06 * section.lift, (2200, 3600))
    for start in {first, first + 4 * half}:
        place(score.stems["fx"], band.impact, at(start), 0.85)
        place(score.stems["fx"], band.crash, at(start), 0.5)
    for beat in fills:
        for index, pitch in enumerate((196.0, 165.0, 147.0, 110.0)):
            place(score.stems["drums"], drums.tom(pitch), at(beat + index / 4), 0.6, 0.6 - 0.4 * index)
    score.curves["kick"] += [(first, 16000.0), (end, 16000.0)]
    score.curves["chords"] += [(first, 9000.0), (first + 4 * half + 0.1, 10000.0), (end - 0.2, 12000.0)]
    score.curves["arp"] += [(first, 9000.0), (end, 12000.0)]
    score.curves["bass"] += [(first, 9000.0), (end - 0.2, 9000.0)]


def _breakdown(score: Score, band: _Band, section: Section, first: int) -> None:
    bars = section.bars
    place(score.stems["fx"], band.impact, at(first), 0.6)
    _pads(score, band.warm, first, bars, 0.52)
    _pads(score, band.choirs, first, bars, 0.46)
    _melody(score, band, first, bars, 0.22, plucked=True)
    later = bars // 2
    _hats(score, band, first, later, 0.0, 0.0, 0.1)
    _hats(score, band, first + 4 * later, bars - later, 0.0, 0.0, 0.28)
    _arpeggio(score, first + 4 * later, bars - later, 0.12, (500, 1500), every=2)
    for bar in range(bars):
        drone = voices.bass(ROOTS[bar % 4], span(3.9), False)
        place(score.stems["pad"], filtered(drone, high=320.0), at(first + 4 * bar), 0.34)
    score.curves["chords"] += [(first + 0.1, 420.0)]
    score.curves["arp"] += [(first + 0.1, 1800.0), (first + 4 * bars, 2500.0)]
    score.curves["bass"] += [(first + 0.1, 300.0)]
    score.curves["kick"] += [(first + 0.1, 16000.0)]


def _outro(score: Score, band: _Band, section: Section, first: int) -> None:
    bars, end = section.bars, first + 4 * section.bars
    _kicks(score, band, [first + beat for beat in range(4 * bars)], 0.95)
    _hats(score, band, first, bars, 0.4, 0.4, 0.5)
    _claps(score, band, first, bars // 2, 0.5)
    _bass_line(score, first, bars // 2, 0.6, busy=False)
    _pads(score, band.warm, first, bars, 0.45)
    place(score.stems["fx"], band.impact, at(first), 0.4)
    place(score.stems["fx"], band.impact, at(end), 0.5)
    place(score.stems["pad"], _held(band.warm[0]), at(end), 0.5)
    score.curves["kick"] += [(first, 16000.0), (end, 600.0)]
    score.curves["chords"] += [(first + 0.1, 900.0)]
    score.curves["arp"] += [(first + 0.1, 1500.0)]
    score.curves["bass"] += [(first + 0.1, 700.0), (end, 300.0)]
