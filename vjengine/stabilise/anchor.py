"""The anchor: what a scene looked like when it began, as pooled statistics. It moves when the performer moves it.

It never learns from a picture that has collapsed, and it does not follow drift: after the first frames only a new
scene, or an intended change of colour, opens it again.
"""

from __future__ import annotations

from collections import deque

from vjengine.stabilise.intent import Intent
from vjengine.stabilise.motion import Moved
from vjengine.stabilise.statistics import Statistics, pool

FRAMES = 12
"""Frames of a scene that its anchor is pooled over."""
_SETTLE = 4
"""Frames of a scene that are not looked at: a loop that starts from noise is not yet itself."""
_LONGEST = 120
"""Frames after which the anchor is taken from what was fit, however few."""
_FOLLOWED = 5
"""Frames that a gliding anchor is pooled over."""
_OPEN_EVERY = 0.1
"""s between two frames taken into a gliding anchor."""


def fit(found: Statistics) -> bool:
    """Tell whether a picture may be an example for those after it: neither black nor white, flat nor all one colour."""
    spread = float(found.quantiles[-1, 0] - found.quantiles[0, 0])
    one_colour = found.chroma > 25.0 and spread < 6.0
    return 3.0 < found.lightness < 96.0 and found.clipped < 0.6 and spread > 4.0 and not one_colour


class Anchor:
    """Finds the anchor of each scene, and moves it.

    Attributes:
        statistics: of the scene's first frames; None until there were enough of them.
        difference: mean difference between those frames, 8-bit values.
        taken: counts the anchors, so that others know when to forget.
        gliding: True while an intended change of colour or detail is being taken over.
    """

    def __init__(self) -> None:
        self.statistics: Statistics | None = None
        self.difference = 0.0
        self.taken = 0
        self.gliding = False
        self._intent: Intent | None = None
        self._seen = 0
        self._first: list[tuple[Statistics, float]] = []
        self._recent: deque[Statistics] = deque(maxlen=_FOLLOWED)
        self._detail_too = False
        self._recent_at = -1.0
        self._until = 0.0

    def reopen(self) -> None:
        """Take a new anchor from the next frames: another scene, size or start. The old one no longer counts."""
        self.statistics = None
        self.gliding = False
        self._seen = 0
        self._first.clear()
        self._recent.clear()

    def step(
        self, found: Statistics, moved: Moved, intent: Intent, time: float, glide: float, *, wait: bool = False
    ) -> None:
        """Look at the next frame, made for session time ``time`` (s).

        Args:
            found: its statistics.
            moved: how it moved.
            intent: what the performer wanted of it.
            time: s.
            glide: s in which an intended change of colour is taken over.
            wait: True while the loop does not run as it will: a scene's first frames are those after it.
        """
        before, self._intent = self._intent, intent
        if before is not None and intent.scene != before.scene:
            self.reopen()
        elif before is not None and (intent.colours, intent.shapes) != (before.colours, before.shapes):
            if not self.gliding:
                self._detail_too = False
            self._detail_too = self._detail_too or intent.shapes != before.shapes
            self.gliding = self.statistics is not None
            self._until = time + glide
        if intent.dark:
            return
        if self.statistics is None:
            if wait:
                return
            self._gather(found, moved)
        elif self.gliding:
            self._glide(found, time)

    def _gather(self, found: Statistics, moved: Moved) -> None:
        self._seen += 1
        if self._seen > _SETTLE and fit(found):
            self._first.append((found, moved.difference))
        if len(self._first) >= FRAMES or (self._first and self._seen >= _LONGEST):
            self.statistics = pool([one for one, _ in self._first])
            self.difference = sum(value for _, value in self._first) / len(self._first)
            self._first.clear()
            self.taken += 1

    def _glide(self, found: Statistics, time: float) -> None:
        """Follow the colours, and the detail only where that was asked for: a filter of colour does not blur."""
        assert self.statistics is not None
        if abs(time - self._recent_at) >= _OPEN_EVERY and fit(found):
            self._recent_at = time
            self._recent.append(found)
        if self._recent:
            follow = pool(list(self._recent))
            old = self.statistics
            self.statistics = Statistics(
                quantiles=follow.quantiles,
                hues=follow.hues,
                entropy=follow.entropy,
                chroma=follow.chroma,
                lightness=follow.lightness,
                clipped=follow.clipped,
                detail=follow.detail if self._detail_too else old.detail,
                bands=follow.bands if self._detail_too else old.bands,
                tint=follow.tint,
                sample=follow.sample,
            )
        if time >= self._until:
            self.gliding = False
            self._recent.clear()
