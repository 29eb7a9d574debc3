"""Encoders of finished films, and how each is set up: constant quality, closed groups, the same bytes every time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vjengine.errors import RecordError, UsageError
from vjengine.offline import disk
from vjengine.offline.clips import CLIP
from vjengine.offline.video_frame import FrameMaker
from vjengine.outputs.codecs import configure_video, load_av, reason, x264_params

Pixels8 = npt.NDArray[np.uint8]

THREADS = 2
"""Of every software encoder here, whatever the machine has: x264's bytes depend on it. Two segments run at a time."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """One way to encode a film.

    Attributes:
        name: as ``--encoder`` calls it.
        codec: libavcodec's name.
        pixels: its pixel format.
        suffixes: endings of the films that can hold it, the usual one first.
        crf: its usual quality, lower is better; None if it has no such number.
        sound: how the music is kept beside it.
        repeats: the same pictures give the same bytes.
    """

    name: str
    codec: str
    pixels: str
    suffixes: tuple[str, ...]
    crf: int | None
    sound: str
    repeats: bool = True

    def options(self, crf: int) -> dict[str, str]:
        """Return the codec's own options for constant quality ``crf``."""
        match self.codec:
            case "libx264":
                return {"crf": str(crf), "preset": "veryfast", **x264_params("open-gop=0", "scenecut=0")}
            case "h264_nvenc" | "hevc_nvenc" | "av1_nvenc":
                return {"rc": "vbr", "cq": str(crf), "b": "0", "preset": "p5", "forced-idr": "1"}
            case "libsvtav1":
                return {"crf": str(crf), "preset": "8", "svtav1-params": f"lp={THREADS}:pred-struct=1:scd=0"}
            case "prores":
                return {"profile": "3", "vendor": "apl0"}  # HQ; the other encoder of it is six times as slow
        return {}


ENCODERS = {
    encoder.name: encoder
    for encoder in (
        Encoder("x264", "libx264", "yuv420p", (".mp4", ".mov", ".mkv"), 16, "aac"),
        Encoder("nvenc", "h264_nvenc", "yuv420p", (".mp4", ".mov", ".mkv"), 18, "aac", repeats=False),
        Encoder("prores", "prores", "yuv422p10le", (".mov", ".mkv"), None, "pcm"),
        Encoder("av1", "libsvtav1", "yuv420p10le", (".mp4", ".mkv"), 26, "aac"),
        Encoder("av1-nvenc", "av1_nvenc", "yuv420p", (".mp4", ".mkv"), 28, "aac", repeats=False),
    )
}


def choose_encoder(name: str, size: tuple[int, int], fps: Fraction, target: Path) -> Encoder:
    """Return the encoder ``name``, which opens here; ``"auto"`` tries NVENC by opening it, then x264.

    A target that ends in ``.mov`` does not make it ProRes: only ``"prores"`` does.

    Raises:
        UsageError: for a name that is not known, or a target that cannot hold it.
        RecordError: if it does not open here; says what does.
    """
    if name == "auto":
        return ENCODERS["nvenc" if _fault(ENCODERS["nvenc"], size, fps) is None else "x264"]
    encoder = ENCODERS.get(name)
    if encoder is None:
        raise UsageError(f"--encoder {name!r}: expected auto, {', '.join(ENCODERS)}")
    if target.suffix.lower() not in encoder.suffixes:
        raise UsageError(f"{target}: {name} is kept in {' or '.join(encoder.suffixes)}; name the film so")
    if (fault := _fault(encoder, size, fps)) is not None:
        working = [e.name for e in ENCODERS.values() if _fault(e, size, fps) is None]
        raise RecordError(
            f"the encoder {name} ({encoder.codec}) does not open here for {size[0]}x{size[1]}: {fault}. "
            f"What opens: {', '.join(working) or 'none'}"
        )
    return encoder


def _fault(encoder: Encoder, size: tuple[int, int], fps: Fraction) -> str | None:
    """Return None if the encoder opens, else why not: being listed means nothing without the card."""
    av = load_av()
    level = av.logging.get_level()
    av.logging.set_level(av.logging.PANIC)
    try:
        context = av.CodecContext.create(encoder.codec, "w")
        _configure(av, context, encoder, size, fps, encoder.crf or 0)
        context.open()
    except (av.FFmpegError, OSError, ValueError) as error:
        return reason(error)
    finally:
        av.logging.set_level(level)
    return None


def _configure(av: Any, context: Any, encoder: Encoder, size: tuple[int, int], fps: Fraction, crf: int) -> None:
    configure_video(context, size, fps)
    context.pix_fmt = encoder.pixels
    if encoder.codec == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # it prints its settings for every segment, past every log
    context.options = encoder.options(crf)
    context.flags |= av.codec.context.Flags.bitexact | av.codec.context.Flags.closed_gop
    context.thread_count = THREADS
    if encoder.codec == "prores":
        context.gop_size = 1


class FilmWriter:
    """Encodes pictures to ``FOLDER/clip.mkv``. A context manager; a fault inside leaves no file.

    Args:
        folder: where.
        encoder: how.
        size: (width, height), px, even.
        fps: pictures a second.
        crf: quality, lower is better; None takes the encoder's own.

    Raises:
        RecordError: if it cannot be opened.
    """

    def __init__(
        self, folder: Path, encoder: Encoder, size: tuple[int, int], fps: Fraction, crf: int | None = None
    ) -> None:
        self._av = load_av()
        self.path = folder / CLIP
        self.frames = 0
        self._fps = fps
        self._maker = FrameMaker(self._av, size, encoder.pixels)
        self._file: Any = None
        try:
            self._file = self._av.open(str(self.path), "w", format="matroska", options={"fflags": "+bitexact"})
            self._stream = self._file.add_stream(encoder.codec, rate=fps)
            context = self._stream.codec_context
            _configure(self._av, context, encoder, size, fps, encoder.crf or 0 if crf is None else crf)
            self._file.start_encoding()
        except (self._av.FFmpegError, OSError, ValueError) as error:
            self.abandon()
            raise disk.failure(self.path, error) from error

    def write(self, pixels: Pixels8) -> None:
        """Append one picture ``(H, W, 3)`` uint8 sRGB; a smaller one of the same shape is enlarged by Lanczos.

        Raises:
            RecordError: if the disk or the encoder refuses.
        """
        frame = self._maker.frame(pixels)
        frame.pts = self.frames
        frame.time_base = 1 / self._fps
        try:
            self._mux(self._stream.encode(frame))
        except (self._av.FFmpegError, OSError) as error:
            raise disk.failure(self.path, error) from error
        self.frames += 1

    def close(self) -> int:
        """Write everything out; return the number of pictures.

        Raises:
            RecordError: if the disk refuses.
        """
        try:
            self._mux(self._stream.encode(None))
            self._file.close()
        except (self._av.FFmpegError, OSError) as error:
            self.abandon()
            raise disk.failure(self.path, error) from error
        return self.frames

    def abandon(self) -> None:
        """Let go of the file and delete it."""
        try:
            if self._file is not None:
                self._file.close()
        except (self._av.FFmpegError, OSError, ValueError):
            pass  # the same fault again
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> FilmWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _mux(self, packets: Sequence[Any]) -> None:
        for packet in packets:
            self._file.mux(packet)
