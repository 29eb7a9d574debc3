"""Where a film's music is strongest, and which places of it deserve a name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vjengine.audio.features import AnalysisSettings
from vjengine.audio.files import samples_of
from vjengine.audio.sections import Section
from vjengine.audio.source import Samples
from vjengine.audio.track import TrackAnalysis, analyse_pieces

Chapters = tuple[tuple[float, str], ...]

_WORTH = {"drop": 1.0, "verse": 0.6, "build": 0.5, "breakdown": 0.35, "intro": 0.15, "outro": 0.1, "silence": 0.0}
_SHORTEST_CHAPTER = 10.0  # s; YouTube drops all chapters if one is shorter
_FEWEST_CHAPTERS = 3


def heard(audio: Path, start: float, length: float) -> TrackAnalysis:
    """Listen to ``length`` s of ``audio`` from ``start`` s on; times in the result begin there.

    Raises:
        UnreadableAudio: if it cannot be read.
    """
    settings = AnalysisSettings()

    def stretch() -> Iterator[Samples]:
        left = round(length * settings.sample_rate)
        for piece in samples_of(audio, settings.sample_rate, start):
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return

    return analyse_pieces(stretch(), length, settings)


def strongest(sections: Sequence[Section], length: float, count: int, least: float = 3.0) -> list[tuple[float, float]]:
    """Return up to ``count`` stretches (start, end) of at most ``length`` s at the strongest sections, in film order.

    A stretch begins where its section does and may run into the next one. They do not overlap.

    Args:
        sections: of the music, in order.
        length: most s of a stretch.
        count: most stretches.
        least: shortest stretch worth having, s.
    """
    if not sections:
        return []
    end = sections[-1].end
    ranked = sorted(sections, key=lambda s: (-_WORTH[s.label] * (0.5 + s.energy), s.start))
    chosen: list[tuple[float, float]] = []
    for section in ranked:
        if len(chosen) == count or (chosen and not _WORTH[section.label]):
            break
        start = section.start
        stop = min(end, start + length)
        following = [other for other, _ in chosen if other >= start]
        stop = min([stop, *following])
        if stop - start < least or any(a < stop and start < b for a, b in chosen):
            continue
        chosen.append((start, stop))
    if not chosen:
        chosen = [(sections[0].start, min(end, sections[0].start + length))]
    return sorted(chosen)


def chapters_of(sections: Sequence[Section], duration: float) -> Chapters:
    """Return (s, title) of the music's sections, as YouTube takes them; empty if there are too few of them."""
    marks: list[tuple[float, str]] = []
    seen: dict[str, int] = {}
    for section in sections:
        start = 0.0 if not marks else section.start
        if marks and (start - marks[-1][0] < _SHORTEST_CHAPTER or duration - start < _SHORTEST_CHAPTER):
            continue
        seen[section.label] = seen.get(section.label, 0) + 1
        number = f" {seen[section.label]}" if seen[section.label] > 1 else ""
        marks.append((start, section.label.capitalize() + number))
    return tuple(marks) if len(marks) >= _FEWEST_CHAPTERS else ()
