"""A picture of a run's stability: what drifted, which alarms that raised, and what was done about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vjengine.engine.metrics_file import GOALS, MOTION_GOAL, Run, Span, first_motion
from vjengine.errors import MissingDependency
from vjengine.stabilise.guard import RESPONSES
from vjengine.stabilise.verdict import ALARMS

_GROUND, _PANEL, _TEXT, _DIM, _FAINT = "#0d0f14", "#141821", "#d5dae3", "#8b94a6", "#3a4252"
_GOAL, _SCENE, _STEPS = "#62d2a2", "#8b94a6", "#f2b84b"
_FIRST, _SECOND, _TRAIL = "#5b8def", "#e0894f", "#e6d7ff"
_RANGES = {
    "w1": (0.0, 7.0),
    "exposure": (-10.0, 10.0),
    "clipped": (-1.0, 6.0),
    "chroma": (0.0, 1.5),
    "entropy": (0.0, 5.5),
    "motion": (0.0, 0.5),
    "difference": (0.0, 5.0),
}
"""Least range of an axis, so that what is harmless looks so; one that begins at 0 never goes below."""
_PAUSE = 1.0
"""s without a look that part one trail from the next."""
_SCENES_SEEN = 60
"""Scenes up to which each has a line that is clearly seen."""
_STEPS_OF_TIME = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
"""s between two times on the axis."""
_ALARM = {
    "colour": "#e85d9c",
    "grey": "#9aa3b5",
    "dark": "#7a6fd6",
    "burn": "#f2d04b",
    "blur": "#4fb3c9",
    "texture": "#d67a3f",
    "freeze": "#6fa8ff",
    "flicker": "#e85d5d",
}


class Line(NamedTuple):
    """A column in a panel: its name in the legend, its colour, what its values are multiplied by."""

    column: str
    label: str
    colour: str
    scale: float = 1.0


class Panel(NamedTuple):
    """A panel: its title, the left and the right axis' label and lines, and the alarms that are about it."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    alarms: tuple[str, ...]
    unit2: str = ""
    lines2: tuple[Line, ...] = ()


PANELS = (
    Panel(
        "Colour: how far the palette is from the scene's first frames",
        "W1 (CIELAB)",
        (Line("w1", "drift W1", _FIRST),),
        ("colour",),
    ),
    Panel(
        "Detail: 0 as in the first frames, +1 twice as much, -1 half",
        "log2",
        (
            Line("detail", "all (R)", _FIRST),
            Line("fine", "fine", "#7fd1c7"),
            Line("middle", "middle", "#c7a6ff"),
            Line("coarse", "coarse", _SECOND),
        ),
        ("blur", "texture"),
    ),
    Panel(
        "Light: against the first frames",
        "ΔL*",
        (Line("exposure", "exposure", _FIRST),),
        ("dark", "burn"),
        "% of px",
        (Line("clipped", "clipped", _SECOND, 100.0),),
    ),
    Panel(
        "Saturation: 1 as in the first frames, 0 grey",
        "times",
        (Line("chroma", "saturation", _FIRST),),
        ("grey",),
        "bits",
        (Line("entropy", "variety of hues", _SECOND),),
    ),
    Panel(
        "Movement: from frame to frame",
        "px of 256",
        (Line("motion", "motion", _FIRST),),
        ("freeze", "flicker"),
        "of 255",
        (Line("difference", "change", _SECOND),),
    ),
)


def save_plot(run: Run, path: Path | str, title: str = "") -> None:
    """Draw ``run`` and save it to ``path`` (PNG, PDF, SVG by its suffix).

    Raises:
        MissingDependency: matplotlib is not installed.
        OSError: the file cannot be written.
        ValueError: matplotlib cannot write files of that suffix.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MultipleLocator
    except ImportError as error:
        raise MissingDependency("matplotlib (plots)", "pip install 'vjengine[plot]'") from error
    start, end = run.span
    named = _named(run, "") + (_named(run.trail, "trail: ") if run.trail is not None else [])
    heights = [0.3 + 0.22 * max(1, len(named)), 1.25, 1.6, 1.6, 1.3, 1.3, 1.3]
    figure = Figure(figsize=(16, 1.9 + 1.18 * sum(heights)), dpi=100, facecolor=_GROUND)
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights, "hspace": 0.34})
    for axis in axes:
        _dress(axis)
        axis.tick_params(axis="x", length=3 if axis is axes[-1] else 0)
    _alarms(axes[0], run, named)
    _response(axes[1], run)
    for axis, panel in zip(axes[2:], PANELS, strict=True):
        _panel(axis, panel, run)
    axes[-1].set_xlim(start, max(end, start + 0.1))
    step = next((step for step in _STEPS_OF_TIME if (end - start) / step <= 12), 7200)
    axes[-1].xaxis.set_major_locator(MultipleLocator(step))
    axes[-1].xaxis.set_major_formatter(lambda value, _: clock(value))
    axes[-1].set_xlabel("time of the show", color=_DIM, fontsize=9)
    figure.suptitle(title or _title(run), color=_TEXT, fontsize=12, x=0.14, ha="left", y=0.985)
    figure.subplots_adjust(left=0.14, right=0.855, top=0.935, bottom=0.055)
    figure.savefig(path, facecolor=_GROUND)


def clock(seconds: float) -> str:
    """Return s as ``m:ss``, or ``h:mm:ss`` from an hour on."""
    minutes, second = divmod(round(max(seconds, 0.0)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def _title(run: Run) -> str:
    size = f", {run.size[0]}x{run.size[1]}" if run.size[0] else ""
    trail = f", {run.trail.frames} looks at the trail" if run.trail is not None else ""
    start, end = run.span
    frames = f"{run.frames} frames{trail}, {clock(end - start)}"
    return f"Stability of {run.generator or 'a run'}{size}, seed {run.seed}: {frames}"


def _dress(axis: Any) -> None:
    axis.set_facecolor(_PANEL)
    axis.tick_params(colors=_TEXT, labelsize=8, length=3)
    for spine in axis.spines.values():
        spine.set_color(_FAINT)
    axis.grid(axis="x", color=_FAINT, lw=0.4, alpha=0.6)


def _head(axis: Any, text: str) -> None:
    axis.set_title(text, color=_TEXT, fontsize=9, loc="left", pad=4)


def _legend(axis: Any, handles: list[Any]) -> None:
    """Beside the data, never on it."""
    axis.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.045, 1.04),
        borderaxespad=0.0,
        fontsize=8,
        labelcolor=_TEXT,
        frameon=False,
    )


def _scenes(axis: Any, run: Run) -> Any:
    times = [mark.time for mark in run.marks if mark.kind in ("anchor", "generator")]
    # The scenes of a whole night would cover what they are to part.
    alpha = min(1.0, _SCENES_SEEN / max(len(times), 1))
    lines = axis.vlines(times, 0, 1, color=_SCENE, lw=0.8, ls=(0, (2, 3)), transform=axis.get_xaxis_transform())
    lines.set_alpha(alpha)
    lines.set_label("a scene begins")
    return lines


def _named(run: Run, prefix: str) -> list[tuple[str, str, list[Span]]]:
    """Return the label, the name and the spans of each alarm there was."""
    found = [(name, [span for span in run.spans if span.alarm == name]) for name in ALARMS]
    return [(prefix + name, name, spans) for name, spans in found if spans]


def _alarms(axis: Any, run: Run, named: Sequence[tuple[str, str, list[Span]]]) -> None:
    _head(axis, "Alarms")
    start, end = run.span
    least = 0.002 * max(end - start, 0.1)  # what is shorter would not be seen
    for row, (_, name, spans) in enumerate(named):
        bars = [(span.start, max(span.end - span.start, least)) for span in spans]
        axis.broken_barh(bars, (row - 0.38, 0.76), color=_ALARM[name], lw=0)
    axis.set_yticks(range(len(named)), [label for label, _, _ in named])
    axis.set_ylim(max(len(named), 1) - 0.5, -0.5)
    if not named:
        axis.text(0.5, 0.5, "none", color=_GOAL, ha="center", va="center", fontsize=9, transform=axis.transAxes)
    _legend(axis, [_scenes(axis, run)])


def _response(axis: Any, run: Run) -> None:
    _head(axis, "Response: what was done about it")
    handles = [_level(axis, run, run, _STEPS, "-", "to the generator")]
    axis.set_yticks(range(len(RESPONSES)), ["nothing to do", *RESPONSES[1:]], fontsize=7)
    axis.set_ylim(-0.4, len(RESPONSES) - 0.6)
    if run.trail is not None:
        handles.append(_level(axis, run, run.trail, _TRAIL, ":", "to the trail"))
        _legend(axis, handles)


def _level(axis: Any, whole: Run, run: Run, colour: str, style: str, label: str) -> Any:
    steps = [(mark.time, mark.level) for mark in run.marks if mark.kind == "response"]
    start, end = whole.span
    times = [start, *(time for time, _ in steps), end]
    levels = [0, *(level for _, level in steps), steps[-1][1] if steps else 0]
    axis.fill_between(times, levels, step="post", color=colour, alpha=0.25, lw=0)
    return axis.step(times, levels, where="post", color=colour, lw=1.4, ls=style, label=label)[0]


def _panel(axis: Any, panel: Panel, run: Run) -> None:
    _head(axis, panel.title)
    handles = _lines(axis, panel.unit, panel.lines, run)
    if run.trail is not None:
        handles.append(_trail(axis, panel.lines[0], run.trail))
    if panel.lines2:
        other = axis.twinx()
        _dress(other)
        other.grid(visible=False)
        # What belongs to the left axis is drawn last; the ground is that of the axis below.
        axis.set_zorder(other.get_zorder() + 1)
        axis.patch.set_visible(False)
        handles += _lines(other, panel.unit2, panel.lines2, run, "--")
        other.yaxis.label.set_color(panel.lines2[0].colour)
        axis.yaxis.label.set_color(panel.lines[0].colour)
    for name in panel.alarms:
        bars = [(span.start, span.end - span.start) for span in run.spans if span.alarm == name]
        if bars:
            shade = axis.broken_barh(
                bars, (0, 1), transform=axis.get_xaxis_transform(), color=_ALARM[name], alpha=0.22, lw=0, zorder=0.5
            )
            shade.set_label(f"alarm: {name}")
            handles.append(shade)
    _scenes(axis, run)
    _legend(axis, handles)


def _lines(axis: Any, unit: str, lines: tuple[Line, ...], run: Run, style: str = "-") -> list[Any]:
    axis.set_ylabel(unit, color=_TEXT, fontsize=8)
    times, handles = run.curves.times, []
    for line in lines:
        low, high, mean = (line.scale * each for each in run.curves.column(line.column))
        axis.fill_between(times, low, high, color=line.colour, alpha=0.3, lw=0)
        handles += axis.plot(times, mean, color=line.colour, lw=1.1, ls=style, label=line.label)
        handles += _goals(axis, line, run)
    return handles


def _trail(axis: Any, line: Line, trail: Run) -> Any:
    """Draw the same column of the trail."""
    # A trail fades and another begins: no line from one to the next.
    times, mean = trail.curves.times, line.scale * trail.curves.column(line.column)[2]
    if np.isfinite(mean).any():
        low, high = axis.get_ylim()
        axis.set_ylim(min(low, float(np.nanmin(mean))), max(high, float(np.nanmax(mean))))
    steps = np.diff(times)
    usual = float(np.median(steps)) if len(steps) else 0.0
    breaks = np.flatnonzero(steps > max(_PAUSE, 2.0 * usual)) + 1
    times, mean = np.insert(times, breaks, np.nan), np.insert(mean, breaks, np.nan)
    return axis.plot(times, mean, color=_TRAIL, lw=1.0, ls=":", label=f"trail: {line.label}")[0]


def _goals(axis: Any, line: Line, run: Run) -> list[Any]:
    """Draw the column's goal, and make room for it: a line far from its goal says as much as one near it."""
    if line.column == "motion":
        start = first_motion(run)
        bounds = [MOTION_GOAL * start] if math.isfinite(start) else []
        words = "goal: half of the start"
    else:
        bounds = [line.scale * bound for bound in GOALS.get(line.column, ()) if math.isfinite(bound)]
        words = f"goal: {line.label} " + ("" if len(bounds) > 1 else "up to ") + " to ".join(f"{x:g}" for x in bounds)
    drawn = [axis.axhline(bound, color=_GOAL, lw=0.9, ls=(0, (6, 4))) for bound in bounds]
    low, high = axis.get_ylim()
    if bounds:
        room = 0.15 * (max(*bounds, high) - min(*bounds, low)) if len(bounds) > 1 else 0.15 * max(abs(bounds[0]), 1e-6)
        axis.set_ylim(min(low, min(bounds) - room), max(high, max(bounds) + room))
        drawn[0].set_label(words)
    low, high = axis.get_ylim()
    least, most = _RANGES.get(line.column, (low, high))
    axis.set_ylim(min(low, least) if least else 0.0, max(high, most))
    if np.isnan(run.curves.column(line.column)[2]).all():
        axis.text(0.5, 0.5, "no frame with an anchor", color=_DIM, ha="center", va="center", fontsize=9,
                  transform=axis.transAxes)  # fmt: skip
    return drawn[:1]
