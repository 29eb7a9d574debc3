"""A show: the macros and looks in force, indexed for the control step. Built once, and anew when a file changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from vjengine.core.looks import Look
from vjengine.core.macros import MacroDef, MacroEffect
from vjengine.core.params import PARAMS, ParamValues


@dataclass(frozen=True, slots=True)
class Show:
    """Macros and looks by name, in display order.

    Attributes:
        macros: definitions by name.
        looks: looks by name; never empty.
        effects: ``(row index, ((macro, effect), …))`` for every parameter some macro acts on, weakest priority first.
        bases: parameter values of each look, by name.
    """

    macros: Mapping[str, MacroDef]
    looks: Mapping[str, Look]
    effects: tuple[tuple[int, tuple[tuple[MacroDef, MacroEffect], ...]], ...] = field(init=False)
    bases: Mapping[str, ParamValues] = field(init=False)

    def __post_init__(self) -> None:
        if not self.looks:
            object.__setattr__(self, "looks", {"default": Look()})
        by_row: dict[int, list[tuple[MacroDef, MacroEffect]]] = {}
        for macro in sorted(self.macros.values(), key=lambda macro: macro.priority):
            for effect in macro.effects:
                by_row.setdefault(PARAMS.index[effect.param], []).append((macro, effect))
        object.__setattr__(self, "effects", tuple((row, tuple(found)) for row, found in sorted(by_row.items())))
        object.__setattr__(self, "bases", {name: ParamValues.of(look.values) for name, look in self.looks.items()})

    def neighbour(self, look: str, step: int) -> Look:
        """Return the look ``step`` places after ``look`` in display order, around the end."""
        names = list(self.looks)
        here = names.index(look) if look in self.looks else 0
        return self.looks[names[(here + step) % len(names)]]


SMOOTHING: npt.NDArray[np.float64] = np.array([row.smoothing for row in PARAMS.rows])
"""Time constants of all rows, s, in row order."""

LOW: npt.NDArray[np.float64] = np.array([row.low for row in PARAMS.rows])
HIGH: npt.NDArray[np.float64] = np.array([row.high for row in PARAMS.rows])
DISCRETE: npt.NDArray[np.bool_] = np.array([row.discrete for row in PARAMS.rows])


def clamp_all(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return ``values`` ``(len(PARAMS),)`` within their rows' ranges, discrete rows on their steps."""
    values = np.clip(values, LOW, HIGH)
    return np.where(DISCRETE, np.rint(values), values)
