"""A picture of an analysed track."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vjengine.core.signals import BAND_NAMES
from vjengine.errors import MissingDependency

if TYPE_CHECKING:
    from vjengine.audio.track import TrackAnalysis

_GROUND, _PANEL, _TEXT, _FAINT = "#0d0f14", "#141821", "#d5dae3", "#3a4252"
_WAVE, _LOUD, _BEAT, _BAR, _TEMPO = "#5b8def", "#f2b84b", "#5a6478", "#f26b5b", "#62d2a2"
_LABELS = {
    "silence": "#2a2f3a",
    "intro": "#3d5a80",
    "build": "#b5838d",
    "drop": "#e85d5d",
    "breakdown": "#4a8c8c",
    "verse": "#6d597a",
    "outro": "#355070",
}


def save_plot(analysis: TrackAnalysis, path: Path | str) -> None:
    """Draw sections, waveform, bands, beats and tempo over time, and save to ``path`` (PNG, PDF, SVG by its suffix).

    Raises:
        MissingDependency: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependency("matplotlib (plots)", "pip install 'vjengine[plot]'") from error
    figure = Figure(figsize=(16, 9), dpi=120, facecolor=_GROUND)
    FigureCanvasAgg(figure)
    axes = figure.subplots(5, 1, sharex=True, gridspec_kw={"height_ratios": [0.35, 2.2, 2.2, 1.1, 1.5], "hspace": 0.12})
    for axis in axes:
        _dress(axis)
    _draw_sections(axes[0], analysis)
    _draw_wave(axes[1], analysis)
    _draw_bands(axes[2], analysis)
    _draw_beats(axes[3], analysis)
    _draw_tempo(axes[4], analysis)
    axes[-1].set_xlim(0, max(analysis.duration, 0.1))
    axes[-1].xaxis.set_major_formatter(lambda value, _: f"{int(value // 60)}:{int(value % 60):02d}")
    figure.subplots_adjust(left=0.06, right=0.985, top=0.965, bottom=0.05)
    figure.savefig(path, facecolor=_GROUND)


def _dress(axis: Any) -> None:
    axis.set_facecolor(_PANEL)
    axis.tick_params(colors=_TEXT, labelsize=8, length=3)
    for spine in axis.spines.values():
        spine.set_color(_FAINT)


def _title(axis: Any, text: str) -> None:
    axis.set_ylabel(text, color=_TEXT, fontsize=9)


def _draw_sections(axis: Any, analysis: TrackAnalysis) -> None:
    axis.set_yticks([])
    for section in analysis.sections:
        axis.axvspan(section.start, section.end, color=_LABELS[section.label], lw=0)
        axis.axvline(section.start, color=_GROUND, lw=2)
        if section.end - section.start > 0.04 * analysis.duration:
            middle = 0.5 * (section.start + section.end)
            axis.text(middle, 0.5, section.label, color="white", ha="center", va="center", fontsize=9,
                      transform=axis.get_xaxis_transform())  # fmt: skip


def _draw_wave(axis: Any, analysis: TrackAnalysis) -> None:
    times, envelope = analysis.curve_times, analysis.envelope
    axis.fill_between(times, envelope[:, 0], envelope[:, 1], color=_WAVE, lw=0, alpha=0.8)
    top = max(float(np.abs(envelope).max()), 1e-3) * 1.05 if envelope.size else 1.0
    axis.plot(times, analysis.loudness * top, color=_LOUD, lw=1.0)
    axis.set_ylim(-top, top)
    for section in analysis.sections[1:]:
        axis.axvline(section.start, color=_TEXT, lw=0.7, alpha=0.5)
    _title(axis, "wave, loudness")


def _draw_bands(axis: Any, analysis: TrackAnalysis) -> None:
    if analysis.bands.size:
        axis.imshow(np.sqrt(analysis.bands.T), origin="lower", aspect="auto", cmap="inferno", vmin=0, vmax=1,
                    extent=(0, max(analysis.duration, 0.1), -0.5, 5.5), interpolation="nearest")  # fmt: skip
    axis.set_yticks(range(6), BAND_NAMES)


def _draw_beats(axis: Any, analysis: TrackAnalysis) -> None:
    plain = [(b.time, b.confidence) for b in analysis.beats if not b.downbeat]
    bars = [(b.time, b.confidence) for b in analysis.beats if b.downbeat]
    for marks, colour, width in ((plain, _BEAT, 0.8), (bars, _BAR, 1.2)):
        if marks:
            times, heights = zip(*marks, strict=True)
            axis.vlines(times, 0, heights, color=colour, lw=width)
    axis.plot(analysis.onsets, np.full(len(analysis.onsets), 1.06), "|", color=_LOUD, ms=4, mew=0.6)
    axis.set_ylim(0, 1.15)
    _title(axis, "beats, onsets")


def _draw_tempo(axis: Any, analysis: TrackAnalysis) -> None:
    if analysis.tempo:
        times, tempos = (list(column) for column in zip(*analysis.tempo, strict=True))
        shown = [bpm or np.nan for bpm in tempos]
        axis.plot([*times, analysis.duration], [*shown, shown[-1]], color=_TEMPO, lw=1.6, drawstyle="steps-post")
        known = [bpm for bpm in tempos if bpm]
        if known:
            axis.set_ylim(min(known) - 4, max(known) + 4)
            axis.text(0.995, 0.9, f"median {np.median(known):.2f} BPM", color=_TEXT, ha="right", va="top",
                      transform=axis.transAxes, fontsize=9)  # fmt: skip
    axis.grid(color=_FAINT, lw=0.5)
    _title(axis, "BPM")
