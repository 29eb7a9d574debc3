"""A contact sheet: pictures of a film in equal steps, each with its time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vjengine.errors import UsageError
from vjengine.offline.clipfile import clip_info, read_clip
from vjengine.offline.preview.drawing import GROUND, TEXT, check_picture, clock, font, load_pillow, save

_GAP = 6
_LINE = 18


def contact_sheet(
    film: Path,
    out: Path,
    columns: int = 5,
    rows: int = 5,
    *,
    width: int = 1600,
    title: str = "",
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write a contact sheet of ``film`` to ``out``; every picture is from the middle of an equal part of the film.

    A film with fewer pictures than the sheet has places shows each of them once.

    Args:
        film: a film of any kind.
        out: ``.png``, ``.jpg`` or ``.webp``.
        columns, rows: pictures beside and above one another.
        width: of the sheet, px.
        title: a line above.
        tell: told how many pictures are done, and of how many.

    Raises:
        UsageError: for a sheet of no pictures.
        RecordError: if the film cannot be read or the sheet cannot be written.
    """
    if not (1 <= columns <= 40 and 1 <= rows <= 40):
        raise UsageError(f"a contact sheet of {columns} x {rows} pictures: each must be from 1 to 40")
    check_picture(out)
    image_module = load_pillow()
    from PIL import ImageDraw

    info = clip_info(film)
    count = min(columns * rows, info.frames)
    used = -(-count // columns)
    across = max(16, (width - _GAP) // columns - _GAP)
    down = max(9, round(across * info.size[1] / info.size[0]))
    head = _LINE + 2 * _GAP if title else _GAP
    size = (_GAP + columns * (across + _GAP), head + used * (down + _LINE + _GAP))
    sheet = image_module.new("RGB", size, GROUND)
    draw, letters = ImageDraw.Draw(sheet), font(12)
    if title:
        draw.text((_GAP, _GAP), title, fill=TEXT, font=font(14))
    for n in range(count):
        at = (2 * n + 1) * info.frames // (2 * count)
        pixels = next(iter(read_clip(film, at, at + 1)))
        small = image_module.fromarray(pixels).resize((across, down), image_module.Resampling.LANCZOS)
        x, y = _GAP + n % columns * (across + _GAP), head + n // columns * (down + _LINE + _GAP)
        sheet.paste(small, (x, y))
        draw.text((x, y + down + 2), clock(float(at / info.fps), tenths=True), fill=TEXT, font=letters)
        tell(n + 1, count)
    save(sheet, out)
