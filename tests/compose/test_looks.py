"""The looks that ship: sound, different from one another, and wired to the music."""

from __future__ import annotations

import pytest

from vjengine.config import load_looks
from vjengine.core.params import PARAMS
from vjengine.resources import resource_dir

LOOKS, FAULTS = load_looks(resource_dir("presets"))


def test_all_load_and_one_is_the_default():
    assert FAULTS == ()
    assert len(LOOKS) >= 10
    assert "default" in LOOKS


def test_no_two_draw_the_same_family_in_the_same_palette():
    drawn = [(look.values["gen.family"], look.values["gen.palette"]) for look in LOOKS.values()]
    assert len(set(drawn)) == len(drawn)
    assert len({family for family, _ in drawn}) == len(PARAMS["gen.family"].choices), "every family has its look"


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_each_moves_with_kick_level_and_beat_slowly_and_at_once(look):
    sources = {wire.source for wire in look.modulations}
    assert "bass.hit" in sources
    assert sources & {"rms", "high.level", "mid.slow"}
    assert any(wire.source == "lfo" and wire.in_beats and wire.period >= 16 for wire in look.modulations) or (
        any(source.startswith(("bar.", "beat.")) for source in sources)
    )
    assert look.summary
    assert look.prompt


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_none_makes_a_room_seasick(look):
    """On a kick the camera moves by no more than about a sixth, and never turns or shakes with every beat."""
    kick = {wire.param: wire.amount for wire in look.modulations if wire.source.endswith(".hit")}
    assert kick.get("camera.zoom", 0.0) <= 0.17
    assert "camera.rotate" not in kick
    assert kick.get("camera.shake", 0.0) <= 0.3
