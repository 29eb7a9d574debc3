"""From a click in the sound server to the first presented frame that shows it, and what the analysis costs.

A second process plays clicks over quiet noise into a PulseAudio null sink and notes when each one sounds, by the
stream's DAC clock. The engine listens to the sink's monitor with a look that flashes white on a hit in the highs; a
frame shows the click when its middle pixel turned white. Both processes read the same monotonic clock.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.common import Report, arguments
from benchmarks.harness import Eye, play, pulseaudio, quiet_options, scratch
from vjengine.engine.live import LiveEngine

LOOK = """\
summary: white on a hit in the highs
parameters: {grade.exposure: -4.0, grain.amount: 0.0, bloom.amount: 0.0, audio.follow: 1.0}
modulations:
  - {parameter: out.flash, source: high.hit, amount: 1.0}
"""

CLICKER = """
import random, sys, time
import numpy as np, sounddevice as sd
count, rate, block = int(sys.argv[1]), 48000, 256
noise = np.random.default_rng(1)
burst = noise.uniform(-0.7, 0.7, 96).astype(np.float32)
dice = random.Random(2)
state = {"left": rate * 3, "due": None, "done": 0, "position": 0}
def fill(out, frames, times, status):
    out[:] = noise.normal(0, 0.002, (frames, 2))
    at = state["left"]
    state["left"] -= frames
    if 0 <= at < frames - len(burst):
        out[at:at + len(burst)] += burst[:, None]
        ahead = times.outputBufferDacTime - times.currentTime
        state["due"] = time.perf_counter() + ahead + at / rate
        state["left"] = int(rate * (0.5 + 0.3 * dice.random()))
        state["done"] += 1
    elif 0 <= at < frames:
        state["left"] = frames
with sd.OutputStream(samplerate=rate, blocksize=block, channels=2, device="pulse", latency="low", callback=fill):
    told = None
    while state["done"] < count:
        time.sleep(0.005)
        if state["due"] != told:
            told = state["due"]
            print(repr(told), flush=True)
"""


def clicks(folder: Path, n: int) -> tuple[list[float], LiveEngine]:
    """Return the latencies in ms of ``n`` clicks, and the engine that saw them."""
    presets = folder / "presets"
    presets.mkdir()
    (presets / "default.yaml").write_text(LOOK, encoding="utf-8")
    options = quiet_options(folder, generator="still")
    options = replace(options, audio="pulse", picture=replace(options.picture, presets=presets))
    latencies: list[float] = []

    def act(engine: LiveEngine, eye: Eye) -> None:
        command = [sys.executable, "-c", CLICKER, str(n)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as clicker:
            assert clicker.stdout is not None
            for line in clicker.stdout:
                sounded = float(line) - engine.clock.epoch
                seen = eye.wait(False, 0.4)
                if seen >= sounded - 0.02:
                    latencies.append((seen - sounded) * 1e3)
                eye.wait(True, 0.4)
            time.sleep(0.1)

    with pulseaudio(folder):
        engine = play(options, act, Eye(lambda pixel: min(pixel) < 128))
    return latencies, engine


def main() -> int:
    """Run the benchmark."""
    args = arguments(__doc__ or "").parse_args()
    n = 300 if args.full else 40
    report = Report("audio_path", as_json=args.json)
    with scratch() as folder:
        try:
            latencies, engine = clicks(folder, n)
        except RuntimeError as error:
            report.note(f"not measured: {error}")
            return 1
    report.add("click to presented frame", "ms", latencies, goal="p95 <= 60 ms")
    report.add("clicks seen", "of 1", len(latencies) / n, goal="1")
    listener = engine.hearing.listener
    assert listener is not None
    processing = listener.processing_ms.values()
    report.add("analysis of a hop, beside a live show", "ms", processing)
    report.add("newest hop to presented frame", "ms", engine.stats.audio_to_frame.values())
    return 0


if __name__ == "__main__":
    sys.exit(main())
