"""What the lights, rings and motor faders of a controller should show: control state in, MIDI messages out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from vjengine.core.control import ControlState
from vjengine.core.exchange import Latest
from vjengine.core.params import PARAMS
from vjengine.inputs.midi_map import (
    BankTarget,
    Control,
    LookTarget,
    MacroTarget,
    ParamTarget,
    Row,
    Target,
    TempoTarget,
    View,
)
from vjengine.inputs.midi_message import encode
from vjengine.inputs.midi_profile import Light, Profile
from vjengine.inputs.midi_reader import Present
from vjengine.inputs.midi_values import FULL, FULL_FINE, NEAR, unshaped

HANDS_OFF = 0.4
"""s after a fader was last touched for which its motor leaves it alone."""
FLASH = 0.2
"""Share of a beat for which the tap button lights up."""

Glow = Literal["off", "idle", "on", "blink"]


def place_of(target: Target, state: ControlState) -> float | None:
    """Return where a macro or parameter is by hand, 0–1, before music and macros; ``None`` for anything else."""
    if isinstance(target, MacroTarget):
        macro = state.macros.get(target.macro)
        return None if macro is None else macro.requested
    if isinstance(target, ParamTarget):
        value = state.targets.get(target.param)
        return PARAMS[target.param].to_unit(state.smoothed[target.param] if value is None else value)
    return None


def present_in(control: Latest[ControlState]) -> Present:
    """Return what tells a reader where its targets are."""

    def present(target: Target) -> tuple[float, float] | None:
        state = control.read()
        place = place_of(target, state)
        return None if place is None else (place, state.time.time)

    return present


def glow(row: Row | None, state: ControlState, bank: int) -> Glow:
    """Return how the light of a control with ``row`` glows; a macro that waits for its beat blinks."""
    if row is None:
        return "off"
    target = row.target
    if isinstance(target, MacroTarget):
        macro = state.macros.get(target.macro)
        if macro is not None and macro.armed:
            return "blink"
        return "on" if macro is not None and macro.requested > NEAR else "idle"
    if isinstance(target, ParamTarget):
        place = place_of(target, state) or 0.0
        if target.position is not None:
            return "on" if abs(place - target.position) <= NEAR else "idle"
        return "on" if abs(place - row.low) > NEAR else "idle"
    if isinstance(target, TempoTarget) and target.function == "tap":
        return "on" if state.beat_running and state.beats % 1.0 < FLASH else "idle"
    lit = (isinstance(target, LookTarget) and bool(target.look) and target.look == state.look.name) or (
        isinstance(target, BankTarget) and target.bank == bank
    )
    return "on" if lit else "idle"


class LightBoard:
    """The lights of one port, and what was last sent to each.

    Args:
        profile: which lights there are.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._parts = [part for part in profile.parts.values() if part.light is not None]
        self._sent: dict[Control, bytes] = {}
        self._lit = False

    def forget(self) -> None:
        """Send everything again."""
        self._sent.clear()

    def changes(
        self,
        view: View,
        state: ControlState,
        *,
        bank: int,
        now: float,
        dark_phase: bool,
        learning: Target | None = None,
        touched: Mapping[Control, tuple[int, float]] | None = None,
    ) -> dict[Control, bytes]:
        """Return the messages that are not as they should be, by light.

        Args:
            view: the rows in force.
            state: what they show.
            bank: number of the bank in force.
            now: session s.
            dark_phase: True in the dark half of blinking, for lights that do not blink by themselves.
            learning: target that a control is being learnt for: where it is mapped already, it blinks.
            touched: what was heard of each control and when; a motor leaves a fader alone that is being moved, and
                one that stands right.
        """
        found: dict[Control, bytes] = {}
        for part in self._parts:
            light, control = part.light, part.control
            assert light is not None
            heard = control if control.channel else control._replace(channel=light.led.channel)
            row = view.find(heard)
            if light.level:
                value, last = _level(light, row, state), (touched or {}).get(heard)
                if last is not None and (now - last[1] < HANDS_OFF or last[0] == value):
                    continue
                message = encode(light.led, value)
            else:
                learns: Glow | None = (
                    "blink" if learning is not None and row is not None and row.target == learning else None
                )
                message = _lamp(light, row, learns or glow(row, state, bank), dark=dark_phase)
            if self._sent.get(light.led) != message:
                found[light.led] = message
        return found

    def sent(self, messages: Mapping[Control, bytes]) -> None:
        """Take note that ``messages`` are on their way."""
        self._sent.update(messages)
        self._lit = True

    def darkness(self) -> list[bytes]:
        """Return the messages that put out all lights, if any was ever set, and the profile's good-bye."""
        messages = []
        for part in self._parts:
            light = part.light
            if light is not None and not light.level and self._lit:
                messages.append(encode(light.led, light.off))
        return [*messages, *self.profile.goodbye]


def _level(light: Light, row: Row | None, state: ControlState) -> int:
    place = place_of(row.target, state) if row is not None else None
    position = 0.0 if row is None or place is None else unshaped(place, row)
    return round(position * (FULL_FINE if light.led.kind == "bend" else FULL))


def _lamp(light: Light, row: Row | None, kind: Glow, *, dark: bool) -> bytes:
    lit = light.colours.get(row.colour, light.on) if row is not None else light.on
    if kind == "blink":
        if light.blink_channel:
            return encode(light.led._replace(channel=light.blink_channel), lit if light.blink is None else light.blink)
        if light.blink is not None:
            return encode(light.led, light.blink)
        return encode(light.led, light.idle if dark else lit)
    return encode(light.led, {"off": light.off, "idle": light.idle, "on": lit}[kind])
