"""The arithmetic of faders, encoders and soft takeover: numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vjengine.inputs.midi_map import Curve, Encoding, Row

FULL = 127
"""Highest value of a 7-bit message."""
FULL_FINE = 16383
"""Highest value of a 14-bit message."""
SETTLE = 0.25
"""s after which the show has surely drawn what a fader sent; a value that differs then was set by another hand."""
NEAR = 2.0 / FULL
"""How near to the present value a fader counts as being there: two steps of a 7-bit one."""
SLOW, FAST = 15.0, 120.0
"""Steps a second of an encoder at which its acceleration begins and is complete."""
_STEEP = 3.0


def unit(value: int, full: int, *, centred: bool) -> float:
    """Map ``value`` of ``full`` to 0–1.

    With ``centred``, the middle of the scale is exactly 0.5: a centre detent sends 64 of 127, which is not half of it.
    """
    if not centred:
        return value / full
    middle = (full + 1) // 2
    return value / (2.0 * middle) if value <= middle else 0.5 + (value - middle) / (2.0 * (full - middle))


def shaped(position: float, row: Row) -> float:
    """Return where the target of ``row`` stands (0–1) when its fader stands at ``position`` (0–1)."""
    return row.low + (row.high - row.low) * bent(position, row.curve)


def unshaped(place: float, row: Row) -> float:
    """Return where a fader (or ring) stands when its target stands at ``place``; the inverse of :func:`shaped`."""
    if row.high == row.low:
        return 0.0
    wanted = min(1.0, max(0.0, (place - row.low) / (row.high - row.low)))
    if row.curve == "linear":
        return wanted
    low, high = 0.0, 1.0
    for _ in range(20):  # The curves rise everywhere, so halving finds the place to a millionth.
        middle = (low + high) / 2.0
        low, high = (middle, high) if bent(middle, row.curve) < wanted else (low, middle)
    return (low + high) / 2.0


def bent(position: float, curve: Curve) -> float:
    """Return ``position`` (0–1) along ``curve``, 0–1; all curves keep the two ends."""
    if curve == "exponential":
        return float((2.0 ** (_STEEP * position) - 1.0) / (2.0**_STEEP - 1.0))
    if curve == "s-curve":
        return position * position * (3.0 - 2.0 * position)
    return position


def ticks(value: int, encoding: Encoding) -> int:
    """Return how many steps an encoder was turned, below 0 to the left, from the seven bits it sent."""
    if encoding == "twos":
        return value - 128 if value >= 64 else value
    if encoding == "offset":
        return value - 64
    return -(value & 0x3F) if value & 0x40 else value


def combined(coarse: int, before: int, fine: int | None) -> int:
    """Return the 14-bit value after a coarse half arrived whose fine half has not, seven bits each.

    It is the nearest value on the side that the fader comes from, so that it never overshoots: the fine half that
    follows only takes it on in the same direction.

    Args:
        coarse: the half that arrived.
        before: the coarse half in force until now.
        fine: the fine half in force until now; ``None`` if this fader never sent one.
    """
    if fine is None:
        return round(coarse * FULL_FINE / FULL)
    if coarse == before:
        return coarse << 7 | fine
    return coarse << 7 | (0 if coarse > before else 127)


@dataclass(slots=True)
class Hand:
    """Where one fader or encoder stands, what it sent last and whether it has taken its target over.

    Attributes:
        place: position of its target (0–1) that its physical place means; ``None`` before its first message.
        sent: what it sent last, 0–1; ``None`` before that and after its target was given to another bank.
        sent_at: when, session s.
        caught: True once it moves its target.
        coarse, fine: halves of a 14-bit value; -1 and ``None`` before they came.
        turned_at: when an encoder was last turned, session s.
    """

    place: float | None = None
    sent: float | None = None
    sent_at: float = -1e9
    caught: bool = False
    coarse: int = -1
    fine: int | None = None
    turned_at: float = -1e9

    def let_go(self) -> None:
        """Forget the target; the physical place stays known."""
        self.sent = None
        self.caught = False

    def moves(self, value: float, present: tuple[float, float] | None) -> bool:
        """Take the place that means ``value``; return True if the target follows (soft takeover).

        Args:
            value: target position, 0–1.
            present: where the target is and when (session s) that was so; ``None`` if that is not known.
        """
        before, self.place = self.place, value
        if present is None:
            return True
        now, seen_at = present
        if self.caught and self.sent is not None and seen_at > self.sent_at + SETTLE and abs(now - self.sent) > NEAR:
            self.caught = False  # another hand has moved it since
        if not self.caught:
            self.caught = abs(value - now) <= NEAR or (before is not None and (before - now) * (value - now) <= 0.0)
        return self.caught

    def turned(
        self,
        steps: int,
        row: Row,
        present: tuple[float, float] | None,
        time: float,
        shown: Callable[[float], float],
    ) -> float:
        """Return where an encoder turned by ``steps`` at ``time`` (session s) takes its target, within its range.

        ``shown`` tells where the target says it is after it was moved to a place: stepped parameters stand on steps.
        """
        rate = abs(steps) / max(1e-3, time - self.turned_at)
        self.turned_at = time
        speed = min(1.0, max(0.0, (rate - SLOW) / (FAST - SLOW)))
        base = self.sent
        settled = present is not None and present[1] > self.sent_at + SETTLE
        # What it sent is finer than what a stepped parameter shows: go on from there unless another hand was at it.
        if present is not None and (base is None or (settled and abs(present[0] - shown(base)) > NEAR)):
            base = present[0]
        low, high = sorted((row.low, row.high))
        way = -1.0 if row.low > row.high else 1.0
        moved = (base if base is not None else low) + way * steps * row.step * (1.0 + row.acceleration * speed)
        return min(high, max(low, moved))
