"""From finished tracks to one film: pictures are copied, crossfades are made, all the sound is encoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vjengine.audio.files import samples_of
from vjengine.errors import RecordError
from vjengine.offline import disk
from vjengine.offline.album.film import BODY, HEAD, LAST, TAIL
from vjengine.offline.album.job import Job
from vjengine.offline.album.timeline import Slot, lay_out
from vjengine.offline.clips import Chapter, ClipWriter, read_clip
from vjengine.offline.manifest import RunFolder, plan_hash
from vjengine.offline.pieces import Piece
from vjengine.outputs.codecs import load_av

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Part:
    """A finished track: its job, the piece with its clips, and its samples, gap included."""

    job: Job
    piece: Piece
    samples: int
    frames: int


def place(parts: Sequence[Part]) -> list[Slot]:
    """Return where each track lies in the film."""
    return lay_out([part.samples for part in parts], parts[0].job.rate, parts[0].job.fps)


def chapters(parts: Sequence[Part], slots: Sequence[Slot]) -> list[Chapter]:
    """Return a chapter a track, at its first sample."""
    return [
        Chapter(Fraction(slot.sample, part.job.rate), part.job.title) for part, slot in zip(parts, slots, strict=True)
    ]


def clip_list(run: RunFolder, parts: Sequence[Part], slots: Sequence[Slot], tell: Callable[[str], None]) -> list[Path]:
    """Return the clips that make the film, in order; crossfades that are not there yet are made.

    Raises:
        RecordError: if a clip is broken or the disk is full.
    """
    clips: list[Path] = []
    for index, (part, slot) in enumerate(zip(parts, slots, strict=True)):
        if part.job.head:
            tell(f"fading into {part.job.title}")
            clips.append(_crossfade(run, parts[index - 1], slots[index - 1], part))
        clips.append(part.piece.folder / BODY)
        if slot.frames == part.frames:
            clips.append(part.piece.folder / LAST)
        elif slot.frames != part.frames - 1:
            raise RecordError(f"track {index + 1} has {part.frames} pictures for {slot.frames} places; use --fresh")
    return clips


def _crossfade(run: RunFolder, before: Part, slot: Slot, after: Part) -> Path:
    """Return the clip in which ``before``, going on past its end, becomes ``after``."""
    count = after.job.head
    skip = slot.frames - (before.frames - 1)  # the tail begins with the last picture, which may be shown already
    key = plan_hash({"before": before.piece.key, "after": after.piece.key, "pictures": count, "skip": skip})
    store = run.pieces(f"fade-{key[:20]}")
    found = store.prefix(lambda index: key)
    if found:
        return found[0].clip
    picture = after.job.options.picture
    with store.begin(0, key) as work:
        with ClipWriter(work.folder / "clip.mkv", picture.size, after.job.fps) as writer:
            old = read_clip(before.piece.folder / TAIL, skip, skip + count)
            new = read_clip(after.piece.folder / HEAD, 0, count)
            for n, (left, right) in enumerate(zip(old, new, strict=True)):
                writer.write(blend(left, right, (n + 1) / (count + 1)))
        return work.commit(count).clip


def _to_light() -> npt.NDArray[np.float32]:
    code = np.arange(256, dtype=np.float64) / 255.0
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LIGHT = _to_light()
# Codes by light in 65536 steps: the darkest codes are still 20 steps apart.
_CODE = np.searchsorted(0.5 * (_LIGHT[1:] + _LIGHT[:-1]), np.arange(65536) / 65535.0).astype(np.uint8)


def blend(old: Pixels, new: Pixels, share: float) -> Pixels:
    """Mix two ``(H, W, 3)`` sRGB pictures as two projectors would, in light: ``share`` 0 is ``old``, 1 is ``new``.

    Eased in and out, so that nothing jumps at either end.
    """
    eased = np.float32(share * share * (3.0 - 2.0 * share))
    light = _LIGHT[old] * (np.float32(1.0) - eased) + _LIGHT[new] * eased
    return _CODE[(light * np.float32(65535.0) + np.float32(0.5)).astype(np.uint16)]


def write_sound(
    parts: Sequence[Part], target: Path, tell: Callable[[float], None], stopped: Callable[[], bool] = lambda: False
) -> int:
    """Write the sound of all tracks, one behind another to the sample, as a WAV of 32-bit floats; return its samples.

    Nothing is made louder, softer or shorter; a gap is silence. Files over 4 GB become RF64.

    Raises:
        RecordError: if the disk refuses, or a track has changed since it was rendered.
        KeyboardInterrupt: if ``stopped`` says so.
    """
    av = load_av()
    total = sum(part.samples for part in parts)
    rate = parts[0].job.rate
    done = 0
    try:
        with ExitStack() as stack:
            file: Any = stack.enter_context(av.open(str(target), "w", format="wav", options={"rf64": "auto"}))
            stream = file.add_stream("pcm_f32le", rate=rate, layout="stereo")
            for part in parts:
                for piece in _sound_of(part):
                    frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), format="flt", layout="stereo")
                    frame.sample_rate, frame.pts, frame.time_base = rate, done, Fraction(1, rate)
                    for packet in stream.encode(frame):
                        file.mux(packet)
                    done += len(piece)
                    tell(done / total)
                    if stopped():
                        raise KeyboardInterrupt
            for packet in stream.encode(None):
                file.mux(packet)
    except (av.FFmpegError, OSError) as error:
        raise disk.failure(target, error) from error
    return done


def _sound_of(part: Part) -> Iterator[npt.NDArray[np.float32]]:
    options, missing = part.job.options, part.samples - part.job.gap
    for piece in samples_of(options.track, part.job.rate, options.start):
        piece = piece[:missing]
        missing -= len(piece)
        yield np.ascontiguousarray(piece)
        if not missing:
            break
    if missing:
        raise RecordError(f"{options.track} is {missing} samples shorter than when it was rendered; begin it anew")
    silence = part.job.gap
    while silence:
        count = min(silence, part.job.rate)
        silence -= count
        yield np.zeros((count, 2), np.float32)
