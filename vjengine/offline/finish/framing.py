"""Where in a wide picture a tall one looks: at what moves and stands out, without haste, and anew after a cut."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

Pixels8 = npt.NDArray[np.uint8]

_SEEN = (96, 54)  # px at which interest is looked for
_PER_SECOND = 4  # looks a second
_SPEED = 0.12  # widths of the picture a second that the frame moves at most
_CALM = 1.5  # s over which interest is averaged, both ways: nothing is live here
_CENTRE = 0.25  # how much the middle is preferred, in shares of the mean interest
_CUT = 0.25  # mean change of small pictures (0-1) that starts the path anew


class Interest:
    """Collects where pictures are interesting across their width.

    Args:
        fps: pictures a second that will be shown.
        share: width of the tall picture in widths of the wide one, 0-1.
    """

    def __init__(self, fps: float, share: float) -> None:
        self.every = max(1, round(fps / _PER_SECOND))
        self._step = self.every / fps
        self._share = share
        self._count = 0
        self._last: npt.NDArray[np.float32] | None = None
        self._columns: list[npt.NDArray[np.float64]] = []
        self._cuts: list[int] = []

    def look(self, pixels: Pixels8) -> None:
        """Take the next picture ``(H, W, 3)`` uint8; most are passed over."""
        self._count += 1
        if (self._count - 1) % self.every:
            return
        small = cv2.resize(pixels, _SEEN, interpolation=cv2.INTER_AREA)
        lab = cv2.cvtColor(small.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab) / 100.0
        stands_out = np.sqrt(((lab - lab.mean(axis=(0, 1))) ** 2).sum(axis=-1))
        edges = np.abs(cv2.Laplacian(lab[..., 0], cv2.CV_32F))
        interest = stands_out + 2.0 * edges
        if self._last is not None:
            moved = np.abs(lab - self._last).sum(axis=-1)
            if float(moved.mean()) > _CUT:
                self._cuts.append(len(self._columns))
            else:
                interest += 3.0 * moved
        self._last = lab
        self._columns.append(interest.sum(axis=0).astype(np.float64))

    def path(self) -> npt.NDArray[np.float64]:
        """Return where the tall picture's left edge lies for each picture looked at: ``(n,)``, 0 to 1 - share."""
        free = 1.0 - self._share
        if not self._columns or free <= 0.0:
            return np.zeros(max(1, self._count))
        borders = [0, *self._cuts, len(self._columns)]
        parts = [self._calm(np.stack(self._columns[a:b])) for a, b in pairwise(borders) if b > a]
        looks = np.concatenate(parts) * free
        # Pictures between two looks lie between, but not across a cut.
        at = np.arange(self._count) / self.every
        below = np.minimum(at.astype(int), len(looks) - 1)
        above = np.minimum(below + 1, len(looks) - 1)
        above = np.where(np.isin(above, self._cuts), below, above)
        share = at - below
        return np.asarray(looks[below] * (1.0 - share) + looks[above] * share)

    def _calm(self, columns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the place (0-1 of the way it is free to go) for each look of one shot."""
        width = max(1, round(self._share * columns.shape[1]))
        columns = columns / np.maximum(columns.sum(axis=1, keepdims=True), 1e-9)
        reach = max(1, round(_CALM / self._step))
        kernel = np.hanning(2 * reach + 3)[1:-1]
        kernel /= kernel.sum()
        padded = np.pad(columns, ((reach, reach), (0, 0)), mode="edge")
        columns = np.stack([np.convolve(padded[:, c], kernel, "valid") for c in range(columns.shape[1])], axis=1)
        sums = np.cumsum(np.pad(columns, ((0, 0), (1, 0))), axis=1)
        inside = sums[:, width:] - sums[:, :-width]  # interest in each window
        places = np.linspace(0.0, 1.0, inside.shape[1])
        inside = inside + _CENTRE * inside.mean() * (1.0 - np.abs(2.0 * places - 1.0))
        wish = places[np.argmax(inside, axis=1)]
        return _unhurried(wish, _SPEED * self._step / max(1e-9, 1.0 - self._share))


def _unhurried(wish: npt.NDArray[np.float64], most: float) -> npt.NDArray[np.float64]:
    """Return ``wish`` followed at most ``most`` a step, from a calm start, smoothed."""
    place = float(np.median(wish[: max(1, len(wish) // 4)]))
    path = np.empty(len(wish))
    for n, aim in enumerate(wish):
        # A little away is no reason to move: frames that hunt are worse than frames that stand.
        if abs(aim - place) > 0.08:
            place += float(np.clip(aim - place, -most, most))
        path[n] = place
    padded = np.pad(path, 2, mode="edge")
    return np.asarray(np.convolve(padded, np.ones(5) / 5, "valid"))


def cropped(pixels: Pixels8, left: float, share: float) -> Pixels8:
    """Return the part of ``pixels`` from ``left`` on (0-1 of its width) that is ``share`` of it wide."""
    width = pixels.shape[1]
    wide = max(1, round(share * width))
    x = min(max(0, round(left * width)), width - wide)
    return np.ascontiguousarray(pixels[:, x : x + wide])


def interest_of(pictures: Iterable[Pixels8], fps: float, share: float) -> npt.NDArray[np.float64]:
    """Return the path of :meth:`Interest.path` for ``pictures``, which are looked at once."""
    interest = Interest(fps, share)
    for pixels in pictures:
        interest.look(pixels)
    return interest.path()
