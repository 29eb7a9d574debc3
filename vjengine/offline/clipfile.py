"""Clips: short films that are written once, read as a stream, and joined without being encoded anew.

Constant encoder settings, a fixed number of threads, no reordering and closed groups of pictures: the same pictures
give the same bytes, and any clips of one size and rate stand behind one another in one film. Matroska, which plays to
wherever it was cut off.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.errors import RecordError
from vjengine.offline import disk
from vjengine.offline.continuation import Carried
from vjengine.offline.video_frame import FrameMaker
from vjengine.outputs.codecs import configure_video, load_av, reason, x264_params

CLIP = "clip.mkv"
"""What the pictures of a piece are called."""

CARRIED = "carried.npz"
"""What the next piece goes on from is called."""

Quality = Literal["film", "lossless"]
Pixels8 = npt.NDArray[np.uint8]
PixelsAny = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

THREADS = 4
"""Of every encoder here, whatever the machine has: x264's bytes depend on it."""

CRF, PRESET = 12, "veryfast"


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """What a clip holds, counted and not as its header claims.

    Attributes:
        size: (width, height), px.
        fps: pictures a second.
        frames: pictures.
        codec: ``"h264"``, ``"ffv1"`` …
        audio: it has sound.
    """

    size: tuple[int, int]
    fps: Fraction
    frames: int
    codec: str
    audio: bool

    @property
    def duration(self) -> Fraction:
        """Length of the pictures, s."""
        return self.frames / self.fps


class ClipWriter:
    """Writes pictures to one Matroska file of a constant rate. A context manager; a fault inside leaves no file.

    Args:
        path: the file, ``.mkv``; it is written over.
        size: (width, height), px. Both even for ``"film"``.
        fps: pictures a second.
        quality: ``"film"`` is H.264, constant quality 12: hardly told from the original, ready for a film.
            ``"lossless"`` is FFV1, bit by bit what was given.
        hdr16: ``"lossless"`` keeps 16 bits a channel.

    Raises:
        RecordError: if it cannot be: an odd size, a folder that is not there, a full disk.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        fps: Fraction | int,
        *,
        quality: Quality = "film",
        hdr16: bool = False,
    ) -> None:
        width, height = size
        if not (16 <= width <= 16384 and 16 <= height <= 16384):
            raise RecordError(f"cannot write a film of {width}x{height}: sides go from 16 to 16384 px")
        if quality == "film" and (width % 2 or height % 2):
            even = f"{width + width % 2}x{height + height % 2}"
            raise RecordError(f"cannot write a film of {width}x{height}: both sides must be even; take {even}")
        if path.suffix.lower() != ".mkv":
            raise RecordError(f"cannot write a clip to {path}: its name must end in .mkv")
        self._av = load_av()
        self.path = path
        self.size = (width, height)
        self.fps = Fraction(fps)
        self.frames = 0
        self._film = quality == "film"
        self._deep = hdr16 and not self._film
        self._maker = FrameMaker(self._av, self.size, "yuv420p")
        self._closed = False
        self._file: Any = None
        try:
            self._file = self._av.open(str(path), "w", format="matroska", options={"fflags": "+bitexact"})
            self._stream = self._open_stream()
            self._file.start_encoding()
        except (self._av.FFmpegError, OSError, ValueError) as error:
            self.abandon()
            raise disk.failure(path, error) from error

    def _open_stream(self) -> Any:
        if self._film:
            options = {"crf": str(CRF), "preset": PRESET, "threads": str(THREADS), **x264_params()}
            stream = self._file.add_stream("libx264", rate=self.fps, options=options)
            configure_video(stream.codec_context, self.size, self.fps)
        else:
            options = {"level": "3", "slices": "4", "slicecrc": "1", "g": "1", "threads": str(THREADS)}
            stream = self._file.add_stream("ffv1", rate=self.fps, options=options)
            stream.codec_context.width, stream.codec_context.height = self.size
            stream.codec_context.pix_fmt = "gbrp16le" if self._deep else "bgr0"
            stream.codec_context.time_base = 1 / self.fps
        stream.codec_context.flags |= self._av.codec.context.Flags.bitexact
        stream.codec_context.thread_count = THREADS
        return stream

    def write(self, pixels: PixelsAny) -> None:
        """Append one picture: ``(H, W, 3)`` uint8 or uint16 (whole range), sRGB, top row first.

        Raises:
            RecordError: if it has another shape or type, or the disk refuses.
        """
        width, height = self.size
        if pixels.shape != (height, width, 3) or pixels.dtype not in (np.uint8, np.uint16):
            given = f"{pixels.shape} {pixels.dtype}"
            raise RecordError(f"{self.path.name} takes {width}x{height} pictures of 8 or 16 bits, not {given}")
        frame = self._frame(pixels)
        frame.pts = self.frames
        frame.time_base = 1 / self.fps
        try:
            self._mux(self._stream.encode(frame))
        except (self._av.FFmpegError, OSError) as error:
            raise disk.failure(self.path, error) from error
        self.frames += 1

    def close(self) -> int:
        """Write everything out; return the number of pictures. Without any, there is no file.

        Raises:
            RecordError: if the disk refuses; the file is gone then.
        """
        if self._closed:
            return self.frames
        if not self.frames:
            self.abandon()
            return 0
        try:
            self._mux(self._stream.encode(None))
            self._file.close()
        except (self._av.FFmpegError, OSError) as error:
            self.abandon()
            raise disk.failure(self.path, error) from error
        self._closed = True
        return self.frames

    def abandon(self) -> None:
        """Let go of the file and delete it. May be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._file is not None:
                self._file.close()
        except (self._av.FFmpegError, OSError, ValueError):
            pass  # the same fault again
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _frame(self, pixels: PixelsAny) -> Any:
        frame_of = self._av.VideoFrame.from_ndarray
        if self._deep:
            deep = to16(pixels) if pixels.dtype == np.uint8 else pixels
            return frame_of(np.ascontiguousarray(deep), format="gbrp16le")
        shallow = np.ascontiguousarray(to8(pixels) if pixels.dtype == np.uint16 else pixels)
        if not self._film:
            return frame_of(shallow, format="rgb24").reformat(format="bgr0")
        # sRGB in, BT.709 video range out, as players assume of HD.
        return self._maker.frame(np.asarray(shallow, np.uint8))

    def _mux(self, packets: Sequence[Any]) -> None:
        for packet in packets:
            self._file.mux(packet)


def to8(pixels: npt.NDArray[np.generic]) -> Pixels8:
    """Return 16-bit pictures of any shape in 8 bits, rounded to the nearest: 65535 is 255."""
    flat = np.ascontiguousarray(pixels, np.uint16).reshape(1, -1)
    if not flat.size:
        return np.zeros(pixels.shape, np.uint8)
    # No code lies nearer than 1/514 to a half, so single precision rounds all 65536 of them right.
    return np.asarray(cv2.convertScaleAbs(flat, alpha=1 / 257), np.uint8).reshape(pixels.shape)


def to16(pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.uint16]:
    """Return 8-bit pictures of any shape in 16 bits: 255 is 65535; :func:`to8` gives back the same."""
    return pixels.astype(np.uint16) * np.uint16(257)


def clip_info(path: Path) -> ClipInfo:
    """Return what ``path`` holds; the packets are counted, nothing is decoded.

    Raises:
        RecordError: if it is missing, broken or holds no pictures.
    """
    av = load_av()
    _check_there(path)
    try:
        with av.open(str(path)) as film:
            stream = _pictures(film, path)
            frames = sum(1 for packet in film.demux(stream) if packet.size)
            size = (int(stream.codec_context.width), int(stream.codec_context.height))
            fps = Fraction(stream.guessed_rate or stream.average_rate or 0)
            name, audio = str(stream.codec_context.name), bool(film.streams.audio)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise RecordError(f"{path} cannot be read as a film: {reason(error)}") from error
    if not frames or not fps:
        raise RecordError(f"{path} holds no pictures")
    return ClipInfo(size, fps, frames, name, audio)


def read_clip(path: Path, start: int = 0, stop: int | None = None) -> Iterator[Pixels8]:
    """Yield the pictures ``start`` to ``stop`` (not included) as ``(H, W, 3)`` uint8 sRGB, one at a time.

    Raises:
        RecordError: if the file is missing or broken, also in the middle, or ends before ``stop``.
    """
    for frame in _frames(path, start, stop):
        yield frame.to_ndarray(format="rgb24", src_colorspace=_matrix(frame))


def read_clip16(path: Path, start: int = 0, stop: int | None = None) -> Iterator[npt.NDArray[np.uint16]]:
    """Yield pictures as :func:`read_clip`, as uint16 over the whole range; exact for a lossless clip of 16 bits.

    Raises:
        RecordError: as :func:`read_clip`.
    """
    for frame in _frames(path, start, stop):
        if frame.format.name == "gbrp16le":
            yield frame.to_ndarray()
        else:
            yield to16(frame.to_ndarray(format="rgb24", src_colorspace=_matrix(frame)))


def save_carried(folder: Path, carried: Carried) -> Path:
    """Write ``carried`` to ``folder/carried.npz``, bit by bit; the same arrays give the same file.

    Raises:
        RecordError: if the disk refuses.
    """
    arrays: dict[str, Any] = {"frames": carried.frames, "anchor": carried.anchor}
    arrays |= {f"state.{name}": carried.state[name] for name in sorted(carried.state)}
    path = folder / CARRIED
    try:
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise disk.failure(path, error) from error
    return path


def load_carried(folder: Path) -> Carried:
    """Return what :func:`save_carried` wrote.

    Raises:
        RecordError: if it is missing or damaged.
    """
    path = folder / CARRIED
    try:
        with np.load(path, allow_pickle=False) as data:
            state = {name.removeprefix("state."): data[name] for name in data.files if name.startswith("state.")}
            return Carried(data["frames"], data["anchor"], state)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RecordError(f"{path} is missing or damaged: {reason(error)}") from error


def _matrix(frame: Any) -> str | None:
    """Return what a film without a word about its colours is in, as players assume; None follows the film's word."""
    untold = int(frame.colorspace) == 2 and str(frame.format.name).startswith("yuv")
    return "ITU709" if untold and frame.height > 576 else None


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise RecordError(f"{path}: there is no such film")
    if not path.stat().st_size:
        raise RecordError(f"{path}: the film is empty (0 bytes)")


def _pictures(film: Any, path: Path) -> Any:
    if not film.streams.video:
        raise RecordError(f"{path} holds no pictures")
    return film.streams.video[0]


def _frames(path: Path, start: int, stop: int | None) -> Iterator[Any]:
    """Yield decoded frames ``start`` to ``stop``, decoding from the last key frame before ``start`` on."""
    if start < 0 or (stop is not None and stop < start):
        raise ValueError(f"pictures {start} to {stop} cannot be")
    av = load_av()
    _check_there(path)
    if stop == start:
        return
    position = 0
    try:
        with av.open(str(path)) as film:
            stream = _pictures(film, path)
            stream.thread_type = "AUTO"
            fps = Fraction(stream.guessed_rate or stream.average_rate or 25)
            if start:
                film.seek(int(start / fps / stream.time_base), stream=stream, backward=True)
            first = True
            for frame in film.decode(stream):
                if first and start:
                    position = round((frame.pts - (stream.start_time or 0)) * stream.time_base * fps)
                first = False
                if position >= start:
                    yield frame
                position += 1
                if stop is not None and position >= stop:
                    return
    except (av.FFmpegError, OSError) as error:
        raise RecordError(f"{path} is broken after picture {position}: {reason(error)}") from error
    if stop is not None and position < stop:
        raise RecordError(f"{path} ends after {position} pictures instead of {stop}")
