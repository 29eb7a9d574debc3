"""What the procedural generator shows, and how one scene gives way to the next."""

from __future__ import annotations

from dataclasses import dataclass

SCENE_DISSOLVE = 0.8
"""s in which one family or variation gives way to another."""

COLOUR_DISSOLVE = 0.3
"""s in which one palette or symmetry gives way to another."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What must not change without a dissolve."""

    family: str
    variation: tuple[int, int]
    cue: int
    lap: int
    palette: str
    symmetry: int

    def gap(self, before: Scene) -> float:
        """Return the s over which to dissolve from ``before``; 0 for none."""
        if self == before:
            return 0.0
        same_drawing = (self.family, self.variation, self.cue, self.lap) == (
            before.family,
            before.variation,
            before.cue,
            before.lap,
        )
        return COLOUR_DISSOLVE if same_drawing else SCENE_DISSOLVE


class Dissolve:
    """Gives way from the last picture to the new one, by the same curve at any frame rate.

    The picture is mixed into its own past, so what is left of the old one after frames with shares ``a`` is the
    product of ``1 - a``; shares are chosen such that this product follows the curve.
    """

    def __init__(self) -> None:
        self._length = 0.0
        self._left = 0.0

    def start(self, length: float) -> None:
        """Begin to give way over ``length`` s; one that is running never gets shorter."""
        self._length = self._left = max(length, self._left)

    def stop(self) -> None:
        """Be done at once."""
        self._left = 0.0

    def share(self, elapsed: float) -> float:
        """Return the share of the new picture after ``elapsed`` s more."""
        if self._left <= 0.0:
            return 1.0
        before = self._remaining()
        self._left = max(0.0, self._left - elapsed)
        if self._left <= 0.0:
            return 1.0
        return 1.0 - self._remaining() / before

    def _remaining(self) -> float:
        x = self._left / self._length
        return x * x * (3.0 - 2.0 * x)
