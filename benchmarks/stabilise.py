"""What it costs to look at a picture and to correct it, on one core of the CPU, beside a plain match of Lab histograms.

CPU time of the thread, so that other programs are not counted. The peer is what is done most often against drift:
every channel of CIELAB matched to the anchor's distribution, sorted on full resolution.

Processors differ, and one that is shared changes its pace: the floor is what OpenCV alone takes here to read the
picture once in the ways that are needed (halved, and turned to grey), so figures can be told in floors too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.common import Report, arguments
from vjengine.core.correction import Correction
from vjengine.core.generation import GeneratorParams
from vjengine.stabilise.apply import Applier
from vjengine.stabilise.copies import make_copies
from vjengine.stabilise.motion import Movement
from vjengine.stabilise.stabiliser import Stabiliser
from vjengine.stabilise.statistics import measure

SIZES = ((768, 432), (1280, 720))
ANALYSIS_MS = {(768, 432): 1.0, (1280, 720): 1.5}
CAST = (1.01, -0.004, 0.0, 0.002, 0.0, 0.99, 0.006, 0.0, 0.003, 0.0, 1.02, -0.004)
CORRECTIONS = {
    "colour": Correction(1, colour=CAST),
    "colour, noise": Correction(1, colour=CAST, noise=(0.02, 0.02, 0.02)),
    "colour, noise, coarse damped": Correction(1, colour=CAST, gains=(1, 1, 0.95), noise=(0.02, 0.02, 0.02)),
    "all, ceiling apart": Correction(1, colour=CAST, gains=(0.9, 0.95, 0.97), noise=(0.02, 0.02, 0.02)),
    "all": Correction(1, colour=CAST, gains=(0.9, 0.95, 0.97), ceiling=0.1, noise=(0.02, 0.02, 0.02)),
}

Bytes = npt.NDArray[np.uint8]


def scene(size: tuple[int, int], seed: int) -> Bytes:
    """Return a picture with colours and detail at all scales, ``(H, W, 4)``."""
    random = np.random.default_rng(seed)
    width, height = size
    picture = np.full((height, width, 4), 0.45, np.float32)
    for cells, strength in ((5, 0.15), (20, 0.1), (80, 0.06), (width // 2, 0.03)):
        noise = random.standard_normal((cells * 9 // 16, cells, 4)).astype(np.float32)
        picture += strength * cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)
    picture[..., 3] = 1.0
    return (picture.clip(0, 1) * 255).astype(np.uint8)


def cpu_ms(function: Callable[[], object], n: int) -> list[float]:
    """Return the CPU time of ``n`` calls after three that are not counted, ms."""
    spent = []
    for k in range(n + 3):
        start = time.thread_time()
        function()
        if k >= 3:
            spent.append((time.thread_time() - start) * 1e3)
    return spent


def floor(picture: Bytes) -> None:
    """Read a picture as any analysis must: halve it, and turn it to grey."""
    height, width = picture.shape[:2]
    cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    cv2.cvtColor(picture, cv2.COLOR_RGBA2GRAY)


def match_histograms(picture: Bytes, anchor: Bytes) -> Bytes:
    """Return ``picture`` with the distributions of L*, a* and b* of ``anchor``, each by itself (the peer)."""
    lab, wanted = (cv2.cvtColor(p[..., :3].astype(np.float32) / 255, cv2.COLOR_RGB2Lab) for p in (picture, anchor))
    for k in range(3):
        _, place, counts = np.unique(lab[..., k].ravel(), return_inverse=True, return_counts=True)
        values, theirs = np.unique(wanted[..., k].ravel(), return_counts=True)
        share = np.interp(np.cumsum(counts) / lab[..., k].size, np.cumsum(theirs) / wanted[..., k].size, values)
        lab[..., k] = share[place].reshape(lab.shape[:2])
    rgb = cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)
    matched: Bytes = (rgb.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    return matched


def main() -> int:
    """Run the benchmark."""
    args = arguments(__doc__ or "").parse_args()
    n, few = (2000, 50) if args.full else (200, 5)
    cv2.setNumThreads(1)
    report = Report("stabilise", as_json=args.json)
    for size in SIZES:
        name = f"{size[0]}x{size[1]}"
        one, two = scene(size, 1), scene(size, 2)
        matched = cpu_ms(partial(match_histograms, one, two), few)
        peer = float(np.median(np.array(matched)))
        report.add(f"{name} Lab histogram match (peer)", "CPU ms", matched)
        report.add(f"{name} floor: one resize, one cvtColor", "CPU ms", cpu_ms(partial(floor, one), n))
        goal = ANALYSIS_MS[size]
        spent = cpu_ms(partial(measure, one), n)
        report.add(f"{name} measure", "CPU ms", spent, peer=peer, goal=f"<= {goal} ms")
        movement = Movement()
        turns = [one, np.roll(one, 3, axis=1)]

        def look(movement: Movement = movement, turns: list[Bytes] = turns) -> None:
            turns.reverse()
            copies = make_copies(turns[0])
            measure(copies)
            movement.step(copies)

        report.add(f"{name} measure and movement", "CPU ms", cpu_ms(look, n), peer=peer, goal=f"<= {goal} ms")
        watch, frames = Stabiliser(), count(1)

        def judge(watch: Stabiliser = watch, frames: Iterator[int] = frames, turns: list[Bytes] = turns) -> None:
            turns.reverse()
            number = next(frames)
            watch.look(turns[0], GeneratorParams(sequence=number, time=number / 30.0), number)

        report.add(f"{name} Stabiliser.look, all of it", "CPU ms", cpu_ms(judge, n), peer=peer)
        applier = Applier()
        for what, correction in CORRECTIONS.items():
            runs = n if correction.ceiling <= 0.0 else few
            spent = cpu_ms(partial(applier.apply, one, correction), runs)
            aim = "<= 1.5 ms" if size == SIZES[0] else ""
            report.add(f"{name} apply: {what}", "CPU ms", spent, peer=peer, goal=aim)
    return 0


if __name__ == "__main__":
    sys.exit(main())
