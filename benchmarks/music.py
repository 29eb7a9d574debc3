"""Synthetic dance music whose beats are known to the sample, for judging the analysis.

Everything is made from sines, sweeps and seeded noise, so a piece is the same on every machine. Times of beats are the
first sample of the attack that falls on them, or where it would fall when a drum is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float64]


@dataclass(frozen=True)
class Piece:
    """A synthetic piece: ``samples`` (n,) float32, its ``rate`` in Hz, its true ``beats`` in s and its first tempo."""

    name: str
    samples: NDArray[np.float32]
    rate: int
    beats: Wave
    bpm: float
    four: bool = True
    judged_from: float = 5.0


def kick(rate: int) -> Wave:
    """Return a kick drum: a sine falling from 180 to 48 Hz with a short click."""
    t = np.arange(int(0.28 * rate)) / rate
    phase = 2 * np.pi * (48 * t + 132 * 0.03 * (1 - np.exp(-t / 0.03)))
    click = np.random.default_rng(1).standard_normal(t.size) * np.exp(-t / 0.002) * 0.25
    return 0.9 * np.sin(phase) * np.exp(-t / 0.09) + click


def snare(rate: int) -> Wave:
    """Return a snare: bright noise over a 190 Hz body."""
    t = np.arange(int(0.2 * rate)) / rate
    noise = np.random.default_rng(2).standard_normal(t.size) * np.exp(-t / 0.05)
    return 0.35 * noise + 0.4 * np.sin(2 * np.pi * 190 * t) * np.exp(-t / 0.04)


def hat(rate: int, length: float = 0.03) -> Wave:
    """Return a hi-hat: twice differentiated noise that decays over ``length`` s."""
    t = np.arange(int(6 * length * rate)) / rate
    noise = np.random.default_rng(3).standard_normal(t.size + 2)
    return 0.16 * np.diff(noise, 2) * np.exp(-t / length)


def tone(rate: int, pitch: float, length: float, harmonics: int = 6, attack: float = 0.01) -> Wave:
    """Return a note of ``pitch`` Hz with 1/n harmonics and soft ends."""
    t = np.arange(int(length * rate)) / rate
    wave = sum((np.sin(2 * np.pi * pitch * n * t) / n for n in range(1, harmonics + 1)), np.zeros_like(t))
    return np.asarray(wave * np.minimum(1, t / attack) * np.minimum(1, (length - t) / 0.02)) * 0.5


def voice(rate: int, seconds: float, seed: int = 5) -> Wave:
    """Return a vocal-like line: gliding harmonics with vibrato and irregular syllables."""
    rng = np.random.default_rng(seed)
    out = np.zeros(int(seconds * rate))
    at = 0.0
    while at < seconds - 0.9:
        length = rng.uniform(0.15, 0.8)
        t = np.arange(int(length * rate)) / rate
        pitch = rng.choice([196, 220, 247, 262, 294]) * (1 + 0.02 * np.sin(2 * np.pi * 5.5 * t))
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        wave = sum((np.sin(n * phase) / n**1.2 for n in range(1, 9)), np.zeros_like(t))
        put(out, rate, at, wave * np.sin(np.pi * t / length) ** 0.5 * 0.25)
        at += length + rng.uniform(0.02, 0.3)
    return out


def put(out: Wave, rate: int, time: float, sound: Wave, gain: float = 1.0) -> None:
    """Add ``sound`` to ``out`` at ``time`` s, cut at the end."""
    start = round(time * rate)
    if 0 <= start < out.size:
        end = min(out.size, start + sound.size)
        out[start:end] += gain * sound[: end - start]


Pattern = Callable[["Kit", int, Callable[[float], float]], None]


class Kit:
    """A drummer: places sounds on a canvas at beat positions."""

    def __init__(self, rate: int, seconds: float) -> None:
        self.rate = rate
        self.out = np.zeros(int(seconds * rate))
        self.sounds = {"k": kick(rate), "s": snare(rate), "h": hat(rate), "o": hat(rate, 0.09)}

    def hit(self, sound: str, time: float, gain: float = 1.0) -> None:
        """Play drum ``sound`` at ``time`` s."""
        put(self.out, self.rate, time, self.sounds[sound], gain)

    def note(self, pitch: float, time: float, length: float, gain: float = 0.4, harmonics: int = 6) -> None:
        """Play a note of ``pitch`` Hz at ``time`` s for ``length`` s."""
        put(self.out, self.rate, time, tone(self.rate, pitch, length, harmonics), gain)


def house(kit: Kit, i: int, at: Callable[[float], float]) -> None:
    """Play beat ``i`` of house: kick on the beat, clap on 2 and 4, loud off-beat open hats, off-beat bass."""
    kit.hit("k", at(0))
    kit.hit("o", at(0.5), 1.4)
    if i % 2:
        kit.hit("s", at(0), 0.6)
    kit.note([55, 55, 65, 49][i // 4 % 4], at(0.5), 0.18)
    for q in (0.25, 0.75):
        kit.hit("h", at(q), 0.5)


def techno(kit: Kit, i: int, at: Callable[[float], float]) -> None:
    """Play beat ``i`` of techno: kick, sixteenth bass line, hats off the beat."""
    kit.hit("k", at(0), 1.1)
    kit.hit("h", at(0.5), 1.0)
    for q in (0.25, 0.5, 0.75):
        kit.note(46, at(q), 0.09, 0.35, 4)
    if i % 8 == 5:
        kit.note(880, at(0.75), 0.3, 0.2)


def breakbeat(kit: Kit, i: int, at: Callable[[float], float]) -> None:
    """Play beat ``i`` of drum and bass: two-step kick and snare, ghost notes, eighth hats, a moving bass."""
    b = i % 4
    if b == 0:
        kit.hit("k", at(0))
    if b == 2:
        kit.hit("k", at(0.5))
    if b in (1, 3):
        kit.hit("s", at(0), 1.2)
    if b == 1 and i % 8 == 5:
        kit.hit("s", at(0.75), 0.35)
    if b == 3:
        kit.hit("s", at(0.5), 0.3)
    for q in (0, 0.5):
        kit.hit("h", at(q), 0.8)
    if b == 0:
        kit.note([43, 49, 41, 46][i // 4 % 4], at(0), 1.0, 0.35)


def hiphop(kit: Kit, i: int, at: Callable[[float], float]) -> None:
    """Play beat ``i`` of swung hip-hop: boom bap with late off-beats."""
    b = i % 4
    if b in (0, 2):
        kit.hit("k", at(0))
    if b == 1:
        kit.hit("k", at(0.62), 0.8)
    if b in (1, 3):
        kit.hit("s", at(0))
    kit.hit("h", at(0), 0.8)
    kit.hit("h", at(0.62), 0.6)
    if b == 0:
        kit.note(55, at(0), 0.5)
        kit.note(65, at(1.62), 0.3)


def dubstep(kit: Kit, i: int, at: Callable[[float], float]) -> None:
    """Play beat ``i`` of dubstep: half-time drums at 140 with a wobbling bass in triplets."""
    b = i % 4
    if b == 0:
        kit.hit("k", at(0), 1.1)
    if b == 1 and i % 8 > 3:
        kit.hit("k", at(0.5), 0.8)
    if b == 2:
        kit.hit("s", at(0), 1.3)
    kit.hit("h", at(0), 0.6)
    kit.hit("h", at(0.5), 0.6)
    if b != 2:
        for q in (0, 1 / 3, 2 / 3):
            kit.note(44 if i % 8 < 4 else 52, at(q), 0.11, 0.4, 10)


def rock(kit: Kit, i: int, at: Callable[[float], float]) -> None:
    """Play beat ``i`` of a plain backbeat with eighth hats and a held chord."""
    if i % 2 == 0:
        kit.hit("k", at(0))
        if i % 4 == 2:
            kit.hit("k", at(0.5), 0.8)
    else:
        kit.hit("s", at(0))
    for q in (0, 0.5):
        kit.hit("h", at(q))
    if i % 4 == 0:
        for pitch in (110, 165, 220):
            kit.note(pitch * [1, 0.89, 1.19, 1.33][i // 4 % 4], at(0), 1.4, 0.15)


STEPS: dict[str, dict[str, str]] = {
    # Sixteenths of one bar; upper case is loud.
    "amen": {"k": "K.K.......KK....", "s": "....S..s.s..S..s", "h": "h.h.h.h.h.h.h.h."},
    "boom bap": {"k": "K.....K.K.K.....", "s": "....S.......S...", "h": "H.h.H.h.H.h.H.h."},
    "lazy beat": {"k": "K......K..K.....", "s": "....S.......S..s", "h": "h.h.h.h.h.h.h.h."},
    "two-step garage": {"k": "K.........K.....", "s": "....S.......S...", "h": "..h..hh...h..h.h"},
    "reggaeton": {"k": "K...K...K...K...", "s": "...S..S....S..S.", "h": "h.h.h.h.h.h.h.h."},
    "trap": {"k": "K.....K...K.....", "s": "........S.......", "h": "h.h.hhh.h.h.h.hh"},
    "minimal": {"k": "K...K...K...K...", "s": "..........s....s", "h": "..............h."},
    "electro": {"k": "K.....K...K.....", "s": "....S.......S...", "h": "h.hhh.h.h.hhh.h."},
    "disco": {"k": "K...K...K...K...", "s": "....S.......S...", "h": "hhHhhhHhhhHhhhHh"},
    "hats first": {"k": "K...K...K...K...", "s": "................", "h": "..HH..HH..HH..HH"},
}


def steps(name: str, bass: tuple[float, ...] = (), shape: str = "") -> Pattern:
    """Return the step-sequencer pattern ``name``, with a ``bass`` line of one pitch a bar on the steps of ``shape``."""
    rows = STEPS[name]

    def beat(kit: Kit, i: int, at: Callable[[float], float]) -> None:
        for step in range(4):
            place = i % 4 * 4 + step
            for sound, row in rows.items():
                if row[place] != ".":
                    kit.hit(sound, at(step / 4), 1.0 if row[place].isupper() else 0.45)
            if bass and shape[place] != ".":
                kit.note(bass[i // 4 % len(bass)], at(step / 4), 0.16, 0.35, 8)

    return beat


def play(
    name: str,
    pattern: Pattern,
    tempo: Callable[[float], float],
    seconds: float = 30.0,
    rate: int = 48000,
    start: float = 0.37,
    skip: Callable[[int], bool] = lambda i: False,
    four: bool = True,
    judged_from: float = 5.0,
) -> Piece:
    """Play ``pattern`` at ``tempo(time)`` BPM; beats for which ``skip`` holds stay silent but are counted."""
    kit = Kit(rate, seconds)
    beats: list[float] = []
    time = start
    while time < seconds:
        beats.append(time)
        period = 60.0 / tempo(time)
        if not skip(len(beats) - 1):
            pattern(kit, len(beats) - 1, lambda q, t=time, p=period: t + q * p)  # type: ignore[misc]
        time += period
    return finish(Piece(name, kit.out.astype(np.float32), rate, np.array(beats), tempo(start), four, judged_from))


def finish(piece: Piece, level: float = 0.5) -> Piece:
    """Scale ``piece`` to a peak of ``level`` over a faint noise floor."""
    peak = float(np.abs(piece.samples).max()) or 1.0
    noise = np.random.default_rng(9).standard_normal(piece.samples.size) * 3e-5
    return replace(piece, samples=(piece.samples * (level / peak) + noise).astype(np.float32))


def changed(piece: Piece, name: str, change: Callable[[Wave, int], Wave]) -> Piece:
    """Return ``piece`` with its samples passed through ``change(samples, rate)``."""
    samples = change(piece.samples.astype(np.float64), piece.rate).astype(np.float32)
    return replace(piece, name=name, samples=samples)


def _noise(out: Wave, rate: int) -> Wave:
    return np.asarray(out + np.random.default_rng(4).standard_normal(out.size) * 0.05)


def _pad(out: Wave, rate: int) -> Wave:
    seconds = out.size / rate
    t = np.arange(out.size) / rate
    pad = sum((np.sin(2 * np.pi * f * t + n) for n, f in enumerate((130.8, 155.6, 196.2, 261.6))), np.zeros_like(t))
    return np.asarray(out + 0.03 * pad * (0.6 + 0.4 * np.sin(2 * np.pi * t / seconds * 3)))


def pieces(seconds: float = 30.0) -> list[Piece]:
    """Return the whole collection, ``seconds`` long each."""

    def steady(bpm: float) -> Callable[[float], float]:
        return lambda time: bpm

    half = seconds / 2
    arpeggio = steps("disco", (220.0, 261.6, 196.0, 174.6), "x.xxx.xxx.xxx.xx")
    house128 = play("house 128", house, steady(128), seconds)
    return [
        house128,
        play("house 124 at 44.1 kHz", house, steady(124), seconds, 44100),
        play("techno 140", techno, steady(140), seconds),
        play("techno 133.7", techno, steady(133.7), seconds),
        play("house 118", house, steady(118), seconds),
        play("hard 160", techno, steady(160), seconds),
        play("drum & bass 174", breakbeat, steady(174), seconds, four=False),
        play("drum & bass 168", breakbeat, steady(168), seconds, four=False),
        play("hip-hop 90 swung", hiphop, steady(90), seconds, four=False),
        play("hip-hop 84 swung", hiphop, steady(84), seconds, four=False),
        play("dubstep 140", dubstep, steady(140), seconds, four=False),
        play("amen 172", steps("amen"), steady(172), seconds, four=False),
        play("jungle 165", steps("amen", (49.0, 43.7), "x.....x...x....."), steady(165), seconds, four=False),
        play(
            "garage 132", steps("two-step garage", (55.0, 65.4), "x..x..x...x..x.."), steady(132), seconds, four=False
        ),
        play("boom bap 88", steps("boom bap"), steady(88), seconds, four=False),
        play("boom bap 80", steps("boom bap"), steady(80), seconds, four=False),
        play("lazy beat 93", steps("lazy beat", (55.0, 49.0), "x......x..x....."), steady(93), seconds, four=False),
        play("lazy beat 86", steps("lazy beat", (55.0, 49.0), "x......x..x....."), steady(86), seconds, four=False),
        play("reggaeton 95", steps("reggaeton", (55.0, 49.0), "x..x..x.x..x..x."), steady(95), seconds),
        play("trap 140", steps("trap", (43.7,), "x.....x...x....."), steady(140), seconds, four=False),
        play("electro 127", steps("electro", (55.0,), "x.x.x.x.x.x.x.x."), steady(127), seconds, four=False),
        play("minimal 125", steps("minimal"), steady(125), seconds),
        play("disco 115", arpeggio, steady(115), seconds),
        play("trance 138", arpeggio, steady(138), seconds),
        play("hardstyle 150", steps("minimal", (49.0, 55.0), "..xx..xx..xx..xx"), steady(150), seconds),
        play("loud hats 126", steps("hats first"), steady(126), seconds),
        play("rock 105", rock, steady(105), seconds, four=False),
        play("rock 120", rock, steady(120), seconds, four=False),
        changed(
            play("", house, steady(126), seconds, skip=lambda i: i < 16, judged_from=12.0),
            "ambient intro, house 126",
            _pad,
        ),
        play("jump 120 to 128", house, lambda t: 120 if t < half else 128, seconds),
        play("ramp 124 to 130", house, lambda t: 124 + 6 * t / seconds, seconds),
        changed(play("", house, steady(127), seconds, skip=lambda i: 24 <= i < 40), "breakdown, house 127", _pad),
        play("missing kicks, techno 138", techno, steady(138), seconds, skip=lambda i: i % 7 in (3, 4)),
        changed(house128, "house 128 in noise", _noise),
        changed(house128, "house 128 at -30 dB", lambda out, rate: out * 0.0316),
        changed(
            play("", house, steady(122), seconds),
            "house 122 with voice",
            lambda out, rate: out + 0.6 * voice(rate, out.size / rate),
        ),
    ]


def f_measure(found: Wave, true: Wave, skip: float = 5.0, tolerance: float = 0.07) -> tuple[float, float]:
    """Return ``(F, median error in s)`` of beats after ``skip`` s; each true beat is matched at most once."""
    found = np.asarray([t for t in found if t >= skip])
    true = np.asarray([t for t in true if t >= skip])
    errors: list[float] = []
    used: set[int] = set()
    for t in true:
        near = [(abs(f - t), j, f - t) for j, f in enumerate(found) if j not in used and abs(f - t) <= tolerance]
        if near:
            _, j, error = min(near)
            used.add(j)
            errors.append(error)
    if not errors:
        return 0.0, float("nan")
    precision, recall = len(errors) / len(found), len(errors) / len(true)
    return 2 * precision * recall / (precision + recall), float(np.median(errors))
