"""Figures of a run, for ``--stats`` and for the HUD."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vjengine.core.metrics import Rate, Ring


@dataclass(slots=True)
class RunStats:
    """What is counted while a show runs.

    Attributes:
        interval: ms between presented frames.
        work: ms a frame took to make.
        audio_to_frame: ms from a hop's last sample to the frame that shows it, presented.
        generator_age: ms between the params a generator frame was made for and its first presentation.
        frames: frames presented.
        started, ended: session times, s.
    """

    interval: Ring = field(default_factory=lambda: Ring(65536))
    work: Ring = field(default_factory=lambda: Ring(65536))
    audio_to_frame: Ring = field(default_factory=lambda: Ring(65536))
    generator_age: Ring = field(default_factory=lambda: Ring(16384))
    present_rate: Rate = field(default_factory=lambda: Rate(60))
    frames: int = 0
    started: float = 0.0
    ended: float = 0.0
    first_picture: float = 0.0
    beats: int = 0
    tempo: float = 0.0
    _last: float = -1.0

    def presented(self, now: float, work: float) -> None:
        """Count a frame presented at session time ``now`` (s) that took ``work`` s to make."""
        if self._last >= 0.0:
            self.interval.add((now - self._last) * 1e3)
        else:
            self.first_picture = now
        self._last = now
        self.work.add(work * 1e3)
        self.present_rate.tick(now)
        self.frames += 1
        self.ended = now

    def as_dict(
        self,
        *,
        generator: str,
        generator_fps: float,
        restarts: int,
        missed: int,
        degradations: list[str],
        dropped: dict[str, int],
        detail: str = "",
        stabiliser: dict[str, Any] | None = None,
        trail: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the figures in the shape that ``--stats`` promises."""
        age = self.generator_age.percentiles()
        return {
            "frames": self.frames,
            "seconds": round(self.ended - self.started, 3),
            "first_picture_s": round(self.first_picture, 3),
            "present_interval_ms": self.interval.percentiles().as_dict(),
            "frame_work_ms": self.work.percentiles().as_dict(),
            "missed_slots": missed,
            "generator": {
                "name": generator,
                "detail": detail,
                "fps": round(generator_fps, 2),
                "age_ms": age.as_dict(),
            },
            "audio_to_frame_ms": self.audio_to_frame.percentiles().as_dict(),
            "tempo": round(self.tempo, 2),
            "beats": self.beats,
            "worker_restarts": restarts,
            "degradations": degradations,
            "dropped": dropped,
            "stabiliser": stabiliser,
            "trail": trail,
        }


def write_json(path: Path, data: object) -> None:
    """Write ``data`` as JSON so that a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
