"""Renders the bundled demo track: ``python -m vjengine.demo.synth -o track.opus``.

The track is written, played, mixed and mastered by this package alone, and comes out the same every time. Beside the
sound it writes a JSON of the same name with what is true about it: tempo, first beat, sections.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vjengine.demo.arrangement import LEAD_IN, PLAN, TEMPO, Score, Section, compose, span
from vjengine.demo.dsp import RATE, Signal, convolved, ducking, filtered, ping_pong, room, shelved, sweep
from vjengine.demo.mastering import integrated_lufs, mastered

CODECS = {
    ".opus": ("libopus", 160_000),
    ".ogg": ("libopus", 160_000),
    ".m4a": ("aac", 192_000),
    ".flac": ("flac", None),
    ".wav": ("pcm_s16le", None),
}

LEVELS = {
    "kick": 0.74,
    "drums": 1.25,
    "roll": 0.95,
    "bass": 0.46,
    "chords": 0.82,
    "pad": 0.62,
    "arp": 0.85,
    "lead": 0.8,
    "fx": 0.85,
}
"""Fader positions of the stems."""

DUCK = {"bass": 0.8, "chords": 0.72, "pad": 0.6, "arp": 0.4, "lead": 0.35, "fx": 0.3}
"""How deep the kick pushes each stem down."""

HALL = {"drums": 0.06, "roll": 0.14, "chords": 0.16, "pad": 0.35, "arp": 0.22, "lead": 0.24, "fx": 0.2}
ECHO = {"arp": 0.45, "lead": 0.32}

TONE = (
    (30.0, 0.0),
    (120.0, 0.0),
    (300.0, -1.0),
    (700.0, -0.5),
    (2500.0, 1.5),
    (5000.0, 2.0),
    (9000.0, 0.0),
    (18000.0, -1.0),
)
"""The master's tone curve: (Hz, dB)."""


def mix(score: Score) -> Signal:
    """Return the stereo mix of ``score``, before mastering."""
    stems = {name: stem * np.float32(LEVELS[name]) for name, stem in score.stems.items()}
    stems["kick"] = sweep(stems["kick"], score.curve("kick"))
    stems["bass"] = filtered(sweep(stems["bass"], score.curve("bass"), resonance=0.5), low=38.0)
    stems["chords"] = sweep(stems["chords"], score.curve("chords"), resonance=0.7)
    stems["arp"] = filtered(sweep(stems["arp"], score.curve("arp"), resonance=0.4), low=220.0)
    stems["lead"] = filtered(stems["lead"], low=180.0)
    for name, depth in DUCK.items():
        stems[name] *= ducking(score.length, score.kicks, depth)
    rng = np.random.default_rng(2)
    echo_send = sum(stems[name] * np.float32(share) for name, share in ECHO.items())
    echoes = ping_pong(np.asarray(echo_send), span(0.75))
    hall_send = sum(stems[name] * np.float32(share) for name, share in HALL.items()) + 0.2 * echoes
    hall = filtered(convolved(np.asarray(hall_send), room(rng, 2.6)), low=200.0)
    drum_room = convolved(stems["drums"] * np.float32(0.1), room(rng, 0.5, 0.006, 7000.0))
    # Rooms breathe with the kick as well, or they fill the holes that ducking makes.
    wet = (hall + echoes) * ducking(score.length, score.kicks, 0.55) + drum_room
    total = np.asarray(sum(stems.values())) + wet
    return _mono_below(filtered(total, low=26.0), 130.0)


def _mono_below(sound: Signal, edge: float) -> Signal:
    """Return ``sound`` with its bass in the middle, as every club system wants it."""
    side = (sound[:1] - sound[1:]) * np.float32(0.5)
    middle = (sound[:1] + sound[1:]) * np.float32(0.5)
    side = filtered(side, low=edge)
    return np.concatenate([middle + side, middle - side])


def render(plan: Sequence[Section] = PLAN, loudness: float = -10.4) -> Signal:
    """Return the finished track of ``plan``, ``(2, n)`` float32 at 48 kHz."""
    return mastered(shelved(mix(compose(plan)), TONE), loudness)


def truth(plan: Sequence[Section] = PLAN, samples: int = 0) -> dict[str, Any]:
    """Return what is true about the track: tempo, first beat (s), metre, and sections with their times (s)."""
    beat = 60.0 / TEMPO
    sections = []
    first = 0
    for section in plan:
        start = LEAD_IN + first * beat
        first += 4 * section.bars
        end = LEAD_IN + first * beat
        sections.append(
            {
                "name": section.name,
                "kind": section.kind,
                "start": round(start, 4),
                "end": round(end, 4),
                "bars": section.bars,
            }
        )
    return {
        "title": "Doors at Ten",
        "tempo": TEMPO,
        "first_beat": LEAD_IN,
        "beats": first,
        "beats_per_bar": 4,
        "key": "A minor",
        "sample_rate": RATE,
        "duration": round(samples / RATE, 4),
        "sections": sections,
    }


def write(path: Path, sound: Signal, title: str) -> None:
    """Encode ``(2, n)`` ``sound`` into ``path``; the extension chooses the codec, see :data:`CODECS`."""
    import av

    codec, bit_rate = CODECS[path.suffix.lower()]
    with av.open(str(path), "w") as container:
        container.metadata.update(title=title, artist="vjengine", genre="Progressive House")
        stream: Any = container.add_stream(codec, rate=RATE)
        stream.layout = "stereo"
        if bit_rate:
            stream.bit_rate = bit_rate
        packed = np.ascontiguousarray(sound.T).reshape(1, -1)
        for first in range(0, packed.shape[1], 2 * RATE):
            frame = av.AudioFrame.from_ndarray(packed[:, first : first + 2 * RATE], format="flt", layout="stereo")
            frame.sample_rate = RATE
            frame.pts = first // 2
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main(arguments: Sequence[str] | None = None) -> int:
    """Render, write and say how loud it became."""
    parser = argparse.ArgumentParser(prog="python -m vjengine.demo.synth", description="Render the demo track.")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("track.opus"), help="%(default)s; " + " ".join(CODECS)
    )
    options = parser.parse_args(arguments)
    if options.output.suffix.lower() not in CODECS:
        parser.error(f"{options.output}: the name must end in one of {' '.join(CODECS)}")
    begun = time.perf_counter()
    sound = render()
    facts = truth(samples=sound.shape[1])
    write(options.output, sound, str(facts["title"]))
    options.output.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    took = time.perf_counter() - begun
    loud = integrated_lufs(sound)
    sys.stdout.write(f"{options.output}: {sound.shape[1] / RATE:.1f} s at {loud:.1f} LUFS, made in {took:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
