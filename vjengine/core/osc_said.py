"""What the OSC feed says: one table of addresses, from which sending and the TouchDesigner contract derive.

One float an address, because TouchDesigner's OSC In CHOP makes a channel of each address, reads numbers only and splits
messages of several arguments. Text goes to a port of its own. Edges travel as counters too: a receiver that samples
slower than the feed compares counts and misses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from vjengine.core.control import ControlState
from vjengine.core.osc_tree import param_address
from vjengine.core.params import PARAMS, ParamSpec
from vjengine.core.signals import BAND_NAMES

When = Literal["every tick", "on change and every second"]


@dataclass(frozen=True, slots=True)
class Tick:
    """What the rows read, once a tick of the feed.

    Attributes:
        state: the latest control state.
        beat: True if a beat fell since the last tick.
        bar: True if a bar began since the last tick.
        onset: True if an onset was heard since the last tick.
        fps: frames the engine presented a second, lately.
    """

    state: ControlState
    beat: bool = False
    bar: bool = False
    onset: bool = False
    fps: float = 0.0


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One number of the feed.

    Attributes:
        address: OSC address; its one argument is a 32-bit float.
        unit: unit, or ``count`` for a counter that only grows, or empty for a bare number.
        range: values in words.
        when: when it is sent.
        doc: one line.
        read: returns the value of a tick.
    """

    address: str
    unit: str
    range: str
    when: When
    doc: str
    read: Callable[[Tick], float]


@dataclass(frozen=True, slots=True)
class TextRow:
    """One text of the feed: address, arguments in words, one line of documentation."""

    address: str
    arguments: str
    doc: str


TEXT_ROWS: tuple[TextRow, ...] = (
    TextRow("/vj/text/look", "one string", "name of the look in force"),
    TextRow("/vj/text/prompt", "one string", "prompt in force; empty for none"),
    TextRow(
        "/vj/text/status/NAME",
        "two strings: ok, warn or error, and the message",
        "how a component is (audio, midi, osc_in, generator …); only of those that are or were not well",
    ),
)


def _row(
    address: str,
    read: Callable[[Tick], float],
    doc: str,
    *,
    unit: str = "",
    range: str = "0 to 1",
    when: When = "every tick",
) -> FeedRow:
    return FeedRow(f"/vj/{address}", unit, range, when, doc, read)


def _count(address: str, read: Callable[[Tick], float], doc: str) -> FeedRow:
    return _row(address, read, doc, unit="count", range="0 up")


def _pulse(address: str, read: Callable[[Tick], float], doc: str) -> FeedRow:
    return _row(address, read, doc, range="0 or 1")


_AUDIO: tuple[FeedRow, ...] = (
    _row("audio/rms", lambda t: t.state.features.rms, "loudness after gain control"),
    _row("audio/peak", lambda t: t.state.features.peak, "largest sample after gain control"),
    _row("audio/centroid", lambda t: t.state.features.centroid, "brightness: 20 Hz is 0, 16 kHz is 1, logarithmic"),
    _row("audio/flatness", lambda t: t.state.features.flatness, "0 is a tone, 1 is noise"),
    _row("audio/flux", lambda t: t.state.features.flux, "how much the spectrum rises"),
    _row("audio/onset", lambda t: t.state.onset, "jumps at an onset to its strength and decays"),
    _pulse("audio/onset_pulse", lambda t: t.onset, "1 for the one tick after an onset"),
    _count("audio/onset_count", lambda t: t.state.features.onset_count, "onsets so far"),
    _pulse("audio/silent", lambda t: t.state.features.silent, "1 while the silence gate is shut"),
    _row("audio/gain", lambda t: t.state.features.gain_db, "gain control", unit="dB", range="any"),
)

_BEAT: tuple[FeedRow, ...] = (
    _row(
        "beat/tempo", lambda t: t.state.features.beat.tempo, "tempo; 0 while no beat is known", unit="BPM", range="0 up"
    ),
    _row("beat/phase", lambda t: t.state.beats % 1.0, "position in the beat: 0 on it, rising to 1"),
    _row("beat/bar_phase", lambda t: t.state.bar_phase, "position in the bar: 0 on its 1, rising to 1"),
    _count("beat/count", lambda t: t.state.beat_count, "beats so far"),
    _pulse("beat/pulse", lambda t: t.beat, "1 for the one tick after a beat"),
    _pulse("beat/bar", lambda t: t.bar, "1 for the one tick after a bar began"),
    _row("beat/confidence", lambda t: t.state.features.beat.confidence, "how well the beat clock fits the music"),
    _pulse("beat/running", lambda t: t.state.beat_running, "0 while no beat is known and in silence"),
)

_ENGINE: tuple[FeedRow, ...] = (
    _row("engine/fps", lambda t: t.fps, "frames drawn a second", unit="1/s", range="0 up"),
    _count("engine/frame", lambda t: t.state.time.index, "number of the frame"),
    _row("engine/time", lambda t: t.state.time.time, "session time of the frame", unit="s", range="0 up"),
    _count("engine/cue", lambda t: t.state.cue, "changes of look or prompt so far"),
    _count("engine/cut", lambda t: t.state.cut, "cuts so far"),
    _count("engine/clear", lambda t: t.state.clear, "wipes of the feedback so far"),
    _count("engine/reseed", lambda t: t.state.reseed, "new generator seeds so far"),
)


def _band_rows(index: int, band: str) -> Iterable[FeedRow]:
    yield _row(f"audio/{band}/level", lambda t: t.state.features.bands[index], f"{band}: level, fast (30 ms)")
    yield _row(f"audio/{band}/slow", lambda t: t.state.features.bands_slow[index], f"{band}: level, slow (1 s)")
    yield _row(f"audio/{band}/hit", lambda t: t.state.features.hits[index], f"{band}: jumps on an attack and decays")
    yield _count(f"audio/{band}/count", lambda t: t.state.features.hit_counts[index], f"{band}: attacks so far")


def _macro_rows(name: str) -> Iterable[FeedRow]:
    yield _row(f"macro/{name}", lambda t: t.state.macros[name].envelope, "how far the macro is in")
    yield _count(f"macro/{name}/starts", lambda t: t.state.macros[name].starts, "times it went on")


def said_address(row: ParamSpec) -> str:
    """Return the feed's address of a parameter: what is in force, after modulation and macros."""
    return "/vj" + param_address(row)


def _param_row(row: ParamSpec) -> FeedRow:
    span = ", ".join(row.choices) if row.choices else f"{row.low:g} to {row.high:g} {row.unit}".strip()
    return FeedRow(
        said_address(row),
        "",
        f"0 to 1 for {span}",
        "on change and every second",
        row.doc,
        lambda t: row.to_unit(t.state.values[row.name]),
    )


def tick_rows(macros: Iterable[str]) -> list[FeedRow]:
    """Return the rows sent every tick, for the macros of these names."""
    rows = list(_AUDIO)
    for index, band in enumerate(BAND_NAMES):
        rows += _band_rows(index, band)
    rows += _BEAT
    for name in macros:
        rows += _macro_rows(name)
    return rows + list(_ENGINE)


def param_rows() -> list[FeedRow]:
    """Return one row a parameter, in table order."""
    return [_param_row(row) for row in PARAMS]


def feed_rows(macros: Iterable[str]) -> list[FeedRow]:
    """Return every number the feed sends, for the macros of these names (a mapping by name will do)."""
    return [*tick_rows(macros), *param_rows()]
