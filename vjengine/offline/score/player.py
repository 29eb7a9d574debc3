"""Plays a score into a show: by the events that hands make, at the frame they belong to, and by nothing else."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vjengine.core.control import ControlState
from vjengine.core.events import Event, LookSelected, MacroLevel, MacroSet, ParamSet, PromptSubmitted, Trigger
from vjengine.core.looks import Look
from vjengine.core.params import PARAMS, ParamValues
from vjengine.core.prompts import Pieces
from vjengine.core.signals import AudioFeatures
from vjengine.offline.score.curves import Curve, eased, prompt_at, typed
from vjengine.offline.score.expressions import Signals
from vjengine.offline.score.listening import signals_at
from vjengine.offline.score.timeline import PlannedCue, Timeline

log = logging.getLogger(__name__)

SOURCE = "score"
_NOTHING: Mapping[str, Curve] = {}
_HAIR = 1e-7
"""s by which a moment counts as reached: film times are sums of frames."""


@dataclass(frozen=True, slots=True)
class _Move:
    """A cue that moves a parameter from ``begin`` over ``over`` s."""

    begin: float
    over: float
    first: float
    last: float

    def at(self, time: float) -> float:
        return self.first + (self.last - self.first) * eased(
            "smooth", (time - self.begin) / self.over if self.over > 0.0 else 1.0
        )


class ScorePlayer:
    """The conductor of a render, see :class:`~vjengine.engine.offline.Conductor`.

    Layers, each over those before: the look; what the film's parameters say; what the scene's say; what cues moved in
    this scene. A fade moves all of it over from what it was when the scene began. The prompt is the scene's own, else
    the schedule's, else the look's.

    Args:
        timeline: what happens when.
        looks: values of every look, by name.
        start: s into the track at which the film begins: what happened before is taken up, edges apart.
    """

    def __init__(self, timeline: Timeline, looks: Mapping[str, Look], start: float = 0.0) -> None:
        self._line = timeline
        self._bases = {name: ParamValues.of(look.values) for name, look in looks.items()}
        self._start = start
        self._scene: int | None = None
        self._cue = 0
        self._moves: dict[str, _Move] = {}
        self._wanted: dict[str, float] = {}
        self._fade_from: ParamValues | None = None
        self._prompt: tuple[int, int, str] | None = None
        self._broken: set[str] = set()

    def events(self, time: float, features: AudioFeatures, state: ControlState) -> Iterable[Event]:
        """Return what happens at ``time`` s into the film; called for every frame, in order."""
        now = self._start + time
        events: list[Event] = []
        first = self._scene is None
        index = self._line.scene_at(now + _HAIR)
        entered = index != self._scene
        if entered:
            self._enter(index, state, events, time, first=first)
        signals = signals_at(now, time, features, self._line.music, self._place(index, now))
        self._play_cues(now, index, events, time, first=first)
        wanted = self._values(now, index, signals)
        base = self._bases[self._line.look_at(now + _HAIR)]
        # A look that stays does not take its values back by itself, nor does a new one those a performer keeps.
        renewed = entered and self._look_changes(index)
        let_go = {n: base[n] for n in self._wanted if n not in wanted and (PARAMS[n].kept or not renewed)}
        for name, value in {**let_go, **wanted}.items():
            if entered or state.targets.get(name) != value:
                events.append(ParamSet(time=time, source=SOURCE, param=name, value=value, normalised=False))
        self._wanted = wanted
        self._speak(now, index, events, time, entered=entered)
        return events

    # Scenes.

    def _look_changes(self, index: int) -> bool:
        scenes = self._line.scenes
        before = scenes[index - 1].look if index > 0 else self._line.look
        return index < 0 or scenes[index].look != before

    def _place(self, index: int, now: float) -> tuple[int, float, float]:
        if index < 0:
            return 0, now, 0.0
        scene = self._line.scenes[index]
        since = max(0.0, now - scene.start)
        return index + 1, since, min(1.0, since / max(scene.end - scene.start, 1e-9))

    def _enter(self, index: int, state: ControlState, events: list[Event], time: float, *, first: bool) -> None:
        self._scene = index
        self._moves.clear()
        look = self._line.scenes[index].look if index >= 0 else self._line.look
        self._fade_from = None
        if state.look.name != look:
            events.append(LookSelected(time=time, source=SOURCE, look=look))
        if index < 0 or first:
            return
        transition = self._line.scenes[index].transition
        if transition == "fade":
            self._fade_from = ParamValues.of({**self._bases_of(state), **self._wanted})
        elif transition == "cut":
            events += [Trigger(time=time, source=SOURCE, action=action) for action in ("cut", "clear")]

    def _bases_of(self, state: ControlState) -> dict[str, float]:
        base = self._bases.get(state.look.name)
        return dict(base) if base is not None else dict(state.smoothed)

    # Numbers.

    def _values(self, now: float, index: int, signals: Signals) -> dict[str, float]:
        """Return what the score asks of parameters; those it leaves alone are not in it."""
        wanted: dict[str, float] = {}
        own = self._line.scenes[index].curves if index >= 0 else _NOTHING
        for curves in (self._line.curves or _NOTHING, own):
            for name, curve in curves.items():
                value = curve.at(now + _HAIR, signals)
                if value is not None and not math.isnan(value):
                    wanted[name] = value
                elif value is not None:
                    self._keep(name, now, wanted)
        for name, move in self._moves.items():
            wanted[name] = PARAMS[name].clamp(move.at(now))
        if index >= 0:
            self._fade(now, index, wanted)
        self._dip(now, index, wanted)
        return wanted

    def _keep(self, name: str, now: float, wanted: dict[str, float]) -> None:
        """An expression has no value at this moment: the last one stays."""
        if name in self._wanted:
            wanted[name] = self._wanted[name]
        if name not in self._broken:
            self._broken.add(name)
            log.warning("%s: its expression has no value at %.2f s; it stays as it was", name, now)

    def _fade(self, now: float, index: int, wanted: dict[str, float]) -> None:
        before, scene = self._fade_from, self._line.scenes[index]
        if before is None:
            return
        share = eased("smooth", (now - scene.start) / scene.fade) if scene.fade > 0.0 else 1.0
        if share >= 1.0:
            self._fade_from = None
            return
        base = self._bases[scene.look]
        for row in PARAMS:
            aim = wanted.get(row.name, base[row.name])
            if not row.discrete and not row.kept and before[row.name] != aim and row.name not in self._moves:
                wanted[row.name] = before[row.name] + (aim - before[row.name]) * share

    def _dip(self, now: float, index: int, wanted: dict[str, float]) -> None:
        for scene in self._line.scenes[max(0, index) : index + 2]:
            if scene.transition == "dip" and scene.start > self._start + _HAIR and scene.fade > 0.0:
                depth = 1.0 - abs(now - scene.start) / (scene.fade / 2.0)
                if depth > 0.0:
                    wanted["out.black"] = max(eased("smooth", depth), wanted.get("out.black", 0.0))

    # Cues.

    def _play_cues(self, now: float, index: int, events: list[Event], time: float, *, first: bool) -> None:
        cues = self._line.cues
        begin = self._line.scenes[index].start if index >= 0 else 0.0
        levels: dict[str, PlannedCue] = {}
        while self._cue < len(cues) and cues[self._cue].time <= now + _HAIR:
            cue = cues[self._cue]
            self._cue += 1
            late = first and cue.time < now - _HAIR
            if cue.param:
                if cue.time >= begin - _HAIR:
                    self._moves[cue.param] = _Move(
                        cue.time, cue.over, self._present(cue.param, cue.time, now), cue.value
                    )
            elif late and cue.macro:
                levels[cue.macro] = cue
            elif not late:
                events.append(_event(cue, time))
        # Where the film begins inside the track, macros stand as they would by then; one-shots of before are over.
        events += [_event(cue, time) for cue in levels.values() if cue.value > 0.0 or cue.fader]

    def _present(self, param: str, at: float, now: float) -> float:
        """Return where ``param`` stands before a move."""
        if param in self._moves:
            return self._moves[param].at(at)
        if param in self._wanted:
            return self._wanted[param]
        return self._bases[self._line.look_at(now + _HAIR)][param]

    # Words.

    def _speak(self, now: float, index: int, events: list[Event], time: float, *, entered: bool) -> None:
        own: Pieces = self._line.scenes[index].prompt if index >= 0 else ()
        scheduled = None if own else prompt_at(self._line.prompts, now + _HAIR)
        if own:
            prompt = (index, -1, typed(own))
        elif scheduled is not None:
            prompt = (-1, scheduled.key, typed(scheduled.pieces))
        else:
            prompt = None
        before = self._prompt
        self._prompt = prompt
        if prompt is None:
            if before is not None:
                events.append(PromptSubmitted(time=time, source=SOURCE, text=""))
        elif before != prompt or (entered and self._look_changes(index)):
            # A look that changes has taken the prompt back.
            new_scene = before is None or before[:2] != prompt[:2]
            events.append(PromptSubmitted(time=time, source=SOURCE, text=prompt[2], cue=new_scene))


def _event(cue: PlannedCue, time: float) -> Event:
    if cue.trigger is not None:
        return Trigger(time=time, source=SOURCE, action=cue.trigger)
    if cue.fader:
        return MacroLevel(time=time, source=SOURCE, macro=cue.macro, value=cue.value)
    return MacroSet(time=time, source=SOURCE, macro=cue.macro, value=cue.value)
