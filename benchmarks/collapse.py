"""Do pictures that feed on themselves hold? ``python -m benchmarks.collapse [--json] [--full]``.

Loops that collapse within seconds when nothing is done, each with several remedies, measured every 30 steps (a second)
against their first 8 pictures; and healthy footage, on which nothing should happen. ``--full`` runs this project's
remedy for 18,000 steps (ten minutes) and the others for 3,000: they collapse within the first of them or never.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.collapse_footage import CLIPS, Watched, watch
from benchmarks.collapse_loops import INSIDE_ONLY, LOOPS, NEEDS_TORCH, start_of
from benchmarks.collapse_remedies import OURS, REMEDIES
from benchmarks.collapse_run import FIRST, SETTLED, Job, Outcome, run
from benchmarks.collapse_scenes import SCENES
from benchmarks.common import Report, arguments

QUICK = ("green", "burn", "blur", "jpeg")
QUICK_STEPS, BASELINE_STEPS, FULL_STEPS = 600, 3000, 18000
QUICK_FRAMES, FULL_FRAMES = 240, 900
FOOTAGE_CHANGE = 2.0
COLUMNS = ("W1 end", "worst", "R end", "worst", "slope", "clipped", "motion", "anew", "collapsed")


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
    made.add_argument("--loops", type=lambda text: several(text, LOOPS), help=f"of: {', '.join(LOOPS)}")
    made.add_argument("--remedies", type=lambda text: several(text, tuple(REMEDIES)), help=f"of: {', '.join(REMEDIES)}")
    made.add_argument("--scene", choices=SCENES, default="", help="start all loops from this one")
    made.add_argument("--steps", type=int, help="the same for all remedies")
    made.add_argument("--seed", type=int, default=1, help="of the start pictures")
    made.add_argument("--sheet", type=Path, metavar="FILE", help="write a picture of starts and ends")
    made.add_argument("--footage", action="store_true", help="only the healthy footage")
    made.add_argument("--jobs", type=int, default=1, help="processes (1)")
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
            long = FULL_STEPS if remedy == OURS else BASELINE_STEPS
            steps = options.steps or (long if options.full else QUICK_STEPS)
            jobs.append(Job(loop, remedy, steps, options.scene or start_of(loop), options.seed))
    return jobs


def outcomes(jobs: Sequence[Job], processes: int) -> Iterator[Outcome]:
    """Yield what came of each job, as it comes."""
    if processes <= 1:
        yield from map(run, jobs)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run, job) for job in jobs]):
            yield future.result()


def record(report: Report, outcome: Outcome) -> None:
    """Report one outcome as JSON lines."""
    label, worst, final = f"{outcome.job.loop}, {outcome.job.remedy}", outcome.worst, outcome.final
    for metric, unit, value, goal in (
        ("W1 at the end", "Lab", final.w1, ""),
        ("W1 worst", "Lab", worst.w1, "<= 6"),
        ("R at the end", "log2", final.detail, ""),
        ("R worst", "log2", worst.detail, "within 1"),
        ("slope of W1", "Lab/min", outcome.slope, "< 0.2"),
        ("clipped worst", "share", worst.clipped, "<= 0.05"),
        ("motion", "x start", outcome.motion, ">= 0.5"),
        ("drawn anew", "times", outcome.anew, "0"),
        ("steps", "", outcome.job.steps, ""),
        ("collapsed at step", "", np.nan if outcome.collapsed_at is None else outcome.collapsed_at, "never"),
        ("goals missed", "", len(outcome.failures), "0"),
    ):
        report.add(f"{label}: {metric}", unit, float(value), goal=goal)


def table(found: Sequence[Outcome]) -> str:
    """Return loops times remedies as text."""
    head = f"{'loop':<11}{'remedy':<24}{'steps':>6}" + "".join(f"{name:>9}" for name in COLUMNS) + "  goals"
    lines = [head, "-" * len(head)]
    for one in found:
        final, worst = one.final, one.worst
        when = "never" if one.collapsed_at is None else f"{one.collapsed_at / 30.0:.1f} s"
        numbers = (
            f"{final.w1:9.2f}{worst.w1:9.2f}{final.detail:+9.2f}{worst.detail:+9.2f}{one.slope:+9.2f}"
            f"{worst.clipped:+9.3f}{one.motion:9.2f}{one.anew:9d}{when:>9}"
        )
        verdict = f"fails: {', '.join(one.failures)}" if one.failures else "held"
        lines.append(f"{one.job.loop:<11}{one.job.remedy:<24}{one.job.steps:6d}{numbers}  {verdict}")
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
                minutes = one.job.steps / 1800.0
                words = f"{minutes:.3g} min  " + ("held" if not one.failures else "lost")
                at = (left + column * (width + gap) + 4, y + height - 14)
                pen.rectangle((at[0] - 4, at[1] - 1, at[0] + 84, at[1] + 14), fill=(18, 18, 18))
                pen.text(at, words, fill=(140, 230, 140) if not one.failures else (240, 120, 120))
    return paper


def footage(report: Report, frames: int, processes: int) -> bool:
    """Show the healthy clips to the stabiliser; return True if all is well."""
    if processes <= 1:
        found: list[Watched] = [watch(name, frames) for name in CLIPS]
    else:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
            found = list(pool.map(watch, CLIPS, [frames] * len(CLIPS)))
    every = [value for one in found for value in one.changed]
    for one in found:
        words = ", ".join(f"{name} x{count}" for name, count in sorted(one.alarms.items()))
        report.add(f"{one.name}: change", "dE2000", one.changed, goal="<= 2 in the median")
        report.add(f"{one.name}: false alarms", "", one.false_alarms, goal="0" + (f"; got {words}" if words else ""))
    report.add("all footage: change", "dE2000", every, goal="<= 2 in the median")
    alarms = sum(one.false_alarms for one in found)
    report.add("all footage: false alarms", "", alarms, goal="0")
    return alarms == 0 and float(np.median(every)) <= FOOTAGE_CHANGE


def main() -> int:
    """Run; return 0 if this project's remedy met every goal."""
    options = parser().parse_args()
    report = Report("collapse", as_json=options.json)
    good = True
    if not options.footage:
        jobs = planned(options, report)
        report.note(f"against the first {FIRST} pictures; worst: after {SETTLED} steps; goals: W1 <= 6, |R| <= 1,")
        report.note(
            "slope < 0.2 a minute (runs of 3,000 steps and more), clipped <= +0.05, motion >= half, not drawn anew"
        )
        if options.full:
            report.note(
                f"{OURS}: {FULL_STEPS} steps; the others {BASELINE_STEPS}: what collapses does so in the first minute"
            )
        order = {(job.loop, job.remedy): place for place, job in enumerate(jobs)}
        # The long ones first: nobody waits for a last long one alone.
        found = sorted(
            outcomes(sorted(jobs, key=lambda job: -job.steps), options.jobs),
            key=lambda one: order[one.job.loop, one.job.remedy],
        )
        if options.json:
            for one in found:
                record(report, one)
        report.note(table(found))
        report.note(summary(found))
        good = not any(one.failures for one in found if one.job.remedy == OURS)
        if options.sheet:
            options.sheet.parent.mkdir(parents=True, exist_ok=True)
            sheet(found).save(options.sheet)
    if options.footage or options.full:
        good = footage(report, FULL_FRAMES if options.full else QUICK_FRAMES, options.jobs) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
