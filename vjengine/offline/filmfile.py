"""A film being written: copied pictures on whole slots, sound encoded beside them, chapters, the index in front.

It has another name until it is complete, and then its own: whoever looks finds a whole film or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vjengine.errors import RecordError
from vjengine.offline import disk

Sound = Literal["aac", "pcm", "flac"]
Samples = npt.NDArray[np.float32]

BLOCK = 1024
"""Samples of a packet of AAC; also what the encoder puts in front."""

_INDEX_FIXED, _INDEX_PACKET, _INDEX_CHAPTER = 64 * 1024, 48, 2048  # bytes of an MP4's index: at all, for each
_AAC_BITS = 320_000
_AHEAD = 64  # packets looked at to learn how far decoding runs ahead; x264 reorders at most 16


@dataclass(frozen=True, slots=True)
class Chapter:
    """A named place in a film; it lasts to the next one, or to the end. ``start``: s."""

    start: Fraction | float
    title: str


class FilmFile:
    """A film being written under another name, which gets its own when it is complete."""

    def __init__(self, av: Any, path: Path, packets: int, chapters: int = 0, rate: int = 0) -> None:
        if path.suffix.lower() not in (".mp4", ".mov", ".mkv", ".m4v"):
            raise RecordError(f"cannot write {path}: the name must end in .mp4, .mov or .mkv")
        self._av = av
        self._path = path
        self._part = path.with_name(f"{path.stem}.partial{path.suffix}")
        self.mp4 = path.suffix.lower() != ".mkv"
        self.frames = 0
        self._pictures: Any = None
        self._slot = Fraction(1)
        self._extra: bytes = b""
        self._kind: tuple[str, int, int] = ("", 0, 0)
        self._sound: Any = None
        self._wanted = self._encoded = self._heard = 0
        options = {"fflags": "+bitexact"}
        if self.mp4:
            options["moov_size"] = str(_INDEX_FIXED + _INDEX_PACKET * packets + _INDEX_CHAPTER * chapters)
            if rate:  # else the sound's length is rounded to a millisecond
                options["movie_timescale"] = str(rate)
        form = {".mkv": "matroska", ".mov": "mov"}.get(path.suffix.lower(), "mp4")
        try:
            self._file = av.open(str(self._part), "w", format=form, options=options)
        except (av.FFmpegError, OSError) as error:
            raise disk.failure(path, error) from error

    def __enter__(self) -> FilmFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        fault = error
        try:
            try:
                self._file.close()
            except (self._av.FFmpegError, OSError, ValueError) as closing:
                fault = fault or closing
            if fault is None:
                disk.sync_file(self._part)
                self._part.replace(self._path)
                disk.sync_folder(self._path.parent)
        except OSError as renaming:
            fault = renaming
        finally:
            self._part.unlink(missing_ok=True)
        if isinstance(fault, self._av.FFmpegError | OSError):
            raise disk.failure(self._path, fault) from fault
        if fault is not None and fault is not error:
            raise disk.failure(self._path, fault)

    def tag(self, chapters: Sequence[Chapter], metadata: Mapping[str, str], duration: Fraction) -> None:
        """Set chapters, inside ``duration`` (s), and tags; before anything else.

        Raises:
            RecordError: if the chapters do not follow one another.
        """
        self._file.metadata.update({key: str(value) for key, value in metadata.items()})
        if not chapters:
            return
        starts = [Fraction(chapter.start).limit_denominator(1_000_000) for chapter in chapters]
        ends = [*starts[1:], duration]
        if starts[0] < 0 or any(start >= end for start, end in zip(starts, ends, strict=True)):
            raise RecordError(
                f"chapters of {self._path} must follow one another inside the film's {float(duration):.3f} s"
            )
        self._file.set_chapters(
            [
                {
                    "id": number + 1,
                    "start": round(start * 1000),
                    "end": round(end * 1000),
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": chapter.title},
                }
                for number, (chapter, start, end) in enumerate(zip(chapters, starts, ends, strict=True))
            ]
        )

    def add_pictures(self, stream: Any, fps: Fraction) -> None:
        """Add pictures like those of ``stream``, ``fps`` a second."""
        # Copied as it is: what reads AV1 here is not what writes it.
        self._pictures = self._file.add_stream_from_template(stream, opaque=True)
        self._slot = 1 / fps
        self._pictures.time_base = self._slot
        self._extra, self._kind = _shape(stream)

    def copy_clip(self, clip: Path) -> None:
        """Append the pictures of a clip, on whole slots."""
        with Opened(self._av, clip) as source:
            stream = source.streams.video[0]
            extra, kind = _shape(stream)
            if kind != self._kind or extra != self._extra:
                raise RecordError(
                    f"{clip} ({kind[0]} {kind[1]}x{kind[2]}) does not fit the clips before it "
                    f"({self._kind[0]} {self._kind[1]}x{self._kind[2]}, or another version of its encoder): "
                    "it must be made anew with the same settings"
                )
            for packet in self._slotted(source, stream):
                self._file.mux(packet)

    def _slotted(self, source: Any, stream: Any) -> Iterator[Any]:
        """Yield the packets of a clip with exact times, behind all before it.

        Pictures that refer to later ones are decoded before they are shown: the clip's own order is kept, and decoding
        runs ahead by as much as it needs.
        """
        scale = stream.time_base / self._slot
        begin = None
        waiting: list[Any] = []
        count = 0
        for packet in source.demux(stream):
            if packet.size:
                waiting.append(packet)
            if packet.size and len(waiting) <= _AHEAD:
                continue
            if begin is None and waiting:
                begin = min(p.pts for p in waiting)
                shown = [round((p.pts - begin) * scale) for p in waiting]
                self._delay = max(0, *(order - at for order, at in enumerate(shown)))
            while waiting and (not packet.size or len(waiting) > _AHEAD):
                yield self._place(waiting.pop(0), begin or 0, scale, count)
                count += 1
        self.frames += count

    def _place(self, packet: Any, begin: int, scale: Fraction, order: int) -> Any:
        packet.stream = self._pictures
        packet.time_base, pts = self._slot, round((packet.pts - begin) * scale)
        packet.pts = self.frames + pts
        packet.dts = self.frames + order - self._delay
        packet.duration = 1
        return packet

    def add_sound(self, sound: Sound, rate: int, wanted: int) -> None:
        """Add sound of ``rate`` Hz, which is to be ``wanted`` samples long."""
        name = {"aac": "aac", "pcm": "pcm_s24le", "flac": "flac"}[sound]
        self._sound = self._file.add_stream(name, rate=rate, layout="stereo")
        context = self._sound.codec_context
        context.flags |= self._av.codec.context.Flags.bitexact
        context.thread_count = 1
        if sound == "aac":
            context.bit_rate = min(_AAC_BITS, 6 * rate)
        self._form = {"aac": "fltp", "pcm": "s32", "flac": "s32"}[sound]
        if sound == "flac":
            context.format = "s32"
        self._wanted = wanted

    def interleave(self, source: Any, blocks: Iterable[Samples], tell: Callable[[float], None] | None) -> None:
        """Copy the pictures and encode the sound that belongs beside them."""
        rate = self._sound.rate
        stream = source.streams.video[0]
        left = iter(blocks)
        for number, packet in enumerate(self._slotted(source, stream)):
            until = (number + 1) * self._slot * rate
            while self._encoded < until and (block := next(left, None)) is not None:
                self._encode(block)
            self._file.mux(packet)
            if tell is not None and number % 50 == 0:
                tell(min(1.0, self._encoded / max(1, self._wanted)))
        for block in left:
            self._encode(block)
        self._mux_sound(self._sound.encode(None))

    def _encode(self, block: Samples) -> None:
        if self._form == "fltp":
            frame = self._av.AudioFrame.from_ndarray(np.ascontiguousarray(block.T), format="fltp", layout="stereo")
        else:
            # 24 bits, in the upper part of 32.
            scaled = np.clip(np.rint(block.astype(np.float64) * 8388608.0), -8388608, 8388607).astype(np.int32) << 8
            frame = self._av.AudioFrame.from_ndarray(scaled.reshape(1, -1), format="s32", layout="stereo")
        frame.sample_rate = self._sound.rate
        frame.pts = self._encoded
        frame.time_base = Fraction(1, self._sound.rate)
        self._encoded += len(block)
        self._mux_sound(self._sound.encode(frame))

    def _mux_sound(self, packets: Sequence[Any]) -> None:
        for packet in packets:
            if packet.pts is not None and packet.time_base == Fraction(1, self._sound.rate):
                left = self._wanted - packet.pts
                packet.duration = max(0, min(packet.duration or BLOCK, left))
            self._file.mux(packet)

    def copy_all(self, source: Any) -> None:
        """Copy pictures and sound as they are, with their own times."""
        streams = [s for s in source.streams if s.type in ("video", "audio")]
        tracks = {stream.index: self._file.add_stream_from_template(stream, opaque=True) for stream in streams}
        for stream in streams:
            tracks[stream.index].time_base = stream.time_base
        for packet in source.demux(*streams):
            if packet.size:
                packet.stream = tracks[packet.stream.index]
                self._file.mux(packet)


def _shape(stream: Any) -> tuple[bytes, tuple[str, int, int]]:
    context = stream.codec_context
    return bytes(context.extradata or b""), (str(context.name), int(context.width), int(context.height))


class Opened:
    """Open a film to read; every fault says which."""

    def __init__(self, av: Any, path: Path) -> None:
        try:
            self._file = av.open(str(path))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise RecordError(f"{path} cannot be read as a film: {error}") from error

    def __enter__(self) -> Any:
        return self._file

    def __exit__(self, *_: object) -> None:
        self._file.close()
