"""The trail's keeper: when to look at it, and when to correct it.

Only where the trail is strong enough to be the picture. The loop is a contraction - bilinear sampling smears what it
shows within half a second of movement, and the half-life dims it - so a short trail is gone before it is a smear of
its own, and is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import moderngl

from vjengine.compose.canvas import Canvas
from vjengine.compose.keep import Keep, TrailWatch
from vjengine.compose.passes import Target, unbind
from vjengine.compose.readback import Readback
from vjengine.compose.shaders import ShaderLibrary
from vjengine.core.control import ControlState
from vjengine.core.correction import NO_CORRECTION

LEAST_MIX = 0.5
"""``feedback.mix`` from which the trail is looked after: below, sources of half its light cover it."""
LEAST_HALF_LIFE = 1.5
"""s: ``feedback.half_life`` from which it is: a second or two after a flash the smear is still most of what is seen."""
_STAY = 0.8
"""Share of both at which it is let go again, so that a modulation around them does not begin anew all the time."""
LOOK_INTERVAL = 0.125
"""s between two looks."""
DELAY = 2
"""Frames between a picture and the look at it; fixed, so that offline renders repeat exactly."""
PARTS = 4
"""A correction is carried out in about so many parts until the next look: all at once it would be seen as a pulse."""
_SHARE_RATE = 1.0
"""How much the share of the feedback may change in a second."""


class Keeper:
    """Shows the trail to a :class:`~vjengine.compose.keep.TrailWatch` and carries out what it says.

    Attributes:
        share: share of the feedback asked for that is left, 0-1; it glides.
    """

    def __init__(
        self,
        ctx: moderngl.Context,
        library: ShaderLibrary,
        watch: TrailWatch,
        canvas: Canvas,
    ) -> None:
        self._ctx = ctx
        self._watch = watch
        self._keep = Keep(ctx, library, canvas.internal, canvas.size)
        self._spare = Target(ctx, canvas.internal)
        self._readback: Readback[ControlState] = Readback(ctx, self._keep.copy.size, 1)
        self.share = 1.0
        self._strong = False
        self._wiping = False
        self._looked = False
        self._waited: int | None = None
        self._last_look: float | None = None
        self._kept = self._restart = 0
        self._wanted = NO_CORRECTION
        self._due = self._done = 1.0

    def resize(self, canvas: Canvas) -> None:
        """Follow ``canvas`` to another size."""
        copy = self._keep.copy.size
        self._keep.resize(canvas.internal, canvas.size)
        unbind(self._ctx)
        self._spare.release()
        self._spare = Target(self._ctx, canvas.internal)
        if self._keep.copy.size != copy:
            self._readback.release()
            self._readback = Readback(self._ctx, self._keep.copy.size, 1)
            self._waited = None

    def begin(self, canvas: Canvas, control: ControlState) -> None:
        """Correct ``canvas.last`` before this frame reads it, if there is something to correct."""
        strong = is_strong(control.values, _STAY if self._strong else 1.0) and self._keep.ready
        if strong and not self._strong:
            self._start()
        elif self._strong and not strong:
            self._watch.leave(control)
        self._strong = strong
        if not strong:
            self._glide(1.0, control.time.delta)
            return
        if self._waited is not None:
            self._waited += 1
            if self._waited >= DELAY:
                self._waited = None
                self._hand_over()
        if self._looked:
            self._correct(canvas, control.time.delta)
        else:
            self._glide(1.0, control.time.delta)

    def end(self, canvas: Canvas, control: ControlState) -> None:
        """Begin to fetch a copy of ``canvas.picture``, which was drawn for ``control``, if it is time to look."""
        now, last = control.time.time, self._last_look
        # A clock that was set back is looked at at once.
        due = last is None or not 0.0 <= now - last < LOOK_INTERVAL
        if self._strong and due and self._waited is None:
            self._last_look = now
            self._keep.look(canvas.picture)
            self._readback.start(self._keep.copy.framebuffer, control)
            self._waited = 0

    def _glide(self, wanted: float, delta: float) -> None:
        """Move :attr:`share` on by ``delta`` s."""
        # A NaN fails the comparison and counts as whole.
        aim = max(wanted, 0.0) if wanted < 1.0 else 1.0
        step = _SHARE_RATE * delta
        self.share = min(max(aim, self.share - step), self.share + step)

    def _start(self) -> None:
        """Begin anew: what was said about an earlier trail does not count for this one."""
        self._readback.flush()
        self._waited = self._last_look = None
        self._looked = False
        self._wanted = before = self._watch.correction()
        self._due = self._done = 1.0
        self._wiping = False
        self._kept, self._restart = before.keep, before.restart

    def _hand_over(self) -> None:
        done = self._readback.finish()
        if done is not None:
            control, pixels = done
            self._watch.look(pixels, control)
            self._looked = True

    def _correct(self, canvas: Canvas, delta: float) -> None:
        wanted = self._watch.correction()
        if wanted.restart != self._restart:
            self._restart = wanted.restart
            self._wiping = True
        # Forgotten without a jump: a trail of which nothing is seen for one frame is not fed back any more.
        self._glide(0.0 if self._wiping else wanted.feedback, delta)
        self._wiping = self._wiping and self.share > 0.0
        if wanted.keep != self._kept:
            self._kept = wanted.keep
            self._keep.remember(canvas.last)
        if wanted.number != self._wanted.number:
            self._wanted = wanted
            self._due = self._done = 0.0
        self._carry_out(canvas, delta)

    def _carry_out(self, canvas: Canvas, delta: float) -> None:
        """Carry the next part of the correction out, if it is time for one."""
        if self._done >= 1.0 or self._wanted.number == 0:
            return
        self._due = min(self._due + delta / LOOK_INTERVAL, 1.0)
        # Half a frame early rather than late: the last part is due before the next correction comes.
        if self._due + 0.5 * delta / LOOK_INTERVAL < self._done + 1.0 / PARTS:
            return
        begun, self._done = self._done, 1.0 if self._due > 0.9 else self._due
        if self._keep.draw(canvas.last, self._wanted, self._spare, begun, self._done):
            canvas.last, self._spare = self._spare, canvas.last

    def release(self) -> None:
        """Free everything."""
        self._readback.release()
        self._keep.release()
        unbind(self._ctx)
        self._spare.release()


def is_strong(values: Mapping[str, float], share: float = 1.0) -> bool:
    """Tell whether the trail is to be looked after under ``values``, and is the picture for long enough to matter.

    ``share`` eases the limits.
    """
    long = values["feedback.mix"] >= share * LEAST_MIX and values["feedback.half_life"] >= share * LEAST_HALF_LIFE
    return long and values["stabilise.trail"] > 0.0
