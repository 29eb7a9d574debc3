"""What a film is to be: all of it that decides its bytes, checked, and as a plan that a run folder can compare."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from vjengine.errors import UsageError
from vjengine.offline.continuation import Continuation, Pixels16
from vjengine.offline.longcat.gates import Limits
from vjengine.offline.longcat.prompts import Prompts

AnchorMode = Literal["fixed", "glide", "none"]
ANCHORS: tuple[AnchorMode, ...] = ("fixed", "glide", "none")
LONGEST = 24 * 3600
"""s of film at most."""
GLIDE = 4.0
"""s in which one prompt becomes another: until then changes are meant, and nothing is held."""
MOST_NOISE = 0.1

_CODE = ("stabilise", "offline.longcat", "offline")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a film is to be.

    Attributes:
        size: (width, height), px, both even.
        fps: pictures a second.
        frames: pictures in all.
        seed: of everything random.
        prompts: what is to be seen, by time.
        chunk: pictures asked for at a time; 0 leaves it to the continuation.
        best_of: a chunk ends with the best of its last so many pictures; 1 takes the last.
        anchor: what the continuation is told that it belongs to: the scene's first picture (``fixed``), one that
            slowly follows (``glide``), or just the last one (``none``).
        guidance: (first, last) of a chunk.
        motion: 0-1; None takes it from the music.
        noise: on the conditioning picture, 0-0.1.
        seam: pictures over which a seam is blended; 0 for none.
        retries: times that a refused chunk is made again.
        gates: chunks are judged; without, only exact repeats are refused.
        limits: of the gates.
        drift: the gates hold colour and detail to the scene's first pictures too.
        stabilise: corrections are made to what is shown and carried on.
        watch: pictures are looked at for the stability log.
        track: SHA-256 of the music, or empty.
    """

    size: tuple[int, int]
    fps: Fraction
    frames: int
    seed: int = 1
    prompts: Prompts = field(default_factory=Prompts)
    chunk: int = 0
    best_of: int = 1
    anchor: AnchorMode = "fixed"
    guidance: tuple[float, float] = (1.0, 2.0)
    motion: float | None = 0.5
    noise: float = 0.02
    seam: int = 4
    retries: int = 3
    gates: bool = True
    limits: Limits = field(default_factory=Limits)
    drift: bool = True
    stabilise: bool = True
    watch: bool = True
    track: str = ""

    def __post_init__(self) -> None:
        if any(side % 2 or not 16 <= side <= 8192 for side in self.size):
            raise UsageError(f"a film of {self.size[0]}x{self.size[1]}: sides must be even, from 16 to 8192 px")
        if not Fraction(1) <= self.fps <= 240:
            raise UsageError(f"{float(self.fps):g} pictures a second: expected 1 to 240")
        if not 1 <= self.frames <= LONGEST * self.fps:
            raise UsageError(f"a film of {self.frames} pictures: expected 1 to {int(LONGEST * self.fps)} (24 hours)")
        checks = (
            ("chunk", self.chunk, 0, 2000),
            ("tail", self.best_of, 1, 64),
            ("guidance", min(self.guidance), 0.0, 20.0),
            ("guidance", max(self.guidance), 0.0, 20.0),
            ("motion", self.motion if self.motion is not None else 0.5, 0.0, 1.0),
            ("noise", self.noise, 0.0, MOST_NOISE),
            ("seam", self.seam, 0, 60),
            ("retries", self.retries, 0, 20),
        )
        for name, value, low, high in checks:
            if not low <= value <= high:
                raise UsageError(f"{name} {value:g}: expected {low:g} to {high:g}")
        if self.anchor not in ANCHORS:
            raise UsageError(f"anchor {self.anchor!r}: expected {', '.join(ANCHORS)}")

    @property
    def seconds(self) -> float:
        """Length of the film, s."""
        return float(self.frames / self.fps)

    def plan(self, continuation: Continuation, pictures: Pixels16 | None) -> Mapping[str, Any]:
        """Return everything that decides the film's bytes but the code: a film goes on under a newer version.

        Args:
            continuation: what makes it.
            pictures: what it begins with, ``(n, H, W, 3)``; None if the continuation makes that too.
        """
        return {
            "command": "longcat",
            "continuation": continuation.name,
            "continuation version": continuation.version,
            "begins with": "" if pictures is None else hashlib.sha256(pictures.tobytes()).hexdigest(),
            "settings": self,
            "seed": self.seed,
        }


@cache
def code_digest() -> str:
    """Return a hash of the code that decides how chunks are judged, held and written."""
    digest = hashlib.sha256()
    for room in _CODE:
        for entry in sorted(files(f"vjengine.{room}").iterdir(), key=lambda each: each.name):
            if entry.name.endswith(".py"):
                digest.update(f"{room}/{entry.name}\n".encode() + entry.read_bytes())
    return digest.hexdigest()[:16]
