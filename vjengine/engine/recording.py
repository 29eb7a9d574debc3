"""Ties the recorder to a live show: session times become recording times, sound and picture share their zero."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from types import TracebackType

import numpy as np
import numpy.typing as npt

from vjengine.audio.capture import Hop
from vjengine.core.exchange import EventQueue
from vjengine.engine.options import LiveOptions
from vjengine.outputs.record import Recorder, RecordReport

FEW_CORES = 4
"""Up to so many cores the encoder takes its fastest preset: larger files, but nothing dropped."""


class Recording:
    """A recording of the show, or nothing if none was asked for.

    The recording's zero is the first picture's time; sound from before it is cut.
    """

    def __init__(self, options: LiveOptions, rate: int, events: EventQueue, say: Callable[[str], None]) -> None:
        self._say = say
        self._zero: float | None = None
        self._rate = rate
        self._path = options.record
        self._recorder: Recorder | None = None
        self.report: RecordReport | None = None
        if options.record is not None:
            fps = Fraction(options.picture.fps).limit_denominator(1001)
            few = (os.cpu_count() or 1) <= FEW_CORES
            self._recorder = Recorder(
                options.record,
                options.picture.size,
                fps,
                events,
                sample_rate=rate,
                preset="ultrafast" if few else "veryfast",
            )

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def see(self, pixels: npt.NDArray[np.uint8], time: float) -> None:
        """Record the picture ``pixels`` (H, W, 4) seen at session ``time`` (s)."""
        if self._recorder is None:
            return
        if self._zero is None:
            self._zero = time
        self._recorder.write_frame(pixels, time - self._zero)

    def hear(self, hop: Hop) -> None:
        """Record a hop of sound. Called on the listener's thread."""
        zero = self._zero
        if self._recorder is None or zero is None:
            return
        # A hop is stamped with its last sample's time; the recorder wants its first.
        self._recorder.write_audio(hop.samples, hop.time - len(hop.samples) / self._rate - zero)

    @property
    def words(self) -> str:
        """The running recording's name and length, as the HUD shows it; empty while nothing is recorded."""
        recorder = self._recorder
        if recorder is None or recorder.error:
            return ""
        minutes, seconds = divmod(int(recorder.seconds), 60)
        return f"{recorder.path.name} {minutes}:{seconds:02d}"

    @property
    def dropped(self) -> dict[str, int]:
        """Frames the recorder dropped and doubled, once it is closed."""
        if self.report is None:
            return {}
        return {"recorded_frames_dropped": self.report.dropped, "recorded_frames_doubled": self.report.duplicated}

    def close(self) -> None:
        """Finalise the file and say where it is."""
        if self._recorder is None:
            return
        recorder, self._recorder = self._recorder, None
        if recorder.seconds > 600.0:
            self._say(f"finalising {recorder.path.name} ...")
        self.report = recorder.close()
        if self.report.error:
            self._say(f"recording stopped early: {self.report.error}; what there is: {self.report.path}")
        else:
            self._say(f"recorded {self.report.seconds:.1f} s to {self.report.path}")
