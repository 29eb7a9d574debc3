"""An album of eight tracks on one and on two workers of a Ray cluster on this machine, and on local processes.

Every worker has as many threads as every other, in every run (llvmpipe alone would take all processors), so that what
is compared is the same work. A cluster's start is not part of it; libraries and models loaded for the first track are.
"""

from __future__ import annotations

import os
import sys
import time
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import Report, arguments
from benchmarks.harness import scratch
from vjengine.audio.files import decode
from vjengine.offline.album.album import AlbumAsk, Teller, make_album
from vjengine.offline.album.local import LocalPool
from vjengine.offline.album.ray_pool import RayPool
from vjengine.offline.album.setlist import Setlist, read_setlist, with_tags
from vjengine.offline.album.work import Made, News, Pool
from vjengine.offline.disk import file_hash

TRACKS = 8
LOOKS = ("default", "deepsea", "magma", "silk")


def tracks(folder: Path, seconds: float, size: str, fps: float) -> Setlist:
    """Cut eight tracks out of the bundled one, and write a setlist of them."""
    import vjengine.demo

    whole = decode(Path(vjengine.demo.__file__).with_name("track.opus"))
    rows = []
    for number in range(TRACKS):
        begin = round((4 + 14 * number) * whole.sample_rate)
        samples = whole.samples[begin : begin + round(seconds * whole.sample_rate)]
        with wave.open(str(folder / f"{number + 1}.wav"), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(whole.sample_rate)
            file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
        rows.append(f"  - {{file: {number + 1}.wav, look: {LOOKS[number % len(LOOKS)]}}}")
    setlist = folder / "set.yaml"
    setlist.write_text(
        f"title: Bench\ndefaults: {{size: {size}, fps: {fps:g}, seed: 1, crossfade: 0.2}}\ntracks:\n" + "\n".join(rows)
    )
    return with_tags(read_setlist(setlist))


class Watch:
    """Times the rendering alone: from a pool that is ready to the last track."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0
        self.start_up = 0.0

    def pool(self, make: Callable[[int], Pool]) -> Callable[[int], Pool]:
        """Return ``make``, watched."""

        def made(jobs: int) -> Pool:
            before = time.perf_counter()
            pool = make(jobs)
            self.began = time.perf_counter()
            self.start_up = self.began - before
            return pool

        return made

    def news(self, news: News) -> None:
        """Note when a track is done."""
        if isinstance(news, Made):
            self.ended = time.perf_counter()

    @property
    def seconds(self) -> float:
        """How long the rendering took."""
        return self.ended - self.began


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="of every worker (default: 1)")
    args = parser.parse_args(argv)
    seconds, size, fps = (20.0, "1280x720", 30.0) if args.full else (1.2, "160x90", 20.0)
    report = Report("album", as_json=args.json)
    kinds: dict[str, Callable[[int], Pool]] = {
        "ray_1": lambda jobs: RayPool("local", jobs=jobs, workers=1, threads=args.threads),
        "ray_2": lambda jobs: RayPool("local", jobs=jobs, workers=2, threads=args.threads),
        "local_2": lambda jobs: LocalPool(2, args.threads),
    }
    films: dict[str, str] = {}
    times: dict[str, float] = {}
    with scratch() as folder:
        setlist = tracks(folder, seconds, size, fps)
        for name, make in kinds.items():
            watch = Watch()
            ask = AlbumAsk(folder / f"{name}.mp4")
            album = make_album(setlist, ask, watch.pool(make), Teller(news=watch.news))
            films[name], times[name] = file_hash(album.film), watch.seconds
            report.add(f"{name}_render", "s", watch.seconds, peer=times["ray_1"])
            report.add(f"{name}_start", "s", watch.start_up)
            report.add(f"{name}_fps", "1/s", album.frames / watch.seconds)
    report.add("ray_2_speedup", "x", times["ray_1"] / times["ray_2"], goal=">= 1.7 on two free processors")
    same = len(set(films.values())) == 1
    report.add("identical", "films", float(same), goal="1: byte for byte, on every pool")
    report.note(f"{TRACKS} tracks of {seconds:g} s, {size} at {fps:g} fps, {args.threads} threads a worker; "
                f"load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else "")  # fmt: skip
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
