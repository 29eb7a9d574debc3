"""What an album will take, before it is begun: a few frames of its tracks tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vjengine.offline import disk
from vjengine.offline.album.film import TrackSink, staged_job
from vjengine.offline.album.job import Job
from vjengine.offline.memory import host_available
from vjengine.offline.progress import span
from vjengine.offline.score.rehearsal import Estimate, rehearse

MOST = 3
"""Kinds of tracks (look, generator, score) that are tried; the others are taken to be like these."""

_LOSSLESS = 1.5
"""Bytes a pixel of a picture that is kept lossless to be faded, at the most."""
_SOUND = 6 * 48000
"""Bytes a second of the sound while it is gathered."""
_CODED = 32_000
"""Bytes a second of it in the film, at the usual rate."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A track to come.

    Attributes:
        job: what is to be rendered.
        frames: pictures it has, by its file's own word.
        there: it is kept from an earlier run, or is the same as a track before it.
    """

    job: Job
    frames: int
    there: bool


@dataclass(frozen=True, slots=True)
class AlbumEstimate:
    """What an album will take.

    Attributes:
        frames: pictures to be rendered.
        seconds: s of work for them.
        tried: kinds of tracks that were tried.
        memory: MiB of one worker at the most.
        disk: bytes that are taken while the film is put together, beside what is there already.
        film: bytes of the finished film.
    """

    frames: int
    seconds: float
    tried: int
    memory: float
    disk: float
    film: float

    def lines(self, output: Path, workers: int = 1) -> list[str]:
        """Return it in words, with what there is."""
        free = disk.free_bytes(output.absolute().parent)
        many = f" by one worker; {workers} share this machine" if workers > 1 else ""
        each = f" for {workers} workers" if workers > 1 else ""
        lines = [
            f"time     about {span(self.seconds)} for {self.frames} frames to render{many}" if self.frames else
            "time     nothing is left to render; putting it together takes minutes at most",
            f"memory   about {self.memory * workers:.0f} MiB{each}, however long the tracks; "
            f"{host_available():.0f} MiB more are free",
            f"disk     about {disk.megabytes(self.film)} for the film, up to {disk.megabytes(self.disk)} more than now "
            f"while it is made; {disk.megabytes(free)} are free",
        ]  # fmt: skip
        if self.memory * workers > host_available() + self.memory:
            lines.append("warning  that is more memory than is free: fewer --workers need less")
        if free < self.disk + disk.MARGIN:
            lines.append(f"warning  the disk of {output} is too small for this: make room, or name another place")
        return lines


def rehearse_album(tracks: Sequence[Planned], say: Callable[[str], None] = lambda words: None) -> AlbumEstimate:
    """Render a few frames of every kind of track, the one with the most to do first, and throw them away.

    Raises:
        VJError: whatever would keep a track from being made.
    """
    todo = [track for track in tracks if not track.there]
    kinds: dict[object, list[Planned]] = {}
    for track in todo or tracks[:1]:
        kinds.setdefault(_kind(track.job), []).append(track)
    most = sorted(kinds, key=lambda kind: -sum(track.frames for track in kinds[kind]))[:MOST]
    found = {kind: _try(kinds[kind][0].job, say) for kind in most}
    slowest = min(found.values(), key=lambda estimate: estimate.rate)
    seconds = size = 0.0
    for kind, members in kinds.items():
        estimate = found.get(kind, slowest)
        for track in members if todo else ():
            frames = track.frames + track.job.tail
            seconds += estimate.ready + frames / max(estimate.rate, 1e-6)
            size += track.frames * _each(estimate) + (track.job.head + track.job.tail) * _faded(track.job)
    film = sum(track.frames * _each(found.get(_kind(track.job), slowest)) for track in tracks)
    length = sum(track.frames / float(track.job.fps) for track in tracks)
    film += _CODED * length
    return AlbumEstimate(
        sum(track.frames + track.job.tail for track in todo), seconds, len(found),
        max(estimate.memory for estimate in found.values()), size + 2.0 * film + _SOUND * length, film,
    )  # fmt: skip


def _kind(job: Job) -> tuple[object, ...]:
    picture = job.options.picture
    return picture.look, picture.generator, job.score


def _try(job: Job, say: Callable[[str], None]) -> Estimate:
    staged = staged_job(job, lambda words, done, total: say(f"{job.title}: {words}"))
    size = job.options.picture.size

    def sink(folder: Path, frames: int) -> TrackSink:
        return TrackSink(folder, size, job.fps, frames=frames, head=0, tail=0)

    return rehearse(staged, lambda words: say(f"trying {job.title}: {words}"), sink)


def _each(estimate: Estimate) -> float:
    return estimate.disk / max(1, estimate.frames)


def _faded(job: Job) -> float:
    width, height = job.options.picture.size
    return _LOSSLESS * width * height
