"""Photosensitive safety: how many general flashes a second the audience is about to see, and how much to calm them.

Definitions of WCAG 2.3.1 and ITU-R BT.1702: a flash is a pair of opposing changes in relative luminance of at least a
tenth of the maximum where the darker image is below 0.8, over at least a quarter of the picture; more than three in
any second are unsafe. (The picture is taken as the whole field of view, as it is from a dance floor.)
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from vjengine.core.frame import Pixels

GRID = (64, 36)
"""(width, height) of the picture that is judged."""
CHANGE = 0.1
DARK = 0.8
AREA = 0.25
TOGETHER = 0.1
"""s within which changes of different places count as one."""
FREED_IN = 0.6
"""s for the limiter to let go; it acts at once."""

Luminance = npt.NDArray[np.float32]

_CODE = np.arange(256) / 255.0
_LINEAR = np.where(_CODE <= 0.04045, _CODE / 12.92, ((_CODE + 0.055) / 1.055) ** 2.4).astype(np.float32)


def luminance(pixels: Pixels, master: float = 1.0) -> Luminance:
    """Return relative luminance 0–1, ``(H, W)`` float32, of sRGB ``pixels`` ``(H, W, 4)`` dimmed to ``master``."""
    code = pixels[..., :3]
    if master < 1.0:
        code = np.rint(code * np.float32(max(master, 0.0))).astype(np.uint8)
    light = _LINEAR[code]
    result: Luminance = light @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return result


@dataclass(frozen=True, slots=True)
class FlashState:
    """What the limiter remembers.

    Attributes:
        turning: each place's luminance at the end of its current rise or fall so far; ``None`` before the first look.
        heading: 1 where the last change went up, -1 where it went down, 0 where there was none yet.
        rose, fell: session time (s) of each place's last change up and down.
        changes: times (s) of the last second's general changes.
        up: direction of the last of them; 0 before any.
        amount: how much to calm the picture, 0–1.
    """

    turning: Luminance | None = None
    heading: npt.NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    rose: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    fell: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    changes: tuple[float, ...] = ()
    up: int = 0
    amount: float = 0.0

    @property
    def flashes(self) -> float:
        """General flashes in the last second."""
        return len(self.changes) / 2.0


def observe(state: FlashState, seen: Luminance, time: float, delta: float) -> FlashState:
    """Return ``state`` after a picture of relative luminance ``seen`` ``(H, W)`` at ``time``, ``delta`` s later."""
    if state.turning is None or state.turning.shape != seen.shape:
        never = np.full(seen.shape, -np.inf)
        return FlashState(seen.copy(), np.zeros(seen.shape, np.int8), never, never.copy())
    state = _follow(state, seen, time)
    changes = tuple(moment for moment in state.changes if 0.0 <= time - moment < 1.0)
    up, rose, fell = state.up, state.rose, state.fell
    if up != 1 and _together(rose, time):
        changes, up, rose = (*changes, time), 1, np.full(rose.shape, -np.inf)
    elif up != -1 and _together(fell, time):
        changes, up, fell = (*changes, time), -1, np.full(fell.shape, -np.inf)
    wanted = 1.0 if unsafe(changes) else 0.0
    amount = max(wanted, state.amount - delta / FREED_IN)
    return replace(state, rose=rose, fell=fell, changes=changes, up=up, amount=amount)


def _together(moments: npt.NDArray[np.float64], time: float) -> bool:
    """Tell whether a quarter of the picture changed within a moment; what was counted once is wiped by the caller."""
    since = time - moments
    return bool(np.count_nonzero((since >= 0.0) & (since < TOGETHER)) >= AREA * moments.size)


def unsafe(changes: tuple[float, ...]) -> bool:
    """Tell whether ``changes`` (times in s, all within a second) make or are about to make more than three flashes.

    Seven changes are three flashes and the start of a fourth. Two whole periods faster than that rate are stopped
    without waiting for them.
    """
    return len(changes) >= 7 or (len(changes) >= 5 and changes[-1] - changes[-5] < 2.0 / 3.3)


def _follow(state: FlashState, seen: Luminance, time: float) -> FlashState:
    """Move every place's turning point on, and note where the luminance has turned by a tenth or more."""
    assert state.turning is not None
    heading = state.heading
    turning = np.where(heading > 0, np.maximum(state.turning, seen), state.turning)
    turning = np.where(heading < 0, np.minimum(turning, seen), turning)
    dark = np.minimum(turning, seen) < DARK
    rises = (heading <= 0) & (seen - turning >= CHANGE) & dark
    falls = (heading >= 0) & (turning - seen >= CHANGE) & dark
    return replace(
        state,
        turning=np.where(rises | falls, seen, turning).astype(np.float32),
        heading=np.where(rises, 1, np.where(falls, -1, heading)).astype(np.int8),
        rose=np.where(rises, time, state.rose),
        fell=np.where(falls, time, state.fell),
    )
