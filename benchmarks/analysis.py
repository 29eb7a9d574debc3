"""How well and how cheaply the analysis hears: beats against known ones, ms a hop, beside aubio's own tempo tracker."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Report, arguments
from benchmarks.music import Piece, f_measure, pieces
from vjengine.audio.features import Analyser, AnalysisSettings
from vjengine.audio.track import BeatLog
from vjengine.engine.options import SHOW_HOP


def hear(piece: Piece, hop: int = 256) -> tuple[NDArray[np.float64], list[float]]:
    """Return ``(times of the announced beats in s, CPU ms a hop)`` of ``piece``."""
    analyser = Analyser(AnalysisSettings(sample_rate=piece.rate, hop=hop))
    log = BeatLog()
    beats: list[float] = []
    spent: list[float] = []
    for i in range(piece.samples.size // hop):
        block = piece.samples[i * hop : (i + 1) * hop]
        start = time.thread_time()
        features = analyser.process(block, (i + 1) * hop / piece.rate)
        spent.append((time.thread_time() - start) * 1e3)
        beats += [beat.time for beat in log.heard(features)]
    return np.array(beats), spent


def hear_with_aubio(piece: Piece, hop: int = 256) -> NDArray[np.float64]:
    """Return the beats that aubio's tempo tracker finds in ``piece``, s."""
    import aubio

    tracker = aubio.tempo("default", 1024, hop, piece.rate)
    beats = [
        float(tracker.get_last_s())
        for i in range(piece.samples.size // hop)
        if tracker(piece.samples[i * hop : (i + 1) * hop])[0]
    ]
    return np.array(beats)


def main() -> None:
    """Run the benchmark."""
    options = arguments(__doc__ or "").parse_args()
    report = Report("analysis", as_json=options.json)
    collection = pieces(60.0 if options.full else 24.0)
    if not options.full:
        quick = {"house 128", "techno 140", "drum & bass 174", "hip-hop 90 swung", "dubstep 140", "jump 120 to 128"}
        collection = [piece for piece in collection if piece.name in quick]
    spent: list[float] = []
    scores: list[float] = []
    for piece in collection:
        beats, times = hear(piece)
        spent += times
        score, error = f_measure(beats, piece.beats, piece.judged_from)
        peer, _ = f_measure(hear_with_aubio(piece), piece.beats, piece.judged_from)
        scores.append(score)
        report.add(f"beats, {piece.name}", "F", score, peer=peer, goal=">= 0.95" if piece.four else ">= 0.9")
        report.add(f"beat error, {piece.name}", "ms", abs(error) * 1e3, goal="<= 10")
    report.add("beats, mean", "F", float(np.mean(scores)))
    report.add("hop of 256 at 48 kHz", "CPU ms", spent)
    report.add("share of real time, analyze", "%", float(np.mean(spent)) / (256 / 48.0) * 100)
    shown: list[float] = []
    for piece in collection:
        shown += hear(piece, SHOW_HOP)[1]
    report.add(f"hop of {SHOW_HOP} at 48 kHz", "CPU ms", shown)
    report.add("share of real time, live", "%", float(np.mean(shown)) / (SHOW_HOP / 48.0) * 100, goal="<= 2")


if __name__ == "__main__":
    main()
