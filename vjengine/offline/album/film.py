"""One track's pictures, rendered by the offline engine into clips that an album is put together from.

::

    head.mkv   lossless: what the track before is faded into
    body.mkv   the track, ready to be copied into the film
    last.mkv   its last picture, apart: whether the film has room for it depends on where the track comes to lie
    tail.mkv   lossless: from that picture on past the end, faded out of by the track after
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vjengine.engine.offline import Conductor, OfflineEngine, Progress
from vjengine.errors import UsageError
from vjengine.offline.album.hearing import Heard, hear
from vjengine.offline.album.job import Job, TrackFilm
from vjengine.offline.album.timeline import frames_for
from vjengine.offline.clips import ClipWriter
from vjengine.outputs.record import RecordReport

HEAD, BODY, LAST, TAIL = "head.mkv", "body.mkv", "last.mkv", "tail.mkv"

Tell = Callable[[str, int, int], None]
"""Told what is done, how many pictures are made, and of how many (0: not known yet)."""


class TrackSink:
    """Sorts a render's pictures into the clips of a track; keeps no sound.

    Args:
        folder: where the clips go.
        size: px.
        fps: pictures a second.
        frames: pictures of the track.
        head: how many of the first are kept apart.
        tail: how many come after the last.
    """

    def __init__(
        self, folder: Path, size: tuple[int, int], fps: Fraction, *, frames: int, head: int, tail: int
    ) -> None:
        self.error = ""
        self.folder = folder
        self._size, self._fps = size, fps
        self._frames, self._head, self._tail = frames, head, tail
        self._done = 0
        self._open: dict[str, ClipWriter] = {}

    def write_frame(self, pixels: npt.NDArray[np.uint8], time: float) -> None:
        """Take the next picture, ``(H, W, 4)`` uint8."""
        n = self._done
        rgb = np.ascontiguousarray(pixels[..., :3])
        if n < self._head:
            self._write(HEAD, rgb, lossless=True)
        elif n < self._frames - 1:
            self._write(BODY, rgb)
        if n == self._frames - 1:
            self._write(LAST, rgb)
        if n >= self._frames - 1 and self._tail:
            self._write(TAIL, rgb, lossless=True)
        self._done += 1

    def write_audio(self, samples: npt.NDArray[np.float32], time: float) -> None:
        """Take sound, and do nothing with it: the album's is encoded once, as a whole."""

    def close(self) -> RecordReport:
        """Finish the clips."""
        for writer in self._open.values():
            writer.close()
        return RecordReport(self.folder, self._done, 0, 0, float(self._done / self._fps), self.error)

    def abandon(self) -> None:
        """Let go of files that a fault left open."""
        for writer in self._open.values():
            writer.abandon()

    def _write(self, name: str, pixels: npt.NDArray[np.uint8], *, lossless: bool = False) -> None:
        if name not in self._open:
            quality = "lossless" if lossless else "film"
            self._open[name] = ClipWriter(self.folder / name, self._size, self._fps, quality=quality)  # type: ignore[arg-type]
        self._open[name].write(pixels)


def render_track(job: Job, folder: Path, tell: Tell) -> TrackFilm:
    """Listen to a track and render it into ``folder``.

    Raises:
        VJError: if the track, look, score or disk is unusable.
    """
    started = time.perf_counter()
    options = job.options
    tell("listening", 0, 0)
    heard = hear(
        options.track,
        job.inputs[0].sha256,
        start=options.start,
        duration=options.duration,
        rate=job.rate,
        cache=job.cache,
        progress=lambda share: tell("listening", 0, 0),
    )
    samples = heard.samples + job.gap
    frames = frames_for(samples, job.rate, job.fps)
    if frames < job.head + 2:
        raise UsageError(
            f"{options.track}: it has {frames} pictures, and {job.head} of them are the crossfade into it; "
            "make the crossfade shorter"
        )
    total = frames + job.tail
    sink = TrackSink(folder, options.picture.size, job.fps, frames=frames, head=job.head, tail=job.tail)

    def progress(done: Progress) -> None:
        tell("rendering", done.done, total)

    engine = OfflineEngine(
        # The picture goes on through gap and fade: the engine hears silence there, or what follows an excerpt.
        replace(options, duration=None, frames=total),
        progress=progress,
        say=lambda words: tell(words, 0, total),
        sink=sink,
        conductor=_conductor(job, heard),
    )
    try:
        engine.run()
    finally:
        sink.abandon()
    return TrackFilm(samples, frames, time.perf_counter() - started, heard.summary(job.rate))


def _conductor(job: Job, heard: Heard) -> Conductor | None:
    if job.score is None:
        return None
    raise UsageError(f"{job.score}: scores are not played in albums yet")
