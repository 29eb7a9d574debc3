"""What the drawn previews share: colours, letters, times, and a file that appears whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vjengine.errors import MissingDependency, RecordError
from vjengine.offline import disk

if TYPE_CHECKING:
    from PIL.Image import Image

GROUND, PANEL, TEXT, FAINT = "#0d0f14", "#141821", "#d5dae3", "#3a4252"
WAVE, LOUD, MARK = "#5b8def", "#f2b84b", "#f26b5b"
SECTION_COLOURS: Mapping[str, str] = {
    "silence": "#2a2f3a",
    "intro": "#3d5a80",
    "build": "#b5838d",
    "drop": "#e85d5d",
    "breakdown": "#4a8c8c",
    "verse": "#6d597a",
    "outro": "#355070",
}
PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def load_pillow() -> Any:
    """Return Pillow's ``Image`` module.

    Raises:
        MissingDependency: if it is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependency("Pillow (previews)", "pip install pillow") from error
    return Image


def font(size: int) -> Any:
    """Return Pillow's own letters, ``size`` px high."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


def clock(seconds: float, *, tenths: bool = False) -> str:
    """Return a time as one reads it: ``1:05``, ``1:02:05``, ``1:05.2``."""
    count = round(seconds * 10) / 10 if tenths else float(int(seconds + 1e-6))
    minutes, rest = divmod(count, 60.0)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{rest:04.1f}" if tenths else f"{int(rest):02d}"
    return f"{hours}:{minutes:02d}:{shown}" if hours else f"{minutes}:{shown}"


def check_picture(path: Path) -> None:
    """Refuse a name that no picture can have.

    Raises:
        RecordError: names the endings there are, or the folder that is missing.
    """
    if path.suffix.lower() not in PICTURES:
        raise RecordError(f"{path}: a picture's name must end in {', '.join(PICTURES)}")
    check_folder(path)


def check_folder(path: Path) -> None:
    """Raise RecordError if the folder of ``path`` is not there."""
    if not path.absolute().parent.is_dir():
        raise RecordError(f"{path}: there is no folder {path.absolute().parent}; make it first")


def save(image: Image, path: Path) -> None:
    """Write ``image`` to ``path``; it appears whole or not at all.

    Raises:
        RecordError: if it cannot be written.
    """
    check_picture(path)
    kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}[path.suffix.lower()]
    options: dict[str, Any] = {} if kind == "PNG" else {"quality": 90}
    with whole_file(path) as temporary:
        image.save(temporary, kind, **options)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """``with whole_file(path) as temporary``: write there; it becomes ``path`` at the end, or is gone after a fault.

    Raises:
        RecordError: if it cannot be written; names the disk if that is full.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise disk.failure(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
