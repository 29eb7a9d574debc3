"""What is tried against a collapse: nothing, two remedies in common use, and this project's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import cv2
import numpy as np

from benchmarks.collapse_scenes import Picture
from vjengine.core.correction import NO_CORRECTION, Correction
from vjengine.core.generation import GeneratorParams
from vjengine.stabilise.apply import Applier
from vjengine.stabilise.stabiliser import Stabiliser


class Remedy(Protocol):
    """Looks at each finished picture and changes the one that is fed back.

    Attributes:
        correction: for a loop that corrects inside; what stands after the last picture.
        anew: counts fresh starts that it asked for.
    """

    correction: Correction
    anew: int

    def feed(self, picture: Picture, params: GeneratorParams) -> Picture:
        """Look at ``picture``, made for ``params``; return what to feed back in its place."""
        ...


class Nothing:
    """No remedy."""

    correction = NO_CORRECTION
    anew = 0

    def feed(self, picture: Picture, params: GeneratorParams) -> Picture:
        """Return it as it is."""
        return picture


class _Matching:
    """A remedy that knows the first picture and works on colours in CIELAB."""

    correction = NO_CORRECTION
    anew = 0

    def __init__(self) -> None:
        self._first: Picture | None = None

    def feed(self, picture: Picture, params: GeneratorParams) -> Picture:
        """Match ``picture`` to the first one seen."""
        lab: Picture = cv2.cvtColor(np.clip(picture, 0.0, 1.0), cv2.COLOR_RGB2Lab)
        if self._first is None:
            self._first = lab
            return picture
        back: Picture = cv2.cvtColor(self.matched(lab, self._first).astype(np.float32), cv2.COLOR_Lab2RGB)
        return np.clip(back, 0.0, 1.0)

    def matched(self, lab: Picture, first: Picture) -> Picture:
        """Return ``lab`` in the colours of ``first``, both CIELAB."""
        raise NotImplementedError


class HistogramMatching(_Matching):
    """Each of L*, a*, b* is given the distribution that it had in the first picture, quantile by quantile."""

    def matched(self, lab: Picture, first: Picture) -> Picture:
        """Map quantile to quantile."""
        out = np.empty_like(lab)
        shares = np.linspace(0.0, 1.0, 256)
        for channel in range(3):
            now, then = (np.quantile(each[..., channel], shares) for each in (lab, first))
            # np.interp wants rising abscissae: equal quantiles are parted by less than matters.
            out[..., channel] = np.interp(lab[..., channel], now + 1e-6 * np.arange(256), then)
        return out


class ChromaLock(_Matching):
    """Mean and spread of a* and b* are set to those of the first picture; lightness is left alone."""

    def matched(self, lab: Picture, first: Picture) -> Picture:
        """Shift and stretch a* and b*."""
        out = lab.copy()
        now, then = lab[..., 1:].reshape(-1, 2), first[..., 1:].reshape(-1, 2)
        gain = then.std(axis=0) / np.maximum(now.std(axis=0), 1e-3)
        out[..., 1:] = (lab[..., 1:] - now.mean(axis=0)) * gain + then.mean(axis=0)
        return out


class Ours:
    """The stabiliser of this project, with its default strengths.

    Args:
        inside: True where the loop makes the corrections: pictures are only looked at.
    """

    def __init__(self, inside: bool = False) -> None:
        self._inside = inside
        self._stabiliser = Stabiliser()
        self._applier = Applier()
        self.correction = NO_CORRECTION
        self.anew = 0
        self.levels = 0

    def feed(self, picture: Picture, params: GeneratorParams) -> Picture:
        """Look as the engine does, at 8 bit; correct the picture that is fed back."""
        shown = np.rint(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8)
        verdict = self._stabiliser.look(shown, params, params.sequence)
        self.correction = verdict.correction
        self.anew = verdict.correction.restart
        self.levels = max(self.levels, verdict.level)
        return picture if self._inside else self._applier.apply(picture, verdict.correction)


REMEDIES: Mapping[str, Callable[[], Remedy]] = {
    "nothing": Nothing,
    "Lab histogram matching": HistogramMatching,
    "a/b lock": ChromaLock,
    "vjengine": Ours,
}
"""Makers of remedies by name."""
OURS = "vjengine"
