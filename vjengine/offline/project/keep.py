"""What a run shows beside its film: a picture and a clip of each cycle."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from fractions import Fraction
from pathlib import Path

from vjengine.errors import RecordError, VJError
from vjengine.offline import disk
from vjengine.offline.backends.pictures import to_png16
from vjengine.offline.clips import CARRIED, clip_info, load_carried, read_clip16
from vjengine.offline.continuation import Pixels16
from vjengine.offline.manifest import Piece

BASE, IMAGES, CLIPS = "base.mp4", "images", "clips"
_OURS = re.compile(r"\d{4,}(-first)?\.(png|mkv)")


def keep_cycle(run: Path, piece: Piece, fps: Fraction) -> None:
    """Put the last picture of ``piece`` into images/, and its clip into clips/; what is there already stays.

    Piece 0 is what the film begins with: its first picture is kept, and no clip.

    Raises:
        RecordError: if the disk refuses.
    """
    first = piece.index == 0
    image = run / IMAGES / (f"{piece.index:04}-first.png" if first else f"{piece.index:04}.png")
    clip = run / CLIPS / f"{piece.index:04}.mkv"
    try:
        image.parent.mkdir(parents=True, exist_ok=True)
        if not image.is_file():
            part = image.with_suffix(".part")
            part.write_bytes(to_png16(_picture(piece, first)))
            part.replace(image)
        if not first and not _same(clip, piece.clip):
            clip.parent.mkdir(parents=True, exist_ok=True)
            clip.unlink(missing_ok=True)
            try:
                # The same bytes under two names take the disk once.
                os.link(piece.clip, clip)
            except OSError:
                shutil.copyfile(piece.clip, clip)
    except OSError as error:
        raise disk.failure(run, error) from error


def _picture(piece: Piece, first: bool) -> Pixels16:
    # What is carried on has 16 bits, but is dropped two cycles later; the clip stays.
    with contextlib.suppress(VJError, OSError):
        if (piece.folder / CARRIED).is_file():
            frames = load_carried(piece.folder).frames
            picture: Pixels16 = frames[0] if first else frames[-1]
            return picture
    last = clip_info(piece.clip).frames - 1
    for picture in read_clip16(piece.clip, 0 if first else last):
        return picture
    raise RecordError(f"{piece.clip} holds no picture")


def _same(clip: Path, source: Path) -> bool:
    try:
        return clip.stat().st_size == source.stat().st_size
    except FileNotFoundError:
        return False


def throw_away(run: Path) -> None:
    """Delete the pictures and clips of an earlier run in ``run``, and nothing else.

    Raises:
        RecordError: if the disk refuses.
    """
    try:
        for folder in (run / IMAGES, run / CLIPS):
            for path in folder.iterdir() if folder.is_dir() else ():
                if _OURS.fullmatch(path.name):
                    path.unlink()
        (run / "state.json").unlink(missing_ok=True)
    except OSError as error:
        raise RecordError(f"cannot throw away what is in {run}: {error}") from error
