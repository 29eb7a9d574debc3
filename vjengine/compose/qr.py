"""The QR code over the programme: a white plate that any phone reads, whatever plays behind it.

It is drawn last, at the programme's own size, so that neither feedback nor a smaller render scale nor the flash limiter
touches it; only the master brightness does. Modules are whole pixels, four of them stay white around the code
(ISO/IEC 18004), and the words stand below that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import moderngl
import numpy as np
import numpy.typing as npt

from vjengine.compose.canvas import Size, beside_powers
from vjengine.compose.passes import Pass, Target
from vjengine.compose.shaders import ShaderLibrary
from vjengine.compose.text import drawable
from vjengine.core.params import PARAMS, ParamValues
from vjengine.errors import MissingDependency

if TYPE_CHECKING:
    from PIL import ImageFont

Modules = npt.NDArray[np.bool_]
"""``(n, n)``, True where dark, top row first, without the quiet zone."""
Coverage = npt.NDArray[np.uint8]

QUIET = 4
"""Modules of white around the code."""
LEAST_MODULE = 3
"""px: what is finer does not outlive a video encoder."""
MOST = 0.96
"""Share of the picture's height and width that the plate may take."""
FADE = 0.3
"""s from nothing to all, at least."""
RISES_APART = 0.34
"""s between two moments at which it begins to appear: less than three flashes a second, whatever moves the fader."""
REFERENCE = 64
"""px: type size at which words are measured."""


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return the typeface of the HUD at ``size`` px."""
    from PIL import ImageFont

    if size != REFERENCE:
        return _font(REFERENCE).font_variant(size=size)
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise MissingDependency("Pillow with FreeType", "pip install --force-reinstall Pillow")
    # Simple layout: these words need no more, and it takes a fraction of the time.
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=64)
def _width(text: str) -> float:
    """Return the width of ``text`` in type sizes."""
    return float(_font(REFERENCE).getlength(text)) / REFERENCE


@dataclass(frozen=True, slots=True)
class Plate:
    """Measures of the plate, px.

    Attributes:
        module: side of a module.
        size: (width, height).
        type_sizes: of each line of the caption.
        baselines: of each line, from the plate's top.
        words: (left, top, width, height) of the caption, from the plate's top left.
        radius: of the corners.
    """

    module: int
    size: Size
    type_sizes: tuple[int, ...]
    baselines: tuple[int, ...]
    words: tuple[int, int, int, int]
    radius: int

    @classmethod
    def of(cls, modules: int, lines: tuple[str, ...], module: int) -> Plate:
        """Return the measures for a code of ``modules`` a side, ``module`` px each."""
        side = (modules + 2 * QUIET) * module
        room = (modules + QUIET) * module
        sizes: list[int] = []
        baselines: list[int] = []
        y = float(side)
        for place, line in enumerate(lines):
            most = 0.085 * side if place == 0 else 0.85 * sizes[0]
            sizes.append(max(7, int(min(most, room / max(1.0, _width(line))))))
            y += (0.75 if place == 0 else 1.45) * sizes[-1]
            baselines.append(round(y))
        height = round(y + 3 * module) if lines else side
        top = side
        words = (2 * module, top, beside_powers(side - 4 * module), beside_powers(max(1, height - top)))
        return cls(module, (side, height), tuple(sizes), tuple(baselines), words, round(2.2 * module))

    @classmethod
    def fitted(cls, modules: int, lines: tuple[str, ...], screen: Size, share: float) -> Plate:
        """Return the measures for a code whose side with its quiet zone is ``share`` of the height of ``screen``.

        It is made smaller where it would not fit, and larger where modules would be too fine.
        """
        wanted = min(share * screen[1], MOST * screen[0]) / (modules + 2 * QUIET)
        module = max(LEAST_MODULE, int(wanted + 0.5))
        while True:
            plate = cls.of(modules, lines, module)
            if module == 1 or (plate.size[0] <= MOST * screen[0] and plate.size[1] <= MOST * screen[1]):
                return plate
            module -= 1


def written(lines: tuple[str, ...], plate: Plate) -> Coverage:
    """Return the caption's ink, ``(height, width)`` of ``plate.words``: the first line full, others lighter."""
    from PIL import Image, ImageDraw

    _, top, width, height = plate.words
    image = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(image)
    for place, (line, size, base) in enumerate(zip(lines, plate.type_sizes, plate.baselines, strict=True)):
        at = plate.size[0] // 2 - plate.words[0], base - top
        draw.text(at, line, fill=255 if place == 0 else 190, font=_font(size), anchor="ms")
    return np.asarray(image, dtype=np.uint8)


@dataclass(slots=True)
class Fade:
    """Follows a fader without ever flashing.

    Attributes:
        value: 0–1.
    """

    value: float = 0.0
    _rising: bool = False
    _since: float = math.inf

    def step(self, wanted: float, delta: float) -> float:
        """Move towards ``wanted`` for ``delta`` s; return the new value."""
        self._since += delta
        reach = delta / FADE
        change = min(reach, max(-reach, wanted - self.value))
        if change > 0.0 and not self._rising:
            if self._since < RISES_APART:
                return self.value
            self._since = 0.0
        if change != 0.0:
            self._rising = change > 0.0
        self.value = min(1.0, max(0.0, self.value + change))
        return self.value


class QrCode:
    """Draws the plate; costs nothing while it is not seen.

    Attributes:
        look: changes whenever a picture with the plate, or without it again, would be another one.
    """

    def __init__(self, ctx: moderngl.Context, library: ShaderLibrary) -> None:
        self._ctx = ctx
        self._pass = Pass(ctx, library.shader("compositor/qr.frag.glsl"))
        self._lines: tuple[str, ...] = ()
        self._modules: moderngl.Texture | None = None
        self._caption: moderngl.Texture | None = None
        self._count = self._serial = 0
        self._plate: Plate | None = None
        self._fitted: tuple[Size, float] | None = None
        self._fade = Fade()
        self.look: tuple[int, Plate | None, float] = (0, None, 0.0)

    def set(self, modules: Modules | None, caption: str, screen: Size) -> None:
        """Show ``modules`` from now on, with the lines of ``caption`` below; None shows none.

        Raises:
            ValueError: if ``modules`` is not square.
        """
        if modules is not None and (modules.ndim != 2 or len(set(modules.shape)) != 1 or modules.size == 0):
            raise ValueError(f"a QR code is square; this one is {modules.shape}")
        self._free()
        self._serial += 1
        if modules is None:
            return
        self._count = len(modules)
        self._lines = tuple(drawable(line) for line in caption.splitlines() if line.strip())
        self._modules = self._texture(np.where(modules, 255, 0).astype(np.uint8))
        self._fit(screen, PARAMS["qr.size"].default)

    def step(self, values: ParamValues, delta: float, screen: Size) -> bool:
        """Move on by ``delta`` s; return True if the plate is to be drawn."""
        wanted = values["qr.mix"] if self._modules is not None else 0.0
        if wanted <= 0.0 and self._fade.value <= 0.0:
            self.look = (self._serial, None, 0.0)
            return False
        seen = self._fade.step(wanted, delta)
        if self._modules is None or seen <= 0.0 or not self._pass.ready:
            self.look = (self._serial, None, 0.0)
            return False
        self._fit(screen, values["qr.size"])
        self.look = (self._serial, self._plate, seen)
        return True

    def draw(self, target: moderngl.Framebuffer, master: float) -> None:
        """Draw the plate over ``target`` as the last :meth:`step` left it, with the brightness ``master``, 0–1."""
        plate, modules, caption = self._plate, self._modules, self._caption
        if plate is None or modules is None or caption is None:
            return
        width, height = plate.size
        left, low = (target.width - width) // 2, (target.height - height) // 2
        reach = max(2, 2 * plate.module)
        ctx = self._ctx
        ctx.enable_only(moderngl.BLEND)
        ctx.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        # Only what the plate and its rim cover is touched: a software renderer pays by the pixel.
        target.viewport = (left - reach, low - reach, width + 2 * reach, height + 2 * reach)
        self._pass.draw(
            target,
            {"modules": modules, "caption": caption},
            {
                "corner": (left, low),
                "extent": (width, height),
                "module": float(plate.module),
                "words": plate.words[:2],
                "radius": float(plate.radius),
                "shadow": float(reach),
                "seen": self.look[2],
                "master": master,
            },
        )
        target.viewport = (0, 0, target.width, target.height)
        ctx.enable_only(moderngl.NOTHING)
        ctx.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA  # the default

    def warm(self) -> None:
        """Draw it once, unseen, with textures like those of the show."""
        target = Target(self._ctx, (96, 54), "f1")
        self.set(np.eye(21, dtype=bool), "", target.size)
        self.draw(target.framebuffer, 1.0)
        self.set(None, "", target.size)
        target.release()

    def _fit(self, screen: Size, share: float) -> None:
        """Take the measures for ``share`` of ``screen``; write the words anew if the plate is another."""
        if self._fitted == (screen, share):
            return
        self._fitted = (screen, share)
        plate = Plate.fitted(self._count, self._lines, screen, share)
        if plate != self._plate:
            self._plate = plate
            if self._caption is not None:
                self._caption.release()
            self._caption = self._texture(written(self._lines, plate))

    def _texture(self, pixels: Coverage) -> moderngl.Texture:
        texture = self._ctx.texture((pixels.shape[1], pixels.shape[0]), 1, pixels.tobytes(), alignment=1)
        texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        texture.repeat_x = texture.repeat_y = False
        return texture

    def _free(self) -> None:
        for texture in (self._modules, self._caption):
            if texture is not None:
                texture.release()
        self._modules = self._caption = self._plate = self._fitted = None

    def release(self) -> None:
        """Free everything."""
        self._free()
        self._pass.release()
