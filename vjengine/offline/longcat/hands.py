"""How a prompt is painted: wind, symmetry, strokes, where the light is, what floats in it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields, replace
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Hand:
    """A way to paint. Lengths are shares of the picture's longer side, y points down.

    Attributes:
        whirls: currents along the longer side.
        lines: strokes to one deviation of the field.
        thin: how thin they are, 0-1.
        grain: share of the finer field.
        wide, high: how far the field is drawn out to the side, and upwards; 1 for not at all.
        zoom: growth a second, negative for falling back.
        turn: rad/s.
        wind_x, wind_y: steady drift, lengths a second.
        folds: 0, 1 for left and right alike, or the number of mirrored pairs around the middle.
        glow_x, glow_y: where the light comes from, -0.5 to 0.5.
        glow: how much brighter it is there; ``reach``: how far it goes.
        soft: share of cloud under the strokes, 0-1.
        motes: number of what floats; ``mote``: its size.
        rise: how fast that rises, negative for falling.
    """

    whirls: float = 3.0
    lines: float = 0.7
    thin: float = 0.5
    grain: float = 0.25
    wide: float = 1.0
    high: float = 1.0
    zoom: float = 0.03
    turn: float = 0.0
    wind_x: float = 0.0
    wind_y: float = 0.0
    folds: int = 0
    glow_x: float = 0.0
    glow_y: float = 0.0
    glow: float = 0.5
    reach: float = 0.30
    soft: float = 0.5
    motes: int = 0
    mote: float = 0.004
    rise: float = 0.0


_FLAME = Hand(3.4, 0.8, 0.3, 0.35, 0.65, 2.0, 0.02, 0.0, 0.0, -0.16, 0, 0.0, 0.34, 1.3, 0.30, 0.6, 70, 0.0035, 0.30)
_FLAKE = Hand(2.2, 0.45, 0.8, 0.15, 1.2, 1.0, 0.01, 0.0, 0.02, 0.05, 0, -0.1, -0.3, 0.6, 0.45, 1.0, 90, 0.006, -0.12)
_WAVE = Hand(2.6, 0.8, 0.7, 0.22, 1.9, 0.8, 0.02, 0.0, 0.04, 0.0, 0, 0.1, -0.32, 0.9, 0.40, 0.6, 36, 0.004, 0.05)
_DUNE = Hand(1.6, 1.1, 0.9, 0.12, 2.6, 0.55, 0.01, 0.0, 0.05, 0.0, 0, 0.14, -0.20, 0.9, 0.20, 0.9, 24, 0.002, 0.01)
_BEING = Hand(2.8, 0.75, 0.8, 0.25, 1.0, 1.5, 0.03, 0.0, 0.0, -0.03, 1, 0.0, -0.05, 1.3, 0.24, 0.5, 40, 0.0035, 0.06)
_CROWN = Hand(2.4, 0.8, 0.7, 0.28, 1.0, 1.0, 0.05, 0.03, 0.0, 0.0, 6, 0.0, 0.0, 1.1, 0.26, 0.5, 0, 0.004, 0.0)
_GROVE = Hand(4.2, 0.6, 0.1, 0.50, 1.0, 1.0, 0.03, 0.0, 0.0, -0.01, 0, -0.15, -0.2, 0.9, 0.38, 0.4, 44, 0.005, 0.03)
_SPACE = Hand(2.0, 0.35, 0.6, 0.40, 1.0, 1.0, 0.06, 0.04, 0.0, 0.0, 0, 0.12, -0.04, 1.2, 0.30, 1.0, 90, 0.0025, 0.0)
_SHAFT = Hand(2.4, 1.0, 1.0, 0.12, 0.7, 1.7, 0.12, -0.02, 0.0, 0.0, 4, 0.0, 0.0, 1.0, 0.22, 0.3, 30, 0.003, 0.0)

WORDS: dict[str, Hand] = {
    word: hand
    for hand, words in (
        (_FLAME, "fire flame flames ember lava magma volcano burning heat inferno sun candle dragon phoenix"),
        (_FLAKE, "snow winter ice glacier fog mist smoke cloud clouds blizzard frost polar"),
        (_WAVE, "ocean sea water wave waves underwater rain river lake silk aurora sky storm wind"),
        (_DUNE, "desert sand dune dunes noon sunset dawn dusk evening horizon plain wheat mars honey"),
        (
            _BEING,
            "jellyfish creature butterfly bird mask face tiger wolf skull owl moth angel insect fish animal dancer",
        ),
        (_CROWN, "mandala temple kaleidoscope cathedral crystal geometry psychedelic flower flowers rose lotus star"),
        (_GROVE, "coral reef forest jungle moss garden tree trees leaf leaves plants meadow cell cells fungus"),
        (_SPACE, "space galaxy nebula cosmos universe stars planet night dream void"),
        (_SHAFT, "city neon cyber tunnel laser techno club machine robot electric synth circuit matrix street"),
    )
    for word in words.split()
}
"""Words that call for a hand; any other prompt gets one by its own letters, always the same."""

_HANDS = (_WAVE, _BEING, _CROWN, _GROVE, _SPACE, _SHAFT, _FLAME, _DUNE)


@lru_cache(maxsize=16)
def hand_of(prompt: str) -> Hand:
    """Return the hand that paints ``prompt``: of its words what they call for, and of its letters how exactly."""
    plain = prompt.strip().lower()
    digest = hashlib.sha256(f"hand:{plain}".encode()).digest()
    # What lives somewhere is the thing to see; the place is only around it.
    called = [WORDS[word] for word in re.findall(r"[a-z]+", plain) if word in WORDS]
    called.sort(key=lambda hand: 0 if hand in (_BEING, _CROWN) else 1)
    hand = called[0] if called else _HANDS[digest[0] % len(_HANDS)]
    other = next((one for one in called if one != hand), _HANDS[digest[1] % len(_HANDS)])
    share = (0.30 if len(called) > 1 else 0.12) * (0.6 + 0.4 * digest[2] / 255)
    mixed = {
        field.name: (1 - share) * getattr(hand, field.name) + share * getattr(other, field.name)
        for field in fields(Hand)
        if field.name not in ("folds", "motes", "mote", "rise", "glow_x", "glow_y")
    }
    hand = replace(hand, **mixed)
    a, b, c, d = (value / 255 - 0.5 for value in digest[3:7])
    folds = hand.folds + digest[7] % 3 - 1 if hand.folds > 1 else hand.folds
    return replace(
        hand,
        whirls=hand.whirls * (1 + 0.3 * a),
        lines=hand.lines * (1 + 0.3 * b),
        turn=hand.turn + 0.02 * c,
        glow_x=hand.glow_x if hand.folds else hand.glow_x + 0.2 * d,
        folds=folds,
    )
