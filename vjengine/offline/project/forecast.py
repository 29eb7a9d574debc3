"""What a run would be, before it is begun: for ``--dry-run``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from vjengine.audio.files import probe
from vjengine.offline import disk
from vjengine.offline.longcat.job import checked
from vjengine.offline.longcat.registry import make_continuation
from vjengine.offline.memory import fitting
from vjengine.offline.project.bundle import Project, edited
from vjengine.offline.project.runner import Wanted, job_of
from vjengine.offline.project.state import WORK, read_state

_BYTES = 0.12
"""Bytes a pixel of a film takes on the disk, about: chunks and base film."""
_CARRIED = 6 * 4
"""Bytes a pixel of what is carried on takes, at most."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would be.

    Attributes:
        cycles: chunks in all; ``there``: those of earlier runs.
        frames: pictures in all; ``fps``: a second; ``size``: px.
        host, device: MiB that a chunk takes.
        disk: bytes that it takes; ``free``: that there are.
        each: s that a cycle took before; 0 if none was made.
        cost: of all new cycles, if a price is known; -1 if there is none.
        words: what is worth knowing.
    """

    cycles: int
    there: int
    frames: int
    fps: float
    size: tuple[int, int]
    host: float
    device: float
    disk: int
    free: int
    each: float
    cost: float
    words: tuple[str, ...]


def forecast(project: Project, name: str, wanted: Wanted) -> Forecast:
    """Say what the run ``name`` would be; nothing is made, and no server is asked.

    Raises:
        VJError: for what would end the run before it begins.
    """
    wanted.check()
    run = project.run_path(name)
    job = job_of(project, run)
    kind = checked(job)
    fps = job.fps or kind.fps
    words: list[str] = []
    with closing(make_continuation(kind.name, job.options)) as continuation:
        chunk, why = fitting(continuation, job.size)
        if why:
            words.append(why)
        chunk = job.chunk or chunk or continuation.chunk
        need = continuation.need(job.size, chunk)
        if not continuation.deterministic:
            words.append("this backend does not promise the same bytes for the same seed")
    track = probe(job.track) if job.track else None
    frames = round(wanted.hours * 3600 * fps) if wanted.hours else 0
    cycles = wanted.cycles or (-(-frames // chunk) if frames else 0)
    if not cycles:
        cycles = max(1, -(-int(track.duration * fps) // chunk)) if track else project.settings.cycles
    state = None if wanted.fresh else read_state(run)
    there, each = (state.cycles if state else 0), 0.0
    cycles = max(cycles, there)  # what is there stays in the film
    frames = cycles * chunk + 1
    if track:
        frames = min(frames, max(1, int(track.duration * fps)))
    if state and state.cycles:
        each = _pace(project, name)
        words += [f"edited since it began: {line}" for line in edited(project.folder, run)]
    if project.prompt.backend == "replicate":
        words.append("the last picture of every cycle is sent to replicate.com, and every cycle costs money")
    pixels = job.size[0] * job.size[1]
    return Forecast(
        cycles, there, frames, float(fps), job.size, need.host, need.device,
        int(pixels * (frames * _BYTES * 2 + _CARRIED)), disk.free_bytes(project.folder), each,
        _cost(project, max(0, cycles - there)), tuple(words),
    )  # fmt: skip


def _cost(project: Project, cycles: int) -> float:
    if project.prompt.backend != "replicate":
        return -1.0
    price = project.settings.backends.get("replicate", {}).get("price", 0.0)
    return float(price) * cycles if price else -1.0


def _pace(project: Project, name: str) -> float:
    """Return the s that the newest cycles of the run took, on average; 0 if nobody knows."""
    took: list[float] = []
    chunks = project.run_path(name) / WORK / "chunks"
    for folder in sorted(chunks.iterdir())[-8:] if chunks.is_dir() else ():
        try:
            data: Mapping[str, Any] = json.loads((folder / "piece.json").read_text(encoding="utf-8"))
            took.append(float(data["meta"]["seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sum(took) / len(took) if took else 0.0
