"""Which pictures of a film another rate shows when: in whole numbers and fractions, so that an hour does not drift."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

NTSC = (24, 30, 48, 60, 120, 240)
"""Whole rates that stand, written with two or three decimals, for a thousand-and-first less."""


def parse_rate(text: str) -> Fraction:
    """Return pictures a second from ``60``, ``59.94`` or ``60000/1001``; 23.976 and its kin mean n * 1000 / 1001.

    Raises:
        ValueError: if it is not a number from 1 to 240.
    """
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{text!r} is not a rate; try 60, 59.94 or 60000/1001") from None
    for whole in NTSC:
        exact = Fraction(whole * 1000, 1001)
        if rate.denominator != 1 and rate != exact and abs(rate - exact) < Fraction(6, 1000):
            return exact
    if not 1 <= rate <= 240:
        raise ValueError(f"{text!r}: expected from 1 to 240 pictures a second")
    return rate


@dataclass(frozen=True, slots=True)
class Cadence:
    """A film of ``frames`` pictures at ``base`` a second, shown at ``fps``.

    Picture k of the result stands at k / fps s. What it shows lies ``place(k)`` of the way through the film; after the
    film's last picture, that one is held until the film is as long as it was.
    """

    base: Fraction
    fps: Fraction
    frames: int

    @property
    def count(self) -> int:
        """Pictures of the result: the film's length to the nearest picture, never none."""
        return max(1, round(self.frames * self.fps / self.base))

    def place(self, k: int) -> tuple[int, Fraction]:
        """Return the film's picture at or before picture ``k`` of the result, and the share (0 to <1) to the next."""
        position = k * self.base / self.fps
        index = int(position)
        if index >= self.frames - 1:
            return self.frames - 1, Fraction(0)
        return index, position - index

    def needs(self, start: int, stop: int) -> tuple[int, int]:
        """Return the range of the film's pictures that ``start`` to ``stop`` (not included) are made of."""
        first, _ = self.place(start)
        last, share = self.place(stop - 1)
        return first, last + (2 if share else 1)

    def segments(self, length: int) -> Iterator[tuple[int, int]]:
        """Yield (start, stop) that cut the result into stretches of ``length`` pictures; the last may be shorter."""
        for start in range(0, self.count, length):
            yield start, min(start + length, self.count)
