"""Colours and detail of a chunk brought back picture by picture, so that its end is as it should be and nothing jumps.

A continuation that feeds on its own pictures does a little harm with each: by the end of a chunk it has added up. As
the whole chunk is there, its course is seen: from the last picture shown, through this chunk, in colours and in detail
of each size. What is taken back follows that course: nothing before the first picture, all of it at the last. Changes
quicker than the chunk stay as they are: those are the film's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.offline.continuation import Pixels16

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_GREY = np.array((0.299, 0.587, 0.114))
_SIGMAS = (0.6, 1.1, 2.0, 3.6, 6.5)
"""px at which detail is told apart: the bands are what lies between one and the next, finest first."""
BANDS = len(_SIGMAS)
_SMALL = (128, 72)
_FLOOR = (0.25 / 255.0) ** 2
"""Variance below which a band is empty: rounding of 8 bits alone has a third of it."""
_EMPTY = 1e-4
"""Variance of colours below which there is none to be stretched."""
_STRETCH = (0.55, 1.8)
"""What a chunk's end is stretched by in any direction of colour."""
_SHIFT = 0.25
_LOWERED, _RAISED = 2.5, np.array((1.2, 0.25, 0.2, 0.2, 0.2))
"""log2 that a band of a chunk's end is lowered and raised by, at most. What is raised again and again rings: lines get
echoes, and noise becomes a mesh. What is lost has to come from elsewhere."""
COLOUR_BACK, _DETAIL_BACK = 0.15, 0.25
"""Share of what was wrong before that is taken back a picture."""
_CURVED = 6
"""Pictures from which a course is looked for."""
_SEEN = 9
"""Pictures of a chunk that are measured at most: a course as smooth as that needs no more."""


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """What is held of a picture.

    Attributes:
        colours: ``(9,)``: mean of RGB code values 0-1, and their covariance RR, RG, RB, GG, GB, BB.
        detail: ``(5,)`` log2 of the variance of grey in each band, finest first; of the finest, as the Laplacian sees
            it.
    """

    colours: Doubles
    detail: Doubles


def looks(picture: Pixels16) -> Looks:
    """Return the looks of ``(H, W, 3)``."""
    return Looks(_colours(picture), _detail(_grey(picture, _NOTHING)))


@dataclass(frozen=True, slots=True, eq=False)
class Fix:
    """What is done to one picture.

    Attributes:
        colour: ``(3, 4)`` on RGB code values 0-1.
        gains: ``(5,)`` of the bands.
    """

    colour: Doubles
    gains: Doubles


_NOTHING = np.eye(3, 4)


def recoloured(frames: Pixels16, before: Looks, anchor: Looks, colour: float) -> list[Doubles]:
    """Return the ``(3, 4)`` matrix on RGB code values 0-1 of each picture of a chunk; see :func:`fixes`."""
    count = len(frames)
    if colour <= 0.0:
        return [_NOTHING] * count
    seen = sampled(count)
    ways = course(np.stack([_colours(frames[k]) for k in seen]), seen, count)
    matrices = []
    for k in range(count):
        back = 1.0 - (1.0 - COLOUR_BACK) ** (k + 1)
        wanted = before.colours + back * (anchor.colours - before.colours)
        matrices.append(_NOTHING + colour * (_transfer(ways[k], wanted) - _NOTHING))
    return matrices


def fixes(frames: Pixels16, before: Looks, anchor: Looks, colour: float, detail: float) -> list[Fix]:
    """Return what is done to each picture of a chunk.

    Args:
        frames: ``(n, H, W, 3)`` as made.
        before: of the picture shown last.
        anchor: of the scene's first.
        colour: share of the drift in colours that is taken back, 0-1.
        detail: the same of detail.
    """
    count = len(frames)
    matrices = recoloured(frames, before, anchor, colour)
    gains = np.ones((count, BANDS))
    if detail > 0.0:
        seen = sampled(count)
        ways = course(np.stack([_detail(_grey(frames[k], matrices[k])) for k in seen]), seen, count)
        back = 1.0 - (1.0 - _DETAIL_BACK) ** np.arange(1, count + 1)[:, None]
        missing = before.detail + back * (anchor.detail - before.detail) - ways
        gains = 2.0 ** (detail * np.clip(0.5 * missing, -_LOWERED, _RAISED))
    return [Fix(matrix, gain) for matrix, gain in zip(matrices, gains, strict=True)]


def coloured(frame: Pixels16, colour: Doubles) -> Pixels16:
    """Return ``(H, W, 3)`` with other colours."""
    scale = np.array(colour, np.float64)
    scale[:, 3] *= 65535.0
    found: Pixels16 = cv2.transform(frame, scale)
    return found


def rounded(picture: Floats) -> Pixels16:
    """Return ``(H, W, 3)`` 0-65535, which may reach over, in 16 bit."""
    found: Pixels16 = cv2.addWeighted(picture, 1.0, picture, 0.0, 0.0, dtype=cv2.CV_16U)
    return found


def fixed(frame: Pixels16, fix: Fix) -> Pixels16:
    """Return ``(H, W, 3)`` with its colours and its detail brought back."""
    recolour = coloured(frame, fix.colour)
    if np.allclose(fix.gains, 1.0, atol=1e-4):
        return recolour
    picture = recolour.astype(np.float32)
    first, _, half, more = _blurs(picture)
    a, b, c, d, e = (float(gain) for gain in fix.gains)
    rest = cv2.addWeighted(more[0], d - c, more[1], e - d, 0.0)
    cv2.scaleAdd(more[2], 1.0 - e, rest, dst=rest)
    cv2.scaleAdd(half, c - b, rest, dst=rest)
    # What is coarse was made at half the size: only what is changed of it is enlarged, so nothing else is softened.
    whole: Floats = cv2.resize(rest, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_LINEAR)
    cv2.scaleAdd(picture, a, whole, dst=whole)
    cv2.scaleAdd(first, b - a, whole, dst=whole)
    return rounded(whole)


def _blurs(picture: Floats) -> tuple[Floats, Floats, Floats, list[Floats]]:
    """Return the picture under the two finest Gaussians; the second at half the size, and three coarser ones there."""
    first: Floats = cv2.GaussianBlur(picture, (5, 5), _SIGMAS[0])
    second: Floats = cv2.GaussianBlur(first, (7, 7), _between(0, 1))
    half: Floats = cv2.resize(
        second, ((picture.shape[1] + 1) // 2, (picture.shape[0] + 1) // 2), interpolation=cv2.INTER_AREA
    )
    more, last = [], half
    for k in range(1, BANDS - 1):
        sigma = _between(k, k + 1) / 2.0
        side = 2 * round(2.5 * sigma) + 1
        last = cv2.GaussianBlur(last, (side, side), sigma)
        more.append(last)
    return first, second, half, more


def _between(a: int, b: int) -> float:
    return float(np.sqrt(_SIGMAS[b] ** 2 - _SIGMAS[a] ** 2))


def _detail(grey: Floats) -> Doubles:
    first, second, half, more = _blurs(grey)
    pairs = ((grey, first), (first, second), (half, more[0]), (more[0], more[1]), (more[1], more[2]))
    variances = [cv2.norm(a, b, cv2.NORM_L2SQR) / a.size for a, b in pairs]
    laplacian = cv2.Laplacian(grey, cv2.CV_32F)
    variances[0] = cv2.norm(laplacian, cv2.NORM_L2SQR) / laplacian.size / 20.0
    found: Doubles = np.log2(np.maximum(np.array(variances), _FLOOR))
    return found


def _grey(picture: Pixels16, colour: Doubles) -> Floats:
    """Return grey 0-1 of a picture whose colours were changed: without making all of it."""
    row = _GREY @ colour
    row[3] *= 65535.0
    grey: Floats = cv2.transform(picture, row[None]).astype(np.float32)
    grey *= np.float32(1 / 65535)
    return grey


def _colours(picture: Pixels16) -> Doubles:
    size = min(_SMALL[0], picture.shape[1]), min(_SMALL[1], picture.shape[0])
    values = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).reshape(-1, 3).astype(np.float64) / 65535.0
    mean = values.mean(axis=0)
    apart = values - mean
    covariance = apart.T @ apart / len(apart)
    return np.concatenate((mean, covariance[np.triu_indices(3)]))


def sampled(count: int) -> list[int]:
    """Return which pictures of a chunk are measured: the first and the last among them."""
    return sorted({round(float(k)) for k in np.linspace(0, count - 1, min(count, _SEEN))})


def course(values: Doubles, seen: list[int], count: int) -> Doubles:
    """Return the smooth course ``(count, d)`` through those ``seen`` ``(n, d)``; a few have none but their own."""
    if count < _CURVED:
        return values
    # It need not begin where the last chunk ended: a first picture that is at once softer is made as sharp at once.
    x = np.linspace(-1.0, 1.0, count)
    basis = np.stack((np.ones(count), x, x * x), axis=1)
    known = basis[seen]
    found: Doubles = basis @ np.linalg.solve(known.T @ known, known.T @ values)
    return found


def _transfer(now: Doubles, wanted: Doubles) -> Doubles:
    """Return the ``(3, 4)`` matrix that gives colours another mean and covariance, and moves them least.

    F. Pitié, A. Kokaram, "The linear Monge-Kantorovitch linear colour mapping", 2007.
    """
    from_root, from_inverse = _roots(_square(now[3:]))
    inner, _ = _roots(from_root @ _square(wanted[3:]) @ from_root)
    stretch = from_inverse @ inner @ from_inverse
    values, vectors = np.linalg.eigh((stretch + stretch.T) / 2.0)
    stretch = (vectors * np.clip(values, *_STRETCH)) @ vectors.T
    aimed = now[:3] + np.clip(wanted[:3] - now[:3], -_SHIFT, _SHIFT)
    return np.column_stack((stretch, aimed - stretch @ now[:3]))


def _square(upper: Sequence[float] | Doubles) -> Doubles:
    a, b, c, d, e, f = (float(value) for value in upper)
    return np.array(((a, b, c), (b, d, e), (c, e, f))) + _EMPTY * np.eye(3)


def _roots(matrix: Doubles) -> tuple[Doubles, Doubles]:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2.0)
    values = np.sqrt(np.maximum(values, 1e-9))
    return (vectors * values) @ vectors.T, (vectors / values) @ vectors.T
