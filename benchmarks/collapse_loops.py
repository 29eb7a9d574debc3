"""Loops that collapse without help: every step moves the last picture a little and does it a little harm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.collapse_scenes import SCENES, Picture, Size, scene
from vjengine.core.generation import GeneratorParams

SIZE: Size = (256, 144)
FPS = 30.0
LEAD_IN = 24
"""Frames for which a loop is fed with its start picture: a scene as it should be."""

Matrix = npt.NDArray[np.float64]

Harm = Callable[[Picture, int], Picture]
"""One step's harm: the moved picture and the number of the step to the next picture; the input may be written over."""


class Loop(Protocol):
    """A picture that is fed back."""

    @property
    def anew(self) -> int:
        """Counts fresh starts that it made by itself."""
        ...

    def begin(self, again: int = 0) -> Picture:
        """Return the start picture, turned over ``again`` times: another picture with the same statistics."""
        ...

    def step(self, picture: Picture, params: GeneratorParams) -> Picture:
        """Return the picture after ``picture``; ``params.sequence`` counts from 1."""
        ...

    def moved(self, picture: Picture, params: GeneratorParams) -> Picture:
        """Return ``picture`` moved as in the step of ``params``, and nothing else done to it."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


def turned(picture: Picture, again: int) -> Picture:
    """Mirror ``picture`` sideways, upside down, both: in turn."""
    if again % 4 in (1, 3):
        picture = picture[:, ::-1]
    if again % 4 in (2, 3):
        picture = picture[::-1]
    return np.ascontiguousarray(picture)


def motion(size: Size, step: int) -> Matrix:
    """Return the motion of a step: a slow zoom that breathes, a rotation and a drift that swing; 2 x 3, px."""
    width, height = size
    matrix: Matrix = cv2.getRotationMatrix2D(
        (width / 2, height / 2), 0.15 * np.sin(0.010 * step), 1.003 + 0.002 * np.sin(0.017 * step)
    )
    matrix[0, 2] += 0.30 * np.sin(0.013 * step)
    matrix[1, 2] += 0.15 * np.sin(0.007 * step)
    return matrix


def tilted(size: Size) -> Matrix:
    """Return how the start picture lies before the first step: turned and enlarged a little; 2 x 3, px.

    Moved by whole px a picture keeps its grain, moved by parts of one it loses much of it. Lying so, places between px
    are spread evenly over every picture, the first like those after it: all that the anchor is made of are alike.
    """
    width, height = size
    matrix: Matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 3.0, 1.02)
    return matrix


def warped(picture: Picture, matrix: Matrix) -> Picture:
    """Return ``picture`` moved by ``matrix``; linear, mirrored at the edges, as the turbo generator does it."""
    size = picture.shape[1], picture.shape[0]
    moved: Picture = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return moved


def _tinted(gain: tuple[float, float, float], offset: tuple[float, float, float]) -> Harm:
    a, b = np.array(gain, np.float32), np.array(offset, np.float32)
    return lambda picture, step: picture * a + b


def _grey(picture: Picture, step: int) -> Picture:
    greyer: Picture = 0.99 * picture + 0.01 * (0.5 * picture.mean(axis=2, keepdims=True) + 0.25)
    return greyer


def _burn(picture: Picture, step: int) -> Picture:
    return (picture - 0.5) * 1.02 + 0.505


def _blur(picture: Picture, step: int) -> Picture:
    blurred: Picture = cv2.GaussianBlur(picture, (0, 0), 0.6)
    return blurred


def _sharpen(picture: Picture, step: int) -> Picture:
    sharper: Picture = picture + 0.15 * (picture - cv2.GaussianBlur(picture, (0, 0), 1.0))
    return sharper


def _truncate(picture: Picture, step: int) -> Picture:
    truncated: Picture = np.floor(picture * 255.0) / np.float32(255.0)
    return truncated


def _jpeg(picture: Picture, step: int) -> Picture:
    shown = (picture * 255.0 + 0.5).astype(np.uint8)
    _, packed = cv2.imencode(".jpg", shown, (cv2.IMWRITE_JPEG_QUALITY, 75))
    unpacked = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    return unpacked.astype(np.float32) / np.float32(255.0)


HARMS: Mapping[str, Harm] = {
    "green": _tinted((0.997, 1.004, 0.997), (0.0, 0.001, 0.0)),
    "magenta": _tinted((1.0, 1.0, 1.0), (0.002, -0.001, 0.002)),
    "dark": _tinted((0.993, 0.993, 0.993), (0.0, 0.0, 0.0)),
    "grey": _grey,
    "burn": _burn,
    "blur": _blur,
    "sharpen": _sharpen,
    "8 bit": _truncate,
    "jpeg": _jpeg,
}
"""The harm a step does, by the loop's name; each is small enough not to be seen in one step."""


class PixelLoop:
    """The start picture, moved and harmed on and on; values stay in 0-1.

    It begins as a show does, whole: for :data:`LEAD_IN` frames the start picture itself is moved and harmed once. Then
    it feeds on its last picture.

    Args:
        harm: done each step, after the move.
        start: the scene it starts from.
        size: (width, height).
    """

    anew = 0

    def __init__(self, harm: Harm, start: str, size: Size = SIZE, seed: int = 1) -> None:
        self._harm = harm
        self._start = scene(start, size, seed)
        self._shown = self._start
        self._size = size
        self._moved = tilted(size)
        self._left = 0

    def begin(self, again: int = 0) -> Picture:
        """Return the start picture, turned over ``again`` times."""
        self._shown, self._moved, self._left = turned(self._start, again), tilted(self._size), LEAD_IN
        return warped(self._shown, self._moved)

    def step(self, picture: Picture, params: GeneratorParams) -> Picture:
        """Move and harm ``picture``."""
        matrix = motion((picture.shape[1], picture.shape[0]), params.sequence)
        if self._left > 0:
            self._left -= 1
            self._moved = matrix @ np.vstack((self._moved, (0.0, 0.0, 1.0)))
            picture, matrix = self._shown, self._moved
        moved = warped(np.clip(picture, 0.0, 1.0), matrix)
        return np.clip(self._harm(moved, params.sequence), 0.0, 1.0).astype(np.float32)

    def moved(self, picture: Picture, params: GeneratorParams) -> Picture:
        """Move ``picture``."""
        return warped(picture, motion((picture.shape[1], picture.shape[0]), params.sequence))

    def close(self) -> None:
        """Nothing is held."""


DEVICE_LOOPS = ("codec", "diffusion", "zoom")
LOOPS = (*HARMS, *DEVICE_LOOPS)
"""All loops by name: the harms, a real auto-encoder, real diffusion and the compositor's own zoom feedback."""
UNJUDGED = ("turbo",)
"""Run only where asked for by name: without a scene of its own there is nothing to be held to."""
NEEDS_TORCH = ("codec", "diffusion", "turbo")
CORRECTS_INSIDE = ("turbo", "zoom")
"""Loops of the engine: they make this project's corrections themselves, where the picture is."""
INSIDE_ONLY = ("zoom",)
"""Loops whose picture nobody outside can change."""


def start_of(name: str) -> str:
    """Return the scene that loop ``name`` starts from where nobody says otherwise: all scenes are used."""
    # A trail burns in where bright stands on dark.
    return "night" if name == "zoom" else SCENES[(*LOOPS, *UNJUDGED).index(name) % len(SCENES)]


def make_loop(name: str, start: str = "", seed: int = 1, keep: bool = False) -> Loop:
    """Return loop ``name`` from scene ``start`` (empty: its usual one); with ``keep`` one that looks after itself can.

    Raises:
        KeyError: if there is no such loop.
        MissingDependency: if it needs a library that is not installed.
    """
    start = start or start_of(name)
    if name in HARMS:
        return PixelLoop(HARMS[name], start, seed=seed)
    if name == "codec":
        from benchmarks.collapse_codec import codec_harm

        return PixelLoop(codec_harm(), start, seed=seed)
    if name == "diffusion":
        from benchmarks.collapse_dream import DreamLoop

        return DreamLoop(start, seed)
    from benchmarks import collapse_devices

    if name == "turbo":
        return collapse_devices.TurboLoop(start, seed)
    if name == "zoom":
        return collapse_devices.ZoomLoop(start, seed, keep)
    raise KeyError(name)
