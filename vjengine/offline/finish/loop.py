"""A loop without a seam: from where a film comes back to something like itself, joined by a short cross-fade."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Pixels8 = npt.NDArray[np.uint8]

_SEEN = (48, 48)  # px at which pictures are compared
_FADE = 0.5  # s


@dataclass(frozen=True, slots=True)
class Seam:
    """A loop of the pictures ``start + fade`` to ``stop + fade``: its last ``fade`` melt into those from ``start`` on.

    Attributes:
        start, stop: pictures that look alike; the loop is ``stop - start`` long.
        fade: pictures of the cross-fade; 0 where they are the same.
        unlike: mean difference (0-1) of what melts.
    """

    start: int
    stop: int
    fade: int
    unlike: float

    @property
    def end(self) -> int:
        """The first picture that is not needed any more."""
        return self.stop + self.fade


def find_seam(pictures: Iterable[Pixels8], fps: float, least: float, most: float, lengths: Iterable[int] = ()) -> Seam:
    """Return where ``pictures`` loop best.

    The places compared are a tenth of a second apart; both what is seen there and how it moves must be alike.

    Args:
        pictures: the stretch to look in, ``(H, W, 3)`` uint8.
        fps: of them, a second.
        least, most: s that the loop may last; less if there are not enough pictures.
        lengths: the lengths (pictures) to choose from, as whole bars; empty for any.
    """
    every = max(1, round(fps / 10))
    seen = [_small(p) for n, p in enumerate(pictures) if n % every == 0]
    count = len(seen)
    total = max(1, (count - 1) * every)
    fade = max(1, min(round(_FADE * fps), total // 4))
    reach = max(1, round(fade / every))
    table = np.stack(seen)
    shortest, longest = round(least * fps / every), round(most * fps / every)
    last = count - 1 - reach
    longest = min(longest, last)
    shortest = max(1, min(shortest, longest))
    wanted = sorted({round(n / every) for n in lengths if shortest <= round(n / every) <= longest})
    best = Seam(0, max(1, last) * every, fade, 1.0)
    for length in wanted or range(shortest, longest + 1):
        for start in range(last - length + 1):
            # A whole fade's worth of pictures must agree, and so their motion does.
            one, two = table[start : start + reach + 1], table[start + length : start + length + reach + 1]
            unlike = float(np.abs(one - two).mean())
            if unlike < best.unlike:
                best = Seam(start * every, (start + length) * every, fade, unlike)
    return best


def looped(pictures: Callable[[int, int], Iterator[Pixels8]], seam: Seam) -> Iterator[Pixels8]:
    """Yield the loop's ``stop - start`` pictures; after the last one its first one follows without a jump.

    Args:
        pictures: gives pictures ``a`` to ``b`` (not included) of the stretch.
        seam: where.
    """
    yield from pictures(seam.start + seam.fade, seam.stop)
    leaving, coming = pictures(seam.stop, seam.end), pictures(seam.start, seam.start + seam.fade)
    for n, (old, new) in enumerate(zip(leaving, coming, strict=True), 1):
        share = n / (seam.fade + 1)
        share = share * share * (3.0 - 2.0 * share)
        yield np.asarray(cv2.addWeighted(old, 1.0 - share, new, share, 0.0), np.uint8)


def _small(pixels: Pixels8) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.resize(pixels, _SEEN, interpolation=cv2.INTER_AREA), np.float32) / 255.0
