"""What pages are shown of a show, as plain JSON values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vjengine.core.control import ControlState
from vjengine.core.params import PARAMS
from vjengine.core.show import Show


@dataclass(frozen=True, slots=True)
class Engine:
    """How the engine is, beside its control state.

    Attributes:
        generator: name of the generator that runs.
        generator_state: its state in a word; ``detail`` what it says of itself.
        generator_fps: its pictures a second.
        fps: frames presented a second; ``target_fps``, how many there should be.
        p99_ms: 99th percentile of the time between two frames, ms.
        recording: what the recorder says; empty if it does not record.
        midi: names of the MIDI inputs.
    """

    generator: str = ""
    generator_state: str = ""
    detail: str = ""
    generator_fps: float = 0.0
    fps: float = 0.0
    target_fps: float = 60.0
    p99_ms: float = 0.0
    recording: str = ""
    midi: Sequence[str] = ()


def schema(show: Show, *, learn: bool = False) -> dict[str, Any]:
    """Return what stays the same for a show: macros, parameters and looks, in display order.

    ``learn`` is True if there is a MIDI input that can learn.
    """
    return {
        "learn": learn,
        "macros": [
            {
                "name": macro.name,
                "kind": macro.kind,
                "summary": macro.summary,
                "group": macro.group,
                "key": macro.key,
                "initial": macro.initial,
            }
            for macro in show.macros.values()
        ],
        "params": [
            {
                "name": row.name,
                "unit": row.unit,
                "low": row.low,
                "high": row.high,
                "default": row.default,
                "curve": row.curve,
                "choices": list(row.choices),
                "doc": row.doc,
            }
            for row in PARAMS
        ],
        "looks": list(show.looks),
    }


def snapshot(state: ControlState, engine: Engine) -> dict[str, Any]:
    """Return what changes.

    ``params`` holds ``[position, value]`` by name: the fader's place, 0-1, before modulation and macros, and the value
    in force. ``macros`` holds ``[requested, envelope, armed, held down]``.
    """
    return {
        "kind": "state",
        "time": round(state.time.time, 3),
        "look": state.look.name,
        "prompt": state.prompt[0],
        "macros": {
            name: [round(one.requested, 4), round(one.envelope, 3), one.armed, one.held_down]
            for name, one in state.macros.items()
        },
        "params": _positions(state),
        "tempo": round(state.features.beat.tempo, 2) if state.beat_running else 0.0,
        "beats": round(state.beats, 3),
        "bar_phase": round(state.bar_phase, 3),
        "beat_running": state.beat_running,
        "rms": round(state.features.rms, 3),
        "crowd": {
            "text": state.crowd.text,
            "author": state.crowd.author,
            "amount": round(state.crowd.amount, 2),
            "waiting": state.crowd.waiting is not None,
        },
        "status": [
            {"component": name, "level": one.level, "message": one.message} for name, one in state.status.items()
        ],
        "engine": {
            "generator": engine.generator,
            "state": engine.generator_state,
            "detail": engine.detail,
            "generator_fps": round(engine.generator_fps, 1),
            "fps": round(engine.fps, 1),
            "target_fps": round(engine.target_fps, 1),
            "p99_ms": round(engine.p99_ms, 1),
            "recording": engine.recording,
            "midi": list(engine.midi),
        },
    }


def _positions(state: ControlState) -> Mapping[str, list[float]]:
    """Return every parameter's place and value; where a fader is still gliding, the place is where it goes."""
    found = {}
    for row, now, smoothed in zip(PARAMS.rows, state.values.array.tolist(), state.smoothed.array.tolist(), strict=True):
        aimed = state.targets.get(row.name, smoothed)
        found[row.name] = [round(row.to_unit(aimed), 6), round(now, 5)]
    return found
