"""Pictures in between: ours against FFmpeg's minterpolate, in speed and against pictures that were left out.

Moving material whose every moment is known (sliding, turning, growing, a disc that passes, and the built-in
generator's scenes) is thinned to every other picture, or every fourth; what each method puts in their place is
compared with what was there. Speed is counted over the same pictures in seconds of processor time, reading included, so
that neither threads nor whatever else the machine does decide who is faster.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.common import Report, arguments
from vjengine.offline.clips import ClipWriter
from vjengine.offline.finish.cadence import Cadence
from vjengine.offline.finish.options import Method
from vjengine.offline.finish.pictures import Recipe, pictures

Pixels8 = npt.NDArray[np.uint8]
SIZE = (1024, 576)
FPS = 48
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
    recipe = Recipe(path, Cadence(Fraction(12), Fraction(12 * every), kept), SIZE, SIZE, method=method)
    count = (kept - 1) * every  # minterpolate drops what lies behind the last picture: nobody is judged by it
    started = time.process_time()
    made = list(pictures(recipe, 0, count))
    elapsed = time.process_time() - started
    # The peer misses its last two intervals, too.
    judged = [n for n in range(count - 2 * every) if n % every]
    return (
        float(np.mean([psnr(made[n], truth[n]) for n in judged])),
        float(np.mean([ssim(made[n], truth[n]) for n in judged])),
        count / elapsed,
    )


def main() -> int:
    """Run the benchmark."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--every", type=int, default=4, help="keep one picture in so many (default: 4)")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    report = Report("interpolate", as_json=args.json)
    scenes: dict[str, Callable[[int], Iterator[Pixels8]]] = {
        kind: partial(moved, kind) for kind in ("slide", "turn", "zoom", "disc passes")
    }
    families = GENERATED if args.full else GENERATED[:1]
    scenes |= {family: partial(generated, family) for family in families}
    count = (12 if args.full else 5) * args.every + 1
    figures: dict[str, list[tuple[float, float, float]]] = {"ours": [], "peer": []}
    with tempfile.TemporaryDirectory(prefix="vjengine-bench-") as folder:
        for name, scene in scenes.items():
            truth = list(scene(count))
            path = Path(folder) / "kept.mkv"
            with ClipWriter(path, SIZE, 12, quality="lossless") as writer:
                for picture in truth[:: args.every]:
                    writer.write(picture)
            ours = judge(path, truth, args.every, "dis")
            peer = judge(path, truth, args.every, "minterpolate")
            figures["ours"].append(ours)
            figures["peer"].append(peer)
            report.add(f"{name}: PSNR", "dB", ours[0], peer=peer[0], goal=">= minterpolate")
            report.add(f"{name}: SSIM", "", ours[1], peer=peer[1], goal=">= minterpolate")
            report.add(f"{name}: speed", "fps/core", ours[2], peer=peer[2], goal=">= 8 x minterpolate")
    means = {who: np.mean(np.array(rows), axis=0) for who, rows in figures.items()}
    for place, (what, unit) in enumerate((("PSNR", "dB"), ("SSIM", ""), ("speed", "fps/core"))):
        goal = ">= 8 x minterpolate" if what == "speed" else ">= minterpolate"
        report.add(f"all: {what}", unit, float(means["ours"][place]), peer=float(means["peer"][place]), goal=goal)
    return 0


if __name__ == "__main__":
    sys.exit(main())
