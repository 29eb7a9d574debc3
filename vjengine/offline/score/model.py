"""A score as it is written: what happens, at moments of the music that are only known once a track is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from vjengine.core.prompts import Pieces
from vjengine.offline.score.curves import Interpolation, Value
from vjengine.offline.score.expressions import MUSICAL, STRUCTURAL, Expression
from vjengine.offline.score.moments import Length, Moment
from vjengine.strict_yaml import Place

TransitionKind = Literal["cut", "fade", "dip"]
TRANSITIONS: tuple[str, ...] = get_args(TransitionKind)
TriggerKind = Literal["reseed", "cut", "clear", "panic"]
TRIGGERS: tuple[str, ...] = get_args(TriggerKind)


@dataclass(frozen=True, slots=True)
class WrittenKey:
    """A keyframe of a parameter as written; ``at`` is None for one number that always holds."""

    place: Place
    at: Moment | None
    value: Value
    way: Interpolation


@dataclass(frozen=True, slots=True)
class WrittenPrompt:
    """A keyframe of the prompt as written."""

    place: Place
    at: Moment
    pieces: Pieces
    way: Interpolation


@dataclass(frozen=True, slots=True)
class Transition:
    """How a scene comes in.

    Attributes:
        kind: ``cut`` wipes the trail, ``fade`` moves every parameter over from the scene before, ``dip`` goes through
            black, half before and half after the scene's beginning.
        length: how long it takes.
    """

    kind: TransitionKind = "fade"
    length: Length = field(default_factory=lambda: Length(1.0))


@dataclass(frozen=True, slots=True)
class Scene:
    """A stretch of the film, until the next scene.

    Attributes:
        place: where it is written.
        at: when it begins.
        name: for the plan and the pictures of it.
        look: name of its look; empty goes on with the one before.
        prompt: texts in its stead while it lasts; empty leaves the schedule, or the look's own.
        parameters: what it sets in its look.
        transition: how it comes in.
    """

    place: Place
    at: Moment
    name: str = ""
    look: str = ""
    prompt: Pieces = ()
    parameters: Mapping[str, tuple[WrittenKey, ...]] = field(default_factory=dict)
    transition: Transition = field(default_factory=Transition)


@dataclass(frozen=True, slots=True)
class Cue:
    """Something that happens at a moment, as a hand would do it.

    Attributes:
        place: where it is written.
        at: when.
        macro: a macro to switch on, off, or move to ``level``.
        level: 0-1; for a macro.
        length: for a macro, how long it is held (None: until another cue); for a parameter, how long it takes to move.
        trigger: a one-shot, instead of a macro.
        param: a parameter to move, instead of a macro; with ``value``.
        value: where the parameter is moved to, in its unit.
        every: it happens again after each such length.
        until: and not any more from here on; None for the end.
    """

    place: Place
    at: Moment
    macro: str = ""
    level: float = 1.0
    length: Length | None = None
    trigger: TriggerKind | None = None
    param: str = ""
    value: float = 0.0
    every: Length | None = None
    until: Moment | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """All that a score file says.

    Attributes:
        path: the file.
        title: of the film.
        seed: of everything random; None leaves it to the command line.
        tempo, first_bar: BPM and s, instead of what is heard; None listens.
        scenes: in the order written, which must be that of time.
        prompts: keyframes of the prompt.
        parameters: keyframes of parameters for the whole film.
        cues: in the order written.
    """

    path: Path
    title: str = ""
    seed: int | None = None
    tempo: float | None = None
    first_bar: float = 0.0
    scenes: tuple[Scene, ...] = ()
    prompts: tuple[WrittenPrompt, ...] = ()
    parameters: Mapping[str, tuple[WrittenKey, ...]] = field(default_factory=dict)
    cues: tuple[Cue, ...] = ()

    @property
    def listens(self) -> bool:
        """True if the track must be listened to before the moments are known."""
        moments = self._moments()
        if any(moment.found for moment in moments) or self._names() & STRUCTURAL:
            return True
        if self.tempo is not None:
            return False
        lengths = [scene.transition.length for scene in self.scenes]
        lengths += [length for cue in self.cues for length in (cue.length, cue.every) if length is not None]
        musical = any(moment.musical for moment in moments) or any(length.unit != "s" for length in lengths)
        return musical or bool(self._names() & MUSICAL)

    def _keys(self) -> list[WrittenKey]:
        tables = [self.parameters, *(scene.parameters for scene in self.scenes)]
        return [key for table in tables for keys in table.values() for key in keys]

    def _names(self) -> frozenset[str]:
        return frozenset().union(*(k.value.names for k in self._keys() if isinstance(k.value, Expression)))

    def _moments(self) -> list[Moment]:
        moments = [scene.at for scene in self.scenes] + [prompt.at for prompt in self.prompts]
        moments += [moment for cue in self.cues for moment in (cue.at, cue.until) if moment is not None]
        return moments + [key.at for key in self._keys() if key.at is not None]
