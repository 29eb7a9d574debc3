"""Host memory over a long film: is it the same at the end as at the beginning? And the sound, is it as long as it?

``vjengine longcat`` makes a film of 12 pictures a second with its built-in generator and nothing else, and ``vjengine
finish`` makes 60 a second of it, with sound. Both are run as people run them; the memory of each, with all processes it
starts, is looked at ten times a second. The first fifth of the time is warm-up. Half a minute of film without
``--full``, an hour at 1280x720 with it: that takes several hours.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil

from benchmarks.common import Report, arguments
from vjengine.offline.clips import clip_info
from vjengine.outputs.codecs import load_av

_LOOK = 0.1  # s


def watched(words: list[str]) -> list[float]:
    """Run ``vjengine WORDS``; return the MiB that it and its children held, look by look.

    Memory that several processes share is counted once a process, so the figure is rather too high.

    Raises:
        subprocess.CalledProcessError: if it fails.
    """
    held: list[float] = []
    command = [sys.executable, "-m", "vjengine.cli.main", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        root = psutil.Process(process.pid)
        while True:
            try:
                process.wait(_LOOK)
                break
            except subprocess.TimeoutExpired:
                held.append(_resident(root) / 2**20)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return held


def _resident(root: psutil.Process) -> float:
    total = 0
    try:
        for one in (root, *root.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass  # it just left; the next look counts those that are left
    return total


def drift(held: list[float]) -> tuple[float, float]:
    """Return MiB in the middle half of the time after warm-up, and by how many % the end differs from the beginning."""
    # The pool's processes come first and go at the end: neither is the film's length.
    steady = np.array(held[len(held) // 5 : len(held) - len(held) // 10])
    third = max(1, len(steady) // 3)
    first, last = float(np.median(steady[:third])), float(np.median(steady[-third:]))
    return float(np.median(steady)), 100.0 * (last - first) / first


def sound_length(film: Path) -> float:
    """Return the s of the film's sound, as its own stream says."""
    with load_av().open(str(film)) as file:
        stream = file.streams.audio[0]
        return float(stream.duration * stream.time_base)


def main() -> int:
    """Run the benchmark."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--seconds", type=int, help="of film (default: 30, or 3600 with --full)")
    args = parser.parse_args()
    report = Report("film_memory", as_json=args.json)
    seconds = args.seconds or (3600 if args.full else 30)
    size = "1280x720" if args.full else "320x180"
    track = Path(__file__).resolve().parent.parent / "vjengine" / "demo" / "track.opus"
    with tempfile.TemporaryDirectory(prefix="vjengine-bench-") as folder:
        base, film = Path(folder) / "base.mp4", Path(folder) / "film.mp4"
        made = watched(["longcat", "tides of light", "-o", str(base), "--seconds", str(seconds), "--size", size])
        finished = watched(["finish", str(base), "--audio", str(track), "-o", str(film), "--encoder", "x264"])
        info, sound = clip_info(film), sound_length(film)
        for name, held in (("longcat", made), ("finish", finished)):
            middle, change = drift(held)
            report.add(f"{name}: memory", "MiB", middle)
            report.add(f"{name}: end against beginning", "%", change, goal="within 2")
        apart = abs(float(info.duration) - sound) * float(info.fps)
        report.add("sound against pictures", "frames", apart, goal="<= 1")
        report.add("pictures", "", info.frames, goal=f"{seconds * 60}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
