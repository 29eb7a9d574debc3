"""A film whose continuation collapses on purpose, with the stabiliser and without; and what the built-in one costs.

Each harm is one that chained video models are known for: a cast, darkening, burning, blur, texture that multiplies. It
is done a picture at a time to a scene that glides past, so that what is measured is the loop and not a model. Figures
are held against the film's first second: worst palette distance W1, worst change of detail R, slope of W1, worst seam;
and chunks that were there before, by their content; how much moves from picture to picture; and CPU time a picture,
which is loop, harm and stabiliser. Left alone, a film ends where nothing is left that differs.

One film of them all: ``python -m benchmarks.longcat --harms blur --held-only --scene paper --seed 2 --seconds 120``.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from benchmarks.collapse_measures import Distance, distance, look, movement, pooled, slope
from benchmarks.collapse_scenes import SCENES, Picture, scene
from benchmarks.common import Report, arguments
from benchmarks.harness import scratch
from vjengine.errors import GeneratorError
from vjengine.offline.clips import read_clip
from vjengine.offline.continuation import Ask, Carried, Opening
from vjengine.offline.longcat.builtin import Builtin
from vjengine.offline.longcat.collapsing import Drifting, Harm
from vjengine.offline.longcat.film import Film
from vjengine.offline.longcat.settings import Settings
from vjengine.offline.manifest import RunFolder
from vjengine.offline.progress import Interrupt

SIZE = (256, 144)
FPS = Fraction(12)
QUICK: tuple[Harm, ...] = ("magenta", "blur", "sharpen")
FULL: tuple[Harm, ...] = ("magenta", "green", "dark", "grey", "burn", "blur", "sharpen")
MOMENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of a film that its row of the picture shows."""
SETTLED = 2.0
"""s after which a film is measured."""


@dataclass(slots=True)
class Found:
    """What was measured of a film."""

    distances: list[Distance]
    minutes: list[float]
    seams: list[float]
    chunks: int
    repeats: int
    refused: int
    seconds: float
    moves: float
    cost: float
    pictures: list[Image.Image]


@dataclass(frozen=True, slots=True)
class Case:
    """A film to be made: a scene, by name and seed, and the harm that is done to it for so many s."""

    harm: Harm
    seconds: int
    scene: str = "carnival"
    seed: int = 1


def make(folder: Path, case: Case, *, stabilise: bool) -> Found:
    """Make a film and measure it as it was written."""
    harm, seconds = case.harm, case.seconds
    continuation = Drifting(Builtin(), harm)
    settings = Settings(
        SIZE, FPS, int(seconds * FPS), stabilise=stabilise, watch=False, gates=stabilise, drift=True, retries=2
    )
    keeper = Interrupt("", lambda words: None)
    start = (scene(case.scene, SIZE, case.seed) * 65535).clip(0, 65535).astype(np.uint16)[None]
    began = time.process_time()
    with RunFolder.open(folder / f"{harm}-{stabilise}", settings.plan(continuation, start)) as run:
        film = Film(settings, continuation, run, Opening(pictures=start, seed=case.seed), keeper)
        try:
            pieces = film.make()
        except GeneratorError:  # nothing new is left in it
            pieces = run.pieces("chunks").prefix()
    cost = time.process_time() - began
    total = sum(piece.frames for piece in pieces)
    kept: dict[int, Image.Image] = {}
    wanted = {round(share * (total - 1)) + 1: column for column, share in enumerate(MOMENTS)}
    first, found, minutes, moves = [], [], [], []
    last: Picture | None = None
    number = 0
    for piece in pieces:
        for shown in read_clip(piece.clip):
            picture = shown.astype(np.float32) / np.float32(255)
            number += 1
            if number in wanted:
                kept[wanted[number]] = Image.fromarray(shown)
            if number <= FPS:
                first.append(look(picture))
            elif number % int(FPS) == 0 and number > SETTLED * FPS:
                found.append(distance(look(picture), pooled(first)))
                minutes.append(number / float(FPS) / 60)
                if last is not None:
                    moves.append(movement(picture, last))
            last = picture
    seams = [float(piece.meta["figures"]["seam"]) for piece in pieces if "figures" in piece.meta]
    digests = {piece.meta["signature"]["digest"] for piece in pieces}
    repeats = len(pieces) - len(digests)
    return Found(
        found,
        minutes,
        seams,
        len(pieces),
        repeats,
        film.tally.retried,
        number / float(FPS),
        float(np.median(moves)) if moves else 0.0,
        cost / max(1, number),
        list(kept.values()),
    )


def sheet(films: dict[str, Found]) -> Image.Image:
    """Return a picture: a row a film, from its first moment to its last."""
    left, gap, (width, height) = 150, 4, SIZE
    paper = Image.new("RGB", (left + len(MOMENTS) * (width + gap), len(films) * (height + gap) - gap), (18, 18, 18))
    pen = ImageDraw.Draw(paper)
    for row, (name, found) in enumerate(films.items()):
        y = row * (height + gap)
        pen.text((6, y + height // 2 - 12), name, fill=(230, 230, 230))
        for column, picture in enumerate(found.pictures):
            paper.paste(picture, (left + column * (width + gap), y))
        pen.text((6, y + height // 2 + 2), f"{found.seconds / 60:.3g} min", fill=(150, 150, 150))
    return paper


def pace(size: tuple[int, int], frames: int) -> list[float]:
    """Return the pictures a second of CPU time that the built-in continuation makes, in chunks of 12."""
    keeper = Interrupt("", lambda words: None)
    builtin = Builtin()
    carried = builtin.open(Opening("silk", seed=1), size, keeper)
    found = []
    for index in range(max(2, frames // 12)):
        began = time.thread_time()
        clip = builtin.extend(carried, Ask(index, 12, seed=index, fps=Fraction(30), prompt="silk"), keeper)
        if index:
            found.append(12 / (time.thread_time() - began))
        carried = Carried(clip.frames[-1:], carried.anchor, clip.state)
    return found


def tell(report: Report, name: str, found: Found) -> None:
    """Add a film's figures to the report."""
    report.add(f"{name}: W1, worst", "Lab", max(d.w1 for d in found.distances), goal="<= 6")
    worst = max((d.detail for d in found.distances), key=abs)
    report.add(f"{name}: R, worst", "log2", worst, goal="-1 to 1")
    report.add(f"{name}: seam, worst", "ratio", max(found.seams), goal="<= 1.5")
    if found.seconds >= 300:
        rise = slope(found.minutes, [d.w1 for d in found.distances])
        report.add(f"{name}: slope of W1", "/min", rise, goal="< 0.2")
    report.add(f"{name}: repeats of {found.chunks} chunks", "chunks", found.repeats, goal="0")
    report.add(f"{name}: moves", "levels a picture", found.moves)
    report.add(f"{name}: CPU time", "ms a picture", 1000 * found.cost)
    report.note(f"  {found.seconds:.0f} s of film; {found.refused} takes refused")


def main() -> int:
    """Run the benchmark."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--seconds", type=int, default=0, help="length of each film (default: 20, or 600 with --full)")
    parser.add_argument(
        "--harms", nargs="+", choices=FULL, default=None, help="only these (default: 3, all with --full)"
    )
    parser.add_argument("--held-only", action="store_true", help="none that is left alone, and no pace")
    parser.add_argument("--scene", choices=SCENES, default="carnival", help="what it begins with (default: carnival)")
    parser.add_argument("--seed", type=int, default=1, help="of the scene and the film (default: 1)")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write a picture of the films' moments")
    args = parser.parse_args()
    films: dict[str, Found] = {}
    cv2.setNumThreads(1)
    report = Report("longcat", as_json=args.json)
    sizes = () if args.held_only else ((640, 360), (1280, 720)) if args.full else ((640, 360),)
    for size in sizes:
        goal = ">= 60" if size == (640, 360) else ""
        report.add(f"builtin {size[0]}x{size[1]}", "fps", pace(size, 120 if args.full else 36), goal=goal)
    where = "" if (args.scene, args.seed) == ("carnival", 1) else f" {args.scene} {args.seed}"
    with scratch() as folder:
        for harm in args.harms or (FULL if args.full else QUICK):
            case = Case(harm, args.seconds or (600 if args.full else 20), args.scene, args.seed)
            for stabilise in (True,) if args.held_only else (True, False):
                found = make(folder, case, stabilise=stabilise)
                name = f"{harm}{where}, {'held' if stabilise else 'left alone'}"
                films[name] = found
                if found.distances:
                    tell(report, name, found)
        if args.sheet:
            args.sheet.parent.mkdir(parents=True, exist_ok=True)
            sheet(films).save(args.sheet)
    return 0


if __name__ == "__main__":
    sys.exit(main())
