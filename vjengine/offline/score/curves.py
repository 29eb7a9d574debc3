"""What changes over time: numbers along keyframes, each a number or an expression, and prompts along theirs."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from vjengine.core.params import ParamSpec
from vjengine.core.prompts import MAX_PIECES, Pieces
from vjengine.offline.score.expressions import Expression, Signals

Interpolation = Literal["hold", "linear", "smooth"]
INTERPOLATIONS: tuple[str, ...] = get_args(Interpolation)
Value = float | Expression


def eased(kind: Interpolation, share: float) -> float:
    """Return how far a value has gone at ``share`` (0-1) of the way to the next keyframe."""
    if kind == "hold":
        return 0.0
    share = min(1.0, max(0.0, share))
    return share if kind == "linear" else share * share * (3.0 - 2.0 * share)


@dataclass(frozen=True, slots=True)
class Key:
    """A keyframe: from ``time`` (s) on the value leaves ``value`` for the next one's as ``way`` says."""

    time: float
    value: Value
    way: Interpolation = "linear"


@dataclass(frozen=True, slots=True)
class Curve:
    """A parameter over time.

    Attributes:
        row: the parameter.
        keys: at least one, in order of time.
        whole: it also holds before its first keyframe: a plain number or expression.
    """

    row: ParamSpec
    keys: tuple[Key, ...]
    whole: bool = False

    @property
    def names(self) -> frozenset[str]:
        """The signals that its expressions read."""
        return frozenset().union(*(key.value.names for key in self.keys if isinstance(key.value, Expression)))

    def at(self, time: float, signals: Signals) -> float | None:
        """Return the value at ``time`` s; None before the first keyframe, NaN where an expression has no value."""
        after = bisect.bisect_right(self.keys, time, key=lambda key: key.time)
        if after == 0:
            return _read(self.keys[0].value, signals) if self.whole else None
        key = self.keys[after - 1]
        here = _read(key.value, signals)
        if after == len(self.keys) or key.way == "hold" or self.row.discrete:
            return self.row.clamp(here) if not math.isnan(here) else here
        following = self.keys[after]
        share = eased(key.way, (time - key.time) / max(following.time - key.time, 1e-9))
        value = here + (_read(following.value, signals) - here) * share
        return self.row.clamp(value) if not math.isnan(value) else value


def _read(value: Value, signals: Signals) -> float:
    return value(signals) if isinstance(value, Expression) else value


@dataclass(frozen=True, slots=True)
class PromptKey:
    """A keyframe of the prompt: texts and weights, which leave for the next one's as ``way`` says."""

    time: float
    pieces: Pieces
    way: Interpolation = "smooth"


@dataclass(frozen=True, slots=True)
class PromptMoment:
    """The prompt at a moment: ``key`` is the number of the keyframe it comes from; a new one is a new scene."""

    key: int
    pieces: Pieces


def prompt_at(keys: Sequence[PromptKey], time: float) -> PromptMoment | None:
    """Return the prompt at ``time`` s, its weights sum to 1; None before the first keyframe."""
    after = bisect.bisect_right(keys, time, key=lambda key: key.time)
    if after == 0:
        return None
    key = keys[after - 1]
    if after == len(keys) or key.way == "hold":
        return PromptMoment(after - 1, key.pieces)
    following = keys[after]
    share = eased(key.way, (time - key.time) / max(following.time - key.time, 1e-9))
    return PromptMoment(after - 1, blended(key.pieces, following.pieces, share))


def blended(first: Pieces, second: Pieces, share: float) -> Pieces:
    """Return both prompts' texts, ``share`` (0-1) of the weight on the second's; the first's texts come first.

    What both hold is there once, with the sum of its weights.
    """
    weights: dict[str, float] = {}
    for pieces, part in ((first, 1.0 - share), (second, share)):
        for text, weight in pieces:
            weights[text] = weights.get(text, 0.0) + part * weight
    return tuple((text, weight) for text, weight in weights.items() if weight > 0.0)


def typed(pieces: Pieces) -> str:
    """Return a prompt as a performer types it, the inverse of :func:`~vjengine.core.prompts.parse_prompt`."""
    if len(pieces) == 1:
        return pieces[0][0]
    return " | ".join(f"{text}::{weight:.4f}" for text, weight in pieces[:MAX_PIECES] if weight >= 5e-5)


def told(pieces: Pieces) -> str:
    """Return a prompt as the plan shows it: ``"liquid silk 67% + storm clouds 33%"``."""
    if len(pieces) == 1:
        return pieces[0][0]
    whole = sum(weight for _, weight in pieces)
    return " + ".join(f"{text} {weight / whole:.0%}" for text, weight in pieces)
