"""What was found about one picture, and what is to be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from vjengine.core.correction import NO_CORRECTION, Correction, Three

Alarm = Literal["colour", "grey", "dark", "burn", "blur", "texture", "freeze", "flicker"]
ALARMS: tuple[Alarm, ...] = ("colour", "grey", "dark", "burn", "blur", "texture", "freeze", "flicker")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One picture held against its scene's anchor. Without an anchor, what compares to it is 0 (a ratio: 1).

    Attributes:
        number: sequence number of the frame.
        time: session time (s) that the frame was made for.
        w1: palette distance from the anchor, CIELAB units.
        detail: log2 of the Laplacian variance over the anchor's.
        exposure: L* above the anchor's.
        clipped: share of clipped channel values above the anchor's.
        chroma: mean chroma over the anchor's.
        entropy: of the hues, bits.
        motion: median movement, see :mod:`.motion`.
        difference: mean difference from the last frame, 8-bit values.
        flicker: how much more neighbours differ than every second frame, 0-1.
        restless: how far the palette usually goes in half a second, CIELAB units.
        wandering: how far it goes to and fro by itself, CIELAB units, see :mod:`.restless`.
        flashing: how far the clipped share goes to and fro by itself.
        gliding: True while an intended change is being taken over.
        bands: log2 of the variances of the fine, middle and coarse band over the anchor's.
        alarms: what is wrong.
        level: how far the response went, 0-5.
        response: the response in words; empty at level 0.
        anchored: True once the scene has an anchor.
        correction: what to do to the picture that is fed back.
    """

    number: int = 0
    time: float = 0.0
    w1: float = 0.0
    detail: float = 0.0
    exposure: float = 0.0
    clipped: float = 0.0
    chroma: float = 1.0
    entropy: float = 0.0
    motion: float = 0.0
    difference: float = 0.0
    flicker: float = 0.0
    restless: float = 0.0
    wandering: float = 0.0
    flashing: float = 0.0
    gliding: bool = False
    bands: Three = (0.0, 0.0, 0.0)
    alarms: tuple[Alarm, ...] = ()
    level: int = 0
    response: str = ""
    anchored: bool = False
    correction: Correction = NO_CORRECTION

    def row(self) -> dict[str, Any]:
        """Return a flat line for a log; numbers rounded to what can be seen."""
        fine, middle, coarse = self.bands
        fix = self.correction
        return {
            "number": self.number,
            "time": round(self.time, 4),
            "w1": round(self.w1, 3),
            "detail": round(self.detail, 3),
            "exposure": round(self.exposure, 2),
            "clipped": round(self.clipped, 4),
            "chroma": round(self.chroma, 3),
            "entropy": round(self.entropy, 3),
            "motion": round(self.motion, 4),
            "difference": round(self.difference, 3),
            "flicker": round(self.flicker, 3),
            "restless": round(self.restless, 3),
            "wandering": round(self.wandering, 3),
            "fine": round(fine, 3),
            "middle": round(middle, 3),
            "coarse": round(coarse, 3),
            "alarms": list(self.alarms),
            "level": self.level,
            "response": self.response,
            "anchored": self.anchored,
            "gains": [round(gain, 4) for gain in fix.gains],
            "noise": [round(noise, 5) for noise in fix.noise],
            "anchor": round(fix.anchor, 4),
            "reseed": fix.reseed,
            "restart": fix.restart,
        }
