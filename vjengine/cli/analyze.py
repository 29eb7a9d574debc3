"""``vjengine analyze``: what the analyser hears in a track."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from vjengine.errors import UsageError

DESCRIPTION = """\
Run the live analyser over a track and write what it heard: tempo, beats (with how much audio had been consumed when
each was announced), onsets, sections and band levels.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("analyze", help="beats, onsets, tempo and sections of a track",
                                   description=DESCRIPTION)  # fmt: skip
    parser.add_argument("track", type=Path, help="audio file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the analysis here; - for standard output")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it, as .png, .svg or .pdf")
    parser.add_argument("--tempo-range", metavar="LOW-HIGH", help="accept tempos in this range of BPM only")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Analyse the track."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    from vjengine.audio.features import AnalysisSettings
    from vjengine.audio.files import decode
    from vjengine.audio.track import analyse_track, save_plot
    from vjengine.engine.stats import write_json

    settings = AnalysisSettings()
    if args.tempo_range:
        low, high = _tempo_range(args.tempo_range)
        settings = AnalysisSettings(tempo_low=low, tempo_high=high)
    track = decode(args.track, settings.sample_rate)
    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("listening", total=1.0)
        analysis = analyse_track(track.samples, settings, lambda share: bar.update(task, completed=share))
    data = analysis.to_json()
    if args.json is not None and str(args.json) == "-":
        json.dump(data, sys.stdout)
        print()
    elif args.json is not None:
        write_json(args.json, data)
    if args.plot is not None:
        save_plot(analysis, args.plot)
    tempo = data["tempo"][len(data["tempo"]) // 2][1] if data["tempo"] else 0.0
    print(
        f"{args.track.name}: {data['duration']:.1f} s, {tempo:.1f} BPM, {len(data['beats'])} beats, "
        f"{len(data['onsets'])} onsets, {len(data['sections'])} sections",
        file=sys.stderr,
    )
    return 0


def _tempo_range(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    try:
        found = float(low), float(high)
    except ValueError:
        found = (0.0, 0.0)
    if not 30.0 <= found[0] < found[1] <= 300.0:
        raise UsageError(f"--tempo-range {text!r}: expected LOW-HIGH between 30 and 300, such as 120-140")
    return found
