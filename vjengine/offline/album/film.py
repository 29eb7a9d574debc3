"""One track's pictures, rendered by the offline engine into clips that an album is put together from.

::

    head.mkv   lossless: what the track before is faded into
    body.mkv   the track, ready to be copied into the film
    last.mkv   its last picture, apart: whether the film has room for it depends on where the track comes to lie
    tail.mkv   lossless: from that picture on past the end, faded out of by the track after
    heard.npz  what was heard, for the report
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vjengine.engine.offline import OfflineEngine, Progress
from vjengine.errors import UsageError
from vjengine.offline import disk
from vjengine.offline.album.hearing import Heard, hear, save_heard
from vjengine.offline.album.job import Job, TrackFilm
from vjengine.offline.album.timeline import frames_for
from vjengine.offline.clips import ClipWriter
from vjengine.offline.score.reader import load_score
from vjengine.offline.score.staging import Staged, stage
from vjengine.outputs.record import RecordReport

HEAD, BODY, LAST, TAIL = "head.mkv", "body.mkv", "last.mkv", "tail.mkv"
HEARD = "heard.npz"

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
    heard = _hear(job, options.start, options.duration, tell)
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

    staged = staged_job(job, tell)
    engine = OfflineEngine(
        # The picture goes on through gap and fade: the engine hears silence there, or what follows an excerpt.
        replace(staged.options, duration=None, frames=total),
        progress=progress,
        say=lambda words: tell(words, 0, total),
        sink=sink,
        conductor=staged.player(),
    )
    try:
        engine.run()
        save_heard(folder / HEARD, heard)
    except OSError as error:
        raise disk.failure(folder, error) from error
    finally:
        sink.abandon()
    return TrackFilm(samples, frames, time.perf_counter() - started, heard.summary(job.rate))


def _hear(job: Job, start: float, duration: float | None, tell: Tell) -> Heard:
    tell("listening", 0, 0)
    return hear(
        job.options.track,
        job.inputs[0].sha256,
        start=start,
        duration=duration,
        rate=job.rate,
        cache=job.cache,
        progress=lambda share: tell(f"listening {share:.0%}", 0, 0),
    )


def staged_job(job: Job, tell: Tell) -> Staged:
    """Lay the job's score on its track, whose beats and sections count from its own start, not the excerpt's.

    Raises:
        VJError: if the track, look or score is unusable.
    """
    score = load_score(job.score) if job.score is not None else None
    listens = score is not None and score.listens
    return stage(job.options, score, _hear(job, 0.0, None, tell).analysis if listens else None)
