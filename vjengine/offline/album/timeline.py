"""Where each track's sound and picture lie in the film. Pure: whole numbers only, so that nothing ever drifts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Slot:
    """A track's place in the film.

    Attributes:
        sample: its first sample, counted from the film's start.
        samples: how many are its own, its gap included.
        frame: its first picture, counted from the film's start.
        frames: pictures up to the next track.
    """

    sample: int
    samples: int
    frame: int
    frames: int


def exact_fps(fps: float) -> Fraction:
    """Return the frame rate as films count it: 29.97 is 30000/1001."""
    return Fraction(fps).limit_denominator(1001)


def frames_for(samples: int, rate: int, fps: Fraction) -> int:
    """Return the pictures that a track of ``samples`` may need, wherever in the film it comes to lie."""
    return -(-samples * fps.numerator // (rate * fps.denominator))


def lay_out(samples: Sequence[int], rate: int, fps: Fraction) -> list[Slot]:
    """Lay tracks of so many ``samples`` at ``rate`` Hz end to end.

    Sound follows sound at the next sample. A track's picture begins with the frame nearest to its first sample, from
    the film's own count of samples: at most half a frame off, in the last track as in the first. A track takes
    :func:`frames_for` pictures or one fewer.
    """
    slots = []
    at = 0
    for count in samples:
        first, after = _nearest(at, rate, fps), _nearest(at + count, rate, fps)
        slots.append(Slot(at, count, first, after - first))
        at += count
    return slots


def _nearest(sample: int, rate: int, fps: Fraction) -> int:
    return (2 * sample * fps.numerator + rate * fps.denominator) // (2 * rate * fps.denominator)
