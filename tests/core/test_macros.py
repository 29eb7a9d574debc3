import math

from vjengine.core.macros import MacroDef, MacroEffect, MacroState, request, step, suppressed

DROP = MacroDef("DROP", group="section", priority=30, attack=0.1, release=1.0)
CHILL = MacroDef("CHILL", group="section", priority=10)
LEVEL = MacroDef("ENERGY", kind="level")


def test_buttons_know_only_on_and_off() -> None:
    assert request(DROP, MacroState(), 0.3).requested == 1.0
    assert request(LEVEL, MacroState(), 0.3).requested == 0.3
    assert request(LEVEL, MacroState(), 7.0).requested == 1.0
    assert request(LEVEL, MacroState(0.5), math.nan).requested == 0.0


def test_starts_are_counted_once_a_press() -> None:
    state = request(DROP, request(DROP, MacroState(), 1.0), 1.0)
    assert state.starts == 1
    assert request(DROP, request(DROP, state, 0.0), 1.0).starts == 2


def test_envelope_takes_attack_and_release_at_any_frame_rate() -> None:
    for fps in (24, 60, 144):
        state = request(DROP, MacroState(), 1.0)
        for _ in range(round(0.1 * fps) + 1):
            state = step(DROP, state, 1 / fps, held_down=False)
        assert state.envelope == 1.0
        state = request(DROP, state, 0.0)
        for _ in range(round(0.5 * fps)):
            state = step(DROP, state, 1 / fps, held_down=False)
        assert abs(state.envelope - 0.5) < 1e-6


def test_a_tap_shorter_than_a_frame_still_shows() -> None:
    tapped = request(CHILL, request(CHILL, MacroState(), 1.0), 0.0)
    shown = step(CHILL, tapped, 1 / 60, held_down=False)
    assert shown.envelope == 1.0
    assert step(CHILL, shown, 1 / 60, held_down=False).envelope == 0.0


def test_the_strongest_of_a_group_holds_the_others_down() -> None:
    macros = {"DROP": DROP, "CHILL": CHILL, "ENERGY": LEVEL}
    on = {"DROP": MacroState(1.0), "CHILL": MacroState(1.0), "ENERGY": MacroState(1.0)}
    assert suppressed(macros, on) == {"CHILL"}
    assert suppressed(macros, on | {"DROP": MacroState()}) == set()
    waiting = on | {"DROP": MacroState(1.0, armed=True)}
    assert suppressed(macros, waiting) == set()


def test_effects_scale_with_the_envelope() -> None:
    assert MacroEffect("gen.speed", "add", 2.0).apply(1.0, 0.5) == 2.0
    assert MacroEffect("gen.speed", "multiply", 3.0).apply(2.0, 0.5) == 4.0
    assert MacroEffect("out.black", "set", 1.0).apply(0.0, 1.0) == 1.0
