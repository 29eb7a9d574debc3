"""The keyboard: from key strokes to events, without a window.

Keys are named by one lower-case character or by ``space``, ``enter``, ``escape``, ``tab``, ``backspace``, ``left``,
``right``, ``up``, ``down`` and ``f1`` to ``f12``; whoever owns the window translates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from vjengine.core.events import (
    Event,
    LearnMidi,
    LookSelected,
    MacroLevel,
    MacroSet,
    MacroToggle,
    Quit,
    Resync,
    StatusChanged,
    Tap,
    TempoNudge,
    TempoScale,
    Trigger,
)
from vjengine.core.macros import MacroDef, MacroState

Action = Literal["press", "release", "repeat"]
Maker = Callable[[float], Event]
"""Makes an event for a session time, s."""

LEVEL_STEP = 0.05
"""How far one stroke moves a level."""
NUDGE_MS = 5.0
"""How far one stroke shifts the beat."""
LEARN = "f2"
"""Before another key: the next MIDI control that moves shall do what that key does."""
QUIT_WINDOW = 1.5
"""s within which Escape must come twice."""
SOURCE = "key"


@dataclass(frozen=True, slots=True)
class KeyHelp:
    """One line of the help: keys, and what they do."""

    keys: str
    does: str


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A key of the engine itself; ``repeats`` if holding it down repeats it, ``learnt`` names it for MIDI learn."""

    key: str
    does: str
    make: Maker
    repeats: bool = False
    learnt: str = ""


SHORTCUTS: tuple[Shortcut, ...] = (
    Shortcut("space", "tap the tempo", lambda t: Tap(time=t, source=SOURCE), learnt="tempo:tap"),
    Shortcut("enter", "this is the 1 of a bar", lambda t: Resync(time=t, source=SOURCE), learnt="tempo:resync"),
    Shortcut("]", "tempo ×2", lambda t: TempoScale(time=t, source=SOURCE, factor=2.0), learnt="tempo:double"),
    Shortcut("[", "tempo ÷2", lambda t: TempoScale(time=t, source=SOURCE, factor=0.5), learnt="tempo:half"),
    Shortcut(",", "beat earlier", lambda t: TempoNudge(time=t, source=SOURCE, milliseconds=-NUDGE_MS), repeats=True),
    Shortcut(".", "beat later", lambda t: TempoNudge(time=t, source=SOURCE, milliseconds=NUDGE_MS), repeats=True),
    Shortcut("right", "next look", lambda t: LookSelected(time=t, source=SOURCE, step=1), learnt="look:next"),
    Shortcut("left", "previous look", lambda t: LookSelected(time=t, source=SOURCE, step=-1), learnt="look:previous"),
    Shortcut("down", "another picture, now", lambda t: Trigger(time=t, source=SOURCE, action="reseed")),
    Shortcut("up", "cut to the newest picture", lambda t: Trigger(time=t, source=SOURCE, action="cut")),
    Shortcut("backspace", "wipe the trails", lambda t: Trigger(time=t, source=SOURCE, action="clear")),
)
"""The engine's own keys, one row each."""


class KeyMap:
    """What each key does: the macros' own keys, the engine's shortcuts and, above both, ``extra``.

    Args:
        macros: each with its default key; a level's is a pair, ``"down-key up-key"``.
        extra: further keys, or other meanings for those there are. Escape keeps its own.
    """

    def __init__(self, macros: Mapping[str, MacroDef], extra: Mapping[str, Maker] = MappingProxyType({})) -> None:
        self._shortcuts: dict[str, Shortcut] = {row.key: row for row in SHORTCUTS}
        self._shortcuts.update({key: Shortcut(key, "your own", make) for key, make in extra.items()})
        self._macros: dict[str, tuple[MacroDef, float]] = {}
        for macro in macros.values():
            keys = macro.key.split()
            steps = (-LEVEL_STEP, LEVEL_STEP) if macro.kind == "level" else (0.0,)
            for key, step in zip(keys, steps, strict=False):
                if key not in self._shortcuts and key != "escape":
                    self._macros.setdefault(key, (macro, step))
        self._levels = {macro.name: macro.initial for macro in macros.values() if macro.kind == "level"}
        self._held: dict[str, MacroDef] = {}
        self._escape_at = float("-inf")
        self._learning = False

    def events(
        self, key: str, action: Action, time: float, states: Mapping[str, MacroState] = MappingProxyType({})
    ) -> list[Event]:
        """Return what one stroke means; nothing for a key that means nothing.

        Args:
            key: the key's name.
            action: ``repeat`` is what a held key sends again and again.
            time: session time of the stroke, s.
            states: the macros' states as of now, so that a level moved elsewhere moves on from there.
        """
        key = key.lower()
        if key == "escape":
            return self._escape(action, time)
        if key == LEARN or (self._learning and action == "press"):
            return self._learn(key, action, time)
        shortcut = self._shortcuts.get(key)
        if shortcut is not None:
            wanted = action == "press" or (action == "repeat" and shortcut.repeats)
            return [shortcut.make(time)] if wanted else []
        if key not in self._macros:
            return []
        macro, step = self._macros[key]
        if macro.kind == "level":
            return [] if action == "release" else [self._move(macro.name, step, time, states)]
        if macro.kind == "toggle":
            return [MacroToggle(time=time, source=SOURCE, macro=macro.name)] if action == "press" else []
        return self._hold(key, macro, action, time)

    def _hold(self, key: str, macro: MacroDef, action: Action, time: float) -> list[Event]:
        if action == "press":
            self._held[key] = macro
            return [MacroSet(time=time, source=SOURCE, macro=macro.name, value=1.0)]
        if action == "release" and self._held.pop(key, None) is not None:
            return [MacroSet(time=time, source=SOURCE, macro=macro.name, value=0.0)]
        return []

    def _move(self, name: str, step: float, time: float, states: Mapping[str, MacroState]) -> Event:
        here = states[name].requested if name in states else self._levels[name]
        self._levels[name] = min(1.0, max(0.0, round(here + step, 4)))
        return MacroLevel(time=time, source=SOURCE, macro=name, value=self._levels[name])

    def _learn(self, key: str, action: Action, time: float) -> list[Event]:
        """Ask for a key, then have what it does learnt; the key twice stops, Backspace takes the last one back."""
        if action != "press":
            return []
        asked, self._learning = self._learning, not self._learning and key == LEARN
        if not asked:
            words = "press the key of what a control shall play; backspace takes the last one back"
            return [StatusChanged(time=time, source=SOURCE, component="midi learn", level="warn", message=words)]
        if key == "backspace":
            return [LearnMidi(time=time, source=SOURCE, undo=True)]
        macro, shortcut = self._macros.get(key), self._shortcuts.get(key)
        target = macro[0].name if macro is not None else shortcut.learnt if shortcut is not None else ""
        # Whatever was asked for before is over, and so is the question.
        over = StatusChanged(time=time, source=SOURCE, component="midi learn", level="ok")
        return [over, LearnMidi(time=time, source=SOURCE, target=target)]

    def _escape(self, action: Action, time: float) -> list[Event]:
        """Quit on the second Escape: one stray hand must not end a show, and neither must a held key."""
        if action != "press":
            return []
        if time - self._escape_at <= QUIT_WINDOW:
            self._escape_at = float("-inf")
            return [Quit(time=time, source=SOURCE)]
        self._escape_at = time
        return []

    def release_all(self, time: float) -> list[Event]:
        """Let go of every held macro: the window has lost the keyboard and will not see the keys come up."""
        held, self._held = self._held, {}
        return [MacroSet(time=time, source=SOURCE, macro=macro.name, value=0.0) for macro in held.values()]

    def describe(self) -> tuple[KeyHelp, ...]:
        """Return the keys and what they do, for a help page: macros first, then the engine's own."""
        lines: list[KeyHelp] = []
        by_macro: dict[str, list[str]] = {}
        for key, (macro, _) in self._macros.items():
            by_macro.setdefault(macro.name, []).append(key)
        shown = {macro.name: macro for macro, _ in self._macros.values()}
        for name, keys in by_macro.items():
            how = {"momentary": "hold", "toggle": "on/off", "level": "down/up"}[shown[name].kind]
            lines.append(KeyHelp(" ".join(keys), f"{name} ({how})"))
        lines += [KeyHelp(row.key, row.does) for row in self._shortcuts.values()]
        lines.append(KeyHelp(LEARN, "then another key: the next MIDI control that moves shall do the same"))
        return (*lines, KeyHelp("escape escape", "end the show"))
