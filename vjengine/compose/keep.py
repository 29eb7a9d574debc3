"""A :class:`~vjengine.core.correction.Correction` of the trail, drawn on the graphics card.

A correction is worked out from a small copy of the picture, and its bands are sizes in px of *that copy*: they, and
the noise, are made at the copy's size and enlarged as a difference, so that what was measured is what is mended,
whatever the resolution. Where the picture is no larger than the copy, every pixel is as ``core/correction.py`` says.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import moderngl
import numpy as np

from vjengine.compose.geometry import IDENTITY, Matrix
from vjengine.compose.passes import Pass, Target, UniformValue, Variants, unbind
from vjengine.compose.shaders import ShaderLibrary
from vjengine.core.control import ControlState
from vjengine.core.correction import GAIN_RANGE, MAX_NOISE, NO_CORRECTION, UNCHANGED, Colour, Correction
from vjengine.core.frame import Pixels

log = logging.getLogger(__name__)

COPY_SIDE = 256
"""px: longer side of the copy that is looked at."""
_LEAST = 1e-4
"""A change of a code value below this is none: a fortieth of an 8-bit step."""
_LEAST_CEILING = 1e-3
"""A ceiling below a quarter of an 8-bit step would only divide by almost nothing."""
_ENLARGED = 0.594
"""What is left of the amplitude of one-px noise that is enlarged linearly and made small again by areas."""


class TrailWatch(Protocol):
    """Whoever looks after the trail: sees it in small, and says how to correct it. Called on the drawing thread."""

    def look(self, pixels: Pixels, control: ControlState) -> None:
        """Look at a picture.

        Args:
            pixels: ``(H, W, 4)`` uint8 sRGB code, read-only, top row first; the longer side at most
                :data:`COPY_SIDE` px.
            control: what the picture was drawn for, a few frames ago.
        """

    def leave(self, control: ControlState) -> None:
        """Take note that from ``control`` on the trail is too weak to be looked after; there may be looks again."""

    def correction(self) -> Correction:
        """Return the correction in force; it is carried out once for each ``number``."""


def copy_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the (width, height) in px of the copy of a programme of ``size`` that is looked at."""
    share = min(1.0, COPY_SIDE / max(size))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def sound(correction: Correction) -> Correction:
    """Return ``correction`` with its numbers in range; :data:`NO_CORRECTION`'s in place of any that are none."""
    c = correction
    numbers = (*c.colour, *c.gains, c.ceiling, *c.noise, *c.tint, c.anchor)
    if not all(math.isfinite(number) for number in numbers):
        return NO_CORRECTION
    low, high = GAIN_RANGE
    fine, middle, coarse = (min(max(gain, low), high) for gain in c.gains)
    n_fine, n_middle, n_coarse = (min(max(amount, 0.0), MAX_NOISE) for amount in c.noise)
    return Correction(
        number=c.number,
        colour=c.colour,
        gains=(fine, middle, coarse),
        ceiling=max(c.ceiling, _LEAST_CEILING) if c.ceiling > 0.0 else 0.0,
        noise=(n_fine, n_middle, n_coarse),
        tint=c.tint,
        anchor=min(max(c.anchor, 0.0), 1.0),
    )


def part(correction: Correction, begun: float, done: float) -> Correction:
    """Return the part of ``correction`` that takes it from ``begun`` to ``done``, both shares of the whole, 0-1.

    All parts one after the other come to the whole: a correction that is spread over some frames is not seen as a
    pulse. The ceiling's parts do because 1 / fine² grows by 1 / ceiling² each time it acts.
    """
    share = done - begun
    if share >= 1.0:
        return correction
    a, b, c = correction.gains
    x, y, z = correction.noise
    return replace(
        correction,
        colour=_colour_part(correction.colour, begun, done),
        gains=(a**share, b**share, c**share),
        ceiling=correction.ceiling / math.sqrt(share),
        noise=(x * math.sqrt(share), y * math.sqrt(share), z * math.sqrt(share)),
        anchor=1.0 - (1.0 - correction.anchor) ** share,
    )


def _colour_part(colour: Colour, begun: float, done: float) -> Colour:
    """Return the map from a share ``begun`` of ``colour`` to a share ``done`` of it."""
    if colour == UNCHANGED:
        return colour
    whole, same = np.vstack([np.reshape(colour, (3, 4)), (0.0, 0.0, 0.0, 1.0)]), np.eye(4)
    before, after = (same + share * (whole - same) for share in (begun, done))
    # What turns colours inside out has no way back half-way; a correction never does, but is not to stop the show.
    if abs(np.linalg.det(before)) < 1e-3:
        before, after = same, same + (done - begun) * (whole - same)
    found = after @ np.linalg.inv(before)
    a, b, c, d, e, f, g, h, i, j, k, m = (float(number) for number in found[:3].ravel())
    return a, b, c, d, e, f, g, h, i, j, k, m


class Keep:
    """Draws corrected pictures of one size.

    Attributes:
        copy: what :meth:`look` drew last, RGBA8 in sRGB code.
        anchored: True once there is an anchor picture.
    """

    def __init__(
        self, ctx: moderngl.Context, library: ShaderLibrary, size: tuple[int, int], programme: tuple[int, int]
    ) -> None:
        """Make everything for pictures of ``size`` px in a programme of size ``programme``."""
        self._ctx = ctx
        self._shrink = Pass(ctx, library.shader("compositor/keep_small.frag.glsl"))
        self._mean = Pass(ctx, library.shader("compositor/keep_mean.frag.glsl"))
        self._detail = Variants(ctx, library, "compositor/keep_detail.frag.glsl", ("BANDS", "NOISE", "BANDS NOISE"))
        self._keep = Variants(ctx, library, "compositor/keep.frag.glsl", ("", "DETAIL", "ANCHOR", "DETAIL ANCHOR"))
        self._enlarge = Pass(ctx, library.shader("compositor/enlarge.frag.glsl"))
        self.anchored = False
        self._programme = programme
        self._make(size)
        self._warm()

    def _make(self, size: tuple[int, int]) -> None:
        self._size = size
        small = copy_size(self._programme)
        quarter = -(-small[0] // 4), -(-small[1] // 4)
        self.copy = Target(self._ctx, small, "f1")
        self._quarter = Target(self._ctx, quarter)
        self._sixteenth = Target(self._ctx, (-(-quarter[0] // 4), -(-quarter[1] // 4)))
        self._change = Target(self._ctx, small)
        self._anchor = Target(self._ctx, size, "f1")

    def _targets(self) -> Iterator[Target]:
        yield from (self.copy, self._quarter, self._sixteenth, self._change, self._anchor)

    @property
    def ready(self) -> bool:
        """False while one of its shaders never compiled."""
        passes = self._shrink.ready and self._mean.ready and self._enlarge.ready
        return passes and self._detail.ready and self._keep.ready

    def resize(self, size: tuple[int, int], programme: tuple[int, int]) -> None:
        """Work on pictures of ``size`` px from now on; with another ``programme`` the anchor picture is lost."""
        if programme != self._programme:
            self._programme = programme
            self._free()
            self._make(size)
            self.anchored = False
            self._warm()
        elif size != self._size:
            self._size = size
            before, self._anchor = self._anchor, Target(self._ctx, size, "f1")
            self._enlarge.draw(self._anchor.framebuffer, {"picture": before.texture}, {})
            unbind(self._ctx)
            before.release()

    def _warm(self) -> None:
        """Draw everything once, with textures like those of the show but next to no pixels."""
        light, code = Target(self._ctx, (8, 8)), Target(self._ctx, (8, 8), "f1")
        for spread in ((0.0, 0.0), (0.1, 0.1)):
            self._shrink.draw(code.framebuffer, {"picture": light.texture}, {"spread": spread})
        for wide in (self.copy, self._quarter):
            self._mean.draw(light.framebuffer, {"wide": wide.texture}, {})
        self._enlarge.draw(code.framebuffer, {"picture": self._anchor.texture}, {})
        self._detail.warm(light.framebuffer, self._detail_textures())
        picture = Target(self._ctx, (6, 6))
        textures = {"picture": picture.texture, "change": self._change.texture, "anchor": self._anchor.texture}
        self._keep.warm(light.framebuffer, textures)
        unbind(self._ctx)
        for target in (light, code, picture):
            target.release()

    def look(self, picture: Target) -> None:
        """Draw ``picture``, linear light, into :attr:`copy`."""
        picture.filter(moderngl.LINEAR)
        self._shrink.draw(
            self.copy.framebuffer,
            {"picture": picture.texture},
            {"spread": _spread(picture.size, self.copy.size)},
        )

    def remember(self, picture: Target) -> None:
        """Make ``picture``, linear light, the anchor picture."""
        picture.filter(moderngl.LINEAR)
        drawn = self._shrink.draw(self._anchor.framebuffer, {"picture": picture.texture}, {"spread": (0.0, 0.0)})
        self.anchored = self.anchored or drawn

    def forget(self) -> None:
        """Have no anchor picture."""
        self.anchored = False

    def draw(
        self, picture: Target, correction: Correction, target: Target, begun: float = 0.0, done: float = 1.0
    ) -> bool:
        """Draw ``picture``, corrected, into ``target``; both are linear light of this size.

        Args:
            picture: what to correct.
            correction: how.
            target: what to draw into.
            begun: share of the correction that was carried out already, 0-1, and
            done: share that is to be when this has been drawn: see :func:`part`.

        Returns:
            False, with nothing drawn, where the correction would change nothing or a shader never compiled.
        """
        whole = sound(correction)
        if not self._changes(whole) or not self.ready:
            return False
        wanted = part(whole, begun, done)
        bands, noise = _has_bands(wanted), any(wanted.noise)
        anchor = self.anchored and wanted.anchor > 0.0
        features = []
        textures = {"picture": picture.texture}
        matrix, offset = _affine(wanted)
        uniforms: dict[str, UniformValue] = {"colour": matrix, "offset": offset}
        if bands or noise:
            self._draw_detail(picture, wanted, matrix, noise_seed(wanted.number, begun) if noise else None)
            features.append("DETAIL")
            textures["change"] = self._change.texture
        if anchor:
            features.append("ANCHOR")
            textures["anchor"] = self._anchor.texture
            uniforms["anchor_share"] = wanted.anchor
        picture.filter(moderngl.LINEAR)
        return self._keep.pick(*features).draw(target.framebuffer, textures, uniforms)

    def _changes(self, wanted: Correction) -> bool:
        """Tell whether ``wanted`` would change a picture by as much as can be seen."""
        if wanted.number == 0:
            return False
        recoloured = any(abs(a - b) > _LEAST for a, b in zip(wanted.colour, UNCHANGED, strict=True))
        noise = any(amount > _LEAST for amount in wanted.noise)
        return recoloured or noise or _has_bands(wanted) or (self.anchored and wanted.anchor > _LEAST)

    def _draw_detail(self, picture: Target, wanted: Correction, matrix: Matrix, seed: int | None) -> None:
        """Draw what is added to the detail, at the size of the copy; without a ``seed`` there is no noise."""
        features = []
        values: dict[str, UniformValue] = {}
        width, height = self.copy.size
        if _has_bands(wanted):
            features.append("BANDS")
            self.look(picture)
            steps = (self.copy, self._quarter, 1.0), (self._quarter, self._sixteenth, 0.0)
            for wide, narrow, upright in steps:
                pixel = 1.0 / wide.size[0], 1.0 / wide.size[1]
                self._mean.draw(narrow.framebuffer, {"wide": wide.texture}, {"pixel": pixel, "upright": upright})
            quarter, sixteenth = self._quarter.size, self._sixteenth.size
            values |= {
                "pixel": (1.0 / width, 1.0 / height),
                "quarter_scale": (width / (4.0 * quarter[0]), height / (4.0 * quarter[1])),
                "sixteenth_scale": (width / (16.0 * sixteenth[0]), height / (16.0 * sixteenth[1])),
                "colour": matrix,
                "gains": wanted.gains,
                "ceiling_at": wanted.ceiling,
            }
        if seed is not None:
            features.append("NOISE")
            # Grains of one px lose some of their amplitude where they are enlarged; those of several hardly.
            larger = min(max(picture.size[0] / width - 1.0, 0.0), 1.0)
            fine, middle, coarse = wanted.noise
            a, b, c, d, e, f, g, h, i = wanted.tint
            values |= {
                "noise": (fine / (1.0 + (_ENLARGED - 1.0) * larger), middle, coarse),
                "tint": (a, d, g, b, e, h, c, f, i),
                "seed": seed,
            }
        self._detail.pick(*features).draw(self._change.framebuffer, self._detail_textures(), values)

    def _detail_textures(self) -> dict[str, moderngl.Texture]:
        return {
            "code": self.copy.texture,
            "quarter": self._quarter.texture,
            "sixteenth": self._sixteenth.texture,
        }

    def _free(self) -> None:
        unbind(self._ctx)
        for target in self._targets():
            target.release()

    def release(self) -> None:
        """Free everything."""
        self._free()
        for each in (self._shrink, self._mean, self._enlarge, self._detail, self._keep):
            each.release()


def _has_bands(correction: Correction) -> bool:
    return correction.ceiling > 0.0 or any(abs(gain - 1.0) > _LEAST for gain in correction.gains)


def noise_seed(number: int, begun: float) -> int:
    """Return the seed of the noise of a correction's part: another one for each."""
    return (number * 256 + round(255.0 * begun)) & 0xFFFFFFFF


def _affine(correction: Correction) -> tuple[Matrix, tuple[float, float, float]]:
    """Return the correction's colour as a matrix, column by column, and an offset."""
    a, b, c, x, d, e, f, y, g, h, i, z = correction.colour
    found = (a, d, g, b, e, h, c, f, i), (x, y, z)
    return (IDENTITY, (0.0, 0.0, 0.0)) if correction.colour == UNCHANGED else found


def _spread(size: tuple[int, int], small: tuple[int, int]) -> tuple[float, float]:
    """Return uv between samples that cover, each with its own px, one px of the copy; 0 where the sizes are the same.

    A copy that is larger than the picture is enlarged by the filter: next to no spread keeps the samples together.
    """
    if size == small:
        return 0.0, 0.0
    across, down = (max(large / little - 1.0, 1e-3) / (3.0 * large) for large, little in zip(size, small, strict=True))
    return across, down
