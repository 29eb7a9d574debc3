"""Generator frames on their way into the compositor: upload, and the way from one to the next.

A frame is cross-faded from the one before it. One that knows how what it shows has moved since then is morphed: both
are moved along to where things are at this moment, and blended there.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import moderngl
import numpy as np

from vjengine.compose.geometry import Matrix, camera, shake
from vjengine.compose.passes import UniformValue
from vjengine.core.control import ControlState
from vjengine.core.frame import Flow, Frame, Pixels, flow_shape

log = logging.getLogger(__name__)

LONGEST_FADE = 1.5
"""s: a slower generator's frames are faded over no more than this."""
LONGEST_MORPH = 10.0
"""s: the same for frames that are morphed: they move all the while, and never stand waiting for the next."""
LONGEST_WAY = 0.5
"""Widths or heights: a flow field with longer vectors is not believed, and its frame cross-faded."""
LARGEST_SIDE = 8192
"""px: larger frames are refused."""


def waiting_picture() -> Pixels:
    """Return what is shown before any generator has delivered: a dim dusk, ``(54, 96, 4)`` uint8."""
    y, x = np.mgrid[1.0:0.0:54j, 0.0:1.0:96j]
    glow = np.exp(-(((x - 0.5) / 0.55) ** 2 + ((y - 0.22) / 0.42) ** 2))
    high = np.exp(-(((x - 0.3) / 0.5) ** 2 + ((y - 0.9) / 0.35) ** 2))
    light = np.stack([0.11 * glow + 0.02 * high, 0.035 * glow + 0.03 * high, 0.14 * glow + 0.08 * high], axis=-1)
    pixels = np.full((54, 96, 4), 255, np.uint8)
    pixels[..., :3] = np.rint(255.0 * light ** (1 / 2.2))
    return pixels


class SourceFrames:
    """The newest generator frame and the one before it, as textures.

    Everything is timed by the control state, so that the fade is the same live and offline.
    """

    def __init__(self, ctx: moderngl.Context) -> None:
        self._ctx = ctx
        waiting = waiting_picture()
        self._newest = self._make(waiting)
        self._previous = self._make(waiting)
        self._flow: moderngl.Texture | None = None
        self._held: tuple[str, int] | None = None
        self._moving = False
        self._moment = 0.0
        self._shown: tuple[str, int] | None = None
        self._waiting_previous = True
        self._ready = 0.0
        self._arrived = 0.0
        self._interval: float | None = None
        self._cut = 0
        self._fading = False
        self._misled = False
        self.refused = 0

    def take(self, frame: Frame | None, control: ControlState) -> None:
        """Upload ``frame`` if it is news. A malformed one is refused, counted and named in the log once."""
        if frame is None or (frame.generator, frame.sequence) == self._shown:
            return
        first = self._shown is None
        self._shown = (frame.generator, frame.sequence)
        fault = _fault(frame.pixels)
        if fault:
            if not self.refused:
                log.warning("frame %d of %s refused: %s", frame.sequence, frame.generator, fault)
            self.refused += 1
            return
        self._previous, self._newest = self._newest, self._previous
        self._upload(frame.pixels)
        self._waiting_previous = first
        follows = self._held == (frame.generator, frame.sequence - 1) and self._newest.size == self._previous.size
        self._held = frame.generator, frame.sequence
        reached = self._reached(control)
        self._time(frame, control, first)
        self._moving = self._fading and follows and self._take_flow(frame.flow)
        # In step: what moved past the last frame counts for this one, so that an even generator moves evenly.
        # Behind: go on from the last frame itself. Late: as the plain fade begins.
        step = control.time.delta / self._pace()
        self._moment = min(max(reached - 1.0, 0.0), step)

    def _reached(self, control: ControlState) -> float:
        """Return how far what moves has come: 0 at the previous frame, 1 at the newest, more when the next is late."""
        if not self._moving:
            return math.inf
        return self._moment + (control.time.time - self._arrived) / self._pace()

    def _pace(self) -> float:
        """Return s from one frame to the next where they are morphed."""
        return min(LONGEST_MORPH, 0.5 if self._interval is None else self._interval)

    def _take_flow(self, flow: Flow | None) -> bool:
        """Upload ``flow`` and return True, if there is one that can be believed."""
        if flow is None:
            return False
        # A NaN fails the comparison.
        sound = flow.shape == flow_shape(self._newest.size) and bool((np.abs(flow) <= LONGEST_WAY).all())
        if not sound:
            if not self._misled:
                log.warning("the motion of a frame is not as agreed: it is cross-faded, as are others like it")
            self._misled = True
            return False
        size = (flow.shape[1], flow.shape[0])
        field = np.ascontiguousarray(flow, np.float16)
        if self._flow is not None and self._flow.size == size:
            self._flow.write(field)
            return True
        if self._flow is not None:
            self._flow.release()
        self._flow = self._make_flow(field)
        return True

    def _make_flow(self, field: Flow) -> moderngl.Texture:
        texture = self._ctx.texture((field.shape[1], field.shape[0]), 2, field, dtype="f2")
        texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        texture.repeat_x = texture.repeat_y = False
        return texture

    def _time(self, frame: Frame, control: ControlState, first: bool) -> None:
        """Estimate the generator's interval from this frame; decide whether to fade."""
        now = control.time.time
        if not first:
            # The generator's own times are not rounded to the display's.
            made = frame.ready - self._ready
            gap = max(made if made > 0.0 else now - self._arrived, 1e-3)
            # One late frame, or a restart of the generator, must not make the following fades slow.
            known = self._interval if self._interval is not None else gap
            self._interval = 0.6 * known + 0.4 * min(gap, 3.0 * known)
        self._ready = frame.ready
        self._arrived = now
        self._fading = control.cut == self._cut
        self._cut = control.cut

    def _upload(self, pixels: Pixels) -> None:
        height, width = pixels.shape[:2]
        if self._newest.size == (width, height):
            self._newest.write(np.ascontiguousarray(pixels))
        else:
            self._newest.release()
            self._newest = self._make(pixels)

    def _make(self, pixels: Pixels) -> moderngl.Texture:
        height, width = pixels.shape[:2]
        texture = self._ctx.texture((width, height), 4, np.ascontiguousarray(pixels))
        texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        texture.repeat_x = texture.repeat_y = False
        return texture

    def fade(self, control: ControlState) -> float:
        """Return how far the newest frame is in, 0–1."""
        share = control.values["mix.crossfade"]
        if not self._fading or share <= 0.0:
            return 1.0
        length = share * min(LONGEST_FADE, 0.5 if self._interval is None else self._interval)
        # The frame in which it arrives counts: a generator as fast as the display is shown at once, without lag.
        return min(1.0, (control.time.time - self._arrived + control.time.delta) / max(length, 1e-3))

    def bindings(
        self, control: ControlState, size: tuple[int, int]
    ) -> tuple[tuple[str, ...], dict[str, moderngl.Texture], dict[str, UniformValue]]:
        """Return the features of ``source.glsl`` that are needed, the textures and the uniforms that it then reads."""
        share, morph = control.values["mix.crossfade"], control.values["mix.morph"]
        moment = self._reached(control)
        if moment < 1.0 and morph > 0.0 and share > 0.0 and self._flow is not None:
            return self._morphed(control, size, moment, min(1.0, moment / share), morph)
        fade = self.fade(control)
        newest = self._view(self._newest, size, control, self._shown is None)
        if fade >= 1.0:
            return (), {"newest": self._newest}, {"newest_from_screen": newest}
        previous = self._view(self._previous, size, control, self._waiting_previous)
        textures = {"newest": self._newest, "previous": self._previous}
        return ("FADE",), textures, {"newest_from_screen": newest, "previous_from_screen": previous, "fade": fade}

    def _morphed(
        self, control: ControlState, size: tuple[int, int], moment: float, fade: float, morph: float
    ) -> tuple[tuple[str, ...], dict[str, moderngl.Texture], dict[str, UniformValue]]:
        """Return the same for a ``moment`` between the two frames, 0-1."""
        assert self._flow is not None
        textures = {"newest": self._newest, "previous": self._previous, "flow": self._flow}
        view = self._view(self._newest, size, control, False, moved=True)
        self._view(self._previous, size, control, False, moved=True)
        uniforms: dict[str, UniformValue] = {
            "newest_from_screen": view,
            "previous_from_screen": view,
            "fade": fade,
            "moved": (-morph * moment, morph * (1.0 - moment)),
        }
        return ("FADE", "MORPH"), textures, uniforms

    def _view(
        self,
        texture: moderngl.Texture,
        size: tuple[int, int],
        control: ControlState,
        waiting: bool,
        moved: bool = False,
    ) -> Matrix:
        """Return the camera's map for ``texture`` and choose its filter; ``moved`` reads between its pixels."""
        values = control.values
        shift, tilt = shake(values["camera.shake"], control.time.time)
        zoom, turns = values["camera.zoom"], values["camera.rotate"] + tilt
        if waiting:
            # Nothing came yet: drift over the dusk, so that the screen is seen to be alive.
            breath, sway = shake(6.0, 0.02 * control.time.time)
            zoom, turns, shift = 1.35 * zoom, turns + sway, (shift[0] + breath[0], shift[1] + breath[1])
        exact = not moved and texture.size == size and zoom == 1.0 and turns == 0.0 and shift == (0.0, 0.0)
        wanted = moderngl.NEAREST if exact else moderngl.LINEAR
        if texture.filter[0] != wanted:
            texture.filter = (wanted, wanted)
        return camera(size[0] / size[1], texture.width / texture.height, zoom=zoom, turns=turns, shift=shift)

    def likely(self) -> Iterator[dict[str, moderngl.Texture]]:
        """Yield pairs of textures of each kind that a show may bring, for drivers that compile for them."""
        # Mesa's software renderer compiles for sides that are powers of two.
        linear = [(size, moderngl.LINEAR) for size in ((96, 54), (64, 54), (64, 64))]
        for size, wanted in (*linear, ((96, 54), moderngl.NEAREST)):
            texture = self._make(np.zeros((size[1], size[0], 4), np.uint8))
            texture.filter = (wanted, wanted)
            flow = self._make_flow(np.zeros(flow_shape(size), np.float16))
            yield {"newest": texture, "previous": texture, "flow": flow}
            texture.release()
            flow.release()

    def release(self) -> None:
        """Free all textures."""
        self._newest.release()
        self._previous.release()
        if self._flow is not None:
            self._flow.release()
            self._flow = None
        self._moving = False


def _fault(pixels: Pixels) -> str:
    """Return what is wrong with ``pixels``; empty if nothing is."""
    if pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype != np.uint8:
        return f"expected (H, W, 4) uint8, got {pixels.shape} {pixels.dtype}"
    if not all(0 < side <= LARGEST_SIDE for side in pixels.shape[:2]):
        return f"{pixels.shape[1]}×{pixels.shape[0]} px is not between 1 and {LARGEST_SIDE} px a side"
    return ""
