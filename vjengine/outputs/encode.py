"""Turns timed pictures and timed sound into a Matroska file that is playable at any moment, whatever happens next.

Synchronous and without threads: :mod:`vjengine.outputs.record` runs it in its own. Matroska, because a file that is cut
off anywhere still plays; :mod:`vjengine.outputs.remux` makes the MP4 of it in the end.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vjengine.core.frame import Pixels
from vjengine.errors import RecordError
from vjengine.outputs.codecs import configure_video, load_av, reason, video_options
from vjengine.outputs.soundtrack import Samples, Soundtrack

PRIMING = 1024
"""Samples of silence the AAC encoder puts in front; also the samples of one of its packets."""

_BLOCK = 1024
_LATE = 0.75  # frames by which a picture may miss the next slot and still take it: pairs of drop and repeat look worse
_SILENT_AFTER, _SILENT_UNTIL = 1.0, 0.5  # s behind the picture: when missing sound becomes silence, and up to where
_HELD_BACK = 10.0  # s of sound that wait for pictures before more is refused, live


class Encoder:
    """Writes one Matroska file: H.264 at a constant frame rate, AAC if there is a sample rate.

    Args:
        path: the file; it is written over.
        size: (width, height) of the pictures in px, both even.
        fps: frames a second of the file.
        sample_rate: Hz of the sound; None for a silent film.
        elastic: True for sound and pictures on two different clocks (live).
        codec: name of an encoder of libavcodec.
        crf: quality, lower is better; 18 looks like the original.
        preset: speed of x264.

    Raises:
        RecordError: if the file or an encoder cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        fps: Fraction,
        sample_rate: int | None,
        *,
        elastic: bool,
        codec: str,
        crf: int,
        preset: str,
    ) -> None:
        self._av = load_av()
        self.size = size
        self.fps = fps
        self.slots = 0
        self.frames = 0
        self.duplicated = 0
        self.dropped = 0
        self.samples = 0
        self.packets = 0
        self._elastic = elastic
        self._last: Any = None
        self._waiting: deque[Samples] = deque()
        self._waiting_samples = 0
        self._sound = Soundtrack(sample_rate, elastic=elastic) if sample_rate else None
        self._video: Any = None
        self._audio: Any = None
        try:
            # One write to the disk a packet, one cluster each half second: that much a killed process may lose.
            self._file = self._av.open(
                str(path),
                "w",
                format="matroska",
                options={"fflags": "+bitexact+flush_packets", "flush_packets": "1", "cluster_time_limit": "500"},
            )
        except (self._av.FFmpegError, OSError) as error:
            raise RecordError(f"cannot write {path}: {reason(error)}; choose another folder") from error
        try:
            self._video = self._add_video(codec, crf, preset)
            self._audio = self._add_audio(sample_rate) if sample_rate else None
            self._file.start_encoding()
        except (self._av.FFmpegError, OSError, ValueError) as error:
            self.abandon()
            raise RecordError(f"cannot record to {path} with {codec}: {reason(error)}") from error

    def _add_video(self, codec: str, crf: int, preset: str) -> Any:
        stream = self._file.add_stream(codec, rate=self.fps, options=video_options(codec, crf, preset))
        context = stream.codec_context
        configure_video(context, self.size, self.fps)
        context.flags |= self._av.codec.context.Flags.bitexact
        return stream

    def _add_audio(self, rate: int) -> Any:
        stream = self._file.add_stream("aac", rate=rate)
        stream.codec_context.bit_rate = 192_000
        stream.codec_context.flags |= self._av.codec.context.Flags.bitexact
        return stream

    @property
    def seconds(self) -> float:
        """Length of the picture so far in s."""
        return float(self.slots / self.fps)

    def put_frame(self, pixels: Pixels, time: float) -> None:
        """Encode the picture that is to be seen from ``time`` s on; missing ones before it repeat the last.

        Raises:
            av.FFmpegError: if the encoder fails or the disk refuses.
        """
        slot = self._slot(time)
        if slot < self.slots:
            self.dropped += 1
            return
        picture = self._picture(pixels)
        first = self.slots
        for missing in range(first, slot):
            self._encode(self._last if self._last is not None else picture, missing)
        self.duplicated += slot - first
        self._encode(picture, slot)
        self.frames += 1
        self._last = picture
        self._keep_sound_close()
        self._encode_sound()

    def put_audio(self, samples: Samples, time: float) -> None:
        """Encode ``(n, 2)`` float32 samples, the first of which sounds at ``time`` s.

        Raises:
            av.FFmpegError: if the encoder fails or the disk refuses.
        """
        if self._sound is None:
            return
        if self._elastic and self._waiting_samples > _HELD_BACK * self._sound.rate:
            return  # no pictures come; what is refused here becomes silence when they do
        self._queue_sound(self._sound.place(samples, time))
        self._encode_sound()

    def close(self) -> None:
        """Write everything out; sound ends with the picture.

        Raises:
            av.FFmpegError: if the disk refuses; :meth:`abandon` then lets go of the file.
        """
        if self._sound is not None:
            end = self._sound_end()
            self._queue_sound(self._sound.pad_to(end))
            self._encode_sound(last=True)
        for stream in (self._video, self._audio):
            # An encoder that never saw a frame has nothing to flush, and some complain when asked.
            if (self.slots if stream is self._video else self.samples) and stream is not None:
                self._mux(stream.encode(None))
        self._file.close()

    def abandon(self) -> None:
        """Let go of the file as it is, after a fault."""
        try:
            self._file.close()
        except (self._av.FFmpegError, OSError, ValueError):
            return  # the same fault again; the file descriptor is given back all the same

    def _slot(self, time: float) -> int:
        place = time * self.fps.numerator / self.fps.denominator
        return self.slots if abs(place - self.slots) <= _LATE else round(place)

    def _picture(self, pixels: Pixels) -> Any:
        frame = self._av.VideoFrame.from_numpy_buffer(pixels, format="rgba")
        # sRGB in, BT.709 video range out, as players assume of HD.
        return frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")

    def _encode(self, picture: Any, slot: int) -> None:
        picture.pts = slot
        picture.time_base = 1 / self.fps
        self._mux(self._video.encode(picture))
        self.slots = slot + 1

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            self._file.mux(packet)
            self.packets += 1

    # Sound is encoded only as far as there is picture, so that both end together.

    def _sound_end(self) -> int:
        rate = self._sound.rate if self._sound is not None else 0
        return round(self.slots * rate / self.fps)

    def _queue_sound(self, blocks: list[Samples]) -> None:
        for block in blocks:
            self._waiting.append(block)
            self._waiting_samples += len(block)

    def _keep_sound_close(self) -> None:
        """Live, a lost sound device must not hold the pictures back: they would wait for it inside the muxer."""
        if self._sound is None or not self._elastic:
            return
        rate = self._sound.rate
        if self._sound_end() - self._sound.position > _SILENT_AFTER * rate:
            self._queue_sound(self._sound.pad_to(self._sound_end() - int(_SILENT_UNTIL * rate)))

    def _encode_sound(self, last: bool = False) -> None:
        allowed = min(self._sound_end() - self.samples, self._waiting_samples)
        take = allowed if last else allowed // _BLOCK * _BLOCK
        if take <= 0 or self._audio is None:
            return
        while take > 0:
            n = min(_BLOCK, take)
            self._encode_block(self._next_sound(n))
            take -= n

    def _next_sound(self, n: int) -> Samples:
        """Take ``n`` waiting samples, as ``(2, n)``. A whole track may wait, so nothing that stays is copied."""
        parts = []
        missing = n
        while missing:
            block = self._waiting.popleft()
            if len(block) > missing:
                self._waiting.appendleft(block[missing:])
                block = block[:missing]
            parts.append(block)
            missing -= len(block)
        self._waiting_samples -= n
        return np.ascontiguousarray(np.concatenate(parts).T)

    def _encode_block(self, block: Samples) -> None:
        frame = self._av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
        frame.sample_rate = self._audio.rate
        frame.pts = self.samples
        frame.time_base = Fraction(1, self._audio.rate)
        self._mux(self._audio.encode(frame))
        self.samples += block.shape[1]
