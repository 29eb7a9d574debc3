"""One picture that stands for a film: sharp, colourful, neither black nor burnt, and no flash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.offline import disk
from vjengine.offline.clips import ClipInfo, read_clip
from vjengine.offline.finish.pictures import fitted

Pixels8 = npt.NDArray[np.uint8]

SIZE = (1280, 720)
LARGEST = 2_000_000
"""Bytes that YouTube takes of a thumbnail."""

_LOOKS = 60  # places of the film that are looked at
_FLASH = 0.12  # mean change (0-1) to both neighbours from which a picture is a flash
_SEEN = (160, 90)


def quality(pixels: Pixels8) -> float:
    """Return how well ``(H, W, 3)`` uint8 would stand for a film; higher is better, 0 is black, burnt or flat.

    Sharpness is the spread of the Laplacian, colour after D. Hasler and S. Süsstrunk ("Measuring colourfulness in
    natural images", 2003).
    """
    small = cv2.resize(pixels, _SEEN, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    crushed = float(((grey < 10) | (grey > 245)).mean())
    sharp = np.log1p(float(cv2.Laplacian(grey, cv2.CV_32F).std()))
    red, green, blue = (small[..., c].astype(np.float32) for c in range(3))
    first, second = red - green, 0.5 * (red + green) - blue
    colour = float(np.hypot(first.std(), second.std()) + 0.3 * np.hypot(first.mean(), second.mean()))
    middle = 1.0 - abs(float(grey.mean()) / 255.0 - 0.45)
    return float(sharp * (0.35 + min(1.0, colour / 90.0)) * middle * (1.0 - crushed))


def best_picture(film: Path, info: ClipInfo, tick: Callable[[int, int], None] | None = None) -> tuple[int, Pixels8]:
    """Return number and pixels of the picture of ``film`` that stands for it best.

    Raises:
        RecordError: if the film is broken.
    """
    chosen, best, shown = -1.0, 0, np.zeros((0, 0, 3), np.uint8)
    places = _places(info)
    for number, place in enumerate(places):
        around = list(_around(film, place, info.frames))
        pixels = around[min(1, place)]
        score = quality(pixels)
        if _flashes(around):
            score *= 0.2
        if score > chosen:
            chosen, best, shown = score, place, pixels
        if tick is not None:
            tick(number + 1, len(places))
    return best, shown


def save_thumbnail(pixels: Pixels8, path: Path) -> None:
    """Write ``pixels`` as a JPEG of 1280x720 px that is small enough for YouTube; it appears whole.

    Raises:
        RecordError: if the disk refuses.
    """
    picture = cv2.cvtColor(fitted(pixels, SIZE, "fill"), cv2.COLOR_RGB2BGR)
    data = b""
    for grade in (95, 90, 80, 65):
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, grade])[1].tobytes()
        if len(data) <= LARGEST:
            break
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise disk.failure(path, error, len(data)) from error


def _places(info: ClipInfo) -> list[int]:
    """Return which pictures are looked at: evenly spread, but not the very ends, which fade."""
    count = min(_LOOKS, info.frames)
    return sorted({min(info.frames - 1, int((n + 0.5) * info.frames / count)) for n in range(count)})


def _around(film: Path, place: int, frames: int) -> Iterator[Pixels8]:
    yield from read_clip(film, max(0, place - 1), min(frames, place + 2))


def _flashes(around: list[Pixels8]) -> bool:
    if len(around) < 3:
        return False
    light = [float(cv2.resize(p, (16, 9), interpolation=cv2.INTER_AREA).mean()) / 255.0 for p in around]
    return min(abs(light[1] - light[0]), abs(light[1] - light[2])) > _FLASH
