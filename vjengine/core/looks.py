"""A look: the parameters, the prompt and the wiring from music to parameters that make one way for things to appear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vjengine.core.modulation import Modulation


@dataclass(frozen=True, slots=True)
class Look:
    """One preset.

    Attributes:
        name: file name without ending.
        summary: one line for the performer.
        values: parameter values in the rows' units; rows not named keep their default.
        modulations: what moves them.
        prompt: text for generators that read one.
        negative: negative prompt.
    """

    name: str = "default"
    summary: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    modulations: tuple[Modulation, ...] = ()
    prompt: str = ""
    negative: str = ""
