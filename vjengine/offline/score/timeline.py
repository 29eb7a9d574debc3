"""A score on a track: every moment in seconds, every name looked up, and what is odd about it said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vjengine.core.looks import Look
from vjengine.core.macros import MacroDef
from vjengine.core.params import PARAMS
from vjengine.core.prompts import Pieces
from vjengine.offline.score.curves import Curve, Key, PromptKey
from vjengine.offline.score.model import Cue, Score, TransitionKind, TriggerKind, WrittenKey
from vjengine.offline.score.moments import Length, Moment
from vjengine.offline.score.music import Music
from vjengine.strict_yaml import Place, suggest

MOST_REPEATS = 20_000
"""Most times a cue may happen again."""
SHORTEST_EVERY = 0.02
"""s that must lie between two of them."""


@dataclass(frozen=True, slots=True)
class PlannedScene:
    """A scene from ``start`` to ``end``, s of the track; it comes in over ``fade`` s.

    ``look`` is never empty: it is the scene's own or the one that goes on.
    """

    start: float
    end: float
    name: str
    look: str
    prompt: Pieces
    curves: Mapping[str, Curve]
    transition: TransitionKind
    fade: float


@dataclass(frozen=True, slots=True)
class PlannedCue:
    """Something that happens at ``time`` s of the track; one of ``macro``, ``trigger`` and ``param`` is given.

    ``over`` is the s that a parameter takes to move to ``value``; a macro is set to it.
    """

    time: float
    macro: str = ""
    trigger: TriggerKind | None = None
    param: str = ""
    value: float = 0.0
    over: float = 0.0
    fader: bool = False

    @property
    def words(self) -> str:
        """What it does, for the plan."""
        if self.macro:
            return f"{self.macro} {'off' if self.value == 0.0 else 'on' if not self.fader else f'{self.value:g}'}"
        if self.param:
            over = f" over {self.over:.2f} s" if self.over else ""
            return f"{self.param} to {PARAMS[self.param].show(self.value)}{over}"
        return str(self.trigger)


@dataclass(frozen=True)
class Timeline:
    """All that happens in a film, in s of the track.

    Attributes:
        music: beats and sections of the track.
        look: the look the film begins with, if no scene has begun yet.
        scenes: one after the other.
        prompts: keyframes of the prompt.
        curves: parameters over the whole film.
        cues: in order of time.
        warnings: what will not be seen or is odd, each in a line that names file and key.
    """

    music: Music
    look: str
    scenes: tuple[PlannedScene, ...] = ()
    prompts: tuple[PromptKey, ...] = ()
    curves: Mapping[str, Curve] | None = None
    cues: tuple[PlannedCue, ...] = ()
    warnings: tuple[str, ...] = ()

    def scene_at(self, time: float) -> int:
        """Return the index of the scene at ``time`` s; -1 before the first."""
        return max((i for i, scene in enumerate(self.scenes) if scene.start <= time + 1e-9), default=-1)

    def look_at(self, time: float) -> str:
        """Return the look in force at ``time`` s."""
        index = self.scene_at(time)
        return self.scenes[index].look if index >= 0 else self.look


def plan_score(
    score: Score, music: Music, looks: Mapping[str, Look], macros: Mapping[str, MacroDef], look: str
) -> Timeline:
    """Return ``score`` as it will be played to ``music``, with the show's ``looks`` and ``macros``.

    ``look`` is the one that plays where the score names none.

    Raises:
        ConfigError: if it names a look, macro, section or beat that is not there, or scenes are out of order.
    """
    check_names(score, looks, macros)
    return _Planner(score, music, looks, macros).timeline(look)


def check_names(score: Score, looks: Mapping[str, Look], macros: Mapping[str, MacroDef]) -> None:
    """Refuse looks and macros that are not there; needs no track, so that it can be done hours before.

    Raises:
        ConfigError: naming the first.
    """
    for scene in score.scenes:
        if scene.look and scene.look not in looks:
            scene.place.at("look").refuse(scene.look, f"a look: {suggest(scene.look, looks)}")
    for cue in score.cues:
        if cue.macro and cue.macro.upper() not in macros:
            cue.place.at("macro").refuse(cue.macro, f"a macro: {suggest(cue.macro.upper(), macros)}")


class _Planner:
    def __init__(self, score: Score, music: Music, looks: Mapping[str, Look], macros: Mapping[str, MacroDef]) -> None:
        self._score = score
        self._music = music
        self._looks = looks
        self._macros = macros
        self._warnings: list[str] = []

    def timeline(self, look: str) -> Timeline:
        score = self._score
        scenes = self._scenes(look)
        prompts: list[PromptKey] = []
        for written in score.prompts:
            time = self._within(written.place.at("at"), written.at, "this keyframe")
            self._in_order(written.place.at("at"), written.at, time, prompts[-1].time if prompts else None)
            prompts.append(PromptKey(time, written.pieces, written.way))
        curves = self._curves(score.parameters)
        cues = [planned for cue in score.cues for planned in self._cue(cue)]
        cues.sort(key=lambda cue: cue.time)
        return Timeline(self._music, look, tuple(scenes), tuple(prompts), curves, tuple(cues), tuple(self._warnings))

    # Moments.

    def _seconds(self, place: Place, moment: Moment) -> float:
        try:
            return self._music.seconds(moment)
        except LookupError as error:
            place.refuse(moment.text, str(error.args[0]))

    def _after(self, place: Place, time: float, length: Length) -> float:
        try:
            return self._music.after(time, length)
        except LookupError as error:
            place.refuse(f"{length.amount:g}{length.unit}", str(error.args[0]))

    def _within(self, place: Place, moment: Moment, what: str) -> float:
        time = self._seconds(place, moment)
        if time >= self._music.duration:
            end = self._music.duration
            self._warn(place, f"{moment.text} is {time:.1f} s, past the end of the track at {end:.1f} s: "
                              f"{what} will not be seen")  # fmt: skip
        return time

    @staticmethod
    def _in_order(place: Place, moment: Moment, time: float, before: float | None) -> None:
        if before is not None and time <= before:
            place.refuse(moment.text, f"a moment after {before:.3f} s, where the one before is (this is {time:.3f} s)")

    def _warn(self, place: Place, message: str) -> None:
        self._warnings.append(f"{place.file}: {place.key}: {message}")

    # Parts.

    def _scenes(self, look: str) -> list[PlannedScene]:
        starts: list[float] = []
        for scene in self._score.scenes:
            place = scene.place.at("at")
            time = self._within(place, scene.at, "this scene")
            self._in_order(place, scene.at, time, starts[-1] if starts else None)
            starts.append(time)
        planned = []
        ends = [*starts[1:], max(self._music.duration, starts[-1])] if starts else []
        for i, (scene, start, end) in enumerate(zip(self._score.scenes, starts, ends, strict=True), 1):
            look = scene.look or look
            fade = self._after(scene.place.at("transition"), start, scene.transition.length) - start
            planned.append(
                PlannedScene(
                    start, end, scene.name or f"scene {i}", look, scene.prompt, self._curves(scene.parameters),
                    scene.transition.kind, fade,
                )
            )  # fmt: skip
        return planned

    def _curves(self, written: Mapping[str, tuple[WrittenKey, ...]]) -> Mapping[str, Curve]:
        curves = {}
        for name, keys in written.items():
            if keys[0].at is None:
                curves[name] = Curve(PARAMS[name], (Key(0.0, keys[0].value, "hold"),), whole=True)
                continue
            found: list[Key] = []
            for key in keys:
                if key.at is not None:
                    place = key.place.at("at")
                    time = self._within(place, key.at, "this keyframe")
                    self._in_order(place, key.at, time, found[-1].time if found else None)
                    found.append(Key(time, key.value, key.way))
            curves[name] = Curve(PARAMS[name], tuple(found))
        return curves

    def _cue(self, cue: Cue) -> list[PlannedCue]:
        place = cue.place.at("at")
        macro = cue.macro.upper()
        time = self._within(place, cue.at, "this cue")
        times = [time]
        if cue.every is not None:
            until = self._music.duration
            if cue.until is not None:
                until = min(until, self._seconds(cue.place.at("until"), cue.until))
            while (time := self._after(cue.place.at("every"), times[-1], cue.every)) < until - 1e-6:
                if time - times[-1] < SHORTEST_EVERY or len(times) >= MOST_REPEATS:
                    cue.place.at("every").refuse(cue.every.amount, "a longer time between two of them")
                times.append(time)
        found = []
        for at in times:
            end = at if cue.length is None else self._after(cue.place.at("for"), at, cue.length)
            if macro:
                fader = self._macros[macro].kind == "level"
                found.append(PlannedCue(at, macro=macro, value=cue.level, fader=fader))
                if cue.length is not None:
                    found.append(PlannedCue(end, macro=macro, value=self._macros[macro].initial, fader=fader))
            elif cue.param:
                found.append(PlannedCue(at, param=cue.param, value=cue.value, over=end - at))
            else:
                found.append(PlannedCue(at, trigger=cue.trigger))
        return found
