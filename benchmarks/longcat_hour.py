"""An hour of film at 1280x720 and 60 pictures a second: is its memory flat, is it as long as its sound, does it drift?

The command itself runs, as its own process: the built-in continuation, moved by the demo track repeated to the length
that is asked for. Memory is looked at from outside, once a second. Pictures and samples of the film are counted as they
are decoded; drift is the largest distance between when a picture is due and the time that the file gives it, and so
for the packets of sound.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Report, arguments
from benchmarks.harness import scratch
from vjengine.audio.files import samples_of
from vjengine.outputs.codecs import load_av

DEMO = Path(__file__).resolve().parent.parent / "vjengine" / "demo" / "track.opus"
RATE = 48_000
FPS = 60
SIZE = "1280x720"
WARM = 0.2
"""Share of the time after which memory is held to be warmed up."""


def long_track(target: Path, seconds: int) -> None:
    """Write the demo track over and over to ``target``, exactly ``seconds`` long; a block at a time."""
    left = seconds * RATE
    with wave.open(str(target), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        while left:
            for block in samples_of(DEMO, RATE):
                stereo = np.repeat(block, 2, axis=1) if block.shape[1] == 1 else block[:, :2]
                whole = np.rint(np.clip(stereo[:left], -1.0, 1.0) * 32767).astype("<i2")
                file.writeframes(whole.tobytes())
                left -= len(whole)
                if not left:
                    break


def resident(process: int) -> float:
    """Return the memory that ``process`` has in use, MiB; 0 if the system does not say."""
    try:
        fields = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0.0
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def film(track: Path, target: Path, size: str, fps: int) -> tuple[float, list[float]]:
    """Make the film; return s taken, and MiB in use once a second while it was painted."""
    command = [
        sys.executable,
        "-m",
        "vjengine.cli.main",
        "longcat",
        "a neon jellyfish in deep water",
        "-o",
        str(target),
    ]
    command += ["--match-audio", str(track), "--size", size, "--fps", str(fps)]
    used: list[float] = []
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        words: list[str] = []
        assert process.stderr is not None
        reader = threading.Thread(target=lambda: words.append(process.stderr.read() if process.stderr else ""))
        reader.start()
        while True:
            try:
                process.wait(1.0)
                break
            except subprocess.TimeoutExpired:
                # From the third piece on it paints; before, it listens to the track.
                if not target.exists() and len(list(target.parent.glob("*/chunks/00*"))) > 3:
                    used.append(resident(process.pid))
        reader.join()
    if process.returncode:
        raise SystemExit(f"longcat failed: {''.join(words).strip()[-400:]}")
    return time.perf_counter() - began, used


def lengths(path: Path) -> tuple[int, int, float, float]:
    """Return pictures and samples of a film, decoded, and how far each are off their times at most, s."""
    av: Any = load_av()
    pictures = samples = 0
    off_picture = off_sound = 0.0
    with av.open(str(path)) as file:
        video, audio = file.streams.video[0], file.streams.audio[0]
        video.thread_type = "AUTO"
        rate = int(audio.rate)
        for packet in file.demux(video, audio):
            for frame in packet.decode():
                at = frame.pts * frame.time_base
                if packet.stream is video:
                    off_picture = max(off_picture, abs(float(at - Fraction(pictures, FPS))))
                    pictures += 1
                else:
                    off_sound = max(off_sound, abs(float(at - Fraction(samples, rate))))
                    samples += frame.samples
    return pictures, samples, off_picture, off_sound


def main() -> int:
    """Run the benchmark."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--seconds", type=int, default=0, help="length of the film (default: 20, or 3600 with --full)")
    parser.add_argument("--size", default=SIZE, help="size of the film")
    args = parser.parse_args()
    seconds = args.seconds or (3600 if args.full else 20)
    report = Report("longcat_hour", as_json=args.json)
    with scratch() as folder:
        track, target = folder / "long.wav", folder / "film.mp4"
        long_track(track, seconds)
        took, used = film(track, target, args.size, FPS)
        pictures, samples, off_picture, off_sound = lengths(target)
        size = target.stat().st_size / 2**20
    report.add("pictures a second, whole command", "fps", pictures / took, goal=">= 60")
    report.add("film", "s", pictures / FPS, goal=f"{seconds}")
    report.add("sound less film", "frames", (samples / RATE - pictures / FPS) * FPS, goal="-1 to 1")
    report.add("drift of pictures", "ms", 1000 * off_picture, goal="< 1")
    report.add("drift of sound", "ms", 1000 * off_sound, goal="< 1")
    report.add("size", "MiB", size)
    warm = used[int(len(used) * WARM) :]
    window = len(warm) // 4
    if window >= 3:
        # It rises and falls with each chunk: what a computer must have is the most of many.
        start, end = max(warm[:window]), max(warm[-window:])
        report.add("memory after warm-up, most", "MiB", start)
        report.add("memory at the end, most", "MiB", end)
        report.add("memory, change", "%", 100 * (end / start - 1), goal="-2 to 2")
    return 0


if __name__ == "__main__":
    sys.exit(main())
