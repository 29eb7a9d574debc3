"""Finishing a film: its pictures in segments, joined by copying, its sound put under it once."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, cast

from vjengine.audio.files import probe
from vjengine.errors import UsageError
from vjengine.offline import disk
from vjengine.offline.clips import Chapter, ClipInfo, add_chapters, add_sound, clip_info, join
from vjengine.offline.finish.cadence import Cadence
from vjengine.offline.finish.encoders import Encoder, choose_encoder
from vjengine.offline.finish.grade import read_cube
from vjengine.offline.finish.networks import check_networks
from vjengine.offline.finish.options import Finished, FinishOptions
from vjengine.offline.finish.pictures import Recipe
from vjengine.offline.finish.segments import make_all
from vjengine.offline.manifest import Piece, RunFolder, file_hash, plan_hash
from vjengine.offline.progress import Meter, Progress

_VERSION = 5  # of everything here that decides a segment's bytes
_SUFFIXES = (".mp4", ".mov", ".mkv")


def finish(
    base: Path,
    out: Path,
    options: FinishOptions | None = None,
    *,
    audio: Path | None = None,
    run: RunFolder | None = None,
    progress: Callable[[Progress], None] | None = None,
    fresh: bool = False,
    keep: bool = False,
) -> Finished:
    """Make ``out`` of the film ``base``: rate, size, grade, encoder, sound, chapters.

    Interrupted at any moment, it goes on where it was when called again with the same film and options, and ends in
    the same bytes.

    Args:
        base: the film as it was made.
        out: the finished film, ``.mp4``, ``.mov`` or ``.mkv``; it appears whole or not at all.
        options: how; None takes 60 pictures a second and nothing else.
        audio: the music; None takes the sound that ``base`` has, if any. It is encoded once, to exactly the length of
            the pictures, and no louder or quieter.
        run: where the segments are kept; None keeps them in ``OUT.parts`` until ``out`` is there.
        progress: told how far it is, often; whatever it raises stops the work, and nothing finished is lost.
        fresh: throw away what an interrupted run left in ``OUT.parts``.
        keep: leave in ``OUT.parts`` what says that ``out`` is done, so that the same call makes nothing twice; who asks
            for it deletes the folder (:func:`parts_of`) when all that is made of ``out`` is there, too.

    Raises:
        UsageError: if the options make no sense.
        MissingDependency: if a network is asked for that is not installed.
        UnreadableAudio: if the music cannot be read.
        RecordError: if the film is broken, an encoder does not open, or the disk refuses.
        ResumeError: if ``OUT.parts`` belongs to another film or other options.
    """
    began = time.perf_counter()
    options = options or FinishOptions(fps=Fraction(60))
    options.check()
    info = _checked(base, out, options, audio)
    recipe, encoder = _recipe(base, info, out, options)
    plan = _plan(base, info, recipe, encoder, options)
    own = run is None
    held = run if run is not None else RunFolder.open(parts_of(out), plan, fresh=fresh)
    try:
        key = plan_hash(plan)
        cadence = recipe.cadence
        sound = audio if audio is not None else (base if info.audio else None)
        whole = plan_hash(_whole(plan, options, sound))
        if _is_done(held.noted("finished"), out, whole):
            elapsed = time.perf_counter() - began
            return Finished(out, cadence.count, cadence.fps, recipe.size, encoder.name, cadence.count, elapsed)
        store = held.pieces(f"finish-{key[:8]}")
        pieces = store.prefix(lambda index: key)
        reused = sum(piece.frames for piece in pieces)
        meter = Meter(cadence.count, reused)
        tell = progress or (lambda state: None)
        tell(meter.at(reused, "getting ready"))
        segments = list(cadence.segments(max(1, round(options.segment * cadence.fps))))
        jobs = [(index, recipe, start, stop) for index, (start, stop) in enumerate(segments)][len(pieces) :]
        processes = max(1, min(options.processes, os.cpu_count() or 1, len(jobs)))
        make_all(
            store, jobs, encoder, options.crf, lambda index: key, processes,
            lambda made: tell(meter.at(reused + made, "finishing")),
        )  # fmt: skip
        tell(meter.at(cadence.count, "joining"))
        made = store.known()
        _assemble(made, held.path / "film.mkv", out, cadence.fps, options, encoder, sound)
        done = {"path": out.name, "frames": cadence.count, "encoder": encoder.name, "whole": whole}
        held.note("finished", {**done, "sha256": file_hash(out)} if keep or not own else done)
        store.clear()
    finally:
        if own:
            held.close()
    if own and not keep:
        shutil.rmtree(held.path, ignore_errors=True)
    elapsed = time.perf_counter() - began
    return Finished(out, cadence.count, cadence.fps, recipe.size, encoder.name, reused, elapsed)


def parts_of(out: Path) -> Path:
    """Return the folder that keeps what there is of the film ``out`` while it, and what is made of it, is not done."""
    return out.with_name(out.name + ".parts")


def _whole(plan: dict[str, Any], options: FinishOptions, sound: Path | None) -> dict[str, Any]:
    """Return what decides the film's bytes: its pictures, and what they are put together with."""
    return {
        "pictures": plan,
        "sound": file_hash(sound) if sound is not None else "",
        "sound_start": options.sound_start,
        "texts": [options.title, options.artist],
        "chapters": [list(chapter) for chapter in options.chapters],
    }


def _is_done(noted: Any, out: Path, whole: str) -> bool:
    """Return whether ``out`` is the very film that was noted as finished."""
    if not isinstance(noted, dict) or noted.get("whole") != whole or not out.is_file():
        return False
    return bool(file_hash(out) == noted.get("sha256"))


def _checked(base: Path, out: Path, options: FinishOptions, audio: Path | None) -> ClipInfo:
    """Refuse before the work what would fail after it."""
    if out.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"-o {out}: the name must end in {', '.join(_SUFFIXES)}")
    if out.resolve() == base.resolve():
        raise UsageError(f"-o {out}: that is the film itself; choose another name")
    if not out.parent.is_dir():
        raise UsageError(f"-o {out}: there is no folder {out.parent}")
    info = clip_info(base)
    if audio is not None:
        probe(audio)
    check_networks(options.interpolate, options.upscale)
    if options.grade.lut is not None:
        read_cube(options.grade.lut)
    late = [title for start, title in options.chapters if not 0 <= start < info.duration]
    if late:
        raise UsageError(f"the chapter {late[0]!r} begins outside the film's {float(info.duration):.1f} s")
    return info


def _recipe(base: Path, info: ClipInfo, out: Path, options: FinishOptions) -> tuple[Recipe, Encoder]:
    fps = options.fps or info.fps
    even = (info.size[0] // 2 * 2, info.size[1] // 2 * 2)
    size = options.size or even
    encoder = choose_encoder(options.encoder, size, fps, out)
    cadence = Cadence(info.fps, fps, info.frames)
    method = options.interpolate
    recipe = Recipe(base, cadence, info.size, size, method, options.upscale, options.fit, options.grade)
    return recipe, encoder


def _plan(base: Path, info: ClipInfo, recipe: Recipe, encoder: Encoder, options: FinishOptions) -> dict[str, Any]:
    lut = recipe.grade.lut
    return {
        "finish": _VERSION,
        "film": {"sha256": file_hash(base), "frames": info.frames, "fps": info.fps, "size": info.size},
        "fps": recipe.cadence.fps,
        "size": recipe.size,
        "interpolate": recipe.method,
        "upscale": recipe.upscale,
        "fit": recipe.fit,
        "grade": {**_numbers(recipe), "lut": file_hash(lut) if lut is not None else ""},
        "encoder": encoder.name,
        "crf": encoder.crf if options.crf is None else options.crf,
        "segment": options.segment,
    }


def _numbers(recipe: Recipe) -> dict[str, float]:
    grade = recipe.grade
    return {"exposure": grade.exposure, "contrast": grade.contrast, "saturation": grade.saturation}


def _assemble(
    made: list[Piece],
    silent: Path,
    out: Path,
    fps: Fraction,
    options: FinishOptions,
    encoder: Encoder,
    sound: Path | None,
) -> None:
    """Join the segments and put the sound under them; ``out`` appears whole."""
    disk.require_space(silent.parent, 2 * sum(piece.size for piece in made))
    tags = {name: text for name, text in (("title", options.title), ("artist", options.artist)) if text}
    chapters = [Chapter(Fraction(start).limit_denominator(1000), title) for start, title in options.chapters]
    clips = [piece.clip for piece in made]
    if sound is None and not chapters and not tags:
        join(clips, out, fps)
        return
    try:
        join(clips, silent, fps)
        if sound is None:
            add_chapters(silent, out, chapters, tags)
        else:
            kind = cast(Literal["aac", "pcm"], encoder.sound if out.suffix.lower() != ".mp4" else "aac")
            add_sound(
                silent, sound, out, start=options.sound_start, sound=kind, chapters=chapters, metadata=tags
            )  # fmt: skip
    finally:
        silent.unlink(missing_ok=True)
