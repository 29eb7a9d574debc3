"""The figures of a run's stability, against what a stable run shows."""

from __future__ import annotations

import math
from typing import Any

from vjengine.engine.metrics_file import GOALS, MOTION_GOAL, SLOPE_GOAL, Run, first_motion, last_motion

WORDS = {
    "w1": "colour drift, W1",
    "detail": "detail, log2",
    "fine": "  fine",
    "middle": "  middle",
    "coarse": "  coarse",
    "exposure": "exposure, ΔL*",
    "clipped": "clipped, share more",
    "chroma": "saturation, times",
    "entropy": "variety of hues, bits",
    "motion": "motion, px of 256",
    "difference": "change a frame, of 255",
}
_GOAL_WORDS = {"w1": "W1 up to 6", "detail": "detail from -1 to +1", "clipped": "clipped up to +0.05"}
_STILL = 0.02
"""px: motion below this is none, and half of it cannot be lost."""


def figures(run: Run) -> dict[str, Any]:
    """Return lowest, highest and last value of each column, alarms, responses, and the goals that were met.

    A goal's ``met`` is None where the run is too short, or too still, to tell. ``trail`` is the same of the
    compositor's trail, or None; it is meant to fade, and has no goals.
    """
    found = {
        "generator": run.generator,
        "seed": run.seed,
        "size": list(run.size),
        **_told(run),
        "goals": [*_held(run), _slope(run), _motion(run)],
    }
    return {**found, "trail": _told(run.trail) if run.trail is not None else None}


def _told(run: Run) -> dict[str, Any]:
    columns = []
    for name, what in WORDS.items():
        found = run.extremes[name]
        columns.append(
            {"name": name, "what": what, "last": found.last, "low": found.low, "low_at": found.low_at,
             "high": found.high, "high_at": found.high_at}
        )  # fmt: skip
    responses, level = [], 0
    for mark in run.marks:
        if mark.kind == "response":
            raised = max(0, mark.level - level)
            responses.append({"time": mark.time, "level": mark.level, "raised": raised, "words": mark.words})
            level = mark.level
    return {
        "frames": run.frames,
        "anchored": run.anchored,
        "seconds": run.duration,
        "columns": columns,
        "alarms": [
            {"alarm": span.alarm, "start": span.start, "end": span.end, "cleared": span.cleared} for span in run.spans
        ],
        "responses": responses,
    }


def _held(run: Run) -> list[dict[str, Any]]:
    goals = []
    for name in GOALS:
        met = run.within[name] == run.anchored if run.anchored else None
        share = 100.0 * run.within[name] / max(run.anchored, 1)
        # Rounded down: 100 % is all of them.
        words = f"{math.floor(10.0 * share) / 10.0:g} % of the frames" if run.anchored else "no scene had an anchor"
        goals.append({"goal": _GOAL_WORDS[name], "met": met, "words": words})
    return goals


def _slope(run: Run) -> dict[str, Any]:
    known = math.isfinite(run.slope)
    return {
        "goal": f"W1 rises by less than {SLOPE_GOAL:g} a minute",
        "met": run.slope < SLOPE_GOAL if known else None,
        "words": f"{run.slope:+.3f} a minute" if known else "too short to tell: it takes a minute",
    }


def _motion(run: Run) -> dict[str, Any]:
    first, last = first_motion(run), last_motion(run)
    known = math.isfinite(first) and math.isfinite(last) and first > _STILL
    return {
        "goal": "motion at least half of the start's",
        "met": last >= MOTION_GOAL * first if known else None,
        "words": f"{first:.3f} at the start, {last:.3f} at the end" if known else "the start was still",
    }
