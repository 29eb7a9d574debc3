"""What a render will take, before it is begun: a plan in words, and time, memory and disk from a few frames of it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from vjengine.engine.offline import OfflineEngine, Progress, Sink, frames_to_render
from vjengine.offline import disk
from vjengine.offline.memory import Peak, host_available
from vjengine.offline.preview.drawing import clock
from vjengine.offline.progress import span
from vjengine.offline.score.curves import Curve, told
from vjengine.offline.score.expressions import Expression
from vjengine.offline.score.staging import Staged
from vjengine.offline.score.timeline import Timeline

PATIENCE = 3.0
"""s of frames that are tried at most, beside what it takes to get ready."""
MOST_FRAMES = 120
_WARM = 3
"""Frames that do not count: the first ones compile."""
_LIST = 60
"""Cues and keyframes shown at most."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a render will take.

    Attributes:
        frames: pictures of the film.
        tried: pictures that were tried to find out.
        ready: s until the first picture, warming up included.
        rate: pictures a second after that.
        memory: MiB at the most, in this process.
        disk: bytes of the finished film; while it is finalised, twice that is needed.
    """

    frames: int
    tried: int
    ready: float
    rate: float
    memory: float
    disk: float

    @property
    def seconds(self) -> float:
        """Wall time of the whole render, s."""
        return self.ready + (self.frames / self.rate if self.rate > 0.0 else 0.0)

    def lines(self, output: Path) -> list[str]:
        """Return it in words, with what there is."""
        free, needed = disk.free_bytes(output.absolute().parent), 2.0 * self.disk
        lines = [
            f"time     about {span(self.seconds)}: {self.rate:.1f} frames a second (tried {self.tried}), "
            f"{span(self.ready)} to get ready",
            f"memory   about {self.memory:.0f} MiB, however long the film; {host_available():.0f} MiB more are free",
            f"disk     about {disk.megabytes(self.disk)}, twice that while it is finalised; "
            f"{disk.megabytes(free)} are free",
        ]
        if free < needed:
            lines.append(f"warning  the disk of {output} is too small for this film: make room, or name another place")
        return lines


def rehearse(
    staged: Staged,
    say: Callable[[str], None] = lambda words: None,
    sink: Callable[[Path, int], Sink] | None = None,
) -> Estimate:
    """Render a few frames from the middle of the film, as large as they will be, and throw them away.

    Args:
        staged: the render.
        say: told what is done.
        sink: makes what takes the frames instead of a film, from a folder and how many there are at most.

    Raises:
        VJError: whatever would keep the film from being made.
    """
    options = staged.options
    fps = Fraction(options.picture.fps).limit_denominator(1001)
    total = frames_to_render(options)
    tried = min(total, MOST_FRAMES + _WARM)
    # The beginning is often black: the middle is nearer to what the film costs.
    middle = options.start + float((total - tried) / fps / 2)
    marks: list[float] = []
    began = time.perf_counter()

    def progress(done: Progress) -> None:
        marks.append(time.perf_counter())
        if len(marks) > _WARM + 1 and marks[-1] - marks[_WARM] > PATIENCE:
            engine.interrupted = True

    with tempfile.TemporaryDirectory(prefix="vjengine-") as folder, Peak() as peak:
        film = Path(folder) / "rehearsal.mkv"
        trial = replace(options, output=film, start=middle, duration=None, frames=tried, stats=None, metrics=None)
        trial = replace(trial, perform=None, warm_up=0.0)
        player = replace(staged, options=trial).player()
        taker = sink(Path(folder), tried) if sink is not None else None
        engine = OfflineEngine(trial, progress=progress, say=say, sink=taker, conductor=player)
        report = engine.run()
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
    ready = marks[0] - began
    warm = min(_WARM, len(marks) - 1)
    spent = marks[-1] - marks[warm]
    rate = (len(marks) - 1 - warm) / spent if spent > 0.0 else 1.0 / max(ready, 1e-3)
    ready += options.warm_up * float(fps) / rate
    return Estimate(total, report.frames, ready, rate, peak.host, size / max(1, report.frames) * total)


def plan_lines(staged: Staged) -> Iterator[str]:
    """Yield what is going to be rendered, line by line: track, film, scenes, prompts, parameters, cues."""
    options, picture = staged.options, staged.options.picture
    fps = Fraction(picture.fps).limit_denominator(1001)
    frames = frames_to_render(options)
    yield f"track    {options.track}"
    yield (
        f"film     {options.output}: {frames} frames, {clock(float(frames / fps), tenths=True)} at "
        f"{float(fps):g} fps, {picture.size[0]}x{picture.size[1]}, {picture.generator}, seed {picture.seed}"
    )
    if staged.analysis is not None:
        sections = ", ".join(f"{i} {s.label} {clock(s.start)}" for i, s in enumerate(staged.analysis.sections, 1))
        yield f"sections {sections or 'none'}"
    if staged.timeline is None:
        yield f"look     {picture.look}"
    else:
        yield from _score_lines(staged.timeline, options.start)


def _score_lines(line: Timeline, start: float) -> Iterator[str]:
    music = line.music

    def when(time: float) -> str:
        bar = f" {music.grid.beat_at(time) / 4:8.2f}|" if music.grid is not None else ""
        return f"{clock(time, tenths=True):>9}{bar}"

    if music.grid is not None:
        middle = music.duration / 2.0
        yield f"beat     {music.grid.tempo_at(middle):.2f} BPM, first bar at {music.grid.time_of(0):.2f} s"
    if not line.scenes or line.scenes[0].start > start:
        yield f"scene    {when(start)}  {line.look}"
    for n, scene in enumerate(line.scenes):
        transition = f", {scene.transition} {scene.fade:.2f} s" if scene.transition != "cut" else ", cut"
        transition = transition if n else ""  # nothing comes before the first one
        prompt = f": {told(scene.prompt)}" if scene.prompt else ""
        yield f"scene    {when(scene.start)}  {scene.name} ({scene.look}{transition}){prompt}"
        yield from _curve_lines(scene.curves, when)
    for i, words in enumerate(line.prompts[:_LIST], 1):
        way = "" if i == len(line.prompts) else f" (then {words.way})"
        yield f"prompt   {when(words.time)}  {told(words.pieces)}{way}"
    yield from _curve_lines(line.curves or {}, when)
    for cue in line.cues[:_LIST]:
        yield f"cue      {when(cue.time)}  {cue.words}"
    more = len(line.cues) - _LIST
    if more > 0:
        yield f"         and {more} cues more"
    for warning in line.warnings:
        yield f"warning  {warning}"


def _curve_lines(curves: Mapping[str, Curve], when: Callable[[float], str]) -> Iterator[str]:
    for name, curve in curves.items():
        for i, key in enumerate(curve.keys[:_LIST], 1):
            value = key.value.text if isinstance(key.value, Expression) else curve.row.show(key.value)
            place = " " * len(when(0.0)) if curve.whole else when(key.time)
            way = "" if i == len(curve.keys) or curve.row.discrete else f" (then {key.way})"
            yield f"  set    {place}  {name} = {value}{way}"
