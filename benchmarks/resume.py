"""A film that is killed at random moments and goes on, beside the same film left in peace.

    python -m benchmarks.resume [--json] [--full] [--kills N] [--seed N] [--seconds S] [--size WxH]

Every trial begins a film with ``vjengine longcat``, kills it with SIGKILL at a moment drawn from its whole length, and
gives the same command again; some are killed again on the way. The film must be byte-identical to that of a run in
peace, whatever was there after a kill must be whole, and nothing may be made twice but the one piece in flight: the
run's own log (``made.jsonl``) knows what was begun and what was made.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
import wave
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import Report, arguments
from benchmarks.harness import scratch
from vjengine.offline.disk import file_hash
from vjengine.offline.manifest import read_made
from vjengine.offline.run_report import verify

COMMAND = "import sys; from vjengine.cli.main import main; sys.exit(main(sys.argv[1:]))"
PATIENCE = 900.0
"""s after which a run in peace is taken for stuck."""

_AGAIN = 0.3  # share of killed films that are killed once more


@dataclass(frozen=True, slots=True)
class Show:
    """What is rendered: a track, and a film along it."""

    track: Path
    size: str
    seed: int

    def command(self, film: Path) -> list[str]:
        """Return the command that makes the film, or goes on with it."""
        return [
            sys.executable, "-c", COMMAND, "longcat", "--match-audio", str(self.track), "--size", self.size,
            "--fps", "12", "--chunk", "6", "--seed", str(self.seed), "-o", str(film),
        ]  # fmt: skip


def track(path: Path, seconds: float, rate: int = 44_100) -> Path:
    """Write a click every half second over a low tone, 16 bits, mono."""
    at = np.arange(round(seconds * rate)) / rate
    sound = 0.2 * np.sin(2 * np.pi * 55 * at) + 0.7 * np.exp(-60 * (at % 0.5)) * np.sin(2 * np.pi * 1760 * at)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(sound * 32767).astype("<i2").tobytes())
    return path


def run_to_end(show: Show, film: Path) -> float:
    """Make the film, or go on with it to its end; return s.

    Raises:
        RuntimeError: if it fails.
    """
    start = time.perf_counter()
    done = subprocess.run(show.command(film), capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        raise RuntimeError(f"longcat ended with {done.returncode}: {done.stderr.strip()[-600:]}")
    return time.perf_counter() - start


def run_and_kill(show: Show, film: Path, moment: float) -> bool:
    """Make the film and kill it after ``moment`` s; return False if it was done before."""
    process = subprocess.Popen(show.command(film), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(30.0)
        return True
    return False


def made_again(folder: Path, kills: int) -> tuple[int, int]:
    """Return (pieces begun after they were made, pieces begun once more than the kills explain)."""
    finished: set[tuple[str, int]] = set()
    begun: Counter[tuple[str, int]] = Counter()
    repeated = 0
    for line in read_made(folder):
        piece = (str(line["kind"]), int(line["index"]))
        if line["event"] == "made":
            finished.add(piece)
        else:
            repeated += piece in finished
            begun[piece] += 1
    return repeated, max(0, begun.total() - len(begun) - kills)


def _film(folder: Path) -> Path:
    """Return the same name in another folder: a film is called after its file, also inside."""
    folder.mkdir()
    return folder / "film.mp4"


def main() -> int:
    """Run the benchmark; the exit status is 1 if any film differs or anything was made twice."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--kills", type=int, help="how often a film is killed (5; with --full 20)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments; another one draws others")
    parser.add_argument("--seconds", type=float, help="length of the film (3; with --full 10)")
    parser.add_argument("--size", default="128x72", help="of the film")
    options = parser.parse_args()
    kills = options.kills or (20 if options.full else 5)
    seconds = options.seconds or (10.0 if options.full else 3.0)
    draw = random.Random(options.seed)
    report = Report("resume", as_json=options.json)
    faults: list[str] = []
    killed, moments, there, costs = 0, list[float](), list[float](), list[float]()
    different = repeated = surplus = harmed = 0
    with scratch() as folder:
        show = Show(track(folder / "track.wav", seconds), options.size, 7)
        peace = _film(folder / "peace")
        length = run_to_end(show, peace)
        wanted, in_peace = file_hash(peace), verify(peace.with_suffix(".run"))
        faults += in_peace
        for trial in range(4 * kills):
            if killed >= kills:
                break
            film = _film(folder / f"trial-{trial}")
            mine = 0
            while killed < kills:
                moment = draw.uniform(0.02, 0.98) * length
                if not run_and_kill(show, film, moment):
                    break
                mine, killed = mine + 1, killed + 1
                moments.append(moment / length)
                there.append(len([line for line in read_made(film.with_suffix(".run")) if line["event"] == "made"]))
                # What is there after a kill is whole, or not there.
                if film.exists() and file_hash(film) != wanted:
                    harmed += 1
                    faults.append(f"killed at {moment:.2f} s: half a film under its own name")
                if draw.random() > _AGAIN:
                    break
            costs.append(run_to_end(show, film) / length)
            run = film.with_suffix(".run")
            if file_hash(film) != wanted:
                different += 1
                faults.append(f"trial {trial}, killed {mine} times: another film")
            twice, more = made_again(run, mine)
            repeated, surplus = repeated + twice, surplus + more
            faults += [f"trial {trial}: {fault}" for fault in verify(run)]
    report.add("killed", "times", float(killed), goal=f"{kills}")
    report.add("moment of the kill", "of run", moments, goal="anywhere")
    report.add("pieces there at the kill", "pieces", there, goal="none to all")
    report.add("films that differ", "films", float(different), goal="0")
    report.add("half films under their own name", "films", float(harmed), goal="0")
    report.add("finished pieces made again", "pieces", float(repeated), goal="0")
    report.add("pieces begun again, beyond those in flight", "pieces", float(surplus), goal="0")
    report.add("time of going on", "of run", costs, goal="< 1 + start")
    for fault in faults:
        report.note(fault)
    return int(bool(faults or different or repeated or surplus or killed < kills))


if __name__ == "__main__":
    sys.exit(main())
