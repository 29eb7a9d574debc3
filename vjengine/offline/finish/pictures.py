"""The pictures of a finished film, stretch by stretch: read, enlarged, filled in between, graded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.offline.clips import read_clip
from vjengine.offline.finish.between import Between
from vjengine.offline.finish.cadence import Cadence
from vjengine.offline.finish.grade import Grade, Grader
from vjengine.offline.finish.networks import Enlarger, Rife
from vjengine.offline.finish.options import Fit, Method, Upscaler
from vjengine.outputs.codecs import load_av

Pixels8 = npt.NDArray[np.uint8]

_RUN_UP = 2  # pictures of the film that FFmpeg's filter sees before and after a stretch


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides the pictures of a finished film.

    Attributes:
        base: the film they are made of.
        cadence: its rate, length and the new rate.
        base_size, size: (width, height), px, before and after.
        method, upscale, fit, grade: as in :class:`~vjengine.offline.finish.options.FinishOptions`.
    """

    base: Path
    cadence: Cadence
    base_size: tuple[int, int]
    size: tuple[int, int]
    method: Method = "dis"
    upscale: Upscaler = "lanczos"
    fit: Fit = "fill"
    grade: Grade = field(default_factory=Grade)


def pictures(recipe: Recipe, start: int, stop: int, *, sized: bool = True) -> Iterator[Pixels8]:
    """Yield pictures ``start`` to ``stop`` (not included) of the finished film, ``(H, W, 3)`` uint8.

    Each depends on the film's own pictures around it only, so a film can be made in any stretches and any order.

    Args:
        recipe: all that decides them.
        start, stop: which.
        sized: False leaves those small that only have to be enlarged, which is quicker done on the way to the encoder.

    Raises:
        RecordError: if the film is broken.
        MissingDependency: if a network is asked for that is not installed.
    """
    network = recipe.upscale == "realesrgan" and recipe.size[0] * recipe.size[1] > (
        recipe.base_size[0] * recipe.base_size[1]
    )
    # A network makes few pictures large; Lanczos makes many, since motion is found cheaper in small ones.
    first: Callable[[Pixels8], Pixels8] = Enlarger(recipe.size) if network else lambda pixels: pixels
    last: Callable[[Pixels8], Pixels8] = lambda pixels: fitted(pixels, recipe.size, recipe.fit)  # noqa: E731
    grader = None if recipe.grade.neutral else Grader(recipe.grade)
    if not sized and grader is None:
        last = lambda pixels: shaped(pixels, recipe.size, recipe.fit)  # noqa: E731
    for pixels in _in_between(recipe, start, stop, first):
        whole = last(pixels)
        yield grader.apply(whole) if grader is not None else whole


def fitted(pixels: Pixels8, size: tuple[int, int], fit: Fit) -> Pixels8:
    """Return ``pixels`` at ``size``: by Lanczos if it grows, by area if it shrinks; see ``fit``."""
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    across, down = size[0] / width, size[1] / height
    scale = max(across, down) if fit == "fill" else min(across, down)
    if abs(across / down - 1.0) < 0.01:  # 1024x576 and 1920x1080 are the same shape but for a line
        return _resized(pixels, size)
    if fit == "fill":
        kept_w, kept_h = min(width, round(size[0] / scale)), min(height, round(size[1] / scale))
        x, y = (width - kept_w) // 2, (height - kept_h) // 2
        return _resized(pixels[y : y + kept_h, x : x + kept_w], size)
    inner = min(size[0], round(width * scale)), min(size[1], round(height * scale))
    paper = np.zeros((size[1], size[0], 3), np.uint8)
    x, y = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    paper[y : y + inner[1], x : x + inner[0]] = _resized(pixels, inner)
    return paper


def shaped(pixels: Pixels8, size: tuple[int, int], fit: Fit) -> Pixels8:
    """Return ``pixels`` as :func:`fitted`, or of its shape and smaller, where nothing but enlarging is left to do."""
    height, width = pixels.shape[:2]
    across, down = size[0] / width, size[1] / height
    if across < 1.0 or down < 1.0 or abs(across / down - 1.0) >= 0.01:
        return fitted(pixels, size, fit)
    return pixels


def _resized(pixels: Pixels8, size: tuple[int, int]) -> Pixels8:
    grows = size[0] >= pixels.shape[1]
    how = cv2.INTER_LANCZOS4 if grows else cv2.INTER_AREA
    return np.asarray(cv2.resize(np.ascontiguousarray(pixels), size, interpolation=how), np.uint8)


def _in_between(recipe: Recipe, start: int, stop: int, prepare: Callable[[Pixels8], Pixels8]) -> Iterator[Pixels8]:
    if recipe.method == "minterpolate":
        yield from _filtered(recipe, start, stop, prepare)
        return
    first, end = recipe.cadence.needs(start, stop)
    film = (prepare(pixels) for pixels in read_clip(recipe.base, first, end))
    maker: Between | Rife | None = None
    index, before, after = first, next(film), None
    moves = False
    for k in range(start, stop):
        place, share = recipe.cadence.place(k)
        while index < place:
            before, after = after if after is not None else next(film), None
            index += 1
        if not share or recipe.method == "hold":
            yield before
            continue
        if after is None:
            after = next(film)
            if maker is None:
                size = before.shape[1], before.shape[0]
                maker = Rife(size) if recipe.method == "rife" else Between(size)
            moves = maker.look(before, after)
        yield maker.at(float(share)) if moves and maker is not None else before


def _filtered(recipe: Recipe, start: int, stop: int, prepare: Callable[[Pixels8], Pixels8]) -> Iterator[Pixels8]:
    """Yield what FFmpeg's ``minterpolate`` makes. It drops what has no pictures after it: those are repeated."""
    av = load_av()
    cadence = recipe.cadence
    first, end = cadence.needs(start, stop)
    first, known = max(0, first - _RUN_UP), min(cadence.frames, end + _RUN_UP)
    graph: Any = None
    due, shown = start, None

    def drained() -> Iterator[Any]:
        while True:
            try:
                yield graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return

    def feed() -> Iterator[Pixels8]:
        pixels = None
        for source in read_clip(recipe.base, first, known):
            pixels = prepare(source)
            yield pixels
        if pixels is not None and known == cadence.frames:
            yield from (pixels for _ in range(2 * _RUN_UP))

    for index, pixels in enumerate(feed(), first):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = index, 1 / cadence.base
        if graph is None:
            graph = _graph(av, frame, cadence)
        graph.push(frame)
        for made in drained():
            k = round(made.pts * made.time_base * cadence.fps)
            if k < due:
                continue
            shown = made.to_ndarray(format="rgb24")
            while due <= min(k, stop - 1):
                yield shown
                due += 1
    while due < stop and shown is not None:
        yield shown
        due += 1


def _graph(av: Any, frame: Any, cadence: Cadence) -> Any:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format="rgb24", time_base=1 / Fraction(cadence.base)
    )
    rate = f"{cadence.fps.numerator}/{cadence.fps.denominator}"
    small = graph.add("format", "pix_fmts=yuv420p")  # as films are; three whole planes take it twice as long
    made = graph.add("minterpolate", f"fps={rate}")
    sink = graph.add("buffersink")
    source.link_to(small)
    small.link_to(made)
    made.link_to(sink)
    graph.configure()
    return graph
