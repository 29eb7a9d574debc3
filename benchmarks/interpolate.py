"""Pictures in between: ours against FFmpeg's minterpolate, in speed and against pictures that were left out.

Moving material whose every moment is known (sliding, turning, growing, a disc that passes, and the built-in
generator's scenes, or films given with ``--film``) is thinned to every fifth picture, as 12 a second of 60; what each
method puts in their place is compared with what was there.

Speed is counted twice. First over the same pictures in seconds of processor time, reading included, so that neither
threads nor whatever else the machine does decide who is faster. Then as one waits for it: from a film of 12 pictures a
second to a finished one of 60, ``vjengine finish`` with its two segments at a time against ``ffmpeg -vf minterpolate``
with as many threads as it likes and the same encoder, starting and joining included.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.common import Report, arguments
from vjengine.offline.clips import ClipWriter, clip_info, read_clip
from vjengine.offline.finish.cadence import Cadence
from vjengine.offline.finish.film import finish
from vjengine.offline.finish.options import FinishOptions, Method
from vjengine.offline.finish.pictures import Recipe, pictures

Pixels8 = npt.NDArray[np.uint8]
SIZE = (1024, 576)
FPS = 60
GENERATED = ("fields", "ribbons", "tunnel", "orbits", "reaction")


def texture(seed: int, width: int, height: int) -> Pixels8:
    """Return smooth noise over six octaves, ``(height, width, 3)``."""
    draw = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for octave in range(1, 7):
        grain = draw.random((2 ** (octave + 1) + 1, 3 * 2**octave + 1, 3)).astype(np.float32)
        total += 0.75**octave * np.asarray(cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC))
    total -= total.min()
    return np.asarray(total / total.max() * 255, np.uint8)


def moved(kind: str, count: int) -> Iterator[Pixels8]:
    """Yield ``count`` pictures of a texture in motion, :data:`FPS` a second."""
    width, height = SIZE
    ground, thing = texture(1, 2 * width, 2 * height), texture(7, 320, 320)
    mask = np.zeros((320, 320), np.float32)
    cv2.circle(mask, (160, 160), 140, 1.0, -1, cv2.LINE_AA)
    for n in range(count):
        t = n / FPS
        angle, scale = (25 * t if kind == "turn" else 0.0), (1 + 0.5 * t if kind == "zoom" else 1.0)
        across = {"slide": (320 * t, 120 * t), "disc passes": (-120 * t, 0.0)}.get(kind, (0.0, 0.0))
        matrix = cv2.getRotationMatrix2D((float(width), float(height)), angle, scale)
        matrix[:, 2] += np.array([across[0] - width / 2, across[1] - height / 2])
        picture = cv2.warpAffine(ground, matrix, SIZE, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        if kind == "disc passes":
            way = np.array([[1, 0, 60 + 500 * t], [0, 1, 100 + 100 * t]], np.float64)
            over = cv2.warpAffine(mask, way, SIZE)[..., None]
            picture = (picture * (1 - over) + cv2.warpAffine(thing, way, SIZE) * over + 0.5).astype(np.uint8)
        yield np.asarray(picture, np.uint8)


def generated(family: str, count: int) -> Iterator[Pixels8]:
    """Yield ``count`` pictures of the built-in generator to a steady beat, 30 a second."""
    from benchmarks.contact_sheet import performance
    from vjengine.core.params import FAMILIES
    from vjengine.generate.base import GeneratorSpec
    from vjengine.generate.procedural import ProceduralGenerator

    run_up = 12
    generator = ProceduralGenerator(GeneratorSpec("procedural", SIZE, options={"family": family}))
    try:
        asked = performance({"gen.family": float(FAMILIES.index(family))}, 8.0, count + run_up, True)
        for number, params in enumerate(asked):
            pixels = generator.generate(params)
            if number >= run_up:
                yield np.ascontiguousarray(pixels[..., :3])
    finally:
        generator.close()


def psnr(one: Pixels8, two: Pixels8) -> float:
    """Return the peak signal-to-noise ratio, dB."""
    return float(10 * np.log10(255.0**2 / max(1e-6, float(np.mean((one.astype(np.float32) - two) ** 2)))))


def ssim(one: Pixels8, two: Pixels8) -> float:
    """Return the structural similarity of two pictures' luma (Z. Wang et al., 2004), 0-1."""
    x, y = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float32) for p in (one, two))

    def mean(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), np.float32)

    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float((((2 * mx * my + c1) * (2 * both + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))).mean())


def judge(path: Path, truth: list[Pixels8], every: int, method: Method) -> tuple[float, float, float]:
    """Return PSNR (dB), SSIM and pictures a processor second of ``method`` where pictures were left out."""
    kept = 1 + (len(truth) - 1) // every
    # Rates stand for nothing here but their ratio.
    size = truth[0].shape[1], truth[0].shape[0]
    recipe = Recipe(path, Cadence(Fraction(12), Fraction(12 * every), kept), size, size, method=method)
    count = (kept - 1) * every  # minterpolate drops what lies behind the last picture: nobody is judged by it
    started = time.process_time()
    made = list(pictures(recipe, 0, count))
    elapsed = time.process_time() - started
    # The peer misses its last two intervals, too.
    left_out = [n for n in range(count - 2 * every) if n % every]
    return (
        float(np.mean([psnr(made[n], truth[n]) for n in left_out])),
        float(np.mean([ssim(made[n], truth[n]) for n in left_out])),
        count / elapsed,
    )


def judged(report: Report, scenes: Mapping[str, Callable[[], list[Pixels8]]], every: int) -> None:
    """Report quality and speed for each scene, and their means."""
    figures: dict[str, list[tuple[float, float, float]]] = {"ours": [], "peer": []}
    with tempfile.TemporaryDirectory(prefix="vjengine-bench-") as folder:
        for name, scene in scenes.items():
            truth = scene()
            height, width = truth[0].shape[:2]
            path = Path(folder) / "kept.mkv"
            with ClipWriter(path, (width, height), 12, quality="lossless") as writer:
                for picture in truth[::every]:
                    writer.write(picture)
            ours = judge(path, truth, every, "dis")
            peer = judge(path, truth, every, "minterpolate")
            figures["ours"].append(ours)
            figures["peer"].append(peer)
            report.add(f"{name}: PSNR", "dB", ours[0], peer=peer[0], goal=">= minterpolate")
            report.add(f"{name}: SSIM", "", ours[1], peer=peer[1], goal=">= minterpolate")
            report.add(f"{name}: speed", "fps/core", ours[2], peer=peer[2])
    means = {who: np.mean(np.array(rows), axis=0) for who, rows in figures.items()}
    for place, (what, unit) in enumerate((("PSNR", "dB"), ("SSIM", ""), ("speed", "fps/core"))):
        goal = "the command counts" if what == "speed" else ">= minterpolate"
        report.add(f"all: {what}", unit, float(means["ours"][place]), peer=float(means["peer"][place]), goal=goal)


def command(report: Report, seconds: int, peer_seconds: int) -> None:
    """Report how long one waits for a film of 60 pictures a second, with ours and with FFmpeg's own command."""
    tool = shutil.which("ffmpeg")
    with tempfile.TemporaryDirectory(prefix="vjengine-bench-") as name:
        folder = Path(name)
        bases = {}
        for length in {seconds, peer_seconds}:
            bases[length] = folder / f"{length}.mkv"
            with ClipWriter(bases[length], SIZE, 12) as writer:
                # There and back again: a long film of few pictures.
                turn = [*moved("slide", 5 * 24)][::5]
                for n in range(12 * length):
                    writer.write(turn[abs((n + 23) % 46 - 23)])
        started, busy = time.perf_counter(), processor_time()
        # Started anew, as from a command line: the pool's processes import this module, too.
        done = finish(bases[seconds], folder / "film.mp4", FinishOptions(fps=Fraction(60), encoder="x264", processes=2))
        ours = done.frames / (time.perf_counter() - started), done.frames / (processor_time() - busy)
        peer: tuple[float | None, float | None] = None, None
        if tool is None:
            report.note("there is no ffmpeg command here: its figure is missing")
        else:
            words = "-nostdin -v error -i {} -vf minterpolate=fps=60 -c:v libx264 -preset veryfast -crf 16 -an {}"
            line = [w.format(bases[peer_seconds]) if w == "{}" else w for w in words.split()[:-1]]
            started, busy = time.perf_counter(), processor_time()
            subprocess.run([tool, *line, str(folder / "peer.mp4")], check=True)
            made = clip_info(folder / "peer.mp4").frames
            peer = made / (time.perf_counter() - started), made / (processor_time() - busy)
    report.add("the command, 12 to 60 fps", "fps", ours[0], peer=peer[0], goal=">= 8 x minterpolate")
    report.add("the command, a processor second", "fps/core", ours[1], peer=peer[1])


def processor_time() -> float:
    """Return the processor seconds that this process and those it waited for have taken."""
    return sum(os.times()[:4])


def pictures_of(film: Path, count: int) -> list[Pixels8]:
    """Return ``count`` pictures from the middle of ``film``, or as many as it has: beginnings come from nothing."""
    frames = clip_info(film).frames
    start = max(0, (frames - count) // 2)
    return list(read_clip(film, start, min(frames, start + count)))


def _listed(scene: Callable[[str, int], Iterator[Pixels8]], name: str, count: int) -> list[Pixels8]:
    return list(scene(name, count))


def main() -> int:
    """Run the benchmark."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--every", type=int, default=5, help="keep one picture in so many (default: 5)")
    parser.add_argument("--film", type=Path, nargs="+", metavar="FILE", help="judge by these films, 60 pictures/s")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    report = Report("interpolate", as_json=args.json)
    count = (12 if args.full else 3) * args.every + 1
    if args.film:
        judged(report, {film.stem: partial(pictures_of, film, count) for film in args.film}, args.every)
        return 0
    families = GENERATED if args.full else GENERATED[:1]
    scenes: dict[str, Callable[[], list[Pixels8]]] = {}
    for kind in ("slide", "turn", "zoom", "disc passes"):
        scenes[kind] = partial(_listed, moved, kind, count)
    for family in families:
        scenes[family] = partial(_listed, generated, family, count)
    judged(report, scenes, args.every)
    command(report, 60 if args.full else 12, 8 if args.full else 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
