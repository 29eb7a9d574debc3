"""A track's part of an album as a value: everything that decides its pictures, in a form that travels to a worker."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vjengine import __version__
from vjengine.core.show import Show
from vjengine.engine.options import PictureOptions, RenderOptions
from vjengine.engine.setup import generator_spec, load_show, shader_dir
from vjengine.errors import UnreadableAudio, UsageError
from vjengine.offline.album.setlist import Entry, Setlist
from vjengine.offline.album.timeline import exact_fps
from vjengine.offline.manifest import derive_seed, file_hash, plan_hash
from vjengine.offline.score.model import Score
from vjengine.offline.score.reader import load_score
from vjengine.offline.score.timeline import check_names

FORMAT = 1
"""Raise it when tracks are made in another way: films made before are then made anew."""

RATE = 48000
"""Hz of an album's sound."""


@dataclass(frozen=True, slots=True)
class Input:
    """A file that a job reads, and how to tell whether a file elsewhere is the same one.

    Attributes:
        role: what it is to the job: ``"track"`` or ``"score"``.
        path: where it is on the machine that plans the album.
        sha256: of its bytes, in hexadecimal.
    """

    role: str
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Job:
    """One track, ready to be rendered anywhere.

    Attributes:
        index: place in the setlist, from 0.
        title: for messages.
        options: what the engine is asked; its ``output`` is not used.
        inputs: files that the options name.
        key: hash of everything that decides the pictures; equal keys are equal films.
        rate: Hz at which the track's samples are counted.
        gap: samples of silence after it.
        head: pictures at its start that are kept apart, to be faded into.
        tail: pictures after its end, to be faded out of.
        score: file of scenes and cues that plays beside the music.
        cache: folder of what was heard in tracks; None keeps nothing.
    """

    index: int
    title: str
    options: RenderOptions
    inputs: tuple[Input, ...]
    key: str
    rate: int = RATE
    gap: int = 0
    head: int = 0
    tail: int = 0
    score: Path | None = None
    cache: Path | None = None

    @property
    def fps(self) -> Fraction:
        """Pictures a second, exactly."""
        return exact_fps(self.options.picture.fps)

    def at(self, places: Mapping[str, Path], cache: Path | None) -> Job:
        """Return the job reading its inputs from ``places`` (role -> path), on another machine."""
        options = replace(self.options, track=places["track"])
        inputs = tuple(replace(entry, path=places[entry.role]) for entry in self.inputs)
        return replace(self, options=options, inputs=inputs, score=places.get("score"), cache=cache)


@dataclass(frozen=True, slots=True)
class TrackFilm:
    """What a job made, beside its clips.

    Attributes:
        samples: of the track, its gap included.
        frames: pictures of the track; ``head`` of them in the clip of that name.
        seconds: s of work.
        heard: tempo, beats and sections, for the report.
        notes: on what machine it was made.
    """

    samples: int
    frames: int
    seconds: float
    heard: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


def plan_jobs(setlist: Setlist, cache: Path | None = None) -> list[Job]:
    """Return the jobs of ``setlist``, whose tracks :func:`~vjengine.offline.album.setlist.with_tags` has checked.

    Raises:
        ConfigError: a look or score is wrong.
        UsageError: there is no such look or generator.
        UnreadableAudio: a track cannot be read.
    """
    fps = exact_fps(setlist.fps)
    hashes: dict[Path, str] = {}
    shows: dict[object, str] = {}
    jobs = []
    for index, entry in enumerate(setlist.tracks):
        following = setlist.tracks[index + 1] if index + 1 < len(setlist.tracks) else None
        jobs.append(
            _job(
                index,
                entry,
                setlist,
                hashes,
                shows,
                head=_pictures(entry.crossfade, fps) if index else 0,
                tail=_pictures(following.crossfade, fps) if following is not None else 0,
                cache=cache,
            )
        )
    return jobs


def _job(
    index: int,
    entry: Entry,
    setlist: Setlist,
    hashes: dict[Path, str],
    shows: dict[object, str],
    *,
    head: int,
    tail: int,
    cache: Path | None,
) -> Job:
    inputs = [Input("track", entry.file, _hash_of(entry.file, hashes))]
    if entry.score is not None:
        if not entry.score.is_file():
            raise UsageError(f"{entry.score}: there is no such score (track {index + 1}, {entry.title})")
        inputs.append(Input("score", entry.score, _hash_of(entry.score, hashes)))
    seed = entry.seed
    score = load_score(entry.score) if entry.score is not None else None
    if score is not None and seed is None:
        seed = score.seed
    if seed is None:
        # From the bytes, not the place: a track moved within the setlist stays the film that it was.
        seed = derive_seed(setlist.seed, "track", inputs[0].sha256) % 2**31
    picture = PictureOptions(
        size=setlist.size,
        fps=setlist.fps,
        look=entry.look,
        generator=entry.generator,
        seed=seed,
        prompt=entry.prompt,
        negative=entry.negative,
    )
    options = RenderOptions(
        track=entry.file, output=Path("film"), picture=picture, start=entry.start, duration=entry.duration
    )
    drawn = (entry.look, entry.generator, entry.negative, entry.score)
    if drawn not in shows:
        shows[drawn] = _show_digest(picture, score)
    gap = round(entry.gap * RATE)
    decides = {
        "format": FORMAT,
        "version": __version__,
        "inputs": {item.role: item.sha256 for item in inputs},
        "picture": replace(picture, look=""),
        "show": shows[drawn],
        "start": entry.start,
        "warm_up": options.warm_up,
        "duration": entry.duration,
        "rate": RATE,
        "gap": gap,
        "head": head,
        "tail": tail,
    }
    return Job(
        index, entry.title, options, tuple(inputs), plan_hash(decides),
        gap=gap, head=head, tail=tail, score=entry.score, cache=cache,
    )  # fmt: skip


def _pictures(seconds: float | None, fps: Fraction) -> int:
    return round(Fraction(seconds or 0.0).limit_denominator(1000) * fps)


def _hash_of(path: Path, known: dict[Path, str]) -> str:
    if path not in known:
        try:
            known[path] = file_hash(path)
        except OSError as error:
            raise UnreadableAudio(f"{path}: {error.strerror or error}") from error
    return known[path]


def _show_digest(picture: PictureOptions, score: Score | None) -> str:
    """Hash what the pictures are drawn with: the look (all of them where a score may change it), macros, shaders."""
    show: Show = load_show(picture)
    # What does not exist is refused here, hours before it is needed.
    generator_spec(picture, show)
    if score is not None:
        check_names(score, show.looks, show.macros)
    looks = show.looks if score is not None else {picture.look: show.looks[picture.look]}
    digest = hashlib.sha256(repr((sorted(looks.items()), sorted(show.macros.items()))).encode())
    for path in _files(shader_dir(picture)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _files(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
