"""What to do when a generator fails: try again, more slowly each time, and at last play something that always works."""

from __future__ import annotations

from dataclasses import dataclass

from vjengine.generate.base import GeneratorSpec
from vjengine.generate.host import Level

BACK_OFF = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
"""s before the first, second ... restart in a row."""

PATIENCE = 3
"""Failures in a row after which the fallback plays."""

_ERROR_FROM = 4  # failures in a row from which the HUD shows an error, not a warning


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a failure.

    Attributes:
        level: how bad it is, for the HUD.
        message: what to tell the performer, in one line.
        delay: s to wait before the next life; negative if there is none.
    """

    level: Level
    message: str
    delay: float


class Recovery:
    """Counts failures and decides which generator plays next.

    Args:
        spec: the generator that was asked for.
        fallback: what plays when that one cannot; without it, trying again never ends.
    """

    def __init__(self, spec: GeneratorSpec, fallback: GeneratorSpec | None = None) -> None:
        self.spec = spec
        """What the next life runs."""
        self.apology = ""
        """Why the fallback plays, in one line; empty while what was asked for does."""
        self._fallback = fallback
        self._failures = 0

    def healthy(self) -> None:
        """It has played long enough: the next failure is the first again."""
        self._failures = 0

    def failed(self, reason: str, permanent: bool) -> Verdict:
        """Decide after a life that ended for ``reason``; ``permanent`` if trying the same again cannot help."""
        self._failures += 1
        if self._fallback is not None and (permanent or self._failures >= PATIENCE):
            what = f"{self.spec.name} cannot run" if permanent else f"{self.spec.name} failed three times"
            self.apology = f"{what} ({reason}): {self._fallback.name} plays instead"
            self.spec, self._fallback = self._fallback, None
            self._failures = 0
            return Verdict("error", self.apology, 0.0)
        if permanent:
            return Verdict("error", reason, -1.0)
        delay = BACK_OFF[min(self._failures, len(BACK_OFF)) - 1]
        return Verdict("error" if self._failures >= _ERROR_FROM else "warn", f"restarting: {reason}", delay)
