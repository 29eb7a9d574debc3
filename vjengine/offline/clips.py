"""Whole films of clips: joined by copying, the sound put under it once, chapters and tags; nothing is encoded twice.

Every time is a whole number of pictures or samples, so an hour does not drift. A target appears whole or not at all,
with its index in front: it starts at once, also over a network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vjengine.audio.files import probe, samples_of
from vjengine.errors import RecordError, UnreadableAudio
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
from vjengine.offline.filmfile import BLOCK, Chapter, FilmFile, Opened, Samples, Sound
from vjengine.outputs.codecs import load_av

__all__ = [
    "CARRIED",
    "CLIP",
    "Chapter",
    "ClipInfo",
    "ClipWriter",
    "Sound",
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
    with FilmFile(av, target, packets=total) as film:
        with Opened(av, clips[0]) as first:
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
    packets = info.frames + wanted // BLOCK + 8
    with FilmFile(av, target, packets=packets, chapters=len(chapters), rate=rate) as out, Opened(av, film) as source:
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
    with Opened(av, film) as source:
        packets = sum(1 for packet in source.demux() if packet.size)
        rate = int(source.streams.audio[0].rate) if source.streams.audio else 0
    with FilmFile(av, target, packets=packets, chapters=len(chapters), rate=rate) as out, Opened(av, film) as source:
        out.tag(chapters, metadata or {}, info.duration)
        out.copy_all(source)


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
    """Yield samples in blocks of :data:`BLOCK`; the last one is shorter."""
    waiting, count = [first], len(first)
    for piece in rest:
        waiting.append(piece)
        count += len(piece)
        if count < BLOCK:
            continue
        whole = np.concatenate(waiting)
        end = len(whole) // BLOCK * BLOCK
        for at in range(0, end, BLOCK):
            yield whole[at : at + BLOCK]
        waiting, count = [whole[end:]], len(whole) - end
    whole = np.concatenate(waiting)
    for at in range(0, len(whole), BLOCK):
        yield whole[at : at + BLOCK]
