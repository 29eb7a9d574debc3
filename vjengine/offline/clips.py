"""Whole films of clips: joined by copying, the sound put under it once, chapters and tags; nothing is encoded twice.

Every time is a whole number of pictures or samples, so an hour does not drift. A target appears whole or not at all,
with its index in front: it starts at once, also over a network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vjengine.audio.files import probe, samples_of
from vjengine.errors import RecordError, UnreadableAudio
from vjengine.offline import disk
from vjengine.offline.clipfile import (
    CARRIED,
    CLIP,
    ClipInfo,
    ClipWriter,
    clip_info,
    load_carried,
    read_clip,
    read_clip16,
    save_carried,
    to8,
    to16,
)
from vjengine.outputs.codecs import load_av

__all__ = [
    "CARRIED",
    "CLIP",
    "Chapter",
    "ClipInfo",
    "ClipWriter",
    "add_chapters",
    "add_sound",
    "clip_info",
    "join",
    "load_carried",
    "read_clip",
    "read_clip16",
    "save_carried",
    "to8",
    "to16",
]

Fit = Literal["pad", "loop"]
Sound = Literal["aac", "pcm", "flac"]
Samples = npt.NDArray[np.float32]

_INDEX_FIXED, _INDEX_PACKET, _INDEX_CHAPTER = 64 * 1024, 48, 2048  # bytes of an MP4's index: at all, for each
_BLOCK = 1024  # samples of a packet of AAC; also what the encoder puts in front
_AAC_BITS = 320_000


@dataclass(frozen=True, slots=True)
class Chapter:
    """A named place in a film; it lasts to the next one, or to the end. ``start``: s."""

    start: Fraction | float
    title: str


def join(clips: Sequence[Path], target: Path, fps: Fraction | int, tell: Callable[[int], None] | None = None) -> int:
    """Put ``clips`` behind one another in ``target`` (MKV, MP4 or MOV) by copying; return the number of pictures.

    Args:
        clips: of one size, rate and encoder setting; their sound is left out.
        target: picture n of it stands at exactly n / fps.
        fps: pictures a second.
        tell: told the number of clips done.

    Raises:
        RecordError: if a clip is broken or does not fit the others, or the disk refuses. The clips stay as they are.
    """
    av = load_av()
    if not clips:
        raise RecordError(f"{target} would have no pictures: there are no clips")
    total = sum(clip_info(clip).frames for clip in clips)
    with _Target(av, target, packets=total) as film:
        with _Opened(av, clips[0]) as first:
            film.add_pictures(first.streams.video[0], Fraction(fps))
        for number, clip in enumerate(clips):
            film.copy_clip(clip)
            if tell is not None:
                tell(number + 1)
        return film.frames


def add_sound(
    film: Path,
    audio: Path,
    target: Path,
    *,
    start: float = 0.0,
    fit: Fit = "pad",
    sound: Sound = "aac",
    chapters: Sequence[Chapter] = (),
    metadata: Mapping[str, str] | None = None,
    tell: Callable[[float], None] | None = None,
) -> int:
    """Put ``audio`` under the pictures of ``film``; return the samples of sound in ``target``.

    The sound is exactly as long as the pictures, to the sample: cut off if it is longer, and filled with silence or
    begun again if it is shorter. It keeps its rate and its loudness; mono sounds on both sides.

    Args:
        film: what it says itself about its rate counts; its own sound is left out.
        audio: any file with sound.
        target: ``.mp4``, ``.mov`` or ``.mkv``; may not be ``film`` itself.
        start: s into the audio at which the film begins.
        fit: what follows an audio that is too short.
        sound: ``"aac"`` at 320 kbit/s; ``"pcm"`` (24 bits) in MOV and MKV, ``"flac"`` in MKV and MP4, without loss.
        chapters: places in the film.
        metadata: tags: ``title``, ``artist``, ``comment`` …
        tell: told the share done, 0-1.

    Raises:
        UnreadableAudio: if the audio cannot be read, or ends before ``start``.
        RecordError: if the film is broken or the target cannot be written.
    """
    av = load_av()
    _check_sound(sound, target)
    info = clip_info(film)
    rate = _rate_for(av, sound, probe(audio).sample_rate)
    wanted = round(info.frames * rate / info.fps)
    pieces = _fitted(audio, rate, start, wanted, fit)
    first = next(pieces)  # an unreadable audio must leave no trace of a film
    packets = info.frames + wanted // _BLOCK + 8
    with _Target(av, target, packets=packets, chapters=len(chapters), rate=rate) as out, _Opened(av, film) as source:
        out.tag(chapters, metadata or {}, info.duration)
        out.add_pictures(source.streams.video[0], info.fps)
        out.add_sound(sound, rate, wanted)
        out.interleave(source, _blocks(first, pieces), tell)
    return wanted


def add_chapters(
    film: Path, target: Path, chapters: Sequence[Chapter], metadata: Mapping[str, str] | None = None
) -> None:
    """Copy ``film``, sound and all, to ``target`` with chapters and tags; may not be ``film`` itself.

    Raises:
        RecordError: if the film is broken or the target cannot be written.
    """
    av = load_av()
    info = clip_info(film)
    with _Opened(av, film) as source:
        packets = sum(1 for packet in source.demux() if packet.size)
        rate = int(source.streams.audio[0].rate) if source.streams.audio else 0
    with _Target(av, target, packets=packets, chapters=len(chapters), rate=rate) as out, _Opened(av, film) as source:
        out.tag(chapters, metadata or {}, info.duration)
        out.copy_all(source)


class _Target:
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

    def __enter__(self) -> _Target:
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
        # Copied as it is: what reads AV1 here is not what writes it.
        self._pictures = self._file.add_stream_from_template(stream, opaque=True)
        self._slot = 1 / fps
        self._pictures.time_base = self._slot
        self._extra, self._kind = _shape(stream)

    def copy_clip(self, clip: Path) -> None:
        """Append the pictures of a clip, on whole slots."""
        with _Opened(self._av, clip) as source:
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
                packet.duration = max(0, min(packet.duration or _BLOCK, left))
            self._file.mux(packet)

    def copy_all(self, source: Any) -> None:
        streams = [s for s in source.streams if s.type in ("video", "audio")]
        tracks = {stream.index: self._file.add_stream_from_template(stream, opaque=True) for stream in streams}
        for stream in streams:
            tracks[stream.index].time_base = stream.time_base
        for packet in source.demux(*streams):
            if packet.size:
                packet.stream = tracks[packet.stream.index]
                self._file.mux(packet)


_AHEAD = 64  # packets looked at to learn how far decoding runs ahead; x264 reorders at most 16


def _shape(stream: Any) -> tuple[bytes, tuple[str, int, int]]:
    context = stream.codec_context
    return bytes(context.extradata or b""), (str(context.name), int(context.width), int(context.height))


class _Opened:
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


def _check_sound(sound: Sound, target: Path) -> None:
    suffix = target.suffix.lower()
    if sound == "pcm" and suffix in (".mp4", ".m4v"):
        raise RecordError(f"{target}: MP4 has no PCM that players know; name it .mov or .mkv, or take AAC or FLAC")
    if sound == "flac" and suffix == ".mov":
        raise RecordError(f"{target}: MOV has no FLAC; name it .mp4 or .mkv, or take PCM")


def _rate_for(av: Any, sound: Sound, rate: int) -> int:
    """Return the sound's own rate, or the nearest above that the encoder takes."""
    if sound != "aac":
        return rate
    known = sorted(av.Codec("aac", "w").audio_rates or (48_000,))
    return next((int(r) for r in known if r >= rate), int(known[-1]))


def _fitted(audio: Path, rate: int, start: float, wanted: int, fit: Fit) -> Iterator[Samples]:
    """Yield exactly ``wanted`` samples ``(n, 2)`` from ``start`` (s) on, in bounded memory."""
    missing = wanted
    while missing:
        before = missing
        for piece in samples_of(audio, rate, start):
            taken = piece[:missing]
            missing -= len(taken)
            yield taken
            if not missing:
                return
        if missing == before:
            raise UnreadableAudio(f"{audio}: it holds no sound after {start:g} s")
        if fit == "pad":
            break
    while missing:
        n = min(missing, 48_000)
        missing -= n
        yield np.zeros((n, 2), np.float32)


def _blocks(first: Samples, rest: Iterator[Samples]) -> Iterator[Samples]:
    """Yield samples in blocks of :data:`_BLOCK`; the last one is shorter."""
    waiting, count = [first], len(first)
    for piece in rest:
        waiting.append(piece)
        count += len(piece)
        if count < _BLOCK:
            continue
        whole = np.concatenate(waiting)
        end = len(whole) // _BLOCK * _BLOCK
        for at in range(0, end, _BLOCK):
            yield whole[at : at + _BLOCK]
        waiting, count = [whole[end:]], len(whole) - end
    whole = np.concatenate(waiting)
    for at in range(0, len(whole), _BLOCK):
        yield whole[at : at + _BLOCK]
