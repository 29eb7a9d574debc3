"""The null generator: a calm test card. It needs nothing but numpy and rehearses faults on request.

``vjengine live --generator still`` shows whether size, orientation, colours and cross-fades come out right before
anything heavy is loaded. ``still:delay=1`` is a generator at 1 s a frame, ``still:load=60`` one that takes a minute to
load, ``still:fail_after=100`` one that raises, ``still:hang_after=100`` one that never returns: a rehearsal of the bad
night.
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from vjengine.core.frame import Pixels
from vjengine.core.generation import GeneratorParams
from vjengine.errors import GeneratorError
from vjengine.generate.base import NOBODY, GeneratorSpec, Host
from vjengine.generate.registry import number_options

_OPTIONS = {"load": 0.0, "delay": 0.0, "fail_after": 0.0, "hang_after": 0.0}
_LOAD_STEP = 0.1  # s
_SHADES = 224
_LINE, _DIM_LINE = 254, 253


class StillGenerator:
    """Draws a soft gradient under a cross, a circle and a frame, with a white block in the top left corner.

    The drawing is a fixed map of palette indices; only the 256 colours change with the parameters, so a frame costs
    one table look-up a pixel.

    Options (all numbers):
        load: s that loading takes; it reports how far it is.
        delay: s that every frame takes at least.
        fail_after: frames after which ``generate`` raises; 0 for never.
        hang_after: frames after which ``generate`` does not return; 0 for never.

    Raises:
        UsageError: for an unknown option.
    """

    name = "still"

    def __init__(self, spec: GeneratorSpec, host: Host = NOBODY) -> None:
        options = number_options(spec, _OPTIONS)
        self._delay = options["delay"]
        self._fail_after = int(options["fail_after"])
        self._hang_after = int(options["hang_after"])
        self._seed = spec.seed
        self._made = 0
        self._wait = threading.Event()
        steps = int(options["load"] / _LOAD_STEP)
        for step in range(steps):
            host.alive("rehearsing a slow load", step / steps)
            self._wait.wait(_LOAD_STEP)
        self._card = _card(*spec.size)
        self._pixels = np.empty((*self._card.shape, 4), dtype=np.uint8)

    def generate(self, params: GeneratorParams) -> Pixels:
        """Return the card for ``params``; the array is written over by the next call.

        Raises:
            GeneratorError: after ``fail_after`` frames.
        """
        if self._fail_after and self._made >= self._fail_after:
            raise GeneratorError(f"the still generator was asked to fail after {self._fail_after} frames")
        if self._hang_after and self._made >= self._hang_after:
            self._wait.wait()
        self._made += 1
        if self._delay:
            self._wait.wait(self._delay)
        table = _colours(params, self._seed).view(np.uint32).reshape(256)
        np.take(table, self._card, out=self._pixels.view(np.uint32)[..., 0], mode="clip")
        return self._pixels

    def close(self) -> None:
        """Nothing to give back."""


def _card(width: int, height: int) -> npt.NDArray[np.uint8]:
    """Return the ``(height, width)`` map of palette indices."""
    x = np.linspace(-1.0, 1.0, width, dtype=np.float32) * np.float32(width / max(height, 1))
    y = np.linspace(1.0, -1.0, height, dtype=np.float32)[:, None]
    radius = np.hypot(x, y)
    slope = 0.5 + 0.5 * np.sin(0.9 * x + 0.6 * y + 0.8 * np.cos(1.3 * radius))
    card: npt.NDArray[np.uint8] = (slope * (_SHADES - 1)).astype(np.uint8)

    line = max(1, height // 180)
    pixel = 2.0 / max(height, 2)
    card[np.abs(radius - 0.8) < line * pixel] = _DIM_LINE
    card[height // 2 - line // 2 : height // 2 + (line + 1) // 2, :] = _DIM_LINE
    card[:, width // 2 - line // 2 : width // 2 + (line + 1) // 2] = _DIM_LINE
    for edge in (card[:line], card[-line:], card[:, :line], card[:, -line:]):
        edge[...] = _LINE
    # The one mark that tells a mirrored or upside-down picture from a right one.
    block = max(1, height // 12)
    card[line * 3 : line * 3 + block, line * 3 : line * 3 + block] = _LINE
    return card


def _colours(params: GeneratorParams, seed: int) -> npt.NDArray[np.uint8]:
    """Return the ``(256, 4)`` RGBA palette: a slow cosine sweep that swells with the pulse."""
    values = params.values
    shade = np.arange(256, dtype=np.float64)[:, None] / (_SHADES - 1)
    phase = 0.04 * params.travel + values["gen.hue"] + 0.618 * (values["gen.seed"] + params.reseed + seed)
    offsets = np.array([0.0, 0.33, 0.67])
    wave = 0.5 + 0.5 * np.cos(2 * np.pi * (0.5 * shade + phase + offsets))
    light = 0.10 + 0.45 * shade + 0.35 * values["gen.pulse"]
    colours = np.empty((256, 4), dtype=np.uint8)
    colours[:, :3] = np.clip(255.0 * light * (0.35 + 0.65 * wave), 0, 255)
    colours[_DIM_LINE, :3] = 150
    colours[_LINE, :3] = 255
    colours[:, 3] = 255
    return colours
