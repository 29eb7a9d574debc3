"""Makes an MP4 of a finished or cut-off Matroska recording, without encoding anything anew.

Matroska counts milliseconds; the exact times are known from the frame rate and the sample rate and are put back here.
The index goes in front (players start at once, also over a network) into space reserved for it, so the file is written
once.
"""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

from vjengine.errors import RecordError
from vjengine.outputs.codecs import load_av, reason
from vjengine.outputs.encode import PRIMING

_INDEX_FIXED, _INDEX_PACKET = 64 * 1024, 40  # bytes an MP4's index can take: at all, and for each packet


def remux(
    source: Path,
    target: Path,
    *,
    fps: Fraction | None = None,
    samples: int | None = None,
    packets: int | None = None,
) -> None:
    """Write the recording ``source`` (MKV) to ``target`` (MP4); ``target`` appears whole or not at all.

    Args:
        source: a recording of :class:`~vjengine.outputs.encode.Encoder`, also one of a process that was killed.
        target: the MP4.
        fps: its frame rate; None reads it from the file.
        samples: length of its sound; None reads it from the file, to one packet.
        packets: how many it has at most; None counts them, which reads the file once more.

    Raises:
        RecordError: if it holds no pictures or the target cannot be written; ``source`` is left as it is.
    """
    av = load_av()
    part = target.with_name(f"{target.stem}.partial{target.suffix}")
    try:
        if packets is None:
            with av.open(str(source)) as recording:
                packets = sum(1 for packet in recording.demux() if packet.size)
        with av.open(str(source)) as recording:
            if not recording.streams.video:
                raise RecordError(f"{source} holds no pictures")
            _copy(av, recording, part, fps, samples, packets)
        with part.open("rb+") as done:
            os.fsync(done.fileno())
        part.replace(target)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise RecordError(f"cannot make {target} of {source}: {reason(error)}") from error
    finally:
        part.unlink(missing_ok=True)


def _copy(av: Any, recording: Any, part: Path, fps: Fraction | None, samples: int | None, packets: int) -> None:
    options = {"moov_size": str(_INDEX_FIXED + _INDEX_PACKET * packets), "fflags": "+bitexact"}
    with av.open(str(part), "w", format="mp4", options=options) as film:
        picture = recording.streams.video[0]
        sound = recording.streams.audio[0] if recording.streams.audio else None
        rate = Fraction(fps or picture.guessed_rate or picture.average_rate)
        tracks = {stream.index: film.add_stream_from_template(stream) for stream in (picture, sound) if stream}
        tracks[picture.index].time_base = slot_length = 1 / rate
        sample_length = Fraction(1, sound.rate) if sound else None
        # A long night has a million packets: whole numbers here, where fractions would take most of the time.
        scale = picture.time_base * rate
        up, down = scale.numerator, scale.denominator
        heard = -PRIMING
        for packet in recording.demux(*(stream for stream in (picture, sound) if stream)):
            if not packet.size:
                continue
            index = packet.stream_index
            if index == picture.index:
                packet.time_base = slot_length
                packet.pts = packet.dts = (2 * packet.pts * up + down) // (2 * down)
                packet.duration = 1
            else:
                packet.time_base = sample_length
                packet.pts = packet.dts = heard
                packet.duration = PRIMING if samples is None else max(0, min(PRIMING, samples - heard))
                heard += PRIMING
            packet.stream = tracks[index]
            film.mux(packet)
