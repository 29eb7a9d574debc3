"""Generator frames on their way into the compositor: upload, and the cross-fade from one to the next."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import moderngl
import numpy as np

from vjengine.compose.geometry import Matrix, camera, shake
from vjengine.compose.passes import UniformValue
from vjengine.core.control import ControlState
from vjengine.core.frame import Frame, Pixels

log = logging.getLogger(__name__)

LONGEST_FADE = 1.5
"""s: a slower generator's frames are faded over no more than this."""
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
        self._shown: tuple[str, int] | None = None
        self._waiting_previous = True
        self._arrived = 0.0
        self._interval: float | None = None
        self._cut = 0
        self._fading = False
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
        self._time(control, first)

    def _time(self, control: ControlState, first: bool) -> None:
        """Estimate the generator's interval from this arrival; decide whether to fade."""
        now = control.time.time
        if not first:
            gap = max(now - self._arrived, 1e-3)
            # One late frame, or a restart of the generator, must not make the following fades slow.
            known = self._interval if self._interval is not None else gap
            self._interval = 0.6 * known + 0.4 * min(gap, 3.0 * known)
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
    ) -> tuple[bool, dict[str, moderngl.Texture], dict[str, UniformValue]]:
        """Return whether both frames are needed, the textures and the uniforms that ``source.glsl`` reads."""
        fade = self.fade(control)
        newest = self._view(self._newest, size, control, self._shown is None)
        if fade >= 1.0:
            return False, {"newest": self._newest}, {"newest_from_screen": newest}
        previous = self._view(self._previous, size, control, self._waiting_previous)
        textures = {"newest": self._newest, "previous": self._previous}
        return True, textures, {"newest_from_screen": newest, "previous_from_screen": previous, "fade": fade}

    def _view(self, texture: moderngl.Texture, size: tuple[int, int], control: ControlState, waiting: bool) -> Matrix:
        """Return the camera's map for ``texture`` and choose its filter."""
        values = control.values
        shift, tilt = shake(values["camera.shake"], control.time.time)
        zoom, turns = values["camera.zoom"], values["camera.rotate"] + tilt
        if waiting:
            # Nothing came yet: drift over the dusk, so that the screen is seen to be alive.
            breath, sway = shake(6.0, 0.02 * control.time.time)
            zoom, turns, shift = 1.35 * zoom, turns + sway, (shift[0] + breath[0], shift[1] + breath[1])
        exact = texture.size == size and zoom == 1.0 and turns == 0.0 and shift == (0.0, 0.0)
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
            yield {"newest": texture, "previous": texture}
            texture.release()

    def release(self) -> None:
        """Free both textures."""
        self._newest.release()
        self._previous.release()


def _fault(pixels: Pixels) -> str:
    """Return what is wrong with ``pixels``; empty if nothing is."""
    if pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype != np.uint8:
        return f"expected (H, W, 4) uint8, got {pixels.shape} {pixels.dtype}"
    if not all(0 < side <= LARGEST_SIDE for side in pixels.shape[:2]):
        return f"{pixels.shape[1]}×{pixels.shape[0]} px is not between 1 and {LARGEST_SIDE} px a side"
    return ""
