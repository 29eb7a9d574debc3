"""A film whose continuation collapses on purpose, with the stabiliser and without; and what the built-in one costs.

Each harm is one that chained video models are known for: a cast, darkening, burning, blur, texture that multiplies. It
is done a picture at a time to a scene that glides past, so that what is measured is the loop and not a model. Figures
are held against the film's first second: worst palette distance W1, worst change of detail R, slope of W1, worst seam;
and chunks that were there before, by their content. Left alone, a film ends where nothing is left that differs.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from benchmarks.collapse_measures import Distance, distance, look, pooled, slope
from benchmarks.collapse_scenes import scene
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


def make(folder: Path, harm: Harm, seconds: int, *, stabilise: bool) -> Found:
    """Make a film and measure it as it was written."""
    continuation = Drifting(Builtin(), harm)
    settings = Settings(
        SIZE, FPS, int(seconds * FPS), stabilise=stabilise, watch=False, gates=stabilise, drift=True, retries=2
    )
    keeper = Interrupt("", lambda words: None)
    start = (scene("carnival", SIZE, 1) * 65535).clip(0, 65535).astype(np.uint16)[None]
    with RunFolder.open(folder / f"{harm}-{stabilise}", settings.plan(continuation, start)) as run:
        film = Film(settings, continuation, run, Opening(pictures=start, seed=1), keeper)
        try:
            pieces = film.make()
        except GeneratorError:  # nothing new is left in it
            pieces = run.pieces("chunks").prefix()
    first, found, minutes = [], [], []
    number = 0
    for piece in pieces:
        for picture in read_clip(piece.clip):
            number += 1
            if number <= FPS:
                first.append(look(picture.astype(np.float32) / np.float32(255)))
            elif number % int(FPS) == 0 and number > SETTLED * FPS:
                found.append(distance(look(picture.astype(np.float32) / np.float32(255)), pooled(first)))
                minutes.append(number / float(FPS) / 60)
    seams = [float(piece.meta["figures"]["seam"]) for piece in pieces if "figures" in piece.meta]
    digests = {piece.meta["signature"]["digest"] for piece in pieces}
    repeats = len(pieces) - len(digests)
    return Found(found, minutes, seams, len(pieces), repeats, film.tally.retried, number / float(FPS))


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


def main() -> int:
    """Run the benchmark."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--seconds", type=int, default=0, help="length of each film (default: 20, or 600 with --full)")
    args = parser.parse_args()
    seconds = args.seconds or (600 if args.full else 20)
    cv2.setNumThreads(1)
    report = Report("longcat", as_json=args.json)
    for size in ((640, 360), (1280, 720)) if args.full else ((640, 360),):
        goal = ">= 60" if size == (640, 360) else ""
        report.add(f"builtin {size[0]}x{size[1]}", "fps", pace(size, 120 if args.full else 36), goal=goal)
    with scratch() as folder:
        for harm in FULL if args.full else QUICK:
            for stabilise in (True, False):
                found = make(folder, harm, seconds, stabilise=stabilise)
                name = f"{harm}, {'held' if stabilise else 'left alone'}"
                if not found.distances:
                    continue
                report.add(f"{name}: W1, worst", "Lab", max(d.w1 for d in found.distances), goal="<= 6")
                worst = max((d.detail for d in found.distances), key=abs)
                report.add(f"{name}: R, worst", "log2", worst, goal="-1 to 1")
                report.add(f"{name}: seam, worst", "ratio", max(found.seams), goal="<= 1.5")
                rise = slope(found.minutes, [d.w1 for d in found.distances])
                if seconds >= 300:
                    report.add(f"{name}: slope of W1", "/min", rise, goal="< 0.2")
                report.add(f"{name}: repeats of {found.chunks} chunks", "chunks", found.repeats, goal="0")
                report.note(f"  {found.seconds:.0f} s of film; {found.refused} takes refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
