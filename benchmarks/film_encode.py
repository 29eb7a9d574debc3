"""How fast finished pictures become a film: our writer, against the same encoder fed with pictures made ready before.

A ratio near 1 says that the encoder is the limit. Two segments are made at a time, as ``vjengine finish`` does, so the
figure of the whole is that of two processes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.common import Report, arguments
from benchmarks.interpolate import texture
from vjengine.errors import RecordError
from vjengine.offline.finish.encoders import ENCODERS, Encoder, FilmWriter, choose_encoder
from vjengine.outputs.codecs import load_av

Pixels8 = npt.NDArray[np.uint8]
SIZE = (1280, 720)
FPS = Fraction(60)


def scene() -> list[Pixels8]:
    """Return 24 pictures of a texture that slides, :data:`SIZE`."""
    ground = texture(3, SIZE[0] + 240, SIZE[1])
    return [np.ascontiguousarray(ground[:, 8 * n : 8 * n + SIZE[0]]) for n in range(24)]


def write(name: str, folder: str, count: int) -> float:
    """Encode ``count`` pictures with our writer; return pictures a second."""
    pictures = scene()
    with FilmWriter(Path(folder), ENCODERS[name], SIZE, FPS) as writer:
        started = time.perf_counter()
        for n in range(count):
            writer.write(pictures[n % len(pictures)])
    return count / (time.perf_counter() - started)


def bound(encoder: Encoder, count: int) -> float:
    """Return pictures a second of the encoder alone: converted before, written nowhere."""
    av: Any = load_av()
    frames = [
        av.VideoFrame.from_ndarray(p, format="rgb24").reformat(format=encoder.pixels, dst_colorspace="ITU709")
        for p in scene()
    ]
    with tempfile.TemporaryDirectory(prefix="vjengine-bench-") as folder:
        writer = FilmWriter(Path(folder), encoder, SIZE, FPS)
        stream = writer._stream
        started = time.perf_counter()
        for n in range(count):
            frame = frames[n % len(frames)]
            frame.pts, frame.time_base = n, 1 / FPS
            stream.encode(frame)
        stream.encode(None)
        elapsed = time.perf_counter() - started
        writer.abandon()
    return count / elapsed


def main() -> int:
    """Run the benchmark."""
    args = arguments(__doc__ or "").parse_args()
    report = Report("film_encode", as_json=args.json)
    count = 1200 if args.full else 240
    for name, suffix in (("x264", ".mp4"), ("nvenc", ".mp4"), ("av1", ".mp4"), ("prores", ".mov")):
        few = count if name in ("x264", "nvenc") else count // 6
        try:
            encoder = choose_encoder(name, SIZE, FPS, Path(f"film{suffix}"))
        except RecordError as error:
            report.note(f"{name}: {error}")
            continue
        limit = bound(encoder, few)
        with tempfile.TemporaryDirectory(prefix="vjengine-bench-") as folder:
            one = write(name, folder, few)
        goal = "near 1: encoder-bound"
        report.add(f"{name} 720p, one segment", "fps", one, peer=limit, goal=goal)
        if name != "x264":
            continue
        with tempfile.TemporaryDirectory(prefix="vjengine-bench-") as folder:
            folders = [str(Path(folder, str(n))) for n in range(2)]
            for path in folders:
                Path(path).mkdir()
            with ProcessPoolExecutor(2, get_context("spawn")) as pool:
                rates = list(pool.map(write, [name] * 2, folders, [few] * 2))
        report.add(
            f"{name} 720p, two segments at a time", "fps", sum(rates), peer=limit, goal=">= 100 fps on two cores"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
