"""Do pictures that feed on themselves hold? ``python -m benchmarks.collapse [--json] [--full] [--jobs N]``.

Loops that collapse within seconds when nothing is done, each with several remedies, measured every 30 steps (a second)
against their first 8 pictures; and healthy footage, on which nothing should happen. ``--full`` runs 18,000 steps (ten
minutes) of each; other remedies than this project's are stopped once they have been collapsed for 1,000 steps on end.
What is finished is printed even if the run is interrupted.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.collapse_footage import CLIPS, Watched, watch
from benchmarks.collapse_loops import INSIDE_ONLY, LOOPS, NEEDS_TORCH, UNJUDGED, start_of
from benchmarks.collapse_remedies import OURS, REMEDIES
from benchmarks.collapse_run import FIRST, LONG_ENOUGH, SETTLED, Job, Outcome, run
from benchmarks.collapse_scenes import SCENES
from benchmarks.common import Report, arguments

Work = TypeVar("Work")
Result = TypeVar("Result")

QUICK = ("green", "burn", "blur", "jpeg")
QUICK_STEPS, FULL_STEPS = 400, 18000
QUICK_PATIENCE, FULL_PATIENCE = 60, 1000
"""Steps on end for which a remedy of others must have been collapsed to be stopped."""
QUICK_FRAMES, FULL_FRAMES = 240, 900
FOOTAGE_CHANGE = 2.0
EVERY_LOOP = (*LOOPS, *UNJUDGED)
COLUMNS = ("W1 end", "worst", "R end", "worst", "slope", "clipped", "motion", "carried", "anew", "collapsed")


def several(text: str, known: Sequence[str]) -> tuple[str, ...]:
    """Read a list with commas.

    Raises:
        argparse.ArgumentTypeError: naming what is unknown and what there is.
    """
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"there is no {name!r}; choose from: {', '.join(known)}")
    return names


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = arguments(__doc__ or "")
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    made.add_argument("--loops", type=lambda text: several(text, EVERY_LOOP), help=f"of: {', '.join(EVERY_LOOP)}")
    made.add_argument("--remedies", type=lambda text: several(text, tuple(REMEDIES)), help=f"of: {', '.join(REMEDIES)}")
    made.add_argument("--scene", choices=SCENES, default="", help="start all loops from this one")
    made.add_argument("--steps", type=int, help="the same for all remedies, and none stopped early")
    made.add_argument("--seed", type=int, default=1, help="of the start pictures")
    made.add_argument("--sheet", type=Path, metavar="FILE", help="write a picture of starts and ends")
    made.add_argument("--footage", action="store_true", help="only the healthy footage")
    made.add_argument("--jobs", type=int, default=1, help="processes at a time (1)")
    return made


def planned(options: argparse.Namespace, report: Report) -> list[Job]:
    """Return what to run."""
    loops = options.loops or (LOOPS if options.full else QUICK)
    if importlib.util.find_spec("torch") is None:
        left_out = [name for name in loops if name in NEEDS_TORCH]
        loops = [name for name in loops if name not in NEEDS_TORCH]
        if left_out:
            report.note(f"left out, they need PyTorch: {', '.join(left_out)}")
    jobs = []
    for loop in loops:
        for remedy in options.remedies or REMEDIES:
            if loop in INSIDE_ONLY and remedy not in ("nothing", OURS):
                continue
            steps = options.steps or (FULL_STEPS if options.full else QUICK_STEPS)
            # Asked for so many steps, all of them take those: ends are only compared at the same age.
            whole = remedy == OURS or bool(options.steps)
            patience = 0 if whole else FULL_PATIENCE if options.full else QUICK_PATIENCE
            jobs.append(Job(loop, remedy, steps, options.scene or start_of(loop), options.seed, patience))
    return jobs


def deaf() -> None:
    """Leave Ctrl-C to the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def spread(function: Callable[[Work], Result], items: Sequence[Work], processes: int) -> Iterator[Result]:
    """Yield what ``function`` makes of each item, as it comes. An interrupt ends the processes at once."""
    if processes <= 1:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, deaf)
    try:
        for future in as_completed([pool.submit(function, item) for item in items]):
            yield future.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    pool.shutdown()


def record(report: Report, outcome: Outcome) -> None:
    """Report one outcome as JSON lines."""
    label, worst, final = f"{outcome.job.loop}, {outcome.job.remedy}", outcome.worst, outcome.final
    for metric, unit, value, goal in (
        ("W1 at the end", "Lab", final.w1, ""),
        ("W1 worst", "Lab", worst.w1, "<= 6"),
        ("R at the end", "log2", final.detail, ""),
        ("R worst", "log2", worst.detail, "within 1"),
        ("slope of W1", "Lab/min", outcome.slope, "< 0.2"),
        ("standard error of the slope", "Lab/min", outcome.slope_error, ""),
        ("clipped worst", "share", worst.clipped, "<= 0.05"),
        ("motion", "x start", outcome.motion, ">= 0.5"),
        ("carried over a second", "correlation", outcome.structure, ""),
        ("drawn anew", "times", outcome.anew, "0"),
        ("steps", "", outcome.steps, ""),
        ("stopped, collapsed for good", "", outcome.stopped, ""),
        ("collapsed at step", "", np.nan if outcome.collapsed_at is None else outcome.collapsed_at, "never"),
        ("goals missed", "", len(outcome.failures), "0"),
    ):
        report.add(f"{label}: {metric}", unit, float(value), goal=goal)


def table(found: Sequence[Outcome]) -> str:
    """Return loops times remedies as text."""
    head = (
        f"{'loop':<11}{'remedy':<24}{'steps':>6}"
        + "".join(f"{name:>9}" for name in COLUMNS[:-1])
        + f"{COLUMNS[-1]:>11}  goals"
    )
    lines = [head, "-" * len(head)]
    for one in found:
        final, worst = one.final, one.worst
        when = "never" if one.collapsed_at is None else f"{one.collapsed_at / 30.0:.1f} s"
        numbers = (
            f"{final.w1:9.2f}{worst.w1:9.2f}{final.detail:+9.2f}{worst.detail:+9.2f}{one.slope:+9.2f}"
            f"{worst.clipped:+9.3f}{one.motion:9.2f}{one.structure:9.2f}{one.anew:9d}{when:>11}"
        )
        verdict = f"fails: {', '.join(one.failures)}" if one.failures else "held"
        if one.stopped:
            verdict += f"; stopped at step {one.steps}"
        lines.append(f"{one.job.loop:<11}{one.job.remedy:<24}{one.steps:6d}{numbers}  {verdict}")
    return "\n".join(lines)


def summary(found: Sequence[Outcome]) -> str:
    """Return for each remedy how many loops it held."""
    parts = []
    for remedy in REMEDIES:
        its = [one for one in found if one.job.remedy == remedy]
        if its:
            parts.append(f"{remedy}: {sum(not one.failures for one in its)} of {len(its)}")
    return "loops held: " + "; ".join(parts)


def sheet(found: Sequence[Outcome]) -> Image.Image:
    """Return a picture: a row a loop, its start and its end with each remedy."""
    loops = list(dict.fromkeys(one.job.loop for one in found))
    remedies = [name for name in REMEDIES if any(one.job.remedy == name for one in found)]
    width, height, left, top, gap = 224, 126, 84, 24, 4
    size = (left + (1 + len(remedies)) * (width + gap), top + len(loops) * (height + gap))
    paper = Image.new("RGB", size, (18, 18, 18))
    pen = ImageDraw.Draw(paper)
    for column, name in enumerate(("start", *remedies)):
        pen.text((left + column * (width + gap) + 4, 6), name, fill=(230, 230, 230))
    for row, loop in enumerate(loops):
        y = top + row * (height + gap)
        pen.text((6, y + height // 2 - 6), loop, fill=(230, 230, 230))
        its = {one.job.remedy: one for one in found if one.job.loop == loop}
        cells = {0: next(iter(its.values())).start, **{1 + remedies.index(name): one.end for name, one in its.items()}}
        for column, pixels in cells.items():
            cell = Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), Image.Resampling.LANCZOS)
            paper.paste(cell, (left + column * (width + gap), y))
        for column, name in enumerate(remedies, 1):
            if name in its:
                one = its[name]
                minutes = one.steps / 1800.0
                words = f"{minutes:.3g} min  " + ("held" if not one.failures else "lost")
                at = (left + column * (width + gap) + 4, y + height - 14)
                pen.rectangle((at[0] - 4, at[1] - 1, at[0] + 84, at[1] + 14), fill=(18, 18, 18))
                pen.text(at, words, fill=(140, 230, 140) if not one.failures else (240, 120, 120))
    return paper


def footage(report: Report, frames: int, processes: int) -> bool:
    """Show the healthy clips to the stabiliser; return True if all is well."""
    found: list[Watched] = []
    try:
        found.extend(spread(partial(watch, frames=frames), tuple(CLIPS), processes))
    finally:
        found.sort(key=lambda one: tuple(CLIPS).index(one.name))
        good = show_footage(report, found)
    return good


def show_footage(report: Report, found: Sequence[Watched]) -> bool:
    """Report the clips that were watched; return True if all is well."""
    every = [value for one in found for value in one.changed]
    for one in found:
        words = ", ".join(f"{name} x{count}" for name, count in sorted(one.alarms.items()))
        report.add(f"{one.name}: change", "dE2000", one.changed, goal="<= 2 in the median")
        report.add(f"{one.name}: false alarms", "", one.false_alarms, goal="0" + (f"; got {words}" if words else ""))
    report.add("all footage: change", "dE2000", every, goal="<= 2 in the median")
    alarms = sum(one.false_alarms for one in found)
    report.add("all footage: false alarms", "", alarms, goal="0")
    return alarms == 0 and bool(every) and float(np.median(every)) <= FOOTAGE_CHANGE


def loops(report: Report, options: argparse.Namespace) -> bool:
    """Run the loops; return True if this project's remedy met every goal. Reports even where it is interrupted."""
    jobs = planned(options, report)
    report.note(f"against the first {FIRST} pictures; worst: after {SETTLED} steps; goals: W1 <= 6, |R| <= 1,")
    report.note(f"slope < 0.2 a minute (from {LONG_ENOUGH} steps), clipped <= +0.05, motion >= half, not drawn anew;")
    report.note(
        "carried: correlation with the picture a second ago, moved as the loop does: 1 the same, 0 all new; no goal"
    )
    order = {(job.loop, job.remedy): place for place, job in enumerate(jobs)}
    found: list[Outcome] = []
    try:
        # Ours first: the long ones, so that nobody waits for a last long one alone.
        for one in spread(run, sorted(jobs, key=lambda job: job.remedy != OURS), options.jobs):
            found.append(one)
            if options.json:
                record(report, one)
            print(f"{len(found)} of {len(jobs)} done", file=sys.stderr, flush=True)
    finally:
        found.sort(key=lambda one: order[one.job.loop, one.job.remedy])
        if found:
            report.note(table(found))
            report.note(summary(found))
            if options.sheet:
                options.sheet.parent.mkdir(parents=True, exist_ok=True)
                sheet(found).save(options.sheet)
    return not any(one.failures for one in found if one.job.remedy == OURS and one.job.loop not in UNJUDGED)


def main() -> int:
    """Run; return 0 if this project's remedy met every goal, 130 if the run was interrupted."""
    options = parser().parse_args()
    report = Report("collapse", as_json=options.json)
    good = True
    try:
        if not options.footage:
            good = loops(report, options)
        if options.footage or options.full:
            good = footage(report, FULL_FRAMES if options.full else QUICK_FRAMES, options.jobs) and good
    except KeyboardInterrupt:
        report.note("interrupted: this is what was finished")
        return 130
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
