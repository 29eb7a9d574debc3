"""What the HUD is told, once a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vjengine.core.control import ControlState
from vjengine.core.macros import MacroDef


@dataclass(frozen=True, slots=True, kw_only=True)
class HudData:
    """Everything the HUD shows.

    Attributes:
        control: the frame's control state; its time is the HUD's time too, its deltas make the frame graph.
        macros: definitions of the macros in ``control``, by name in display order, for keys, groups and kinds.
        present_fps, target_fps: frames a second reached and wanted.
        present_p99_ms: 99th percentile of the frame interval, ms.
        generator, generator_state: its name, and a word such as ``running`` or ``restarting``.
        generator_fps: its frames a second.
        generator_age_ms: age of the picture on show, ms.
        worker_restarts: times the generator's process was started again.
        audio_to_frame_ms: from the sound to the frame that shows it, ms.
        audio_name: audio device or file; empty for none.
        midi: names of the open MIDI ports.
        osc_in: address that OSC is received at; empty for none.
        recording: file and length of the running recording; empty while off.
        dropped_events: events lost to a full queue.
        shader_errors: one line a shader that does not compile.
        prompt: what the generator is told to show, in words; empty for one that reads none.
        look_names: all looks, in the order of the look keys.
        cpu_percent: load of this process, 100 = one core; below 0 while unknown.
        memory_mb: memory of this process, MB; 0 while unknown.
        page: address of the crowd's page, or else the performer's, as people type it; empty while there is none.
        pages_open: how many have it open; below 0 while unknown.
        crowd_waiting: prompts of the crowd that wait; below 0 while the crowd has no page.
        hints: ``(key, meaning)`` pairs for the bottom line.
    """

    control: ControlState
    macros: Mapping[str, MacroDef] = field(default_factory=dict)
    present_fps: float = 0.0
    present_p99_ms: float = 0.0
    target_fps: float = 60.0
    generator: str = ""
    generator_state: str = ""
    generator_fps: float = 0.0
    generator_age_ms: float = 0.0
    worker_restarts: int = 0
    audio_to_frame_ms: float = 0.0
    audio_name: str = ""
    midi: tuple[str, ...] = ()
    osc_in: str = ""
    recording: str = ""
    dropped_events: int = 0
    shader_errors: tuple[str, ...] = ()
    prompt: str = ""
    look_names: tuple[str, ...] = ()
    cpu_percent: float = -1.0
    memory_mb: float = 0.0
    page: str = ""
    pages_open: int = -1
    crowd_waiting: int = -1
    hints: tuple[tuple[str, str], ...] = ()
