"""Music files to samples: whole, or as a stream of hops that needs the same memory for ten hours as for ten seconds."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vjengine.audio.resample import HopBuffer
from vjengine.audio.source import HOP, Samples, frozen
from vjengine.errors import UnreadableAudio

log = logging.getLogger(__name__)

LONGEST_WHOLE = 2 * 3600.0
"""s of music :func:`decode` takes into memory (2.8 GB at 48 kHz); beyond, use :func:`blocks`."""

MOST_BROKEN = 500
"""Undecodable packets in a row after which a file counts as broken."""

_WHOLE = 0.95
"""Share of the promised length at which a file counts as whole: some containers only estimate it."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a file says about itself.

    Attributes:
        path: the file.
        duration: s, as its header claims; 0 if it does not say.
        sample_rate: its own rate, Hz.
        channels: its own channels.
        codec: ``"mp3"``, ``"flac"`` …
        title: from its tags, else the file's name.
        artist: from its tags, else empty.
    """

    path: Path
    duration: float
    sample_rate: int
    channels: int
    codec: str
    title: str
    artist: str


@dataclass(frozen=True, slots=True)
class Track:
    """A whole file in memory.

    Attributes:
        samples: ``(n, 2)`` float32, read-only, full scale ±1; mono is on both channels.
        sample_rate: Hz, as asked for.
        info: what the file says about itself.
    """

    samples: Samples
    sample_rate: int
    info: AudioInfo

    @property
    def duration(self) -> float:
        """Length in s, counted."""
        return len(self.samples) / self.sample_rate


def probe(path: Path | str) -> AudioInfo:
    """Return what ``path`` is.

    Raises:
        UnreadableAudio: if it is missing, not a file, empty, not media, or without sound.
    """
    path = Path(path)
    with _opened(path) as (container, stream):
        tags = {key.lower(): value for key, value in {**stream.metadata, **container.metadata}.items()}
        length = 0.0
        if container.duration:
            length = container.duration / 1e6
        elif stream.duration:
            length = float(stream.duration * stream.time_base)
        return AudioInfo(
            path=path,
            duration=length,
            sample_rate=int(stream.codec_context.sample_rate),
            channels=int(stream.codec_context.channels),
            codec=str(stream.codec_context.name),
            title=tags.get("title", path.stem),
            artist=tags.get("artist", ""),
        )


def decode(path: Path | str, sample_rate: int = 48000) -> Track:
    """Read the whole of ``path``, as stereo at ``sample_rate`` (Hz).

    Raises:
        UnreadableAudio: if it cannot be read, holds no sound, or is longer than :data:`LONGEST_WHOLE`.
    """
    info = probe(path)
    if info.duration > LONGEST_WHOLE:
        hours = info.duration / 3600
        raise UnreadableAudio(f"{info.path}: {hours:.1f} hours are too long to hold in memory; stream it by blocks()")
    pieces = list(_pieces(info.path, sample_rate, 0.0))
    return Track(frozen(np.concatenate(pieces)), sample_rate, info)


def blocks(path: Path | str, hop: int = HOP, sample_rate: int = 48000, start: float = 0.0) -> Iterator[Samples]:
    """Yield ``(hop, 2)`` float32 blocks of ``path`` from ``start`` (s) on, in bounded memory.

    Block ``k`` begins at sample ``start * sample_rate + k * hop`` of the decoded file, to within a sample. The last
    block is filled up with zeros.

    Raises:
        UnreadableAudio: at the first ``next()`` if the file cannot be read, holds no sound, or ends before ``start``.
    """
    buffer = HopBuffer(hop)
    for piece in _pieces(Path(path), sample_rate, start):
        buffer.push(piece)
        while (block := buffer.pop()) is not None:
            yield block
    if (block := buffer.rest()) is not None:
        yield block


def samples_of(path: Path | str, sample_rate: int = 48000, start: float = 0.0) -> Iterator[Samples]:
    """Yield all samples of ``path`` from ``start`` (s) on, as ``(n, 2)`` float32 of any n: none added, none lost.

    Raises:
        UnreadableAudio: at the first ``next()`` if the file cannot be read, holds no sound, or ends before ``start``.
    """
    yield from _pieces(Path(path), sample_rate, start)


def track_duration(path: Path) -> float:
    """Return the length of a track in s: as its header says or, where that says nothing, counted.

    Raises:
        UnreadableAudio: if it cannot be read, or holds no sound.
    """
    duration = probe(path).duration
    if duration > 0.0:
        return duration
    rate = 48_000
    return sum(len(piece) for piece in samples_of(path, rate)) / rate


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open ``path`` and give (container, its best audio stream); every failure becomes UnreadableAudio."""
    import av

    if not path.exists():
        raise UnreadableAudio(f"{path}: there is no such file")
    if path.is_dir():
        raise UnreadableAudio(f"{path}: this is a folder; name one music file in it")
    try:
        if path.is_file() and path.stat().st_size == 0:
            raise UnreadableAudio(f"{path}: the file is empty (0 bytes)")
        with av.open(str(path), metadata_errors="replace") as container:
            stream = container.streams.best("audio")
            if stream is None:
                what = "a video without sound" if container.streams.video else "a file without sound"
                raise UnreadableAudio(f"{path}: this is {what}")
            yield container, stream
    except av.error.FFmpegError as error:
        raise UnreadableAudio(
            f"{path}: this cannot be read as audio ({_reason(error)}); if it is music, the file is cut short or "
            "damaged: copy or download it again"
        ) from error
    except PermissionError as error:
        raise UnreadableAudio(f"{path}: no permission to read it") from error


def _reason(error: Exception) -> str:
    """Return the codec's words, without its numbers and the names of its functions."""
    return getattr(error, "strerror", None) or type(error).__name__


def _pieces(path: Path, sample_rate: int, start: float) -> Iterator[Samples]:
    """Yield stereo pieces of any length from sample ``round(start * sample_rate)`` on."""
    if start < 0:
        raise UnreadableAudio(f"{path}: cannot start {start:g} s before the beginning")
    skip = round(start * sample_rate)
    got = 0
    with _opened(path) as (container, stream):
        converter = _Converter(sample_rate)
        frames = _frames(path, container, stream)
        if start > 2.0:
            frames, at = _seek(path, container, stream, frames, start)
            skip -= round(at * sample_rate)
        for frame in frames:
            for piece in converter(frame):
                if skip >= len(piece):
                    skip -= len(piece)
                    continue
                yield piece[skip:]
                got += len(piece) - skip
                skip = 0
        for piece in converter(None):
            if skip < len(piece):
                yield piece[skip:]
                got += len(piece) - skip
            skip = max(0, skip - len(piece))
        promised = container.duration / 1e6 if container.duration else 0.0
    if not got:
        if promised > start + 0.1:
            raise UnreadableAudio(
                f"{path}: nothing can be played from {start:g} s on, though it says to last {promised:.1f} s: "
                "the file is cut short or damaged; copy or download it again"
            )
        raise UnreadableAudio(f"{path}: " + (f"it ends before {start:g} s" if start else "it holds no sound at all"))
    there = start + got / sample_rate
    if there < _WHOLE * promised - 1.0:
        # Not a warning: half a set without music is worth a line even to those who asked for none.
        log.error(
            "%s ends at %.1f s, though it says to last %.1f s: the file is cut short or damaged. What there is is "
            "used; copy or download it again to have it whole",
            path, there, promised,
        )  # fmt: skip


def _seek(path: Path, container: Any, stream: Any, frames: Iterator[Any], start: float) -> tuple[Iterator[Any], float]:
    """Jump to a little before ``start``; return the frames from there and the time (s) of the first of them.

    Files that cannot seek are read through from the beginning.
    """
    import av

    first = next(frames, None)
    if first is None or first.pts is None:
        return _chain(first, frames), 0.0
    origin = float(first.pts * first.time_base)
    try:
        # Codecs that overlap their frames need a run-up before their output is exact.
        container.seek(round((origin + start - 1.0) / float(stream.time_base)), stream=stream, backward=True)
    except av.error.FFmpegError:
        return _chain(first, frames), 0.0
    stream.codec_context.flush_buffers()
    frames = _frames(path, container, stream)
    frame = next(frames, None)
    at = 0.0 if frame is None or frame.pts is None else float(frame.pts * frame.time_base) - origin
    # Nothing is said of frames before they are decoded twice: drop the first, which lacks its run-up.
    if frame is not None and frame.pts is not None and at > 0.0:
        at += frame.samples / frame.sample_rate
        return frames, at
    return _chain(frame, frames), max(at, 0.0)


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    if first is not None:
        yield first
    yield from rest


def _frames(path: Path, container: Any, stream: Any) -> Iterator[Any]:
    """Yield decoded frames; a damaged packet costs its own sound and no more."""
    import av

    broken = run = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError as error:  # damaged container: what was read so far stands
            log.warning("%s: it cannot be read on (%s): what was read so far is used", path, _reason(error))
            return
        try:
            frames = packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError as error:
            broken += 1
            run += 1
            if broken == 1:
                log.warning("%s: a damaged part is skipped (%s)", path, _reason(error))
            if run > MOST_BROKEN:
                return
            continue
        run = 0
        yield from frames


class _Converter:
    """Frames of any format to ``(n, 2)`` float32 at one rate; a format that changes on the way is followed."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._format: tuple[Any, ...] | None = None
        self._resampler: Any = None
        self._mono = False

    def __call__(self, frame: Any | None) -> Iterator[Samples]:
        if frame is not None:
            form = (frame.format.name, frame.layout.name, frame.sample_rate, frame.layout.nb_channels)
            if form != self._format:
                yield from self._run(None)
                self._start(form)
            frame.pts = None  # gaps in a damaged file must not confuse the resampler
        yield from self._run(frame)

    def _start(self, form: tuple[Any, ...]) -> None:
        from av.audio.resampler import AudioResampler

        self._format = form
        # Mono keeps its level: the resampler would spread it at -3 dB.
        self._mono = form[3] == 1
        self._resampler = AudioResampler(format="flt", layout="mono" if self._mono else "stereo", rate=self._rate)

    def _run(self, frame: Any | None) -> Iterator[Samples]:
        if self._resampler is None:
            return
        for out in self._resampler.resample(frame):
            piece = out.to_ndarray().reshape(-1, 1 if self._mono else 2)
            if self._mono:
                piece = np.repeat(piece, 2, axis=1)
            # Float files can hold anything; infinities would never leave the analyser's filters again.
            yield np.nan_to_num(np.clip(piece, -8.0, 8.0), nan=0.0).astype(np.float32, copy=False)
