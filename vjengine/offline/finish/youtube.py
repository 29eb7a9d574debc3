"""What YouTube is told of a film: title, description with chapters, tags; as JSON and as a text to paste."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vjengine.errors import ConfigError
from vjengine.offline.finish.music import Chapters

_MUSIC = "10"  # YouTube's category
_TITLE, _DESCRIPTION, _TAGS = 100, 5000, 500  # characters it takes
_APART = 10.0  # s


def clock(seconds: float) -> str:
    """Return a place in a film as YouTube reads it: ``1:05``, ``1:00:05``."""
    whole = math.floor(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def read_chapters(path: Path) -> Chapters:
    """Return (s, title) from lines of ``0:00 Title``; empty lines and ``#`` remarks are passed over.

    Raises:
        ConfigError: if it cannot be read, a line is something else, or they are not in order.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, "chapters", str(path), f"a text file ({error})") from error
    marks: list[tuple[float, str]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        stamp, _, title = line.strip().partition(" ")
        try:
            parts = [float(part) for part in stamp.split(":")]
            if len(parts) > 3 or not all(0 <= p < math.inf for p in parts) or not title.strip():
                raise ValueError(line)
        except ValueError:
            raise ConfigError(path, f"line {number}", line, "`0:00 Title`") from None
        start = sum(part * 60**power for power, part in enumerate(reversed(parts)))
        if marks and start <= marks[-1][0]:
            raise ConfigError(path, f"line {number}", line, "a later time than the line before")
        marks.append((start, title.strip()))
    if not marks:
        raise ConfigError(path, "chapters", "", "at least one line of `0:00 Title`")
    return tuple(marks)


def metadata(
    title: str, artist: str, chapters: Sequence[tuple[float, str]], tags: Sequence[str], words: str, length: float
) -> dict[str, Any]:
    """Return the body of a ``videos.insert`` request of the YouTube Data API, and the chapters.

    Chapters are named in the description as YouTube takes them: the first at 0:00, 10 s apart. Fewer than three make no
    chapters there, only links; without any there is one, at 0:00, that bears the title. Without ``words`` the
    description begins with what can be said anyway.
    """
    taken = _acceptable(chapters, length) or [(0.0, _plain(title))]
    heading = f"{artist} - {title}" if artist else title
    lines = [words or f"{title}: a film of {clock(length)}" + (f" to music by {artist}" if artist else "") + "."]
    if artist:
        lines.append(f"Music: {artist}")
    lines += ["", *(f"{clock(start)} {name}" for start, name in taken)]
    shown = [" ".join(tag.split()) for tag in tags if tag.strip()]
    while shown and sum(len(tag) + 3 for tag in shown) > _TAGS:
        shown.pop()
    return {
        "snippet": {
            "title": _plain(heading)[:_TITLE],
            "description": _plain("\n".join(lines).strip())[:_DESCRIPTION],
            "tags": shown,
            "categoryId": _MUSIC,
        },
        "status": {"privacyStatus": "private", "selfDeclaredMadeForKids": False},
        "chapters": [{"start": round(start, 3), "title": name} for start, name in taken],
        "duration": round(length, 3),
    }


def _acceptable(chapters: Sequence[tuple[float, str]], length: float) -> list[tuple[float, str]]:
    taken: list[tuple[float, str]] = []
    for start, name in chapters:
        place = 0.0 if not taken else start
        if taken and (place - taken[-1][0] < _APART or length - place < _APART):
            continue
        taken.append((place, _plain(name)))
    return taken


def _plain(text: str) -> str:
    """Return ``text`` without the two signs that YouTube refuses."""
    return text.replace("<", "(").replace(">", ")")
