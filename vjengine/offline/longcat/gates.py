"""Whether a chunk may be shown: still of its scene, still sharp, joined smoothly, moving, and never seen before."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.offline.continuation import Pixels16
from vjengine.offline.longcat.seam import changes, seam, small
from vjengine.stabilise.palette import detail_change, palette_distance
from vjengine.stabilise.statistics import Statistics, measure, pool

_THUMB = (16, 9)
_SAMPLES = 4
"""Pictures of a chunk that are held against the anchor."""
_HASHED = 90
"""Rows of a picture that are told apart bit by bit, at least."""
_LOOSER = 0.35
"""How much wider the thresholds are with each attempt."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a chunk is refused.

    Attributes:
        drift: most palette distance W1 from the scene's first pictures, CIELAB units.
        detail: most change of detail either way, log2 of the Laplacian variance.
        seam: most jump at the join, over the median change around it.
        frozen: least mean change from picture to picture, 8-bit values.
        repeat: least difference from any chunk before, as a share of the picture's own contrast.
    """

    drift: float = 6.0
    detail: float = 1.0
    seam: float = 1.5
    frozen: float = 0.06
    repeat: float = 0.02

    def looser(self, attempt: int) -> Limits:
        """Return the limits of a later attempt."""
        wide = 1.0 + _LOOSER * attempt
        return Limits(
            self.drift * wide, self.detail * wide, self.seam * wide, self.frozen / wide, self.repeat / (1.0 + attempt)
        )


@dataclass(frozen=True, slots=True)
class Signature:
    """What a chunk is known again by.

    Attributes:
        digest: of every bit of it.
        thumbs: ``(3, 9, 16, 3)`` uint8: its first, middle and last picture, tiny.
    """

    digest: str
    thumbs: npt.NDArray[np.uint8]

    def to_json(self) -> dict[str, str]:
        """Return it for a piece's record."""
        return {"digest": self.digest, "thumbs": base64.b85encode(self.thumbs.tobytes()).decode()}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Signature:
        """Return what :meth:`to_json` gave."""
        raw = np.frombuffer(base64.b85decode(data["thumbs"]), np.uint8)
        return Signature(str(data["digest"]), raw.reshape(3, _THUMB[1], _THUMB[0], 3))


def sign(frames: Pixels16) -> Signature:
    """Return the signature of ``(n, H, W, 3)``."""
    picks = frames[0], frames[len(frames) // 2], frames[-1]
    thumbs = [(cv2.resize(pick, _THUMB, interpolation=cv2.INTER_AREA) >> 8).astype(np.uint8) for pick in picks]
    # Of large pictures every few rows: to hash all of them takes as long as to paint them.
    rows = frames[:, :: max(1, frames.shape[1] // _HASHED)]
    return Signature(hashlib.sha256(np.ascontiguousarray(rows).data).hexdigest(), np.stack(thumbs))


class History:
    """The chunks of a film so far, by their signatures: some 1.4 kB each."""

    def __init__(self, signatures: Sequence[Signature] = ()) -> None:
        self._digests = {one.digest for one in signatures}
        self._count = len(signatures)
        self._thumbs = np.zeros((max(16, 2 * self._count), 3 * _THUMB[0] * _THUMB[1] * 3), np.uint8)
        for k, one in enumerate(signatures):
            self._thumbs[k] = one.thumbs.reshape(-1)

    def add(self, signature: Signature) -> None:
        """Take note of one more."""
        if self._count == len(self._thumbs):
            self._thumbs = np.concatenate((self._thumbs, np.zeros_like(self._thumbs)))
        self._digests.add(signature.digest)
        self._thumbs[self._count] = signature.thumbs.reshape(-1)
        self._count += 1

    def exactly(self, signature: Signature) -> bool:
        """Tell whether a chunk of the very same bits was there."""
        return signature.digest in self._digests

    def nearest(self, signature: Signature) -> float:
        """Return the difference from the nearest chunk, as a share of the contrast; infinite for the first."""
        if not self._count:
            return float("inf")
        own = signature.thumbs.reshape(-1).astype(np.int16)
        contrast = max(float(own.std()), 4.0)
        apart = min(
            float(np.abs(self._thumbs[k : k + 512][: self._count - k].astype(np.int16) - own).mean(axis=1).min())
            for k in range(0, self._count, 512)
        )
        return apart / contrast


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found about a chunk.

    Attributes:
        figures: ``w1``, ``detail``, ``seam``, ``moves``, ``apart``: as far as they were measured.
        faults: what is wrong, in words; none lets it pass.
        excess: how far it is over its limits in all; the least is the best of several that were refused.
        repeated: it is bit for bit one that was there: it is never shown.
    """

    figures: dict[str, float] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    excess: float = 0.0
    repeated: bool = False


def look(frames: Pixels16) -> Statistics:
    """Return the pooled statistics of a few pictures of a chunk."""
    picks = np.unique(np.linspace(0, len(frames) - 1, _SAMPLES).astype(int))
    return pool([measure(_bytes(frames[k])) for k in picks])


def judge(
    frames: Pixels16,
    before: Pixels16,
    limits: Limits,
    history: History,
    signature: Signature,
    anchor: Statistics | None,
) -> Verdict:
    """Judge a chunk as it would be shown.

    Args:
        frames: ``(n, H, W, 3)``, the chunk.
        before: the last pictures of the film so far, at least one.
        limits: when it is refused.
        history: the chunks before.
        signature: of what the continuation made, before anything was done to it.
        anchor: of the scene's first pictures; None if it is not to be held to them.
    """
    copies = [small(frame) for frame in frames]
    moves = float(np.median(changes([small(before[-1]), *copies])))
    figures = {"seam": seam([small(one) for one in before], copies), "moves": moves}
    checks = [
        ("seam", figures["seam"] / limits.seam, f"a jump of {figures['seam']:.2f} at the seam"),
        ("frozen", limits.frozen / max(moves, 1e-6), f"frozen: {moves:.3f} levels a picture"),
    ]
    figures["apart"] = min(history.nearest(signature), 99.0)
    checks.append(("repeat", limits.repeat / max(figures["apart"], 1e-6), "the same as a chunk before"))
    if anchor is not None:
        found = look(frames[-max(1, len(frames) // 2) :])
        figures["w1"], figures["detail"] = palette_distance(found, anchor), detail_change(found, anchor)
        checks.append(("drift", figures["w1"] / limits.drift, f"colours drifted by {figures['w1']:.1f}"))
        checks.append(("detail", abs(figures["detail"]) / limits.detail, f"detail changed by {figures['detail']:+.2f}"))
    repeated = history.exactly(signature)
    over = [(min(ratio, 100.0) - 1.0, words) for _, ratio, words in checks if ratio > 1.0]
    faults = tuple(words for _, words in over)
    if repeated and "the same as a chunk before" not in faults:
        faults += ("the same as a chunk before",)
    return Verdict(
        {name: round(value, 4) for name, value in figures.items()}, faults, sum(by for by, _ in over), repeated
    )


def _bytes(picture: Pixels16) -> npt.NDArray[np.uint8]:
    shown: npt.NDArray[np.uint8] = np.rint(picture / np.float32(257)).astype(np.uint8)
    return shown
