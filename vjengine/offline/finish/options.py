"""What a finished film is to be."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from vjengine.engine.options import parse_size
from vjengine.errors import UsageError
from vjengine.offline.finish.grade import Grade

Method = Literal["dis", "minterpolate", "rife", "hold"]
Upscaler = Literal["lanczos", "realesrgan"]
Fit = Literal["fill", "pad"]

METHODS: tuple[Method, ...] = ("dis", "minterpolate", "rife", "hold")
UPSCALERS: tuple[Upscaler, ...] = ("lanczos", "realesrgan")
SIZES = {"720p": (1280, 720), "1080p": (1920, 1080), "1440p": (2560, 1440), "4k": (3840, 2160)}


def named_size(text: str) -> tuple[int, int]:
    """Return (width, height) from ``1920x1080``, ``1080p`` or ``4k``.

    Raises:
        UsageError: if it is neither, or not even.
    """
    return SIZES.get(text.lower()) or parse_size(text)


@dataclass(frozen=True, slots=True)
class FinishOptions:
    """How a film is finished.

    Attributes:
        fps: pictures a second; None keeps the film's own.
        size: (width, height), px, even; None keeps the film's own.
        interpolate: how pictures in between are made: ``dis`` along the motion, ``hold`` not at all, ``minterpolate``
            with FFmpeg's filter, ``rife`` with a network, where it is installed.
        upscale: ``lanczos``, or ``realesrgan`` where it is installed.
        fit: what happens if the proportions differ: ``fill`` cuts off, ``pad`` leaves black.
        grade: colours.
        encoder: ``auto`` or a name from :data:`~vjengine.offline.finish.encoders.ENCODERS`.
        crf: quality, lower is better; None leaves it to the encoder.
        processes: how many segments are made at a time.
        title, artist: tags of the film.
        chapters: (s, title) of places in it.
        sound_start: s into the audio at which the film begins.
        segment: s of film a segment is long: what an interruption costs at most, a process.
    """

    fps: Fraction | None = None
    size: tuple[int, int] | None = None
    interpolate: Method = "dis"
    upscale: Upscaler = "lanczos"
    fit: Fit = "fill"
    grade: Grade = field(default_factory=Grade)
    encoder: str = "auto"
    crf: int | None = None
    processes: int = 2
    title: str = ""
    artist: str = ""
    chapters: tuple[tuple[float, str], ...] = ()
    sound_start: float = 0.0
    segment: float = 4.0

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            UsageError: if a value makes no sense.
        """
        if self.interpolate not in METHODS:
            raise UsageError(f"--interpolate {self.interpolate!r}: expected {', '.join(METHODS)}")
        if self.upscale not in UPSCALERS:
            raise UsageError(f"--upscale {self.upscale!r}: expected {', '.join(UPSCALERS)}")
        if self.fps is not None and not 1 <= self.fps <= 240:
            raise UsageError(f"--fps {float(self.fps):g}: expected from 1 to 240")
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise UsageError(f"--crf {self.crf}: expected from 0 (best) to 51, or 63 with AV1")
        if self.grade.lut is not None and not self.grade.lut.is_file():
            raise UsageError(f"--grade lut={self.grade.lut}: there is no such file")


@dataclass(frozen=True, slots=True)
class Finished:
    """What :func:`~vjengine.offline.finish.film.finish` made.

    Attributes:
        path: the film.
        frames: its pictures.
        fps: pictures a second.
        size: (width, height), px.
        encoder: name of the encoder.
        reused: pictures that an earlier, interrupted run had finished.
        seconds: s it took.
    """

    path: Path
    frames: int
    fps: Fraction
    size: tuple[int, int]
    encoder: str
    reused: int
    seconds: float
