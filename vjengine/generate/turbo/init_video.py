"""A looping video as init pictures: the frame of the session time, decoded ahead by a thread."""

from __future__ import annotations

import logging
import math
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vjengine.core.generation import GeneratorParams
from vjengine.errors import GeneratorError
from vjengine.generate.base import NOBODY, Host
from vjengine.generate.turbo.cover import Rgb, covered

log = logging.getLogger(__name__)

AHEAD = 6
"""Pictures decoded ahead."""
JUMP = 2.0
"""s forward over which it is quicker to look the place up than to decode all that lies between."""
LAG = 1.0
"""s that a live video may trail before it leaves pictures out."""
RETRY = 2.0
"""s of session time after which a file that broke is tried again."""
BROKEN_OFF = 0.9
"""A file that ends before this part of its claimed length is damaged; a little earlier is usual."""
FOREVER = 60.0
MOST_BROKEN = 300
"""Undecodable packets in a row after which a file counts as broken."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A picture and the time (s) from which it is to be seen, counted through all loops."""

    at: float
    picture: Rgb


@dataclass(frozen=True, slots=True)
class _End:
    """Decoding stopped: at the true length of the clip (s), or for a reason in words."""

    length: float = 0.0
    reason: str = ""


class VideoInit:
    """See :class:`~vjengine.generate.turbo.init_source.InitSource`.

    Which frame is shown depends on the session time alone, if there is patience to wait for it.
    """

    def __init__(
        self, path: Path, size: tuple[int, int], host: Host = NOBODY, *, patience: float | None = None
    ) -> None:
        """Open ``path`` and decode its first frame.

        Raises:
            GeneratorError: if that fails.
        """
        self._path, self._size, self._host = path, size, host
        self._patience = (0.0 if host.live else FOREVER) if patience is None else patience
        self._clip = _Clip(path, size)
        self._now: _Shown | None = _Shown(-math.inf, self._clip.first)
        self._next: _Shown | None = None
        self._last_time = 0.0
        self._retry = math.inf
        self._lagged = False
        self._faulty = False
        self._decoder: _Decoder | None = None

    def read(self, params: GeneratorParams) -> Rgb | None:
        """Return the frame of ``params.time``, or the last one there is."""
        time = max(0.0, params.time)
        if self._decoder is None or not 0.0 <= time - self._last_time <= JUMP or time >= self._retry:
            self._start(time)
        self._last_time = time
        while self._advance(time):
            pass
        self._mind_lag(time)
        return None if self._now is None else self._now.picture

    def close(self) -> None:
        """Stop decoding."""
        if self._decoder is not None:
            self._decoder.stop(wait=1.0)
            self._decoder = None

    def _start(self, time: float) -> None:
        if self._decoder is not None:
            self._decoder.stop()
        self._next, self._retry = None, math.inf
        self._decoder = _Decoder(self._clip, time)

    def _advance(self, time: float) -> bool:
        """Take the next picture if its time has come; return whether to look further."""
        if self._next is None:
            item = self._decoder.take(self._patience) if self._decoder is not None else None
            if item is None:
                return False
            if isinstance(item, _End):
                return self._ended(item, time)
            self._next = item
        if self._next.at > time:
            return False
        self._now, self._next = self._next, None
        if self._faulty and not self._lagged:
            self._faulty = False
            self._host.say("init", "ok")
        self._lagged = False
        return True

    def _ended(self, end: _End, time: float) -> bool:
        if end.reason:
            self._say(f"{self._path.name}: {end.reason}; its last picture stays")
            self._retry = time + RETRY
            return False
        if self._clip.claimed and end.length < BROKEN_OFF * self._clip.length:
            self._host.say("init", "warn", f"{self._path.name} breaks off at {end.length:.1f} s: it loops from there")
        self._clip.length = end.length
        self._start(time)
        return True

    def _mind_lag(self, time: float) -> None:
        """Live, leave pictures out rather than trail ever further behind."""
        behind = time - (self._now.at if self._now is not None else time)
        if self._patience < FOREVER and LAG < behind < math.inf and not self._lagged and self._next is None:
            self._lagged = True
            self._say(f"{self._path.name} decodes more slowly than it plays: pictures are left out")
            self._start(time + LAG / 2)

    def _say(self, message: str) -> None:
        if not self._faulty:
            self._faulty = True
            self._host.say("init", "warn", message)


class _Decoder:
    """A thread that decodes from one place on, and a few pictures that it is ahead."""

    def __init__(self, clip: _Clip, start: float) -> None:
        self._ready: queue.Queue[_Shown | _End] = queue.Queue(AHEAD)
        self._stop = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, args=(clip, start), name="init video", daemon=True)
        self._thread.start()

    def take(self, patience: float) -> _Shown | _End | None:
        """Return what comes next, waiting up to ``patience`` s; None if there is nothing, or nothing more."""
        if self._over:
            return None
        try:
            item = self._ready.get(timeout=patience) if patience > 0.0 else self._ready.get_nowait()
        except queue.Empty:
            return None
        self._over = isinstance(item, _End)
        return item

    def stop(self, *, wait: float = 0.0) -> None:
        """Stop soon; wait up to ``wait`` s for it. One that hangs is left behind."""
        self._stop.set()
        self._thread.join(wait)

    def _run(self, clip: _Clip, start: float) -> None:
        try:
            for item in clip.pictures(start):
                if not self._put(item):
                    return
        except Exception as error:  # the thread's outermost guard: the last picture stays
            log.exception("decoding %s", clip.path)
            self._put(_End(reason=f"cannot be decoded ({error})"))

    def _put(self, item: _Shown | _End) -> bool:
        while not self._stop.is_set():
            try:
                self._ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False


class _Clip:
    """A video file as a timeline without end.

    Attributes:
        length: of one loop, s.
        claimed: whether the file itself said so.
        first: its first picture.
    """

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        import av

        self.path, self._size = path, size
        try:
            with av.open(str(path)) as container:
                stream = _video_stream(container)
                self._interval = float(1 / (stream.average_rate or 25))
                length = float(stream.duration * stream.time_base) if stream.duration else 0.0
                length = length or (container.duration or 0) / av.time_base
                frame = next(_decoded(container, stream), None)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise GeneratorError(
                f"cannot read init pictures from {path}: {error}; give an image or a video that a player can play"
            ) from error
        if frame is None:
            raise GeneratorError(f"the video {path} holds no whole picture; export it anew")
        self._origin = _time_of(frame) or 0.0
        self.claimed = length > 0.0
        self.length = length or math.inf
        self.first = covered(frame, size)

    def pictures(self, start: float) -> Iterator[_Shown | _End]:
        """Yield the picture of time ``start`` and all that follow, for ever, or up to an :class:`_End`."""
        import av

        length = self.length
        loop = math.floor(start / length)  # 0 while the length is unknown
        inside = start - loop * length if loop else start
        while True:
            reached = -math.inf
            before: tuple[float, Any] | None = None
            shift = loop * length if loop else 0.0
            try:
                with av.open(str(self.path)) as container:
                    for at, frame in self._frames(container, inside):
                        reached = at
                        if at <= inside:
                            before = at, frame
                            continue
                        if before is not None:
                            yield _Shown(shift + before[0], covered(before[1], self._size))
                            before = None
                        if at >= length:
                            break
                        yield _Shown(shift + at, covered(frame, self._size))
                    if before is not None:
                        yield _Shown(shift + before[0], covered(before[1], self._size))
            except (av.error.FFmpegError, OSError, ValueError) as error:
                yield _End(reason=str(error))
                return
            if reached == -math.inf and not inside:
                yield _End(reason="nothing in it can be decoded any more")
                return
            end = max(0.0, reached) + self._interval
            if length == math.inf or end < length - 1.5 * self._interval:
                yield _End(length=end)
                return
            loop, inside = loop + 1, 0.0

    def _frames(self, container: Any, inside: float) -> Iterator[tuple[float, Any]]:
        """Yield (time in the clip, frame), beginning some time before ``inside``."""
        import av

        stream = _video_stream(container)
        stream.thread_type = "AUTO"
        frames = self._timed(_decoded(container, stream))
        if inside > JUMP:
            # A little early: some files are sought to less exactly than they say.
            place = round((self._origin + inside - 0.5) / float(stream.time_base))
            try:
                container.seek(place, stream=stream, backward=True)
            except av.error.FFmpegError:
                log.debug("%s cannot be sought in; decoding from its beginning", self.path)
        return frames

    def _timed(self, frames: Iterator[Any]) -> Iterator[tuple[float, Any]]:
        """Yield frames with times that only grow, counted from the first picture of the clip."""
        last = -math.inf
        for frame in frames:
            time = _time_of(frame)
            at = time - self._origin if time is not None else max(0.0, last + self._interval)
            if at > last:
                last = at
                yield at, frame


def _video_stream(container: Any) -> Any:
    if not container.streams.video:
        raise ValueError("it holds no pictures")
    return container.streams.video[0]


def _time_of(frame: Any) -> float | None:
    return None if frame.pts is None else float(frame.pts * frame.time_base)


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    """Yield decoded frames; a damaged packet costs its own picture and no more."""
    import av

    broken = 0
    packets = container.demux(stream)
    while broken < MOST_BROKEN:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            frames = packet.decode()
        except av.error.EOFError:
            return
        except av.error.InvalidDataError:
            broken += 1
            continue
        broken = 0
        yield from frames
