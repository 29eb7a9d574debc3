"""What an album is made of: a setlist in YAML, a folder of tracks, or a playlist. Strictly read, checked before hours
of work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vjengine.engine.options import parse_size
from vjengine.errors import ConfigError, UnreadableAudio, UsageError
from vjengine.strict_yaml import Place, Reader, number, read_fields, read_yaml, text, whole

AUDIO = (".flac", ".wav", ".aif", ".aiff", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".wv", ".w64", ".alac")
"""Endings that count as tracks in a folder."""

CROSSFADE = 1.0
"""s of crossfade where the setlist says nothing. A generator begins empty: a cut would show it growing."""

MOST_TRACKS = 999
MOST_SEED = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One track of a setlist.

    Attributes:
        file: the audio file.
        title, artist: for chapters and the report.
        look: the first look, by name or file.
        generator: what draws, as ``--generator`` takes it.
        prompt, negative: as ``--prompt`` and ``--negative``.
        score: file of scenes and cues, as ``render --score`` takes it.
        seed: of everything random; None derives one from the album's seed and the track's own bytes.
        start, duration: s of the track to take; ``duration`` None takes the rest.
        gap: s of silence after the track, during which its picture goes on.
        crossfade: s over which the picture of the track before, going on, becomes this one's; the sound stays gapless.
            None: :data:`CROSSFADE`, or none at all into a very short track.
    """

    file: Path
    title: str = ""
    artist: str = ""
    look: str = "default"
    generator: str = "procedural"
    prompt: str = ""
    negative: str | None = None
    score: Path | None = None
    seed: int | None = None
    start: float = 0.0
    duration: float | None = None
    gap: float = 0.0
    crossfade: float | None = None


@dataclass(frozen=True, slots=True)
class Setlist:
    """A whole album.

    Attributes:
        title, artist, date: for the film's metadata.
        size: px.
        fps: pictures a second.
        seed: from which the tracks' seeds are derived.
        tracks: in order, at least one.
        source: the file or folder it was read from.
    """

    title: str
    tracks: tuple[Entry, ...]
    source: Path
    artist: str = ""
    date: str = ""
    size: tuple[int, int] = (1280, 720)
    fps: float = 60.0
    seed: int = 1
    warnings: tuple[str, ...] = field(default=())


_TRACK: dict[str, Reader] = {
    "title": text(200),
    "artist": text(200),
    "look": text(400),
    "generator": text(400),
    "prompt": text(2000),
    "negative": text(2000),
    "score": text(1000),
    "seed": whole(0, MOST_SEED),
    "start": number(0.0, 1e6, "s"),
    "duration": number(0.05, 1e7, "s"),
    "gap": number(0.0, 600.0, "s"),
    "crossfade": number(0.0, 60.0, "s"),
}
_OF_ONE_TRACK = ("title", "start", "duration")


def _size(place: Place, value: Any) -> tuple[int, int]:
    try:
        return parse_size(str(value))
    except UsageError:
        place.refuse(value, "WIDTHxHEIGHT, even numbers from 16 to 8192, such as 1280x720")


_DEFAULTS: dict[str, Reader] = {
    **{key: reader for key, reader in _TRACK.items() if key not in _OF_ONE_TRACK},
    "size": _size,
    "fps": number(1.0, 240.0),
}


def read_setlist(path: Path) -> Setlist:
    """Read the setlist, folder or playlist ``path``; nothing is opened yet but this.

    Raises:
        ConfigError: a setlist is wrong; the message names file, key, value and what was expected.
        UsageError: there is nothing of that name, or it holds no tracks.
    """
    if path.is_dir():
        return _of_files(path, _in_folder(path))
    if not path.exists():
        raise UsageError(f"{path}: there is no such setlist, folder or playlist")
    if path.suffix.lower() in (".m3u", ".m3u8"):
        return _of_files(path, _in_playlist(path))
    if path.suffix.lower() in (".yaml", ".yml"):
        return _from_yaml(path)
    raise UsageError(f"{path}: an album is made of a setlist (.yaml), a playlist (.m3u, .m3u8) or a folder of tracks")


def with_tags(setlist: Setlist) -> Setlist:
    """Fill in titles and artists that are missing from the files' tags, and check that every track can be played.

    Two tracks of one title are told apart by a number in the film's chapters.

    Raises:
        UnreadableAudio: names every track that is missing, broken, empty or shorter than its ``start``.
        UsageError: a crossfade is longer than its track.
    """
    from vjengine.audio.files import probe, samples_of

    faults: list[str] = []
    tracks: list[Entry] = []
    for entry in setlist.tracks:
        try:
            info = probe(entry.file)
            samples = samples_of(entry.file, start=entry.start)
            next(samples)
            samples.close()  # type: ignore[attr-defined]
        except UnreadableAudio as error:
            faults.append(str(error))
            continue
        length = entry.duration if entry.duration is not None else info.duration - entry.start
        fade = entry.crossfade
        if fade is None:
            fade = CROSSFADE if length >= 4 * CROSSFADE else 0.0
        elif tracks and 0.0 < length <= fade:
            raise UsageError(f"{entry.file}: crossfade {fade:g} s is as long as the track ({length:.1f} s)")
        named = replace(entry, title=entry.title or info.title, artist=entry.artist or info.artist, crossfade=fade)
        tracks.append(named)
    if faults:
        many = f"{len(faults)} of {len(setlist.tracks)} tracks cannot be played; " if len(faults) > 1 else ""
        raise UnreadableAudio(many + "; ".join(faults[:8]) + ("; …" if len(faults) > 8 else ""))
    told_apart, warnings = _apart(tracks)
    return replace(setlist, tracks=told_apart, warnings=warnings)


def _apart(tracks: Sequence[Entry]) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Number the titles that come more than once: chapters of one name cannot be told apart in a player."""
    seen: dict[str, int] = {}
    named: list[Entry] = []
    warnings: list[str] = []
    for entry in tracks:
        count = seen[entry.title] = seen.get(entry.title, 0) + 1
        if count > 1:
            title = f"{entry.title} ({count})"
            warnings.append(f"{entry.file.name}: the title {entry.title!r} is there already; its chapter is {title!r}")
            entry = replace(entry, title=title)
        named.append(entry)
    return tuple(named), tuple(warnings)


def _from_yaml(path: Path) -> Setlist:
    folder = path.resolve().parent

    def file(place: Place, value: Any) -> Path:
        return folder / Path(text(1000)(place, value)).expanduser()

    def tracks(place: Place, value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list) or not 0 < len(value) <= MOST_TRACKS:
            place.refuse(value, f"a list of 1 to {MOST_TRACKS} tracks")
        table = {**_TRACK, "file": file, "score": file}
        read = []
        for index, item in enumerate(value):
            fields = {"file": file(place.item(index), item)} if isinstance(item, str) else None
            if fields is None:
                fields = read_fields(place.item(index), item, table)
            if "file" not in fields:
                place.item(index).refuse(item, "a track with a 'file'")
            read.append(fields)
        return read

    def defaults(place: Place, value: Any) -> dict[str, Any]:
        return read_fields(place, value, {**_DEFAULTS, "score": file})

    table: dict[str, Reader] = {
        "title": text(200), "artist": text(200), "date": text(40), "defaults": defaults, "tracks": tracks,
    }  # fmt: skip
    found = read_fields(Place(path), read_yaml(path), table)
    if "tracks" not in found:
        raise ConfigError(path, "tracks", None, "a list of tracks")
    common: dict[str, Any] = dict(found.get("defaults", {}))
    album = {key: common.pop(key) for key in ("size", "fps", "seed") if key in common}
    artist = found.get("artist", common.get("artist", ""))
    entries = tuple(_entry(common, fields) for fields in found["tracks"])
    return Setlist(
        found.get("title", path.stem), entries, path, artist=artist, date=found.get("date", ""), **album
    )  # fmt: skip


def _entry(common: Mapping[str, Any], fields: Mapping[str, Any]) -> Entry:
    return Entry(**{**common, **fields})


def _of_files(source: Path, files: Sequence[Path]) -> Setlist:
    if not files:
        raise UsageError(f"{source}: there are no tracks in it; known are {', '.join(AUDIO)}")
    if len(files) > MOST_TRACKS:
        raise UsageError(f"{source}: {len(files)} tracks are too many for one film; the most is {MOST_TRACKS}")
    return Setlist(source.resolve().stem, tuple(Entry(file) for file in files), source)


def _in_folder(folder: Path) -> list[Path]:
    natural: Callable[[Path], tuple[str, str]] = lambda path: (path.name.casefold(), path.name)  # noqa: E731
    return sorted((p for p in folder.iterdir() if p.suffix.lower() in AUDIO and p.is_file()), key=natural)


def _in_playlist(playlist: Path) -> list[Path]:
    try:
        lines = playlist.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    except OSError as error:
        raise UsageError(f"{playlist}: {error.strerror}") from error
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for name in names:
        if "://" in name:
            raise UsageError(f"{playlist}: {name} is not on this disk; download it first")
    return [playlist.resolve().parent / Path(name) for name in names]
