"""Records the programme with its sound to a file, and never makes the show wait for it.

Whoever calls only copies; a thread of its own encodes. While recording, the file is ``NAME.partial.mkv`` beside the
asked-for one and plays at any moment, even after a power cut. At the end it becomes the MP4 in one step.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import queue
import shutil
import sys
import threading
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue
from vjengine.core.frame import Pixels
from vjengine.errors import RecordError, VJError
from vjengine.outputs.codecs import choose_codec, load_av, reason
from vjengine.outputs.encode import Encoder
from vjengine.outputs.remux import remux
from vjengine.outputs.soundtrack import Samples, stereo
from vjengine.outputs.takes import MIN_FREE, check_request, free_partial

log = logging.getLogger(__name__)

MAX_GAP = 600.0
"""s a picture's time may jump ahead; more is a broken clock, not a pause."""

_QUEUE_BYTES = 96 * 1024 * 1024  # of waiting pictures
_SOUND_BLOCKS = 2000  # waiting; some 10–20 s


@dataclass(frozen=True, slots=True)
class RecordReport:
    """What became of a recording.

    Attributes:
        path: where the recording is now: the asked-for file or, after a fault, the Matroska file that is left.
        frames: pictures encoded.
        duplicated: slots filled with the picture before, because none came in time.
        dropped: pictures that came when the encoder was behind, or two for one slot.
        seconds: length in s.
        error: what went wrong in one line; empty if nothing did.
    """

    path: Path
    frames: int
    duplicated: int
    dropped: int
    seconds: float
    error: str


@dataclass(frozen=True, slots=True)
class _Picture:
    pixels: Pixels
    time: float


@dataclass(frozen=True, slots=True)
class _Sound:
    samples: Samples
    time: float


class Recorder:
    """Records pictures and sound that carry their own times, in s since the recording's start.

    Args:
        path: the file to make: .mp4, .m4v or .mov (H.264 and AAC), or .mkv.
        size: (width, height) of the pictures in px; an odd side is recorded one pixel larger.
        fps: frames a second of the file, constant whatever the pace at which pictures come.
        events: where :class:`~vjengine.core.events.StatusChanged` of ``"recorder"`` goes.
        sample_rate: Hz of the sound; None for none.
        realtime: True never makes the caller wait and drops, counted, what the encoder cannot take;
            False waits, loses nothing, and gives the same bytes for the same input.
        crf: quality, lower is better.
        preset: speed of x264.
        codec: ``"auto"``, or an encoder of libavcodec such as ``"libx264"`` or ``"h264_nvenc"``.

    Raises:
        RecordError: if it cannot be recorded there or so; the message says what to do.
        MissingDependency: if PyAV is not installed.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        fps: Fraction | int,
        events: EventQueue,
        *,
        sample_rate: int | None = None,
        realtime: bool = True,
        crf: int = 18,
        preset: str = "veryfast",
        codec: str = "auto",
    ) -> None:
        load_av()
        self.path = Path(path)
        self.error = ""
        self._size = size
        self._padded = (size[0] + size[0] % 2, size[1] + size[1] % 2)
        self._fps = Fraction(fps)
        self._events = events
        self._realtime = realtime
        self._refused = 0
        self._time = 0.0
        self._ended = False
        self._report: RecordReport | None = None
        check_request(self.path, size, self._fps, sample_rate)
        self.partial = free_partial(self.path)
        if codec == "auto" and not realtime:
            codec = "libx264"  # the same bytes on every run
        codec = choose_codec(codec, self._padded, self._fps)

        # Half a second: enough for a hiccup of the disk, little enough that the end of a show does not drag on.
        depth = max(8, min(round(self._fps / 2), _QUEUE_BYTES // (self._padded[0] * self._padded[1] * 4)))
        self._work: queue.SimpleQueue[_Picture | _Sound | None] = queue.SimpleQueue()
        self._buffers: queue.SimpleQueue[Pixels] = queue.SimpleQueue()
        for _ in range(depth):
            # Untouched memory costs nothing until it is needed.
            self._buffers.put(np.empty((self._padded[1], self._padded[0], 4), dtype=np.uint8))
        self._sound_room = threading.Semaphore(_SOUND_BLOCKS)
        self._encoder: Encoder | None = None
        self._fault: VJError | None = None
        self._opened = threading.Event()
        self._thread = threading.Thread(
            target=self._guard, args=(sample_rate, codec, crf, preset), name="recorder", daemon=True
        )
        self._thread.start()
        self._opened.wait()
        if self._fault is not None:
            self._thread.join()
            raise self._fault
        self._say("ok", f"recording {self.path.name}")

    # What the engine calls.

    @property
    def frames(self) -> int:
        """Pictures encoded so far."""
        return self._encoder.frames if self._encoder is not None else 0

    @property
    def dropped(self) -> int:
        """Pictures lost so far, because the encoder was behind or two fell into one slot."""
        return self._refused + (self._encoder.dropped if self._encoder is not None else 0)

    @property
    def seconds(self) -> float:
        """Length of the recording so far in s."""
        return self._encoder.seconds if self._encoder is not None else 0.0

    def write_frame(self, pixels: Pixels, time: float) -> None:
        """Record ``(H, W, 4)`` uint8 RGBA pixels, top row first, as seen from ``time`` s on; they are copied.

        Raises:
            ValueError: if the pixels are not of the recording's size.
        """
        width, height = self._size
        if pixels.shape != (height, width, 4) or pixels.dtype != np.uint8:
            raise ValueError(f"this recording takes ({height}, {width}, 4) uint8, not {pixels.shape} {pixels.dtype}")
        if self._ended:
            return
        if not (math.isfinite(time) and time - self._time < MAX_GAP):
            self._refuse(f"a picture at {time} s")
            return
        buffer = self._buffer()
        if buffer is None:
            return
        buffer[:height, :width] = pixels
        buffer[height:, :width] = buffer[height - 1 : height, :width]
        buffer[:, width:] = buffer[:, width - 1 : width]
        self._time = max(self._time, time)
        self._work.put(_Picture(buffer, time))

    def write_audio(self, samples: npt.NDArray[np.floating], time: float) -> None:
        """Record ``(n, channels)`` float samples in −1…1, the first of which sounds at ``time`` s; they are copied.

        Raises:
            ValueError: for samples of another shape.
        """
        block = stereo(samples)
        if self._ended or not len(block):
            return
        if self._sound_room.acquire(blocking=False):
            self._work.put(_Sound(block, time))
            return
        while not self._realtime and not self._ended:
            if self._sound_room.acquire(timeout=0.1):
                self._work.put(_Sound(block, time))
                return

    def close(self, timeout: float = 60.0) -> RecordReport:
        """Finish the file and return what became of it; a second call returns the same.

        ``timeout`` bounds in s how long a disk that no longer answers can hold this up.
        """
        if self._report is not None:
            return self._report
        self._ended = True
        self._work.put(None)
        self._thread.join(timeout)
        if self._thread.is_alive():
            self.error = self.error or f"the disk did not answer within {timeout:.0f} s"
            where = self.partial
        else:
            where = self._finalise()
        encoder = self._encoder
        self._report = RecordReport(
            where,
            self.frames,
            encoder.duplicated if encoder is not None else 0,
            self.dropped,
            self.seconds,
            self.error,
        )
        if self.error:
            self._say("error", f"{self.error}; the recording is {where}")
        else:
            self._say("ok", "")
        return self._report

    # Behind the calls.

    def _buffer(self) -> Pixels | None:
        try:
            return self._buffers.get_nowait()
        except queue.Empty:
            pass
        if self._realtime:
            self._refuse("the encoder is behind")
            return None
        while not self._ended:
            with contextlib.suppress(queue.Empty):
                return self._buffers.get(timeout=0.1)
        return None

    def _refuse(self, why: str) -> None:
        self._refused += 1
        self._say("warn", f"{why}: {self._refused} pictures dropped")
        if self._refused == 1:
            log.warning("recorder: %s; from here on it is only counted", why)

    def _guard(self, sample_rate: int | None, codec: str, crf: int, preset: str) -> None:
        """The recorder's thread."""
        av = load_av()
        if self._realtime:
            _yield_to_the_show()
        try:
            self._encoder = Encoder(
                self.partial,
                self._padded,
                self._fps,
                sample_rate,
                elastic=self._realtime,
                codec=codec,
                crf=crf,
                preset=preset,
            )
        except VJError as error:
            self._fault = error
            with contextlib.suppress(OSError):
                self.partial.unlink(missing_ok=True)
            return
        finally:
            self._opened.set()
        try:
            self._encode_all(self._encoder)
            self._encoder.close()
        except (av.FFmpegError, OSError, RecordError) as error:
            self._stop_for(reason(error))
        except Exception as error:  # the thread's outermost guard: the show goes on, the file so far stays
            log.exception("the recorder failed")
            self._stop_for(reason(error))
        finally:
            self._ended = True
            if self.error:
                self._encoder.abandon()

    def _encode_all(self, encoder: Encoder) -> None:
        next_look = 0.0
        while (item := self._work.get()) is not None:
            if isinstance(item, _Sound):
                encoder.put_audio(item.samples, item.time)
                self._sound_room.release()
                continue
            encoder.put_frame(item.pixels, item.time)
            self._buffers.put(item.pixels)
            if encoder.seconds >= next_look:
                next_look = encoder.seconds + 1.0
                if shutil.disk_usage(self.partial.parent).free < MIN_FREE:
                    self._ended = True
                    self._stop_for("the disk is full")
                    encoder.close()
                    return

    def _stop_for(self, why: str) -> None:
        if not self.error:
            self.error = f"recording stopped: {why}"
            log.error("%s; what is recorded so far is in %s", self.error, self.partial)
            self._say("error", f"{self.error}; {self.seconds:.0f} s are in {self.partial.name}")

    def _finalise(self) -> Path:
        """Make the asked-for file of the partial one, as far as that is possible; return where the recording is."""
        encoder = self._encoder
        if encoder is None or not encoder.slots:
            self.partial.unlink(missing_ok=True)
            self.error = self.error or "nothing was recorded: no picture came"
            return self.path
        try:
            if self.path.suffix.lower() == ".mkv":
                self.partial.replace(self.path)
                return self.path
            size = self.partial.stat().st_size
            if shutil.disk_usage(self.path.parent).free < size + MIN_FREE:
                raise RecordError(f"no room for the {self.path.suffix} copy; it stays Matroska, which plays as well")
            remux(self.partial, self.path, fps=self._fps, samples=encoder.samples, packets=encoder.packets)
            self.partial.unlink()
        except (RecordError, OSError) as error:
            self.error = self.error or reason(error)
            log.error("recorder: %s; the recording is %s", self.error, self.partial)
            return self.partial
        return self.path

    def _say(self, level: Literal["ok", "warn", "error"], message: str) -> None:
        self._events.put(
            StatusChanged(time=self._time, source="recorder", component="recorder", level=level, message=message)
        )


def _yield_to_the_show() -> None:
    """Linux knows priorities of single threads; encoders inherit this one's. Elsewhere the scheduler must cope."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 2)
